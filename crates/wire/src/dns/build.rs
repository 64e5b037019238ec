//! Writing messages, for tests and synthesis.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use domain::base::iana::{Class, Opcode, Rcode, Rtype};
use domain::base::message_builder::{MessageBuilder, PushError, StaticCompressor};
use domain::base::name::{FromStrError, Name as WireName};
use domain::base::rdata::UnknownRecordData;
use domain::base::wire::Composer;
use domain::base::{Record, Ttl};
use domain::rdata::{A, Aaaa, Cname, Ns, Ptr, Srv};

use super::kind;

/// A message to be written: one question and its answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Repr {
    /// Ties a response to its query.
    pub id: u16,
    /// Whether it is a response.
    pub response: bool,
    /// Response code.
    pub rcode: u8,
    /// What is asked for, and its record type.
    pub question: Option<(String, u16)>,
    /// Answers of class IN.
    pub answers: Vec<ReprRecord>,
    /// Adds EDNS with this UDP size (RFC 6891).
    pub edns: Option<u16>,
    /// Whether names are compressed, as servers do.
    pub compress: bool,
}

/// A record to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReprRecord {
    /// Whose record it is.
    pub owner: String,
    /// Seconds that it holds.
    pub ttl: u32,
    /// What it says.
    pub data: ReprData,
}

/// Data of a record to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReprData {
    /// IPv4 address.
    A(Ipv4Addr),
    /// IPv6 address.
    Aaaa(Ipv6Addr),
    /// Canonical name.
    Cname(String),
    /// Name of an address.
    Ptr(String),
    /// Name server.
    Ns(String),
    /// Port and host of a service.
    Srv(u16, String),
    /// HTTPS service record: protocols offered and address hints.
    Https {
        /// ALPN ids, each at most 255 bytes.
        alpn: Vec<String>,
        /// Address hints.
        hints: Vec<IpAddr>,
    },
    /// Any other type and its bytes.
    Other(u16, Vec<u8>),
}

/// A message that can't be written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmitError {
    /// Not a domain name (label over 63 bytes, name over 255, bad escape).
    Name(String),
    /// More than 65,535 bytes or records.
    TooLarge,
}

impl fmt::Display for EmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EmitError::Name(name) => write!(f, "`{name}` is not a domain name"),
            EmitError::TooLarge => f.write_str("message is larger than DNS allows"),
        }
    }
}

impl std::error::Error for EmitError {}

impl From<PushError> for EmitError {
    fn from(_: PushError) -> Self {
        EmitError::TooLarge
    }
}

fn wire_name(text: &str) -> Result<WireName<Vec<u8>>, EmitError> {
    if text.is_empty() {
        return Ok(WireName::root_vec());
    }
    WireName::vec_from_str(text).map_err(|_: FromStrError| EmitError::Name(text.to_owned()))
}

impl Repr {
    /// A query for `name`.
    pub fn query(id: u16, name: &str, kind: u16) -> Self {
        Repr { id, question: Some((name.to_owned(), kind)), ..Repr::default() }
    }

    /// The compressed response to this query that gives `answers`.
    #[must_use]
    pub fn answered(&self, answers: Vec<ReprRecord>) -> Self {
        Repr { response: true, answers, compress: true, ..self.clone() }
    }

    /// Writes the message.
    pub fn emit(&self) -> Result<Vec<u8>, EmitError> {
        if self.compress {
            Ok(self.build(StaticCompressor::new(Vec::new()))?.into_target())
        } else {
            self.build(Vec::new())
        }
    }

    fn build<T: Composer>(&self, target: T) -> Result<T, EmitError> {
        let mut builder = MessageBuilder::from_target(target).map_err(|_| EmitError::TooLarge)?;
        builder.set_push_limit(usize::from(u16::MAX));
        let header = builder.header_mut();
        header.set_id(self.id);
        header.set_qr(self.response);
        header.set_opcode(Opcode::QUERY);
        header.set_rd(true);
        header.set_ra(self.response);
        header.set_rcode(Rcode::checked_from_int(self.rcode).unwrap_or(Rcode::SERVFAIL));
        let mut builder = builder.question();
        if let Some((name, kind)) = &self.question {
            builder.push((wire_name(name)?, Rtype::from_int(*kind)))?;
        }
        let mut builder = builder.answer();
        for record in &self.answers {
            let owner = wire_name(&record.owner)?;
            let ttl = Ttl::from_secs(record.ttl);
            macro_rules! push {
                ($data:expr) => {
                    builder.push(Record::new(owner, Class::IN, ttl, $data))?
                };
            }
            match &record.data {
                ReprData::A(a) => push!(A::new(*a)),
                ReprData::Aaaa(a) => push!(Aaaa::new(*a)),
                ReprData::Cname(name) => push!(Cname::new(wire_name(name)?)),
                ReprData::Ptr(name) => push!(Ptr::new(wire_name(name)?)),
                ReprData::Ns(name) => push!(Ns::new(wire_name(name)?)),
                ReprData::Srv(port, name) => push!(Srv::new(0, 0, *port, wire_name(name)?)),
                ReprData::Https { alpn, hints } => push!(other(kind::HTTPS, https(alpn, hints)?)?),
                ReprData::Other(kind, bytes) => push!(other(*kind, bytes.clone())?),
            }
        }
        let mut builder = builder.additional();
        if let Some(size) = self.edns {
            builder.opt(|opt| {
                opt.set_udp_payload_size(size);
                Ok(())
            })?;
        }
        Ok(builder.finish())
    }
}

fn other(kind: u16, bytes: Vec<u8>) -> Result<UnknownRecordData<Vec<u8>>, EmitError> {
    UnknownRecordData::from_octets(Rtype::from_int(kind), bytes).map_err(|_| EmitError::TooLarge)
}

/// Priority 1, target the owner itself, then keys 1, 4 and 6 (RFC 9460 section 2.2).
fn https(alpn: &[String], hints: &[IpAddr]) -> Result<Vec<u8>, EmitError> {
    let mut ids = Vec::new();
    for id in alpn {
        ids.push(u8::try_from(id.len()).map_err(|_| EmitError::TooLarge)?);
        ids.extend(id.as_bytes());
    }
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for hint in hints {
        match hint {
            IpAddr::V4(a) => v4.extend(a.octets()),
            IpAddr::V6(a) => v6.extend(a.octets()),
        }
    }
    let mut data = vec![0, 1, 0];
    for (key, value) in [(1u16, ids), (4, v4), (6, v6)] {
        if !value.is_empty() {
            data.extend(key.to_be_bytes());
            let len = u16::try_from(value.len()).map_err(|_| EmitError::TooLarge)?;
            data.extend(len.to_be_bytes());
            data.extend(value);
        }
    }
    Ok(data)
}
