//! Texts of a column, each different one held once as long as that pays.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::Chunked;

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
    hash: u32,
}

/// Texts by number. Where texts hardly repeat (heads of payload, addresses of a million
/// clients) they are no longer looked up, and equal ones may have several numbers.
#[derive(Debug)]
pub struct Texts {
    pieces: Vec<Vec<u8>>,
    places: Chunked<Place>,
    /// Numbers by text; `None` where texts hardly repeat.
    index: Option<HashTable<u32>>,
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

    /// The number of a text, and how many bytes it newly takes.
    pub(crate) fn number(&mut self, new: &[u8]) -> (u32, usize) {
        let Some(index) = &mut self.index else { return self.add(new, 0) };
        self.asked += 1;
        let mut hasher = self.hash.build_hasher();
        hasher.write(new);
        let hash = hasher.finish();
        let (pieces, places) = (&self.pieces, &self.places);
        let same = |&number: &u32| {
            let place = places.get(number as usize);
            place.hash == hash as u32 && text(pieces, place) == new
        };
        if let Some(&number) = index.find(hash, same) {
            return (number, 0);
        }
        if places.len() >= TRIAL && places.len() > self.asked / 2 {
            self.index = None;
            return self.add(new, 0);
        }
        let number = places.len() as u32;
        index.insert_unique(hash, number, |&number| {
            let mut hasher = self.hash.build_hasher();
            hasher.write(text(pieces, places.get(number as usize)));
            hasher.finish()
        });
        self.add(new, hash as u32)
    }

    fn add(&mut self, new: &[u8], hash: u32) -> (u32, usize) {
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
            self.places.push(Place { piece: self.pieces.len() as u32 - 1, at, len, hash });
        }
        (number, new.len() + size_of::<Place>() + if self.index.is_some() { 8 } else { 0 })
    }
}

fn text(pieces: &[Vec<u8>], place: Place) -> &[u8] {
    let at = place.at as usize;
    &pieces[place.piece as usize][at..at + place.len as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_one_number_as_long_as_they_repeat() {
        let mut texts = Texts::default();
        let mut numbers = Vec::new();
        for round in 0..3 {
            for i in 0..4_000u32 {
                let (number, bytes) = texts.number(format!("text {i}").as_bytes());
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
            expected.push((texts.number(&text).0, text));
        }
        assert!(texts.index.is_none());
        assert!(expected.iter().all(|(number, text)| texts.get(*number) == text));
        let (empty, _) = texts.number(b"");
        assert!(texts.get(empty).is_empty());
    }
}
