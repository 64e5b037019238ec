//! QQ calls of 2012 and 2013: from packets to VP8 frames.
//!
//! Push what a flow carries into a [`Session`], take frames as they become whole. Nothing comes
//! out before the flow has proven itself ([`Score`]); then what was held comes first, so that no
//! frame is lost to the proof.

mod stream;

use ottoscope_flow::{Direction, Timestamp};

pub use ottoscope_flow::dissector::qq_video::Score;
pub use stream::{Layout, Place, Stream};

use crate::Frame;

/// How frames are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Width and height taken for key frames that come without, pixels (the paper, V: 320 by 240).
    pub assume_size: (u16, u16),
    /// Number of the first stream found.
    pub first_stream: u32,
}

impl Default for Options {
    fn default() -> Self {
        Options { assume_size: (320, 240), first_stream: 0 }
    }
}

/// What a flow turned out to be.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recovered {
    /// Why it is QQ video; nothing where it is not.
    pub accepted: Option<Score>,
    /// Its streams, by number.
    pub streams: Vec<Stream>,
    /// Packets of QQ's that belong to no stream: set-up, reports, sources beyond the limit.
    pub other: u64,
    /// Packets that are not QQ's.
    pub strangers: u64,
}

/// One flow, both directions.
#[derive(Debug)]
pub struct Session {
    options: Options,
}

impl Session {
    /// Nothing seen yet.
    pub fn new(options: Options) -> Self {
        Session { options }
    }

    /// Takes a datagram in order of capture. Frames that become whole go to `frames`, in order
    /// within a stream.
    pub fn datagram(
        &mut self,
        _at: Timestamp,
        _direction: Direction,
        _bytes: &[u8],
        _frames: &mut dyn FnMut(Frame),
    ) {
    }

    /// Takes in-order bytes of a TCP stream, best one segment at a time.
    pub fn bytes(
        &mut self,
        _at: Timestamp,
        _direction: Direction,
        _bytes: &[u8],
        _frames: &mut dyn FnMut(Frame),
    ) {
    }

    /// So many bytes of a TCP stream will not come.
    pub fn gap(&mut self, _direction: Direction, _missing: u64, _frames: &mut dyn FnMut(Frame)) {}

    /// The flow has ended.
    pub fn finish(self, _frames: &mut dyn FnMut(Frame)) -> Recovered {
        let _ = self.options;
        Recovered::default()
    }
}
