//! Suffixes in order, with what neighbours share: linear in the text, by induced sorting.
//!
//! Nong, Zhang and Chan, "Two efficient algorithms for linear time suffix array construction",
//! 2011; Kasai et al., "Linear-time longest-common-prefix computation", 2001.

/// No suffix yet.
const EMPTY: u32 = u32::MAX;

/// Starts of the suffixes of `text` in order. `largest` is its largest symbol; `text` is shorter
/// than `u32::MAX`.
pub(super) fn sort(text: &[u32], largest: u32) -> Vec<u32> {
    let n = text.len();
    match n {
        0 => return Vec::new(),
        1 => return vec![0],
        2 => return if text[0] < text[1] { vec![0, 1] } else { vec![1, 0] },
        _ => {}
    }
    // A suffix is rising when it is smaller than the one behind it.
    let mut rising = vec![false; n];
    for i in (0..n - 1).rev() {
        rising[i] = text[i] < text[i + 1] || (text[i] == text[i + 1] && rising[i + 1]);
    }
    let buckets = Buckets::new(text, &rising, largest);
    let mut sorted = vec![EMPTY; n];
    let turns: Vec<u32> =
        (1..n).filter(|&i| rising[i] && !rising[i - 1]).map(|i| i as u32).collect();
    drop(rising);
    buckets.induce(text, &turns, &mut sorted);
    if turns.is_empty() {
        return sorted;
    }
    // Pieces from turn to turn become symbols of a shorter text, sorted the same way.
    let mut number = vec![EMPTY; n];
    for (index, &turn) in turns.iter().enumerate() {
        number[turn as usize] = index as u32;
    }
    let mut ordered: Vec<u32> =
        sorted.iter().copied().filter(|&i| number[i as usize] != EMPTY).collect();
    let piece = |turn: u32| {
        let next = number[turn as usize] as usize + 1;
        let end = turns.get(next).map_or(n, |&end| end as usize + 1);
        (&text[turn as usize..end], next < turns.len())
    };
    let mut shorter = vec![0; turns.len()];
    let mut name = 0;
    for pair in ordered.windows(2) {
        let ((before, inner), (this, also)) = (piece(pair[0]), piece(pair[1]));
        name += u32::from(before != this || !inner || !also);
        shorter[number[pair[1] as usize] as usize] = name;
    }
    drop(number);
    for (place, index) in ordered.iter_mut().zip(sort(&shorter, name)) {
        *place = turns[index as usize];
    }
    buckets.induce(text, &ordered, &mut sorted);
    sorted
}

/// Where in the order the suffixes of each first symbol go.
struct Buckets {
    /// First place of each symbol, falling suffixes first.
    falling: Vec<u32>,
    /// First place of its rising suffixes.
    rising: Vec<u32>,
}

impl Buckets {
    fn new(text: &[u32], is_rising: &[bool], largest: u32) -> Self {
        let mut falling = vec![0; largest as usize + 2];
        let mut rising = vec![0; largest as usize + 1];
        for (&symbol, &is_rising) in text.iter().zip(is_rising) {
            falling[symbol as usize + 1] += 1;
            rising[symbol as usize] += u32::from(!is_rising);
        }
        for symbol in 0..rising.len() {
            rising[symbol] += falling[symbol];
            falling[symbol + 1] += falling[symbol];
        }
        Buckets { falling, rising }
    }

    /// Whether the suffix in front of one is rising, from that one's place: its own text is at
    /// hand already.
    fn rises_before(&self, text: &[u32], suffix: u32, place: usize) -> bool {
        let (front, symbol) = (text[suffix as usize - 1], text[suffix as usize]);
        front < symbol || (front == symbol && place >= self.rising[symbol as usize] as usize)
    }

    /// Orders all suffixes from those at turns, which `turns` gives in order (or as a guess).
    fn induce(&self, text: &[u32], turns: &[u32], sorted: &mut [u32]) {
        sorted.fill(EMPTY);
        let symbol = |suffix: u32| text[suffix as usize] as usize;
        let mut next = self.rising.clone();
        let put = |next: &mut [u32], sorted: &mut [u32], suffix: u32| {
            let place = &mut next[symbol(suffix)];
            sorted[*place as usize] = suffix;
            *place += 1;
        };
        for &turn in turns {
            put(&mut next, sorted, turn);
        }
        next.clone_from(&self.falling);
        put(&mut next, sorted, text.len() as u32 - 1);
        for i in 0..sorted.len() {
            let suffix = sorted[i];
            if suffix != EMPTY && suffix > 0 && !self.rises_before(text, suffix, i) {
                put(&mut next, sorted, suffix - 1);
            }
        }
        next.clone_from(&self.falling);
        for i in (0..sorted.len()).rev() {
            let suffix = sorted[i];
            if suffix != EMPTY && suffix > 0 && self.rises_before(text, suffix, i) {
                let place = &mut next[symbol(suffix - 1) + 1];
                *place -= 1;
                sorted[*place as usize] = suffix - 1;
            }
        }
    }
}

/// Place of each suffix in the order.
pub(super) fn ranks(sorted: &[u32]) -> Vec<u32> {
    let mut ranks = vec![0; sorted.len()];
    for (rank, &suffix) in sorted.iter().enumerate() {
        ranks[suffix as usize] = rank as u32;
    }
    ranks
}

/// How many symbols the suffix of each rank shares with the one before it, not counting `end`
/// or what lies behind it.
pub(super) fn shared(text: &[u32], sorted: &[u32], ranks: &[u32], end: u32) -> Vec<u32> {
    let mut shared = vec![0; text.len()];
    let mut length = 0_usize;
    for (suffix, &rank) in ranks.iter().enumerate() {
        let Some(before) = (rank as usize).checked_sub(1) else {
            length = 0;
            continue;
        };
        let (this, before) = (&text[suffix..], &text[sorted[before] as usize..]);
        length += this[length..]
            .iter()
            .zip(&before[length..])
            .take_while(|(a, b)| a == b && **a != end)
            .count();
        shared[rank as usize] = length as u32;
        length = length.saturating_sub(1);
    }
    shared
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn suffixes_are_in_order(text in proptest::collection::vec(0..4_u32, 0..60)) {
            let sorted = sort(&text, 3);
            let mut slow: Vec<u32> = (0..text.len() as u32).collect();
            slow.sort_by_key(|&i| &text[i as usize..]);
            prop_assert_eq!(&sorted, &slow);
            let ranks = ranks(&sorted);
            let shared = shared(&text, &sorted, &ranks, 0);
            for rank in 1..sorted.len() {
                let (a, b) = (&text[sorted[rank - 1] as usize..], &text[sorted[rank] as usize..]);
                let same = a.iter().zip(b).take_while(|(a, b)| a == b && **a != 0).count();
                prop_assert_eq!(shared[rank] as usize, same);
            }
        }
    }
}
