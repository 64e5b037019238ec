//! Volume and TCP flags over time.

use std::collections::BTreeMap;

use crate::answer::NamedTable;
use crate::error::Error;
use crate::figure::{Axis, Chart, Figure, Scale, Series};
use crate::grid::{Cell, Grid, Unit};
use crate::registry::Draft;
use crate::scope::Scope;

/// Steps in seconds; see `about.md`.
const STEPS: [u64; 18] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400, 604_800,
];
/// Most steps of a window.
const MOST: u64 = 300;
/// Lines of a figure.
const LINES: usize = 6;

pub(crate) fn run(scope: &Scope, draft: &mut Draft) -> Result<(), Error> {
    let extent = scope
        .sql("SELECT min(second)::BIGINT AS first, max(second)::BIGINT AS last FROM bins")?
        .grid();
    let Some([Cell::Int(first), Cell::Int(last)]) = extent.rows.first().map(Vec::as_slice) else {
        draft.notes.push("no one-second bins in this window".to_owned());
        return Ok(());
    };
    let seconds = u64::try_from((last - first) / 1_000_000_000).unwrap_or(0) + 1;
    let step = STEPS.into_iter().find(|step| seconds.div_ceil(*step) <= MOST).unwrap_or(604_800);
    let rows = scope.sql(&format!(
        "SELECT date_bin(INTERVAL '{step} seconds', b.second) AS at, coalesce(f.app, 'unlabelled') AS app,
                count(DISTINCT f.client) AS users, count(DISTINCT b.flow) AS flows,
                sum(b.packets_up + b.packets_down) AS packets,
                sum(b.bytes_up) AS bytes_up, sum(b.bytes_down) AS bytes_down,
                sum(b.syn) AS syn, sum(b.fin) AS fin, sum(b.rst) AS rst
         FROM bins b LEFT JOIN (SELECT flow, id(client) AS client, app FROM labelled_flows) f ON f.flow = b.flow
         WHERE $app IS NULL OR f.app = $app
         GROUP BY 1, 2 ORDER BY 1, 2"
    ))?;
    let grid = rows.grid();
    draft.tables.push(NamedTable {
        name: "series".to_owned(),
        title: format!("Traffic in steps of {}", words(step)),
        denominator: "packets of the step, by the best label of their flow; users and flows are those with a packet in it".to_owned(),
        rows,
    });
    let fewest = scope.params().suppress.unwrap_or(0);
    draft.figures.extend(figures(&grid, step, fewest).unwrap_or_default());
    Ok(())
}

fn words(step: u64) -> String {
    match step {
        s if s % 86_400 == 0 => format!("{} d", s / 86_400),
        s if s % 3600 == 0 => format!("{} h", s / 3600),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

fn figures(grid: &Grid, step: u64, fewest: u64) -> Option<Vec<Figure>> {
    let place = |name| grid.column(name);
    let (at, app, users) = (place("at")?, place("app")?, place("users")?);
    let number = |row: &[Cell], i: usize| row[i].number().unwrap_or(0.0);
    let shown = |row: &&Vec<Cell>| row[users].number().is_none_or(|n| n >= fewest as f64);

    let mut volume: BTreeMap<&str, f64> = BTreeMap::new();
    let bytes = [place("bytes_up")?, place("bytes_down")?];
    for row in &grid.rows {
        let sum: f64 = bytes.iter().map(|b| number(row, *b)).sum();
        *volume.entry(row[app].text()?).or_default() += sum;
    }
    let mut largest: Vec<(&str, f64)> = volume.into_iter().collect();
    largest.sort_by(|a, b| b.1.total_cmp(&a.1));
    largest.truncate(LINES);

    let whole = extent(grid, at, step)?;
    let line = |name: &str, keep: &dyn Fn(&[Cell]) -> bool, value: &dyn Fn(&[Cell]) -> f64| {
        let mut points: Vec<[f64; 2]> = whole.iter().map(|x| [*x, 0.0]).collect();
        for row in grid.rows.iter().filter(shown).filter(|row| keep(row)) {
            let x = number(row, at);
            let i = ((x - whole[0]) / step as f64).round() as usize;
            if let Some(point) = points.get_mut(i) {
                point[1] += value(row);
            }
        }
        Series { name: name.to_owned(), points }
    };
    let rate =
        |row: &[Cell]| bytes.iter().map(|b| number(row, *b)).sum::<f64>() * 8.0 / step as f64;
    let by_app = largest
        .iter()
        .map(|(name, _)| line(name, &|row| row[app].text() == Some(name), &rate))
        .collect();
    let flags = ["syn", "fin", "rst"]
        .into_iter()
        .filter_map(|flag| {
            let i = place(flag)?;
            Some(line(&flag.to_uppercase(), &|_| true, &|row| number(row, i)))
        })
        .collect();
    Some(vec![
        figure(
            "rate",
            "Bit rate over time",
            &format!(
                "Mean of each {}, both directions, whole frames; the {LINES} applications with the most volume.",
                words(step)
            ),
            "bit rate",
            Unit::BitRate,
            by_app,
        ),
        figure(
            "flags",
            "TCP flags over time",
            &format!(
                "Segments with SYN, FIN and RST in each {}, all flows of the window.",
                words(step)
            ),
            "segments",
            Unit::Count,
            flags,
        ),
    ])
}

/// The start of every step, in seconds.
fn extent(grid: &Grid, at: usize, step: u64) -> Option<Vec<f64>> {
    let times = grid.rows.iter().filter_map(|row| row[at].number());
    let (low, high) =
        times.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), t| (a.min(t), b.max(t)));
    let steps = ((high - low) / step as f64).round();
    let sane = low.is_finite() && steps <= MOST as f64 * 2.0;
    sane.then(|| (0..=steps as u64).map(|i| low + (i * step) as f64).collect())
}

fn figure(
    id: &str,
    title: &str,
    caption: &str,
    y: &str,
    unit: Unit,
    series: Vec<Series>,
) -> Figure {
    Figure {
        id: id.to_owned(),
        title: title.to_owned(),
        caption: caption.to_owned(),
        chart: Chart::Lines {
            x: Axis { label: String::new(), unit: Unit::Time, scale: Scale::Linear },
            y: Axis { label: y.to_owned(), unit, scale: Scale::Linear },
            steps: true,
            series,
            marks: Vec::new(),
        },
    }
}
