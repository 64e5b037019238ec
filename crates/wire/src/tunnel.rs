//! Tunnels: from an outer packet to the frame or datagram inside.
//!
//! Each reader answers `None` where the bytes are not that tunnel or hold no IP that can be
//! read; the packet is then one of the outer conversation.

use crate::error::WireError;
use crate::gtpu;
use crate::ip::{self, Header};
use crate::link;
use crate::packet::{Context, Decoded, Encapsulation, MAX_DEPTH, be16, be32};
use crate::transport::protocol;

/// UDP ports (IANA), 8472 by Linux's custom.
const GTPU: u16 = 2152;
const TEREDO: u16 = 3544;
const VXLAN: [u16; 2] = [4789, 8472];
const GENEVE: u16 = 6081;

/// Whether one of the ports is a tunnel's.
#[inline]
pub(crate) fn port(source: u16, destination: u16) -> bool {
    let is = |port| matches!(port, GTPU | TEREDO | 4789 | 8472 | GENEVE);
    is(source) || is(destination)
}

/// Something where reading went well and found IP.
fn found(read: Result<(), WireError>, out: &Decoded<'_>) -> Option<()> {
    (read.is_ok() && out.is_ip()).then_some(())
}

/// The context inside a tunnel; none where that is too deep.
fn inside(
    context: &Context,
    ip: &Header,
    kind: &'static str,
    id: Option<u32>,
    qfi: Option<u8>,
) -> Option<Context> {
    let (source, destination) = (ip.source, ip.destination);
    let tunnel = Encapsulation { kind, source, destination, id, qfi };
    let depth = context.depth + 1;
    (depth <= MAX_DEPTH).then(|| Context { depth, ..context.inside(tunnel) })
}

/// The payload of a UDP datagram, by its ports.
pub(crate) fn over_udp<'a>(
    context: &Context,
    ip: &Header,
    (source, destination): (u16, u16),
    bytes: &'a [u8],
    at: usize,
    out: &mut Decoded<'a>,
) -> Option<()> {
    if source == GTPU || destination == GTPU {
        let header = gtpu::Header::parse(bytes.get(at..)?)?;
        let context = inside(context, ip, "gtp-u", Some(header.teid), header.qfi)?;
        return found(ip::decode(&context, bytes, at + header.len, out), out);
    }
    if VXLAN.contains(&destination) {
        return vxlan(context, ip, bytes, at, out);
    }
    if destination == GENEVE {
        return geneve(context, ip, bytes, at, out);
    }
    if source == TEREDO || destination == TEREDO {
        return teredo(context, ip, bytes, at, out);
    }
    None
}

/// RFC 7348, 5.
fn vxlan<'a>(
    context: &Context,
    ip: &Header,
    bytes: &'a [u8],
    at: usize,
    out: &mut Decoded<'a>,
) -> Option<()> {
    const HAS_ID: u8 = 0x08;
    if bytes.get(at)? & HAS_ID == 0 {
        return None;
    }
    let context = inside(context, ip, "vxlan", Some(be32(bytes, at + 4)? >> 8), None)?;
    found(link::ethernet(&context, bytes, at + 8, out), out)
}

/// RFC 8926, 3.4.
fn geneve<'a>(
    context: &Context,
    ip: &Header,
    bytes: &'a [u8],
    at: usize,
    out: &mut Decoded<'a>,
) -> Option<()> {
    let first = *bytes.get(at)?;
    if first >> 6 != 0 {
        return None;
    }
    let options = usize::from(first & 0x3f) * 4;
    let context = inside(context, ip, "geneve", Some(be32(bytes, at + 4)? >> 8), None)?;
    found(link::network(&context, be16(bytes, at + 2)?, bytes, at + 8 + options, out), out)
}

/// RFC 4380, 5.1.1: optional authentication and origin indications, then IPv6.
fn teredo<'a>(
    context: &Context,
    ip: &Header,
    bytes: &'a [u8],
    mut at: usize,
    out: &mut Decoded<'a>,
) -> Option<()> {
    if be16(bytes, at)? == 1 {
        at += 13 + usize::from(*bytes.get(at + 2)?) + usize::from(*bytes.get(at + 3)?);
    }
    if be16(bytes, at)? == 0 {
        at += 8;
    }
    if bytes.get(at)? >> 4 != 6 {
        return None;
    }
    found(ip::decode(&inside(context, ip, "teredo", None, None)?, bytes, at, out), out)
}

/// The payload of an IP datagram, by its protocol.
pub(crate) fn over_ip<'a>(
    context: &Context,
    ip: &Header,
    bytes: &'a [u8],
    at: usize,
    out: &mut Decoded<'a>,
) -> Option<()> {
    match ip.protocol {
        protocol::IPV4 | protocol::IPV6 => {
            let kind = match (ip.protocol, ip.source.is_ipv4()) {
                (protocol::IPV6, true) => "6in4",
                (protocol::IPV4, false) => "4in6",
                _ => "ip-in-ip",
            };
            found(ip::decode(&inside(context, ip, kind, None, None)?, bytes, at, out), out)
        }
        protocol::GRE => gre(context, ip, bytes, at, out),
        protocol::ETHERIP if be16(bytes, at)? >> 12 == 3 => {
            // RFC 3378: version 3, then Ethernet.
            let context = inside(context, ip, "etherip", None, None)?;
            found(link::ethernet(&context, bytes, at + 2, out), out)
        }
        protocol::MPLS => {
            let id = be32(bytes, at)? >> 12;
            found(
                link::mpls(&inside(context, ip, "mpls-in-ip", Some(id), None)?, bytes, at, out),
                out,
            )
        }
        _ => None,
    }
}

/// RFC 2784 and 2890 (version 0), RFC 2637 (version 1, PPTP).
fn gre<'a>(
    context: &Context,
    ip: &Header,
    bytes: &'a [u8],
    at: usize,
    out: &mut Decoded<'a>,
) -> Option<()> {
    const CHECKSUM: u16 = 0x8000;
    const ROUTING: u16 = 0x4000;
    const KEY: u16 = 0x2000;
    const SEQUENCE: u16 = 0x1000;
    const ACKNOWLEDGEMENT: u16 = 0x0080;
    const ERSPAN: u16 = 0x88be;
    const ERSPAN_3: u16 = 0x22eb;
    const WCCP: u16 = 0x883e;
    let flags = be16(bytes, at)?;
    let inner = be16(bytes, at + 2)?;
    let mut here = at + 4;
    if flags & 0x0007 == 1 {
        let call = be32(bytes, here)? & 0xffff;
        here += 4;
        here += if flags & SEQUENCE != 0 { 4 } else { 0 };
        here += if flags & ACKNOWLEDGEMENT != 0 { 4 } else { 0 };
        return found(
            link::ppp(&inside(context, ip, "pptp", Some(call), None)?, bytes, here, out),
            out,
        );
    }
    if flags & 0x0007 != 0 || flags & ROUTING != 0 {
        return None;
    }
    here += if flags & CHECKSUM != 0 { 4 } else { 0 };
    let mut key = None;
    if flags & KEY != 0 {
        key = Some(be32(bytes, here)?);
        here += 4;
    }
    here += if flags & SEQUENCE != 0 { 4 } else { 0 };
    let mut mirrored = |header: usize| {
        // The session id is the low 10 bits of the header's first word in types II and III.
        let session = (header > 0).then(|| be32(bytes, here).map(|word| word & 0x03ff)).flatten();
        let context = inside(context, ip, "erspan", session, None)?;
        found(link::ethernet(&context, bytes, here + header, out), out)
    };
    match inner {
        ERSPAN if flags & SEQUENCE == 0 => mirrored(0),
        ERSPAN => mirrored(8),
        ERSPAN_3 => {
            let subheader = be16(bytes, here + 10)? & 1 != 0;
            mirrored(if subheader { 20 } else { 12 })
        }
        _ => {
            let context = inside(context, ip, "gre", key, None)?;
            if inner == WCCP {
                // The older version has no redirect header of four bytes.
                here += if ip::looks_like_ip(bytes, here) { 0 } else { 4 };
                return found(ip::decode(&context, bytes, here, out), out);
            }
            found(link::network(&context, inner, bytes, here, out), out)
        }
    }
}
