//! Spans merged or split where the typed reading of the whole, or of a part, is the better one.
//!
//! Merged: a counter, length or date cut in two; a command whose upper bytes move with it; an id
//! whose parts both come back; zeros that are the upper bytes of the number beside them. Split: a
//! number that stands beside other bytes in one span, constants before what nobody can read. The flow's own address and the capture's
//! date are found wherever they stand. What only looks as good either way stays as it is.

use std::ops::Range;

use super::finding::Finding;
use super::table::Table;
use super::typed::Reading;
use super::{Kind, clock, command, place, trim};
use crate::params::Params;
use crate::samples::Samples;

/// Confidence from which a reading decides where a field is.
const SURE: f32 = 0.7;
/// Longest number.
const WIDEST: usize = 8;

/// Members looked at: whole flows, the first of them. Readings are told by shares of messages,
/// which so many show as well as all.
const LOOKED: usize = 1 << 16;

/// The spans after merging neighbours and splitting, as long as a reading gets better.
pub fn refine(
    samples: &Samples,
    members: &[usize],
    spans: &[Range<usize>],
    params: &Params,
) -> Vec<Range<usize>> {
    let stride = spans.iter().map(|span| span.end).max().unwrap_or(0);
    let table = Table::new(samples, &some(samples, members), stride);
    let part = |span: Range<usize>| Part::of(&table, span, params);
    let mut spans = spans.to_vec();
    for certain in certain(&table, stride) {
        hold(&mut spans, &certain);
    }
    let mut parts: Vec<Part> = spans.into_iter().map(part).collect();
    let mut at = 0;
    while at < parts.len() {
        if let Some(halves) = split(&table, &parts[at], params) {
            parts.splice(at..=at, halves);
        }
        at += 1;
    }
    let parts = parts.into_iter().flat_map(|part| trimmed(&table, part, params));
    let mut parts: Vec<Part> = parts.collect();
    let little = is_little(&parts);
    let mut at = 0;
    while at + 1 < parts.len() {
        match merged(&table, &parts[at], &parts[at + 1], little, params) {
            Some(whole) => {
                parts.splice(at..at + 2, [whole]);
                at = at.saturating_sub(1);
            }
            None => at += 1,
        }
    }
    let spans = parts.into_iter().flat_map(|part| {
        let end = match part.kind {
            Kind::Payload | Kind::Unidentified => trim::constants_end(&table, &part.span),
            _ => part.span.end,
        };
        [part.span.start..end, end..part.span.end].into_iter().filter(|span| !span.is_empty())
    });
    spans.collect()
}

/// Makes `field` one of the spans.
pub(crate) fn hold(spans: &mut Vec<Range<usize>>, field: &Range<usize>) {
    if spans.contains(field) {
        return;
    }
    let mut cut: Vec<Range<usize>> = Vec::with_capacity(spans.len() + 2);
    for span in spans.drain(..) {
        let (before, after) =
            (span.start..span.end.min(field.start), span.start.max(field.end)..span.end);
        cut.extend([before, after].into_iter().filter(|part| part.start < part.end));
    }
    cut.push(field.clone());
    cut.sort_by_key(|span| span.start);
    *spans = cut;
}

/// Spans below `end` with what chance does not put there: the capture's date, the flow's own
/// address.
fn certain(table: &Table<'_>, end: usize) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for width in [8, 4] {
        for start in 0..=end.saturating_sub(width) {
            let span = start..start + width;
            if found.iter().any(|other| other.start < span.end && span.start < other.end) {
                continue;
            }
            let column = table.column(&span);
            let spread = column.spread();
            let swapped = column.swapped();
            let told = place::address(table, &column, &spread)
                .or_else(|| clock::dated(table, &column, Some(&swapped), &spread));
            if told.is_some_and(|told| told.confidence() >= SURE) {
                found.push(span);
            }
        }
    }
    found
}

/// A counter apart from bytes behind it that are not its own.
fn trimmed(table: &Table<'_>, part: Part, params: &Params) -> Vec<Part> {
    let span = part.span.clone();
    let counter = part.kind == Kind::Sequence && !part.little && span.len() <= WIDEST;
    let end = if counter { trim::counter_end(table, &span) } else { span.end };
    if end == span.end {
        return vec![part];
    }
    vec![Part::of(table, span.start..end, params), Part::of(table, end..span.end, params)]
}

/// Whether the numbers whose order of bytes can be told are little-endian.
fn is_little(parts: &[Part]) -> bool {
    let told = parts.iter().filter(|part| part.is_number() && part.wide);
    let (little, big): (Vec<&Part>, Vec<&Part>) = told.partition(|part| part.little);
    little.len() > big.len()
}

/// The members of the first flows, [`LOOKED`], or up to as many again of the last of them.
fn some(samples: &Samples, members: &[usize]) -> Vec<usize> {
    if members.len() <= LOOKED {
        return members.to_vec();
    }
    let mut wanted = vec![0usize; samples.flows().len()];
    for member in members {
        wanted[samples.get(*member).flow] += 1;
    }
    let mut left = LOOKED;
    for flow in &mut wanted {
        let count = (*flow).min(LOOKED);
        *flow = if left > 0 { count } else { 0 };
        left = left.saturating_sub(count);
    }
    let mut take = |member: &usize| {
        let wanted = &mut wanted[samples.get(*member).flow];
        let taken = *wanted > 0;
        *wanted = wanted.saturating_sub(1);
        taken
    };
    members.iter().copied().filter(|member| take(member)).collect()
}

/// A span with its reading.
struct Part {
    span: Range<usize>,
    kind: Kind,
    confidence: f32,
    /// Different values, and how often the third of them is seen.
    distinct: usize,
    third: usize,
    /// All its values are zero.
    zero: bool,
    /// Read little-endian, and whether more than one of its bytes varies.
    little: bool,
    wide: bool,
}

impl Part {
    fn of(table: &Table<'_>, span: Range<usize>, params: &Params) -> Part {
        let reading = Reading::of(table, table.column(&span), params);
        let finding = reading.finding.as_ref();
        Part {
            span,
            kind: finding.map_or(Kind::Unidentified, |finding| finding.kind),
            confidence: finding.map_or(0.0, Finding::confidence),
            distinct: reading.spread.distinct,
            third: reading.spread.common.get(2).map_or(0, |(_, count)| *count),
            zero: reading.spread.range == (0, 0),
            little: finding.is_some_and(|finding| finding.little),
            wide: (0..8).filter(|byte| reading.spread.varying >> (8 * byte) & 0xff != 0).count()
                > 1,
        }
    }

    /// Readings that hold for no bytes but the right ones.
    fn is_number(&self) -> bool {
        let number = [Kind::Sequence, Kind::Timestamp].contains(&self.kind)
            || matches!(self.kind, Kind::Length { .. });
        number && self.confidence >= SURE
    }
}

fn merged(
    table: &Table<'_>,
    left: &Part,
    right: &Part,
    little: bool,
    params: &Params,
) -> Option<Part> {
    let span = left.span.start..right.span.end;
    if left.span.end != right.span.start || span.len() > WIDEST {
        return None;
    }
    let width = [2, 4, 8].contains(&span.len());
    let whole = || Part::of(table, span.clone(), params);
    if left.kind == Kind::Transaction && right.kind == Kind::Transaction {
        return Some(whole()).filter(|whole| whole.kind == Kind::Transaction);
    }
    let number = |part: &Part| part.is_number().then_some(part.kind);
    if width {
        // The upper bytes of a counter move when the lower ones run over.
        if carries(table, &left.span, &right.span) || carries(table, &right.span, &left.span) {
            return Some(whole()).filter(|whole| whole.kind == Kind::Sequence);
        }
        // A number that small never needs its upper bytes.
        let length = |part: &Part| matches!(part.kind, Kind::Length { .. });
        if left.distinct > 1 && right.distinct > 1 && length(left) != length(right) {
            // One byte of a length is one as long as messages are short.
            let part = left.confidence.max(right.confidence);
            let whole = whole();
            if length(&whole) && whole.confidence > part + 0.03 {
                return Some(whole);
            }
        }
        // A length or date that neither part is.
        let neither = left.distinct > 1 && right.distinct > 1;
        if neither && number(left).is_none() && number(right).is_none() {
            let whole = whole();
            if whole.is_number() && whole.kind != Kind::Sequence {
                return Some(whole);
            }
        }
    }
    let (upper, lower) = if little { (right, left) } else { (left, right) };
    if upper.zero && lower.is_number() && takes_zeros(&span, lower.kind) {
        return Some(whole()).filter(Part::is_number);
    }
    if span.len() > 4 || left.is_number() || right.is_number() {
        return None;
    }
    // Commands beyond the lower bytes: the upper ones have more values than a mark has.
    let offset = command::in_table(table, &span)?;
    let (upper, lower) = if offset.little { (right, left) } else { (left, right) };
    (upper.third >= 3 && lower.distinct > 2 && offset.commands >= 3).then(whole)
}

/// Whether zeros beside a number are its upper bytes, as far as known headers tell. Before counters
/// they are, of four bytes at most. Before lengths they are where a number as wide would stand, at
/// a multiple of its width (27 of 33), and a field of their own about as often where it would not.
fn takes_zeros(span: &Range<usize>, kind: Kind) -> bool {
    let aligned = [2, 4, 8].contains(&span.len()) && span.start.is_multiple_of(span.len());
    aligned || kind == Kind::Sequence && span.len() <= 4
}

/// Whether the upper part steps when, and only when, the lower one runs over.
fn carries(table: &Table<'_>, upper: &Range<usize>, lower: &Range<usize>) -> bool {
    let (upper, lower) = (table.column(upper), table.column(lower));
    if upper.rows != lower.rows || !upper.is_numeric() || !lower.is_numeric() {
        return false;
    }
    let (mut carried, mut changed, mut over) = (0, 0, 0);
    let mut last: [Option<(u64, u64)>; 2] = [None; 2];
    let mut flow = u32::MAX;
    let half = lower.mask() / 2;
    for (at, row) in upper.rows.iter().enumerate() {
        let row = table.rows[*row as usize];
        if row.flow != flow {
            (flow, last) = (row.flow, [None; 2]);
        }
        let now = (upper.values[at], lower.values[at]);
        if let Some(before) = last[row.side()].replace(now) {
            let stepped = now.0 == (before.0 + 1) & upper.mask();
            let ran_over = now.1 < before.1 && before.1 - now.1 > half;
            changed += usize::from(now.0 != before.0);
            over += usize::from(ran_over);
            carried += usize::from(stepped && ran_over);
        }
    }
    carried >= 3 && 10 * carried >= 9 * changed && 10 * carried >= 9 * over
}

/// The halves of a span that hides a number.
fn split(table: &Table<'_>, part: &Part, params: &Params) -> Option<[Part; 2]> {
    let explained = [Kind::Constant, Kind::Transaction, Kind::Session, Kind::Text, Kind::Address];
    let length = matches!(part.kind, Kind::Length { .. });
    if explained.contains(&part.kind) || length || !(2..=2 * WIDEST).contains(&part.span.len()) {
        return None;
    }
    let halves = (part.span.start + 1..part.span.end).filter_map(|cut| {
        let left = Part::of(table, part.span.start..cut, params);
        let right = Part::of(table, cut..part.span.end, params);
        // Numbers of odd widths are rare.
        let told = |part: &Part| {
            part.is_number() && part.distinct > 4 && [1, 2, 4, 8].contains(&part.span.len())
        };
        let numbers = [&left, &right].into_iter().filter(|part| told(part));
        let (count, sure) = numbers.fold((0, 0.0f32), |(n, sum), p| (n + 1, sum + p.confidence));
        // A counter in front of anything is a counter of wide steps.
        let better = if part.is_number() {
            count == 2
                && !carries(table, &left.span, &right.span)
                && !carries(table, &right.span, &left.span)
        } else {
            count > 0
        };
        let score = sure + 0.01 * left.span.len().min(right.span.len()) as f32;
        better.then_some((score, [left, right]))
    });
    halves.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, halves)| halves)
}
