//! Lengths: values that, with a constant added, are the bytes of the message.

use ottoscope_flow::Transport;

use super::Kind;
use super::finding::{Finding, percent};
use super::paper::correlation;
use super::table::{Column, Spread, Table};
use crate::params::Params;

/// Rows from which the constant is guessed; all rows are then asked. A constant that fits the
/// smallest share accepted ([`LEAST`]) is among the commonest of so many rows.
const GUESSED: usize = 4096;
/// Smallest share of messages whose length must be told, of those that may end in their packet:
/// others have company in theirs.
const LEAST: f64 = 0.4;
/// The same of all, as long messages go on in later packets.
const LEAST_OF_ALL: f64 = 0.08;
/// Shortest segment that a longer message is cut into, bytes.
const SEGMENT: u32 = 400;
/// Constants tried.
const TRIED: usize = 3;
/// Longest message; larger numbers are no lengths.
const LONGEST: u64 = 1 << 31;

/// How well `bytes = unit * value + add` fits.
#[derive(Debug, Clone, Copy)]
struct Fit {
    unit: u64,
    add: i64,
    /// Rows for which it holds, and how many values they have.
    rows: usize,
    values: usize,
    /// Rows of TCP segments shorter than it says.
    going_on: usize,
    /// Share of rows for which it holds among those without the commonest value that fits and
    /// without those that go on.
    rest: f64,
}

fn difference(len: u32, value: u64, unit: u64) -> Option<i64> {
    (value < LONGEST).then(|| i64::from(len) - (value * unit) as i64)
}

fn fits(table: &Table<'_>, column: &Column, unit: u64) -> Vec<Fit> {
    let len = |at: usize| table.rows[column.rows[at] as usize].len;
    let step = column.len().div_ceil(GUESSED).max(1);
    let mut guesses: Vec<i64> = (0..column.len())
        .step_by(step)
        .filter_map(|at| difference(len(at), column.values[at], unit))
        .collect();
    guesses.sort_unstable();
    let least = (guesses.len() as f64 * LEAST_OF_ALL * 0.8) as usize;
    let mut runs: Vec<(usize, i64)> =
        guesses.chunk_by(|a, b| a == b).map(|run| (run.len(), run[0])).collect();
    runs.sort_unstable_by(|a, b| b.cmp(a));
    let runs = runs.into_iter().take(TRIED).filter(|(count, _)| *count >= least.max(2));
    runs.map(|(_, add)| {
        let fitting = (0..column.len())
            .filter(|at| difference(len(*at), column.values[*at], unit) == Some(add));
        let mut values: Vec<u64> = fitting.map(|at| column.values[at]).collect();
        values.sort_unstable();
        let by_value = values.chunk_by(|a, b| a == b);
        let top = by_value.clone().map(|run| (run.len(), run[0])).max().unwrap_or((0, 0));
        let (mut going_on, mut others) = (0, 0);
        for at in 0..column.len() {
            let row = column.rows[at] as usize;
            let long = difference(len(at), column.values[at], unit).is_some_and(|d| d < add);
            if long && len(at) >= SEGMENT && table.flow(row).transport == Transport::Tcp {
                going_on += 1;
            } else if column.values[at] != top.1 {
                others += 1;
            }
        }
        let rest = (values.len() - top.0) as f64 / others.max(1) as f64;
        Fit { unit, add, rows: values.len(), values: by_value.count(), going_on, rest }
    })
    .collect()
}

/// Whether no more than a few rows are shorter than they say: others may come behind them.
pub(crate) fn holds(table: &Table<'_>, column: &Column, add: i64, little: bool) -> bool {
    let swapped = little.then(|| column.swapped());
    let numbers = swapped.as_ref().unwrap_or(column);
    let told = (0..numbers.len()).filter(|at| {
        let len = table.rows[numbers.rows[*at] as usize].len;
        difference(len, numbers.values[*at], 1).is_some_and(|difference| difference >= add)
    });
    10 * told.count() >= 9 * numbers.len()
}

/// Whether a constant is one that a format has: the value counts the whole message, what is
/// behind the field, or what is behind its beginning.
fn natural(add: i64, column: &Column) -> bool {
    [0, column.span.end as i64, column.span.start as i64].contains(&add)
}

fn judge(fit: Fit, column: &Column) -> Option<(f64, f64)> {
    let share = fit.rows as f64 / (column.len() - fit.going_on).max(1) as f64;
    let natural = natural(fit.add, column);
    if (fit.rows as f64) < LEAST_OF_ALL * column.len() as f64 {
        return None;
    }
    if fit.rest < LEAST || !(-4096..=4096).contains(&fit.add) {
        None
    } else if fit.values >= 3 && share >= 0.9 {
        Some((4.0 * fit.values.min(8) as f64, share))
    } else if fit.values >= 4 && share >= LEAST {
        // The others go on in later packets, or have company in theirs.
        Some((2.0 * fit.values.min(16) as f64, 0.5 + share / 2.0))
    } else if fit.values == 2 && share >= 0.95 && natural && fit.rows >= 4 {
        Some((6.0, share))
    } else {
        None
    }
}

/// Looks for a length, or a count of units of several bytes.
pub(crate) fn find(
    table: &Table<'_>,
    column: &Column,
    swapped: Option<&Column>,
    spread: &Spread,
    params: &Params,
) -> Option<Finding> {
    if spread.distinct < 2 || !column.is_numeric() {
        return None;
    }
    let mut best: Option<(f64, Finding)> = None;
    for (numbers, little) in [(Some(column), false), (swapped, true)] {
        let Some(numbers) = numbers else { continue };
        for unit in [1, 2, 4, 8] {
            for fit in fits(table, numbers, unit) {
                let Some((bits, share)) = judge(fit, numbers) else { continue };
                if unit > 1 && (fit.values < 4 || share < 0.9) {
                    continue;
                }
                let score = bits * share / unit as f64;
                if best.as_ref().is_none_or(|(before, _)| score > *before) {
                    best = Some((score, finding(fit, numbers, little, bits, share)));
                }
            }
            if best.is_some() {
                break;
            }
        }
    }
    let exact = best.map(|(_, finding)| finding);
    exact.or_else(|| correlated(table, column, swapped, spread, params))
}

fn finding(fit: Fit, column: &Column, little: bool, bits: f64, share: f64) -> Finding {
    let Fit { unit, add, rows, values, going_on, .. } = fit;
    let told = percent(rows, column.len());
    let more = match percent(going_on, column.len()) {
        0.0 => String::new(),
        share => format!("; {share:.1} % go on behind their segment"),
    };
    let (kind, evidence) = if unit == 1 {
        let what = if add == 0 {
            ": the whole message".to_owned()
        } else if add == column.span.end as i64 {
            ": what is behind this field".to_owned()
        } else {
            String::new()
        };
        let evidence = format!(
            "bytes = value + {add}{what}, in {told:.1} % of {} messages, with {values} lengths{more}",
            column.len()
        );
        (Kind::Length { add }, evidence)
    } else {
        let evidence = format!(
            "bytes = {unit} * value + {add} in {told:.1} % of {} messages, with {values} lengths",
            column.len()
        );
        (Kind::Count, evidence)
    };
    Finding::new(kind, bits, share, evidence).little(little)
}

/// Not exact, but running with the bytes: the paper's test. Half sure at most, as such a field
/// can't frame messages.
fn correlated(
    table: &Table<'_>,
    column: &Column,
    swapped: Option<&Column>,
    spread: &Spread,
    params: &Params,
) -> Option<Finding> {
    if spread.distinct < 4 || column.len() < 8 || column.width() > params.field_length {
        return None;
    }
    for (numbers, little) in [(Some(column), false), (swapped, true)] {
        let Some(numbers) = numbers else { continue };
        let r = correlation(table, numbers);
        if r > params.length_correlation && slope(table, numbers, spread) {
            let mut differences: Vec<i64> = (0..numbers.len())
                .filter_map(|at| {
                    difference(table.rows[numbers.rows[at] as usize].len, numbers.values[at], 1)
                })
                .collect();
            differences.sort_unstable();
            let (least, add) = (differences.first()?, differences[differences.len() / 2]);
            let evidence = format!(
                "correlation {r:.4} with bytes; bytes - value from {least} to {}, {add} in the \
                 middle",
                differences.last()?
            );
            let finding = Finding::new(Kind::Length { add }, 4.0, 0.9, evidence);
            return Some(finding.little(little));
        }
    }
    None
}

/// Whether bytes grow by one to eight for each more of the value, the commonest value aside: two
/// heaps of messages make any two-valued field correlate.
fn slope(table: &Table<'_>, column: &Column, spread: &Spread) -> bool {
    let top = spread.common.first().map(|(value, _)| *value);
    let (low, high) = (0..column.len())
        .filter(|at| Some(column.values[*at]) != top)
        .map(|at| (column.values[at], table.rows[column.rows[at] as usize].len))
        .fold(((u64::MAX, 0), (0, 0)), |(low, high), point| (low.min(point), high.max(point)));
    let (width, height) =
        (high.0.saturating_sub(low.0) as f64, f64::from(high.1) - f64::from(low.1));
    width > 0.0 && (0.9..=8.5).contains(&(height / width))
}
