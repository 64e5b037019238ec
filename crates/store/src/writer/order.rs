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
        words.sort_unstable();
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

    #[test]
    fn the_ends_of_time_are_in_order() {
        let times = [i64::MAX, i64::MIN, 0, -1];
        assert_eq!(order(4, |i| (Timestamp(times[i]), 0)), [1, 3, 2, 0]);
        assert!(order(0, |_| (Timestamp(0), 0)).is_empty());
    }
}
