//! Distributions of a quantity over flows, by application and service.
//!
//! The engine counts flows in bins a hundredth of a decade wide (a whole second wide above ten
//! seconds, where timeouts are looked for) and keeps each bin's largest value, so that what is
//! held does not grow with the traffic, the distribution function is exact at every point kept,
//! and a quantile is at most 2.3 % (or a second) above the exact one.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::figure::{Axis, Chart, Figure, Mark, Scale, Series, thin};
use crate::grid::{Cell, Unit};
use crate::scope::Scope;

/// Points a line keeps.
const POINTS: usize = 600;
/// Lines of a figure.
const LINES: usize = 8;
/// What stands for the whole application among its services.
pub(crate) const TOTAL: &str = "total";

/// How values are put into bins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spacing {
    /// A hundredth of a decade.
    Log,
    /// The same below ten, whole units above.
    Seconds,
}

/// One group's distribution.
#[derive(Debug, Clone, Default)]
pub(crate) struct Distribution {
    pub(crate) app: String,
    pub(crate) service: String,
    pub(crate) users: u64,
    pub(crate) flows: u64,
    weight: f64,
    sum: f64,
    /// Largest value and weight of each bin, by value.
    bins: Vec<(f64, f64)>,
}

impl Distribution {
    pub(crate) fn mean(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }

    /// The smallest value kept that at least the share `q` of the weight does not exceed.
    pub(crate) fn quantile(&self, q: f64) -> Option<f64> {
        let mut below = 0.0;
        let wanted = q * self.weight;
        let found = self.bins.iter().find(|(_, weight)| {
            below += weight;
            below >= wanted * (1.0 - 1e-12)
        });
        found.or(self.bins.last()).map(|(x, _)| *x)
    }

    pub(crate) fn bins(&self) -> &[(f64, f64)] {
        &self.bins
    }

    fn points(&self, log: bool) -> Vec<[f64; 2]> {
        let mut below = 0.0;
        let points: Vec<[f64; 2]> = self
            .bins
            .iter()
            .map(|(x, weight)| {
                below += weight;
                [*x, below / self.weight]
            })
            .filter(|p| !log || p[0] > 0.0)
            .collect();
        thin(&points, POINTS, log)
    }
}

/// The distributions of `value` in the rows of `source`, a query for `app, service, client,
/// value, weight`. Ordered by application (most rows first), the whole of it before its services.
/// Sums are decimal, and those of bins added in order: the same in every run.
pub(crate) fn distributions(
    scope: &Scope,
    source: &str,
    spacing: Spacing,
) -> Result<Vec<Distribution>, Error> {
    let log = "floor(log10(greatest(value, 1e-9)) * 100)";
    let bin = match spacing {
        Spacing::Log => log.to_owned(),
        Spacing::Seconds => format!("CASE WHEN value < 10 THEN {log} ELSE 1000 + floor(value) END"),
    };
    let counted = scope.sql(&format!(
        "SELECT app, coalesce(service, 'none') AS service, {bin} AS bin, max(value) AS top,
                sum(weight) AS weight, sum((value * weight)::DECIMAL(38, 9))::DOUBLE AS total, count(*) AS flows
         FROM ({source}) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    ))?;
    let mut groups: BTreeMap<(String, String), BTreeMap<i64, (f64, f64)>> = BTreeMap::new();
    let mut found: BTreeMap<(String, String), Distribution> = BTreeMap::new();
    for row in counted.grid().rows {
        let [Cell::Text(app), Cell::Text(service), bin, top, weight, total, flows] = &row[..]
        else {
            continue;
        };
        let (Some(bin), Some(top), Some(weight), Some(total), Some(flows)) =
            (bin.number(), top.number(), weight.number(), total.number(), flows.number())
        else {
            continue;
        };
        for service in [service.as_str(), TOTAL] {
            let key = (app.clone(), service.to_owned());
            let held = groups.entry(key.clone()).or_default().entry(bin as i64).or_default();
            *held = (held.0.max(top), held.1 + weight);
            let of = found.entry(key).or_default();
            of.flows += flows as u64;
            of.weight += weight;
            of.sum += total;
        }
    }
    count_users(scope, source, &mut found)?;
    let mut all: Vec<Distribution> = found
        .into_iter()
        .map(|(key, mut of)| {
            of.bins = groups.remove(&key).unwrap_or_default().into_values().collect();
            (of.app, of.service) = key;
            of
        })
        .collect();
    let totals: BTreeMap<String, u64> =
        all.iter().filter(|d| d.service == TOTAL).map(|d| (d.app.clone(), d.flows)).collect();
    all.sort_by_key(|d| {
        let of_app = totals.get(&d.app).copied().unwrap_or_default();
        (
            std::cmp::Reverse(of_app),
            d.app.clone(),
            d.service != TOTAL,
            std::cmp::Reverse(d.flows),
            d.service.clone(),
        )
    });
    Ok(all)
}

fn count_users(
    scope: &Scope,
    source: &str,
    found: &mut BTreeMap<(String, String), Distribution>,
) -> Result<(), Error> {
    let users = scope.sql(&format!(
        "SELECT app, CASE WHEN grouping(service) = 1 THEN '{TOTAL}' ELSE service END AS service,
                count(DISTINCT id(client)) AS users
         FROM (SELECT app, coalesce(service, 'none') AS service, client FROM ({source}))
         GROUP BY GROUPING SETS ((app, service), (app))"
    ))?;
    for row in users.grid().rows {
        if let [Cell::Text(app), Cell::Text(service), Cell::Int(users)] = &row[..]
            && let Some(of) = found.get_mut(&(app.clone(), service.clone()))
        {
            of.users = u64::try_from(*users).unwrap_or_default();
        }
    }
    Ok(())
}

/// How a figure of distributions is drawn.
pub(crate) struct Look<'a> {
    pub(crate) id: &'a str,
    pub(crate) title: &'a str,
    pub(crate) caption: &'a str,
    pub(crate) x: &'a str,
    pub(crate) unit: Unit,
    pub(crate) y: &'a str,
    /// One line a service of this application, instead of one an application.
    pub(crate) services_of: Option<&'a str>,
    pub(crate) marks: Vec<Mark>,
}

/// One line an application, or one a service of one application; groups of fewer users than may
/// be shown are left out.
pub(crate) fn figure(scope: &Scope, all: &[Distribution], look: Look<'_>) -> Figure {
    let params = scope.params();
    let drawn = |d: &&Distribution| match look.services_of {
        Some(app) => d.app == app && d.service != TOTAL,
        None => d.service == TOTAL,
    };
    let fewest = params.suppress.unwrap_or(0);
    let series = all
        .iter()
        .filter(drawn)
        .filter(|d| d.users >= fewest)
        .take(LINES)
        .map(|d| Series {
            name: if look.services_of.is_some() { &d.service } else { &d.app }.clone(),
            points: d.points(true),
        })
        .filter(|s| !s.points.is_empty())
        .collect();
    Figure {
        id: look.id.to_owned(),
        title: look.title.to_owned(),
        caption: look.caption.to_owned(),
        chart: Chart::Lines {
            x: Axis { label: look.x.to_owned(), unit: look.unit, scale: Scale::Log },
            y: Axis { label: look.y.to_owned(), unit: Unit::Share, scale: Scale::Linear },
            steps: true,
            series,
            marks: look.marks,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_weight() {
        let of = Distribution {
            weight: 10.0,
            sum: 31.0,
            bins: vec![(1.0, 5.0), (2.0, 3.0), (10.0, 2.0)],
            ..Distribution::default()
        };
        for (q, expected) in
            [(0.0, 1.0), (0.5, 1.0), (0.51, 2.0), (0.8, 2.0), (0.81, 10.0), (1.0, 10.0)]
        {
            assert_eq!(of.quantile(q), Some(expected), "{q}");
        }
        assert_eq!(of.mean(), Some(3.1));
        assert_eq!(of.points(true), [[1.0, 0.5], [2.0, 0.8], [10.0, 1.0]]);
        assert_eq!(
            (Distribution::default().quantile(0.5), Distribution::default().mean()),
            (None, None)
        );
    }
}
