//! A list that grows by pieces, each twice as long as the one before, which are never moved:
//! growing copies nothing, takes no memory twice, and leaves no holes behind.

use std::ops::{Index, IndexMut};

/// Values of the first piece, a power of two.
const FIRST: usize = 256;

/// Values in pieces of [`FIRST`], 2 [`FIRST`], 4 [`FIRST`] ...
#[derive(Debug)]
pub(crate) struct Chunked<T> {
    pieces: Vec<Vec<T>>,
    len: usize,
}

impl<T> Default for Chunked<T> {
    fn default() -> Self {
        Chunked { pieces: Vec::new(), len: 0 }
    }
}

/// The piece of value `i`, and its place there.
#[inline]
fn place(i: usize) -> (usize, usize) {
    let from_all = i + FIRST;
    let log = from_all.ilog2();
    ((log - FIRST.ilog2()) as usize, from_all - (1 << log))
}

impl<T> Chunked<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn push(&mut self, value: T) {
        let (piece, at) = place(self.len);
        if at == 0 {
            self.pieces.push(Vec::with_capacity(FIRST << piece));
        }
        if let Some(last) = self.pieces.last_mut() {
            last.push(value);
            self.len += 1;
        }
    }
}

impl<T> Index<usize> for Chunked<T> {
    type Output = T;

    #[inline]
    fn index(&self, i: usize) -> &T {
        let (piece, at) = place(i);
        &self.pieces[piece][at]
    }
}

impl<T> IndexMut<usize> for Chunked<T> {
    #[inline]
    fn index_mut(&mut self, i: usize) -> &mut T {
        let (piece, at) = place(i);
        &mut self.pieces[piece][at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_in_their_pieces() {
        let mut list = Chunked::default();
        assert!(list.is_empty());
        let count = 7 * FIRST + 3; // three pieces, and a fourth begun
        (0..count).for_each(|i| list.push(i));
        list[3 * FIRST] = 5;
        assert!((0..count).all(|i| list[i] == if i == 3 * FIRST { 5 } else { i }));
        assert!(list.pieces.iter().map(Vec::len).eq([FIRST, 2 * FIRST, 4 * FIRST, 3]));
    }
}
