//! `video`: video streams that are read down to their frames.

use ottoscope_flow::Timestamp;

use crate::column::Text;
use crate::table::table;

table! {
    /// One video stream of a call: one source in one direction of a flow.
    pub Video(VideoRow, VideoBuilder, VideoColumns) = "video" by first, flow {
        /// The flow.
        flow: u64,
        /// `up` (from the client) or `down`.
        direction: Text,
        /// Synchronisation source.
        ssrc: u32,
        /// How it is carried: `udp-05`, `udp-04`, `tcp` (QQ 2012/13).
        carried: Text,
        /// How sure it is that this is such a stream, 0 to 1.
        score: f64,
        /// First packet.
        first: Timestamp,
        /// Last packet.
        last: Timestamp,
        /// Clock in hertz; missing where timestamps do not tell.
        clock: Option<u32>,
        /// Packets, duplicates included.
        packets: u64,
        /// Bytes of coded video, duplicates left out.
        bytes: u64,
        /// Packets that never came, by the video sequence number.
        lost: u64,
        /// Packets that came more than once.
        duplicates: u64,
        /// Packets that came after a later one.
        out_of_order: u64,
        /// Frames, whatever their state.
        frames: u64,
        /// Frames that came whole, with all that they refer to.
        intact: u64,
        /// Frames that came whole after one that did not.
        after_loss: u64,
        /// Frames that did not come whole.
        incomplete: u64,
        /// Key frames.
        key_frames: u64,
        /// Width in pixels of the last key frame.
        width: Option<u16>,
        /// Height in pixels of the last key frame.
        height: Option<u16>,
        /// Frames a second of media time.
        frame_rate: Option<f64>,
        /// Kilobits of coded video a second.
        kbit_per_second: Option<f64>,
        /// Times that the picture stood still: longer than three mean frame times and 150 ms more
        /// than one (W3C webrtc-stats, `freezeCount`), counting intact frames.
        freezes: u64,
        /// Seconds of it.
        frozen_seconds: f64,
        /// Packets of other media of the same flow: sound.
        audio_packets: u64,
    }
}
