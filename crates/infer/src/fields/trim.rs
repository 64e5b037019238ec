//! Bytes at the end of a field that are not its own.

use std::ops::Range;

use super::table::Table;

/// Largest step of a counter from one message to the next.
const STEP: u64 = 16;
/// Smallest share of steps up to [`STEP`] that only a counter has.
const COUNTS: f64 = 0.8;
/// Steps of a counter with one byte that is not its own behind it are larger than this, but for
/// this share.
const WIDE_STEP: u64 = 4096;
const STRAYS: f64 = 0.2;
/// Fewest messages that say what is constant.
const FEW: usize = 8;

/// Where a big-endian counter ends in front of bytes that only look like its lower ones: what
/// stands before them goes on by small steps and the whole does not.
pub(super) fn counter_end(table: &Table<'_>, span: &Range<usize>) -> usize {
    let steps = |end: usize, most: u64| {
        let column = table.column(&(span.start..end));
        let mut flow = u32::MAX;
        let mut last: [Option<u64>; 2] = [None; 2];
        let (mut small, mut all) = (0_usize, 0_usize);
        for (row, value) in column.rows.iter().zip(&column.values) {
            let row = table.rows[*row as usize];
            if row.flow != flow {
                (flow, last) = (row.flow, [None; 2]);
            }
            if let Some(before) = last[row.side()].replace(*value) {
                all += 1;
                small += usize::from((1..=most).contains(&value.wrapping_sub(before)));
            }
        }
        small as f64 / all.max(1) as f64
    };
    if steps(span.end, WIDE_STEP) >= STRAYS {
        return span.end;
    }
    let mut shorter = (span.start + 1..span.end).rev();
    shorter.find(|end| steps(*end, STEP) > COUNTS).unwrap_or(span.end)
}

/// Where the constants end that bytes begin with which nobody can read. Zeros are none: they are
/// the upper bytes of numbers.
pub(super) fn constants_end(table: &Table<'_>, span: &Range<usize>) -> usize {
    let constant = |offset: &usize| {
        let spread = table.column(&(*offset..offset + 1)).spread();
        spread.distinct == 1 && spread.range.0 != 0
    };
    if table.rows.len() < FEW {
        return span.end;
    }
    span.clone().find(|offset| !constant(offset)).unwrap_or(span.end)
}
