//! Parquet's encodings of integers: bit-packed, run-length and bit-packed in turns, differences
//! (<https://parquet.apache.org/docs/file-format/data-pages/encodings/>).

/// Appends `value` as an unsigned varint (LEB128).
pub(super) fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends `value` as a varint in zigzag order: 0, -1, 1, -2 ...
fn zigzag(value: i64, out: &mut Vec<u8>) {
    varint((value << 1 ^ value >> 63).cast_unsigned(), out);
}

/// How many bits `value` takes.
pub(super) fn width(value: u64) -> u32 {
    64 - value.leading_zeros()
}

/// Appends values of `width` bits each, the least significant bit first.
fn pack(values: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    let (mut bits, mut held): (u64, u32) = (0, 0);
    for value in values {
        bits |= value << held;
        held += width;
        if held >= 64 {
            out.extend_from_slice(&bits.to_le_bytes());
            held -= 64;
            bits = value.checked_shr(width - held).unwrap_or(0);
        }
    }
    out.extend_from_slice(&bits.to_le_bytes()[..held.div_ceil(8) as usize]);
}

/// Appends bits, eight a byte (PLAIN of booleans).
pub(super) fn booleans(values: &[u64], out: &mut Vec<u8>) {
    pack(values.iter().copied(), 1, out);
}

/// Appends `count` times `value` of `width` bits as one run.
pub(super) fn run(value: u32, count: usize, width: u32, out: &mut Vec<u8>) {
    varint((count as u64) << 1, out);
    out.extend_from_slice(&value.to_le_bytes()[..width.div_ceil(8) as usize]);
}

/// Appends values of `width` bits by the RLE/bit-packing hybrid: runs of eight and more as
/// runs, what lies between bit-packed in groups of eight.
pub(super) fn hybrid(values: &[u32], width: u32, out: &mut Vec<u8>) {
    let mut packed = 0; // where values begin that are not written yet
    let mut at = 0;
    while at < values.len() {
        let value = values[at];
        let group = &values[at..values.len().min(at + 8)];
        if group.len() == 8 && group.iter().all(|&other| other == value) {
            let same = values[at + 8..].iter().take_while(|&&other| other == value).count();
            groups(&values[packed..at], width, out);
            run(value, 8 + same, width, out);
            at += 8 + same;
            packed = at;
        } else {
            at += group.len();
        }
    }
    groups(&values[packed..], width, out);
}

/// Appends values bit-packed; only the last of a page may be no multiple of eight.
fn groups(values: &[u32], width: u32, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let count = values.len().div_ceil(8);
    varint((count as u64) << 1 | 1, out);
    let (start, each) = (out.len(), width as usize);
    let end = start + count * each;
    let mut rest = values;
    if (1..=16).contains(&each) {
        let (whole, last) = values.as_chunks::<8>();
        for (group, at) in whole.iter().zip((start..).step_by(each)) {
            let half = |four: &[u32]| {
                four.iter().rev().fold(0, |bits: u64, &value| bits << width | u64::from(value))
            };
            let bits = u128::from(half(&group[..4])) | u128::from(half(&group[4..])) << (4 * width);
            // A fixed number of bytes is far cheaper to write; the next group goes over the rest.
            out.extend_from_slice(&bits.to_le_bytes());
            out.truncate(at + each);
        }
        rest = last;
    }
    pack(rest.iter().map(|&value| u64::from(value)), width, out);
    out.resize(end, 0);
}

/// Values of a block of differences, and of each of its four parts that have a width each.
const BLOCK: usize = 128;
const PART: usize = 32;

/// Appends values as differences (`DELTA_BINARY_PACKED`); `narrow` where they have 32 bits.
pub(super) fn differences(values: &[u64], narrow: bool, out: &mut Vec<u8>) {
    let sign = |bits: u64| {
        if narrow { i64::from((bits as u32).cast_signed()) } else { bits.cast_signed() }
    };
    varint(BLOCK as u64, out);
    varint((BLOCK / PART) as u64, out);
    varint(values.len() as u64, out);
    let mut before = values.first().copied().unwrap_or(0);
    zigzag(sign(before), out);
    let mut room = [0; BLOCK];
    for block in values.get(1..).unwrap_or_default().chunks(BLOCK) {
        let mut least = i64::MAX;
        for (difference, &value) in room.iter_mut().zip(block) {
            *difference = sign(value.wrapping_sub(before));
            least = least.min(*difference);
            before = value;
        }
        zigzag(least, out);
        let above = |difference: i64| {
            let above = difference.wrapping_sub(least).cast_unsigned();
            if narrow { above & u64::from(u32::MAX) } else { above }
        };
        let parts = room[..block.len()].chunks(PART);
        let widths = out.len();
        out.resize(widths + BLOCK / PART, 0);
        for (i, part) in parts.enumerate() {
            let width = width(part.iter().fold(0, |all, &difference| all | above(difference)));
            out[widths + i] = width as u8;
            let end = out.len() + PART / 8 * width as usize;
            pack(part.iter().map(|&difference| above(difference)), width, out);
            out.resize(end, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_as_the_specification_has_them() {
        let check = |value: u64, expected: &[u8]| {
            let mut out = Vec::new();
            varint(value, &mut out);
            assert_eq!(out, expected);
        };
        check(0, &[0]);
        check(127, &[0x7f]);
        check(300, &[0xac, 0x02]);
        let mut out = Vec::new();
        [0, -1, 1, -2].into_iter().for_each(|value| zigzag(value, &mut out));
        assert_eq!(out, [0, 1, 2, 3]);
    }

    /// The example of the specification: 0 to 7 in three bits.
    #[test]
    fn bits_are_packed_from_the_least() {
        let mut out = Vec::new();
        hybrid(&[0, 1, 2, 3, 4, 5, 6, 7], 3, &mut out);
        assert_eq!(out, [0b11, 0b1000_1000, 0b1100_0110, 0b1111_1010]);
        out.clear();
        hybrid(&[[4; 20].as_slice(), &[1, 2]].concat(), 3, &mut out);
        assert_eq!(out, [20 << 1, 4, 0b11, 0b01_0001, 0, 0]);
    }

    /// Bit for bit, for every width.
    #[test]
    fn packing_is_that_of_the_specification() {
        for width in 0..=64 {
            for len in [1, 7, 8, 9, 31, 64, 100] {
                let mixed = |i: u64| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let value = |i| mixed(i).checked_shr(64 - width).unwrap_or(0);
                let values: Vec<u64> = (0..len).map(value).collect();
                let bit = |i: usize| {
                    let value = values.get(i / width as usize).copied().unwrap_or(0);
                    (value >> (i % width as usize) & 1) as u8
                };
                let byte = |at: usize| (0..8).map(|i| bit(8 * at + i) << i).sum::<u8>();
                let mut out = vec![9];
                pack(values.iter().copied(), width, &mut out);
                let whole = values.len() * width as usize;
                let expected: Vec<u8> = (0..whole.div_ceil(8)).map(byte).collect();
                assert_eq!(out[1..], expected, "{width} {len}");
                if width > 32 {
                    continue;
                }
                let narrow: Vec<u32> = values.iter().map(|&value| value as u32).collect();
                out.clear();
                groups(&narrow, width, &mut out);
                let count = values.len().div_ceil(8);
                let expected: Vec<u8> = (0..count * width as usize).map(byte).collect();
                assert_eq!(out[0], (count << 1 | 1) as u8);
                assert_eq!(out[1..], expected, "{width} {len}");
            }
        }
    }

    /// The examples of the specification: a constant step, and steps of both signs.
    #[test]
    fn differences_as_the_specification_has_them() {
        let mut out = Vec::new();
        differences(&[1, 2, 3, 4, 5], false, &mut out);
        assert_eq!(out, [0x80, 1, 4, 5, 2, 2, 0, 0, 0, 0]);
        out.clear();
        differences(&[7, 5, 3, 1, 2, 3, 4, 5], true, &mut out);
        // Above the least difference, -2: 0 0 0 3 3 3 3, two bits each.
        assert_eq!(out[..10], [0x80, 1, 4, 8, 14, 3, 2, 0, 0, 0]);
        assert_eq!(out[10..], [0b1100_0000, 0b0011_1111, 0, 0, 0, 0, 0, 0]);
    }
}
