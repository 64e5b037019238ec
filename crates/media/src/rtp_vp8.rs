//! Frames of VP8 in RTP (RFC 7741), as calls of browsers send it.
//!
//! Says of each packet what the assembler of all streams wants to know: a frame is what has one
//! RTP time, begins with the packet that says so, and ends with the marker.

use ottoscope_flow::{Span, Timestamp};
use ottoscope_wire::rtp_vp8::Payload;
use ottoscope_wire::{WireError, rtp};

use crate::assembly::{Assembler, Options, Piece, Place};
use crate::frame::{Frame, Reason};
use crate::numbers::{Arrival, Numbers};

/// Packets among which the first of the stream is looked for.
const START: usize = 8;

/// Puts one stream's frames together: one source and payload type of one flow's direction.
#[derive(Debug)]
pub struct Depacketizer {
    numbers: Numbers,
    assembler: Assembler,
    /// The highest packet's RTP time, as it came and unwrapped.
    last: Option<(u32, i64)>,
    /// A packet far from all others, which may begin a new numbering.
    stray: Option<Stray>,
}

/// What a packet that waits had to say.
#[derive(Debug)]
struct Stray {
    at: Timestamp,
    timestamp: u32,
    place: Place,
    disposable: bool,
    data: Vec<u8>,
}

impl Depacketizer {
    /// For the stream of this number in [`Frame::stream`].
    pub fn new(stream: u32) -> Self {
        let options = Options {
            stream,
            reorder: 256,
            start: START,
            wait: Span::from_seconds(2),
            missing: Reason::Lost,
            assume_size: None,
        };
        Depacketizer {
            numbers: Numbers::new(16),
            assembler: Assembler::new(options),
            last: None,
            stray: None,
        }
    }

    /// Its sequence numbers so far: packets, losses, copies.
    pub fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// What became of its frames so far.
    pub fn assembler(&self) -> &Assembler {
        &self.assembler
    }

    /// Takes a packet in order of arrival; frames that are settled by it go to `out`.
    ///
    /// # Errors
    /// When the packet's payload is cut within its descriptor; it is then as good as lost.
    pub fn push(
        &mut self,
        at: Timestamp,
        packet: &rtp::Packet<'_>,
        out: &mut dyn FnMut(Frame),
    ) -> Result<(), WireError> {
        let payload = Payload::parse(packet.payload)?;
        let place = Place {
            first: Some(payload.begins_frame()),
            last: Some(packet.marker),
            ..Place::default()
        };
        let (timestamp, disposable, data) = (packet.timestamp, payload.non_reference, payload.data);
        match self.numbers.take(packet.sequence.into(), None) {
            Arrival::Again(_) => {}
            Arrival::Stray => {
                let data = data.to_vec();
                self.stray = Some(Stray { at, timestamp, place, disposable, data });
            }
            Arrival::New(number) => {
                let ticks = self.ticks(timestamp);
                self.put(at, (number, ticks), place, disposable, data, out);
            }
            Arrival::Restart(number) => {
                self.restart(number - 1, out);
                let ticks = self.ticks(timestamp);
                self.put(at, (number, ticks), place, disposable, data, out);
            }
        }
        Ok(())
    }

    fn put(
        &mut self,
        at: Timestamp,
        (number, ticks): (i64, i64),
        place: Place,
        disposable: bool,
        data: &[u8],
        out: &mut dyn FnMut(Frame),
    ) {
        let frame = ticks as u64;
        let piece = Piece { at, number, frame, ticks, place, open: false, disposable, data };
        self.assembler.push(&piece, out);
    }

    /// The numbers have begun anew with the stray, which is this one.
    fn restart(&mut self, number: i64, out: &mut dyn FnMut(Frame)) {
        self.assembler.restart(out);
        let Some(stray) = self.stray.take() else { return };
        let ticks = self.ticks(stray.timestamp);
        self.last = Some((stray.timestamp, ticks));
        let Stray { at, place, disposable, data, .. } = stray;
        self.put(at, (number, ticks), place, disposable, &data, out);
    }

    /// The RTP time, unwrapped by the shorter way from the highest so far.
    fn ticks(&mut self, timestamp: u32) -> i64 {
        let (last, ticks) = self.last.unwrap_or((timestamp, timestamp.into()));
        let step = i64::from(timestamp.wrapping_sub(last) as i32);
        let now = ticks.saturating_add(step);
        if step >= 0 {
            self.last = Some((timestamp, now));
        }
        now
    }

    /// Gives out what is left, at the end of the capture.
    pub fn finish(&mut self, out: &mut dyn FnMut(Frame)) {
        self.assembler.finish(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FrameState;
    use ottoscope_synth::video;
    use ottoscope_wire::rtp_vp8::PictureId;

    /// A packet of the test pattern: number, time, marker, payload.
    type Sent = (u16, u32, bool, Vec<u8>);

    /// The pattern in packets of 500 bytes; times and numbers wrap on the way.
    fn sent() -> Vec<Sent> {
        let (mut number, mut all) = (65_500u16, Vec::new());
        for (index, frame) in video::frames(video::PATTERN).into_iter().enumerate() {
            let parts = frame.chunks(500).count();
            for (part, data) in frame.chunks(500).enumerate() {
                let payload = Payload {
                    non_reference: false,
                    start: part == 0,
                    partition: 0,
                    picture: Some(PictureId::Long(index as u16)),
                    base_layer: None,
                    temporal: None,
                    key_index: None,
                    data,
                };
                let mut bytes = Vec::new();
                payload.emit(&mut bytes);
                let time = 0xffff_ff00u32.wrapping_add(6000 * index as u32);
                all.push((number, time, part + 1 == parts, bytes));
                number = number.wrapping_add(1);
            }
        }
        all
    }

    fn receive(packets: &[Sent]) -> (Vec<Frame>, Depacketizer) {
        let (mut depacketizer, mut frames) = (Depacketizer::new(7), Vec::new());
        for (index, (sequence, timestamp, marker, payload)) in packets.iter().enumerate() {
            let packet = rtp::Packet {
                marker: *marker,
                payload_type: 100,
                sequence: *sequence,
                timestamp: *timestamp,
                ssrc: 1,
                contributors: &[],
                extension: None,
                payload,
                padding: 0,
            };
            let at = Timestamp(index as i64);
            depacketizer.push(at, &packet, &mut |frame| frames.push(frame)).unwrap();
        }
        depacketizer.finish(&mut |frame| frames.push(frame));
        (frames, depacketizer)
    }

    fn states(frames: &[Frame]) -> Vec<(FrameState, Option<Reason>)> {
        frames.iter().map(|frame| (frame.state, frame.reason)).collect()
    }

    fn is_right(frame: &Frame) {
        let index = (frame.ticks / 6000) as usize;
        assert_eq!(frame.data, video::frames(video::PATTERN)[index], "frame {index}");
        assert_eq!(frame.expected, Some(frame.fragments));
        assert_eq!(frame.header.unwrap().size, Some((320, 240)));
    }

    #[test]
    fn all_frames_come_back_in_any_near_order_and_once() {
        let mut packets = sent();
        let count = packets.len() as u64;
        for at in (0..packets.len() - 4).step_by(5) {
            packets.swap(at, at + 3);
        }
        for at in (0..packets.len()).rev().step_by(7) {
            packets.insert(at + 1, packets[at].clone());
        }
        let (frames, told) = receive(&packets);
        assert_eq!(frames.len(), 60);
        assert!(states(&frames).iter().all(|state| *state == (FrameState::Intact, None)));
        frames.iter().for_each(is_right);
        let numbers = told.numbers();
        assert_eq!((numbers.distinct(), numbers.lost()), (count, 0));
        assert_eq!(told.assembler().tally().late, 0);
        assert_eq!(numbers.distinct() + numbers.duplicates, packets.len() as u64);
    }

    #[test]
    fn after_a_loss_only_a_key_frame_is_intact() {
        let check = |lost: usize, incomplete: bool| {
            let mut packets = sent();
            let time = packets[lost].1;
            packets.remove(lost);
            let (frames, told) = receive(&packets);
            assert_eq!(told.numbers().lost(), 1);
            let damaged = i64::from(time.wrapping_sub(0xffff_ff00));
            for frame in &frames {
                let state = match frame.ticks {
                    t if t == damaged => (FrameState::Incomplete, Some(Reason::Lost)),
                    t if t > damaged && t < (damaged / 120_000 + 1) * 120_000 => {
                        (FrameState::AfterLoss, Some(Reason::Reference))
                    }
                    _ => (FrameState::Intact, None),
                };
                assert_eq!((frame.state, frame.reason), state, "{} of {damaged}", frame.ticks);
                if frame.state != FrameState::Incomplete {
                    is_right(frame);
                }
            }
            assert_eq!(frames.len(), 59 + usize::from(incomplete));
        };
        let packets = sent();
        let of = |wanted: fn(&[Sent], usize) -> bool| {
            (60..packets.len()).find(|at| wanted(&packets, *at)).unwrap()
        };
        let same = |a: &Sent, b: &Sent| a.1 == b.1;
        // In the middle, the last, the first, the only one.
        check(of(|p, at| p[at - 1].1 == p[at].1 && p[at].1 == p[at + 1].1), true);
        check(of(|p, at| p[at - 1].1 == p[at].1 && p[at].2), true);
        check(of(|p, at| p[at - 1].1 != p[at].1 && p[at].1 == p[at + 1].1), true);
        let only = of(|p, at| p[at - 1].1 != p[at].1 && p[at].1 != p[at + 1].1);
        assert!(!same(&packets[only], &packets[only + 1]));
        check(only, false);
    }

    #[test]
    fn a_capture_that_begins_and_ends_within_frames() {
        let mut packets = sent();
        packets.drain(..3);
        packets.pop();
        let (frames, _) = receive(&packets);
        assert_eq!(frames[0].reason, Some(Reason::Edge));
        assert!(frames[1..20].iter().all(|frame| frame.reason == Some(Reason::NoKey)));
        assert!(frames[20..59].iter().all(|frame| frame.state == FrameState::Intact));
        assert_eq!(frames[59].reason, Some(Reason::Edge));
    }

    #[test]
    fn a_source_that_jumps_is_waited_for_no_more() {
        let mut packets = sent();
        for packet in &mut packets[100..] {
            packet.0 = packet.0.wrapping_add(20_000);
        }
        let (frames, told) = receive(&packets);
        assert_eq!(told.numbers().lost(), 0);
        assert_eq!(frames.iter().filter(|frame| frame.ticks >= 40 * 6000).count(), 20);
        assert!(frames[frames.len() - 20..].iter().all(|f| f.state == FrameState::Intact));
    }

    proptest::proptest! {
        #[test]
        fn any_packets_give_frames(packets: Vec<(u16, u32, bool, Vec<u8>)>) {
            let (mut depacketizer, mut fragments) = (Depacketizer::new(0), 0);
            for (sequence, timestamp, marker, payload) in &packets {
                let packet = rtp::Packet {
                    marker: *marker,
                    payload_type: 100,
                    sequence: *sequence,
                    timestamp: *timestamp,
                    ssrc: 1,
                    contributors: &[],
                    extension: None,
                    payload,
                    padding: 0,
                };
                let mut out = |frame: Frame| fragments += u64::from(frame.fragments);
                let _ = depacketizer.push(Timestamp(0), &packet, &mut out);
            }
            depacketizer.finish(&mut |frame| fragments += u64::from(frame.fragments));
            let late = depacketizer.assembler().tally().late;
            proptest::prop_assert_eq!(fragments + late, depacketizer.numbers().distinct());
        }
    }
}
