//! Link layers: from the first captured byte to the network header.
//!
//! Link types are numbered as in <https://www.tcpdump.org/linktypes.html>.

use crate::error::{Layer, Reason, WireError};
use crate::ip;
use crate::packet::{Context, Decoded, MAX_DEPTH, be16, be32};

/// A link type of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkType(pub u32);

/// Every link type that is read, with its name.
const NAMES: &[(LinkType, &str)] = &[
    (LinkType::NULL, "null"),
    (LinkType::ETHERNET, "ethernet"),
    (LinkType::PPP, "ppp"),
    (LinkType(12), "raw"),
    (LinkType(14), "raw"),
    (LinkType::PPP_HDLC, "ppp-hdlc"),
    (LinkType::PPP_ETHER, "pppoe"),
    (LinkType::RAW, "raw"),
    (LinkType::CISCO_HDLC, "cisco-hdlc"),
    (LinkType::IEEE802_11, "802.11"),
    (LinkType::LOOP, "loop"),
    (LinkType::LINUX_SLL, "linux-sll"),
    (LinkType::IEEE802_11_PRISM, "802.11-prism"),
    (LinkType::IEEE802_11_RADIOTAP, "802.11-radiotap"),
    (LinkType::IEEE802_11_AVS, "802.11-avs"),
    (LinkType::PPP_WITH_DIRECTION, "ppp-with-direction"),
    (LinkType::IPV4, "ipv4"),
    (LinkType::IPV6, "ipv6"),
    (LinkType::LINUX_SLL2, "linux-sll2"),
];

impl LinkType {
    /// BSD loopback: address family in the capturing host's byte order.
    pub const NULL: LinkType = LinkType(0);
    /// Ethernet II and IEEE 802.3.
    pub const ETHERNET: LinkType = LinkType(1);
    /// PPP, with or without HDLC-like framing.
    pub const PPP: LinkType = LinkType(9);
    /// PPP in HDLC-like framing (RFC 1662).
    pub const PPP_HDLC: LinkType = LinkType(50);
    /// PPPoE session without its Ethernet header (RFC 2516).
    pub const PPP_ETHER: LinkType = LinkType(51);
    /// IPv4 or IPv6 by the version nibble; 12 and 14 mean the same on some systems.
    pub const RAW: LinkType = LinkType(101);
    /// Cisco HDLC (RFC 1547, 4.3.1).
    pub const CISCO_HDLC: LinkType = LinkType(104);
    /// IEEE 802.11.
    pub const IEEE802_11: LinkType = LinkType(105);
    /// OpenBSD loopback: address family in network byte order.
    pub const LOOP: LinkType = LinkType(108);
    /// Linux cooked capture.
    pub const LINUX_SLL: LinkType = LinkType(113);
    /// IEEE 802.11 behind a Prism header.
    pub const IEEE802_11_PRISM: LinkType = LinkType(119);
    /// IEEE 802.11 behind a radiotap header.
    pub const IEEE802_11_RADIOTAP: LinkType = LinkType(127);
    /// IEEE 802.11 behind an AVS header.
    pub const IEEE802_11_AVS: LinkType = LinkType(163);
    /// PPP behind a byte that tells the direction.
    pub const PPP_WITH_DIRECTION: LinkType = LinkType(204);
    /// IPv4 only.
    pub const IPV4: LinkType = LinkType(228);
    /// IPv6 only.
    pub const IPV6: LinkType = LinkType(229);
    /// Linux cooked capture, version 2.
    pub const LINUX_SLL2: LinkType = LinkType(276);

    /// Name in lower case; `other` where frames of this type are not read.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(link, _)| *link == self).map_or("other", |(_, name)| name)
    }

    /// Whether frames of this link type are read.
    pub fn is_read(self) -> bool {
        NAMES.iter().any(|(link, _)| *link == self)
    }
}

/// EtherTypes that are followed (IEEE registration authority).
mod ether_type {
    pub(super) const IPV4: u16 = 0x0800;
    pub(super) const IPV6: u16 = 0x86dd;
    pub(super) const VLAN: [u16; 5] = [0x8100, 0x88a8, 0x9100, 0x9200, 0x9300];
    /// Transparent Ethernet bridging (RFC 1701).
    pub(super) const ETHERNET: u16 = 0x6558;
    pub(super) const PPP: u16 = 0x880b;
    pub(super) const MPLS: [u16; 2] = [0x8847, 0x8848];
    pub(super) const PPPOE_SESSION: u16 = 0x8864;
    /// Provider backbone bridge: a service tag before a second Ethernet header (802.1ah).
    pub(super) const BACKBONE: u16 = 0x88e7;
    /// VN-Tag: four bytes before the next EtherType.
    pub(super) const VN_TAG: u16 = 0x8926;
}

/// Below it, the field behind the Ethernet addresses is a length (IEEE 802.3).
const FIRST_ETHER_TYPE: u16 = 0x0600;
/// Tags and labels of one kind that are skipped in a row.
const MAX_TAGS: usize = 16;

pub(crate) fn cut(layer: Layer, bytes: &[u8], at: usize, need: usize) -> WireError {
    WireError::truncated(layer, at, need, bytes.len().saturating_sub(at))
}

#[allow(clippy::unnecessary_wraps)] // as every reader answers
fn not_ip(ether_type: u16, out: &mut Decoded<'_>) -> Result<(), WireError> {
    *out = Decoded::NotIp(ether_type);
    Ok(())
}

/// Reads a frame of `link`.
#[inline]
pub(crate) fn decode<'a>(
    link: LinkType,
    bytes: &'a [u8],
    out: &mut Decoded<'a>,
) -> Result<(), WireError> {
    let context = Context::default();
    match link {
        LinkType::ETHERNET => ethernet(&context, bytes, 0, out),
        other => decode_rare(&context, other, bytes, out),
    }
}

fn decode_rare<'a>(
    context: &Context,
    link: LinkType,
    bytes: &'a [u8],
    out: &mut Decoded<'a>,
) -> Result<(), WireError> {
    let mut protocol_at = |at: usize, header: usize| {
        let protocol = be16(bytes, at).ok_or_else(|| cut(Layer::Link, bytes, 0, header))?;
        match protocol {
            // Linux's ETH_P_802_3 and ETH_P_802_2: no EtherType but an LLC header follows.
            1 | 4 => llc(context, bytes, header, out),
            _ => network(context, protocol, bytes, header, out),
        }
    };
    match link {
        LinkType(12 | 14) | LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 => {
            ip::decode(context, bytes, 0, out)
        }
        LinkType::NULL | LinkType::LOOP => loopback(context, bytes, out),
        LinkType::LINUX_SLL => protocol_at(14, 16),
        LinkType::LINUX_SLL2 => protocol_at(0, 20),
        LinkType::PPP | LinkType::PPP_HDLC => ppp(context, bytes, 0, out),
        LinkType::PPP_WITH_DIRECTION => ppp(context, bytes, 1, out),
        LinkType::PPP_ETHER => pppoe(context, bytes, 0, out),
        LinkType::CISCO_HDLC => protocol_at(2, 4),
        LinkType::IEEE802_11 => wireless(context, bytes, 0, false, out),
        LinkType::IEEE802_11_RADIOTAP => radiotap(context, bytes, out),
        LinkType::IEEE802_11_PRISM => prism(context, bytes, out),
        LinkType::IEEE802_11_AVS => avs(context, bytes, 0, out),
        _ => not_ip(0, out),
    }
}

/// Ethernet II, 802.3 with LLC or SNAP.
#[inline]
pub(crate) fn ethernet<'a>(
    context: &Context,
    bytes: &'a [u8],
    at: usize,
    out: &mut Decoded<'a>,
) -> Result<(), WireError> {
    let Some(protocol) = be16(bytes, at + 12) else {
        return Err(cut(Layer::Link, bytes, at, 14));
    };
    match protocol {
        ether_type::IPV4 | ether_type::IPV6 => ip::decode(context, bytes, at + 14, out),
        FIRST_ETHER_TYPE.. => network(context, protocol, bytes, at + 14, out),
        length => {
            let end = bytes.len().min(at + 14 + usize::from(length));
            llc(context, bytes.get(..end).unwrap_or(bytes), at + 14, out)
        }
    }
}

/// IEEE 802.2 logical link control, with SNAP (RFC 1042).
fn llc<'a>(
    context: &Context,
    bytes: &'a [u8],
    at: usize,
    out: &mut Decoded<'a>,
) -> Result<(), WireError> {
    match bytes.get(at..).unwrap_or_default() {
        [0xaa, 0xaa, 0x03, 0, 0, 0 | 0xf8, high, low, ..] => {
            network(context, u16::from_be_bytes([*high, *low]), bytes, at + 8, out)
        }
        [0x06, 0x06, 0x03, ..] => ip::decode(context, bytes, at + 3, out),
        _ => not_ip(0, out),
    }
}

/// What an EtherType announces, through VLAN tags.
pub(crate) fn network<'a>(
    context: &Context,
    mut protocol: u16,
    bytes: &'a [u8],
    mut at: usize,
    out: &mut Decoded<'a>,
) -> Result<(), WireError> {
    let mut context = Context { depth: context.depth + 1, ..*context };
    if context.depth > MAX_DEPTH {
        return Err(WireError::new(Layer::Link, at, Reason::TooDeep));
    }
    for _ in 0..MAX_TAGS {
        let tag = ether_type::VLAN.contains(&protocol);
        if !tag && protocol != ether_type::VN_TAG {
            break;
        }
        let (Some(control), Some(next)) =
            (be16(bytes, at), be16(bytes, at + if tag { 2 } else { 4 }))
        else {
            return Err(cut(Layer::Vlan, bytes, at, 4));
        };
        let id = control & 0x0fff;
        if tag && id != 0 && context.vlan.is_none() {
            context.vlan = Some(id);
        }
        protocol = next;
        at += if tag { 4 } else { 6 };
    }
    match protocol {
        ether_type::IPV4 | ether_type::IPV6 => ip::decode(&context, bytes, at, out),
        ether_type::ETHERNET => ethernet(&context, bytes, at, out),
        ether_type::PPP => ppp(&context, bytes, at, out),
        ether_type::PPPOE_SESSION => pppoe(&context, bytes, at, out),
        ether_type::BACKBONE => ethernet(&context, bytes, at + 4, out),
        _ if ether_type::MPLS.contains(&protocol) => mpls(&context, bytes, at, out),
        // A length behind a VLAN tag.
        0..FIRST_ETHER_TYPE => {
            let end = bytes.len().min(at + usize::from(protocol));
            llc(&context, bytes.get(..end).unwrap_or(bytes), at, out)
        }
        other => not_ip(other, out),
    }
}

/// MPLS label stack (RFC 3032). Nothing names what follows: an IP version nibble tells IP, a
/// zero nibble a pseudowire's control word (RFC 4385), else it is Ethernet if that has IP in it.
pub(crate) fn mpls<'a>(
    context: &Context,
    bytes: &'a [u8],
    mut at: usize,
    out: &mut Decoded<'a>,
) -> Result<(), WireError> {
    let mut bottom = false;
    for _ in 0..MAX_TAGS {
        let label = be32(bytes, at).ok_or_else(|| cut(Layer::Mpls, bytes, at, 4))?;
        at += 4;
        bottom = label & 0x100 != 0;
        if bottom {
            break;
        }
    }
    if !bottom {
        return Err(WireError::new(Layer::Mpls, at, Reason::TooDeep));
    }
    let first = *bytes.get(at).ok_or_else(|| cut(Layer::Mpls, bytes, at, 1))?;
    let guess = match first >> 4 {
        4 | 6 => ip::decode(context, bytes, at, out),
        0 => pseudowire(context, bytes, at + 4, out),
        1 => return not_ip(ether_type::MPLS[0], out), // associated channel, RFC 4385
        _ => return pseudowire(context, bytes, at, out),
    };
    match guess {
        Ok(()) if out.is_ip() => Ok(()),
        Ok(()) => pseudowire(context, bytes, at, out),
        Err(error) => match pseudowire(context, bytes, at, out) {
            Ok(()) if out.is_ip() => Ok(()),
            _ => Err(error),
        },
    }
}

/// Ethernet that must look like it: a known EtherType, else it is something unknown.
fn pseudowire<'a>(
    context: &Context,
    bytes: &'a [u8],
    at: usize,
    out: &mut Decoded<'a>,
) -> Result<(), WireError> {
    let inside = Context { depth: context.depth + 1, ..*context };
    match ethernet(&inside, bytes, at, out) {
        Err(error) if error.layer != Layer::Link => Err(error),
        Ok(()) if out.is_ip() => Ok(()),
        _ => not_ip(ether_type::MPLS[0], out),
    }
}

/// PPPoE session stage (RFC 2516, 4).
fn pppoe<'a>(
    context: &Context,
    bytes: &'a [u8],
    at: usize,
    out: &mut Decoded<'a>,
) -> Result<(), WireError> {
    let (Some([version, code]), Some(length)) =
        (bytes.get(at..).and_then(|b| b.first_chunk::<2>()), be16(bytes, at + 4))
    else {
        return Err(cut(Layer::Pppoe, bytes, at, 6));
    };
    if *version != 0x11 {
        return Err(WireError::new(Layer::Pppoe, at, Reason::BadVersion(u32::from(*version))));
    }
    if *code != 0 {
        return not_ip(ether_type::PPPOE_SESSION, out);
    }
    let end = bytes.len().min(at + 6 + usize::from(length));
    ppp(context, bytes.get(..end).unwrap_or(bytes), at + 6, out)
}

/// PPP (RFC 1661), with or without address and control bytes, protocol field compressed or not.
pub(crate) fn ppp<'a>(
    context: &Context,
    bytes: &'a [u8],
    mut at: usize,
    out: &mut Decoded<'a>,
) -> Result<(), WireError> {
    let rest = bytes.get(at..).unwrap_or_default();
    match rest {
        [0xff, 0x03, ..] => at += 2,
        // Cisco HDLC inside a PPP link type: an EtherType follows.
        [0x0f | 0x8f, 0, ..] => {
            let protocol = be16(bytes, at + 2).ok_or_else(|| cut(Layer::Link, bytes, at, 4))?;
            return network(context, protocol, bytes, at + 4, out);
        }
        _ => {}
    }
    let (protocol, len) = match bytes.get(at..).unwrap_or_default() {
        [odd, ..] if odd & 1 == 1 => (u16::from(*odd), 1),
        [high, low, ..] => (u16::from_be_bytes([*high, *low]), 2),
        _ => return Err(cut(Layer::Link, bytes, at, 2)),
    };
    match protocol {
        0x0021 | 0x0057 => ip::decode(context, bytes, at + len, out),
        0x0281 | 0x0283 => mpls(context, bytes, at + len, out),
        _ => not_ip(ether_type::PPP, out),
    }
}

/// BSD loopback: the address family in either byte order. `AF_INET6` differs by system.
fn loopback<'a>(
    context: &Context,
    bytes: &'a [u8],
    out: &mut Decoded<'a>,
) -> Result<(), WireError> {
    let family = be32(bytes, 0).ok_or_else(|| cut(Layer::Link, bytes, 0, 4))?;
    match if family > 0xffff { family.swap_bytes() } else { family } {
        2 | 10 | 23 | 24 | 28 | 30 => ip::decode(context, bytes, 4, out),
        // Some systems write an EtherType instead.
        protocol @ 0x0600..=0xffff => network(context, protocol as u16, bytes, 4, out),
        _ => not_ip(0, out),
    }
}

/// Radiotap (<https://www.radiotap.org>): little-endian length, then 802.11.
fn radiotap<'a>(
    context: &Context,
    bytes: &'a [u8],
    out: &mut Decoded<'a>,
) -> Result<(), WireError> {
    const PRESENT_TIME: u32 = 1;
    const PRESENT_FLAGS: u32 = 1 << 1;
    const PRESENT_MORE: u32 = 1 << 31;
    const FLAG_PADDED: u8 = 0x20;
    let little = |at: usize| be32(bytes, at).map(u32::swap_bytes);
    let (Some(length), Some(present)) = (be16(bytes, 2).map(u16::swap_bytes), little(4)) else {
        return Err(cut(Layer::Link, bytes, 0, 8));
    };
    let mut fields = 8;
    let mut word = present;
    while word & PRESENT_MORE != 0 && fields < usize::from(length) {
        word = little(fields).unwrap_or(0);
        fields += 4;
    }
    if present & PRESENT_TIME != 0 {
        fields = fields.next_multiple_of(8) + 8;
    }
    let padded = present & PRESENT_FLAGS != 0
        && bytes.get(fields).is_some_and(|flags| flags & FLAG_PADDED != 0);
    wireless(context, bytes, usize::from(length), padded, out)
}

/// Prism monitoring header: its length at 4 in the capturing host's order; some drivers write
/// an AVS header under the same link type.
fn prism<'a>(context: &Context, bytes: &'a [u8], out: &mut Decoded<'a>) -> Result<(), WireError> {
    const AVS_MAGIC: u32 = 0x8021_1000;
    let (Some(first), Some(length)) = (be32(bytes, 0), be32(bytes, 4)) else {
        return Err(cut(Layer::Link, bytes, 0, 8));
    };
    if first & 0xffff_f000 == AVS_MAGIC {
        return avs(context, bytes, 0, out);
    }
    wireless(context, bytes, length.min(length.swap_bytes()) as usize, false, out)
}

/// AVS monitoring header: magic, then its length in network order.
fn avs<'a>(
    context: &Context,
    bytes: &'a [u8],
    at: usize,
    out: &mut Decoded<'a>,
) -> Result<(), WireError> {
    let length = be32(bytes, at + 4).ok_or_else(|| cut(Layer::Link, bytes, at, 8))?;
    wireless(context, bytes, at.saturating_add(length as usize), false, out)
}

/// IEEE 802.11 data frames in clear; `padded` says that the header is padded to four bytes.
fn wireless<'a>(
    context: &Context,
    bytes: &'a [u8],
    at: usize,
    padded: bool,
    out: &mut Decoded<'a>,
) -> Result<(), WireError> {
    let Some([control, flags]) = bytes.get(at..).and_then(|b| b.first_chunk::<2>()) else {
        return Err(cut(Layer::Link, bytes, at, 24));
    };
    let data = control & 0x0c == 0x08;
    let no_data = control & 0x40 != 0;
    let encrypted = flags & 0x40 != 0;
    if !data || no_data || encrypted {
        return not_ip(0, out);
    }
    let mut len = if flags & 0x03 == 0x03 { 30 } else { 24 };
    if control & 0x80 != 0 {
        // QoS control; its bit 7 says that several frames are packed into one.
        if bytes.get(at + len).is_some_and(|qos| qos & 0x80 != 0) {
            return not_ip(0, out);
        }
        len += if flags & 0x80 != 0 { 6 } else { 2 };
    }
    llc(context, bytes, at + if padded { len.next_multiple_of(4) } else { len }, out)
}
