//! `anomalies`: traffic that could not be read.

use ottoscope_flow::Timestamp;

use crate::column::{Bytes, Text};
use crate::table::table;

table! {
    /// One piece of traffic that could not be read, or was dropped to stay within limits.
    pub Anomalies(AnomalyRow, AnomalyBuilder, AnomalyColumns) = "anomalies" by at {
        /// The packet.
        at: Timestamp,
        /// The capture, as in `captures.path`.
        capture: Text,
        /// The flow, where it can be told.
        flow: Option<u64>,
        /// Layer being read: `ipv4`, `tcp`, `tls` ...
        layer: Text,
        /// Offset in bytes from the start of that layer.
        offset: u64,
        /// What was wrong.
        reason: Text,
        /// First bytes of what could not be read; missing at layers that hold addresses.
        head: Option<Bytes>,
    }
}
