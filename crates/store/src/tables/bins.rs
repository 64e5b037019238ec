//! `bins`: seconds of flows, for series and rolling questions.

use ottoscope_flow::Timestamp;

use crate::table::table;

table! {
    /// One second of one flow that had at least one packet.
    pub Bins(BinRow, BinBuilder, BinColumns) = "bins" by second, flow {
        /// The second.
        second: Timestamp,
        /// The flow.
        flow: u64,
        /// Packets from the client.
        packets_up: u32,
        /// Packets from the server.
        packets_down: u32,
        /// Frame bytes from the client.
        bytes_up: u64,
        /// Frame bytes from the server.
        bytes_down: u64,
        /// TCP segments with SYN, both directions.
        syn: u16,
        /// TCP segments with FIN, both directions.
        fin: u16,
        /// TCP segments with RST, both directions.
        rst: u16,
    }
}
