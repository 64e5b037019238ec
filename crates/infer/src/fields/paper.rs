//! The ChatDissect paper's five heuristics, in its order and with its thresholds (III-A3).
//!
//! Read as the paper has them: a sequence number is monotone within its flow and direction, or
//! within its flow; a request/response field has two values in runs of
//! [`Params::request_response_run`] at most; a length correlates with the bytes of its message; the
//! opcode is the first field from the left that is left over and of low entropy. Numbers are
//! tried in both byte orders, the only thing added.

use std::ops::Range;

use super::table::{Column, Table};
use super::{Field, Kind};
use crate::params::Params;
use crate::samples::Samples;

/// Types fields by the paper's heuristics alone, of the samples in `members`.
pub fn infer(
    samples: &Samples,
    members: &[usize],
    spans: &[Range<usize>],
    params: &Params,
) -> Vec<Field> {
    let stride = spans.iter().map(|span| span.end).max().unwrap_or(0);
    let table = Table::new(samples, members, stride);
    let mut opcode = false;
    spans
        .iter()
        .map(|span| {
            let (kind, little, evidence) = one(&table, span, &mut opcode, params);
            let confidence = if kind == Kind::Unidentified { 0.0 } else { 0.5 };
            Field { span: span.clone(), kind, little, direction: None, confidence, evidence }
        })
        .collect()
}

fn one(
    table: &Table<'_>,
    span: &Range<usize>,
    opcode: &mut bool,
    params: &Params,
) -> (Kind, bool, String) {
    let column = table.column(span);
    let spread = column.spread();
    if column.len() < 2 {
        return (Kind::Unidentified, false, "fewer than two packets".to_owned());
    }
    if spread.distinct == 1 {
        return (Kind::Constant, false, format!("one value in {} packets", column.len()));
    }
    let swapped = (span.len() > 1).then(|| column.swapped());
    let numbers: Vec<(&Column, bool)> =
        std::iter::once((&column, false)).chain(swapped.iter().map(|c| (c, true))).collect();
    if column.is_numeric() {
        for (numbers, little) in &numbers {
            if let Some(rises) = monotone(table, numbers) {
                return (Kind::Sequence, *little, format!("never falls, rises {rises} times"));
            }
        }
    }
    let longest = longest_run(table, &column);
    if spread.distinct == 2 && longest <= params.request_response_run {
        let evidence = format!("two values in runs of {longest} at most");
        return (Kind::RequestResponse, false, evidence);
    }
    if span.len() <= params.field_length.min(8) {
        for (numbers, little) in &numbers {
            let r = correlation(table, numbers);
            if r > params.length_correlation {
                let add = mean_difference(table, numbers);
                return (Kind::Length { add }, *little, format!("correlation {r:.4} with bytes"));
            }
        }
    }
    if !*opcode && spread.entropy < params.opcode_entropy {
        *opcode = true;
        let evidence = format!("first of normalised entropy {:.2}", spread.entropy);
        return (Kind::Opcode, false, evidence);
    }
    (Kind::Unidentified, false, format!("normalised entropy {:.2}", spread.entropy))
}

/// How often values rise, if they never fall and rise in more than half of all steps.
fn monotone(table: &Table<'_>, column: &Column) -> Option<usize> {
    let try_key = |by_side: bool| {
        let (mut pairs, mut rises) = (0, 0);
        let mut last: [Option<u64>; 2] = [None; 2];
        let mut flow = u32::MAX;
        for (row, value) in column.rows.iter().zip(&column.values) {
            let row = table.rows[*row as usize];
            if row.flow != flow {
                (flow, last) = (row.flow, [None; 2]);
            }
            let slot = if by_side { row.side() } else { 0 };
            if let Some(before) = last[slot].replace(*value) {
                if *value < before {
                    return None;
                }
                pairs += 1;
                rises += usize::from(*value > before);
            }
        }
        (pairs >= 3 && 2 * rises > pairs).then_some(rises)
    };
    try_key(true).or_else(|| try_key(false))
}

fn longest_run(table: &Table<'_>, column: &Column) -> usize {
    let (mut longest, mut run) = (0, 0);
    let mut before = None;
    for (row, value) in column.rows.iter().zip(&column.values) {
        let now = (table.rows[*row as usize].flow, *value);
        run = if before == Some(now) { run + 1 } else { 1 };
        before = Some(now);
        longest = longest.max(run);
    }
    longest
}

/// Pearson's coefficient of values and bytes of their messages.
pub(crate) fn correlation(table: &Table<'_>, column: &Column) -> f64 {
    let n = column.len() as f64;
    let len = |row: &u32| table.rows[*row as usize].len as f64;
    let mean_x = column.values.iter().map(|value| *value as f64).sum::<f64>() / n;
    let mean_y = column.rows.iter().map(len).sum::<f64>() / n;
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (row, value) in column.rows.iter().zip(&column.values) {
        let (x, y) = (*value as f64 - mean_x, len(row) - mean_y);
        xx += x * x;
        yy += y * y;
        xy += x * y;
    }
    let both = (xx * yy).sqrt();
    if both > 0.0 { xy / both } else { 0.0 }
}

fn mean_difference(table: &Table<'_>, column: &Column) -> i64 {
    let rows = column.rows.iter().zip(&column.values);
    let sum: f64 =
        rows.map(|(row, value)| table.rows[*row as usize].len as f64 - *value as f64).sum();
    (sum / column.len() as f64).round() as i64
}
