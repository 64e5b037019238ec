//! What fields hold: types with confidence, evidence in words, endianness and direction.

mod clock;
mod code;
pub mod command;
mod counter;
mod echo;
mod finding;
mod length;
mod look;
pub mod paper;
mod place;
pub mod refine;
mod table;
mod trim;
pub mod typed;

use std::ops::Range;

use ottoscope_flow::Direction;

use crate::samples::Samples;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// One value in all packets.
    Constant,
    /// Rises within its flow and direction.
    Sequence,
    /// One value in requests, another in responses.
    RequestResponse,
    /// Counts bytes: message bytes = value + `add`.
    Length {
        /// Added to the value to get the bytes of the whole message.
        add: i64,
    },
    /// Names the task; few values.
    Opcode,
    /// Pairs a request with its response.
    Transaction,
    /// Runs with the clock.
    Timestamp,
    /// Bits of their own.
    Flags,
    /// One value for each flow, user or session.
    Session,
    /// An address of a device or register.
    Address,
    /// Counts what follows, but not bytes.
    Count,
    /// Printable text.
    Text,
    /// Check sum of other bytes.
    Checksum,
    /// Anything: ciphertext, random numbers, data.
    Payload,
    /// Not told.
    Unidentified,
}

/// One field with what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Offsets of its first byte and of the byte behind it.
    pub span: Range<usize>,
    /// What it holds.
    pub kind: Kind,
    /// Little-endian, where it is a number of several bytes and that could be told.
    pub little: bool,
    /// Only seen to hold this in one direction.
    pub direction: Option<Direction>,
    /// 0 to 1: how sure.
    pub confidence: f32,
    /// Why, in words with numbers.
    pub evidence: String,
}

impl Kind {
    /// One word for it, as signatures and pages have it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Constant => "constant",
            Kind::Sequence => "sequence",
            Kind::RequestResponse => "request-response",
            Kind::Length { .. } => "length",
            Kind::Opcode => "opcode",
            Kind::Transaction => "transaction",
            Kind::Timestamp => "timestamp",
            Kind::Flags => "flags",
            Kind::Session => "session",
            Kind::Address => "address",
            Kind::Count => "count",
            Kind::Text => "text",
            Kind::Checksum => "checksum",
            Kind::Payload => "payload",
            Kind::Unidentified => "unknown",
        }
    }
}

/// Whether the samples in `members` that reach over a span have one value there: where several
/// layouts are typed together, a field may name them and be the same in each.
pub(crate) fn has_one_value(samples: &Samples, members: &[usize], span: &Range<usize>) -> bool {
    let mut values = members.iter().filter_map(|&index| samples.get(index).head.get(span.clone()));
    let first = values.next();
    first.is_some() && values.all(|value| Some(value) == first)
}
