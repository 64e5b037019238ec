//! `rtp`: media streams.

use ottoscope_flow::Timestamp;

use crate::column::Text;
use crate::table::table;

table! {
    /// One RTP stream: one synchronisation source in one direction of a flow.
    pub Rtp(RtpRow, RtpBuilder, RtpColumns) = "rtp" by first, flow {
        /// The flow.
        flow: u64,
        /// `up` (from the client) or `down`.
        direction: Text,
        /// Synchronisation source.
        ssrc: u32,
        /// Payload type of most packets.
        payload_type: u8,
        /// First packet.
        first: Timestamp,
        /// Last packet.
        last: Timestamp,
        /// Packets, duplicates included.
        packets: u64,
        /// Bytes of RTP payload.
        payload_bytes: u64,
        /// Packets expected by sequence numbers (RFC 3550, A.3).
        expected: u64,
        /// Packets that never came.
        lost: u64,
        /// Packets that came more than once.
        duplicates: u64,
        /// Packets that came after a later one.
        out_of_order: u64,
        /// Interarrival jitter at the end (RFC 3550, A.8), in timestamp units; missing where
        /// the clock is unknown.
        jitter: Option<f64>,
        /// Clock rate in hertz, where the payload type or the timestamps tell.
        clock: Option<u32>,
    }
}
