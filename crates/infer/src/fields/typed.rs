//! Types by evidence: every reading that fits a field is weighed, and the most telling wins.
//!
//! Readings that chance hardly makes come first: a value that is the message's length or the
//! date of the capture needs no other argument. What only looks like something (few values, many
//! values) comes last. A field that no reading fits stays unidentified.

use std::ops::Range;

use super::echo::{self, Echo};
use super::finding::Finding;
use super::table::{Column, Spread, Table};
use super::{Field, Kind, clock, code, counter, length, look, place};
use crate::params::Params;
use crate::samples::Samples;

/// Types fields by all that is known of the samples in `members`.
///
/// `spans` rise and don't overlap; members too short for a span say nothing about it.
pub fn infer(
    samples: &Samples,
    members: &[usize],
    spans: &[Range<usize>],
    params: &Params,
) -> Vec<Field> {
    let stride = spans.iter().map(|span| span.end).max().unwrap_or(0);
    let table = Table::new(samples, members, stride);
    fields(&table, spans, params)
}

pub(crate) fn fields(table: &Table<'_>, spans: &[Range<usize>], params: &Params) -> Vec<Field> {
    let mut codes = 0;
    let mut before: Option<Column> = None;
    let mut out: Vec<Field> = Vec::with_capacity(spans.len());
    for span in spans {
        let column = table.column(span);
        let field = field(table, &column, codes, params);
        codes += usize::from(field.kind == Kind::Opcode);
        out.push(field);
        if let Some(left) = before.replace(column)
            && let Some(right) = &before
            && left.span.end == right.span.start
            && let Some((told, asked)) = place::swapped(table, &left, right)
        {
            let at = out.len() - 2;
            for field in &mut out[at..] {
                let evidence = format!(
                    "in {told} of {asked} messages its neighbour holds what it held the other way"
                );
                let share = told as f64 / asked as f64;
                let finding = Finding::new(Kind::Address, told as f64, share, evidence);
                if !matches!(field.kind, Kind::Constant | Kind::Length { .. }) {
                    *field = finding.field(field.span.clone());
                }
            }
        }
    }
    out
}

/// One field, with `codes` opcodes to its left.
pub(crate) fn field(table: &Table<'_>, column: &Column, codes: usize, params: &Params) -> Field {
    let span = column.span.clone();
    let spread = column.spread();
    match best(table, column, &spread, codes, params) {
        Some(finding) => finding.field(span),
        None => {
            let evidence = format!(
                "{} values in {} messages, normalised entropy {:.2}",
                spread.distinct, spread.total, spread.entropy
            );
            Finding::new(Kind::Unidentified, 0.0, 0.0, evidence).field(span)
        }
    }
}

/// Least confidence of a reading that is told.
const LEAST: f32 = 0.3;

fn best(
    table: &Table<'_>,
    column: &Column,
    spread: &Spread,
    codes: usize,
    params: &Params,
) -> Option<Finding> {
    if column.len() < 2 {
        return None;
    }
    if spread.distinct == 1 {
        let address = place::address(table, column, spread);
        return address.or_else(|| Some(constant(column, spread)));
    }
    let told = |finding: Option<Finding>| finding.filter(|found| found.confidence() >= LEAST);
    let swapped = (column.is_numeric() && column.width() > 1).then(|| column.swapped());
    let swapped = swapped.as_ref();
    let echo = Echo::of(table, column);
    told(length::find(table, column, swapped, spread, params))
        .or_else(|| told(place::address(table, column, spread)))
        .or_else(|| told(clock::find(table, column, swapped, spread)))
        .or_else(|| told(counter::find(table, column, swapped, spread)))
        .or_else(|| told(echo.transaction(spread)))
        .or_else(|| told(place::session(table, column, spread, &echo)))
        .or_else(|| told(echo::mark(table, column, spread, params)))
        .or_else(|| told(code::flags(column, spread)))
        .or_else(|| told(code::opcode(column, spread, codes, params)))
        .or_else(|| told(look::text(table, column)))
        .or_else(|| told(look::payload(table, column, spread)))
}

fn constant(column: &Column, spread: &Spread) -> Finding {
    let value = spread.common.first().map_or(0, |(value, _)| *value);
    let evidence = if column.is_numeric() {
        format!("{value:0width$x} in all {} messages", column.len(), width = 2 * column.width())
    } else {
        format!("one value in all {} messages", column.len())
    };
    let bits = 2.0 * column.len() as f64;
    Finding::new(Kind::Constant, bits, 1.0, evidence)
}
