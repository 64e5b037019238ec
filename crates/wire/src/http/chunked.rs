//! Skips a chunked body (RFC 9112 section 7.1) without keeping any of it.

use crate::error::{Layer, Reason, WireError};

/// Where in a chunked body the stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chunked {
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Within the digits of a chunk's size, of which there were some.
    Size { size: u64, digits: u8 },
    /// Behind the digits, up to the line's end.
    Extension { size: u64 },
    /// Within a chunk's bytes.
    Data { left: u64 },
    /// In front of the line break that ends a chunk.
    DataEnd,
    /// Within the lines behind the last chunk; whether this one has had a byte.
    Trailer { empty: bool },
    /// Behind the body.
    Done,
}

impl Default for State {
    fn default() -> Self {
        State::Size { size: 0, digits: 0 }
    }
}

impl Chunked {
    /// Goes through `bytes` and tells how many belong to the body; fewer than there are, or
    /// [`is_done`](Self::is_done), means that it has ended.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<usize, WireError> {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            let fault =
                || WireError::new(Layer::Http, at, Reason::Malformed("chunk size is no number"));
            self.state = match self.state {
                State::Done => break,
                State::Data { left } => {
                    let here = left.min((bytes.len() - at) as u64);
                    at += here as usize;
                    self.state = if here == left {
                        State::DataEnd
                    } else {
                        State::Data { left: left - here }
                    };
                    continue;
                }
                State::Size { size, digits } => match (byte, (*byte as char).to_digit(16)) {
                    (_, Some(digit)) if digits < 15 => {
                        State::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }
                    }
                    (b'\n', _) if digits > 0 => behind_size(size),
                    (b'\r' | b';' | b' ' | b'\t', _) if digits > 0 => State::Extension { size },
                    _ => return Err(fault()),
                },
                State::Extension { size } if *byte == b'\n' => behind_size(size),
                State::DataEnd => match byte {
                    b'\r' => State::DataEnd,
                    b'\n' => State::default(),
                    _ => return Err(fault()),
                },
                State::Trailer { empty } => match byte {
                    b'\n' if empty => State::Done,
                    b'\n' => State::Trailer { empty: true },
                    b'\r' => State::Trailer { empty },
                    _ => State::Trailer { empty: false },
                },
                extension @ State::Extension { .. } => extension,
            };
            at += 1;
        }
        Ok(at)
    }

    /// Goes over `missing` bytes that were not seen; false if the place is then unknown.
    pub fn skip(&mut self, missing: u64) -> bool {
        match &mut self.state {
            State::Data { left } if *left >= missing => {
                *left -= missing;
                if *left == 0 {
                    self.state = State::DataEnd;
                }
                true
            }
            _ => false,
        }
    }

    /// Whether the body has ended.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }
}

fn behind_size(size: u64) -> State {
    if size == 0 { State::Trailer { empty: true } } else { State::Data { left: size } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BODY: &[u8] =
        b"4\r\nWiki\r\n1D;name=\"v\"\r\npedia in chunks over there.\r\n\r\n0\r\nExpires: 0\r\n\r\n";

    #[test]
    fn bodies_end_behind_their_trailer() {
        let mut chunked = Chunked::default();
        let stream = [BODY, b"HTTP/1.1 200 OK"].concat();
        assert_eq!(chunked.advance(&stream), Ok(BODY.len()));
        assert!(chunked.is_done());
    }

    #[test]
    fn sizes_are_checked() {
        for bad in [&b"x\r\n"[..], b"\r\n", b"4\r\nWikix", b"1234567890abcdef\r\n"] {
            assert!(Chunked::default().advance(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn holes_within_a_chunk_are_skipped() {
        let mut chunked = Chunked::default();
        chunked.advance(b"10\r\n0123").unwrap();
        assert!(chunked.skip(12));
        assert_eq!(chunked.advance(b"\r\n0\r\n\r\n"), Ok(7));
        assert!(chunked.is_done());
        chunked = Chunked::default();
        chunked.advance(b"10\r\n0123").unwrap();
        assert!(!chunked.skip(13));
    }

    proptest! {
        #[test]
        fn cutting_changes_nothing(cuts in prop::collection::vec(0..BODY.len(), 0..8)) {
            let mut cuts = cuts;
            cuts.extend([0, BODY.len()]);
            cuts.sort_unstable();
            let mut chunked = Chunked::default();
            for pair in cuts.windows(2) {
                prop_assert_eq!(chunked.advance(&BODY[pair[0]..pair[1]]), Ok(pair[1] - pair[0]));
            }
            prop_assert!(chunked.is_done());
        }

        #[test]
        fn skipping_is_total(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let used = Chunked::default().advance(&bytes).unwrap_or(0);
            prop_assert!(used <= bytes.len());
        }
    }
}
