//! RTP (RFC 3550 5.1): a header of twelve bytes, contributing sources, one extension.
//!
//! Two fixed bits tell nothing, so no packet alone is ever taken for RTP: the flow reader wants
//! a repeated source and running numbers. SRTP leaves the header in clear and is the same here.

use std::fmt;

use crate::cursor::Cursor;
use crate::error::{Layer, Reason, WireError};
use crate::fields::{Fields, Value};

/// Bytes of the fixed header.
pub const HEADER: usize = 12;

/// One packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Talk spurt starts or frame ends.
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    /// Rises by one per packet.
    pub sequence: u16,
    /// Media time in units of the clock rate.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Contributing sources, four bytes each.
    pub contributors: &'a [u8],
    /// Profile and body of the header extension, a multiple of four bytes.
    pub extension: Option<(u16, &'a [u8])>,
    /// Payload, without padding where that can be told.
    pub payload: &'a [u8],
    /// Bytes of padding. 0 for a padding bit that encryption makes senseless.
    pub padding: u8,
}

impl<'a> Packet<'a> {
    /// Reads a packet that fills `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut at = Cursor::new(Layer::Rtp, bytes);
        let first = at.u8()?;
        if first >> 6 != 2 {
            return Err(WireError::new(Layer::Rtp, 0, Reason::BadVersion((first >> 6).into())));
        }
        let second = at.u8()?;
        let sequence = at.u16()?;
        let timestamp = at.u32()?;
        let ssrc = at.u32()?;
        let contributors = at.take(4 * usize::from(first & 0x0f))?;
        let extension = if first & 0x10 != 0 {
            let profile = at.u16()?;
            let words = usize::from(at.u16()?);
            Some((profile, at.take(4 * words)?))
        } else {
            None
        };
        let mut payload = at.rest();
        let mut padding = 0;
        if first & 0x20 != 0 {
            let last = payload.last().copied().unwrap_or(0);
            if last > 0 && usize::from(last) <= payload.len() {
                payload = &payload[..payload.len() - usize::from(last)];
                padding = last;
            }
        }
        Ok(Packet {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence,
            timestamp,
            ssrc,
            contributors,
            extension,
            payload,
            padding,
        })
    }

    /// Writes the packet. Contributors and the extension are cut to whole words, the padding
    /// is zeros and its length.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let sources = (self.contributors.len() / 4).min(15);
        let mut first = 0x80 | sources as u8;
        first |= if self.padding > 0 { 0x20 } else { 0 };
        first |= if self.extension.is_some() { 0x10 } else { 0 };
        out.push(first);
        out.push(self.payload_type & 0x7f | u8::from(self.marker) << 7);
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        out.extend_from_slice(&self.contributors[..4 * sources]);
        if let Some((profile, body)) = self.extension {
            let words = (body.len() / 4).min(usize::from(u16::MAX));
            out.extend_from_slice(&profile.to_be_bytes());
            out.extend_from_slice(&(words as u16).to_be_bytes());
            out.extend_from_slice(&body[..4 * words]);
        }
        out.extend_from_slice(self.payload);
        if self.padding > 0 {
            out.resize(out.len() + usize::from(self.padding) - 1, 0);
            out.push(self.padding);
        }
    }
}

/// The clock rate and name of a static payload type (RFC 3551 6); `None` for dynamic ones.
pub fn static_type(payload_type: u8) -> Option<(u32, &'static str)> {
    Some(match payload_type {
        0 => (8000, "PCMU"),
        3 => (8000, "GSM"),
        4 => (8000, "G723"),
        5 => (8000, "DVI4"),
        6 => (16000, "DVI4"),
        7 => (8000, "LPC"),
        8 => (8000, "PCMA"),
        9 => (8000, "G722"),
        10 | 11 => (44100, "L16"),
        12 => (8000, "QCELP"),
        13 => (8000, "CN"),
        14 => (90000, "MPA"),
        15 => (8000, "G728"),
        16 => (11025, "DVI4"),
        17 => (22050, "DVI4"),
        18 => (8000, "G729"),
        25 => (90000, "CelB"),
        26 => (90000, "JPEG"),
        28 => (90000, "nv"),
        31 => (90000, "H261"),
        32 => (90000, "MPV"),
        33 => (90000, "MP2T"),
        34 => (90000, "H263"),
        _ => return None,
    })
}

impl fmt::Display for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Packet { ssrc, payload_type, sequence, payload, .. } = self;
        write!(f, "{ssrc:#010x} type {payload_type} packet {sequence}, {} bytes", payload.len())
    }
}

impl Fields for Packet<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("ssrc", Value::Hex(self.ssrc.into()));
        each("payload_type", Value::Number(self.payload_type.into()));
        each("sequence", Value::Number(self.sequence.into()));
        each("timestamp", Value::Number(self.timestamp.into()));
        each("marker", Value::Flag(self.marker));
        for source in self.contributors.chunks_exact(4) {
            each("csrc", Value::Bytes(source));
        }
        if let Some((profile, body)) = self.extension {
            each("extension_profile", Value::Hex(profile.into()));
            each("extension_len", Value::Number(body.len() as u64));
        }
        if self.padding > 0 {
            each("padding", Value::Number(self.padding.into()));
        }
        each("payload", Value::Number(self.payload.len() as u64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn emit_then_parse_is_identity(
            marker: bool, payload_type in 0u8..128, sequence: u16, timestamp: u32, ssrc: u32,
            sources in 0usize..16, words in proptest::option::of(0usize..20),
            payload: Vec<u8>, padding: u8, filler in any::<u8>(),
        ) {
            let (contributors, body) = (vec![filler; 4 * sources], vec![filler; 80]);
            let packet = Packet {
                marker, payload_type, sequence, timestamp, ssrc, padding,
                contributors: &contributors,
                extension: words.map(|w| (0xbede, &body[..4 * w])),
                payload: &payload,
            };
            let mut bytes = Vec::new();
            packet.emit(&mut bytes);
            prop_assert_eq!(Packet::parse(&bytes), Ok(packet));
        }

        #[test]
        fn reading_is_total(bytes: Vec<u8>) {
            if let Ok(packet) = Packet::parse(&bytes) {
                packet.fields(&mut |_, _| {});
            }
        }
    }

    #[test]
    fn a_senseless_padding_bit_is_ignored() {
        let mut bytes = vec![0xa0, 120, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 9, 9, 200];
        assert_eq!(Packet::parse(&bytes).unwrap().payload, [9, 9, 200]);
        bytes[14] = 2;
        assert_eq!(Packet::parse(&bytes).unwrap().payload, [9]);
    }
}
