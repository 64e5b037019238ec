//! Transport headers: TCP (RFC 9293), UDP (RFC 768), SCTP (RFC 9260), and what else IP carries.

use crate::error::{Layer, Reason, WireError};
use crate::ip::{self, Header};
use crate::link::cut;
use crate::packet::{Context, Decoded, Packet, Tcp, be16, be32};
use crate::tunnel;

/// IP protocol numbers (IANA).
pub(crate) mod protocol {
    pub(crate) const IPV4: u8 = 4;
    pub(crate) const TCP: u8 = 6;
    pub(crate) const UDP: u8 = 17;
    pub(crate) const IPV6: u8 = 41;
    pub(crate) const GRE: u8 = 47;
    pub(crate) const AH: u8 = 51;
    pub(crate) const ETHERIP: u8 = 97;
    pub(crate) const SCTP: u8 = 132;
    pub(crate) const MPLS: u8 = 137;
}

/// The payload of an IP header; `bytes` ends where the IP length says or the capture does.
#[inline]
pub(crate) fn decode<'a>(
    context: &Context,
    ip: &Header,
    bytes: &'a [u8],
    at: usize,
    out: &mut Decoded<'a>,
) -> Result<(), WireError> {
    match ip.protocol {
        protocol::TCP => tcp(context, ip, bytes, at, out),
        protocol::UDP => udp(context, ip, bytes, at, out),
        protocol::AH => ip::authentication(context, ip, bytes, at, out),
        _ => other(context, ip, bytes, at, out),
    }
}

#[inline]
fn packet<'a>(context: &Context, ip: &Header, payload: &'a [u8], payload_len: u32) -> Packet<'a> {
    Packet {
        source: ip.source,
        destination: ip.destination,
        ip_protocol: ip.protocol,
        source_port: 0,
        destination_port: 0,
        tcp: Tcp::default(),
        ttl: ip.ttl,
        payload,
        payload_len,
        encapsulation: context.encapsulation,
        vlan: context.vlan,
    }
}

/// Ports, where `need` bytes of header must fit into the IP length but only four be captured.
#[inline]
fn ports(
    layer: Layer,
    ip: &Header,
    bytes: &[u8],
    at: usize,
    need: u32,
) -> Result<(u16, u16), WireError> {
    if ip.payload_len < need {
        return Err(WireError::truncated(layer, at, need as usize, ip.payload_len as usize));
    }
    let both = be32(bytes, at).ok_or_else(|| cut(layer, bytes, at, 4))?;
    Ok(((both >> 16) as u16, both as u16))
}

#[inline]
fn tcp<'a>(
    context: &Context,
    ip: &Header,
    bytes: &'a [u8],
    at: usize,
    out: &mut Decoded<'a>,
) -> Result<(), WireError> {
    const LEN: usize = 20;
    let (source_port, destination_port) = ports(Layer::Tcp, ip, bytes, at, LEN as u32)?;
    let field = |offset: usize| be32(bytes, at + offset).unwrap_or(0);
    let [offset, flags, window @ ..] = field(12).to_be_bytes();
    let cut_before_offset = bytes.len() < at + 16;
    let header_len = if cut_before_offset { LEN } else { usize::from(offset >> 4) * 4 };
    let Some(payload_len) =
        ip.payload_len.checked_sub(header_len as u32).filter(|_| header_len >= LEN)
    else {
        return Err(WireError::new(Layer::Tcp, at + 12, Reason::BadLength));
    };
    let options_end = bytes.len().min(at + header_len);
    *out = Decoded::Packet(Packet {
        source_port,
        destination_port,
        tcp: Tcp {
            seq: field(4),
            ack: field(8),
            flags,
            window: u16::from_be_bytes(window),
            options: bytes.get(at + LEN..options_end).unwrap_or_default(),
        },
        ..packet(context, ip, bytes.get(at + header_len..).unwrap_or_default(), payload_len)
    });
    Ok(())
}

#[inline]
fn udp<'a>(
    context: &Context,
    ip: &Header,
    bytes: &'a [u8],
    at: usize,
    out: &mut Decoded<'a>,
) -> Result<(), WireError> {
    const LEN: u32 = 8;
    let (source_port, destination_port) = ports(Layer::Udp, ip, bytes, at, LEN)?;
    // 0 in jumbograms (RFC 2675) and in segments that the network card is still to cut.
    let length = match be16(bytes, at + 4) {
        None | Some(0) => ip.payload_len,
        Some(length) => u32::from(length).min(ip.payload_len),
    };
    if length < LEN {
        return Err(WireError::new(Layer::Udp, at + 4, Reason::BadLength));
    }
    let end = bytes.len().min(at + length as usize);
    let start = at + LEN as usize;
    let payload = bytes.get(start..end).unwrap_or_default();
    if tunnel::port(source_port, destination_port)
        && let inside = bytes.get(..end).unwrap_or(bytes)
        && tunnel::over_udp(context, ip, (source_port, destination_port), inside, start, out)
            .is_some()
    {
        return Ok(());
    }
    *out = Decoded::Packet(Packet {
        source_port,
        destination_port,
        ..packet(context, ip, payload, length - LEN)
    });
    Ok(())
}

fn other<'a>(
    context: &Context,
    ip: &Header,
    bytes: &'a [u8],
    at: usize,
    out: &mut Decoded<'a>,
) -> Result<(), WireError> {
    if ip.protocol == protocol::SCTP {
        const LEN: usize = 12;
        let (source_port, destination_port) = ports(Layer::Sctp, ip, bytes, at, LEN as u32)?;
        let payload = bytes.get(at + LEN..).unwrap_or_default();
        let packet = packet(context, ip, payload, ip.payload_len - LEN as u32);
        *out = Decoded::Packet(Packet { source_port, destination_port, ..packet });
        return Ok(());
    }
    if tunnel::over_ip(context, ip, bytes, at, out).is_none() {
        let payload = bytes.get(at..).unwrap_or_default();
        *out = Decoded::Packet(packet(context, ip, payload, ip.payload_len));
    }
    Ok(())
}
