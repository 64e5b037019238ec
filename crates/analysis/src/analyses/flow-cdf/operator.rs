//! Flow sizes and durations by content, with the steps that timeouts leave.

use crate::analyses::columns::Columns;
use crate::analyses::distribution::{Distribution, Look, Spacing, TOTAL, distributions, figure};
use crate::answer::NamedTable;
use crate::error::Error;
use crate::figure::Mark;
use crate::grid::Unit;
use crate::registry::Draft;
use crate::scope::Scope;

const SIZES: &str = "
    SELECT app, service, client, (bytes_up + bytes_down)::DOUBLE AS value, 1.0 AS weight
    FROM labelled_flows WHERE app = coalesce($app, app)";
const DURATIONS: &str = "
    SELECT app, service, client, (last::BIGINT - first::BIGINT) / 1e9 AS value, 1.0 AS weight
    FROM labelled_flows WHERE app = coalesce($app, app)";

/// Applications whose services get figures of their own.
const APPS: usize = 2;

pub(crate) fn run(scope: &Scope, draft: &mut Draft) -> Result<(), Error> {
    let sizes = distributions(scope, SIZES, Spacing::Log)?;
    let durations = distributions(scope, DURATIONS, Spacing::Seconds)?;
    let fewest = scope.params().suppress.unwrap_or(0);
    let found: Vec<(&Distribution, Step)> = durations
        .iter()
        .filter(|d| d.users >= fewest)
        .flat_map(|d| steps(d.bins(), d.flows).into_iter().map(move |step| (d, step)))
        .collect();

    draft.tables.push(summary(&sizes, &durations)?);
    draft.tables.push(step_table(&found)?);
    for (app, number) in shown(scope, &sizes) {
        let title =
            |what: &str| app.as_ref().map_or(what.to_owned(), |app| format!("{what}: {app}"));
        let id = |what: &str| number.map_or(what.to_owned(), |n| format!("{what}-{n}"));
        let size = Look {
            id: &id("size"),
            title: &title("Flow size"),
            caption: "Share of flows not larger than x. Bytes of whole frames, both directions.",
            x: "flow size",
            unit: Unit::Bytes,
            y: "share of flows",
            services_of: app.as_deref(),
            marks: Vec::new(),
        };
        draft.figures.push(figure(scope, &sizes, size));
        let duration = Look {
            id: &id("duration"),
            title: &title("Flow duration"),
            caption: "Share of flows not longer than x, from first to last packet. Flows of a single packet last no time and are not drawn, but counted.",
            x: "flow duration",
            unit: Unit::Seconds,
            y: "share of flows",
            services_of: app.as_deref(),
            marks: marks(
                found.iter().filter(|(d, _)| app.as_ref().is_none_or(|app| d.app == *app)),
            ),
        };
        draft.figures.push(figure(scope, &durations, duration));
    }
    Ok(())
}

/// Whose distributions are drawn: those of all applications, then by service those of the ones
/// with the most flows, numbered; or by service those of the one asked about.
fn shown(scope: &Scope, all: &[Distribution]) -> Vec<(Option<String>, Option<usize>)> {
    if let Some(app) = &scope.params().app {
        return vec![(Some(app.clone()), None)];
    }
    let services = |app: &str| all.iter().filter(|d| d.app == app).count() - 1;
    let largest = all.iter().filter(|d| d.service == TOTAL && services(&d.app) > 1);
    let numbered = largest.take(APPS).enumerate().map(|(i, d)| (Some(d.app.clone()), Some(i + 1)));
    std::iter::once((None, None)).chain(numbered).collect()
}

fn summary(sizes: &[Distribution], durations: &[Distribution]) -> Result<NamedTable, Error> {
    let at = |q: f64| move |d: &Distribution| d.quantile(q);
    let rows = Columns::new()
        .text("app", sizes.iter().map(|d| Some(d.app.clone())))
        .text("service", sizes.iter().map(|d| Some(d.service.clone())))
        .count("users", sizes.iter().map(|d| Some(d.users)))
        .count("flows", sizes.iter().map(|d| Some(d.flows)))
        .real("mean_bytes", sizes.iter().map(Distribution::mean))
        .real("p10_bytes", sizes.iter().map(at(0.1)))
        .real("p50_bytes", sizes.iter().map(at(0.5)))
        .real("p90_bytes", sizes.iter().map(at(0.9)))
        .real("p99_bytes", sizes.iter().map(at(0.99)))
        .real("mean_s", durations.iter().map(Distribution::mean))
        .real("p10_s", durations.iter().map(at(0.1)))
        .real("p50_s", durations.iter().map(at(0.5)))
        .real("p90_s", durations.iter().map(at(0.9)))
        .real("p99_s", durations.iter().map(at(0.99)))
        .rows()?;
    Ok(NamedTable {
        name: "summary".to_owned(),
        title: "Flow sizes and durations".to_owned(),
        denominator: "means and percentiles are over the flows of the row".to_owned(),
        rows,
    })
}

fn step_table(found: &[(&Distribution, Step)]) -> Result<NamedTable, Error> {
    let rows = Columns::new()
        .text("app", found.iter().map(|(d, _)| Some(d.app.clone())))
        .text("service", found.iter().map(|(d, _)| Some(d.service.clone())))
        .count("users", found.iter().map(|(d, _)| Some(d.users)))
        .real("at_s", found.iter().map(|(_, s)| Some(s.at)))
        .count("flows", found.iter().map(|(_, s)| Some(s.flows)))
        .real("flow_share", found.iter().map(|(d, s)| Some(s.flows as f64 / d.flows as f64)))
        .real("times_expected", found.iter().map(|(_, s)| Some(s.ratio)))
        .rows()?;
    Ok(NamedTable {
        name: "steps".to_owned(),
        title: "Steps in flow durations".to_owned(),
        denominator: "shares are of the flows of the application and service".to_owned(),
        rows,
    })
}

/// Marks for the largest of these steps of whole applications, at most five, none close to another.
fn marks<'a>(found: impl Iterator<Item = &'a (&'a Distribution, Step)>) -> Vec<Mark> {
    let mut largest: Vec<Step> =
        found.filter(|(d, _)| d.service == TOTAL).map(|(_, step)| *step).collect();
    largest.sort_by_key(|step| std::cmp::Reverse(step.flows));
    let mut marks: Vec<Mark> = Vec::new();
    for step in largest {
        let apart = marks.iter().all(|m: &Mark| (m.at / step.at).ln().abs() > 0.15);
        if apart && marks.len() < 5 {
            marks.push(Mark { at: step.at, label: words(step.at) });
        }
    }
    marks.sort_by(|a, b| a.at.total_cmp(&b.at));
    marks
}

fn words(seconds: f64) -> String {
    let minutes = seconds / 60.0;
    if seconds >= 90.0 && (minutes - minutes.round()).abs() < 0.06 {
        format!("{minutes:.0} min")
    } else {
        format!("{seconds:.0} s")
    }
}

/// A duration that many flows share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Step {
    /// Mean duration of the flows in the step, seconds.
    at: f64,
    flows: u64,
    /// Flows in the step over what its surroundings would put there.
    ratio: f64,
}

/// Shortest duration at which a step is looked for, seconds.
const SHORTEST: i64 = 20;
/// Half width of the surroundings and of the hole around the second looked at.
const AROUND: i64 = 30;
const HOLE: i64 = 3;
/// A step holds at least this share of the flows, this many, and this many times what its
/// surroundings would put there.
const SHARE: f64 = 0.002;
const FEWEST: f64 = 10.0;
const TIMES: f64 = 5.0;

/// Finds the steps of a distribution in bins of whole seconds (see [`Spacing::Seconds`]).
pub(crate) fn steps(bins: &[(f64, f64)], flows: u64) -> Vec<Step> {
    let seconds: Vec<(i64, f64, f64)> =
        bins.iter().filter(|b| b.0 >= 10.0).map(|(x, n)| (x.floor() as i64, *x, *n)).collect();
    let enough = (flows as f64 * SHARE).max(FEWEST);
    let mut found: Vec<Step> = Vec::new();
    let mut open: Option<(i64, f64, f64, f64)> = None; // last second, weighted time, flows, expected
    for (i, (second, top, n)) in seconds.iter().enumerate().filter(|(_, s)| s.0 >= SHORTEST) {
        let expected = density(&seconds, i).max(0.05);
        if *n < TIMES * expected {
            continue;
        }
        open = match open {
            Some((last, at, held, due)) if second - last <= HOLE => {
                Some((*second, at + top * n, held + n, due + expected))
            }
            done => {
                found.extend(done.and_then(|step| close(step, enough)));
                Some((*second, top * n, *n, expected))
            }
        };
    }
    found.extend(open.and_then(|step| close(step, enough)));
    found
}

fn close((_, at, flows, expected): (i64, f64, f64, f64), enough: f64) -> Option<Step> {
    (flows >= enough).then(|| Step { at: at / flows, flows: flows as u64, ratio: flows / expected })
}

/// Flows a second around a bin, without the hole at its middle.
fn density(seconds: &[(i64, f64, f64)], i: usize) -> f64 {
    let middle = seconds[i].0;
    let near = |s: &&(i64, f64, f64)| (s.0 - middle).abs() <= AROUND;
    let before = seconds[..i].iter().rev().take_while(near);
    let after = seconds[i + 1..].iter().take_while(near);
    let around: f64 =
        before.chain(after).filter(|s| (s.0 - middle).abs() > HOLE).map(|s| s.2).sum();
    around / (2 * (AROUND - HOLE)) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bins(steps: &[(i64, f64)]) -> (Vec<(f64, f64)>, u64) {
        // A smooth background of three flows a second, falling off.
        let mut bins: Vec<(f64, f64)> =
            (10..2000).map(|s| (s as f64 + 0.9, (3.0 - s as f64 / 1000.0).max(1.0))).collect();
        for (at, n) in steps {
            bins[(*at - 10) as usize].1 += n;
        }
        let flows = bins.iter().map(|b| b.1).sum::<f64>() as u64;
        (bins, flows)
    }

    #[test]
    fn the_papers_timeouts_are_found_and_nothing_else() {
        let (bins, flows) = bins(&[(600, 150.0), (601, 80.0), (900, 200.0), (1440, 90.0)]);
        let at: Vec<i64> =
            steps(&bins, flows).iter().map(|s| (s.at / 60.0).round() as i64).collect();
        assert_eq!(at, [10, 15, 24]);
    }

    #[test]
    fn a_smooth_distribution_has_no_step() {
        let (bins, flows) = bins(&[]);
        assert_eq!(steps(&bins, flows), []);
        assert_eq!(steps(&[], 0), []);
    }

    #[test]
    fn steps_are_named_as_people_do() {
        assert_eq!(words(600.4), "10 min");
        assert_eq!(words(29.6), "30 s");
        assert_eq!(words(215.0), "215 s");
    }
}
