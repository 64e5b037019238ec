//! Numbers for values: which different ones a column has, as long as they are few.

use super::bits::width;
use crate::cells::Texts;

/// Values after which it is asked whether they repeat.
const TRIAL: usize = 4_096;
/// Places looked at for a value. Traffic may hold values chosen to collide: those are written
/// as they are.
const PROBES: usize = 64;
/// Marks a free place.
const FREE: u32 = u32::MAX;

/// The different values of a column.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    /// Value and number; as many places as a power of two.
    places: Vec<(u64, u32)>,
    /// The values in order of their numbers.
    pub(super) values: Vec<u64>,
    /// The number of each value of the column.
    pub(super) codes: Vec<u32>,
    /// Codes of texts by their numbers in the part.
    renumbered: Vec<u32>,
    /// Bytes of texts by their codes, each with four for its length.
    lens: Vec<usize>,
}

impl Dictionary {
    /// Numbers `values`; false where they repeat too little.
    pub(super) fn fill(&mut self, values: &[u64]) -> bool {
        self.values.clear();
        self.codes.clear();
        self.places.clear();
        self.places.resize(256, (0, FREE));
        let Some(&first) = values.first() else { return false };
        let mut codes = std::mem::take(&mut self.codes);
        codes.resize(values.len(), 0);
        let repeat = self.fill_codes(values, first, &mut codes);
        self.codes = codes;
        repeat && (self.values.len() <= values.len() / 2 || values.len() < 8)
    }

    /// The code of each value; false once they repeat too little.
    fn fill_codes(&mut self, values: &[u64], first: u64, codes: &mut [u32]) -> bool {
        let mut last = (first, FREE);
        for (seen, (&value, place)) in values.iter().zip(codes).enumerate() {
            if value != last.0 || last.1 == FREE {
                let before = self.values.len();
                let Some(code) = self.code(value) else { return false };
                last = (value, code);
                let found = self.values.len();
                if found > before && found > TRIAL / 2 && found > seen / 4 && seen >= TRIAL {
                    return false;
                }
            }
            *place = last.1;
        }
        true
    }

    /// Numbers the texts that `values` are numbers of; false where that would not be shorter
    /// than the texts, or more than `most` bytes.
    pub(super) fn fill_texts(&mut self, texts: &Texts, values: &[u64], most: usize) -> bool {
        self.values.clear();
        self.codes.clear();
        self.renumbered.resize(self.renumbered.len().max(texts.len()), FREE);
        let (mut whole, mut distinct) = (0, 0);
        self.lens.clear();
        for &value in values {
            let number = &mut self.renumbered[value as usize];
            if *number == FREE {
                *number = self.values.len() as u32;
                self.values.push(value);
                let len = 4 + texts.len_of(value as u32);
                self.lens.push(len);
                distinct += len;
            }
            self.codes.push(*number);
            whole += self.lens[*number as usize];
        }
        for &value in &self.values {
            self.renumbered[value as usize] = FREE;
        }
        let codes = values.len() * width(self.values.len() as u64) as usize / 8;
        distinct <= most && distinct + codes < whole
    }

    fn code(&mut self, value: u64) -> Option<u32> {
        if 2 * self.values.len() >= self.places.len() {
            self.grow()?;
        }
        let place = place(&self.places, value)?;
        if self.places[place].1 == FREE {
            self.places[place] = (value, self.values.len() as u32);
            self.values.push(value);
        }
        Some(self.places[place].1)
    }

    fn grow(&mut self) -> Option<()> {
        let mut places = vec![(0, FREE); 4 * self.places.len()];
        for (&value, code) in self.values.iter().zip(0..) {
            let place = place(&places, value)?;
            places[place] = (value, code);
        }
        self.places = places;
        Some(())
    }
}

/// Both halves of the product, since numbers of floating point have their bits on top.
#[inline]
fn hash(value: u64) -> u64 {
    let product = u128::from(value) * 0x9e37_79b9_7f4a_7c15; // 2^64 by the golden ratio
    (product ^ product >> 64) as u64
}

/// Where `value` is or shall be.
#[inline]
fn place(places: &[(u64, u32)], value: u64) -> Option<usize> {
    let mask = places.len() - 1;
    let hash = hash(value);
    (0..PROBES).map(|i| (hash as usize + i) & mask).find(|&place| {
        let (known, code) = places[place];
        code == FREE || known == value
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[u64], repeats: bool) {
        let mut dictionary = Dictionary::default();
        assert_eq!(dictionary.fill(values), repeats);
        if repeats {
            let back: Vec<u64> =
                dictionary.codes.iter().map(|&code| dictionary.values[code as usize]).collect();
            assert_eq!(back, values);
            let mut values = dictionary.values.clone();
            values.sort_unstable();
            values.dedup();
            assert_eq!(values.len(), dictionary.values.len());
        }
    }

    #[test]
    fn values_that_repeat_are_numbered() {
        check(&[], false);
        check(&[u64::MAX, 0, 0, u64::MAX, u64::MAX - 1], true);
        check(&(0..50_000).map(|i| i * i % 1_009).collect::<Vec<_>>(), true);
        check(&(0..50_000).map(|i| i % 10_000).collect::<Vec<_>>(), false);
        check(&(0..50_000).collect::<Vec<_>>(), false);
    }

    /// Values whose places are all the same end the search and not the run.
    #[test]
    fn values_chosen_to_collide_are_given_up() {
        let chosen = |value: &u64| hash(*value).is_multiple_of(4_096);
        let values: Vec<u64> = (0..).filter(chosen).take(200).collect();
        check(&values.repeat(4), false);
        let others: Vec<u64> = (0..).filter(|value| !chosen(value)).take(200).collect();
        check(&others.repeat(4), true);
    }
}
