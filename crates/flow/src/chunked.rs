//! A list that grows in pieces which are never moved: growing copies nothing, takes no memory
//! twice, and leaves no holes behind.

use std::ops::{Index, IndexMut};

/// Least bytes of a piece: as many as allocators take from the system for it alone, which gives
/// memory when it is touched and has it back when the piece goes. Tests shall see several.
const PIECE: usize = if cfg!(test) { 1 << 14 } else { 32 << 20 };

/// Values in pieces of one length.
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

impl<T> Chunked<T> {
    /// Values of a piece, a power of two.
    const EACH: usize = (PIECE / size_of::<T>()).next_power_of_two();

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn push(&mut self, value: T) {
        if self.len == self.pieces.len() * Self::EACH {
            self.pieces.push(Vec::with_capacity(Self::EACH));
        }
        if let Some(last) = self.pieces.last_mut() {
            last.push(value);
            self.len += 1;
        }
    }

    /// Lets go of the pieces that begin with value `len` or a later one.
    pub(crate) fn give_back(&mut self, len: usize) {
        while self.pieces.len() > len.div_ceil(Self::EACH) {
            self.pieces.pop();
            self.len = self.pieces.len() * Self::EACH;
        }
    }
}

impl<T> Index<usize> for Chunked<T> {
    type Output = T;

    #[inline]
    fn index(&self, i: usize) -> &T {
        &self.pieces[i / Self::EACH][i % Self::EACH]
    }
}

impl<T> IndexMut<usize> for Chunked<T> {
    #[inline]
    fn index_mut(&mut self, i: usize) -> &mut T {
        &mut self.pieces[i / Self::EACH][i % Self::EACH]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_and_go() {
        let each = Chunked::<u64>::EACH;
        let mut list = Chunked::default();
        assert!(list.is_empty());
        let count = 2 * each + 3;
        (0..count).for_each(|i| list.push(i as u64));
        list[each] = 7;
        assert!((0..count).all(|i| list[i] == if i == each { 7 } else { i as u64 }));
        list.give_back(2 * each + 1);
        assert_eq!((list.len(), list.pieces.len()), (count, 3));
        list.give_back(2 * each);
        assert_eq!((list.len(), list.pieces.len()), (2 * each, 2));
        list.push(9);
        assert_eq!((list.len(), list[2 * each]), (2 * each + 1, 9));
        list.give_back(0);
        assert!(list.is_empty());
    }
}
