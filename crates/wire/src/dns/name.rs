//! Domain names as text.

use std::fmt;

use domain::base::name::{Label, ParsedName};
use domain::dep::octseq::Parser;

use crate::error::{Layer, Reason, WireError};

/// A domain name in lower case without its trailing dot; the root is empty.
///
/// Labels that are UTF-8 stay as they are (mDNS service names, RFC 6763 section 4.1.1), so that
/// only a dot or backslash within a label and other bytes are escaped, as `\.` and `\255`
/// (RFC 1035 section 5.1). Kept inline, so that reading a name allocates only where the escapes
/// make it longer than a name can be on the wire.
#[derive(Clone)]
pub struct Name(Text);

#[derive(Clone)]
#[allow(clippy::large_enum_variant)] // inline on purpose; the other is the rare one
enum Text {
    Inline { len: u8, bytes: [u8; INLINE] },
    Long(String),
}

/// Longest unescaped text of a name: 255 bytes on the wire less the root and first length byte.
const INLINE: usize = 253;

impl Name {
    /// The root, which is also what names are where a message has none.
    pub fn root() -> Self {
        Name(Text::Inline { len: 0, bytes: [0; INLINE] })
    }

    /// Reads the name at `offset` of a message, following compression pointers (RFC 1035
    /// section 4.1.4), and tells where it ends. Pointers lead backwards only and the name may
    /// not exceed 255 bytes, so that hostile messages cost no more than honest ones.
    pub(super) fn read(message: &[u8], offset: usize) -> Result<(Self, usize), WireError> {
        let mut name = Name::root();
        if let Some(end) = walk(message, offset, |label| name.push_plain(label)) {
            return Ok((name, end));
        }
        Self::read_any(message, offset)
    }

    /// The same for names of any bytes.
    fn read_any(message: &[u8], offset: usize) -> Result<(Self, usize), WireError> {
        let (parsed, end) = locate(message, offset)?;
        Ok((Self::from_labels(parsed.iter().map(Label::as_slice)), end))
    }

    /// Adds a label of [`PLAIN`] bytes; false where it does not fit.
    fn push_plain(&mut self, label: &[u8]) -> bool {
        let Text::Inline { len, bytes } = &mut self.0 else { return false };
        let mut at = usize::from(*len);
        if at > 0 {
            let Some(dot) = bytes.get_mut(at) else { return false };
            *dot = b'.';
            at += 1;
        }
        let Some(room) = bytes.get_mut(at..at + label.len()) else { return false };
        for (to, from) in room.iter_mut().zip(label) {
            *to = PLAIN[usize::from(*from)];
            if *to == 0 {
                return false;
            }
        }
        *len = (at + label.len()) as u8; // within `INLINE`
        true
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            // Only whole UTF-8 sequences are ever pushed.
            Text::Inline { len, bytes } => {
                std::str::from_utf8(&bytes[..usize::from(*len)]).unwrap_or_default()
            }
            Text::Long(text) => text,
        }
    }

    /// Whether this is the root, or no name at all.
    pub fn is_root(&self) -> bool {
        self.as_str().is_empty()
    }

    fn from_labels<'l>(labels: impl Iterator<Item = &'l [u8]>) -> Self {
        let mut name = Name::root();
        for (index, label) in labels.filter(|label| !label.is_empty()).enumerate() {
            if index > 0 {
                name.push(".");
            }
            name.push_label(label);
        }
        name
    }

    fn push_label(&mut self, label: &[u8]) {
        if let Ok(text) = std::str::from_utf8(label)
            && !text.contains(|c: char| c == '.' || c == '\\' || c.is_control())
        {
            return self.push(text);
        }
        for chunk in label.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '.' => self.push("\\."),
                    '\\' => self.push("\\\\"),
                    c if c.is_control() => {
                        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                            self.push_escape(byte);
                        }
                    }
                    c => self.push(c.encode_utf8(&mut [0; 4])),
                }
            }
            chunk.invalid().iter().for_each(|byte| self.push_escape(*byte));
        }
    }

    fn push_escape(&mut self, byte: u8) {
        let digit = |n: u8| b'0' + n % 10;
        let text = [b'\\', digit(byte / 100), digit(byte / 10), digit(byte)];
        self.push(std::str::from_utf8(&text).unwrap_or_default());
    }

    fn push(&mut self, text: &str) {
        match &mut self.0 {
            Text::Inline { len, bytes } => {
                let start = usize::from(*len);
                if let Some(room) = bytes.get_mut(start..start + text.len()) {
                    room.copy_from_slice(text.as_bytes());
                    room.make_ascii_lowercase();
                    *len += text.len() as u8;
                } else {
                    let mut long = String::with_capacity(4 * INLINE); // all escapes
                    long.push_str(self.as_str());
                    self.0 = Text::Long(long);
                    self.push(text);
                }
            }
            Text::Long(long) => {
                let start = long.len();
                long.push_str(text);
                long[start..].make_ascii_lowercase();
            }
        }
    }
}

/// Bytes that stand for themselves in text, in lower case; 0 for all others.
static PLAIN: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        if (b.is_ascii_graphic() || b == b' ') && b != b'.' && b != b'\\' {
            table[byte] = b.to_ascii_lowercase();
        }
        byte += 1;
    }
    table
};

/// Compression pointers followed on the quick way.
const JUMPS: usize = 8;

/// Walks the labels of the name at `offset` and tells where it ends. `None` where anything is
/// unusual or `each` says so: then [`locate`] decides.
fn walk<'a>(
    message: &'a [u8],
    offset: usize,
    mut each: impl FnMut(&'a [u8]) -> bool,
) -> Option<usize> {
    let (mut at, mut end) = (offset, None);
    // Length bytes included, as on the wire.
    let (mut size, mut jumps) = (1, 0);
    loop {
        match *message.get(at)? {
            0 => return Some(end.unwrap_or(at + 1)),
            len @ 1..=63 => {
                let label = message.get(at + 1..=at + usize::from(len))?;
                size += 1 + label.len();
                if size > 255 || !each(label) {
                    return None;
                }
                at += 1 + label.len();
            }
            high @ 0xc0.. => {
                let to = usize::from(high & 0x3f) << 8 | usize::from(*message.get(at + 1)?);
                jumps += 1;
                if to >= at || jumps > JUMPS {
                    return None;
                }
                end.get_or_insert(at + 2);
                at = to;
            }
            _ => return None,
        }
    }
}

/// What `test` says of the first label of the name at `offset`, empty for the root, and where the
/// name ends.
pub(super) fn first_label<T>(
    message: &[u8],
    offset: usize,
    test: impl FnOnce(&[u8]) -> T,
) -> Result<(T, usize), WireError> {
    let mut first = None;
    let end = walk(message, offset, |label| {
        first.get_or_insert(label);
        true
    });
    if let Some(end) = end {
        return Ok((test(first.unwrap_or_default()), end));
    }
    let (parsed, end) = locate(message, offset)?;
    let first = parsed.iter().next().map(|label| label.as_slice().to_vec());
    Ok((test(&first.unwrap_or_default()), end))
}

/// Where the name at `offset` ends.
pub(super) fn end_of(message: &[u8], offset: usize) -> Result<usize, WireError> {
    match walk(message, offset, |_| true) {
        Some(end) => Ok(end),
        None => locate(message, offset).map(|(_, end)| end),
    }
}

/// The name at `offset`, checked but not yet made text, and where it ends.
fn locate(message: &[u8], offset: usize) -> Result<(ParsedName<&[u8]>, usize), WireError> {
    let fault = |reason| WireError::new(Layer::Dns, offset, reason);
    let have = message.len();
    let short = Reason::Truncated { need: have + 1, have };
    let mut parser = Parser::from_ref(message);
    parser.seek(offset).map_err(|_| fault(short))?;
    match ParsedName::parse_ref(&mut parser) {
        Ok(name) => Ok((name, parser.pos())),
        Err(domain::base::wire::ParseError::ShortInput) => Err(fault(short)),
        Err(_) => Err(fault(Reason::Malformed("not a domain name"))),
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        match (&self.0, &other.0) {
            (Text::Inline { len: a, bytes: x }, Text::Inline { len: b, bytes: y }) => {
                x[..usize::from(*a)] == y[..usize::from(*b)]
            }
            _ => self.as_str() == other.as_str(),
        }
    }
}

impl Eq for Name {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(bytes: &[u8], offset: usize, text: &str, end: usize) {
        let (name, at) = Name::read(bytes, offset).unwrap();
        assert_eq!((name.as_str(), at), (text, end));
    }

    #[test]
    fn names_are_lower_case_text() {
        check(b"\x03WwW\x07Example\x03org\x00", 0, "www.example.org", 17);
        check(b"\x00", 0, "", 1);
        check(b"\x05a.b\\c\x00", 0, "a\\.b\\\\c", 7);
        check(b"\x02\xff\x07\x00", 0, "\\255\\007", 4);
        check("\x06Stüb\x00".replace('\x06', "\u{5}").as_bytes(), 0, "stüb", 7);
    }

    proptest! {
        /// The quick way says what the thorough one says, or nothing.
        #[test]
        fn quick_reading_is_right(
            mut bytes in prop::collection::vec(
                prop_oneof![Just(0u8), 1u8..5, Just(0xc0), b'a'..b'f', b' '..0x7f, any::<u8>()], 0..80),
            offset in 0usize..40,
            long: bool,
        ) {
            if long {
                // Names near the longest that are allowed.
                let label = [&[60][..], &[b'X'; 60]].concat();
                bytes = [&bytes[..], &label, &label, &label, &label, &[9], &[b'y'; 9], &[0]].concat();
            }
            let thorough = Name::read_any(&bytes, offset);
            prop_assert_eq!(Name::read(&bytes, offset).ok(), thorough.as_ref().ok().cloned());
            let end = thorough.as_ref().ok().map(|(_, end)| *end);
            prop_assert_eq!(end_of(&bytes, offset).ok(), end);
            let first = first_label(&bytes, offset, <[u8]>::to_vec);
            prop_assert_eq!(first.as_ref().ok().map(|(_, end)| *end), end);
            if let (Ok((label, _)), Ok((name, _))) = (first, thorough) {
                let alone = Name::from_labels([&label[..]].into_iter());
                prop_assert!(name.as_str().starts_with(alone.as_str()));
                prop_assert_eq!(alone.is_root(), name.is_root());
            }
        }
    }

    #[test]
    fn compression_is_followed_backwards_only() {
        check(b"\x03org\x00\x01a\xc0\x00\xc0\x05", 9, "a.org", 11);
        for (bytes, offset) in [
            (&b"\xc0\x00"[..], 0),    // to itself
            (b"\xc0\x02\xc0\x00", 0), // forwards
            (b"\x01a\xc0\x00", 0),    // a loop that grows the name
            (b"\x40a\x00", 0),        // reserved label type
            (b"\x03ab", 0),           // cut
            (b"", 0),
            (b"\x00", 9),
        ] {
            assert!(Name::read(bytes, offset).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn names_of_escapes_spill() {
        let mut bytes = vec![];
        for _ in 0..3 {
            bytes.push(63);
            bytes.extend([0xff; 63]);
        }
        bytes.push(0);
        let (name, _) = Name::read(&bytes, 0).unwrap();
        assert_eq!(name.as_str().len(), 63 * 4 * 3 + 2);
    }
}
