//! Throughput of flows large enough for it to mean something.

use crate::analyses::columns::Columns;
use crate::analyses::distribution::{Distribution, Look, Spacing, distributions, figure};
use crate::answer::NamedTable;
use crate::error::Error;
use crate::grid::Unit;
use crate::registry::Draft;
use crate::scope::Scope;

pub(crate) fn run(scope: &Scope, draft: &mut Draft) -> Result<(), Error> {
    for (direction, name) in [("down", "Download"), ("up", "Upload")] {
        let source = format!(
            "SELECT app, service, client, 1.0 AS weight,
                    payload_{direction} * 8e9 / (last::BIGINT - first::BIGINT) AS value
             FROM labelled_flows
             WHERE app = coalesce($app, app) AND payload_{direction} >= $min_bytes AND last > first"
        );
        let found = distributions(scope, &source, Spacing::Log)?;
        draft.tables.push(table(direction, name, &found)?);
        draft.figures.push(figure(
            scope,
            &found,
            Look {
                id: direction,
                title: &format!("{name} throughput"),
                caption: "Share of flows not faster than x, among flows with at least the minimum payload in that direction.",
                x: "throughput",
                unit: Unit::BitRate,
                y: "share of flows",
                services_of: scope.params().app.as_deref(),
                marks: Vec::new(),
            },
        ));
    }
    Ok(())
}

fn table(direction: &str, name: &str, found: &[Distribution]) -> Result<NamedTable, Error> {
    let at = |q: f64| move |d: &Distribution| d.quantile(q);
    let rows = Columns::new()
        .text("app", found.iter().map(|d| Some(d.app.clone())))
        .text("service", found.iter().map(|d| Some(d.service.clone())))
        .count("users", found.iter().map(|d| Some(d.users)))
        .count("flows", found.iter().map(|d| Some(d.flows)))
        .real("mean_bps", found.iter().map(Distribution::mean))
        .real("p10_bps", found.iter().map(at(0.1)))
        .real("p50_bps", found.iter().map(at(0.5)))
        .real("p90_bps", found.iter().map(at(0.9)))
        .rows()?;
    Ok(NamedTable {
        name: direction.to_owned(),
        title: format!("{name} throughput of large flows"),
        denominator: "flows with at least the minimum payload in this direction; means and percentiles are over them".to_owned(),
        rows,
    })
}
