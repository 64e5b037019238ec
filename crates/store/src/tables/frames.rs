//! `frames`: frames of video streams that are read down to their pictures.

use ottoscope_flow::Timestamp;

use crate::column::Text;
use crate::table::table;

table! {
    /// One frame of one video stream as the network delivered it; no picture is kept.
    pub Frames(FrameRow, FrameBuilder, FrameColumns) = "frames" by first, flow {
        /// The flow.
        flow: u64,
        /// `up` (from the client) or `down`.
        direction: Text,
        /// Synchronisation source.
        ssrc: u32,
        /// First packet of the frame.
        first: Timestamp,
        /// Last packet of the frame.
        last: Timestamp,
        /// RTP time since the stream's first frame, seconds; missing where the clock is unknown.
        time: Option<f64>,
        /// Bytes of the coded frame, or of what came of it.
        bytes: u64,
        /// Packets that came, without duplicates.
        fragments: u32,
        /// Packets that were sent, where the data tells.
        expected: Option<u32>,
        /// Whether the frame stands alone; missing where its header never came.
        key: Option<bool>,
        /// Whether it is meant to be seen.
        shown: Option<bool>,
        /// Width in pixels, of this or the last key frame.
        width: Option<u16>,
        /// Height in pixels.
        height: Option<u16>,
        /// `intact`, `after_loss` (whole, but what it refers to is not) or `incomplete`.
        state: Text,
        /// Why it is not intact: `lost`, `hole`, `reference`, `no_key`, `edge`, `header`,
        /// `stripped`.
        reason: Option<Text>,
    }
}
