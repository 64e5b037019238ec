//! What is told of one stream of a call when it has ended.

use ottoscope_flow::{Direction, Timestamp};
use ottoscope_wire::qq_video::{Form, media};

use crate::assembly::Assembler;
use crate::numbers::Numbers;

/// One stream: a source in a direction, with one media type.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream {
    /// Its number, as in [`crate::Frame::stream`].
    pub number: u32,
    /// Which way it runs.
    pub direction: Direction,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Media type, see [`media`].
    pub media: u8,
    /// RTP payload type of the first packet.
    pub payload_type: u8,
    /// `udp-05`, `udp-04` or `tcp` of QQ's, or `rtp`.
    pub transport: &'static str,
    /// Over TCP, which form of the head won.
    pub form: Option<Form>,
    /// Clock of its timestamps, hertz: what their slope shows, 90,000 for video where it shows
    /// nothing.
    pub clock_hz: u32,
    /// Whether the slope shows it.
    pub clock_verified: bool,
    /// Time of the first packet.
    pub first: Timestamp,
    /// Time of the last packet.
    pub last: Timestamp,
    /// Packets that came, duplicates included.
    pub packets: u64,
    /// Bytes of video data or audio payload, duplicates left out.
    pub bytes: u64,
    /// Packets that did not come, by video sequence number; over TCP and for audio, by RTP's.
    pub lost: u64,
    /// The same by RTP's sequence number, as a cross-check.
    pub sequence_lost: u64,
    /// Packets whose number had been seen before.
    pub duplicates: u64,
    /// Of these, those sent again: with another multimedia sequence number; and packets whose
    /// RTP number had been seen under another video sequence number.
    pub retransmitted: u64,
    /// Packets behind one with a higher number.
    pub reordered: u64,
    /// Packets that came too late for their frame.
    pub late: u64,
    /// Restarts of the numbers.
    pub restarts: u64,
    /// Where fragments carry their place.
    pub layout: Layout,
    /// Intact frames.
    pub intact: u64,
    /// Frames whose reference is not intact.
    pub after_loss: u64,
    /// Frames with holes.
    pub incomplete: u64,
    /// Key frames, whatever their state.
    pub key_frames: u64,
    /// Key frames whose start code and size were put back.
    pub restored: u64,
    /// Size of the last key frame that said one, pixels.
    pub size: Option<(u16, u16)>,
}

impl Stream {
    /// A stream whose first packet came at `first`.
    pub(crate) fn new(
        (number, first): (u32, Timestamp),
        direction: Direction,
        (ssrc, payload_type): (u32, u8),
        media: u8,
        transport: &'static str,
        clock_hz: u32,
    ) -> Self {
        Stream {
            number,
            direction,
            ssrc,
            media,
            payload_type,
            transport,
            form: None,
            clock_hz,
            clock_verified: false,
            first,
            last: first,
            packets: 0,
            bytes: 0,
            lost: 0,
            sequence_lost: 0,
            duplicates: 0,
            retransmitted: 0,
            reordered: 0,
            late: 0,
            restarts: 0,
            layout: Layout::default(),
            intact: 0,
            after_loss: 0,
            incomplete: 0,
            key_frames: 0,
            restored: 0,
            size: None,
        }
    }

    /// Takes over what its numbers and its frames have told: `leading` counts what was lost,
    /// `sequences` are RTP's.
    pub(crate) fn count(&mut self, leading: &Numbers, sequences: &Numbers, frames: &Assembler) {
        self.lost = leading.lost();
        self.duplicates = leading.duplicates;
        self.reordered = leading.reordered;
        self.restarts = leading.restarts;
        self.sequence_lost = sequences.lost();
        let tally = frames.tally();
        self.late = tally.late;
        (self.intact, self.after_loss) = (tally.intact, tally.after_loss);
        self.incomplete = tally.incomplete;
        (self.key_frames, self.restored) = (tally.key, tally.restored);
        self.size = frames.size();
    }

    /// Whether it carries video.
    pub fn is_video(&self) -> bool {
        self.media == media::VIDEO
    }
}

/// A number of one or two bytes in the extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// Offset in the extension, bytes.
    pub offset: u8,
    /// 1 or 2.
    pub width: u8,
    /// What its value lies above what it stands for: 1 for an index that counts from 1, or 0.
    pub base: i8,
}

/// Where fragments carry their place in the frame, as far as the data shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Layout {
    /// Counts the fragments of a frame.
    pub index: Option<Place>,
    /// How many they are.
    pub total: Option<Place>,
    /// Whether the RTP marker stands on the last fragment.
    pub marker: bool,
    /// Whether packets end with a byte `03` that is no video data.
    pub tail: bool,
}
