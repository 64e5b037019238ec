//! Frames: Ethernet, an optional VLAN tag or GTP-U tunnel, IP, and TCP or UDP.
//!
//! Written forwards into one reused buffer, since every length is known before the first byte.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What lies between Ethernet and the conversation's own IP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outer {
    Plain,
    Vlan(u16),
    /// GTP-U v1 (3GPP TS 29.281, 5.1) between two IPv4 addresses, with a PDU session container
    /// (TS 38.415, 5.5.2) where a QoS flow is given.
    Gtp { from: Ipv4Addr, to: Ipv4Addr, teid: u32, qfi: Option<u8>, up: bool },
}

/// The IP header's variable part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ip {
    pub from: IpAddr,
    pub to: IpAddr,
    pub ttl: u8,
    /// IPv4 identification; IPv6 has none.
    pub id: u16,
}

/// The TCP header's variable part. `options` is a multiple of four bytes long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tcp<'a> {
    pub from: u16,
    pub to: u16,
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub window: u16,
    pub options: &'a [u8],
}

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const ACK: u8 = 0x10;

const MAC_CLIENTS: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];
const MAC_SERVERS: [u8; 6] = [0x02, 0, 0, 0, 0, 0x02];

/// Writes a TCP frame; `payload` fills the given number of bytes.
pub(crate) fn tcp(
    out: &mut Vec<u8>,
    outer: Outer,
    up: bool,
    ip: &Ip,
    tcp: &Tcp<'_>,
    len: usize,
    payload: impl FnOnce(&mut [u8]),
) {
    let header = 20 + tcp.options.len();
    let at = begin(out, outer, up, ip, 6, header + len);
    out.extend_from_slice(&tcp.from.to_be_bytes());
    out.extend_from_slice(&tcp.to.to_be_bytes());
    out.extend_from_slice(&tcp.seq.to_be_bytes());
    out.extend_from_slice(&tcp.ack.to_be_bytes());
    out.extend_from_slice(&[((header / 4) as u8) << 4, tcp.flags]);
    out.extend_from_slice(&tcp.window.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(tcp.options);
    out.resize(at + header + len, 0);
    payload(&mut out[at + header..]);
    let sum = transport_checksum(ip, 6, &out[at..]);
    out[at + 16..at + 18].copy_from_slice(&sum.to_be_bytes());
}

/// Writes a UDP frame; `payload` fills the given number of bytes.
pub(crate) fn udp(
    out: &mut Vec<u8>,
    outer: Outer,
    up: bool,
    ip: &Ip,
    ports: (u16, u16),
    len: usize,
    payload: impl FnOnce(&mut [u8]),
) {
    let at = begin(out, outer, up, ip, 17, 8 + len);
    out.extend_from_slice(&ports.0.to_be_bytes());
    out.extend_from_slice(&ports.1.to_be_bytes());
    out.extend_from_slice(&((8 + len) as u16).to_be_bytes());
    out.extend_from_slice(&[0; 2]);
    out.resize(at + 8 + len, 0);
    payload(&mut out[at + 8..]);
    let sum = match transport_checksum(ip, 17, &out[at..]) {
        0 => 0xffff, // RFC 768: 0 means that none was computed
        sum => sum,
    };
    out[at + 6..at + 8].copy_from_slice(&sum.to_be_bytes());
}

/// Writes everything below the transport header; returns where that header begins.
fn begin(out: &mut Vec<u8>, outer: Outer, up: bool, ip: &Ip, protocol: u8, len: usize) -> usize {
    out.clear();
    let (to, from) = if up { (MAC_SERVERS, MAC_CLIENTS) } else { (MAC_CLIENTS, MAC_SERVERS) };
    out.extend_from_slice(&to);
    out.extend_from_slice(&from);
    let inner_type: [u8; 2] = if ip.from.is_ipv4() { [0x08, 0x00] } else { [0x86, 0xdd] };
    match outer {
        Outer::Plain => out.extend_from_slice(&inner_type),
        Outer::Vlan(id) => {
            out.extend_from_slice(&[0x81, 0x00]);
            out.extend_from_slice(&(id & 0x0fff).to_be_bytes());
            out.extend_from_slice(&inner_type);
        }
        Outer::Gtp { from, to, teid, qfi, up } => {
            out.extend_from_slice(&[0x08, 0x00]);
            let inner = if ip.from.is_ipv4() { 20 } else { 40 } + len;
            let extension = if qfi.is_some() { 8 } else { 0 };
            let tunnel = 8 + extension + inner;
            ipv4(out, from, to, 64, 0, 17, 8 + tunnel);
            // UDP, port 2152 both ways, checksum left out as GTP-U nodes do over IPv4.
            out.extend_from_slice(&[0x08, 0x68, 0x08, 0x68]);
            out.extend_from_slice(&((8 + tunnel) as u16).to_be_bytes());
            out.extend_from_slice(&[0, 0]);
            out.extend_from_slice(&[if qfi.is_some() { 0x34 } else { 0x30 }, 0xff]);
            out.extend_from_slice(&((extension + inner) as u16).to_be_bytes());
            out.extend_from_slice(&teid.to_be_bytes());
            if let Some(qfi) = qfi {
                // No sequence number, no N-PDU number; next: PDU session container, one unit.
                out.extend_from_slice(&[0, 0, 0, 0x85, 1, u8::from(up) << 4, qfi & 0x3f, 0]);
            }
        }
    }
    match (ip.from, ip.to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => ipv4(out, from, to, ip.ttl, ip.id, protocol, len),
        (from, to) => {
            out.extend_from_slice(&[0x60, 0, 0, 0]);
            out.extend_from_slice(&(len as u16).to_be_bytes());
            out.extend_from_slice(&[protocol, ip.ttl]);
            out.extend_from_slice(&v6(from).octets());
            out.extend_from_slice(&v6(to).octets());
        }
    }
    out.len()
}

fn ipv4(
    out: &mut Vec<u8>,
    from: Ipv4Addr,
    to: Ipv4Addr,
    ttl: u8,
    id: u16,
    protocol: u8,
    len: usize,
) {
    let at = out.len();
    out.extend_from_slice(&[0x45, 0]);
    out.extend_from_slice(&((20 + len) as u16).to_be_bytes());
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(&[0x40, 0, ttl, protocol, 0, 0]); // do not fragment
    out.extend_from_slice(&from.octets());
    out.extend_from_slice(&to.octets());
    let sum = !fold(sum(&out[at..]));
    out[at + 10..at + 12].copy_from_slice(&sum.to_be_bytes());
}

fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

/// RFC 1071 over the pseudo-header and `bytes`.
fn transport_checksum(ip: &Ip, protocol: u8, bytes: &[u8]) -> u16 {
    let mut total = sum(bytes) + u64::from(protocol) + bytes.len() as u64;
    match (ip.from, ip.to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => total += sum(&from.octets()) + sum(&to.octets()),
        (from, to) => total += sum(&v6(from).octets()) + sum(&v6(to).octets()),
    }
    !fold(total)
}

/// The unfolded ones' complement sum of big-endian 16-bit words, an odd last byte padded by 0.
/// Adding 32-bit words is the same sum, since 2^16 is 1 modulo 2^16 - 1.
fn sum(bytes: &[u8]) -> u64 {
    let mut chunks = bytes.chunks_exact(4);
    let mut total = 0;
    for chunk in &mut chunks {
        total += u64::from(u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]));
    }
    let mut last = [0; 4];
    let rest = chunks.remainder();
    last[..rest.len()].copy_from_slice(rest);
    total + u64::from(u32::from_be_bytes(last))
}

fn fold(mut total: u64) -> u16 {
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}
