//! One captured frame, down to its innermost conversation.
//!
//! [`decode`] walks link, network, tunnel and transport headers and says who talks to whom
//! innermost, what the payload is and which tunnel carried it. An own walk and not a crate's
//! slices: it is the packet path, where it costs a third of them, and it must go on where they
//! stop (tunnels, frames cut by the snapshot length, offloaded segments without a length).
//! Checksums are not verified: captures on the sending host hold unfinished ones.

use std::net::IpAddr;

use crate::error::WireError;
use crate::link::{self, LinkType};
use crate::{ip, transport};

/// Headers nested deeper than this are not followed: the packet is what was found until then.
pub const MAX_DEPTH: u8 = 8;

/// The fields of a TCP header; all zero where the packet is not TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tcp<'a> {
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Flags, see [`Tcp::SYN`] and the others.
    pub flags: u8,
    /// Window, not scaled.
    pub window: u16,
    /// Option bytes as captured; may be cut.
    pub options: &'a [u8],
}

impl Tcp<'_> {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push function.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement field is significant.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer field is significant.
    pub const URG: u8 = 0x20;
}

/// A packet of the innermost conversation in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// IP protocol number of what the payload belongs to.
    pub ip_protocol: u8,
    /// Source port, 0 where the protocol has none.
    pub source_port: u16,
    /// Destination port, 0 where the protocol has none.
    pub destination_port: u16,
    /// TCP header fields.
    pub tcp: Tcp<'a>,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// Captured payload: behind the TCP, UDP or SCTP header, else the whole IP payload.
    pub payload: &'a [u8],
    /// Payload length in bytes by the IP or UDP length: more than `payload.len()` where the
    /// snapshot length cut the frame.
    pub payload_len: u32,
    /// The tunnel it ran in.
    pub encapsulation: Option<Encapsulation>,
    /// Outermost VLAN id.
    pub vlan: Option<u16>,
}

/// A tunnel around a packet: the innermost, but GTP-U before any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Encapsulation {
    /// `gtp-u`, `gre`, `ip-in-ip`, `6in4`, `4in6`, `vxlan`, `geneve`, `teredo`, `etherip`,
    /// `erspan`, `pptp` or `mpls-in-ip`.
    pub kind: &'static str,
    /// Outer source address.
    pub source: IpAddr,
    /// Outer destination address.
    pub destination: IpAddr,
    /// GTP-U TEID, GRE key, VXLAN or Geneve network id, PPTP call id, ERSPAN session.
    pub id: Option<u32>,
    /// GTP-U QoS flow identifier (3GPP TS 38.415).
    pub qfi: Option<u8>,
}

/// What all fragments of one datagram share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FragmentHead {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// IP protocol number of the payload.
    pub ip_protocol: u8,
    /// Identification: 16 bits in IPv4, 32 in IPv6.
    pub id: u32,
    /// Time to live or hop limit of this fragment.
    pub ttl: u8,
    /// The tunnel it ran in.
    pub encapsulation: Option<Encapsulation>,
    /// Outermost VLAN id.
    pub vlan: Option<u16>,
    /// Headers followed so far, see [`MAX_DEPTH`].
    pub depth: u8,
}

/// One fragment of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// What all fragments share.
    pub head: FragmentHead,
    /// Where the payload belongs, in bytes from the start of the datagram's payload.
    pub offset: u32,
    /// Whether more fragments follow.
    pub more: bool,
    /// Captured payload of this fragment.
    pub payload: &'a [u8],
    /// Payload length by the IP header: more than `payload.len()` where the snapshot length
    /// cut the frame.
    pub payload_len: u32,
}

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// A whole packet.
    Packet(Packet<'a>),
    /// A fragment, to be put together before it can be read.
    Fragment(Fragment<'a>),
    /// Not IP: the EtherType, or 0 where the link names none (also for encrypted 802.11 frames
    /// and for link types that are not read, see [`LinkType::is_read`]).
    NotIp(u16),
}

impl<'a> Decoded<'a> {
    /// Nothing read yet.
    pub const NOTHING: Self = Decoded::NotIp(0);

    /// Reads one frame into this place: headers in headers hand down a reference, since what is
    /// found is large and there are millions.
    ///
    /// A tunnel whose content can't be read is the packet of the outer conversation.
    ///
    /// # Errors
    /// [`WireError`] at the first header that is broken or cut before the addresses and ports,
    /// with its offset in `bytes`. What is in this place then means nothing.
    #[inline]
    pub fn read(&mut self, link: LinkType, bytes: &'a [u8]) -> Result<(), WireError> {
        link::decode(link, bytes, self)
    }

    #[inline]
    pub(crate) fn is_ip(&self) -> bool {
        !matches!(self, Decoded::NotIp(_))
    }
}

/// Reads one frame, see [`Decoded::read`].
///
/// # Errors
/// As there.
#[inline]
pub fn decode(link: LinkType, bytes: &[u8]) -> Result<Decoded<'_>, WireError> {
    let mut decoded = Decoded::NOTHING;
    decoded.read(link, bytes)?;
    Ok(decoded)
}

/// Reads a datagram put together from fragments: `payload` is the IP payload as far as it was
/// captured, `payload_len` its whole length.
///
/// # Errors
/// As [`decode`], with offsets in `payload`.
pub fn decode_reassembled<'a>(
    head: &FragmentHead,
    payload: &'a [u8],
    payload_len: u32,
) -> Result<Decoded<'a>, WireError> {
    let context = Context { depth: head.depth, vlan: head.vlan, encapsulation: head.encapsulation };
    let header = ip::Header {
        source: head.source,
        destination: head.destination,
        protocol: head.ip_protocol,
        ttl: head.ttl,
        payload_len,
    };
    let mut decoded = Decoded::NOTHING;
    transport::decode(&context, &header, payload, 0, &mut decoded)?;
    Ok(decoded)
}

/// What outer headers said, carried down to the innermost.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Context {
    pub(crate) depth: u8,
    pub(crate) vlan: Option<u16>,
    pub(crate) encapsulation: Option<Encapsulation>,
}

impl Context {
    /// The context inside a tunnel.
    pub(crate) fn inside(&self, tunnel: Encapsulation) -> Context {
        let keep =
            self.encapsulation.filter(|outer| outer.kind == "gtp-u" && tunnel.kind != "gtp-u");
        Context { encapsulation: Some(keep.unwrap_or(tunnel)), ..*self }
    }
}

/// Two bytes at `at`, network order.
#[inline]
pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_be_bytes(*b))
}

/// Four bytes at `at`, network order.
#[inline]
pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_be_bytes(*b))
}
