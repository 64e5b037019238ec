//! The order of a part's rows.

use ottoscope_flow::Timestamp;

/// The numbers of rows by time, then key, then arrival. `place` tells the former two of each.
pub(super) fn order(rows: usize, place: impl Fn(usize) -> (Timestamp, u64)) -> Vec<u32> {
    let times = || (0..rows).map(|i| place(i).0.0);
    let (first, last) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
    let bits = rows.checked_ilog2().map_or(0, |log| log + 1);
    match u64::try_from(i128::from(last) - i128::from(first)) {
        Ok(span) if span.leading_zeros() >= bits => packed(rows, first, bits, place),
        _ => wide(rows, place),
    }
}

/// Where time since the `first` and the number of a row in `bits` share a word, which is far
/// cheaper to sort: whenever they are of one hour. Equal times are few or in few runs.
fn packed(
    rows: usize,
    first: i64,
    bits: u32,
    place: impl Fn(usize) -> (Timestamp, u64),
) -> Vec<u32> {
    let pack = |i: usize| place(i).0.0.wrapping_sub(first).cast_unsigned() << bits | i as u64;
    let row = |word: u64| (word & !(u64::MAX << bits)) as usize;
    let mut words: Vec<u64> = (0..rows).map(pack).collect();
    if !words.is_sorted() {
        sort_from(bits, &mut words);
    }
    let mut keyed: Vec<(u64, u64)> = Vec::new();
    for equal in words.chunk_by_mut(|a, b| a >> bits == b >> bits) {
        if equal.len() > 1 {
            keyed.clear();
            keyed.extend(equal.iter().map(|&word| (place(row(word)).1, word)));
            keyed.sort_unstable();
            equal.iter_mut().zip(&keyed).for_each(|(word, (_, sorted))| *word = *sorted);
        }
    }
    words.into_iter().map(|word| row(word) as u32).collect()
}

/// Bits that a pass of [`sort_from`] sorts by: what it counts stays in a core's cache.
const DIGIT: u32 = 11;
/// Fewer words are sorted by comparison, which needs no counts.
const FEW: usize = 1 << DIGIT;

/// Sorts words that rise in the bits below `from`: from digit to digit, where equal ones stay in
/// their order (LSD radix sort, Knuth 5.2.5).
fn sort_from(from: u32, words: &mut Vec<u64>) {
    let most = words.iter().fold(0, |all, word| all | word);
    let digits = (u64::BITS - most.leading_zeros()).saturating_sub(from).div_ceil(DIGIT);
    if words.len() < FEW {
        return words.sort_unstable();
    }
    let mut other = vec![0; words.len()];
    for shift in (0..digits).map(|digit| from + digit * DIGIT) {
        let digit = |word: u64| (word >> shift) as usize % (1 << DIGIT);
        let mut places = [0u32; 1 << DIGIT];
        words.iter().for_each(|&word| places[digit(word)] += 1);
        let mut before = 0;
        for place in &mut places {
            before += std::mem::replace(place, before);
        }
        for &word in &*words {
            let place = &mut places[digit(word)];
            other[*place as usize] = word;
            *place += 1;
        }
        std::mem::swap(words, &mut other);
    }
}

/// The same for any times.
fn wide(rows: usize, place: impl Fn(usize) -> (Timestamp, u64)) -> Vec<u32> {
    let mut places: Vec<_> = (0..rows).map(|i| (place(i), i as u32)).collect();
    places.sort_unstable();
    places.into_iter().map(|(_, i)| i).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn either_way_gives_one_order(
            places in prop::collection::vec((-20i64..20, 0u64..4), 0..200), scale in 0u32..63,
        ) {
            let place = |i: usize| {
                let (time, key) = places[i];
                (Timestamp(time.saturating_mul(1 << scale)), key)
            };
            let mut expected: Vec<u32> = (0..places.len() as u32).collect();
            expected.sort_by_key(|&i| place(i as usize));
            prop_assert_eq!(&order(places.len(), place), &expected);
            prop_assert_eq!(&wide(places.len(), place), &expected);
        }
    }

    /// More rows than are sorted by comparison.
    #[test]
    fn many_rows_are_in_order() {
        for span in [1, 100, 1 << 20, 1 << 40] {
            let place = |i: usize| {
                let mixed = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                (Timestamp(-5 + (mixed % span).cast_signed()), mixed >> 50)
            };
            for rows in [FEW - 1, FEW, 3 * FEW + 1] {
                let mut expected: Vec<u32> = (0..rows as u32).collect();
                expected.sort_by_key(|&i| place(i as usize));
                assert_eq!(order(rows, place), expected, "{span} {rows}");
            }
        }
    }

    #[test]
    fn the_ends_of_time_are_in_order() {
        let times = [i64::MAX, i64::MIN, 0, -1];
        assert_eq!(order(4, |i| (Timestamp(times[i]), 0)), [1, 3, 2, 0]);
        assert!(order(0, |_| (Timestamp(0), 0)).is_empty());
    }
}
