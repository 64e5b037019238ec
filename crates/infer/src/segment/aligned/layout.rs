//! One layout out of how likely each boundary is.
//!
//! The scorer judges one boundary at a time. What only shows in the whole is decided here: that
//! ciphertext has no fields, that nothing is cut in a number that is sure, and that a constant
//! among 32-bit words is one of them.

use super::columns;
use super::features::Facts;
use crate::samples::Cuts;

/// Bytes from which a random end of the payload is one field.
const LONG_TAIL: usize = 12;
/// Of how many random columns one may look ordered.
const ODD_ONES: usize = 12;
/// Bytes of a word, and fewest whole ones of a header of words.
const WORD: usize = 4;
const LEAST_WORDS: usize = 2;
/// Share of one value from which a byte counts as constant: short ends of other messages can be
/// among those with the header.
const CONSTANT: f32 = 0.97;
/// Share of zeros in the first byte of a number that is small for its width; special values such
/// as `ff ff ff ff` may take the rest.
const MOSTLY_ZERO: f32 = 0.7;

/// Cuts where a boundary's logarithm of odds reaches `least`, below `end`. `words` says that
/// other messages have a header of words.
pub(super) fn choose(facts: &Facts, odds: &[f32], least: f32, end: usize, words: bool) -> Cuts {
    let last = last_cut(facts, end);
    let cut = |offset: &usize| *offset <= last && odds[*offset] >= least;
    let mut cuts = Cuts::at((1..odds.len().min(end)).filter(cut));
    for span in facts.firm() {
        for inside in span.start + 1..span.end {
            cuts.remove(inside);
        }
    }
    let end = end.min(facts.width());
    if words { without_split_constants(facts, cuts, end) } else { cuts }
}

/// Whether all bytes below `end` look random, but for some that chance gives an order. Of a longer
/// payload the rest says nothing: ciphertext mostly has a header in front.
pub(super) fn all_random(facts: &Facts, end: usize) -> bool {
    let width = facts.width().min(end);
    let ordered = (0..width).filter(|at| !is_random(facts, *at)).count();
    width > 0 && ordered * ODD_ONES <= width
}

/// Up to where something can be cut: a little into random bytes that go on to the end, since the
/// low bytes of a number before them look random as well, and nowhere when all is random.
fn last_cut(facts: &Facts, end: usize) -> usize {
    if all_random(facts, end) {
        return 0;
    }
    let width = facts.width();
    let (mut tail, mut ordered) = (width, 0);
    for at in (0..width).rev() {
        if is_random(facts, at) {
            tail = at;
            continue;
        }
        ordered += 1;
        // Chance hardly gives two side by side.
        if ordered * ODD_ONES > width - at || tail > at + 1 {
            break;
        }
    }
    if width - tail >= LONG_TAIL { tail + WORD - 1 } else { width }
}

/// As many distinct values as chance gives, and none that counts or stays.
fn is_random(facts: &Facts, offset: usize) -> bool {
    let column = facts.column(offset);
    let samples = facts.samples(offset);
    let expected = 256.0 * (1.0 - (1.0 - 1.0 / 256.0_f32).powf(samples));
    samples >= 7.5
        && (column[columns::DISTINCT] * 8.0).exp2() >= 0.85 * expected
        && column[columns::TOP] <= (4.0 / samples).max(0.03)
        && column[columns::COUNTS] < 0.1
        && !(0.0..0.5).contains(&column[columns::CHANGES])
}

/// Whether the fields in front are words: one of them holds a number that is sure, or two hold
/// big-endian numbers that are small for their width.
pub(super) fn has_words(facts: &Facts, cuts: Cuts, end: usize) -> bool {
    let words: Vec<usize> = grid(cuts, end).filter(|start| is_whole(cuts, *start)).collect();
    let leading = grid(cuts, end).take_while(|start| is_whole(cuts, *start));
    let sure =
        |start: usize| facts.firm().any(|span| start <= span.start && span.end <= start + WORD);
    let small = |start: &&usize| {
        **start + WORD <= facts.width()
            && facts.column(**start)[columns::ZERO] >= MOSTLY_ZERO
            && facts.column(**start + WORD - 1)[columns::TOP] < CONSTANT
    };
    let numbers = words.iter().filter(small).count();
    words.len() >= LEAST_WORDS && (leading.into_iter().any(sure) || numbers >= LEAST_WORDS)
}

/// Takes cuts out of a constant word that has only whole or constant words before it.
fn without_split_constants(facts: &Facts, cuts: Cuts, end: usize) -> Cuts {
    let constant = |start: usize| {
        (start..(start + WORD).min(end)).all(|at| facts.column(at)[columns::TOP] >= CONSTANT)
    };
    let mut merged = cuts;
    for start in grid(cuts, end) {
        if is_whole(cuts, start) {
            continue;
        }
        if start == 0 || !constant(start) {
            break;
        }
        for at in start + 1..start + WORD {
            merged.remove(at);
        }
    }
    merged
}

/// Starts of words from offset 0 on, as long as each begins and ends with a boundary.
fn grid(cuts: Cuts, end: usize) -> impl Iterator<Item = usize> {
    let is_cut = move |at: usize| at == 0 || at >= end || cuts.contains(at);
    (0..end).step_by(WORD).take_while(move |start| is_cut(*start) && is_cut(start + WORD))
}

fn is_whole(cuts: Cuts, start: usize) -> bool {
    (start + 1..start + WORD).all(|at| !cuts.contains(at))
}
