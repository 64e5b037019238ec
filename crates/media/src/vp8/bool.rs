//! The boolean entropy decoder (RFC 6386 7).

/// Reads bits, each with a probability, off a partition. Past its end it reads zeros, as the
/// reference decoder does.
#[derive(Debug, Clone)]
pub(super) struct BoolReader<'a> {
    rest: &'a [u8],
    /// Bits not yet read, from the top.
    value: u64,
    /// Bits in `value` beyond the eight that the next read looks at.
    spare: i32,
    range: u32,
}

impl<'a> BoolReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        BoolReader { rest: bytes, value: 0, spare: -8, range: 255 }
    }

    fn fill(&mut self) {
        let mut shift = 48 - self.spare;
        while shift >= 0 {
            let Some((&byte, rest)) = self.rest.split_first() else {
                self.spare += 1 << 24; // zeros, which are there already
                return;
            };
            self.value |= u64::from(byte) << shift;
            self.rest = rest;
            self.spare += 8;
            shift -= 8;
        }
    }

    /// One bit that is 0 with `probability` of 256.
    #[inline]
    pub(super) fn bit(&mut self, probability: u8) -> bool {
        if self.spare < 0 {
            self.fill();
        }
        let split = 1 + (((self.range - 1) * u32::from(probability)) >> 8);
        let wide = u64::from(split) << 56;
        let bit = self.value >= wide;
        if bit {
            self.range -= split;
            self.value -= wide;
        } else {
            self.range = split;
        }
        let shift = self.range.leading_zeros() - 24;
        self.range <<= shift;
        self.value <<= shift;
        self.spare -= shift as i32;
        bit
    }

    /// One bit that is as likely 0 as 1.
    #[inline]
    pub(super) fn flag(&mut self) -> bool {
        self.bit(128)
    }

    /// A number of `bits` bits, the highest first.
    pub(super) fn literal(&mut self, bits: u32) -> u8 {
        (0..bits).fold(0, |value, _| value << 1 | u8::from(self.flag()))
    }

    /// A number and its sign, where a flag says that there is one.
    pub(super) fn optional(&mut self, bits: u32) -> Option<i8> {
        self.flag().then(|| {
            let value = self.literal(bits) as i8;
            if self.flag() { -value } else { value }
        })
    }

    /// Walks a tree (8.1): from index 0, positive entries are the next pair, others leaves.
    #[inline]
    pub(super) fn tree(&mut self, tree: &[i8], probabilities: &[u8]) -> u8 {
        let mut at = 0;
        loop {
            let next = tree[at + usize::from(self.bit(probabilities[at >> 1]))];
            if next <= 0 {
                return -next as u8;
            }
            at = next as usize;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The encoder of RFC 6386 7.3.
    #[derive(Default)]
    struct BoolWriter {
        out: Vec<u8>,
        range: u32,
        bottom: u32,
        left: i32,
    }

    impl BoolWriter {
        fn new() -> Self {
            BoolWriter { range: 255, left: 24, ..Default::default() }
        }

        fn carry(&mut self) {
            for byte in self.out.iter_mut().rev() {
                *byte = byte.wrapping_add(1);
                if *byte != 0 {
                    break;
                }
            }
        }

        fn bit(&mut self, probability: u8, bit: bool) {
            let split = 1 + (((self.range - 1) * u32::from(probability)) >> 8);
            if bit {
                let (sum, over) = self.bottom.overflowing_add(split);
                self.bottom = sum;
                self.range -= split;
                if over {
                    self.carry();
                }
            } else {
                self.range = split;
            }
            while self.range < 128 {
                self.range <<= 1;
                if self.bottom & 1 << 31 != 0 {
                    self.carry();
                }
                self.bottom <<= 1;
                self.left -= 1;
                if self.left == 0 {
                    self.out.push((self.bottom >> 24) as u8);
                    self.bottom &= (1 << 24) - 1;
                    self.left = 8;
                }
            }
        }

        fn finish(mut self) -> Vec<u8> {
            for _ in 0..32 {
                self.bit(128, false);
            }
            self.out
        }
    }

    proptest::proptest! {
        #[test]
        fn what_was_written_is_read(bits: Vec<(u8, bool)>) {
            let mut writer = BoolWriter::new();
            for (probability, bit) in &bits {
                writer.bit((*probability).max(1), *bit);
            }
            let bytes = writer.finish();
            let mut reader = BoolReader::new(&bytes);
            for (probability, bit) in bits {
                proptest::prop_assert_eq!(reader.bit(probability.max(1)), bit);
            }
        }

        #[test]
        fn past_the_end_are_zeros(bytes: Vec<u8>) {
            let padded: Vec<u8> = bytes.iter().copied().chain([0; 64]).collect();
            let (mut short, mut long) = (BoolReader::new(&bytes), BoolReader::new(&padded));
            for _ in 0..8 * bytes.len() + 256 {
                proptest::prop_assert_eq!(short.flag(), long.flag());
            }
        }
    }
}
