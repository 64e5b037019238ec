//! SOCKS 4, 4a and 5: what a client asks a proxy for, and the answer.
//!
//! Sources: the SOCKS 4 and 4a memos (Y. Lee, NEC; openssh.com/txt/socks4.protocol and
//! socks4a.protocol), RFC 1928, RFC 1929.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::{Layer, Reason, WireError};
use crate::fields::{Fields, Value};

/// Versions, the first byte from a client.
pub const V4: u8 = 4;
/// See [`V4`].
pub const V5: u8 = 5;
/// Address types (RFC 1928 section 5).
const IPV4: u8 = 1;
const DOMAIN: u8 = 3;
const IPV6: u8 = 4;
/// Longest user id and host of SOCKS 4 that is waited for; the memos name no bound.
const MAX_TEXT: usize = 255;
/// Reply code of SOCKS 4 that grants; that of SOCKS 5 is 0.
const GRANTED_V4: u8 = 0x5a;

/// Where a client wants to go, or the proxy bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// An address.
    Address(IpAddr),
    /// A name that the proxy resolves.
    Name(&'a str),
}

/// A request to connect or bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// 4 or 5.
    pub version: u8,
    /// 1 connect, 2 bind, 3 UDP associate (5 only).
    pub command: u8,
    /// Where to.
    pub target: Target<'a>,
    /// Port.
    pub port: u16,
    /// Bytes of the request.
    pub len: usize,
}

/// The proxy's answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply<'a> {
    /// 4 or 5.
    pub version: u8,
    /// Code as sent.
    pub code: u8,
    /// Where the proxy is bound.
    pub bound: Target<'a>,
    /// Port.
    pub port: u16,
    /// Bytes of the reply.
    pub len: usize,
}

/// Reads bytes from the front and knows how many there were.
struct Front<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Front<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let end = self.at + len;
        let have = self.bytes.len();
        let taken = self.bytes.get(self.at..end);
        self.at = end;
        taken.ok_or(WireError::truncated(Layer::Socks, end - len, end, have))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let bytes = self.take(N)?;
        Ok(*bytes.first_chunk().unwrap_or(&[0; N])) // `take` gave N bytes
    }

    /// Text up to a zero byte, which is taken as well.
    fn text(&mut self) -> Result<&'a str, WireError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match rest.iter().take(MAX_TEXT + 1).position(|b| *b == 0) {
            Some(end) => {
                let from = self.at;
                let text = self.take(end)?;
                self.at += 1;
                graphic(text, from)
            }
            None if rest.len() <= MAX_TEXT => Err(WireError::truncated(
                Layer::Socks,
                self.at,
                self.bytes.len() + 1,
                self.bytes.len(),
            )),
            None => Err(fault(self.at, "text without end")),
        }
    }

    /// Address type, address and port (RFC 1928 section 5).
    fn target(&mut self) -> Result<(Target<'a>, u16), WireError> {
        let from = self.at;
        let target = match self.array()? {
            [IPV4] => Target::Address(Ipv4Addr::from(self.array::<4>()?).into()),
            [IPV6] => Target::Address(Ipv6Addr::from(self.array::<16>()?).into()),
            [DOMAIN] => {
                let [len] = self.array()?;
                Target::Name(graphic(self.take(len.into())?, from + 2)?)
            }
            [other] => {
                return Err(WireError::new(Layer::Socks, from, Reason::Unsupported(other.into())));
            }
        };
        Ok((target, u16::from_be_bytes(self.array()?)))
    }
}

fn fault(offset: usize, what: &'static str) -> WireError {
    WireError::new(Layer::Socks, offset, Reason::Malformed(what))
}

fn graphic(bytes: &[u8], offset: usize) -> Result<&str, WireError> {
    let text = std::str::from_utf8(bytes).ok().filter(|t| !t.chars().any(char::is_control));
    text.ok_or(fault(offset, "text with control bytes"))
}

/// Reads the client's greeting of SOCKS 5: how many bytes it has (RFC 1928 section 3).
pub fn greeting(bytes: &[u8]) -> Result<usize, WireError> {
    let mut front = Front { bytes, at: 0 };
    let [version] = front.array()?;
    if version != V5 {
        return Err(WireError::new(Layer::Socks, 0, Reason::BadVersion(version.into())));
    }
    let [count] = front.array()?;
    let methods = front.take(count.into());
    // 0 none, 1 GSSAPI, 2 password, to 9 by IANA, 0x80 to 0xfe private.
    let known = |method: &u8| matches!(method, 0..=9 | 0x80..=0xfe);
    let there = bytes.get(2..).unwrap_or_default();
    if count == 0 || !there.iter().take(count.into()).all(known) {
        return Err(fault(2, "no method of authentication"));
    }
    methods.map(|_| front.at)
}

/// Reads a password sub-negotiation of the client, of which nothing but the length is kept
/// (RFC 1929).
pub fn password(bytes: &[u8]) -> Result<usize, WireError> {
    let mut front = Front { bytes, at: 0 };
    let [version, user] = front.array()?;
    if version != 1 {
        return Err(WireError::new(Layer::Socks, 0, Reason::BadVersion(version.into())));
    }
    front.take(user.into())?;
    let [word] = front.array()?;
    front.take(word.into())?;
    Ok(front.at)
}

impl<'a> Request<'a> {
    /// Reads a request of SOCKS 4 or 4a, or of SOCKS 5 behind its greeting.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut front = Front { bytes, at: 0 };
        let [version] = front.array()?;
        let [command] = match version {
            V4 | V5 => front.array()?,
            _ => return Err(WireError::new(Layer::Socks, 0, Reason::BadVersion(version.into()))),
        };
        let commands = if version == V4 { 1..=2 } else { 1..=3 };
        if !commands.contains(&command) {
            return Err(WireError::new(Layer::Socks, 1, Reason::Unsupported(command.into())));
        }
        let (target, port) = if version == V4 {
            let port = u16::from_be_bytes(front.array()?);
            let address = front.array::<4>()?;
            front.text()?; // user id
            // 0.0.0.x asks the proxy to resolve the name that follows (SOCKS 4a).
            match address {
                [0, 0, 0, x] if x != 0 => (Target::Name(front.text()?), port),
                address => (Target::Address(Ipv4Addr::from(address).into()), port),
            }
        } else {
            let [reserved] = front.array()?;
            if reserved != 0 {
                return Err(fault(2, "reserved byte is not zero"));
            }
            front.target()?
        };
        Ok(Request { version, command, target, port, len: front.at })
    }

    /// The host's name where the proxy is to resolve it.
    pub fn name(&self) -> Option<&'a str> {
        match self.target {
            Target::Name(name) if name.parse::<IpAddr>().is_err() => Some(name),
            _ => None,
        }
    }

    /// Writes the request.
    pub fn emit(&self) -> Vec<u8> {
        let mut bytes = vec![self.version, self.command];
        if self.version == V4 {
            bytes.extend(self.port.to_be_bytes());
            match self.target {
                Target::Address(IpAddr::V4(address)) => bytes.extend(address.octets()),
                _ => bytes.extend([0, 0, 0, 1]),
            }
            bytes.push(0);
            if let Target::Name(name) = self.target {
                bytes.extend(name.bytes().chain([0]));
            }
        } else {
            bytes.push(0);
            emit_target(self.target, self.port, &mut bytes);
        }
        bytes
    }
}

impl<'a> Reply<'a> {
    /// Reads a reply to a request of this version.
    pub fn parse(version: u8, bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut front = Front { bytes, at: 0 };
        let [first, code] = front.array()?;
        if version == V4 {
            if first != 0 || !(GRANTED_V4..=0x5d).contains(&code) {
                return Err(fault(0, "not a reply of SOCKS 4"));
            }
            let port = u16::from_be_bytes(front.array()?);
            let bound = Target::Address(Ipv4Addr::from(front.array::<4>()?).into());
            return Ok(Reply { version, code, bound, port, len: front.at });
        }
        let [reserved] = front.array()?;
        if first != V5 || code > 8 || reserved != 0 {
            return Err(fault(0, "not a reply of SOCKS 5"));
        }
        let (bound, port) = front.target()?;
        Ok(Reply { version, code, bound, port, len: front.at })
    }

    /// Whether the proxy agreed.
    pub fn is_granted(&self) -> bool {
        self.code == if self.version == V4 { GRANTED_V4 } else { 0 }
    }

    /// Writes the reply.
    pub fn emit(&self) -> Vec<u8> {
        if self.version != V4 {
            let mut bytes = vec![V5, self.code, 0];
            emit_target(self.bound, self.port, &mut bytes);
            return bytes;
        }
        let mut bytes = vec![0, self.code];
        bytes.extend(self.port.to_be_bytes());
        match self.bound {
            Target::Address(IpAddr::V4(address)) => bytes.extend(address.octets()),
            _ => bytes.extend([0; 4]),
        }
        bytes
    }
}

fn emit_target(target: Target<'_>, port: u16, bytes: &mut Vec<u8>) {
    match target {
        Target::Address(IpAddr::V4(address)) => {
            bytes.push(IPV4);
            bytes.extend(address.octets());
        }
        Target::Address(IpAddr::V6(address)) => {
            bytes.push(IPV6);
            bytes.extend(address.octets());
        }
        Target::Name(name) => {
            let name = &name.as_bytes()[..name.len().min(255)];
            bytes.extend([DOMAIN, name.len() as u8]);
            bytes.extend(name);
        }
    }
    bytes.extend(port.to_be_bytes());
}

impl Target<'_> {
    fn field(&self, name: &'static str, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        match self {
            Target::Address(address) => each(name, Value::Address(*address)),
            Target::Name(text) => each(name, Value::Text(text)),
        }
    }
}

impl Fields for Request<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("version", Value::Number(self.version.into()));
        each("command", Value::Number(self.command.into()));
        self.target.field("target", each);
        each("port", Value::Number(self.port.into()));
    }
}

impl Fields for Reply<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("version", Value::Number(self.version.into()));
        each("code", Value::Number(self.code.into()));
        each("granted", Value::Flag(self.is_granted()));
        self.bound.field("bound", each);
        each("port", Value::Number(self.port.into()));
    }
}

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Address(address) => address.fmt(f),
            Target::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SOCKS{} to {} port {}", self.version, self.target, self.port)
    }
}

impl fmt::Display for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_granted() { "granted" } else { "refused" };
        write!(f, "SOCKS{} {word}", self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use proptest::prelude::*;

    #[test]
    fn requests_are_read() {
        let v5 = Request::parse(&hex!("05010003 0b 6578616d706c652e6f7267 01bb")).unwrap();
        assert_eq!((v5.name(), v5.port, v5.len), (Some("example.org"), 443, 18));
        let v4 = Request::parse(&hex!("0401 0050 c0000201 6d6500")).unwrap();
        assert_eq!(v4.to_string(), "SOCKS4 to 192.0.2.1 port 80");
        let v4a = Request::parse(&hex!("0401 0050 00000001 00 612e6200")).unwrap();
        assert_eq!((v4a.name(), v4a.len), (Some("a.b"), 13));
        for bad in [&hex!("0601")[..], &hex!("0504"), &hex!("05010103"), &hex!("05010002")] {
            assert!(!Request::parse(bad).unwrap_err().is_truncated(), "{bad:x?}");
        }
        assert!(Request::parse(&[&hex!("0401005001020304")[..], &[b'x'; 300]].concat()).is_err());
    }

    #[test]
    fn greetings_are_read() {
        assert_eq!(greeting(&hex!("05010005")), Ok(3));
        assert_eq!(greeting(&hex!("05020002")), Ok(4));
        assert!(greeting(&hex!("0503 00")).unwrap_err().is_truncated());
        assert!(!greeting(&hex!("0500")).unwrap_err().is_truncated());
        assert!(!greeting(&hex!("05ff 4142")).unwrap_err().is_truncated());
        assert_eq!(password(&hex!("01 01 61 02 6263 ff")), Ok(6));
    }

    fn targets() -> impl Strategy<Value = Target<'static>> {
        prop_oneof![
            any::<[u8; 4]>().prop_map(|a| Target::Address(IpAddr::from(a))),
            any::<[u8; 16]>().prop_map(|a| Target::Address(IpAddr::from(a))),
            Just(Target::Name("mmg.whatsapp.net")),
        ]
    }

    proptest! {
        #[test]
        fn emit_then_parse_is_identity(
            target in targets(), port: u16, command in 1u8..=2, code in 0u8..=3, v4: bool,
        ) {
            // SOCKS 4 knows neither IPv6 nor 0.0.0.0/24.
            let fits = match target {
                Target::Address(IpAddr::V4(a)) => a.octets()[..3] != [0; 3],
                Target::Address(IpAddr::V6(_)) => false,
                Target::Name(_) => true,
            };
            let version = if v4 && fits { V4 } else { V5 };
            let request = Request { version, command, target, port, len: 0 };
            let bytes = request.emit();
            prop_assert_eq!(
                Request::parse(&bytes), Ok(Request { len: bytes.len(), ..request })
            );
            for cut in 0..bytes.len() {
                prop_assert!(Request::parse(&bytes[..cut]).unwrap_err().is_truncated());
            }
            let version = if matches!(target, Target::Address(IpAddr::V4(_))) { version } else { V5 };
            let code = if version == V4 { GRANTED_V4 + code } else { code };
            let reply = Reply { version, code, bound: target, port, len: 0 };
            let bytes = reply.emit();
            prop_assert_eq!(
                Reply::parse(version, &bytes), Ok(Reply { len: bytes.len(), ..reply })
            );
        }

        #[test]
        fn reading_is_total(bytes in prop::collection::vec(any::<u8>(), 0..60), first in 3u8..7) {
            let mut bytes = bytes;
            let _ = (Request::parse(&bytes), greeting(&bytes), password(&bytes));
            let _ = (Reply::parse(V4, &bytes), Reply::parse(V5, &bytes));
            bytes.insert(0, first);
            let _ = (Request::parse(&bytes), greeting(&bytes));
        }
    }
}
