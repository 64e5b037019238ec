//! Smallest round trip to each server, weighted by what the servers carry.

use crate::analyses::columns::Columns;
use crate::analyses::distribution::{Distribution, Look, Spacing, distributions, figure};
use crate::answer::NamedTable;
use crate::error::Error;
use crate::grid::Unit;
use crate::registry::Draft;
use crate::scope::Scope;

/// One row a flow, with the smallest round trip to its server that any flow saw.
const SOURCE: &str = "
    SELECT app, service, client, weight, bytes, value FROM (
        SELECT app, service, client, 1.0 AS weight, (bytes_up + bytes_down)::DOUBLE AS bytes,
               min(least(coalesce(rtt_server_us, rtt_data_us), coalesce(rtt_data_us, rtt_server_us)))
                 OVER (PARTITION BY server) / 1e3 AS value
        FROM labelled_flows WHERE app = coalesce($app, app))
    WHERE value IS NOT NULL";

pub(crate) fn run(scope: &Scope, draft: &mut Draft) -> Result<(), Error> {
    let by_flows = distributions(scope, SOURCE, Spacing::Log)?;
    let by_bytes = distributions(
        scope,
        &format!("SELECT app, service, client, value, bytes AS weight FROM ({SOURCE})"),
        Spacing::Log,
    )?;
    draft.tables.push(table("by-flows", "flows", &by_flows)?);
    draft.tables.push(table("by-bytes", "bytes", &by_bytes)?);
    for (found, id, title, y) in [
        (&by_flows, "flows", "Round trip to servers, by flows", "share of flows"),
        (&by_bytes, "bytes", "Round trip to servers, by volume", "share of bytes"),
    ] {
        let look = Look {
            id,
            title,
            caption: "Smallest round trip seen between the vantage point and each server address. Steps are data centres.",
            x: "smallest round trip",
            unit: Unit::Milliseconds,
            y,
            services_of: scope.params().app.as_deref(),
            marks: Vec::new(),
        };
        draft.figures.push(figure(scope, found, look));
    }
    Ok(())
}

fn table(name: &str, weight: &str, found: &[Distribution]) -> Result<NamedTable, Error> {
    let at = |q: f64| move |d: &Distribution| d.quantile(q);
    let rows = Columns::new()
        .text("app", found.iter().map(|d| Some(d.app.clone())))
        .text("service", found.iter().map(|d| Some(d.service.clone())))
        .count("users", found.iter().map(|d| Some(d.users)))
        .count("flows", found.iter().map(|d| Some(d.flows)))
        .real("p10_ms", found.iter().map(at(0.1)))
        .real("p50_ms", found.iter().map(at(0.5)))
        .real("p90_ms", found.iter().map(at(0.9)))
        .rows()?;
    Ok(NamedTable {
        name: name.to_owned(),
        title: format!("Smallest round trip to servers, weighted by {weight}"),
        denominator: format!(
            "{weight} of flows to servers with a measured round trip; percentiles are over them"
        ),
        rows,
    })
}
