//! Types by evidence: every reading that fits a field is weighed, and the most telling wins.
//!
//! Readings that chance hardly makes come first: a value that is the message's length or the
//! date of the capture needs no other argument. What only looks like something (few values, many
//! values) comes last. A field that no reading fits stays unidentified.

use std::ops::Range;

use hashbrown::HashMap;

use super::echo::{self, Echo};
use super::finding::Finding;
use super::table::{Column, Spread, Table};
use super::{Field, Kind, clock, code, counter, length, look, place};
use crate::params::Params;
use crate::samples::Samples;

/// Types the fields of messages of one layout.
///
/// `spans` rise and don't overlap; members too short for a span say nothing about it.
pub fn infer(
    samples: &Samples,
    members: &[usize],
    spans: &[Range<usize>],
    params: &Params,
) -> Vec<Field> {
    let layout = Layout { members: members.to_vec(), spans: spans.to_vec() };
    together(samples, std::slice::from_ref(&layout), 1, params).pop().unwrap_or_default()
}

/// Messages that have the same fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Indices of the samples that have it; in no other layout.
    pub members: Vec<usize>,
    /// Where its fields are: they rise and don't overlap.
    pub spans: Vec<Range<usize>>,
}

/// Types the fields of the first `typed` layouts by what all of them show.
///
/// Where the messages of one layout are too alike to tell what a field is (a length that is
/// always the same, the opcode that the layout hangs on), all messages that have this field, in
/// whatever layout, are asked.
pub fn together(
    samples: &Samples,
    layouts: &[Layout],
    typed: usize,
    params: &Params,
) -> Vec<Vec<Field>> {
    let mut layout_of = vec![u32::MAX; samples.len()];
    let mut having: HashMap<&Range<usize>, (Vec<bool>, usize)> = HashMap::new();
    let mut stride = 0;
    for (number, layout) in layouts.iter().enumerate() {
        for member in &layout.members {
            layout_of[*member] = number as u32;
        }
        for span in &layout.spans {
            let (has, count) =
                having.entry(span).or_insert_with(|| (vec![false; layouts.len()], 0));
            has[number] = true;
            *count += layout.members.len();
            stride = stride.max(span.end);
        }
    }
    let everyone: Vec<usize> =
        (0..samples.len()).filter(|index| layout_of[*index] != u32::MAX).collect();
    let whole = (layouts.len() > 1).then(|| Table::new(samples, &everyone, stride));
    let mut pooled: HashMap<&Range<usize>, Reading> = HashMap::new();
    let mut out = Vec::with_capacity(typed);
    for layout in layouts.iter().take(typed) {
        let table = Table::new(samples, &layout.members, stride);
        let readings = layout.spans.iter().map(|span| {
            let own = Reading::of(&table, table.column(span), params);
            let (Some((has, count)), Some(whole)) = (having.get(span), &whole) else { return own };
            if *count == layout.members.len() {
                return own;
            }
            let all = pooled.entry(span).or_insert_with(|| {
                let keep = |sample: usize| has[layout_of[sample] as usize];
                Reading::of(whole, whole.column_of(span, keep), params)
            });
            own.or(all, &table)
        });
        out.push(fields(&table, readings.collect(), params));
    }
    out
}

/// One column with what it was read as.
pub(super) struct Reading {
    column: Column,
    pub(super) spread: Spread,
    pub(super) finding: Option<Finding>,
}

/// Least rows for a value to count as constant where other layouts have others.
const CONSTANT: usize = 8;

impl Reading {
    pub(super) fn of(table: &Table<'_>, column: Column, params: &Params) -> Reading {
        let spread = column.spread();
        let finding = best(table, &column, &spread, params);
        Reading { column, spread, finding }
    }

    /// The more telling of the own reading and that of all messages with this field.
    fn or(mut self, all: &Reading, table: &Table<'_>) -> Reading {
        let Some(wide) = &all.finding else {
            let constant = self.finding.as_ref().is_some_and(|f| f.kind == Kind::Constant);
            if constant && self.column.len() < CONSTANT {
                self.finding = None;
            }
            return self;
        };
        // A mark of requests is one in all layouts; two kinds of messages with one layout, that
        // take turns, differ in many a field.
        let mark = |finding: &Option<Finding>| {
            finding.as_ref().is_some_and(|f| f.kind == Kind::RequestResponse)
        };
        if mark(&self.finding) && !mark(&all.finding) && all.column.len() > self.column.len() {
            self.finding = None;
        }
        // What is nearly always one value names nothing.
        let own = self.finding.as_ref().map(|finding| finding.kind);
        if own == Some(Kind::Constant)
            && wide.kind == Kind::Opcode
            && all.spread.top() >= 0.95
            && self.column.len() >= CONSTANT
        {
            return self;
        }
        let relation = |finding: &Finding| match finding.kind {
            Kind::Constant | Kind::Payload | Kind::Text | Kind::Unidentified => 0,
            Kind::Opcode | Kind::Flags => 1,
            _ => 2,
        };
        let holds = match wide.kind {
            Kind::Length { add } => length::holds(table, &self.column, add, wide.little),
            _ => true,
        };
        let better = match &self.finding {
            None => true,
            Some(own) if relation(own) == relation(wide) => {
                own.kind != Kind::Constant && wide.confidence() >= own.confidence()
            }
            Some(own) => relation(wide) > relation(own),
        };
        if better && holds {
            let mut wide = wide.clone();
            wide.evidence = format!("{} (over all layouts with this field)", wide.evidence);
            self.finding = Some(wide);
        }
        self
    }
}

fn fields(table: &Table<'_>, mut readings: Vec<Reading>, params: &Params) -> Vec<Field> {
    for right in 1..readings.len() {
        let (left, right) = readings.split_at_mut(right);
        let (Some(left), Some(right)) = (left.last_mut(), right.first_mut()) else { continue };
        if left.column.span.end != right.column.span.start {
            continue;
        }
        if let Some((told, asked)) = place::swapped(table, &left.column, &right.column) {
            for side in [left, right] {
                let related = [Kind::Constant, Kind::Transaction, Kind::Sequence, Kind::Timestamp];
                let kind = side.finding.as_ref().map(|finding| finding.kind);
                let length = matches!(kind, Some(Kind::Length { .. }));
                if length || kind.is_some_and(|kind| related.contains(&kind)) {
                    continue;
                }
                let evidence = format!(
                    "in {told} of {asked} messages its neighbour holds what it held the other way"
                );
                let share = told as f64 / asked as f64;
                side.finding = Some(Finding::new(Kind::Address, told as f64, share, evidence));
            }
        }
    }
    // A format marks requests once: what only repeats the mark is fixed on each side.
    let is_mark = |reading: &Reading| {
        reading.finding.as_ref().is_some_and(|f| f.kind == Kind::RequestResponse)
    };
    if let Some(mark) = readings.iter().position(is_mark) {
        let (left, right) = readings.split_at_mut(mark + 1);
        for reading in right.iter_mut().filter(|reading| is_mark(reading)) {
            if same_halves(&left[mark].column, &reading.column) {
                let span = &left[mark].column.span;
                let evidence = format!(
                    "one value beside each of the mark of requests at {}..{}",
                    span.start, span.end
                );
                let bits = reading.column.len() as f64;
                reading.finding = Some(Finding::new(Kind::Constant, bits, 0.7, evidence));
            }
        }
    }
    let mut codes = 0;
    let tell = |reading: Reading| {
        let Reading { column, spread, finding } = reading;
        let finding = finding.map(|finding| match finding.kind {
            Kind::Opcode => {
                codes += 1;
                code::ranked(finding, codes, params)
            }
            _ => finding,
        });
        let unidentified = || {
            let evidence = format!(
                "{} values in {} messages, normalised entropy {:.2}",
                spread.distinct, spread.total, spread.entropy
            );
            Finding::new(Kind::Unidentified, 0.0, 0.0, evidence)
        };
        finding.unwrap_or_else(unidentified).field(column.span)
    };
    readings.into_iter().map(tell).collect()
}

/// Least confidence of a reading that is told.
const LEAST: f32 = 0.3;

fn best(table: &Table<'_>, column: &Column, spread: &Spread, params: &Params) -> Option<Finding> {
    if column.len() < 2 {
        return None;
    }
    let told = |finding: Option<Finding>| finding.filter(|found| found.confidence() >= LEAST);
    if spread.distinct == 1 {
        let address = place::address(table, column, spread);
        return address.or_else(|| told(Some(constant(column, spread))));
    }
    let swapped = (column.is_numeric() && column.width() > 1).then(|| column.swapped());
    let swapped = swapped.as_ref();
    let echo = Echo::of(table, column);
    let counter = || counter::find(table, column, swapped, spread);
    told(look::digits(table, column, spread))
        .or_else(|| told(length::find(table, column, swapped, spread, params)))
        .or_else(|| told(place::address(table, column, spread)))
        .or_else(|| told(clock::dated(table, column, swapped, spread)))
        .or_else(|| {
            let counter = counter();
            let neat = counter.as_ref().is_some_and(counter::Counter::is_neat);
            let counter = || {
                let mut finding = counter?.finding();
                if let Some(echoed) = told(echo.transaction(spread)) {
                    finding.evidence.push_str("; numbers requests: ");
                    finding.evidence.push_str(&echoed.evidence);
                }
                told(Some(finding))
            };
            if neat {
                return counter();
            }
            told(clock::steady(table, column, swapped, spread)).or_else(counter)
        })
        .or_else(|| told(echo.transaction(spread)))
        .or_else(|| {
            told(echo::mark(table, column, spread, params).filter(|_| spread.distinct == 2))
        })
        .or_else(|| told(look::text(table, column, spread)))
        .or_else(|| told(place::session(table, column, spread, &echo)))
        .or_else(|| told(nearly_constant(column, spread)))
        .or_else(|| told(echo::mark(table, column, spread, params)))
        .or_else(|| told(code::flags(column, spread)))
        .or_else(|| told(code::opcode(column, spread, params)))
        .or_else(|| told(look::payload(table, column, spread)))
}

fn constant(column: &Column, spread: &Spread) -> Finding {
    let value = spread.common.first().map_or(0, |(value, _)| *value);
    let evidence = if column.is_numeric() {
        format!("{value:0width$x} in all {} messages", column.len(), width = 2 * column.width())
    } else {
        format!("one value in all {} messages", column.len())
    };
    Finding::new(Kind::Constant, 2.0 * column.len() as f64, 1.0, evidence)
}

/// One value but in a few messages, which have one or two others, or are something else and
/// have anything there.
fn nearly_constant(column: &Column, spread: &Spread) -> Option<Finding> {
    let others = spread.total - spread.common.first()?.1;
    let anything = column.width() >= 2 && 2 * (spread.distinct - 1) >= others;
    if spread.top() < 0.95 || spread.total < 20 || spread.distinct > 3 && !anything {
        return None;
    }
    let evidence = format!(
        "one value in {:.1} % of {} messages, {} others in the rest",
        100.0 * spread.top(),
        column.len(),
        spread.distinct - 1
    );
    Some(Finding::new(Kind::Constant, column.len() as f64, 0.8 * spread.top(), evidence))
}

/// Whether two columns of two values each say the same of all but few messages.
fn same_halves(a: &Column, b: &Column) -> bool {
    let mut both: HashMap<(u64, u64), usize> = HashMap::new();
    if a.rows != b.rows {
        return false;
    }
    for pair in a.values.iter().zip(&b.values) {
        *both.entry((*pair.0, *pair.1)).or_default() += 1;
        if both.len() > 64 {
            return false;
        }
    }
    let mut counts: Vec<_> = both.into_iter().map(|(pair, count)| (count, pair)).collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    match counts[..] {
        [(first, x), (second, y), ..] => {
            x.0 != y.0 && x.1 != y.1 && 20 * (first + second) >= 19 * a.len()
        }
        _ => false,
    }
}
