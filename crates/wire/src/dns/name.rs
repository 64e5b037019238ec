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
    Long(Box<str>),
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
        let (parsed, end) = locate(message, offset)?;
        Ok((Self::from_labels(parsed.iter().map(Label::as_slice)), end))
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
        if let Text::Inline { len, bytes } = &mut self.0 {
            let start = usize::from(*len);
            if let Some(room) = bytes.get_mut(start..start + text.len()) {
                room.copy_from_slice(text.as_bytes());
                room.make_ascii_lowercase();
                *len += text.len() as u8;
                return;
            }
        }
        let mut long = self.as_str().to_owned();
        long.push_str(&text.to_ascii_lowercase());
        self.0 = Text::Long(long.into());
    }
}

/// The name at `offset`, checked but not yet made text, and where it ends.
pub(super) fn locate(
    message: &[u8],
    offset: usize,
) -> Result<(ParsedName<&[u8]>, usize), WireError> {
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
        self.as_str() == other.as_str()
    }
}

impl Eq for Name {}

#[cfg(test)]
mod tests {
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
