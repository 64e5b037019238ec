//! A header layout as data: what inference proposes, a person accepts, the catalogue stores as
//! TOML, and the engine runs. It lives here because the engine runs it; the catalogue and the
//! inference only read and write it.

use std::sync::Arc;

use crate::model::{Direction, Transport};

/// A header layout with what is needed to frame and recognise messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// `app/signature`, as in `wechat/w-tcp`.
    pub id: Arc<str>,
    /// TCP or UDP.
    pub transport: Transport,
    /// Only these server ports, any where empty.
    pub ports: Vec<u16>,
    /// Only this direction starts with the layout; both where `None`.
    pub direction: Option<Direction>,
    /// Shortest and longest message in bytes, header included.
    pub lengths: Option<(u64, u64)>,
    /// Fields by rising offset; gaps are unknown bytes.
    pub fields: Vec<Field>,
    /// How many messages must match before a flow counts as matched.
    pub min_messages: u32,
    /// UDP: every packet of the flow must match, else the match is withdrawn.
    pub every_packet: bool,
}

/// One field of a layout. All offsets and lengths are in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Offset from the start of the message.
    pub offset: usize,
    /// Length, 1 to 8 for numeric kinds.
    pub len: usize,
    /// What it holds.
    pub kind: FieldKind,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldKind {
    /// One of these values, each `len` bytes long.
    Constant(Vec<Box<[u8]>>),
    /// Rises by one per message of its flow and direction.
    Sequence {
        /// Little-endian.
        little: bool,
    },
    /// One value in requests, another in responses.
    RequestResponse {
        /// Value in requests.
        request: Box<[u8]>,
        /// Value in responses.
        response: Box<[u8]>,
    },
    /// Length of the message.
    Length {
        /// Little-endian.
        little: bool,
        /// Message bytes = field value + `add` (0: the value counts the whole message; header
        /// length: it counts the body).
        add: i64,
    },
    /// Identifies the task.
    Opcode {
        /// Little-endian.
        little: bool,
        /// Subtracted from values above it, where responses are requests plus a constant.
        response_offset: u64,
        /// Only these opcodes, as requests have them; any where empty. For layouts that would
        /// else match other protocols.
        values: Vec<u64>,
    },
    /// Anything.
    Unknown,
}

/// A field's bytes, eight at most, as a number.
pub fn number(bytes: &[u8], little: bool) -> u64 {
    let push = |n: u64, byte: &u8| n << 8 | u64::from(*byte);
    if little { bytes.iter().rev().fold(0, push) } else { bytes.iter().fold(0, push) }
}
