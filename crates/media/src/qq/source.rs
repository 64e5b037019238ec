//! One source of a call: its numbers, its clock, and for video its frames.

use std::mem;

use ottoscope_flow::dissector::rtp_stream::CLOCKS;
use ottoscope_flow::{Direction, Timestamp};
use ottoscope_wire::qq_video::{Content, Packet, PayloadReading, media};
use ottoscope_wire::rtp;

use super::Options;
use super::layout::{self, Learner, Marks};
use crate::assembly::{self, Assembler, Piece};
use crate::numbers::{Arrival, Numbers};
use crate::stream::{Layout, Stream};
use crate::{Frame, Reason};

/// Packets and bytes held until the layout is learnt.
const MAX_HELD: usize = 256;
const MAX_BYTES: usize = 1024 * 1024;
/// Packets that make a source a stream.
const MIN_PACKETS: u64 = 3;
/// Multimedia sequence numbers remembered, by number.
const SEQUENCES: usize = 1024;
/// Media time needed to measure a clock, seconds.
const CLOCK_BASE: f64 = 1.0;
/// How far the measured rate may lie from the clock it is taken for.
const CLOCK_TOLERANCE: f64 = 0.12;

/// A packet of video that waits until it is known how to read it.
#[derive(Debug)]
struct Held {
    at: Timestamp,
    /// By video number and by RTP's; nothing for one that was there before.
    number: Option<i64>,
    sequence: Option<i64>,
    frame: u64,
    ticks: i64,
    marks: Marks,
    may_have_tail: bool,
    open: bool,
    data: Vec<u8>,
}

/// One packet, read, before it is put together with others.
struct Arrived<'a> {
    at: Timestamp,
    number: Option<i64>,
    sequence: Option<i64>,
    frame: u64,
    ticks: i64,
    marks: Marks,
    may_have_tail: bool,
    open: bool,
    data: &'a [u8],
}

impl Arrived<'_> {
    fn hold(&self) -> Held {
        let Arrived { at, number, sequence, frame, ticks, marks, may_have_tail, open, data } =
            *self;
        let data = data.to_vec();
        Held { at, number, sequence, frame, ticks, marks, may_have_tail, open, data }
    }
}

impl Held {
    fn arrived(&self) -> Arrived<'_> {
        let Held { at, number, sequence, frame, ticks, marks, may_have_tail, open, .. } = *self;
        let data = &self.data[..];
        Arrived { at, number, sequence, frame, ticks, marks, may_have_tail, open, data }
    }
}

/// How far it has come.
#[derive(Debug)]
enum Phase {
    /// Its layout is being learnt.
    Learning(Vec<Held>, usize),
    Running,
    /// It is no stream after all.
    Refused,
}

/// One source in one direction, of one media type.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) stream: Stream,
    /// Video numbers, over UDP and of video only.
    numbers: Option<Numbers>,
    sequences: Numbers,
    /// Multimedia sequence number by video number.
    sent: Vec<u16>,
    /// Pieces are put together by RTP's numbers and not by video numbers.
    by_sequence: bool,
    phase: Phase,
    learner: Learner,
    learnt: bool,
    layout: Layout,
    assembler: Assembler,
    /// Unwrapped media time of the last packet, and its timestamp.
    ticks: i64,
    timestamp: u32,
    clock: Clock,
    /// A packet far from all others, which may begin a new numbering.
    stray: Option<Held>,
}

/// Media time beside capture time, from the first packet to the last in order.
#[derive(Debug, Clone, Copy)]
struct Clock {
    first: (Timestamp, i64),
    last: (Timestamp, i64),
}

impl Clock {
    /// The usual rate that is nearest to the slope, where one is near.
    fn rate(&self) -> Option<u32> {
        let seconds = (self.last.0 - self.first.0).as_seconds();
        let measured = (self.last.1 - self.first.1) as f64 / seconds;
        let off = |clock: &u32| (measured / f64::from(*clock) - 1.0).abs();
        let near = CLOCKS.into_iter().min_by(|a, b| off(a).total_cmp(&off(b)))?;
        (seconds >= CLOCK_BASE && off(&near) <= CLOCK_TOLERANCE).then_some(near)
    }
}

impl Source {
    pub(super) fn new(
        number: u32,
        at: Timestamp,
        direction: Direction,
        packet: &Packet<'_>,
        content: &Content<'_>,
        options: &Options,
    ) -> Self {
        let over_tcp = matches!(packet, Packet::Message(_));
        let is_video = packet.media() == media::VIDEO;
        let assembler = Assembler::new(assembly::Options {
            stream: number,
            reorder: if over_tcp { 0 } else { options.reorder },
            wait: options.wait,
            missing: if over_tcp { Reason::Hole } else { Reason::Lost },
            start: 0,
            assume_size: Some(options.assume_size),
        });
        let fixed = rtp::static_type(content.rtp.payload_type).map(|(rate, _)| rate);
        let rtp::Packet { ssrc, payload_type, .. } = content.rtp;
        let clock = fixed.unwrap_or(if is_video { 90_000 } else { 8_000 });
        let mut stream = Stream::new(
            (number, at),
            direction,
            (ssrc, payload_type),
            packet.media(),
            packet.transport(),
            clock,
        );
        if let Packet::Message(message) = packet {
            stream.form = Some(message.head.form);
        }
        Source {
            stream,
            numbers: (is_video && !over_tcp).then(|| Numbers::new(40)),
            sequences: Numbers::new(16),
            sent: Vec::new(),
            by_sequence: true,
            phase: Phase::Learning(Vec::new(), 0),
            learner: Learner::default(),
            learnt: false,
            layout: Layout::default(),
            assembler,
            ticks: 0,
            timestamp: content.rtp.timestamp,
            clock: Clock { first: (at, 0), last: (at, 0) },
            stray: None,
        }
    }

    /// Whether packets of this source belong here.
    pub(super) fn is_of(&self, direction: Direction, media: u8, ssrc: u32) -> bool {
        let Stream { direction: ours, media: kind, ssrc: source, .. } = self.stream;
        (ours, kind, source) == (direction, media, ssrc)
    }

    /// Whether it is no stream by now.
    pub(super) fn is_slight(&self) -> bool {
        self.sequences.distinct() < MIN_PACKETS
    }

    /// Takes a packet, in order of arrival.
    pub(super) fn take(
        &mut self,
        at: Timestamp,
        packet: &Packet<'_>,
        content: &Content<'_>,
        open: bool,
        out: &mut dyn FnMut(Frame),
    ) {
        let stream = &mut self.stream;
        stream.packets += 1;
        stream.last = stream.last.max(at);
        let rtp = &content.rtp;
        // Each number vouches for the other where it is far ahead.
        let ahead = self.numbers.as_ref().zip(packet.number()).map(|(n, raw)| n.ahead(raw));
        let agrees = ahead.filter(|ahead| {
            self.sequences.distinct() > 0
                && *ahead as u16 == self.sequences.ahead(rtp.sequence.into()) as u16
        });
        let by_number = match (&mut self.numbers, packet.number()) {
            (Some(numbers), Some(raw)) => Some(numbers.take(raw, agrees)),
            _ => None,
        };
        let by_sequence = self.sequences.take(rtp.sequence.into(), agrees);
        let new = |arrival: Arrival| match arrival {
            Arrival::New(n) | Arrival::Restart(n) => Some(n),
            Arrival::Again(_) | Arrival::Stray => None,
        };
        let number = by_number.and_then(new);
        let sequence = new(by_sequence);
        if let Some(Arrival::Again(n)) = by_number {
            let again = self.sent.get(n.rem_euclid(SEQUENCES as i64) as usize);
            stream.retransmitted += u64::from(again.is_some_and(|ms| *ms != packet.sequence()));
        } else if let Some(n) = number {
            self.sent.resize(SEQUENCES, 0);
            self.sent[n.rem_euclid(SEQUENCES as i64) as usize] = packet.sequence();
            stream.retransmitted += u64::from(matches!(by_sequence, Arrival::Again(_)));
        }
        let leading = by_number.unwrap_or(by_sequence);
        if number.is_none() && sequence.is_none() && leading != Arrival::Stray {
            return; // seen before
        }
        stream.bytes += content.data.len() as u64;
        let step = i64::from(rtp.timestamp.wrapping_sub(self.timestamp) as i32);
        (self.ticks, self.timestamp) = (self.ticks.saturating_add(step), rtp.timestamp);
        if self.ticks >= self.clock.last.1 && at >= self.clock.last.0 {
            self.clock.last = (at, self.ticks);
        }
        if self.stream.media != media::VIDEO {
            return;
        }
        let mut marks = Marks { marker: rtp.marker, ..Marks::default() };
        let len = content.extension.len().min(layout::LOOK);
        marks.extension[..len].copy_from_slice(&content.extension[..len]);
        marks.len = len as u8;
        let may_have_tail = matches!(packet, Packet::Case2(outer)
            if outer.payload_reading != PayloadReading::Packet);
        let arrived = Arrived {
            at,
            number,
            sequence,
            frame: u64::from(packet.frame()) << 32 | u64::from(rtp.timestamp),
            ticks: self.ticks,
            marks,
            may_have_tail,
            open,
            data: content.data,
        };
        match leading {
            Arrival::Stray => self.stray = Some(arrived.hold()),
            Arrival::Restart(_) => {
                self.restart(by_number, by_sequence, out);
                self.arrived(&arrived, out);
            }
            _ => self.arrived(&arrived, out),
        }
    }

    fn arrived(&mut self, arrived: &Arrived<'_>, out: &mut dyn FnMut(Frame)) {
        if !self.learnt {
            let number = if self.numbers.is_some() && !self.sequences.run_on() {
                arrived.number
            } else {
                arrived.sequence
            };
            if let Some(number) = number {
                self.learner.take(number, arrived.frame, arrived.marks);
            }
            if arrived.may_have_tail {
                self.learner.tail(arrived.data.last().copied());
            }
        }
        match &mut self.phase {
            Phase::Refused => {}
            Phase::Running => {
                if !self.learnt {
                    self.layout = self.learner.layout();
                    self.learnt = self.learner.is_done();
                }
                self.push(arrived, out);
            }
            Phase::Learning(held, bytes) => {
                *bytes += arrived.data.len();
                held.push(arrived.hold());
                if held.len() >= MAX_HELD || *bytes >= MAX_BYTES || self.learner.is_sure() {
                    self.run(out);
                }
            }
        }
    }

    /// Enough was learnt, or no more will come: what was held is put together.
    fn run(&mut self, out: &mut dyn FnMut(Frame)) {
        let Phase::Learning(held, _) = &mut self.phase else { return };
        let mut held = mem::take(held);
        let runs = self.numbers.as_ref().is_some_and(Numbers::run_on) || self.sequences.run_on();
        let distinct = self.sequences.distinct();
        if !runs || distinct < MIN_PACKETS {
            self.phase = Phase::Refused;
            return;
        }
        self.by_sequence = self.numbers.is_none() || self.sequences.run_on();
        self.layout = self.learner.layout();
        self.phase = Phase::Running;
        let by_sequence = self.by_sequence;
        held.sort_by_key(|held| if by_sequence { held.sequence } else { held.number });
        for held in &held {
            self.push(&held.arrived(), out);
        }
    }

    /// Gives a packet to the assembler, as far as it is known how to read it.
    fn push(&mut self, arrived: &Arrived<'_>, out: &mut dyn FnMut(Frame)) {
        let number = if self.by_sequence { arrived.sequence } else { arrived.number };
        let Some(number) = number else { return };
        let Layout { index, total, marker, tail } = self.layout;
        let mut data = arrived.data;
        if tail && arrived.may_have_tail {
            data = data.strip_suffix(&[3]).unwrap_or(data);
        }
        let marks = &arrived.marks;
        let piece = Piece {
            at: arrived.at,
            number,
            frame: arrived.frame,
            ticks: arrived.ticks,
            place: assembly::Place {
                index: index.and_then(|place| layout::read(marks, place)),
                total: total.and_then(|place| layout::read(marks, place)),
                first: None,
                last: marker.then_some(marks.marker),
            },
            open: arrived.open,
            disposable: false,
            data,
        };
        self.assembler.push(&piece, out);
    }

    /// The numbers have begun anew with the stray, whose numbers are now known.
    fn restart(
        &mut self,
        by_number: Option<Arrival>,
        by_sequence: Arrival,
        out: &mut dyn FnMut(Frame),
    ) {
        self.run(out);
        self.assembler.restart(out);
        let Some(mut stray) = self.stray.take() else { return };
        if let Some(Arrival::Restart(n)) = by_number {
            stray.number = Some(n - 1);
        }
        if let Arrival::Restart(n) = by_sequence {
            stray.sequence = Some(n - 1);
        }
        self.arrived(&stray.arrived(), out);
    }

    /// The flow has ended. Nothing where it was no stream.
    pub(super) fn finish(mut self, out: &mut dyn FnMut(Frame)) -> Result<Stream, u64> {
        self.run(out);
        self.assembler.finish(out);
        if matches!(self.phase, Phase::Refused) {
            return Err(self.stream.packets);
        }
        let Source { mut stream, numbers, sequences, assembler, layout, clock, .. } = self;
        let leading = numbers.as_ref().unwrap_or(&sequences);
        stream.count(leading, &sequences, &assembler);
        stream.layout = layout;
        if let Some(rate) = clock.rate() {
            (stream.clock_hz, stream.clock_verified) = (rate, true);
        }
        Ok(stream)
    }
}
