//! Naming schemes of an application's servers, mined from the names that were seen.

use std::collections::BTreeMap;

use ottoscope_store::naming;

use crate::analyses::columns::Columns;
use crate::answer::NamedTable;
use crate::error::Error;
use crate::grid::Cell;
use crate::registry::Draft;
use crate::scope::Scope;
use crate::session::Rows;

/// Every name of an application with the address it stood for: said to the server, or answered
/// by a resolver to a question that was the application's. What is asked for has the service of
/// the flows that then go there.
const SEEN: &str = "
    SELECT app, coalesce(service, 'none') AS service, server_name AS name, server AS address, client, 1 AS flows,
           bytes_up + bytes_down AS bytes
    FROM labelled_flows
    WHERE server_name IS NOT NULL AND evidence <> 'dns-query' AND app = coalesce($app, app)
    UNION ALL
    SELECT l.app, coalesce(h.service, l.service, 'none'), d.name, d.answer AS address, d.client, 0 AS flows, 0 AS bytes
    FROM dns d JOIN labels l ON l.flow = d.flow AND l.evidence = 'dns-query' AND strpos(l.detail, d.name) > 0
    LEFT JOIN (SELECT app, server, min(service) AS service FROM labelled_flows
               WHERE evidence <> 'dns-query' GROUP BY 1, 2) h ON h.app = l.app AND h.server = d.answer
    WHERE d.kind = 'response' AND d.answer_type IN ('A', 'AAAA') AND l.app = coalesce($app, l.app)";

/// Protocols and ports of flows that said a name of the pattern, or said none and went to one of
/// its addresses.
const PROTOCOLS: &str = "
    SELECT DISTINCT p.app, p.service, p.pattern, coalesce(f.protocol, f.transport) AS protocol, f.server_port AS port
    FROM labelled_flows f JOIN name_patterns p ON p.app = f.app AND p.service = coalesce(f.service, 'none') AND p.name = f.server_name
    UNION
    SELECT DISTINCT s.app, s.service, s.pattern, coalesce(f.protocol, f.transport), f.server_port
    FROM labelled_flows f JOIN (SELECT DISTINCT app, service, pattern, address FROM seen) s
      ON s.app = f.app AND s.address = f.server
    WHERE f.server_name IS NULL AND f.evidence <> 'dns-query'";

pub(crate) fn run(scope: &Scope, draft: &mut Draft) -> Result<(), Error> {
    let names = scope.sql(&format!(
        "SELECT DISTINCT app, service, name FROM ({SEEN}) ORDER BY app, service, name"
    ))?;
    scope.table("name_patterns", &mine(&names.grid().rows)?)?;
    scope.table(
        "seen",
        &scope.sql(&format!(
            "SELECT s.*, p.pattern FROM ({SEEN}) s JOIN name_patterns p ON p.app = s.app AND p.service = s.service AND p.name = s.name"
        ))?,
    )?;
    let rows = scope.sql(&format!(
        "WITH places AS (
             SELECT DISTINCT app, service, pattern, address FROM seen
         ), shared AS (
             SELECT address, count(*) > 1 AS shared FROM places GROUP BY 1
         ), addresses AS (
             SELECT app, service, pattern, count(*) AS addresses, count(*) FILTER (WHERE shared) AS shared_addresses
             FROM places p JOIN shared s ON s.address = p.address GROUP BY 1, 2, 3
         ), protocols AS (
             SELECT app, service, pattern,
                    string_agg(concat(protocol, '/', port), ' ' ORDER BY concat(protocol, '/', port)) AS protocols
             FROM ({PROTOCOLS}) GROUP BY 1, 2, 3
         )
         SELECT s.app, s.service, s.pattern, max(p.protocols) AS protocols,
                count(DISTINCT s.name) AS names, max(a.addresses) AS addresses,
                max(a.shared_addresses) AS shared_addresses, count(DISTINCT s.client) AS users,
                sum(s.flows) AS flows, sum(s.bytes) AS bytes, min(s.name) AS example
         FROM seen s JOIN addresses a ON a.app = s.app AND a.service = s.service AND a.pattern = s.pattern
              LEFT JOIN protocols p ON p.app = s.app AND p.service = s.service AND p.pattern = s.pattern
         GROUP BY s.app, s.service, s.pattern
         ORDER BY s.app, count(DISTINCT s.name) DESC, s.pattern, s.service LIMIT $top"
    ))?;
    draft.tables.push(NamedTable {
        name: "patterns".to_owned(),
        title: "Naming schemes".to_owned(),
        denominator: "distinct names that the application's flows said or its DNS answers held; an address is shared where names of another pattern stand for it as well".to_owned(),
        rows,
    });
    Ok(())
}

/// The pattern of each name, mined one service at a time, since schemes tell services apart.
fn mine(rows: &[Vec<Cell>]) -> Result<Rows, Error> {
    let mut kinds: BTreeMap<[&str; 2], Vec<&str>> = BTreeMap::new();
    for row in rows {
        if let [Some(app), Some(service), Some(name)] = [0, 1, 2].map(|i| row[i].text()) {
            kinds.entry([app, service]).or_default().push(name);
        }
    }
    let mut found: Vec<[String; 4]> = Vec::new();
    for ([app, service], names) in kinds {
        for group in naming::mine(&names) {
            for name in group.names.iter().filter_map(|i| names.get(*i)) {
                found.push([app, service, name, group.pattern.as_str()].map(str::to_owned));
            }
        }
    }
    let column = |i: usize| found.iter().map(move |row| Some(row[i].clone()));
    let columns = Columns::new().text("app", column(0)).text("service", column(1));
    columns.text("name", column(2)).text("pattern", column(3)).rows()
}
