//! The record layer (RFC 8446 5.1): what a TLS stream is cut into.

use std::fmt;

use super::content;
use crate::cursor::Cursor;
use crate::error::{Layer, Reason, WireError};
use crate::fields::{Fields, Value};

/// Bytes before the fragment: type, version, length.
pub const HEADER: usize = 5;
/// The longest fragment: 2^14 bytes and what ciphers before TLS 1.3 may add (RFC 5246 6.2.3).
pub const MAX_FRAGMENT: usize = (1 << 14) + 2048;

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// See [`super::content`].
    pub content_type: u8,
    /// Version of the record layer, 0x0301 to 0x0303 whatever is negotiated.
    pub version: u16,
    /// The payload, encrypted or not.
    pub fragment: &'a [u8],
}

/// Type, version and fragment length of the record at the start of `bytes`, if these are the
/// first five bytes of one. MMTLS (`16 f1 04`) and others that borrow the types are refused.
pub fn header(bytes: &[u8]) -> Result<(u8, u16, usize), WireError> {
    let mut at = Cursor::new(Layer::Tls, bytes);
    let content_type = at.u8()?;
    if !(content::CHANGE_CIPHER_SPEC..=content::HEARTBEAT).contains(&content_type) {
        return Err(WireError::new(Layer::Tls, 0, Reason::BadMagic));
    }
    let version = at.u16()?;
    if version >> 8 != 3 || version & 0xff > 4 {
        return Err(WireError::new(Layer::Tls, 1, Reason::BadVersion(version.into())));
    }
    let len = usize::from(at.u16()?);
    if len > MAX_FRAGMENT {
        return Err(WireError::new(Layer::Tls, 3, Reason::BadLength));
    }
    Ok((content_type, version, len))
}

impl<'a> Record<'a> {
    /// Reads the record at the start of `bytes`; the next one starts [`Record::size`] on.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (content_type, version, len) = header(bytes)?;
        let fragment = bytes
            .get(HEADER..HEADER + len)
            .ok_or_else(|| WireError::truncated(Layer::Tls, 0, HEADER + len, bytes.len()))?;
        Ok(Record { content_type, version, fragment })
    }

    /// Bytes with the header.
    pub fn size(&self) -> usize {
        HEADER + self.fragment.len()
    }

    /// Writes the record; a fragment longer than 2^14 bytes becomes several.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let empty = self.fragment.is_empty().then_some(&[][..]);
        for part in self.fragment.chunks(1 << 14).chain(empty) {
            out.push(self.content_type);
            out.extend_from_slice(&self.version.to_be_bytes());
            out.extend_from_slice(&(part.len() as u16).to_be_bytes());
            out.extend_from_slice(part);
        }
    }
}

impl fmt::Display for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.content_type {
            content::CHANGE_CIPHER_SPEC => "change cipher spec",
            content::ALERT => "alert",
            content::HANDSHAKE => "handshake",
            content::APPLICATION_DATA => "application data",
            _ => "heartbeat",
        };
        write!(f, "{name} record of {} bytes", self.fragment.len())
    }
}

impl Fields for Record<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("content_type", Value::Number(self.content_type.into()));
        each("version", Value::Hex(self.version.into()));
        each("len", Value::Number(self.fragment.len() as u64));
    }
}

/// An alert in clear (RFC 8446 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alert {
    /// 1 warning, 2 fatal.
    pub level: u8,
    /// What happened.
    pub description: u8,
}

impl Alert {
    /// Reads an alert; encrypted ones are longer and refused.
    pub fn parse(fragment: &[u8]) -> Result<Self, WireError> {
        match *fragment {
            [level @ 1..=2, description] => Ok(Alert { level, description }),
            _ => Err(WireError::new(Layer::Tls, 0, Reason::Malformed("encrypted alert"))),
        }
    }

    /// Writes the alert's two bytes.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.level, self.description]);
    }

    /// The description in words (IANA TLS alerts).
    pub fn name(&self) -> &'static str {
        match self.description {
            0 => "close notify",
            10 => "unexpected message",
            20 => "bad record mac",
            22 => "record overflow",
            40 => "handshake failure",
            42 => "bad certificate",
            43 => "unsupported certificate",
            44 => "certificate revoked",
            45 => "certificate expired",
            46 => "certificate unknown",
            47 => "illegal parameter",
            48 => "unknown ca",
            49 => "access denied",
            50 => "decode error",
            51 => "decrypt error",
            70 => "protocol version",
            71 => "insufficient security",
            80 => "internal error",
            86 => "inappropriate fallback",
            90 => "user canceled",
            100 => "no renegotiation",
            109 => "missing extension",
            110 => "unsupported extension",
            112 => "unrecognized name",
            116 => "certificate required",
            120 => "no application protocol",
            _ => "alert",
        }
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = if self.level == 2 { "fatal" } else { "warning" };
        write!(f, "{level} {} ({})", self.name(), self.description)
    }
}

impl Fields for Alert {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("level", Value::Number(self.level.into()));
        each("description", Value::Number(self.description.into()));
        each("meaning", Value::Text(self.name()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_walked_and_written_back() {
        let bytes = [0x16, 3, 1, 0, 2, 9, 9, 0x15, 3, 3, 0, 2, 2, 40];
        let first = Record::parse(&bytes).unwrap();
        assert_eq!((first.content_type, first.version, first.fragment), (22, 0x301, &[9, 9][..]));
        let second = Record::parse(&bytes[first.size()..]).unwrap();
        let alert = Alert::parse(second.fragment).unwrap();
        assert_eq!(alert.to_string(), "fatal handshake failure (40)");
        let mut out = Vec::new();
        first.emit(&mut out);
        second.emit(&mut out);
        assert_eq!(out, bytes);
    }

    #[test]
    fn mmtls_and_others_are_refused() {
        let reason = |bytes: &[u8]| Record::parse(bytes).unwrap_err().reason;
        assert_eq!(reason(&[0x16, 0xf1, 4, 0, 1, 0]), Reason::BadVersion(0xf104));
        assert_eq!(reason(&[0x16, 0xf1, 3, 0, 1, 0]), Reason::BadVersion(0xf103));
        assert_eq!(reason(&[0x19, 3, 1, 0, 1, 0]), Reason::BadMagic);
        assert_eq!(reason(&[0x16, 3, 1, 0xff, 0xff, 0]), Reason::BadLength);
        assert_eq!(reason(&[0x16, 3, 1, 0, 2, 0]), Reason::Truncated { need: 7, have: 6 });
        assert_eq!(reason(&[]), Reason::Truncated { need: 1, have: 0 });
    }
}
