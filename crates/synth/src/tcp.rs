//! One TCP connection as the capture point between client and server sees it.
//!
//! The model works in rounds: a sender puts a window of segments on the wire, the receiver
//! acknowledges every second one (RFC 1122, 4.2.3.2), the window doubles in slow start and grows
//! by one afterwards. A round may lose one segment, before or behind the capture point; then come
//! duplicate acknowledgements and a fast retransmission (RFC 5681, 3.2), or a timeout where too
//! few segments follow. Both ends never send at once: applications take turns.
//!
//! Only the segments of about one round are held, so an idle connection costs some hundred bytes.

use std::collections::VecDeque;

use ottoscope_wire::Tcp;

use crate::content::Content;
use crate::device::Stack;
use crate::rng::Rng;
use crate::truth::MessageTruth;

/// Client to server.
pub(crate) const UP: usize = 0;
/// Server to client.
pub(crate) const DOWN: usize = 1;

const MILLI: i64 = 1_000_000;
/// How long a receiver holds an acknowledgement back.
const DELAYED_ACK: i64 = 40 * MILLI;
/// RFC 6298 says one second; mobile stacks use less.
const MIN_RTO: i64 = 300 * MILLI;
const INITIAL_WINDOW: u16 = 10;
const MAX_WINDOW: u16 = 40;
/// Segments that an idle connection keeps room for.
const IDLE: usize = 4;

/// What an application does next.
#[derive(Debug)]
pub(crate) enum Step {
    /// `side` sends `content`, `delay` ns after it has sent and received all before.
    Send { side: usize, delay: i64, content: Content, mark: Option<Mark> },
    /// The same with several messages in one write, so that a segment may hold more than one.
    /// `again`: its first segment is lost behind the capture point, whatever the path's loss.
    Batch { side: usize, delay: i64, messages: Vec<(Content, Mark)>, again: bool },
    /// `side` closes with FIN; the other end does the same at once.
    Close { side: usize, delay: i64 },
    /// `side` resets.
    Reset { side: usize, delay: i64 },
    /// Both ends fall silent for good.
    Vanish,
}

/// A message whose truth is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pub task: &'static str,
    pub opcode: Option<u32>,
    pub sequence: Option<u32>,
    /// In a lab: index of its header's layout, and whether it is a response.
    pub lab: Option<(u16, bool)>,
}

impl Mark {
    pub(crate) fn task(task: &'static str) -> Self {
        Mark { task, opcode: None, sequence: None, lab: None }
    }
}

/// An application over TCP. `ready` is when each end has sent and received all so far.
pub(crate) trait Script {
    fn step(&mut self, ready: [i64; 2], rng: &mut Rng) -> Step;
}

/// Steps known from the start.
impl Script for VecDeque<Step> {
    fn step(&mut self, _ready: [i64; 2], _rng: &mut Rng) -> Step {
        self.pop_front().unwrap_or(Step::Vanish)
    }
}

/// What the network does to this connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path {
    /// Nanoseconds between capture point and client, and capture point and server, one way.
    pub half: [i64; 2],
    /// Nanoseconds a byte at the bottleneck, up and down.
    pub per_byte: [i64; 2],
    pub loss: f64,
    pub reorder: f64,
    pub duplicate: f64,
    pub v6: bool,
}

/// One segment to be captured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub at: i64,
    pub side: u8,
    pub flags: u8,
    /// When these bytes last passed the capture point before.
    pub repeats: Option<i64>,
    /// This is the second capture of one packet.
    pub copy: bool,
    pub len: u16,
    pub ip_id: u16,
    /// Relative to the sender's initial sequence number.
    pub seq: u32,
    pub ack: u32,
    /// Message it belongs to, and where in it.
    pub message: u32,
    pub offset: u64,
    pub stamp: u32,
    pub echo: u32,
}

#[derive(Debug)]
struct Sending {
    side: usize,
    /// When the sender may send the next round.
    at: i64,
    offset: u64,
    /// The first segment is lost behind the capture point.
    again: bool,
}

/// A message whose truth is kept, within what one write put on the wire.
#[derive(Debug)]
pub(crate) struct Part {
    /// Offsets in the write.
    pub from: u64,
    pub to: u64,
    pub mark: Mark,
    /// Its truth, once its first segment is captured.
    pub row: Option<Box<MessageTruth>>,
}

/// One write of an application on the wire.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub id: u32,
    pub content: Content,
    pub parts: Vec<Part>,
    /// Capture time of its last segment so far.
    until: i64,
}

/// One connection.
pub(crate) struct Connection {
    script: Box<dyn Script>,
    path: Path,
    stack: &'static Stack,
    rng: Rng,
    pending: VecDeque<Segment>,
    messages: VecDeque<Outgoing>,
    sending: Option<Sending>,
    /// No segment will be made that is captured before this time.
    settled: i64,
    done: bool,
    /// How it ended, when it has.
    pub end: &'static str,
    ready: [i64; 2],
    /// Next sequence number of each side, relative to its first.
    next: [u32; 2],
    /// When the other side last acknowledged, and the acknowledgement it still owes each side.
    acked: [u32; 2],
    owed: u8,
    owed_until: Option<(usize, i64)>,
    window: [u16; 2],
    threshold: [u16; 2],
    stamp_base: [u32; 2],
    echo: [u32; 2],
    ip_id: [u16; 2],
    next_message: u32,
}

impl Connection {
    /// A connection whose client sends its SYN at `start` of its own clock.
    pub(crate) fn open(
        start: i64,
        path: Path,
        stack: &'static Stack,
        script: Box<dyn Script>,
        mut rng: Rng,
    ) -> Self {
        let noise = rng.next();
        let stamps = rng.next();
        let mut connection = Connection {
            script,
            path,
            stack,
            rng,
            pending: VecDeque::new(),
            messages: VecDeque::new(),
            sending: None,
            settled: i64::MIN,
            done: false,
            end: "capture-end",
            ready: [start; 2],
            next: [0; 2],
            acked: [0; 2],
            owed: 0,
            owed_until: None,
            window: [INITIAL_WINDOW; 2],
            threshold: [MAX_WINDOW; 2],
            stamp_base: [stamps as u32 >> 2, (stamps >> 32) as u32 >> 2],
            echo: [0; 2],
            ip_id: [noise as u16, (noise >> 16) as u16],
            next_message: 0,
        };
        connection.handshake(start);
        connection
    }

    fn handshake(&mut self, start: i64) {
        let trip = self.path.half[UP] + self.path.half[DOWN];
        let flags = if self.stack.ecn { Tcp::SYN | 0xc0 } else { Tcp::SYN };
        self.bare(UP, start, flags);
        self.next[UP] = 1;
        let answered = start + trip + self.rng.range(20_000, 200_000) as i64;
        self.acked[UP] = 1;
        self.bare(DOWN, answered, Tcp::SYN | Tcp::ACK);
        self.next[DOWN] = 1;
        self.acked[DOWN] = 1;
        let back = answered + trip + self.rng.range(100_000, 2_000_000) as i64;
        self.bare(UP, back, Tcp::ACK);
        self.ready = [back, back + trip];
        self.settled = back + self.path.half[UP];
    }

    /// The capture time of the next segment, or none when all are out.
    pub(crate) fn next_at(&mut self) -> Option<i64> {
        while !self.done && self.pending.front().is_none_or(|s| s.at >= self.settled) {
            match self.sending {
                Some(_) => self.round(),
                None => self.turn(),
            }
        }
        self.pending.front().map(|s| s.at)
    }

    /// Takes the next segment and its message's content.
    pub(crate) fn pop(&mut self) -> Option<(Segment, Option<&mut Outgoing>)> {
        let segment = self.pending.pop_front()?;
        if self.pending.len() < IDLE && self.pending.capacity() > 2 * IDLE {
            self.pending.shrink_to(IDLE);
        }
        while self.messages.front().is_some_and(|m| {
            m.until < segment.at && (self.messages.len() > 1 || self.sending.is_none())
        }) {
            self.messages.pop_front();
        }
        if self.messages.len() < 2 && self.messages.capacity() > 2 {
            self.messages.shrink_to(1);
        }
        let message = match segment.len {
            0 => None,
            _ => self.messages.iter_mut().find(|m| m.id == segment.message),
        };
        Some((segment, message))
    }

    /// Asks the application what comes next.
    fn turn(&mut self) {
        let step = self.script.step(self.ready, &mut self.rng);
        match step {
            Step::Send { side, delay, content, mark } => {
                let to = content.len();
                let part = |mark| Part { from: 0, to, mark, row: None };
                self.send(side, delay, content, mark.map(part).into_iter().collect());
            }
            Step::Batch { side, delay, messages, again } => {
                let mut from = 0;
                let mut parts = Vec::with_capacity(messages.len());
                let mut contents = Vec::with_capacity(messages.len());
                for (content, mark) in messages {
                    let to = from + content.len();
                    parts.push(Part { from, to, mark, row: None });
                    contents.push(content);
                    from = to;
                }
                self.send(side, delay, Content::Join(contents.into()), parts);
                if let Some(sending) = &mut self.sending {
                    sending.again = again;
                }
            }
            Step::Close { side, delay } => {
                let trip = self.path.half[UP] + self.path.half[DOWN];
                let at = self.ready[side] + delay.max(0);
                self.pay_debt(at, side);
                self.settle_all();
                self.bare(side, at, Tcp::FIN | Tcp::ACK);
                self.next[side] = self.next[side].wrapping_add(1);
                self.acked[side] = self.next[side];
                let answered = at + trip + self.rng.range(30_000, 300_000) as i64;
                self.bare(1 - side, answered, Tcp::FIN | Tcp::ACK);
                self.next[1 - side] = self.next[1 - side].wrapping_add(1);
                self.acked[1 - side] = self.next[1 - side];
                self.bare(side, answered + trip, Tcp::ACK);
                self.finish("fin");
            }
            Step::Reset { side, delay } => {
                let at = self.ready[side] + delay.max(0);
                self.pay_debt(at, side);
                self.settle_all();
                self.bare(side, at, Tcp::RST | Tcp::ACK);
                self.finish("reset");
            }
            Step::Vanish => {
                if let Some((side, due)) = self.owed_until {
                    self.acknowledge(side, due);
                }
                self.finish("silent");
            }
        }
    }

    /// Puts one write on its way.
    fn send(&mut self, side: usize, delay: i64, content: Content, parts: Vec<Part>) {
        let at = self.ready[side] + delay.max(0);
        self.pay_debt(at, side);
        if at - self.ready[side].min(self.ready[1 - side]) > 1_000 * MILLI {
            // RFC 5681, 4.1: restart after idle.
            self.window[side] = self.window[side].min(INITIAL_WINDOW);
        }
        let id = self.next_message;
        self.next_message = id.wrapping_add(1);
        self.messages.push_back(Outgoing { id, content, parts, until: i64::MIN });
        self.sending = Some(Sending { side, at, offset: 0, again: false });
        self.settled = at + self.path.half[side];
        if let Some((owing, due)) = self.owed_until {
            self.settled = self.settled.min(due + self.path.half[owing]);
        }
    }

    fn finish(&mut self, end: &'static str) {
        self.end = end;
        self.done = true;
        self.settled = i64::MAX;
    }

    /// Sends a delayed acknowledgement whose time comes before `side` acts at `at`; where `side`
    /// itself owes it, later than that its data carry it.
    fn pay_debt(&mut self, at: i64, side: usize) {
        if let Some((owing, due)) = self.owed_until {
            if due < at {
                self.acknowledge(owing, due);
            } else if owing == side {
                self.settle_all();
            }
        }
    }

    /// Counts everything received as acknowledged by what is sent next.
    fn settle_all(&mut self) {
        if let Some((owing, _)) = self.owed_until.take() {
            self.acked[1 - owing] = self.next[1 - owing];
            self.owed = 0;
        }
    }

    /// A pure acknowledgement by `side` of all that the other has sent.
    fn acknowledge(&mut self, side: usize, at: i64) {
        self.acked[1 - side] = self.next[1 - side];
        self.owed = 0;
        self.owed_until = None;
        self.bare(side, at, Tcp::ACK);
    }

    fn stamp(&self, side: usize, at: i64) -> u32 {
        self.stamp_base[side].wrapping_add((at / MILLI) as u32)
    }

    fn id(&mut self, side: usize) -> u16 {
        self.ip_id[side] = self.ip_id[side].wrapping_add(1);
        self.ip_id[side]
    }

    /// A segment without payload, sent by `side` at `at` of its clock.
    fn bare(&mut self, side: usize, at: i64, flags: u8) {
        let stamp = self.stamp(side, at);
        let ip_id = self.id(side);
        let segment = Segment {
            at: at + self.path.half[side],
            side: side as u8,
            flags,
            repeats: None,
            copy: false,
            len: 0,
            ip_id,
            seq: self.next[side],
            ack: if flags & Tcp::ACK == 0 { 0 } else { self.acked[1 - side] },
            message: 0,
            offset: 0,
            stamp,
            echo: self.echo[side],
        };
        self.echo[1 - side] = stamp;
        self.push(segment);
    }

    /// Puts a segment in its place, perhaps late, perhaps twice. When it last passes is returned.
    fn push(&mut self, mut segment: Segment) -> i64 {
        let late = self.path.half[1 - usize::from(segment.side)].min(3 * MILLI);
        if self.path.reorder > 0.0 && segment.len > 0 && self.rng.chance(self.path.reorder) {
            segment.at += late;
        }
        self.insert(segment);
        if self.path.duplicate > 0.0 && self.rng.chance(self.path.duplicate) {
            if segment.len > 0 || segment.flags & Tcp::FIN != 0 {
                segment.repeats = Some(segment.at);
            }
            segment.at += self.rng.range(20_000, 300_000) as i64;
            segment.copy = true;
            self.insert(segment);
        }
        segment.at
    }

    fn insert(&mut self, segment: Segment) {
        let index = self.pending.iter().rposition(|s| s.at <= segment.at).map_or(0, |i| i + 1);
        self.pending.insert(index, segment);
        if segment.len > 0
            && let Some(message) = self.messages.iter_mut().find(|m| m.id == segment.message)
        {
            message.until = message.until.max(segment.at);
        }
    }

    /// One window of the message being sent, and what the receiver makes of it.
    fn round(&mut self) {
        let Some(Sending { side, at, offset, again }) = self.sending.take() else { return };
        let Some(message) = self.messages.back() else { return };
        let (id, total) = (message.id, message.content.len());
        let room = self.stack.segment(self.path.v6);
        let count = (total - offset).div_ceil(u64::from(room)).min(u64::from(self.window[side]));
        let lost = (self.path.loss > 0.0)
            .then(|| (0..count).find(|_| self.rng.chance(self.path.loss)))
            .flatten();
        let seen = lost.is_some() && self.rng.chance(0.5);
        let (lost, seen) = if again { (Some(0), true) } else { (lost, seen) };
        let half = self.path.half;
        let trip = half[UP] + half[DOWN];
        let other = 1 - side;
        let base = self.next[side];
        let mut time = at;
        let mut first_ack = None;
        let mut duplicates = 0;
        let mut third = None;
        let mut missing = None;
        let mut sent = 0u64;
        for index in 0..count {
            let len = (total - offset - sent).min(u64::from(room)) as u16;
            let last = offset + sent + u64::from(len) == total;
            let segment = Segment {
                at: time + half[side],
                side: side as u8,
                flags: if last { Tcp::ACK | Tcp::PSH } else { Tcp::ACK },
                repeats: None,
                copy: false,
                len,
                ip_id: self.id(side),
                seq: base.wrapping_add(sent as u32),
                ack: self.acked[other],
                message: id,
                offset: offset + sent,
                stamp: self.stamp(side, time),
                echo: self.echo[side],
            };
            sent += u64::from(len);
            let arrival = time + trip;
            time += self.path.per_byte[side] * (i64::from(len) + 60);
            if lost == Some(index) {
                missing = Some(Segment { repeats: seen.then(|| self.push(segment)), ..segment });
                continue;
            }
            self.push(segment);
            if let Some(hole) = missing {
                duplicates += 1;
                self.acked[side] = hole.seq;
                self.owed_until = None;
                self.owed = 0;
                self.bare_ack(other, arrival, segment.stamp);
                if duplicates == 3 {
                    third = Some(arrival);
                }
                continue;
            }
            if let Some((owing, due)) = self.owed_until
                && due < arrival
            {
                self.acked[side] = segment.seq;
                self.owed_until = None;
                self.owed = 0;
                self.bare_ack(owing, due, segment.stamp);
            }
            self.owed += 1;
            if self.owed >= 2 {
                self.acked[side] = segment.seq.wrapping_add(u32::from(len));
                self.owed = 0;
                self.owed_until = None;
                self.bare_ack(other, arrival, segment.stamp);
                first_ack.get_or_insert(arrival);
            } else {
                self.owed_until = Some((other, arrival + DELAYED_ACK));
            }
        }
        self.next[side] = base.wrapping_add(sent as u32);
        let mut arrival = time + trip;
        let mut resume = (at + 2 * trip).max(time);
        if let Some(mut hole) = missing {
            let again = match third {
                Some(heard) => heard + trip,
                None => time + MIN_RTO.max(3 * trip),
            };
            hole.at = again + half[side];
            hole.ip_id = self.id(side);
            hole.stamp = self.stamp(side, again);
            self.push(hole);
            arrival = again + trip;
            self.acked[side] = self.next[side];
            self.owed = 0;
            self.owed_until = None;
            self.bare_ack(other, arrival, hole.stamp);
            resume = arrival + trip;
            self.threshold[side] = (self.window[side] / 2).max(2);
            self.window[side] = if third.is_some() { self.threshold[side] } else { 2 };
        } else if self.window[side] < self.threshold[side] {
            self.window[side] = (self.window[side] * 2).min(self.threshold[side]);
        } else {
            self.window[side] = (self.window[side] + 1).min(MAX_WINDOW);
        }
        if offset + sent < total {
            // A receiver that owes an acknowledgement for a single segment sends it late.
            if first_ack.is_none()
                && missing.is_none()
                && let Some((_, due)) = self.owed_until
            {
                resume = resume.max(due + trip);
            }
            self.sending = Some(Sending { side, at: resume, offset: offset + sent, again: false });
            self.settled = resume + half[side];
            if let Some((owing, due)) = self.owed_until {
                self.settled = self.settled.min(due + half[owing]);
            }
        } else {
            self.ready[side] = time.max(resume - 2 * trip);
            self.ready[other] = arrival;
            self.settled = i64::MIN;
        }
    }

    /// An acknowledgement during a round: echoes the segment that caused it.
    fn bare_ack(&mut self, side: usize, at: i64, stamp: u32) {
        self.echo[side] = stamp;
        self.bare(side, at, Tcp::ACK);
    }
}
