//! Resource records (RFC 1035 section 4.1.3).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::name::{self, Name};
use super::{HEADER_LEN, Section, kind};
use crate::error::{Layer, Reason, WireError};
use crate::fields::{Fields, Value};

/// EDNS option code of the client subnet (RFC 7871).
const CLIENT_SUBNET: u16 = 8;
/// SVCB parameter keys (RFC 9460 section 14.3.2).
const ALPN: u16 = 1;
const IPV4_HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6_HINT: u16 = 6;
/// A compression pointer to what follows the header.
const POINTER_TO_QUESTION: [u8; 2] = [0xc0, HEADER_LEN as u8];

/// One record; its data is read when asked for.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    message: &'a [u8],
    section: Section,
    at: usize,
    data: usize,
    len: usize,
    kind: u16,
    class: u16,
    ttl: u32,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Data<'a> {
    /// IPv4 address.
    A(Ipv4Addr),
    /// IPv6 address.
    Aaaa(Ipv6Addr),
    /// The owner is another name for this one.
    Cname(Name),
    /// Name of an address, or instance of a service.
    Ptr(Name),
    /// Name server.
    Ns(Name),
    /// Where a service is (RFC 2782).
    Srv {
        /// Lowest first.
        priority: u16,
        /// Share among equals.
        weight: u16,
        /// Port.
        port: u16,
        /// Host.
        target: Name,
    },
    /// SVCB or HTTPS (RFC 9460).
    Service(Service<'a>),
    /// Text of this many bytes, lengths of its strings included.
    Txt(usize),
    /// Any other type's bytes.
    Other(&'a [u8]),
}

/// Data of an SVCB or HTTPS record (RFC 9460).
#[derive(Debug, Clone, PartialEq)]
pub struct Service<'a> {
    /// 0 for an alias.
    pub priority: u16,
    /// Host, the root for the owner itself.
    pub target: Name,
    params: &'a [u8],
}

/// What the OPT pseudo-record says (RFC 6891).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edns {
    /// Largest UDP payload that the sender takes, bytes.
    pub udp_size: u16,
    /// Whether a client subnet is told (RFC 7871).
    pub client_subnet: bool,
}

impl<'a> Record<'a> {
    /// Reads the record at offset `at` of `message`; its data lies within the message.
    pub(super) fn read(message: &'a [u8], at: usize, section: Section) -> Result<Self, WireError> {
        let fixed = name::end_of(message, at)?;
        let have = message.len();
        let Some([k0, k1, c0, c1, t0, t1, t2, t3, l0, l1]) =
            message.get(fixed..).and_then(<[u8]>::first_chunk)
        else {
            return Err(WireError::truncated(Layer::Dns, fixed, fixed + 10, have));
        };
        let data = fixed + 10;
        let len = usize::from(u16::from_be_bytes([*l0, *l1]));
        if data + len > have {
            return Err(WireError::truncated(Layer::Dns, data, data + len, have));
        }
        Ok(Record {
            message,
            section,
            at,
            data,
            len,
            kind: u16::from_be_bytes([*k0, *k1]),
            class: u16::from_be_bytes([*c0, *c1]),
            ttl: u32::from_be_bytes([*t0, *t1, *t2, *t3]),
        })
    }

    /// Whose record it is.
    pub fn owner(&self) -> Name {
        Name::read(self.message, self.at).map_or_else(|_| Name::root(), |(name, _)| name)
    }

    /// Whether its owner is written as a pointer to the first question's name, as nearly all are
    /// (RFC 1035 section 4.1.4).
    pub fn is_of_question(&self) -> bool {
        self.message.get(self.at..).is_some_and(|rest| rest.starts_with(&POINTER_TO_QUESTION))
    }

    /// Which section it stands in.
    pub fn section(&self) -> Section {
        self.section
    }

    /// Record type.
    pub fn kind(&self) -> u16 {
        self.kind
    }

    /// Class without the top bit, which mDNS uses to flush caches (RFC 6762 section 10.2).
    pub fn class(&self) -> u16 {
        self.class & 0x7fff
    }

    /// Seconds that it holds.
    pub fn ttl(&self) -> u32 {
        self.ttl
    }

    /// Offset of what follows it.
    pub(super) fn end(&self) -> usize {
        self.data + self.len
    }

    fn bytes(&self) -> &'a [u8] {
        &self.message[self.data..self.data + self.len] // checked when read
    }

    /// What it says.
    pub fn data(&self) -> Result<Data<'a>, WireError> {
        let bytes = self.bytes();
        let fault = || WireError::new(Layer::Dns, self.data, Reason::BadLength);
        let name = |skip| {
            let (name, end) = Name::read(self.message, self.data + skip)?;
            if end > self.end() { Err(fault()) } else { Ok((name, end)) }
        };
        let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        Ok(match self.kind {
            kind::A => Data::A(<[u8; 4]>::try_from(bytes).map_err(|_| fault())?.into()),
            kind::AAAA => Data::Aaaa(<[u8; 16]>::try_from(bytes).map_err(|_| fault())?.into()),
            kind::CNAME => Data::Cname(name(0)?.0),
            kind::PTR => Data::Ptr(name(0)?.0),
            kind::NS => Data::Ns(name(0)?.0),
            kind::TXT => Data::Txt(self.len),
            kind::SRV if self.len >= 7 => {
                Data::Srv { priority: word(0), weight: word(2), port: word(4), target: name(6)?.0 }
            }
            kind::SVCB | kind::HTTPS if self.len >= 3 => {
                let (target, end) = name(2)?;
                let params = &self.message[end..self.end()]; // `name` checked the order
                Data::Service(Service { priority: word(0), target, params })
            }
            // Dynamic updates delete by type with no data (RFC 2136 section 2.5.2).
            kind::SRV | kind::SVCB | kind::HTTPS if self.len > 0 => return Err(fault()),
            _ => Data::Other(bytes),
        })
    }

    /// The fault that [`Record::data`] would tell, without making names text.
    pub(super) fn check(&self) -> Result<(), WireError> {
        let skip = match self.kind {
            kind::CNAME | kind::PTR | kind::NS => 0,
            kind::SRV if self.len >= 7 => 6,
            kind::SVCB | kind::HTTPS if self.len >= 3 => 2,
            _ => return self.data().map(|_| ()),
        };
        if name::end_of(self.message, self.data + skip)? > self.end() {
            return Err(WireError::new(Layer::Dns, self.data, Reason::BadLength));
        }
        Ok(())
    }

    /// The EDNS facts, if this is the OPT pseudo-record.
    pub fn edns(&self) -> Option<Edns> {
        (self.kind == kind::OPT && self.section == Section::Additional).then(|| Edns {
            udp_size: self.class,
            client_subnet: items(self.bytes()).any(|(code, _)| code == CLIENT_SUBNET),
        })
    }
}

/// Code, length and value items of OPT and SVCB, up to the first that is cut.
fn items(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let ([c0, c1, l0, l1], rest) = bytes.split_first_chunk()?;
        let (value, rest) = rest.split_at_checked(u16::from_be_bytes([*l0, *l1]).into())?;
        bytes = rest;
        Some((u16::from_be_bytes([*c0, *c1]), value))
    })
}

impl<'a> Service<'a> {
    fn param(&self, key: u16) -> &'a [u8] {
        items(self.params).find(|(k, _)| *k == key).map_or(&[], |(_, value)| value)
    }

    /// The protocols offered, as in TLS ALPN.
    pub fn alpn(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.param(ALPN);
        std::iter::from_fn(move || {
            let (len, behind) = rest.split_first()?;
            let (id, behind) = behind.split_at_checked(usize::from(*len))?;
            rest = behind;
            Some(id)
        })
    }

    /// Addresses that may be tried before they are asked for.
    pub fn hints(&self) -> impl Iterator<Item = IpAddr> + use<'a> {
        let (v4, _) = self.param(IPV4_HINT).as_chunks::<4>();
        let (v6, _) = self.param(IPV6_HINT).as_chunks::<16>();
        v4.iter().map(|a| IpAddr::from(*a)).chain(v6.iter().map(|a| IpAddr::from(*a)))
    }

    /// Whether keys for an encrypted client hello are told.
    pub fn has_ech(&self) -> bool {
        !self.param(ECH).is_empty()
    }
}

impl Data<'_> {
    /// The address of an A or AAAA record.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Data::A(a) => Some((*a).into()),
            Data::Aaaa(a) => Some((*a).into()),
            _ => None,
        }
    }
}

impl Fields for Data<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        match self {
            Data::A(a) => each("a", Value::Address((*a).into())),
            Data::Aaaa(a) => each("aaaa", Value::Address((*a).into())),
            Data::Cname(name) => each("cname", Value::Text(name.as_str())),
            Data::Ptr(name) => each("ptr", Value::Text(name.as_str())),
            Data::Ns(name) => each("ns", Value::Text(name.as_str())),
            Data::Srv { port, target, .. } => {
                each("srv", Value::Text(target.as_str()));
                each("port", Value::Number((*port).into()));
            }
            Data::Service(service) => {
                each("service", Value::Text(service.target.as_str()));
                for id in service.alpn() {
                    each("alpn", Value::Text(std::str::from_utf8(id).unwrap_or("?")));
                }
                for hint in service.hints() {
                    each("hint", Value::Address(hint));
                }
                if service.has_ech() {
                    each("ech", Value::Flag(true));
                }
            }
            Data::Txt(len) => each("txt", Value::Number(*len as u64)),
            Data::Other(bytes) => each("data", Value::Bytes(bytes)),
        }
    }
}

impl Fields for Edns {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("edns_udp_size", Value::Number(self.udp_size.into()));
        if self.client_subnet {
            each("client_subnet", Value::Flag(true));
        }
    }
}

impl fmt::Display for Data<'_> {
    /// The data as a zone file would have it, near enough to be read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Data::A(a) => a.fmt(f),
            Data::Aaaa(a) => a.fmt(f),
            Data::Cname(name) | Data::Ptr(name) | Data::Ns(name) => name.fmt(f),
            Data::Srv { priority, weight, port, target } => {
                write!(f, "{priority} {weight} {port} {target}")
            }
            Data::Service(service) => {
                write!(f, "{} {}", service.priority, service.target)?;
                for id in service.alpn() {
                    write!(f, " alpn={}", id.escape_ascii())?;
                }
                service.hints().try_for_each(|hint| write!(f, " hint={hint}"))
            }
            Data::Txt(len) => write!(f, "{len} bytes of text"),
            Data::Other(bytes) => write!(f, "{} bytes", bytes.len()),
        }
    }
}
