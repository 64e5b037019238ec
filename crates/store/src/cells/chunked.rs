//! A vector that grows piece by piece: nothing is copied as it grows, and no more than one
//! piece of it is empty.

/// Bytes of a piece.
const PIECE: usize = 1 << 16;

/// Values in pieces of 64 KiB.
#[derive(Debug)]
pub(crate) struct Chunked<T> {
    full: Vec<Vec<T>>,
    last: Vec<T>,
}

impl<T> Default for Chunked<T> {
    fn default() -> Self {
        Chunked { full: Vec::new(), last: Vec::new() }
    }
}

impl<T: Copy> Chunked<T> {
    /// Values of a piece, a power of two.
    const EACH: usize = 1 << (PIECE / size_of::<T>()).ilog2();

    pub(crate) fn len(&self) -> usize {
        self.full.len() * Self::EACH + self.last.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.last.is_empty() && self.full.is_empty()
    }

    #[inline]
    pub(crate) fn push(&mut self, value: T) {
        if self.last.len() == Self::EACH {
            self.roll();
        }
        self.last.push(value);
    }

    #[cold]
    fn roll(&mut self) {
        self.full.push(std::mem::replace(&mut self.last, Vec::with_capacity(Self::EACH)));
    }

    /// Adds `count` copies of `value`.
    pub(crate) fn fill(&mut self, value: T, mut count: usize) {
        while count > 0 {
            if self.last.len() == Self::EACH {
                self.roll();
            }
            let now = count.min(Self::EACH - self.last.len());
            self.last.resize(self.last.len() + now, value);
            count -= now;
        }
    }

    /// The value `i`, which must be below the length.
    #[inline]
    pub(crate) fn get(&self, i: usize) -> T {
        match self.full.get(i / Self::EACH) {
            Some(piece) => piece[i % Self::EACH],
            None => self.last[i % Self::EACH],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_pushed_and_filled() {
        let mut chunked = Chunked::default();
        let mut expected: Vec<u64> = Vec::new();
        assert!(chunked.is_empty());
        for i in 0..5u64 {
            chunked.fill(i, 7_500);
            expected.resize(expected.len() + 7_500, i);
            chunked.push(99 + i);
            expected.push(99 + i);
        }
        assert_eq!(chunked.len(), expected.len());
        assert!((0..expected.len()).all(|i| chunked.get(i) == expected[i]));
    }
}
