//! DTLS 1.0, 1.2 and 1.3: records and handshake fragments (RFC 4347, 6347, 9147).
//!
//! The hellos inside are those of [`crate::tls`]. DTLS 1.3 encrypts under a header of its own
//! (first byte 0x20 to 0x3f), which tells nothing and is not read.

use std::fmt;

use crate::cursor::{Cursor, put_u24};
use crate::error::{Layer, Reason, WireError};
use crate::fields::{Fields, Value};
use crate::tls::{content, handshake, handshake_type, record::MAX_FRAGMENT};

/// Bytes before a record's fragment.
pub const HEADER: usize = 13;
/// Bytes before a handshake fragment's body.
pub const HANDSHAKE_HEADER: usize = 12;

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// See [`crate::tls::content`].
    pub content_type: u8,
    /// 0xfeff, 0xfefd, or 0x0100 of old OpenSSL.
    pub version: u16,
    /// 0 until keys are in use.
    pub epoch: u16,
    /// 48 bits.
    pub sequence: u64,
    /// The payload, encrypted unless the epoch is 0.
    pub fragment: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads the record at the start of `bytes`; a datagram may hold several.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut at = Cursor::new(Layer::Dtls, bytes);
        let content_type = at.u8()?;
        if !(content::CHANGE_CIPHER_SPEC..=content::HEARTBEAT).contains(&content_type) {
            return Err(WireError::new(Layer::Dtls, 0, Reason::BadMagic));
        }
        let version = at.u16()?;
        if !matches!(version, 0xfeff | 0xfefd | 0x0100) {
            return Err(WireError::new(Layer::Dtls, 1, Reason::BadVersion(version.into())));
        }
        let epoch = at.u16()?;
        let sequence = at.u48()?;
        let len = usize::from(at.u16()?);
        if len > MAX_FRAGMENT {
            return Err(WireError::new(Layer::Dtls, 11, Reason::BadLength));
        }
        Ok(Record { content_type, version, epoch, sequence, fragment: at.take(len)? })
    }

    /// Bytes with the header.
    pub fn size(&self) -> usize {
        HEADER + self.fragment.len()
    }

    /// Writes the record.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.push(self.content_type);
        out.extend_from_slice(&self.version.to_be_bytes());
        out.extend_from_slice(&self.epoch.to_be_bytes());
        out.extend_from_slice(&self.sequence.to_be_bytes()[2..]);
        out.extend_from_slice(&(self.fragment.len() as u16).to_be_bytes());
        out.extend_from_slice(self.fragment);
    }
}

impl fmt::Display for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record { content_type, epoch, sequence, fragment, .. } = self;
        write!(f, "record {epoch}/{sequence} of type {content_type}, {} bytes", fragment.len())
    }
}

impl Fields for Record<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("content_type", Value::Number(self.content_type.into()));
        each("version", Value::Hex(self.version.into()));
        each("epoch", Value::Number(self.epoch.into()));
        each("sequence", Value::Number(self.sequence));
        each("len", Value::Number(self.fragment.len() as u64));
    }
}

/// A part of a handshake message (RFC 6347 4.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandshakeFragment<'a> {
    /// See [`crate::tls::handshake_type`].
    pub kind: u8,
    /// Bytes of the whole message's body.
    pub len: u32,
    /// Number of the message within its handshake and direction.
    pub message: u16,
    /// Where this part starts in the body.
    pub offset: u32,
    /// This part.
    pub body: &'a [u8],
}

impl<'a> HandshakeFragment<'a> {
    /// Reads the fragment at the start of `bytes`; a record may hold several.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut at = Cursor::new(Layer::Dtls, bytes);
        let kind = at.u8()?;
        if kind > handshake_type::LAST {
            return Err(WireError::new(Layer::Dtls, 0, Reason::Unsupported(kind.into())));
        }
        let len = at.u24()?;
        let message = at.u16()?;
        let offset = at.u24()?;
        let part = at.u24()?;
        if offset.saturating_add(part) > len {
            return Err(WireError::new(Layer::Dtls, 6, Reason::BadLength));
        }
        Ok(HandshakeFragment { kind, len, message, offset, body: at.take(part as usize)? })
    }

    /// Bytes with the header.
    pub fn size(&self) -> usize {
        HANDSHAKE_HEADER + self.body.len()
    }

    /// Whether it is the whole message.
    pub fn is_whole(&self) -> bool {
        self.offset == 0 && self.body.len() == self.len as usize
    }

    /// Writes the fragment.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.push(self.kind);
        put_u24(out, self.len as usize);
        out.extend_from_slice(&self.message.to_be_bytes());
        put_u24(out, self.offset as usize);
        put_u24(out, self.body.len());
        out.extend_from_slice(self.body);
    }
}

impl fmt::Display for HandshakeFragment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.offset as usize + self.body.len();
        write!(f, "{} bytes {}..{end} of {}", handshake::name(self.kind), self.offset, self.len)
    }
}

impl Fields for HandshakeFragment<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("kind", Value::Text(handshake::name(self.kind)));
        each("len", Value::Number(self.len.into()));
        each("message", Value::Number(self.message.into()));
        each("offset", Value::Number(self.offset.into()));
        each("part", Value::Number(self.body.len() as u64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_and_fragments_are_walked_and_written_back() {
        let fragment = HandshakeFragment { kind: 1, len: 9, message: 0, offset: 4, body: &[7; 3] };
        let mut inner = Vec::new();
        fragment.emit(&mut inner);
        assert_eq!(HandshakeFragment::parse(&inner), Ok(fragment));
        assert!(!fragment.is_whole());
        let record = Record {
            content_type: 22,
            version: 0xfefd,
            epoch: 0,
            sequence: 0x0102_0304_0506,
            fragment: &inner,
        };
        let mut bytes = Vec::new();
        record.emit(&mut bytes);
        assert_eq!(Record::parse(&bytes), Ok(record));
        assert_eq!(record.size(), bytes.len());
        assert!(Record::parse(&bytes[..bytes.len() - 1]).unwrap_err().is_truncated());
        inner[6] = 0xff; // offset beyond the message
        assert_eq!(HandshakeFragment::parse(&inner).unwrap_err().reason, Reason::BadLength);
    }
}
