//! The least and the greatest value of a column chunk, by which queries skip it.

use parquet::data_type::ByteArray;
use parquet::file::statistics::{Statistics, ValueStatistics};

use crate::column::Kind;

/// Most bytes of a text kept; a longer one is cut so that it still bounds.
const MAX_TEXT: usize = 64;

/// The bit that tells negative from positive.
const SIGN: u64 = 1 << 63;

/// Bits of numbers made comparable: the order of the result is the order of the values.
/// `None` for what is no number (NaN), which bounds nothing.
fn rank(kind: Kind, bits: u64) -> Option<u64> {
    match kind {
        Kind::Timestamp => Some(bits ^ SIGN),
        Kind::Int32List => Some(bits ^ 1 << 31),
        Kind::Float64 if f64::from_bits(bits).is_nan() => None,
        Kind::Float64 => Some(if bits & SIGN == 0 { bits | SIGN } else { !bits }),
        _ => Some(bits),
    }
}

/// The bits of a rank.
fn unrank(kind: Kind, rank: u64) -> u64 {
    match kind {
        Kind::Timestamp => rank ^ SIGN,
        Kind::Int32List => rank ^ 1 << 31,
        Kind::Float64 => rank ^ if rank & SIGN == 0 { u64::MAX } else { SIGN },
        _ => rank,
    }
}

/// Least and greatest of `values`, as bits.
pub(super) fn bounds(kind: Kind, values: &[u64]) -> Option<(u64, u64)> {
    let ranks = values.iter().filter_map(|&bits| rank(kind, bits));
    let (least, most) =
        ranks.fold((u64::MAX, 0), |(least, most), rank| (rank.min(least), rank.max(most)));
    (least <= most).then(|| (unrank(kind, least), unrank(kind, most)))
}

/// Statistics of numbers.
pub(super) fn numbers(kind: Kind, values: &[u64], missing: u64) -> Statistics {
    let bounds = bounds(kind, values);
    let (least, most) = bounds.unzip();
    let int32 = |bits: u64| (bits as u32).cast_signed();
    match kind {
        Kind::Boolean => {
            let is = |bits: Option<u64>| bits.map(|bits| bits != 0);
            ValueStatistics::new(is(least), is(most), None, Some(missing), false).into()
        }
        Kind::Float64 => {
            // Zero has two signs: the bounds hold both.
            let least = least.map(f64::from_bits).map(|v| if v == 0.0 { -0.0 } else { v });
            let most = most.map(f64::from_bits).map(|v| if v == 0.0 { 0.0 } else { v });
            ValueStatistics::new(least, most, None, Some(missing), false).into()
        }
        Kind::UInt64 | Kind::Timestamp => {
            let is = |bits: Option<u64>| bits.map(u64::cast_signed);
            ValueStatistics::new(is(least), is(most), None, Some(missing), false).into()
        }
        _ => {
            let (least, most) = (least.map(int32), most.map(int32));
            ValueStatistics::new(least, most, None, Some(missing), false).into()
        }
    }
}

/// Statistics of texts.
pub(super) fn texts<'a>(texts: impl Iterator<Item = &'a [u8]>, missing: u64) -> Statistics {
    let mut bounds: Option<(&[u8], &[u8])> = None;
    let (mut low, mut high) = (u64::MAX, 0);
    for text in texts {
        let (least, most) = bounds.get_or_insert((text, text));
        // Most texts lie between by their first bytes.
        let first = first(text);
        if first <= low {
            *least = (*least).min(text);
            low = self::first(least);
        }
        if first >= high {
            *most = (*most).max(text);
            high = self::first(most);
        }
    }
    let (least, most) = bounds.unzip();
    let whole = |text: Option<&[u8]>| text.is_none_or(|text| text.len() <= MAX_TEXT);
    let (exact_least, exact_most) = (whole(least), whole(most));
    let least = least.map(|text| ByteArray::from(cut(text).to_vec()));
    let most = most.and_then(above).map(ByteArray::from);
    let exact_most = exact_most && most.is_some();
    ValueStatistics::new(least, most, None, Some(missing), false)
        .with_min_is_exact(exact_least)
        .with_max_is_exact(exact_most)
        .into()
}

/// The first eight bytes of a text, which compare as the text does.
fn first(text: &[u8]) -> u64 {
    match text.first_chunk() {
        Some(whole) => u64::from_be_bytes(*whole),
        None => text.iter().zip((0..8).rev()).map(|(&byte, at)| u64::from(byte) << (8 * at)).sum(),
    }
}

/// The first whole characters of a text.
fn cut(text: &[u8]) -> &[u8] {
    let mut end = text.len().min(MAX_TEXT);
    while end < text.len() && end > 0 && text[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    &text[..end]
}

/// A short text that is no less; `None` where there is none.
fn above(text: &[u8]) -> Option<Vec<u8>> {
    let mut short = cut(text).to_vec();
    if short.len() == text.len() {
        return Some(short);
    }
    // The last ASCII character that has a next one.
    let at = short.iter().rposition(|&byte| byte < 0x7e)?;
    short.truncate(at + 1);
    short[at] += 1;
    Some(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_what_they_are() {
        let check = |kind, values: &[u64], least: u64, most: u64| {
            assert_eq!(bounds(kind, values), Some((least, most)), "{kind:?}");
        };
        let signed = |value: i64| value.cast_unsigned();
        check(Kind::UInt64, &[3, u64::MAX, 7], 3, u64::MAX);
        check(Kind::Timestamp, &[3, signed(-5), 7], signed(-5), 7);
        check(Kind::Int32List, &[3, u64::from((-5i32).cast_unsigned()), 7], 0xffff_fffb, 7);
        let float = f64::to_bits;
        let values = [float(1.5), float(f64::NAN), float(-2.5), float(0.0)];
        check(Kind::Float64, &values, float(-2.5), float(1.5));
        assert_eq!(bounds(Kind::Float64, &[float(f64::NAN)]), None);
    }

    #[test]
    fn texts_are_bound_whatever_their_first_bytes() {
        let texts: [&[u8]; 9] = [
            b"b",
            b"aaaaaaaab",
            b"aaaaaaaaa",
            b"",
            b"\0",
            b"zzzzzzzz",
            b"zzzzzzzzz",
            b"zzzzzzzz\0",
            b"b",
        ];
        for from in 0..texts.len() {
            for to in from + 1..=texts.len() {
                let some = &texts[from..to];
                let found = super::texts(some.iter().copied(), 0);
                assert_eq!(found.min_bytes_opt(), some.iter().min().copied(), "{from} {to}");
                assert_eq!(found.max_bytes_opt(), some.iter().max().copied(), "{from} {to}");
            }
        }
    }

    #[test]
    fn long_texts_are_cut_and_still_bound() {
        let check = |text: &str| {
            let (short, above) = (cut(text.as_bytes()), above(text.as_bytes()).unwrap());
            assert!(short.len() <= MAX_TEXT && above.len() <= MAX_TEXT);
            assert!(std::str::from_utf8(short).is_ok() && std::str::from_utf8(&above).is_ok());
            assert!(short <= text.as_bytes() && text.as_bytes() <= &above[..], "{text}");
        };
        check("");
        check("example.com");
        check(&"a".repeat(64));
        check(&"a".repeat(65));
        check(&format!("{}ö", "a".repeat(63)));
        check(&format!("b{}", "ö".repeat(60)));
        assert_eq!(above("ö".repeat(60).as_bytes()), None);
    }
}
