//! Texts of a column, each different one held once as long as that pays.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::Chunked;
use super::ends::Ends;

/// Bytes of a piece of text; a longer text has one of its own.
const PIECE: usize = 1 << 16;
/// Different texts after which it is asked whether they repeat.
const TRIAL: usize = 4_096;

/// Where a text stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    piece: u32,
    at: u32,
    len: u32,
}

/// A text that may come again. Short ones are all here; of longer ones the ends have the hash of
/// the whole in place of the head. Neither looking up nor growing visits other texts.
#[derive(Debug, Clone, Copy)]
struct Known {
    ends: Ends,
    number: u32,
}

/// About what one costs, as the table has free places too.
const KNOWN_BYTES: usize = size_of::<Known>() * 3 / 2;

/// Texts by number. Where texts hardly repeat (heads of payload, addresses of a million
/// clients) they are no longer looked up, and equal ones may have several numbers.
#[derive(Debug)]
pub struct Texts {
    pieces: Vec<Vec<u8>>,
    places: Chunked<Place>,
    /// Numbers by text; `None` where texts hardly repeat.
    index: Option<HashTable<Known>>,
    asked: usize,
    hash: RandomState,
}

impl Default for Texts {
    fn default() -> Self {
        Texts {
            pieces: Vec::new(),
            places: Chunked::default(),
            index: Some(HashTable::new()),
            asked: 0,
            hash: RandomState::default(),
        }
    }
}

impl Texts {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// The text with this number.
    pub(crate) fn get(&self, number: u32) -> &[u8] {
        text(&self.pieces, self.places.get(number as usize))
    }

    /// How many bytes the text with this number has.
    pub(crate) fn len_of(&self, number: u32) -> usize {
        self.places.get(number as usize).len as usize
    }

    /// The number of a text with these ends, and how many bytes it newly takes.
    pub(super) fn number(&mut self, new: &[u8], ends: Ends) -> (u32, usize) {
        let Some(index) = &mut self.index else { return self.add(new) };
        self.asked += 1;
        let state = &self.hash;
        let ends = if ends.are_all() { ends } else { Ends { head: whole(state, new), ..ends } };
        let hash = place(state, ends);
        let (pieces, places) = (&self.pieces, &self.places);
        let same = |known: &Known| {
            known.ends == ends
                && (ends.are_all() || text(pieces, places.get(known.number as usize)) == new)
        };
        if let Some(known) = index.find(hash, same) {
            return (known.number, 0);
        }
        if places.len() >= TRIAL && places.len() > self.asked / 2 {
            self.index = None;
            return self.add(new);
        }
        let known = Known { ends, number: places.len() as u32 };
        index.insert_unique(hash, known, |known| place(state, known.ends));
        let (number, bytes) = self.add(new);
        (number, bytes + KNOWN_BYTES)
    }

    fn add(&mut self, new: &[u8]) -> (u32, usize) {
        let room = |piece: &Vec<u8>| piece.len() + new.len() <= PIECE;
        if !self.pieces.last().is_some_and(room) {
            // Columns of few and short texts shall take little.
            let first = self.pieces.is_empty();
            let size = if first { new.len() } else { new.len().max(PIECE) };
            self.pieces.push(Vec::with_capacity(size));
        }
        let number = self.places.len() as u32;
        if let Some(piece) = self.pieces.last_mut() {
            let (at, len) = (piece.len() as u32, new.len() as u32);
            piece.extend_from_slice(new);
            self.places.push(Place { piece: self.pieces.len() as u32 - 1, at, len });
        }
        (number, new.len() + size_of::<Place>())
    }
}

/// The hash of a whole text, which those who choose texts cannot tell.
fn whole(state: &RandomState, text: &[u8]) -> u64 {
    let mut hasher = state.build_hasher();
    hasher.write(text);
    hasher.finish()
}

/// The same of ends.
#[inline]
fn place(state: &RandomState, ends: Ends) -> u64 {
    let mut hasher = state.build_hasher();
    hasher.write_u64(ends.head);
    hasher.write_u64(ends.tail);
    hasher.write_u32(ends.len);
    hasher.finish()
}

fn text(pieces: &[Vec<u8>], place: Place) -> &[u8] {
    let at = place.at as usize;
    &pieces[place.piece as usize][at..at + place.len as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(texts: &mut Texts, text: &[u8]) -> (u32, usize) {
        texts.number(text, Ends::of(text))
    }

    #[test]
    fn equal_texts_have_one_number_as_long_as_they_repeat() {
        let mut texts = Texts::default();
        let mut numbers = Vec::new();
        for round in 0..3 {
            for i in 0..4_000u32 {
                let (number, bytes) = number(&mut texts, format!("text {i}").as_bytes());
                assert_eq!(bytes == 0, round > 0);
                numbers.push((number, i));
            }
        }
        assert_eq!(texts.len(), 4_000);
        for (number, i) in numbers {
            assert_eq!(texts.get(number), format!("text {i}").as_bytes());
        }
    }

    #[test]
    fn texts_that_never_repeat_are_no_longer_looked_up() {
        let mut texts = Texts::default();
        let long = vec![7; 3 * PIECE];
        let mut expected = Vec::new();
        for i in 0..20_000u32 {
            let text = if i % 5_000 == 0 { long.clone() } else { i.to_le_bytes().to_vec() };
            expected.push((number(&mut texts, &text).0, text));
        }
        assert!(texts.index.is_none());
        assert!(expected.iter().all(|(number, text)| texts.get(*number) == text));
        let (empty, _) = number(&mut texts, b"");
        assert!(texts.get(empty).is_empty());
    }
}
