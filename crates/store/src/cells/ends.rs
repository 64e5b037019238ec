//! The ends of a text, by which most texts are told apart without a look at them.

/// A text's length, its first and its last eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) len: u32,
    pub(super) head: u64,
    pub(super) tail: u64,
}

impl Ends {
    /// Those of no text.
    pub(super) const NONE: Self = Ends { len: u32::MAX, head: 0, tail: 0 };

    #[inline]
    pub(super) fn of(text: &[u8]) -> Self {
        let (head, tail) = match (text.first_chunk(), text.last_chunk()) {
            (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
            _ => match (text.first_chunk(), text.last_chunk()) {
                (Some(head), Some(tail)) => {
                    (u32::from_le_bytes(*head).into(), u32::from_le_bytes(*tail).into())
                }
                _ => {
                    let byte = |at: usize| text.get(at).copied().map_or(0, u64::from);
                    (byte(0) | byte(1) << 8, byte(2))
                }
            },
        };
        Ends { len: text.len() as u32, head, tail }
    }

    /// Whether they are all of the text.
    #[inline]
    pub(super) fn are_all(self) -> bool {
        self.len <= 16
    }

    /// Spreads texts over few places, but not against those who choose them.
    #[inline]
    pub(super) fn mixed(self) -> u64 {
        (self.head ^ self.tail.rotate_left(23) ^ u64::from(self.len))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15) // 2^64 by the golden ratio
    }
}
