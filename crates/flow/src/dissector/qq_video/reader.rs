//! One flow on trial, and afterwards its packets one by one.

use ottoscope_wire::qq_video::{
    BEGIN, FLAG_START, Form, INNER, Message, OUTER, Packet, VIDEO_FLAG, media,
};
use ottoscope_wire::stun;

use super::evidence::Evidence;
use super::score::Score;
use super::splitter::{self, Cut, Splitter};
use crate::model::Direction;
use crate::time::Timestamp;

/// Video packets of a direction after which no proof will come.
const PATIENCE: u32 = 512;
/// Packets that look like QQ's, audio and all, after which none will come.
const LONG_PATIENCE: u32 = 4096;
/// Packets and bytes held until then; the oldest go first.
const MAX_HELD: usize = 1024;
const MAX_BYTES: usize = 1024 * 1024;
/// Datagrams that are not QQ's, more than those that are, after which it is another protocol.
const MAX_STRANGERS: u32 = 64;

/// One packet of an accepted flow.
#[derive(Debug, Clone, Copy)]
pub struct Unit<'a> {
    /// Time of the packet that brought its last byte.
    pub at: Timestamp,
    /// Which way it went.
    pub direction: Direction,
    /// The whole of it: datagram, or message of a stream.
    pub bytes: &'a [u8],
    /// The same, read.
    pub packet: &'a Packet<'a>,
    /// Over TCP: nothing tells that it ends where the bytes do.
    pub open: bool,
}

/// Where accepted packets go.
pub type Units<'u> = dyn FnMut(&Unit<'_>) + 'u;

/// What a flow is so far.
#[derive(Debug)]
enum State {
    Trial(Box<Trial>),
    Accepted(Box<Score>),
    Refused,
}

/// Evidence, and the packets that gave it.
#[derive(Debug, Default)]
struct Trial {
    evidence: [Evidence; 2],
    held: Vec<Held>,
    bytes: Vec<u8>,
    packets: u32,
    strangers: u32,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    at: Timestamp,
    direction: Direction,
    end: usize,
    /// The form of a message's head, nothing for a datagram.
    form: Option<Form>,
    open: bool,
}

/// Reads one flow, both directions: holds packets until a [`Score`] says that it is QQ video,
/// hands them over then, and hands over the others as they come.
#[derive(Debug)]
pub struct Reader {
    state: State,
    sides: [Option<Box<Splitter>>; 2],
    forgotten: u64,
    strangers: u64,
}

impl Default for Reader {
    fn default() -> Self {
        Reader {
            state: State::Trial(Box::default()),
            sides: [None, None],
            forgotten: 0,
            strangers: 0,
        }
    }
}

impl Reader {
    /// Why it is QQ video, once it is.
    pub fn score(&self) -> Option<&Score> {
        match &self.state {
            State::Accepted(score) => Some(score),
            _ => None,
        }
    }

    /// Whether it was decided that it is something else.
    pub fn is_refused(&self) -> bool {
        matches!(self.state, State::Refused)
    }

    /// Packets that were not QQ's.
    pub fn strangers(&self) -> u64 {
        self.strangers
    }

    /// Packets that had to be let go before the decision.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Takes a datagram. False where it is not QQ's.
    pub fn datagram(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Units<'_>,
    ) -> bool {
        let read = Packet::datagram(bytes);
        match (&mut self.state, &read) {
            (State::Refused, _) => false,
            (State::Accepted(_), Ok(packet)) => {
                out(&Unit { at, direction, bytes, packet, open: false });
                true
            }
            (State::Trial(trial), Ok(packet)) => {
                trial.take(at, direction, bytes, packet, None, false);
                self.decide(out);
                true
            }
            (State::Trial(trial), Err(_)) => {
                self.strangers += 1;
                // Calls begin with checks of connectivity, many where there are many addresses.
                trial.strangers += u32::from(stun::Message::parse(bytes).is_err());
                if trial.strangers > MAX_STRANGERS + trial.packets {
                    self.state = State::Refused;
                }
                false
            }
            (State::Accepted(_), Err(_)) => {
                self.strangers += 1;
                false
            }
        }
    }

    /// Takes in-order bytes of a stream, best a segment at a time: where every segment begins a
    /// message, the last one is known to end.
    pub fn bytes(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Units<'_>,
    ) {
        if self.is_refused() {
            return;
        }
        self.split(direction, out, |splitter, cut| splitter.bytes(at, bytes, cut));
    }

    /// Bytes of a stream will not come.
    pub fn gap(&mut self, direction: Direction, out: &mut Units<'_>) {
        self.split(direction, out, |splitter, cut| splitter.gap(cut));
    }

    /// Takes a message that another reader cut out of a stream.
    pub fn message(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        open: bool,
        out: &mut Units<'_>,
    ) {
        let Ok(message) = Message::parse(bytes) else {
            self.strangers += 1;
            return;
        };
        self.cut(direction, &Cut { at, form: message.head.form, bytes, open }, out);
    }

    /// The flow has ended.
    pub fn finish(&mut self, out: &mut Units<'_>) {
        for direction in [Direction::Up, Direction::Down] {
            if self.sides[direction.index()].is_some() {
                self.split(direction, out, |splitter, cut| splitter.finish(cut));
            }
        }
        if self.score().is_none() {
            self.state = State::Refused;
        }
        self.sides = [None, None];
    }

    /// Lets a direction's splitter work, and takes what it cuts out.
    fn split(
        &mut self,
        direction: Direction,
        out: &mut Units<'_>,
        work: impl FnOnce(&mut Splitter, &mut dyn FnMut(&Cut<'_>)),
    ) {
        let mut splitter = self.sides[direction.index()].take().unwrap_or_default();
        work(&mut splitter, &mut |cut| self.cut(direction, cut, out));
        self.sides[direction.index()] = Some(splitter);
    }

    /// Takes a message.
    fn cut(&mut self, direction: Direction, cut: &Cut<'_>, out: &mut Units<'_>) {
        let Ok(message) = Message::parse_as(cut.bytes, cut.form) else {
            self.strangers += 1;
            return;
        };
        let packet = Packet::Message(message);
        match &mut self.state {
            State::Refused => {}
            State::Accepted(_) => {
                let Cut { at, bytes, open, .. } = *cut;
                out(&Unit { at, direction, bytes, packet: &packet, open });
            }
            State::Trial(trial) => {
                trial.take(cut.at, direction, cut.bytes, &packet, Some(cut.form), cut.open);
                self.decide(out);
            }
        }
    }

    /// Whether some direction of a stream has a source whose marks are proven.
    pub fn has_proven_marks(&self) -> bool {
        self.sides.iter().flatten().any(|side| side.is_proven())
    }

    fn decide(&mut self, out: &mut Units<'_>) {
        let State::Trial(trial) = &mut self.state else { return };
        self.forgotten += trial.trim();
        let score = trial.score().filter(Score::is_enough);
        let hopeless = trial.packets > LONG_PATIENCE
            || trial.evidence.iter().any(|side| side.packets() > PATIENCE);
        if let Some(score) = score {
            trial.release(out);
            self.state = State::Accepted(Box::new(score));
        } else if hopeless {
            self.state = State::Refused;
        }
    }
}

impl Trial {
    fn take(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        packet: &Packet<'_>,
        form: Option<Form>,
        open: bool,
    ) {
        self.packets += 1;
        if packet.is_video()
            && let Some(content) = packet.content()
        {
            self.evidence[direction.index()].take(packet, content);
        }
        self.bytes.extend_from_slice(bytes);
        self.held.push(Held { at, direction, end: self.bytes.len(), form, open });
    }

    /// Lets the oldest half go where too much is held; says how many packets went.
    fn trim(&mut self) -> u64 {
        if self.held.len() <= MAX_HELD && self.bytes.len() <= MAX_BYTES {
            return 0;
        }
        let half = self.held.len().div_ceil(2);
        let gone = self.held[half - 1].end;
        self.bytes.drain(..gone);
        self.held.drain(..half);
        self.held.iter_mut().for_each(|held| held.end -= gone);
        half as u64
    }

    /// The better of both directions'.
    fn score(&self) -> Option<Score> {
        let last = self.held.last()?;
        let bytes = self.bytes.get(self.start(self.held.len() - 1)..)?;
        let transport = read(bytes, last.form)?.transport();
        let scores = self.evidence.iter().filter_map(|side| side.score(transport));
        scores.max_by(|a, b| a.value().total_cmp(&b.value()))
    }

    fn start(&self, i: usize) -> usize {
        i.checked_sub(1).map_or(0, |before| self.held[before].end)
    }

    /// Hands over what was held.
    fn release(&mut self, out: &mut Units<'_>) {
        for (i, held) in self.held.iter().enumerate() {
            let bytes = &self.bytes[self.start(i)..held.end];
            if let Some(packet) = read(bytes, held.form) {
                let Held { at, direction, open, .. } = *held;
                out(&Unit { at, direction, bytes, packet: &packet, open });
            }
        }
    }
}

fn read(bytes: &[u8], form: Option<Form>) -> Option<Packet<'_>> {
    match form {
        None => Packet::datagram(bytes).ok(),
        Some(form) => Message::parse_as(bytes, form).map(Packet::Message).ok(),
    }
}

/// Whether a datagram has what all QQ media of 2012 and 2013 has: enough to look closer, and no
/// proof.
pub(in crate::dissector) fn may_be_datagram(bytes: &[u8]) -> bool {
    // The flag's place by the first byte: nearly all datagrams end here.
    let place = match bytes.first() {
        Some(&BEGIN) => 3,
        Some(&OUTER) => INNER + 3,
        _ => return false,
    };
    if bytes.get(place..place + FLAG_START.len()) != Some(&FLAG_START) {
        return false;
    }
    let Ok(packet) = Packet::datagram(bytes) else { return false };
    match packet.content() {
        Some(content) => content.rtp.ssrc != 0 && !(72..=76).contains(&content.rtp.payload_type),
        None => packet
            .inner()
            .is_some_and(|inner| inner.flag == VIDEO_FLAG && inner.media != media::SIP),
    }
}

/// Whether a message of a stream may begin somewhere in these bytes.
pub(in crate::dissector) fn may_be_stream(bytes: &[u8]) -> bool {
    splitter::find(bytes).is_some()
}
