//! The start of an XMPP stream (RFC 6120): stream header, STARTTLS, authentication.
//!
//! A scanner of top-level tags, not an XML parser: what is read ends where messages of people
//! begin, and until then servers and clients send plain tags.

use std::fmt;

use crate::error::{Layer, Reason, WireError};
use crate::fields::{Fields, Value};

/// Longest tag, bytes.
pub const MAX_TAG: usize = 8 * 1024;
/// Namespace of stream headers (RFC 6120 section 4.8.1).
const STREAMS: &str = "http://etherx.jabber.org/streams";

/// One tag as it stands in the stream, `<…>` included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag<'a> {
    /// What lies between the brackets.
    text: &'a str,
    /// Bytes from the start of what was read to behind the tag.
    pub end: usize,
}

/// A stream header to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRepr {
    /// Domain that is spoken to.
    pub to: String,
    /// Who speaks, where told.
    pub from: Option<String>,
}

impl<'a> Tag<'a> {
    /// Reads the next tag, going over any text in front of it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let have = bytes.len();
        let cut = |at| WireError::truncated(Layer::Xmpp, at, have + 1, have);
        let start = bytes.iter().position(|b| *b == b'<').ok_or(cut(have))?;
        let fault = |what| Err(WireError::new(Layer::Xmpp, start, Reason::Malformed(what)));
        let mut quote = None;
        for (at, byte) in bytes.iter().enumerate().skip(start + 1).take(MAX_TAG) {
            match (quote, byte) {
                (None, b'>') => {
                    return match std::str::from_utf8(&bytes[start + 1..at]) {
                        Ok(text) => Ok(Tag { text, end: at + 1 }),
                        Err(_) => fault("tag is not UTF-8"),
                    };
                }
                (None, b'<') => return fault("tag within a tag"),
                (None, b'\'' | b'"') => quote = Some(byte),
                (Some(open), close) if open == close => quote = None,
                _ => {}
            }
        }
        if have - start > MAX_TAG { fault("tag without end") } else { Err(cut(start)) }
    }

    /// Local name, prefix kept out; empty for declarations and comments.
    pub fn name(&self) -> &'a str {
        let name = self.text.trim_start_matches('/');
        let name = name.split([' ', '\t', '\r', '\n', '/']).next().unwrap_or_default();
        if name.starts_with(['?', '!']) {
            return "";
        }
        name.rsplit(':').next().unwrap_or_default()
    }

    /// Whether it closes an element.
    pub fn is_closing(&self) -> bool {
        self.text.starts_with('/')
    }

    /// Whether it is the header of an XMPP stream.
    pub fn is_stream(&self) -> bool {
        let ours = |text: &str| text == STREAMS || text.starts_with("jabber:");
        self.name() == "stream"
            && !self.is_closing()
            && self.attributes().any(|(name, value)| name.starts_with("xmlns") && ours(value))
    }

    /// The value of an attribute, entities left as they are.
    pub fn attribute(&self, name: &str) -> Option<&'a str> {
        self.attributes().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    fn attributes(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut rest = self.text.split_once(char::is_whitespace).map_or("", |(_, rest)| rest);
        std::iter::from_fn(move || {
            let (name, behind) = rest.split_once('=')?;
            let behind = behind.trim_start();
            let quote = behind.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
            let (value, behind) = behind[1..].split_once(quote)?;
            rest = behind;
            Some((name.trim(), value))
        })
    }
}

/// Whether these first bytes may begin an XMPP stream: `None` while too few tell.
pub fn begins(bytes: &[u8]) -> Option<bool> {
    let bytes = bytes.trim_ascii_start();
    let agrees = |start: &str| start.as_bytes().starts_with(&bytes[..bytes.len().min(start.len())]);
    if !agrees("<?xml ") && !agrees("<stream:stream ") && !agrees("<?xml\t") {
        return Some(false);
    }
    let mut at = 0;
    for _ in 0..4 {
        match Tag::parse(&bytes[at..]) {
            Ok(tag) if tag.name().is_empty() => at += tag.end,
            Ok(tag) => return Some(tag.is_stream()),
            Err(error) if error.is_truncated() => return None,
            Err(_) => return Some(false),
        }
    }
    Some(false)
}

impl StreamRepr {
    /// Writes the XML declaration and the stream header of a client.
    pub fn emit(&self) -> Vec<u8> {
        let quote = |text: &str| text.replace(['\'', '"', '<', '>'], "");
        let from = self.from.as_deref().map_or(String::new(), |f| format!(" from='{}'", quote(f)));
        format!(
            "<?xml version='1.0'?><stream:stream to='{}'{from} version='1.0' \
             xmlns='jabber:client' xmlns:stream='{STREAMS}'>",
            quote(&self.to)
        )
        .into_bytes()
    }
}

/// The domain of an address: its local part and resource would name a person (RFC 7622).
pub fn domain(address: &str) -> &str {
    let bare = address.split('/').next().unwrap_or_default();
    bare.rsplit('@').next().unwrap_or_default()
}

impl Fields for Tag<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("tag", Value::Text(self.name()));
        for name in ["to", "from", "version", "mechanism"] {
            if let Some(value) = self.attribute(name) {
                each(name, Value::Text(domain(value)));
            }
        }
    }
}

impl fmt::Display for Tag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "XMPP {}", self.name())?;
        self.attribute("to").map_or(Ok(()), |to| write!(f, " to {to}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PIDGIN: &[u8] = b"<?xml version='1.0' ?><stream:stream to='gmail.com' \
        xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";

    #[test]
    fn stream_headers_are_read() {
        let declaration = Tag::parse(PIDGIN).unwrap();
        assert_eq!(declaration.name(), "");
        let header = Tag::parse(&PIDGIN[declaration.end..]).unwrap();
        assert!(header.is_stream());
        assert_eq!(header.attribute("to"), Some("gmail.com"));
        assert_eq!(header.to_string(), "XMPP stream to gmail.com");
        assert_eq!(header.end + declaration.end, PIDGIN.len());
    }

    #[test]
    fn starts_are_told() {
        for cut in 0..PIDGIN.len() {
            assert_eq!(begins(&PIDGIN[..cut]), None, "{cut}");
        }
        assert_eq!(begins(PIDGIN), Some(true));
        let check = |text: &str| assert_eq!(begins(text.as_bytes()), Some(false), "{text}");
        check("<?xml version=\"1.0\"?><root/>");
        check("<html>");
        check("GET / HTTP/1.1");
        check("<?xml ?><!--a--><!--b--><!--c--><!--d--><stream:stream xmlns='jabber:client'>");
        check("<stream:stream to='a'>");
        check(&format!("<stream:stream a='{}'>", "x".repeat(MAX_TAG)));
    }

    #[test]
    fn quotes_hide_brackets() {
        let tag = Tag::parse(b" text <auth mechanism=\"a>b'\"  x = 'y' />rest").unwrap();
        assert_eq!((tag.name(), tag.attribute("mechanism")), ("auth", Some("a>b'")));
        assert_eq!((tag.attribute("x"), tag.end), (Some("y"), 40));
        assert!(Tag::parse(b"<a <b>").is_err());
        assert!(Tag::parse(b"</stream:stream>").unwrap().is_closing());
    }

    #[test]
    fn people_are_not_named() {
        let tag = Tag::parse(b"<stream from='ann@example.org/phone'>").unwrap();
        tag.fields(&mut |name, value| {
            assert!(name != "from" || value == Value::Text("example.org"));
        });
    }

    proptest! {
        #[test]
        fn emit_then_parse_is_identity(
            to in "[a-z]{1,9}\\.[a-z]{2,4}", from in prop::option::of("[a-z]{1,9}@[a-z]{1,9}"),
        ) {
            let repr = StreamRepr { to, from };
            let bytes = repr.emit();
            prop_assert_eq!(begins(&bytes), Some(true));
            let declaration = Tag::parse(&bytes).unwrap();
            let tag = Tag::parse(&bytes[declaration.end..]).unwrap();
            let own = |name| tag.attribute(name).map(str::to_owned);
            prop_assert_eq!(StreamRepr { to: own("to").unwrap(), from: own("from") }, repr);
        }

        #[test]
        fn reading_is_total(bytes in prop::collection::vec(any::<u8>(), 0..99), text in "[<>='\" a-z:?/!]{0,60}") {
            for bytes in [&bytes[..], text.as_bytes()] {
                let _ = begins(bytes);
                if let Ok(tag) = Tag::parse(bytes) {
                    prop_assert!(tag.end <= bytes.len());
                    tag.fields(&mut |_, _| ());
                    let _ = (tag.is_stream(), tag.to_string());
                }
            }
        }
    }
}
