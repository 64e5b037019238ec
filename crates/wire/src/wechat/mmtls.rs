//! MMTLS, WeChat's own dialect of an early TLS 1.3 (citizenlab/wechat-security-report).
//!
//! Records have TLS's types and lengths with versions of their own, over bare TCP or in the
//! bodies of HTTP requests. Hellos and some alerts are in clear, behind a length of four bytes.

use std::fmt;

use crate::cursor::{Cursor, put_vec16};
use crate::error::{Layer, Reason, WireError};
use crate::fields::{Fields, Value};

/// Bytes before the fragment: type, version, length.
pub const HEADER: usize = 5;

/// Types of records.
pub mod content {
    /// Something ended or went wrong.
    pub const ALERT: u8 = 0x15;
    /// Hellos in clear, further handshake messages encrypted.
    pub const HANDSHAKE: u8 = 0x16;
    /// What is protected.
    pub const DATA: u8 = 0x17;
    /// The handshake of a resumed session whose first request follows at once.
    pub const EARLY: u8 = 0x19;
}

/// Versions seen.
pub mod version {
    /// The older.
    pub const F103: u16 = 0xf103;
    /// The newer.
    pub const F104: u16 = 0xf104;
}

/// Types of handshake messages in clear.
pub mod handshake_type {
    /// From the client.
    pub const CLIENT_HELLO: u8 = 1;
    /// From the server.
    pub const SERVER_HELLO: u8 = 2;
}

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// See [`content`].
    pub content_type: u8,
    /// See [`version`].
    pub version: u16,
    /// The payload, encrypted or not.
    pub fragment: &'a [u8],
}

/// Type, version and fragment length of the record at the start of `bytes`, if these are the
/// first five bytes of one.
pub fn header(bytes: &[u8]) -> Result<(u8, u16, usize), WireError> {
    let mut at = Cursor::new(Layer::Mmtls, bytes);
    let content_type = at.u8()?;
    if !matches!(content_type, content::ALERT | content::HANDSHAKE | content::DATA | content::EARLY)
    {
        return Err(WireError::new(Layer::Mmtls, 0, Reason::BadMagic));
    }
    let version = at.u16()?;
    if !matches!(version, version::F103 | version::F104) {
        return Err(WireError::new(Layer::Mmtls, 1, Reason::BadVersion(version.into())));
    }
    let len = usize::from(at.u16()?);
    if len == 0 {
        return Err(WireError::new(Layer::Mmtls, 3, Reason::BadLength));
    }
    Ok((content_type, version, len))
}

/// Whether a fragment of `len` bytes, of which `bytes` are there, says in its first four bytes
/// that it holds one message in clear; none while fewer than four are there.
pub fn is_clear(bytes: &[u8], len: usize) -> Option<bool> {
    let inner = u32::from_be_bytes(*bytes.first_chunk()?);
    Some(u64::from(inner) + 4 == len as u64)
}

impl<'a> Record<'a> {
    /// Reads the record at the start of `bytes`; the next one starts [`Record::size`] on.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (content_type, version, len) = header(bytes)?;
        let fragment = bytes
            .get(HEADER..HEADER + len)
            .ok_or_else(|| WireError::truncated(Layer::Mmtls, 0, HEADER + len, bytes.len()))?;
        Ok(Record { content_type, version, fragment })
    }

    /// Bytes with the header.
    pub fn size(&self) -> usize {
        HEADER + self.fragment.len()
    }

    /// Writes the record; a fragment of more than 65,535 bytes is cut.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.push(self.content_type);
        out.extend_from_slice(&self.version.to_be_bytes());
        put_vec16(out, self.fragment);
    }
}

/// The type in words.
pub fn name(content_type: u8) -> &'static str {
    match content_type {
        content::ALERT => "alert",
        content::HANDSHAKE => "handshake",
        content::EARLY => "early-handshake",
        _ => "data",
    }
}

impl fmt::Display for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} record of {} bytes", name(self.content_type), self.fragment.len())
    }
}

impl Fields for Record<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("content_type", Value::Hex(self.content_type.into()));
        each("version", Value::Hex(self.version.into()));
        each("len", Value::Number(self.fragment.len() as u64));
    }
}

/// A hello, the fragment of a handshake record in clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello<'a> {
    /// See [`handshake_type`].
    pub kind: u8,
    /// See [`version`]; on the wire the low byte comes first.
    pub version: u16,
    /// Cipher suites, two bytes each: those offered, or the one chosen. Numbers are TLS's.
    pub suites: &'a [u8],
    /// 32 random bytes.
    pub random: &'a [u8],
    /// The client's clock, seconds since 1970 UTC.
    pub time: Option<u32>,
    /// What follows, as it is.
    pub extensions: &'a [u8],
}

impl<'a> Hello<'a> {
    /// Reads a hello from a record's fragment.
    pub fn parse(fragment: &'a [u8]) -> Result<Self, WireError> {
        let mut at = Cursor::new(Layer::Mmtls, fragment);
        let inner = at.u32()? as usize;
        let kind = at.u8()?;
        if !matches!(kind, handshake_type::CLIENT_HELLO | handshake_type::SERVER_HELLO) {
            return Err(WireError::new(Layer::Mmtls, 4, Reason::Unsupported(kind.into())));
        }
        if inner + 4 != fragment.len() {
            return Err(WireError::new(Layer::Mmtls, 0, Reason::BadLength));
        }
        let version = at.u16()?.swap_bytes();
        if !matches!(version, version::F103 | version::F104) {
            return Err(WireError::new(Layer::Mmtls, 5, Reason::BadVersion(version.into())));
        }
        let client = kind == handshake_type::CLIENT_HELLO;
        let count = if client { usize::from(at.u8()?) } else { 1 };
        let suites = at.take(2 * count)?;
        let random = at.take(32)?;
        let time = if client { Some(at.u32()?) } else { None };
        let len = at.u32()? as usize;
        Ok(Hello { kind, version, suites, random, time, extensions: at.take(len)? })
    }

    /// Suites in order.
    pub fn ciphers(&self) -> impl Iterator<Item = u16> + 'a {
        self.suites.as_chunks().0.iter().map(|pair| u16::from_be_bytes(*pair))
    }

    /// Writes the fragment; `random` is cut or filled to 32 bytes.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        out.push(self.kind);
        out.extend_from_slice(&self.version.to_le_bytes());
        let count = (self.suites.len() / 2).min(usize::from(u8::MAX));
        if self.kind == handshake_type::CLIENT_HELLO {
            out.push(count as u8);
        }
        out.extend_from_slice(&self.suites[..2 * count]);
        let random = &self.random[..self.random.len().min(32)];
        out.extend_from_slice(random);
        out.resize(out.len() + 32 - random.len(), 0);
        if let Some(time) = self.time {
            out.extend_from_slice(&time.to_be_bytes());
        }
        out.extend_from_slice(&(self.extensions.len() as u32).to_be_bytes());
        out.extend_from_slice(self.extensions);
        let inner = (out.len() - start - 4) as u32;
        out[start..start + 4].copy_from_slice(&inner.to_be_bytes());
    }
}

impl fmt::Display for Hello<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = if self.kind == handshake_type::CLIENT_HELLO { "client" } else { "server" };
        write!(f, "{who} hello, version {:04x}", self.version)
    }
}

impl Fields for Hello<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("kind", Value::Number(self.kind.into()));
        each("version", Value::Hex(self.version.into()));
        for cipher in self.ciphers() {
            each("cipher", Value::Hex(cipher.into()));
        }
        if let Some(time) = self.time {
            each("time", Value::Number(time.into()));
        }
        each("extensions", Value::Number(self.extensions.len() as u64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use proptest::prelude::*;

    #[test]
    fn records_are_walked() {
        let bytes = hex!("15f10400070000000300730217f103000201ff");
        let alert = Record::parse(&bytes).unwrap();
        assert_eq!(alert.to_string(), "alert record of 7 bytes");
        assert_eq!(is_clear(alert.fragment, 7), Some(true));
        let data = Record::parse(&bytes[alert.size()..]).unwrap();
        assert_eq!((data.content_type, data.version), (content::DATA, version::F103));
        assert_eq!(is_clear(data.fragment, 2), None);
    }

    #[test]
    fn tls_and_others_are_refused() {
        let reason = |bytes: &[u8]| Record::parse(bytes).unwrap_err().reason;
        assert_eq!(reason(&[0x16, 3, 1, 0, 1, 0]), Reason::BadVersion(0x0301));
        assert_eq!(reason(&[0x18, 0xf1, 4, 0, 1, 0]), Reason::BadMagic);
        assert_eq!(reason(&[0x17, 0xf1, 4, 0, 0]), Reason::BadLength);
        assert_eq!(reason(&[0x17, 0xf1, 4, 0, 2, 0]), Reason::Truncated { need: 7, have: 6 });
    }

    proptest! {
        #[test]
        fn emit_then_parse_is_identity(
            kind in 1u8..=2,
            newer: bool,
            random: [u8; 32],
            suites in prop::collection::vec(any::<[u8; 2]>(), 0..5),
            time: u32,
            extensions in prop::collection::vec(any::<u8>(), 0..40),
            content_type in prop::sample::select(vec![0x15u8, 0x16, 0x17, 0x19]),
        ) {
            let client = kind == handshake_type::CLIENT_HELLO;
            let suites = if client { suites.concat() } else { vec![0, 0xa8] };
            let version = if newer { version::F104 } else { version::F103 };
            let hello = Hello {
                kind,
                version,
                suites: &suites,
                random: &random,
                time: client.then_some(time),
                extensions: &extensions,
            };
            let mut fragment = Vec::new();
            hello.emit(&mut fragment);
            prop_assert_eq!(Hello::parse(&fragment), Ok(hello));
            prop_assert_eq!(is_clear(&fragment, fragment.len()), Some(true));
            let record = Record { content_type, version, fragment: &fragment };
            let mut bytes = Vec::new();
            record.emit(&mut bytes);
            prop_assert_eq!(Record::parse(&bytes), Ok(record));
            for cut in 0..bytes.len() {
                prop_assert!(Record::parse(&bytes[..cut]).unwrap_err().is_truncated());
            }
        }

        #[test]
        fn reading_is_total(bytes in prop::collection::vec(any::<u8>(), 0..80), inner: u8) {
            let _ = (Record::parse(&bytes), Hello::parse(&bytes), is_clear(&bytes, 4));
            let mut hello = vec![0, 0, 0, inner, 1, 4, 0xf1];
            hello.extend(bytes);
            let _ = Hello::parse(&hello);
        }
    }
}
