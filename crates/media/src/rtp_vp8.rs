//! Frames of VP8 in RTP (RFC 7741), as calls of browsers send it.
//!
//! A frame is what has one RTP time: it begins with the packet that says so, ends with the
//! marker, and is whole where no number is missing between. Frames come out in the order of
//! their times; one that lacks packets is waited for until a few newer ones have begun.

use std::collections::{BTreeMap, BTreeSet};

use ottoscope_flow::Timestamp;
use ottoscope_wire::rtp_vp8::Payload;
use ottoscope_wire::{WireError, rtp};

use crate::frame::{Frame, FrameHeader, FrameState, Reason};
use crate::vp8;

/// Newer frames that a frame may wait for its packets.
const WAIT: usize = 4;
/// Packets held for frames that are not whole.
const HELD: usize = 4096;
/// A number that jumps further than this is another stream's, or one that began anew.
const JUMP: i64 = 3000;
/// Numbers that are remembered, to tell copies from packets that come late.
const RECENT: usize = 2 * JUMP as usize;

/// What was counted in one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Packets in frames, without copies.
    pub packets: u64,
    /// Copies of packets that had come.
    pub duplicates: u64,
    /// Packets missing between the first and the last.
    pub lost: u64,
    /// Packets of frames that had been given up, without copies.
    pub late: u64,
}

#[derive(Debug)]
struct Piece {
    at: Timestamp,
    marker: bool,
    begins: bool,
    non_reference: bool,
    data: Vec<u8>,
}

/// Packets of one RTP time by their numbers.
type Pieces = BTreeMap<i64, Piece>;

/// Puts one stream's frames together: one source and payload type of one flow's direction.
#[derive(Debug, Default)]
pub struct Assembler {
    stream: u32,
    /// Frames by their time.
    pending: BTreeMap<i64, Pieces>,
    held: usize,
    recent: BTreeSet<i64>,
    /// Number and time that came last, unwrapped.
    last: Option<(i64, i64)>,
    /// The number of the first packet, and the highest one.
    span: Option<(i64, i64)>,
    /// The number that the next frame begins with, where none is lost.
    next: Option<i64>,
    /// Time of the first frame.
    origin: Option<i64>,
    /// Whether all frames since the last key frame were whole; `None` before the first key frame.
    chain: Option<bool>,
    size: Option<(u16, u16)>,
    counts: Counts,
}

/// The value next to `near` whose low bits are `value`.
fn unwrap(value: u32, bits: u32, near: i64) -> i64 {
    let modulus = 1i64 << bits;
    let difference = (i64::from(value) - near).rem_euclid(modulus);
    near + if difference >= modulus / 2 { difference - modulus } else { difference }
}

impl Assembler {
    /// For the stream of this number in [`Frame::stream`].
    pub fn new(stream: u32) -> Self {
        Assembler { stream, ..Assembler::default() }
    }

    /// What has been counted; losses as of the packets that came.
    pub fn counts(&self) -> Counts {
        let sent = self.span.map_or(0, |(first, last)| (last - first + 1) as u64);
        Counts { lost: sent.saturating_sub(self.counts.packets + self.counts.late), ..self.counts }
    }

    /// Takes a packet; frames that are settled by it go to `out`.
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
        let (number, time) = match self.last {
            Some((number, time)) => {
                (unwrap(packet.sequence.into(), 16, number), unwrap(packet.timestamp, 32, time))
            }
            None => (packet.sequence.into(), packet.timestamp.into()),
        };
        if self.last.is_some_and(|(last, _)| (number - last).abs() > JUMP) {
            self.finish(out);
            (self.next, self.last) = (None, None);
            self.recent.clear();
            self.chain = self.chain.map(|_| false);
            if let Some((first, last)) = &mut self.span {
                // Losses within each part are counted, not those of the jump.
                let shift = number - *last - 1;
                (*first, *last) = (*first + shift, *last + shift);
            }
        }
        if !self.recent.insert(number) {
            self.counts.duplicates += 1;
            return Ok(());
        }
        if self.recent.len() > RECENT {
            self.recent.pop_first();
        }
        let (first, last) = self.span.get_or_insert((number, number));
        (*first, *last) = ((*first).min(number), (*last).max(number));
        if self.next.is_some_and(|next| number < next) {
            self.counts.late += 1;
            return Ok(());
        }
        let pieces = self.pending.entry(time).or_default();
        let piece = Piece {
            at,
            marker: packet.marker,
            begins: payload.begins_frame(),
            non_reference: payload.non_reference,
            data: payload.data.to_vec(),
        };
        pieces.insert(number, piece);
        self.held += 1;
        self.counts.packets += 1;
        if self.last.is_none_or(|(last, _)| number > last) {
            self.last = Some((number, time));
        }
        self.settle(out);
        Ok(())
    }

    /// Gives out what is left, at the end of the capture.
    pub fn finish(&mut self, out: &mut dyn FnMut(Frame)) {
        while !self.pending.is_empty() {
            self.give(out);
        }
    }

    fn settle(&mut self, out: &mut dyn FnMut(Frame)) {
        while let Some((_, pieces)) = self.pending.first_key_value() {
            let ready = is_whole(pieces, None)
                && pieces.first_key_value().is_some_and(|(first, _)| self.next == Some(*first));
            if !ready && self.pending.len() <= WAIT && self.held <= HELD {
                return;
            }
            self.give(out);
        }
    }

    /// Gives out the oldest frame as it is.
    fn give(&mut self, out: &mut dyn FnMut(Frame)) {
        let Some((time, pieces)) = self.pending.pop_first() else { return };
        self.held -= pieces.len();
        let (Some((&first, begin)), Some((&last, _))) =
            (pieces.first_key_value(), pieces.last_key_value())
        else {
            return;
        };
        let following = self.pending.first_key_value().and_then(|(_, next)| {
            next.first_key_value().map(|(number, piece)| (*number, piece.begins))
        });
        let whole = is_whole(&pieces, following);
        let ends = pieces.values().any(|piece| piece.marker) || following == Some((last + 1, true));
        let gap = self.next.is_some_and(|next| first > next);
        let at_edge = self.next.is_none();
        self.next = Some(last + 1);

        let times = pieces.values().map(|piece| piece.at);
        let [earliest, latest] = [times.clone().min(), times.max()].map(Option::unwrap_or_default);
        let data: Vec<u8> = pieces.values().flat_map(|piece| piece.data.iter().copied()).collect();
        let header = if begin.begins { vp8::header(&data).ok() } else { None };
        if gap && self.chain.is_some() {
            self.chain = Some(false);
        }
        let (state, reason) = match (whole, header) {
            (true, Some(FrameHeader { key: true, size, .. })) => {
                (self.chain, self.size) = (Some(true), size);
                (FrameState::Intact, None)
            }
            (true, Some(_)) => match self.chain {
                Some(true) => (FrameState::Intact, None),
                Some(false) => (FrameState::AfterLoss, Some(Reason::Reference)),
                None => (FrameState::AfterLoss, Some(Reason::NoKey)),
            },
            (true, None) => (FrameState::Incomplete, Some(Reason::Header)),
            (false, _) if at_edge && !begin.begins => (FrameState::Incomplete, Some(Reason::Edge)),
            (false, _) if !ends && self.pending.is_empty() => {
                (FrameState::Incomplete, Some(Reason::Edge))
            }
            (false, _) => (FrameState::Incomplete, Some(Reason::Lost)),
        };
        if state == FrameState::Incomplete && !begin.non_reference && self.chain.is_some() {
            self.chain = Some(false);
        }
        let origin = *self.origin.get_or_insert(time);
        let known = begin.begins && ends;
        out(Frame {
            stream: self.stream,
            first: earliest,
            last: latest,
            ticks: time - origin,
            fragments: pieces.len() as u32,
            expected: known.then_some((last - first + 1) as u32),
            state,
            reason,
            header: header.map(|header| FrameHeader { size: header.size.or(self.size), ..header }),
            data,
        });
    }
}

/// Whether a frame begins with its first packet, lacks no number, and ends: with the marker, or
/// where the packet behind begins the next frame.
fn is_whole(pieces: &Pieces, following: Option<(i64, bool)>) -> bool {
    let (Some((first, begin)), Some((last, end))) =
        (pieces.first_key_value(), pieces.last_key_value())
    else {
        return false;
    };
    begin.begins
        && (last - first + 1) as usize == pieces.len()
        && (end.marker || following == Some((last + 1, true)))
}

#[cfg(test)]
mod tests {
    use super::*;
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

    fn receive(packets: &[Sent]) -> (Vec<Frame>, Counts) {
        let (mut assembler, mut frames) = (Assembler::new(7), Vec::new());
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
            assembler.push(at, &packet, &mut |frame| frames.push(frame)).unwrap();
        }
        assembler.finish(&mut |frame| frames.push(frame));
        (frames, assembler.counts())
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
        let (frames, counts) = receive(&packets);
        assert_eq!(frames.len(), 60);
        assert!(states(&frames).iter().all(|state| *state == (FrameState::Intact, None)));
        frames.iter().for_each(is_right);
        assert_eq!((counts.packets, counts.lost, counts.late), (count, 0, 0));
        assert_eq!(counts.packets + counts.duplicates, packets.len() as u64);
    }

    #[test]
    fn after_a_loss_only_a_key_frame_is_intact() {
        let check = |lost: usize, incomplete: bool| {
            let mut packets = sent();
            let time = packets[lost].1;
            packets.remove(lost);
            let (frames, counts) = receive(&packets);
            assert_eq!(counts.lost, 1);
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
        let (frames, counts) = receive(&packets);
        assert_eq!(counts.lost, 0);
        assert_eq!(frames.iter().filter(|frame| frame.ticks >= 40 * 6000).count(), 20);
        assert!(frames[frames.len() - 20..].iter().all(|f| f.state == FrameState::Intact));
    }

    proptest::proptest! {
        #[test]
        fn any_packets_give_frames(packets: Vec<(u16, u32, bool, Vec<u8>)>) {
            let (mut assembler, mut fragments) = (Assembler::new(0), 0);
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
                let _ = assembler.push(Timestamp(0), &packet, &mut out);
            }
            assembler.finish(&mut |frame| fragments += u64::from(frame.fragments));
            proptest::prop_assert_eq!(fragments, assembler.counts().packets);
        }
    }
}
