//! Attributes: type, length, value, padded to four bytes (RFC 8489 14).

// A view of a list is walked as a copy, so that the list stays whole.
#![allow(clippy::copy_iterator)]

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::cursor::put_vec16;
use crate::fields::Value;

/// Attribute types (IANA STUN Attributes).
pub mod kind {
    #![allow(missing_docs)] // the registry's names are the documentation
    pub const MAPPED_ADDRESS: u16 = 0x0001;
    pub const USERNAME: u16 = 0x0006;
    pub const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub const ERROR_CODE: u16 = 0x0009;
    pub const CHANNEL_NUMBER: u16 = 0x000c;
    pub const LIFETIME: u16 = 0x000d;
    pub const XOR_PEER_ADDRESS: u16 = 0x0012;
    pub const DATA: u16 = 0x0013;
    pub const REALM: u16 = 0x0014;
    pub const NONCE: u16 = 0x0015;
    pub const XOR_RELAYED_ADDRESS: u16 = 0x0016;
    pub const REQUESTED_TRANSPORT: u16 = 0x0019;
    pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    pub const PRIORITY: u16 = 0x0024;
    pub const USE_CANDIDATE: u16 = 0x0025;
    pub const SOFTWARE: u16 = 0x8022;
    pub const FINGERPRINT: u16 = 0x8028;
    pub const ICE_CONTROLLED: u16 = 0x8029;
    pub const ICE_CONTROLLING: u16 = 0x802a;
    pub const RESPONSE_ORIGIN: u16 = 0x802b;
    pub const OTHER_ADDRESS: u16 = 0x802c;
    pub const GOOG_NETWORK_INFO: u16 = 0xc057;
}

/// One attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// See [`kind`].
    pub kind: u16,
    /// Without padding.
    pub value: &'a [u8],
}

/// The attributes of a message; ends where one is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Attributes { rest: bytes }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;
    fn next(&mut self) -> Option<Attribute<'a>> {
        let (head, rest) = self.rest.split_first_chunk::<4>()?;
        let len = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let value = rest.get(..len)?;
        self.rest = rest.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        Some(Attribute { kind: u16::from_be_bytes([head[0], head[1]]), value })
    }
}

/// Whether a type's address is XORed with cookie and transaction id.
fn is_xored(kind: u16) -> bool {
    // 0x8020 is what XOR-MAPPED-ADDRESS was in drafts, and still is for some.
    matches!(
        kind,
        kind::XOR_PEER_ADDRESS | kind::XOR_RELAYED_ADDRESS | kind::XOR_MAPPED_ADDRESS | 0x8020
    )
}

impl Attribute<'_> {
    /// The value as an address (RFC 8489 14.1, 14.2), where it has the shape of one. `id` is
    /// the message's cookie and transaction id.
    pub fn address(&self, id: &[u8; 16]) -> Option<SocketAddr> {
        let [_, family, p0, p1, address @ ..] = self.value else { return None };
        let mask = if is_xored(self.kind) { *id } else { [0; 16] };
        let port = u16::from_be_bytes([p0 ^ mask[0], p1 ^ mask[1]]);
        let ip = match (family, address.len()) {
            (1, 4) => {
                let mut ip: [u8; 4] = address.try_into().ok()?;
                ip.iter_mut().zip(mask).for_each(|(b, m)| *b ^= m);
                IpAddr::from(Ipv4Addr::from(ip))
            }
            (2, 16) => {
                let mut ip: [u8; 16] = address.try_into().ok()?;
                ip.iter_mut().zip(mask).for_each(|(b, m)| *b ^= m);
                IpAddr::from(Ipv6Addr::from(ip))
            }
            _ => return None,
        };
        Some(SocketAddr::new(ip, port))
    }

    fn number(&self) -> Option<u64> {
        let fits = (1..=8).contains(&self.value.len());
        fits.then(|| self.value.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
    }

    /// Writes the attribute, padded with zeros.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.kind.to_be_bytes());
        put_vec16(out, self.value);
        out.resize(out.len() + (4 - self.value.len() % 4) % 4, 0);
    }

    /// The attribute as named fields. Names and secrets of users only tell that they are there.
    pub(super) fn field(&self, id: &[u8; 16], each: &mut dyn FnMut(&'static str, Value<'_>)) {
        let address_names = match self.kind {
            kind::MAPPED_ADDRESS => Some(("mapped_address", "mapped_port")),
            kind::XOR_MAPPED_ADDRESS | 0x8020 => Some(("xor_mapped_address", "xor_mapped_port")),
            kind::XOR_RELAYED_ADDRESS => Some(("xor_relayed_address", "xor_relayed_port")),
            kind::XOR_PEER_ADDRESS => Some(("xor_peer_address", "xor_peer_port")),
            kind::RESPONSE_ORIGIN => Some(("response_origin", "response_origin_port")),
            kind::OTHER_ADDRESS => Some(("other_address", "other_port")),
            _ => None,
        };
        if let Some((address_name, port_name)) = address_names {
            match self.address(id) {
                Some(at) => {
                    each(address_name, Value::Address(at.ip()));
                    each(port_name, Value::Number(at.port().into()));
                }
                // Teams and others send address attributes of other shapes.
                None => each(address_name, Value::Bytes(self.value)),
            }
            return;
        }
        let number_name = match self.kind {
            kind::LIFETIME => Some("lifetime"),
            kind::PRIORITY => Some("priority"),
            _ => None,
        };
        if let (Some(name), Some(number)) = (number_name, self.number()) {
            return each(name, Value::Number(number));
        }
        match (self.kind, self.number()) {
            (kind::USERNAME, _) => each("username", Value::Flag(true)),
            (kind::MESSAGE_INTEGRITY, _) => each("integrity", Value::Flag(true)),
            (kind::REALM, _) => each("realm", Value::Flag(true)),
            (kind::NONCE, _) => each("nonce", Value::Flag(true)),
            (kind::USE_CANDIDATE, _) => each("use_candidate", Value::Flag(true)),
            (kind::FINGERPRINT, _) => {} // told with its verdict
            (kind::ICE_CONTROLLED, _) => each("ice_role", Value::Text("controlled")),
            (kind::ICE_CONTROLLING, _) => each("ice_role", Value::Text("controlling")),
            (kind::CHANNEL_NUMBER, Some(n)) => {
                // Two bytes of channel, two reserved.
                each("channel", Value::Hex(if self.value.len() == 4 { n >> 16 } else { n }));
            }
            (kind::REQUESTED_TRANSPORT, Some(n)) => {
                each("requested_transport", Value::Number(n >> 24));
            }
            (kind::SOFTWARE, _) => match std::str::from_utf8(self.value) {
                Ok(text) => each("software", Value::Text(text.trim_end_matches('\0'))),
                Err(_) => each("software", Value::Bytes(self.value)),
            },
            (kind::ERROR_CODE, _) => {
                if let [_, _, class, number, reason @ ..] = self.value {
                    let code = u64::from(class & 7) * 100 + u64::from(*number);
                    each("error", Value::Number(code));
                    each("reason", Value::Text(std::str::from_utf8(reason).unwrap_or("")));
                }
            }
            (kind::DATA, _) => each("data", Value::Number(self.value.len() as u64)),
            (other, _) => each("attribute", Value::Hex(other.into())),
        }
    }
}

impl fmt::Display for Attribute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attribute {:#06x} of {} bytes", self.kind, self.value.len())
    }
}

/// The value of an XORed address attribute.
pub(super) fn xor_address(address: SocketAddr, id: &[u8; 16]) -> Vec<u8> {
    let mut value = match address.ip() {
        IpAddr::V4(ip) => [&[0, 1, 0, 0][..], &ip.octets()].concat(),
        IpAddr::V6(ip) => [&[0, 2, 0, 0][..], &ip.octets()].concat(),
    };
    value[2..4].copy_from_slice(&address.port().to_be_bytes());
    value[2..4].iter_mut().zip(id).for_each(|(b, m)| *b ^= m);
    value[4..].iter_mut().zip(id).for_each(|(b, m)| *b ^= m);
    value
}
