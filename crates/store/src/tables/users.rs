//! `users`: when clients were there.

use ottoscope_flow::Timestamp;

use crate::column::Text;
use crate::table::table;

table! {
    /// One session of a user: a client address until it is silent for `flow.user-idle`.
    pub Users(UserRow, UserBuilder, UserColumns) = "users" by first {
        /// Client's address, as in `flows`.
        client: Text,
        /// Number of the session among those of this address, from 0.
        session: u32,
        /// First packet.
        first: Timestamp,
        /// Last packet.
        last: Timestamp,
        /// Flows.
        flows: u64,
        /// Packets, both directions.
        packets: u64,
        /// Frame bytes from the client.
        bytes_up: u64,
        /// Frame bytes to the client.
        bytes_down: u64,
    }
}
