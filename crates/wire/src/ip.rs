//! IPv4 (RFC 791), IPv6 and its extension headers (RFC 8200), and their fragments.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::{Layer, Reason, WireError};
use crate::link::cut;
use crate::packet::{Context, Decoded, Fragment, FragmentHead, MAX_DEPTH, be16};
use crate::transport;

/// IPv6 extension headers followed in a row.
const MAX_EXTENSIONS: usize = 16;

/// What the transport layer needs of the IP header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) protocol: u8,
    pub(crate) ttl: u8,
    /// By the IP length, not by what was captured.
    pub(crate) payload_len: u32,
}

/// IPv4 or IPv6 at `at`, by the version nibble.
#[inline]
pub(crate) fn decode<'a>(
    context: &Context,
    bytes: &'a [u8],
    at: usize,
    out: &mut Decoded<'a>,
) -> Result<(), WireError> {
    if context.depth > MAX_DEPTH {
        return Err(WireError::new(Layer::Ipv4, at, Reason::TooDeep));
    }
    match bytes.get(at).map(|first| first >> 4) {
        Some(4) => v4(context, bytes, at, out),
        Some(6) => v6(context, bytes, at, out),
        Some(other) => Err(WireError::new(Layer::Ipv4, at, Reason::BadVersion(u32::from(other)))),
        None => Err(cut(Layer::Ipv4, bytes, at, 20)),
    }
}

#[inline]
fn v4<'a>(
    context: &Context,
    bytes: &'a [u8],
    at: usize,
    out: &mut Decoded<'a>,
) -> Result<(), WireError> {
    const LEN: usize = 20;
    const MORE: u16 = 0x2000;
    const OFFSET: u16 = 0x1fff;
    let Some(header) = bytes.get(at..).and_then(|b| b.first_chunk::<LEN>()) else {
        return Err(cut(Layer::Ipv4, bytes, at, LEN));
    };
    let header_len = usize::from(header[0] & 0x0f) * 4;
    let captured = bytes.len() - at;
    // Segments that the network card is still to cut have no length.
    let total = match usize::from(u16::from_be_bytes([header[2], header[3]])) {
        0 => captured,
        total => total,
    };
    if header_len < LEN || total < header_len {
        return Err(WireError::new(Layer::Ipv4, at, Reason::BadLength));
    }
    if captured < header_len {
        return Err(cut(Layer::Ipv4, bytes, at, header_len));
    }
    let bytes = &bytes[..at + total.min(captured)]; // `captured` is what follows `at`
    let fragment = u16::from_be_bytes([header[6], header[7]]);
    let ip = Header {
        source: IpAddr::V4(Ipv4Addr::new(header[12], header[13], header[14], header[15])),
        destination: IpAddr::V4(Ipv4Addr::new(header[16], header[17], header[18], header[19])),
        protocol: header[9],
        ttl: header[8],
        payload_len: (total - header_len) as u32,
    };
    if fragment & (MORE | OFFSET) != 0 {
        *out = Decoded::Fragment(Fragment {
            head: head(context, &ip, u32::from(u16::from_be_bytes([header[4], header[5]]))),
            offset: u32::from(fragment & OFFSET) * 8,
            more: fragment & MORE != 0,
            payload: &bytes[at + header_len..],
            payload_len: ip.payload_len,
        });
        return Ok(());
    }
    transport::decode(context, &ip, bytes, at + header_len, out)
}

fn v6<'a>(
    context: &Context,
    bytes: &'a [u8],
    at: usize,
    out: &mut Decoded<'a>,
) -> Result<(), WireError> {
    const LEN: usize = 40;
    const NO_NEXT: u8 = 59;
    let Some(header) = bytes.get(at..).and_then(|b| b.first_chunk::<LEN>()) else {
        return Err(cut(Layer::Ipv6, bytes, at, LEN));
    };
    let address = |at: usize| {
        let octets = header[at..].first_chunk::<16>().copied().unwrap_or_default();
        IpAddr::V6(Ipv6Addr::from(octets))
    };
    let captured = bytes.len() - at - LEN;
    // Jumbograms, and segments that the network card is still to cut, have no length.
    let length = match usize::from(u16::from_be_bytes([header[4], header[5]])) {
        0 if header[6] != NO_NEXT => captured,
        length => length,
    };
    let bytes = &bytes[..at + LEN + length.min(captured)];
    let mut ip = Header {
        source: address(8),
        destination: address(24),
        protocol: header[6],
        ttl: header[7],
        payload_len: length as u32,
    };
    let mut here = at + LEN;
    for _ in 0..MAX_EXTENSIONS {
        let unit = match ip.protocol {
            // Hop-by-hop, routing, destination options, mobility, HIP, shim6.
            0 | 43 | 60 | 135 | 139 | 140 => 8,
            FRAGMENT => {
                let Some(extension) = bytes.get(here..).and_then(|b| b.first_chunk::<8>()) else {
                    return Err(cut(Layer::Fragment, bytes, here, 8));
                };
                let field = u16::from_be_bytes([extension[2], extension[3]]);
                ip.protocol = extension[0];
                here += 8;
                ip.payload_len = shorten(&ip, 8, here)?;
                // A fragment that is the whole datagram needs no state (RFC 6946).
                if field & 0xfff9 == 0 {
                    continue;
                }
                let [.., a, b, c, d] = *extension;
                *out = Decoded::Fragment(Fragment {
                    head: head(context, &ip, u32::from_be_bytes([a, b, c, d])),
                    offset: u32::from(field & 0xfff8),
                    more: field & 1 != 0,
                    payload: bytes.get(here..).unwrap_or_default(),
                    payload_len: ip.payload_len,
                });
                return Ok(());
            }
            _ => return transport::decode(context, &ip, bytes, here, out),
        };
        let Some([next, units]) = bytes.get(here..).and_then(|b| b.first_chunk::<2>()) else {
            return Err(cut(Layer::Ipv6, bytes, here, 2));
        };
        let len = (usize::from(*units) + 1) * unit;
        ip.protocol = *next;
        ip.payload_len = shorten(&ip, len, here)?;
        here += len;
    }
    Err(WireError::new(Layer::Ipv6, here, Reason::TooDeep))
}

const FRAGMENT: u8 = 44;

fn shorten(ip: &Header, by: usize, at: usize) -> Result<u32, WireError> {
    ip.payload_len.checked_sub(by as u32).ok_or(WireError::new(Layer::Ipv6, at, Reason::BadLength))
}

fn head(context: &Context, ip: &Header, id: u32) -> FragmentHead {
    FragmentHead {
        source: ip.source,
        destination: ip.destination,
        ip_protocol: ip.protocol,
        id,
        ttl: ip.ttl,
        encapsulation: context.encapsulation,
        vlan: context.vlan,
        depth: context.depth,
    }
}

/// Skips an authentication header (RFC 4302), which either IP version may carry.
pub(crate) fn authentication<'a>(
    context: &Context,
    ip: &Header,
    bytes: &'a [u8],
    at: usize,
    out: &mut Decoded<'a>,
) -> Result<(), WireError> {
    let Some([next, words]) = bytes.get(at..).and_then(|b| b.first_chunk::<2>()) else {
        return Err(cut(Layer::Ipv6, bytes, at, 12));
    };
    let len = (usize::from(*words) + 2) * 4;
    let inside = Context { depth: context.depth + 1, ..*context };
    if inside.depth > MAX_DEPTH {
        return Err(WireError::new(Layer::Ipv6, at, Reason::TooDeep));
    }
    let ip = Header { protocol: *next, payload_len: shorten(ip, len, at)?, ..*ip };
    transport::decode(&inside, &ip, bytes, at + len, out)
}

/// The length of the IP header at `at` if it is one and its length fits what was announced.
pub(crate) fn looks_like_ip(bytes: &[u8], at: usize) -> bool {
    match bytes.get(at).map(|first| (first >> 4, first & 0x0f)) {
        Some((4, words)) => {
            words >= 5 && be16(bytes, at + 2).is_some_and(|l| l == 0 || l >= u16::from(words) * 4)
        }
        Some((6, _)) => bytes.len() - at >= 8,
        _ => false,
    }
}
