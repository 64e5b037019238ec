//! `messages`: the units of protocols that are read.

use ottoscope_flow::Timestamp;

use crate::column::{Bytes, Text};
use crate::table::table;

table! {
    /// One application message of a protocol that is read or of a catalogue signature.
    pub Messages(MessageRow, MessageBuilder, MessageColumns) = "messages" by at, flow {
        /// The packet that completed the message.
        at: Timestamp,
        /// The flow.
        flow: u64,
        /// `up` (from the client) or `down`.
        direction: Text,
        /// Protocol, or the signature's id.
        protocol: Text,
        /// What kind of message: `client-hello`, `binding-request` ...
        kind: Text,
        /// The name it carries: host, server name, query name.
        name: Option<Text>,
        /// Fields as `name=value; name=value`; addresses are pseudonyms unless they are the
        /// flow's server or a DNS answer.
        detail: Option<Text>,
        /// Opcode by a catalogue signature.
        opcode: Option<u64>,
        /// Sequence number by a catalogue signature.
        sequence: Option<u64>,
        /// Length of the message.
        bytes: u64,
        /// The message's first bytes (`keep.head-bytes`).
        head: Option<Bytes>,
    }
}
