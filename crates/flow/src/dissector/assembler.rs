//! Puts bytes together that arrive at offsets: in pieces, out of order, overlapping. What came
//! first at a place stays, as receivers do it.

/// Bytes with holes.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    bytes: Vec<u8>,
    /// What is there, as start and end, sorted, apart from each other.
    ranges: Vec<(usize, usize)>,
}

/// The most pieces with holes between them.
const MAX_RANGES: usize = 64;

impl Assembler {
    /// Puts `data` at `offset`; refuses what would end beyond `limit` bytes or leave too many
    /// holes.
    pub(super) fn insert(&mut self, offset: u64, data: &[u8], limit: usize) -> bool {
        let Ok(offset) = usize::try_from(offset) else { return false };
        let end = offset.saturating_add(data.len());
        if end > limit || self.ranges.len() >= MAX_RANGES {
            return false;
        }
        if data.is_empty() {
            return true;
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        let mut at = offset;
        for &(start, stop) in &self.ranges {
            if start >= end {
                break;
            }
            if start > at {
                self.bytes[at..start].copy_from_slice(&data[at - offset..start - offset]);
            }
            at = at.max(stop);
        }
        if at < end {
            self.bytes[at..end].copy_from_slice(&data[at - offset..]);
        }
        let (mut from, mut to) = (offset, end);
        self.ranges.retain(|&(start, stop)| {
            let touches = start <= to && from <= stop;
            if touches {
                (from, to) = (from.min(start), to.max(stop));
            }
            !touches
        });
        let place = self.ranges.partition_point(|r| r.0 < from);
        self.ranges.insert(place, (from, to));
        true
    }

    /// The bytes from the start to the first hole.
    pub(super) fn prefix(&self) -> &[u8] {
        match self.ranges.first() {
            Some(&(0, end)) => &self.bytes[..end],
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_byte_at_a_place_stays() {
        let mut a = Assembler::default();
        assert!(a.insert(2, b"cd", 9));
        assert_eq!(a.prefix(), b"");
        assert!(a.insert(1, b"XXXX", 9));
        assert!(a.insert(0, b"a", 9));
        assert_eq!(a.prefix(), b"aXcdX");
        assert!(!a.insert(8, b"yz", 9));
        assert!(!a.insert(u64::MAX, b"yz", 9));
        assert_eq!(a.prefix(), b"aXcdX");
    }

    proptest! {
        #[test]
        fn pieces_in_any_order_make_the_whole(
            whole in proptest::collection::vec(any::<u8>(), 1..200),
            cuts in proptest::collection::vec((0usize..200, 1usize..50), 0..30),
        ) {
            let mut a = Assembler::default();
            let piece = |at: usize, len: usize| {
                let at = at.min(whole.len());
                (at, &whole[at..(at + len).min(whole.len())])
            };
            for (at, len) in cuts {
                let (at, data) = piece(at, len);
                a.insert(at as u64, data, 1000);
            }
            for at in (0..whole.len()).step_by(7).collect::<Vec<_>>().into_iter().rev() {
                let (at, data) = piece(at, 7);
                prop_assert!(a.insert(at as u64, data, 1000));
            }
            prop_assert_eq!(a.prefix(), &whole[..]);
        }
    }
}
