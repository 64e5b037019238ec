//! RTCP (RFC 3550 6): compound packets of reports, walked laxly.
//!
//! SRTCP (RFC 3711 3.4) encrypts all but the first packet's header and source, so a datagram
//! whose lengths do not add up tells only these. Types that no RFC defines (WhatsApp's 208 and
//! 209) are packets like any other.

// A view of a list is walked as a copy, so that the list stays whole.
#![allow(clippy::copy_iterator)]

use std::fmt;

use crate::cursor::Cursor;
use crate::error::{Layer, Reason, WireError};
use crate::fields::{Fields, Value};

/// Bytes of the header without the source.
pub const HEADER: usize = 4;

/// Packet types (IANA RTCP Control Packet Types).
pub mod kind {
    #![allow(missing_docs)] // the names are the documentation
    pub const SENDER_REPORT: u8 = 200;
    pub const RECEIVER_REPORT: u8 = 201;
    pub const SOURCE_DESCRIPTION: u8 = 202;
    pub const BYE: u8 = 203;
    pub const APPLICATION: u8 = 204;
    pub const TRANSPORT_FEEDBACK: u8 = 205;
    pub const PAYLOAD_FEEDBACK: u8 = 206;
    pub const EXTENDED_REPORT: u8 = 207;
}

/// One packet of a compound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Count of reports or sources, or feedback format: the low five bits of the first byte.
    pub count: u8,
    /// See [`kind`].
    pub kind: u8,
    /// What follows the header, padding included.
    pub body: &'a [u8],
}

/// Whether bytes may start an RTCP packet: version 2 and type 192 to 223 (RFC 5761 4).
pub fn looks_like(bytes: &[u8]) -> bool {
    matches!(bytes, [first, 192..=223, ..] if first >> 6 == 2) && bytes.len() >= 8
}

impl<'a> Packet<'a> {
    /// Reads the packet at the start of `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut at = Cursor::new(Layer::Rtcp, bytes);
        let first = at.u8()?;
        if first >> 6 != 2 {
            return Err(WireError::new(Layer::Rtcp, 0, Reason::BadVersion((first >> 6).into())));
        }
        let kind = at.u8()?;
        if !(192..=223).contains(&kind) {
            return Err(WireError::new(Layer::Rtcp, 1, Reason::BadMagic));
        }
        let words = usize::from(at.u16()?);
        Ok(Packet { count: first & 0x1f, kind, body: at.take(4 * words)? })
    }

    /// Bytes with the header.
    pub fn size(&self) -> usize {
        HEADER + self.body.len()
    }

    /// Who sent it: the first word behind the header.
    pub fn source(&self) -> Option<u32> {
        self.word(0)
    }

    fn word(&self, i: usize) -> Option<u32> {
        let bytes = self.body.get(4 * i..4 * i + 4)?;
        Some(bytes.iter().fold(0, |n, b| n << 8 | u32::from(*b)))
    }

    /// The sender's part of a sender report.
    pub fn sender_info(&self) -> Option<SenderInfo> {
        if self.kind != kind::SENDER_REPORT {
            return None;
        }
        Some(SenderInfo {
            ntp: u64::from(self.word(1)?) << 32 | u64::from(self.word(2)?),
            rtp_timestamp: self.word(3)?,
            packets: self.word(4)?,
            bytes: self.word(5)?,
        })
    }

    /// The report blocks of a sender or receiver report; ends where one is cut off.
    pub fn reports(&self) -> impl Iterator<Item = ReportBlock> + 'a {
        let start = match self.kind {
            kind::SENDER_REPORT => 24,
            kind::RECEIVER_REPORT => 4,
            _ => usize::MAX,
        };
        let blocks = self.body.get(start..).unwrap_or(&[]).chunks_exact(24);
        blocks.take(usize::from(self.count)).map(|b| {
            let word = |i: usize| b[4 * i..4 * i + 4].iter().fold(0, |n, b| n << 8 | u32::from(*b));
            ReportBlock {
                source: word(0),
                fraction_lost: b[4],
                // 24 bits, signed: duplicates make it negative.
                lost: (word(1) << 8) as i32 >> 8,
                highest_sequence: word(2),
                jitter: word(3),
                last_report: word(4),
                delay: word(5),
            }
        })
    }

    /// The kind as messages are named everywhere here.
    pub fn name(&self) -> &'static str {
        match self.kind {
            kind::SENDER_REPORT => "sender-report",
            kind::RECEIVER_REPORT => "receiver-report",
            kind::SOURCE_DESCRIPTION => "source-description",
            kind::BYE => "bye",
            kind::APPLICATION => "application",
            kind::TRANSPORT_FEEDBACK => "transport-feedback",
            kind::PAYLOAD_FEEDBACK => "payload-feedback",
            kind::EXTENDED_REPORT => "extended-report",
            208 => "rtcp-208",
            209 => "rtcp-209",
            _ => "rtcp",
        }
    }

    /// Writes the packet, its body padded with zeros to whole words.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.push(0x80 | self.count & 0x1f);
        out.push(self.kind);
        out.extend_from_slice(&(self.body.len().div_ceil(4) as u16).to_be_bytes());
        out.extend_from_slice(self.body);
        out.resize(out.len() + (4 - self.body.len() % 4) % 4, 0);
    }
}

/// The sender's part of a sender report (RFC 3550 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderInfo {
    /// Wall clock, seconds since 1900 in 32.32 fixed point.
    pub ntp: u64,
    /// The same moment in media time.
    pub rtp_timestamp: u32,
    /// Packets sent so far.
    pub packets: u32,
    /// Payload bytes sent so far.
    pub bytes: u32,
}

/// What a receiver tells of one source (RFC 3550 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source reported on.
    pub source: u32,
    /// Lost since the last report, in 256ths.
    pub fraction_lost: u8,
    /// Lost so far.
    pub lost: i32,
    /// Extended highest sequence number received.
    pub highest_sequence: u32,
    /// Interarrival jitter in timestamp units.
    pub jitter: u32,
    /// Middle 32 bits of the NTP time of the last sender report.
    pub last_report: u32,
    /// Time since then in 1/65536 s.
    pub delay: u32,
}

impl ReportBlock {
    fn words(&self) -> [u32; 6] {
        let loss = u32::from(self.fraction_lost) << 24 | self.lost as u32 & 0x00ff_ffff;
        let ReportBlock { source, highest_sequence, jitter, last_report, delay, .. } = *self;
        [source, loss, highest_sequence, jitter, last_report, delay]
    }
}

/// Writes a sender report (with `info`) or a receiver report, up to 31 blocks.
pub fn emit_report(
    source: u32,
    info: Option<&SenderInfo>,
    blocks: &[ReportBlock],
    out: &mut Vec<u8>,
) {
    let blocks = &blocks[..blocks.len().min(31)];
    let mut words = vec![source];
    if let Some(info) = info {
        words.extend([(info.ntp >> 32) as u32, info.ntp as u32]);
        words.extend([info.rtp_timestamp, info.packets, info.bytes]);
    }
    words.extend(blocks.iter().flat_map(ReportBlock::words));
    let body: Vec<u8> = words.iter().flat_map(|w| w.to_be_bytes()).collect();
    let kind = if info.is_some() { kind::SENDER_REPORT } else { kind::RECEIVER_REPORT };
    Packet { count: blocks.len() as u8, kind, body: &body }.emit(out);
}

/// The packets of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compound<'a> {
    rest: &'a [u8],
}

impl<'a> Compound<'a> {
    /// Over a datagram.
    pub fn new(bytes: &'a [u8]) -> Self {
        Compound { rest: bytes }
    }

    /// Whether the packets fill the datagram to its last byte, as plain RTCP does.
    pub fn is_whole(mut self) -> bool {
        self.by_ref().for_each(drop);
        self.rest.is_empty()
    }

    /// Whether this is a compound as RFC 3550 6.1 wants it: whole, a report first, each
    /// report as long as its count says.
    pub fn is_valid(self) -> bool {
        let mut packets = self;
        let starts = packets
            .next()
            .is_some_and(|p| matches!(p.kind, kind::SENDER_REPORT | kind::RECEIVER_REPORT));
        let sane = { self }.all(|p| {
            let need = match p.kind {
                kind::SENDER_REPORT => 24 + 24 * usize::from(p.count),
                kind::RECEIVER_REPORT => 4 + 24 * usize::from(p.count),
                kind::BYE => 4 * usize::from(p.count),
                kind::APPLICATION | kind::TRANSPORT_FEEDBACK | kind::PAYLOAD_FEEDBACK => 8,
                _ => 0,
            };
            p.body.len() >= need
        });
        starts && sane && self.is_whole()
    }
}

impl<'a> Iterator for Compound<'a> {
    type Item = Packet<'a>;
    fn next(&mut self) -> Option<Packet<'a>> {
        let packet = Packet::parse(self.rest).ok()?;
        self.rest = &self.rest[packet.size()..];
        Some(packet)
    }
}

impl fmt::Display for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) of {} bytes", self.name(), self.kind, self.size())
    }
}

impl Fields for Packet<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("type", Value::Number(self.kind.into()));
        each("count", Value::Number(self.count.into()));
        if let Some(source) = self.source() {
            each("ssrc", Value::Hex(source.into()));
        }
        if let Some(info) = self.sender_info() {
            each("ntp", Value::Hex(info.ntp));
            each("rtp_timestamp", Value::Number(info.rtp_timestamp.into()));
            each("packets", Value::Number(info.packets.into()));
            each("bytes", Value::Number(info.bytes.into()));
        }
        for report in self.reports() {
            each("report_ssrc", Value::Hex(report.source.into()));
            each("fraction_lost", Value::Number(report.fraction_lost.into()));
            each("lost", Value::Number(report.lost.max(0) as u64));
            each("highest_sequence", Value::Number(report.highest_sequence.into()));
            each("jitter", Value::Number(report.jitter.into()));
            each("last_report", Value::Hex(report.last_report.into()));
            each("delay", Value::Number(report.delay.into()));
        }
        each("len", Value::Number(self.size() as u64));
    }
}

/// The first packet of an SRTCP datagram: type and source, all else encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encrypted {
    /// See [`kind`].
    pub kind: u8,
    /// Who sent it.
    pub source: u32,
    /// Bytes of the datagram.
    pub len: usize,
}

impl Encrypted {
    /// Reads what SRTCP leaves in clear.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        if !looks_like(bytes) {
            return Err(WireError::new(Layer::Rtcp, 0, Reason::BadMagic));
        }
        let mut at = Cursor::new(Layer::Rtcp, bytes);
        at.take(HEADER)?;
        Ok(Encrypted { kind: bytes[1], source: at.u32()?, len: bytes.len() })
    }
}

impl fmt::Display for Encrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "encrypted RTCP of type {}, {} bytes", self.kind, self.len)
    }
}

impl Fields for Encrypted {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("type", Value::Number(self.kind.into()));
        each("ssrc", Value::Hex(self.source.into()));
        each("encrypted", Value::Flag(true));
        each("len", Value::Number(self.len as u64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reports_are_written_and_read_back() {
        let info = SenderInfo { ntp: 1 << 40, rtp_timestamp: 7, packets: 8, bytes: 900 };
        let block = ReportBlock {
            source: 0xdead_beef,
            fraction_lost: 3,
            lost: -2,
            highest_sequence: 70_000,
            jitter: 12,
            last_report: 0x1234_5678,
            delay: 65536,
        };
        let mut bytes = Vec::new();
        emit_report(5, Some(&info), &[block, block], &mut bytes);
        emit_report(6, None, &[], &mut bytes);
        assert!(Compound::new(&bytes).is_valid());
        let packets: Vec<_> = Compound::new(&bytes).collect();
        assert_eq!(packets.len(), 2);
        assert_eq!((packets[0].source(), packets[0].sender_info()), (Some(5), Some(info)));
        assert_eq!(packets[0].reports().collect::<Vec<_>>(), [block, block]);
        assert_eq!((packets[1].name(), packets[1].reports().count()), ("receiver-report", 0));
        let mut again = Vec::new();
        for packet in &packets {
            packet.emit(&mut again);
        }
        assert_eq!(again, bytes);
        bytes.extend_from_slice(&[0x80, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]); // SRTCP trailer
        assert!(!Compound::new(&bytes).is_whole());
    }

    proptest! {
        #[test]
        fn reading_is_total(mut bytes: Vec<u8>, kind in 190u8..225) {
            if bytes.len() > 1 {
                (bytes[0], bytes[1]) = (bytes[0] & 0x3f | 0x80, kind);
            }
            Compound::new(&bytes).for_each(|p| p.fields(&mut |_, _| {}));
            let _ = (Compound::new(&bytes).is_valid(), Encrypted::parse(&bytes));
        }
    }
}
