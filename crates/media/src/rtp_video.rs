//! Video streams in plain RTP, found among all that a UDP flow carries.
//!
//! Nothing on the wire says that a dynamic payload type is VP8. A source is taken for it once a
//! key frame of it is whole, begins with VP8's start code (RFC 6386 9.1), and another frame
//! follows; SRTP, other codecs and noise never give one. Frames wait until then.

use ottoscope_flow::{Direction, Timestamp};
use ottoscope_wire::qq_video::media;
use ottoscope_wire::rtp;

use crate::frame::{Frame, FrameState};
use crate::rtp_vp8::Depacketizer;
use crate::stream::Stream;

/// Sources on trial or accepted in one flow.
const SOURCES: usize = 8;
/// Packets after which a source without a key frame is none of ours.
const PATIENCE: u64 = 2000;
/// Frames held on trial.
const HELD: usize = 64;
/// Payload types that RTCP's packet types would be taken for (RFC 5761 4).
const RTCP: std::ops::RangeInclusive<u8> = 72..=76;

/// One flow, both directions.
#[derive(Debug, Default)]
pub struct Session {
    sources: Vec<Source>,
    refused: Vec<(Direction, u32, u8)>,
    next: u32,
}

#[derive(Debug)]
struct Source {
    stream: Stream,
    depacketizer: Depacketizer,
    /// Packets whose descriptor could not be read.
    broken: u64,
    /// Frames of a source on trial; `None` once it is accepted.
    held: Option<Vec<Frame>>,
    /// Whether a whole key frame came.
    key: bool,
}

impl Session {
    /// Takes a datagram in order of capture. Frames of accepted sources go to `frames`.
    pub fn datagram(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        frames: &mut dyn FnMut(Frame),
    ) {
        let Ok(packet) = rtp::Packet::parse(bytes) else { return };
        if RTCP.contains(&packet.payload_type) || packet.payload.is_empty() {
            return;
        }
        let id = (direction, packet.ssrc, packet.payload_type);
        let is_it = |s: &Source| (s.stream.direction, s.stream.ssrc, s.stream.payload_type) == id;
        let place = match self.sources.iter().position(is_it) {
            Some(place) => place,
            None if self.refused.contains(&id) || self.sources.len() >= SOURCES => return,
            None => {
                self.sources.push(Source::new(self.next, at, id));
                self.next += 1;
                self.sources.len() - 1
            }
        };
        if !self.sources[place].take(at, &packet, frames) {
            self.sources.remove(place);
            self.refused.push(id);
            self.refused.truncate(SOURCES * 8);
        }
    }

    /// What is known so far of a stream that frames have come of.
    pub fn stream(&self, number: u32) -> Option<&Stream> {
        self.sources.iter().map(|source| &source.stream).find(|s| s.number == number)
    }

    /// The flow has ended: its video streams.
    pub fn finish(self, frames: &mut dyn FnMut(Frame)) -> Vec<Stream> {
        self.sources.into_iter().filter_map(|source| source.finish(frames)).collect()
    }
}

impl Source {
    fn new(
        number: u32,
        at: Timestamp,
        (direction, ssrc, payload_type): (Direction, u32, u8),
    ) -> Self {
        let clock = ottoscope_wire::rtp_vp8::CLOCK;
        let source = (ssrc, payload_type);
        let mut stream = Stream::new((number, at), direction, source, media::VIDEO, "rtp", clock);
        stream.clock_verified = true;
        stream.layout.marker = true;
        let depacketizer = Depacketizer::new(number);
        Source { stream, depacketizer, broken: 0, held: Some(Vec::new()), key: false }
    }

    /// Takes a packet; false once the source is known to be something else.
    fn take(
        &mut self,
        at: Timestamp,
        packet: &rtp::Packet<'_>,
        frames: &mut dyn FnMut(Frame),
    ) -> bool {
        self.stream.packets += 1;
        self.stream.last = self.stream.last.max(at);
        let mut came = Vec::new();
        let read = self.depacketizer.push(at, packet, &mut |frame| came.push(frame));
        self.broken += u64::from(read.is_err());
        for frame in came {
            self.frame(frame, frames);
        }
        let held = self.held.as_ref().map_or(0, Vec::len);
        let strange = self.held.is_some()
            && (self.stream.packets > PATIENCE || held >= HELD || self.broken > 4);
        !strange
    }

    fn frame(&mut self, frame: Frame, out: &mut dyn FnMut(Frame)) {
        self.stream.bytes += frame.data.len() as u64;
        let key = frame.header.is_some_and(|header| header.key);
        let whole = frame.state != FrameState::Incomplete;
        let Some(held) = &mut self.held else { return out(frame) };
        let proven = self.key && whole;
        self.key |= key && whole;
        held.push(frame);
        if proven {
            self.held.take().into_iter().flatten().for_each(out);
        }
    }

    fn finish(mut self, out: &mut dyn FnMut(Frame)) -> Option<Stream> {
        let mut came = Vec::new();
        self.depacketizer.finish(&mut |frame| came.push(frame));
        for frame in came {
            self.frame(frame, out);
        }
        let (numbers, assembler) = (self.depacketizer.numbers(), self.depacketizer.assembler());
        self.stream.count(numbers, numbers, assembler);
        self.held.is_none().then_some(self.stream)
    }
}

#[cfg(test)]
mod tests {
    use ottoscope_wire::rtp_vp8::Payload;

    use super::*;

    fn packets(frames: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut sequence = 65_530u16;
        let mut out = Vec::new();
        for (n, frame) in frames.iter().enumerate() {
            let parts: Vec<&[u8]> = frame.chunks(700).collect();
            for (i, part) in parts.iter().enumerate() {
                let mut payload = Vec::new();
                let head = Payload {
                    non_reference: false,
                    start: i == 0,
                    partition: 0,
                    picture: None,
                    base_layer: None,
                    temporal: None,
                    key_index: None,
                    data: part,
                };
                head.emit(&mut payload);
                let mut bytes = Vec::new();
                rtp::Packet {
                    marker: i + 1 == parts.len(),
                    payload_type: 96,
                    sequence,
                    timestamp: n as u32 * 6000,
                    ssrc: 7,
                    contributors: &[],
                    extension: None,
                    payload: &payload,
                    padding: 0,
                }
                .emit(&mut bytes);
                sequence = sequence.wrapping_add(1);
                out.push(bytes);
            }
        }
        out
    }

    fn follow(datagrams: &[Vec<u8>]) -> (Vec<Frame>, Vec<Stream>) {
        let mut session = Session::default();
        let mut frames = Vec::new();
        for (n, bytes) in datagrams.iter().enumerate() {
            let at = Timestamp(n as i64 * 1_000_000);
            session.datagram(at, Direction::Up, bytes, &mut |frame| frames.push(frame));
        }
        let streams = session.finish(&mut |frame| frames.push(frame));
        (frames, streams)
    }

    #[test]
    fn vp8_is_found_from_its_first_frame() {
        let sent = ottoscope_synth::video::frames(ottoscope_synth::video::PATTERN);
        let sent: Vec<&[u8]> = sent.iter().take(40).map(|frame| &**frame).collect();
        let (frames, streams) = follow(&packets(&sent));
        let got: Vec<&[u8]> = frames.iter().map(|frame| &*frame.data).collect();
        assert_eq!(got, sent);
        assert_eq!((streams.len(), streams[0].intact, streams[0].lost), (1, 40, 0));
        assert_eq!(streams[0].size, Some((320, 240)));
    }

    #[test]
    fn other_codecs_and_noise_are_none() {
        let noise: Vec<Vec<u8>> = (0..3000u32)
            .map(|n| (0..900).map(|i| (n.wrapping_mul(2_654_435_761) >> (i % 24)) as u8).collect())
            .collect();
        let noise: Vec<&[u8]> = noise.iter().map(|bytes| &**bytes).collect();
        let (frames, streams) = follow(&packets(&noise));
        assert!(frames.is_empty() && streams.is_empty());
    }
}
