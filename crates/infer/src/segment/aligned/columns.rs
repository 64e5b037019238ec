//! What the values at one offset look like.

use super::entropy::entropy;
use super::view::View;

/// How many numbers describe a column.
pub(super) const FACTS: usize = 20;

/// Places of some of them.
pub(super) const COVER: usize = 0;
pub(super) const BITS: usize = 1;
pub(super) const EVENNESS: usize = 2;
pub(super) const DISTINCT: usize = 3;
pub(super) const TOP: usize = 4;
pub(super) const ZERO: usize = 5;
pub(super) const TEXT: usize = 7;
pub(super) const CHANGES: usize = 11;
pub(super) const COUNTS: usize = 12;
pub(super) const CONSTANT: usize = 19;

/// Names of a column's numbers, in order.
pub(super) const NAMES: [&str; FACTS] = [
    "cover",
    "bits",
    "evenness",
    "distinct",
    "top",
    "zero",
    "ones",
    "text",
    "small",
    "high",
    "largest",
    "changes",
    "counts",
    "rises",
    "direction",
    "flow",
    "echo",
    "upper",
    "lower",
    "constant",
];

/// The numbers of the column at `offset`.
#[allow(clippy::similar_names)]
pub(super) fn facts(view: &View<'_>, offset: usize) -> [f32; FACTS] {
    let mut counts = [0_u32; 256];
    let mut sides = [[0_u32; 256]; 2];
    let mut upper = [0_u32; 16];
    let mut lower = [0_u32; 16];
    let mut total = 0_u32;
    for row in &view.rows {
        if let Some(byte) = row.head.get(offset) {
            counts[usize::from(*byte)] += 1;
            sides[usize::from(row.down)][usize::from(*byte)] += 1;
            upper[usize::from(byte >> 4)] += 1;
            lower[usize::from(byte & 15)] += 1;
            total += 1;
        }
    }
    if total == 0 {
        return [-1.0; FACTS];
    }
    let share = |count: u32| f64::from(count) / f64::from(total);
    let sum = |range: std::ops::Range<usize>| share(counts[range].iter().sum());
    let bits = entropy(counts);
    let distinct = counts.iter().filter(|count| **count > 0).count();
    let largest = counts.iter().rposition(|count| *count > 0).unwrap_or(0);
    let given_side: f64 = sides.iter().map(|side| share(side.iter().sum()) * entropy(*side)).sum();

    let (mut pairs, mut changed, mut counted, mut rose) = (0.0, 0.0, 0.0, 0.0);
    for (before, row) in view.steps() {
        let (Some(before), Some(byte)) = (before.head.get(offset), row.head.get(offset)) else {
            continue;
        };
        pairs += 1.0;
        changed += f64::from(u8::from(byte != before));
        counted += f64::from(u8::from(*byte == before.wrapping_add(1)));
        rose += f64::from(u8::from(byte > before));
    }
    let (mut replies, mut echoed) = (0.0, 0.0);
    for row in &view.rows {
        let Some(other) = row.other else { continue };
        let other = &view.rows[other as usize];
        if let (Some(other), Some(byte)) = (other.head.get(offset), row.head.get(offset)) {
            replies += 1.0;
            echoed += f64::from(u8::from(byte == other));
        }
    }
    let ratio = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { -1.0 };
    let of_bits = |part: f64| if bits > 1e-6 { (part / bits).clamp(0.0, 1.0) } else { -1.0 };
    [
        f64::from(total) / view.rows.len() as f64,
        bits / 8.0,
        if total > 1 { bits / f64::from(total).log2().min(8.0) } else { 0.0 },
        (distinct as f64).log2() / 8.0,
        share(counts.iter().copied().max().unwrap_or(0)),
        share(counts[0]),
        share(counts[255]),
        sum(0x20..0x7f),
        sum(0..16),
        sum(128..256),
        largest as f64 / 255.0,
        ratio(changed, pairs),
        ratio(counted, pairs),
        ratio(rose, changed),
        of_bits(bits - given_side),
        of_bits(bits - given_flow(view, offset)),
        ratio(echoed, replies),
        entropy(upper) / 4.0,
        entropy(lower) / 4.0,
        f64::from(u8::from(distinct == 1)),
    ]
    .map(|value| value as f32)
}

/// Entropy of the column that is left when the flow is known.
fn given_flow(view: &View<'_>, offset: usize) -> f64 {
    let mut values: Vec<(u32, u8)> = view
        .rows
        .iter()
        .filter_map(|row| row.head.get(offset).map(|byte| (row.flow, *byte)))
        .collect();
    values.sort_unstable();
    let total = values.len() as f64;
    values
        .chunk_by(|one, other| one.0 == other.0)
        .map(|flow| {
            let counts = flow.chunk_by(|one, other| one.1 == other.1).map(|same| same.len() as u32);
            flow.len() as f64 / total * entropy(counts)
        })
        .sum()
}
