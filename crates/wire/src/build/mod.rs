//! Writes frames: for synthesised traffic and for tests.
//!
//! Each layer appends its header to a buffer, calls back for what it carries, and then fills in
//! lengths and checksums, so that layers nest as calls do:
//!
//! ```
//! use ottoscope_wire::build::{Ethernet, Gtpu, Ip, Segment};
//! use ottoscope_wire::packet::{Decoded, decode};
//! use ottoscope_wire::{LinkType, Tcp};
//!
//! let outer = Ip::new([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
//! let inner = Ip::new([10, 0, 0, 1].into(), [203, 0, 113, 5].into());
//! let tunnel = Gtpu { teid: 7, qfi: Some(9) };
//! let syn = Segment { source_port: 40000, destination_port: 443, flags: Tcp::SYN, ..Segment::default() };
//!
//! let mut frame = Vec::new();
//! Ethernet::default().write(&mut frame, |out| {
//!     outer.udp(out, 2152, 2152, |out| tunnel.write(out, |out| inner.tcp(out, &syn, |_| {})));
//! });
//! let Ok(Decoded::Packet(packet)) = decode(LinkType::ETHERNET, &frame) else { panic!() };
//! assert_eq!(packet.destination_port, 443);
//! assert_eq!(packet.encapsulation.and_then(|tunnel| tunnel.id), Some(7));
//! ```

pub mod pcap;

use std::net::IpAddr;

use crate::checksum::Checksum;
use crate::gtpu;
use crate::transport::protocol;

/// A link header of 14 bytes, or 18 with a VLAN tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ethernet {
    /// Source address.
    pub source: [u8; 6],
    /// Destination address.
    pub destination: [u8; 6],
    /// VLAN id.
    pub vlan: Option<u16>,
}

impl Ethernet {
    /// Appends a frame that carries IP; the EtherType follows from the version.
    pub fn write(&self, out: &mut Vec<u8>, payload: impl FnOnce(&mut Vec<u8>)) {
        let start = self.header(out, 0);
        payload(out);
        if out.get(start).is_some_and(|first| first >> 4 == 6) {
            put16(out, start - 2, 0x86dd);
        } else {
            put16(out, start - 2, 0x0800);
        }
    }

    /// Appends a frame of another EtherType.
    pub fn write_as(&self, out: &mut Vec<u8>, kind: u16, payload: impl FnOnce(&mut Vec<u8>)) {
        self.header(out, kind);
        payload(out);
    }

    fn header(&self, out: &mut Vec<u8>, kind: u16) -> usize {
        out.extend_from_slice(&self.destination);
        out.extend_from_slice(&self.source);
        if let Some(id) = self.vlan {
            out.extend_from_slice(&[0x81, 0x00]);
            out.extend_from_slice(&(id & 0x0fff).to_be_bytes());
        }
        out.extend_from_slice(&kind.to_be_bytes());
        out.len()
    }
}

/// An IPv4 or IPv6 header without options. Addresses of different versions are written as IPv6,
/// the IPv4 one mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ip {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// Identification (IPv4, and fragments of both).
    pub id: u16,
}

/// The fields of a TCP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Segment<'a> {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Flags, see [`crate::Tcp::SYN`] and the others.
    pub flags: u8,
    /// Window, not scaled.
    pub window: u16,
    /// Options, at most 40 bytes; padded with zeros to a multiple of four.
    pub options: &'a [u8],
}

impl Ip {
    /// With a time to live of 64 and identification 0.
    pub fn new(source: IpAddr, destination: IpAddr) -> Ip {
        Ip { source, destination, ttl: 64, id: 0 }
    }

    /// Appends a packet. A payload that is longer than the length field can say gets length 0,
    /// as in captures of segments that the network card is still to cut.
    pub fn write(&self, out: &mut Vec<u8>, protocol: u8, payload: impl FnOnce(&mut Vec<u8>)) {
        self.write_part(out, protocol, None, payload);
    }

    fn write_part(
        &self,
        out: &mut Vec<u8>,
        protocol: u8,
        part: Option<(u16, bool)>,
        payload: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = out.len();
        if let (IpAddr::V4(source), IpAddr::V4(destination)) = (self.source, self.destination) {
            out.extend_from_slice(&[0x45, 0, 0, 0]);
            out.extend_from_slice(&self.id.to_be_bytes());
            let field = part.map_or(0, |(offset, more)| (offset / 8) | (u16::from(more) << 13));
            out.extend_from_slice(&field.to_be_bytes());
            out.extend_from_slice(&[self.ttl, protocol, 0, 0]);
            out.extend_from_slice(&source.octets());
            out.extend_from_slice(&destination.octets());
            payload(out);
            let total = out.len() - start;
            put16(out, start + 2, u16::try_from(total).unwrap_or(0));
            let sum = Checksum::default().bytes(&out[start..start + 20]).finish();
            put16(out, start + 10, sum);
            return;
        }
        let v6 = |address| match address {
            IpAddr::V4(a) => std::net::Ipv4Addr::to_ipv6_mapped(&a).octets(),
            IpAddr::V6(a) => a.octets(),
        };
        let next = if part.is_some() { FRAGMENT } else { protocol };
        out.extend_from_slice(&[0x60, 0, 0, 0, 0, 0, next, self.ttl]);
        out.extend_from_slice(&v6(self.source));
        out.extend_from_slice(&v6(self.destination));
        if let Some((offset, more)) = part {
            out.extend_from_slice(&[protocol, 0]);
            out.extend_from_slice(&((offset & !7) | u16::from(more)).to_be_bytes());
            out.extend_from_slice(&u32::from(self.id).to_be_bytes());
        }
        payload(out);
        let len = out.len() - start - 40;
        put16(out, start + 4, u16::try_from(len).unwrap_or(0));
    }

    /// Appends a UDP datagram.
    pub fn udp(
        &self,
        out: &mut Vec<u8>,
        source_port: u16,
        destination_port: u16,
        payload: impl FnOnce(&mut Vec<u8>),
    ) {
        self.write(out, protocol::UDP, |out| {
            let start = out.len();
            out.extend_from_slice(&source_port.to_be_bytes());
            out.extend_from_slice(&destination_port.to_be_bytes());
            out.extend_from_slice(&[0; 4]);
            payload(out);
            let len = out.len() - start;
            put16(out, start + 4, u16::try_from(len).unwrap_or(0));
            // 0 would mean that there is none (RFC 768).
            let sum = match self.checksum(protocol::UDP, &out[start..]) {
                0 => 0xffff,
                sum => sum,
            };
            put16(out, start + 6, sum);
        });
    }

    /// Appends a TCP segment.
    pub fn tcp(
        &self,
        out: &mut Vec<u8>,
        segment: &Segment<'_>,
        payload: impl FnOnce(&mut Vec<u8>),
    ) {
        const MAX_OPTIONS: usize = 40;
        self.write(out, protocol::TCP, |out| {
            let start = out.len();
            let options = segment.options.get(..MAX_OPTIONS).unwrap_or(segment.options);
            let header = 20 + options.len().next_multiple_of(4);
            out.extend_from_slice(&segment.source_port.to_be_bytes());
            out.extend_from_slice(&segment.destination_port.to_be_bytes());
            out.extend_from_slice(&segment.seq.to_be_bytes());
            out.extend_from_slice(&segment.ack.to_be_bytes());
            out.extend_from_slice(&[(header / 4 * 16) as u8, segment.flags]);
            out.extend_from_slice(&segment.window.to_be_bytes());
            out.extend_from_slice(&[0; 4]);
            out.extend_from_slice(options);
            out.resize(start + header, 0);
            payload(out);
            let sum = self.checksum(protocol::TCP, &out[start..]);
            put16(out, start + 16, sum);
        });
    }

    /// The packets of a datagram whose payload is cut into fragments of `size` bytes, rounded
    /// down to a multiple of eight.
    pub fn fragments(&self, protocol: u8, payload: &[u8], size: usize) -> Vec<Vec<u8>> {
        let size = (size & !7).max(8);
        let count = payload.len().div_ceil(size);
        let pieces = payload.chunks(size).enumerate().map(|(index, piece)| {
            let mut packet = Vec::with_capacity(piece.len() + 48);
            let offset = u16::try_from(index * size).unwrap_or(u16::MAX);
            self.write_part(&mut packet, protocol, Some((offset, index + 1 < count)), |out| {
                out.extend_from_slice(piece);
            });
            packet
        });
        pieces.collect()
    }

    fn checksum(&self, protocol: u8, bytes: &[u8]) -> u16 {
        Checksum::default()
            .pseudo_header(self.source, self.destination, protocol, bytes.len() as u32)
            .bytes(bytes)
            .finish()
    }
}

const FRAGMENT: u8 = 44;

/// A GTP-U version 1 header (3GPP TS 29.281, 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gtpu {
    /// Tunnel endpoint identifier.
    pub teid: u32,
    /// QoS flow identifier, written in a PDU session container (TS 38.415, 5.5.2).
    pub qfi: Option<u8>,
}

impl Gtpu {
    /// UDP port of the tunnel.
    pub const PORT: u16 = 2152;

    /// Appends a G-PDU.
    pub fn write(&self, out: &mut Vec<u8>, inner: impl FnOnce(&mut Vec<u8>)) {
        let start = out.len();
        let first = if self.qfi.is_some() { 0x34 } else { 0x30 };
        out.extend_from_slice(&[first, gtpu::G_PDU, 0, 0]);
        out.extend_from_slice(&self.teid.to_be_bytes());
        if let Some(qfi) = self.qfi {
            out.extend_from_slice(&[0, 0, 0, gtpu::PDU_SESSION_CONTAINER]);
            out.extend_from_slice(&[1, 0, qfi & 0x3f, 0]);
        }
        inner(out);
        let len = out.len() - start - 8;
        put16(out, start + 2, u16::try_from(len).unwrap_or(0));
    }
}

/// Overwrites two bytes that were written before.
fn put16(out: &mut [u8], at: usize, value: u16) {
    if let Some(place) = out.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}
