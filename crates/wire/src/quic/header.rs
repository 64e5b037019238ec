//! Long headers (RFC 9000 17.2), whose packets may share a datagram.

use std::fmt;

use super::{VersionName, version};
use crate::cursor::{Cursor, put_vec8};
use crate::error::{Layer, Reason, WireError};
use crate::fields::{Fields, Value};

/// The longest connection id of versions 1 and 2 (RFC 9000 17.2).
pub const MAX_CONNECTION_ID: usize = 20;

/// What a long-header packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// First packets, under keys that everybody can derive.
    Initial,
    /// Early data.
    ZeroRtt,
    /// Encrypted handshake.
    Handshake,
    /// A server asks for the same again with a token.
    Retry,
    /// A server lists its versions; version is 0.
    VersionNegotiation,
}

impl Kind {
    /// The kind as messages are named everywhere here.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Initial => "initial",
            Kind::ZeroRtt => "0-rtt",
            Kind::Handshake => "handshake",
            Kind::Retry => "retry",
            Kind::VersionNegotiation => "version-negotiation",
        }
    }
}

/// A long header and the packet behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongHeader<'a> {
    /// What it is.
    pub kind: Kind,
    /// See [`super::version`].
    pub version: u32,
    /// Destination connection id.
    pub destination: &'a [u8],
    /// Source connection id.
    pub source: &'a [u8],
    /// Token of an Initial or Retry.
    pub token: &'a [u8],
    /// Offset of the (protected) packet number; the end for Retry and Version Negotiation.
    pub number_offset: usize,
    /// The packet from its first byte to its last; others may follow in the datagram.
    pub packet: &'a [u8],
}

/// Whether the version numbers its long packet types as RFC 9369 3.2 does.
fn is_v2(version: u32) -> bool {
    matches!(version, version::V2 | 0x709a_50c4)
}

/// A variable-length integer (RFC 9000 16).
pub(super) fn varint(at: &mut Cursor<'_>) -> Result<u64, WireError> {
    let first = at.u8()?;
    let extra = (1usize << (first >> 6)) - 1;
    Ok(at.take(extra)?.iter().fold(u64::from(first & 0x3f), |n, b| n << 8 | u64::from(*b)))
}

/// Writes a variable-length integer in its shortest form, at least `min` bytes long.
pub(super) fn put_varint(out: &mut Vec<u8>, n: u64, min: usize) {
    let (size, tag) = match (n, min) {
        (0..0x40, ..=1) => (1, 0),
        (0..0x4000, ..=2) => (2, 0x40),
        (0..0x4000_0000, ..=4) => (4, 0x80),
        _ => (8, 0xc0),
    };
    let bytes = (n & (u64::MAX >> 2)).to_be_bytes();
    let at = out.len();
    out.extend_from_slice(&bytes[8 - size..]);
    out[at] |= tag;
}

impl<'a> LongHeader<'a> {
    /// Reads the packet at the start of `bytes`. The fixed bit is not looked at, since ends may
    /// agree to vary it (RFC 9287). Versions are not judged, except that the types
    /// of version 2 and of Google's Q046 differ.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut at = Cursor::new(Layer::Quic, bytes);
        let first = at.u8()?;
        if first & 0x80 == 0 {
            return Err(WireError::new(Layer::Quic, 0, Reason::Malformed("short header")));
        }
        let version = at.u32()?;
        let destination = at.vec8()?;
        let source = at.vec8()?;
        if destination.len() > MAX_CONNECTION_ID || source.len() > MAX_CONNECTION_ID {
            return Err(WireError::new(Layer::Quic, 5, Reason::BadLength));
        }
        let kind = match (version, (first >> 4) & 3) {
            (0, _) => Kind::VersionNegotiation,
            (v, t) if is_v2(v) => {
                [Kind::Retry, Kind::Initial, Kind::ZeroRtt, Kind::Handshake][usize::from(t)]
            }
            (_, t) => [Kind::Initial, Kind::ZeroRtt, Kind::Handshake, Kind::Retry][usize::from(t)],
        };
        let mut token: &[u8] = &[];
        let (number_offset, end) = match kind {
            Kind::VersionNegotiation => (bytes.len(), bytes.len()),
            Kind::Retry => {
                token = at.rest().get(..at.rest().len().saturating_sub(16)).unwrap_or(&[]);
                (bytes.len(), bytes.len())
            }
            Kind::Initial | Kind::ZeroRtt | Kind::Handshake => {
                if kind == Kind::Initial {
                    let len = usize::try_from(varint(&mut at)?).unwrap_or(usize::MAX);
                    token = at.take(len)?;
                }
                let len = usize::try_from(varint(&mut at)?).unwrap_or(usize::MAX);
                (at.at(), at.at().saturating_add(len))
            }
        };
        let packet = bytes
            .get(..end)
            .ok_or_else(|| WireError::truncated(Layer::Quic, number_offset, end, bytes.len()))?;
        Ok(LongHeader { kind, version, destination, source, token, number_offset, packet })
    }

    /// Versions that a Version Negotiation packet lists.
    pub fn supported_versions(&self) -> impl Iterator<Item = u32> + 'a {
        let start = 7 + self.destination.len() + self.source.len();
        let list = match self.kind {
            Kind::VersionNegotiation => self.packet.get(start..).unwrap_or(&[]),
            _ => &[],
        };
        list.chunks_exact(4).map(|v| v.iter().fold(0, |n, b| n << 8 | u32::from(*b)))
    }

    /// Writes the header of an Initial packet of version 1, 2 or a draft, up to the packet
    /// number, for a payload of `len` bytes (packet number and tag included).
    pub fn emit_initial(
        version: u32,
        destination: &[u8],
        source: &[u8],
        token: &[u8],
        len: usize,
        out: &mut Vec<u8>,
    ) {
        // Four bytes of packet number, the most header protection can hide.
        out.push(if is_v2(version) { 0xd3 } else { 0xc3 });
        out.extend_from_slice(&version.to_be_bytes());
        put_vec8(out, destination);
        put_vec8(out, source);
        put_varint(out, token.len() as u64, 1);
        out.extend_from_slice(token);
        put_varint(out, len as u64, 2);
    }
}

impl fmt::Display for LongHeader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, len) = (self.kind.name(), self.packet.len());
        write!(f, "{kind} of {}, {len} bytes", VersionName(self.version))
    }
}

impl Fields for LongHeader<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("kind", Value::Text(self.kind.name()));
        each("version", Value::Text(&VersionName(self.version).to_string()));
        each("destination", Value::Bytes(self.destination));
        each("source", Value::Bytes(self.source));
        if !self.token.is_empty() {
            each("token", Value::Number(self.token.len() as u64));
        }
        for version in self.supported_versions() {
            each("supported_version", Value::Text(&VersionName(version).to_string()));
        }
        each("len", Value::Number(self.packet.len() as u64));
    }
}
