//! Cuts flows into the messages of one layout.

use std::sync::Arc;

use ottoscope_wire::{Layer, Reason, WireError};

use super::layout::{Header, Layout};
use crate::dissector::{Dissector, Emit, Emitted, Progress};
use crate::model::{Body, Direction, Transport};
use crate::time::Timestamp;

/// First bytes kept of a message whose body is skipped.
const HEAD: usize = 64;
/// Datagrams of another form that are forgiven before a flow counts as matched.
const MAX_MISSES: u32 = 8;

/// Farthest that a sequence number may lie from the last one of its layout and direction, where
/// every packet must match: what was lost or reordered in between.
const MAX_STEP: u64 = 256;

/// Runs one layout over one flow. Messages are told when they are complete, and not before
/// as many have matched as the signature asks for: a flow with fewer never counts.
///
/// Datagrams of a layout that every packet must match may have any layout of the same app that
/// asks for the same: one flow mixes heartbeats, signalling and content (the ChatDissect paper,
/// Fig. 3).
pub(super) struct Framer {
    layout: Arc<Layout>,
    family: Family,
    /// Last sequence number by direction, of `layout` and then of its family.
    sequences: Vec<[Option<u64>; 2]>,
    /// Fewest messages that a layout seen in this flow asks for.
    needed: u32,
    matched: u32,
    misses: u32,
    /// Matched messages of a flow that does not count yet.
    held: Vec<Held>,
    places: [Place; 2],
}

/// Other layouts that datagrams of a flow may have.
pub(super) type Family = Arc<[Arc<Layout>]>;

struct Held {
    at: Timestamp,
    direction: Direction,
    message: Message,
}

/// A matched message with what is kept of it.
#[derive(Clone, Copy)]
struct Message {
    header: Header,
    len: u64,
    head: [u8; HEAD],
    head_len: usize,
    /// 0 for the flow's own layout, else one behind its place in the family.
    layout: usize,
}

/// Where in its messages a TCP direction stands.
enum Place {
    Head,
    /// Within a message, of which `left` bytes are to come; `at` is the last that came.
    Body {
        left: u64,
        at: Timestamp,
        message: Box<Message>,
    },
    /// After a hole or nonsense: a piece of the stream that starts with a header is taken.
    Lost,
}

impl Message {
    fn new(header: Header, len: u64, bytes: &[u8]) -> Self {
        let mut head = [0; HEAD];
        let head_len = bytes.len().min(HEAD);
        head[..head_len].copy_from_slice(&bytes[..head_len]);
        Message { header, len, head, head_len, layout: 0 }
    }
}

impl Framer {
    pub(super) fn new(layout: Arc<Layout>, family: Family) -> Self {
        let needed = layout.signature().min_messages.max(1);
        let (sequences, held, places) = (Vec::new(), Vec::new(), [Place::Head, Place::Head]);
        Framer { layout, family, sequences, needed, matched: 0, misses: 0, held, places }
    }

    fn counts(&self) -> bool {
        self.matched >= self.needed
    }

    fn layout_of(&self, message: &Message) -> &Layout {
        match message.layout.checked_sub(1).and_then(|index| self.family.get(index)) {
            Some(layout) => layout,
            None => &self.layout,
        }
    }

    fn take(&mut self, at: Timestamp, direction: Direction, message: Message, out: &mut Emit<'_>) {
        let counted = self.counts();
        let needed = self.layout_of(&message).signature().min_messages.max(1);
        self.needed = self.needed.min(needed);
        self.matched = self.matched.saturating_add(1);
        if !self.counts() {
            // There are few, and many flows that hold one.
            self.held.reserve_exact(1);
            self.held.push(Held { at, direction, message });
            return;
        }
        if !counted {
            out.facts.signature.get_or_insert_with(|| self.layout.name().clone());
            for held in std::mem::take(&mut self.held) {
                self.tell(held.at, held.direction, &held.message, out);
            }
        }
        self.tell(at, direction, &message, out);
    }

    fn tell(&self, at: Timestamp, direction: Direction, message: &Message, out: &mut Emit<'_>) {
        out.message(
            at,
            direction,
            &Emitted {
                protocol: &self.layout_of(message).signature().id,
                kind: message.header.kind,
                name: None,
                opcode: message.header.opcode,
                sequence: message.header.sequence,
                len: message.len,
                head: &message.head[..message.head_len],
                body: Body::Fields(&()),
            },
        );
    }

    /// Bytes that should have begun with the layout. `None`: go on.
    fn missed(&mut self, at: Timestamp, bytes: &[u8], out: &mut Emit<'_>) -> Option<Progress> {
        let every = self.layout.signature().every_packet;
        if !self.counts() {
            self.misses += 1;
            let framed = self.layout.is_framed() && out.transport == Transport::Tcp;
            let over = every || framed || self.misses > MAX_MISSES;
            return over.then_some(Progress::NotMine);
        }
        if every {
            out.facts.signature_broken = true;
            return Some(Progress::Done);
        }
        if out.transport == Transport::Tcp && self.layout.is_framed() {
            let reason = Reason::Malformed("no message where one should begin");
            out.anomaly(at, WireError::new(Layer::Signature, 0, reason), bytes);
        }
        None
    }

    fn stream(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) -> Progress {
        let side = direction.index();
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            let place = std::mem::replace(&mut self.places[side], Place::Head);
            if let Place::Body { left, message, .. } = place {
                let here = left.min(rest.len() as u64);
                used += here as usize;
                if here < left {
                    self.places[side] = Place::Body { left: left - here, at, message };
                    return Progress::Used(used);
                }
                self.take(at, direction, *message, out);
                continue;
            }
            let lost = matches!(place, Place::Lost);
            self.places[side] = place;
            if rest.is_empty() {
                return Progress::Used(used);
            }
            let Some(header) = self.layout.header(rest) else {
                if rest.len() < self.layout.header_len() && self.layout.agrees(rest) {
                    return Progress::Used(used);
                }
                if !lost && let Some(end) = self.missed(at, rest, out) {
                    return end;
                }
                self.places[side] = Place::Lost;
                return Progress::Used(bytes.len());
            };
            // Enough for the kept head, so that cutting the stream changes nothing.
            let total = header.total.unwrap_or(rest.len() as u64);
            if (rest.len() as u64) < total.min(HEAD as u64) {
                return Progress::Used(used);
            }
            let kept = &rest[..total.min(HEAD as u64) as usize];
            let message = Message::new(header, total, kept);
            let here = total.min(rest.len() as u64);
            used += here as usize;
            if here < total {
                let message = Box::new(message);
                self.places[side] = Place::Body { left: total - here, at, message };
                return Progress::Used(used);
            }
            self.places[side] = Place::Head;
            self.take(at, direction, message, out);
        }
    }

    /// Forgets the place in a direction; a message whose end was missed is told as it began.
    fn lose(&mut self, direction: Direction, out: &mut Emit<'_>) {
        let place = std::mem::replace(&mut self.places[direction.index()], Place::Lost);
        if let Place::Body { at, message, .. } = place {
            self.take(at, direction, *message, out);
        }
    }

    /// Without a length, a piece that starts with the layout is a message, and any other
    /// continues it.
    fn unframed(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) -> Progress {
        let len = bytes.len() as u64;
        match self.layout.header(bytes).filter(|_| self.layout.allows(len)) {
            Some(header) => self.take(at, direction, Message::new(header, len, bytes), out),
            None if bytes.len() < self.layout.header_len() && self.layout.agrees(bytes) => {
                return Progress::Used(0);
            }
            None => {
                if let Some(end) = self.missed(at, bytes, out) {
                    return end;
                }
            }
        }
        Progress::Used(bytes.len())
    }

    fn datagram(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) -> Progress {
        let layouts = 1 + self.family.len();
        let every = self.layout.signature().every_packet;
        let mut concerned = false;
        for index in 0..layouts {
            let layout = match index.checked_sub(1) {
                Some(index) => &self.family[index],
                None => &self.layout,
            };
            if layout.signature().direction.is_some_and(|only| only != direction) {
                continue;
            }
            concerned = true;
            let Some(header) = layout.datagram(bytes) else { continue };
            if every && let (Some(value), Some(bits)) = (header.sequence, layout.sequence_bits()) {
                self.sequences.resize(layouts, [None; 2]);
                let last = &mut self.sequences[index][direction.index()];
                if last.is_some_and(|last| distance(value, last, bits) > MAX_STEP) {
                    continue;
                }
                *last = Some(value);
            }
            let mut message = Message::new(header, bytes.len() as u64, bytes);
            message.layout = index;
            self.take(at, direction, message, out);
            return Progress::Used(bytes.len());
        }
        if concerned && let Some(end) = self.missed(at, bytes, out) {
            return end;
        }
        Progress::Used(bytes.len())
    }
}

/// How far two numbers of so many bits lie apart, the shorter way around.
fn distance(a: u64, b: u64, bits: u32) -> u64 {
    let mask = u64::MAX >> (64 - bits.clamp(1, 64));
    let forward = a.wrapping_sub(b) & mask;
    forward.min(b.wrapping_sub(a) & mask)
}

impl Dissector for Framer {
    fn data(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) -> Progress {
        if out.transport != Transport::Tcp {
            self.datagram(at, direction, bytes, out)
        } else if self.layout.signature().direction.is_some_and(|only| only != direction) {
            Progress::Used(bytes.len())
        } else if self.layout.is_framed() {
            self.stream(at, direction, bytes, out)
        } else {
            self.unframed(at, direction, bytes, out)
        }
    }

    fn gap(&mut self, direction: Direction, missing: u64, out: &mut Emit<'_>) -> Progress {
        if let Place::Body { left, .. } = &mut self.places[direction.index()]
            && *left >= missing
        {
            *left -= missing;
        } else {
            self.lose(direction, out);
        }
        Progress::Used(0)
    }

    fn close(&mut self, _at: Timestamp, out: &mut Emit<'_>) {
        self.lose(Direction::Up, out);
        self.lose(Direction::Down, out);
    }
}
