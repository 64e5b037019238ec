//! What is known of one possible boundary, as a row of numbers for the scorer.

use super::numbers::Numbers;
use super::view::View;
use super::{columns, numbers, pairs};

/// Columns looked at before and from a boundary on.
const BEFORE: usize = 4;
const AFTER: usize = 4;
/// Pairs looked at, the one across the boundary in their middle.
const PAIRS: usize = 5;
const PLACE: usize = 14;

/// How many numbers a boundary has.
pub(super) const COUNT: usize =
    (BEFORE + AFTER) * columns::FACTS + PAIRS * pairs::FACTS + 3 * numbers::FACTS + PLACE;

/// Statistics of a view from which boundaries are described.
pub(crate) struct Facts {
    columns: Vec<[f32; columns::FACTS]>,
    pairs: Vec<[f32; pairs::FACTS]>,
    numbers: Numbers,
    rows: f32,
    flows: f32,
    shortest: usize,
    lengths: f32,
    both: f32,
}

impl Facts {
    /// Computes them.
    pub(crate) fn new(view: &View<'_>) -> Self {
        let mut lengths: Vec<u64> = view.rows.iter().map(|row| row.len).collect();
        lengths.sort_unstable();
        let shortest = lengths.first().copied().unwrap_or(0) as usize;
        lengths.dedup();
        let down = view.rows.iter().filter(|row| row.down).count();
        Facts {
            columns: (0..view.width).map(|offset| columns::facts(view, offset)).collect(),
            pairs: (0..view.width).map(|offset| pairs::facts(view, offset)).collect(),
            numbers: Numbers::new(view),
            rows: (view.rows.len() as f32 + 1.0).log2(),
            flows: (view.flows as f32 + 1.0).log2(),
            shortest,
            lengths: (lengths.len() as f32).log2(),
            both: f32::from(u8::from(down > 0 && down < view.rows.len())),
        }
    }

    /// How many offsets are known.
    pub(crate) fn width(&self) -> usize {
        self.columns.len()
    }

    /// The numbers of the column at `offset`, below [`Facts::width`].
    pub(crate) fn column(&self, offset: usize) -> &[f32; columns::FACTS] {
        &self.columns[offset]
    }

    /// How many samples reach beyond `offset`.
    pub(crate) fn samples(&self, offset: usize) -> f32 {
        self.columns[offset][columns::COVER] * (self.rows.exp2() - 1.0)
    }

    /// Spans in which nothing can be cut.
    pub(crate) fn firm(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        self.numbers.firm()
    }

    /// The numbers of the boundary before the byte at `offset`.
    pub(crate) fn boundary(&self, offset: usize) -> [f32; COUNT] {
        let mut out = [-1.0; COUNT];
        let mut at = 0;
        let mut put = |values: &[f32]| {
            out[at..at + values.len()].copy_from_slice(values);
            at += values.len();
        };
        for column in 0..BEFORE + AFTER {
            let column = (offset + column).checked_sub(BEFORE);
            put(column.and_then(|it| self.columns.get(it)).unwrap_or(&[-1.0; columns::FACTS]));
        }
        for pair in 0..PAIRS {
            let pair = (offset + pair).checked_sub(PAIRS / 2 + 1);
            put(pair.and_then(|it| self.pairs.get(it)).unwrap_or(&[-1.0; pairs::FACTS]));
        }
        for side in self.numbers.around(offset) {
            put(&side);
        }
        put(&self.place(offset));
        debug_assert_eq!(at, COUNT);
        out
    }

    fn place(&self, offset: usize) -> [f32; PLACE] {
        let constant = |it: &[f32; columns::FACTS]| it[columns::CONSTANT] == 1.0;
        let zero = |it: &[f32; columns::FACTS]| it[columns::ZERO] == 1.0;
        let text = |it: &[f32; columns::FACTS]| it[columns::TEXT] > 0.95;
        let random =
            |it: &[f32; columns::FACTS]| it[columns::EVENNESS] > 0.85 && it[columns::BITS] > 0.3;
        let runs = |test: &dyn Fn(&[f32; columns::FACTS]) -> bool| {
            let before = self.columns[..offset].iter().rev().take_while(|it| test(it)).count();
            let after = self.columns[offset..].iter().take_while(|it| test(it)).count();
            [before as f32, after as f32]
        };
        let [constant, zero, text, random] =
            [runs(&constant), runs(&zero), runs(&text), runs(&random)];
        [
            offset as f32,
            (offset % 2) as f32,
            (offset % 4) as f32,
            constant[0],
            constant[1],
            zero[0],
            zero[1],
            text[0] + text[1],
            random[0],
            random[1],
            self.rows,
            self.flows,
            self.lengths + self.both * 100.0,
            (self.shortest.min(64) as f32) - offset as f32,
        ]
    }
}

/// Names of a boundary's numbers, in order.
pub(crate) fn names() -> Vec<String> {
    let mut out = Vec::with_capacity(COUNT);
    for column in 0..BEFORE + AFTER {
        let at = column as i32 - BEFORE as i32;
        out.extend(columns::NAMES.iter().map(|name| format!("{name}{at:+}")));
    }
    for pair in 0..PAIRS {
        let at = pair as i32 - PAIRS as i32 / 2;
        out.extend(pairs::NAMES.iter().map(|name| format!("{name}|{at:+}")));
    }
    for side in ["begins", "ends", "inside"] {
        out.extend(numbers::NAMES.iter().map(|name| format!("{name}-{side}")));
    }
    out.extend(
        [
            "offset",
            "odd",
            "of-four",
            "constant-before",
            "constant-after",
            "zero-before",
            "zero-after",
            "text-run",
            "random-before",
            "random-after",
            "rows",
            "flows",
            "lengths",
            "left",
        ]
        .map(String::from),
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_name() {
        assert_eq!(names().len(), COUNT);
    }
}
