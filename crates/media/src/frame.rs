//! One frame of a video stream as the network delivered it.

use ottoscope_flow::Timestamp;

/// How far a frame can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameState {
    /// All of it is here, and all that it refers to.
    Intact,
    /// All of it is here, but a frame since the last key frame is not: its picture is a guess.
    AfterLoss,
    /// Some of it never came.
    Incomplete,
}

impl FrameState {
    /// The word for it in tables.
    pub fn name(self) -> &'static str {
        match self {
            FrameState::Intact => "intact",
            FrameState::AfterLoss => "after_loss",
            FrameState::Incomplete => "incomplete",
        }
    }
}

/// Why a frame is not intact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Packets of it were lost.
    Lost,
    /// A hole in the TCP stream touches it.
    Hole,
    /// An earlier frame that it refers to is not intact.
    Reference,
    /// No key frame has come yet.
    NoKey,
    /// The capture begins or ends within it.
    Edge,
    /// Its header is not that of a frame.
    Header,
    /// Its key frame lacks the ten-byte header, and too much of it to be put back.
    Stripped,
}

impl Reason {
    /// The word for it in tables.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Lost => "lost",
            Reason::Hole => "hole",
            Reason::Reference => "reference",
            Reason::NoKey => "no_key",
            Reason::Edge => "edge",
            Reason::Header => "header",
            Reason::Stripped => "stripped",
        }
    }
}

/// What the frame's own header says (RFC 6386 9.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// Whether the frame stands alone.
    pub key: bool,
    /// Whether it is meant to be seen.
    pub shown: bool,
    /// Width and height, pixels: a key frame's own, or those of the last key frame.
    pub size: Option<(u16, u16)>,
}

/// One frame of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Number of the stream among those of the run, in order of their first packets.
    pub stream: u32,
    /// Capture time of the first packet of it.
    pub first: Timestamp,
    /// Capture time of the last packet of it.
    pub last: Timestamp,
    /// RTP time, unwrapped, in units of the stream's clock, counted from its first frame.
    pub ticks: i64,
    /// Packets that came, without duplicates.
    pub fragments: u32,
    /// Packets that were sent, where the data tells.
    pub expected: Option<u32>,
    /// How far it can be trusted.
    pub state: FrameState,
    /// Why it is not intact.
    pub reason: Option<Reason>,
    /// What its header says, where there is one.
    pub header: Option<FrameHeader>,
    /// The coded frame, as a decoder takes it; what came of it where it is incomplete.
    pub data: Vec<u8>,
}
