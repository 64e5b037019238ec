//! Voice calls: eight relays are asked at once by STUN, media go through one of them by RTP, and
//! often move to the peer with the same source and sequence; at the end all relays hear of it.

use std::collections::VecDeque;

use ottoscope_wire::rtp;
use ottoscope_wire::stun::MessageRepr;

use super::{MILLI, SECOND};
use crate::content::Content;
use crate::context::{Context, Owner, Target};
use crate::flow::{Datagram, Talk};
use crate::rng::{Rng, fill};
use crate::tcp::{DOWN, Mark, UP};
use crate::world::{self, World};

const RELAYS: usize = 8;
const PORT: u16 = 3478;
/// Message types: allocate and its success (RFC 8656, 18.1), binding and its success (RFC 8489),
/// and one of those that no standard defines.
const ALLOCATE: u16 = 0x0003;
const ALLOCATED: u16 = 0x0103;
const BINDING: u16 = 0x0001;
const BOUND: u16 = 0x0101;
const ENDED: u16 = 0x0800;
/// XOR-MAPPED-ADDRESS and XOR-RELAYED-ADDRESS.
const MAPPED: u16 = 0x0020;
const RELAYED: u16 = 0x0016;
/// One packet each 20 ms, 320 ticks of a 16 kHz clock.
const PACKET: i64 = 20 * MILLI;
const TICKS: u32 = 320;
const PAYLOAD_TYPE: u8 = 120;
/// A UDP flow ends when it has been silent for longer (the flow rule of the truth).
const SILENCE: i64 = 60 * SECOND;

/// Where one 5-tuple of the call goes.
struct Leg {
    target: Target,
    first: VecDeque<Datagram>,
    media: Option<Media>,
    last: VecDeque<Datagram>,
}

/// One call of the user.
pub(crate) fn call(cx: &mut Context<'_>, user: u32, now: i64, rng: &mut Rng) {
    let calls = &cx.scenario.calls;
    let length = (rng.exponential(calls.length.as_seconds()).clamp(3.0, 1e5) * 1e9) as i64;
    let (loss, to_peer) = (calls.loss, rng.chance(calls.peer_share));
    let who = &mut cx.users[user as usize];
    let (port, half, v6) = (who.port(), who.half, who.v6);
    let from = std::net::SocketAddr::new(world::user_address(user, v6), port);
    let relays = cx.world.relays;
    let chosen = rng.below(RELAYS as u64) as usize;
    let owner =
        Owner { app: "whatsapp", service: "call", protocol: "stun", host: None, says_name: false };
    let rings = now + rng.range(2, 9) as i64 * SECOND;
    let ends = rings + length;
    let moves = if to_peer { rings + (length / 3).min(6 * SECOND) } else { ends };
    let sources = [rng.next() as u32, rng.next() as u32];
    let starts = [rng.next() as u16, rng.next() as u16];
    let media = |from: i64, until: i64, rng: &mut Rng| Media {
        next: [from, from + rng.below(PACKET as u64) as i64],
        origin: rings,
        until,
        sources,
        starts,
        loss,
        ready: [None, None],
    };
    for index in 0..RELAYS {
        let rtt = 14 * MILLI + index as i64 * 9 * MILLI;
        let address = relays + index as u32;
        let target = Target { address, port: PORT, at: now, answer: None, rtt };
        let relay = std::net::SocketAddr::new(World::address(address, v6), 40_000);
        let at = now + half + index as i64 * 12 * MILLI + rng.below(8 * MILLI as u64) as i64;
        let mut leg = Leg { target, first: VecDeque::new(), media: None, last: VecDeque::new() };
        let answer = |at: i64, kind: u16, id| {
            let reply = MessageRepr::new(kind, id).with_address(MAPPED, from);
            let reply = if kind == ALLOCATED { reply.with_address(RELAYED, relay) } else { reply };
            stun(at + rtt, DOWN, &reply, if kind == BOUND { "binding" } else { "allocate" })
        };
        let id = transaction(rng);
        let ask = MessageRepr::new(ALLOCATE, id).with(0x4000, &[index as u8; 16]);
        leg.first.push_back(stun(at, UP, &ask, "allocate"));
        leg.first.push_back(answer(at, ALLOCATED, id));
        if index == chosen {
            let at = rings - SECOND;
            let id = transaction(rng);
            leg.first.push_back(stun(at, UP, &MessageRepr::new(BINDING, id), "binding"));
            leg.first.push_back(answer(at, BOUND, id));
            leg.media = Some(media(rings, moves, rng));
        }
        let over = ends + 100 * MILLI + index as i64 * MILLI;
        let id = transaction(rng);
        leg.last.push_back(stun(over, UP, &MessageRepr::new(ENDED, id), "end"));
        spread(cx, user, port, leg, &owner, rng);
    }
    if to_peer {
        // The peer is another user of some network, behind its own address and port.
        let peer = relays + RELAYS as u32 + rng.below(u64::from(World::PEERS)) as u32;
        let rtt = rng.range(20, 120) as i64 * MILLI;
        let target = Target {
            address: peer,
            port: rng.range(2000, 60_000) as u16,
            at: now,
            answer: None,
            rtt,
        };
        let id = transaction(rng);
        let at = moves - 800 * MILLI;
        let ask = MessageRepr::new(BINDING, id);
        let reply = MessageRepr::new(BOUND, id).with_address(MAPPED, from);
        let first = VecDeque::from([
            stun(at, UP, &ask, "binding"),
            stun(at + rtt, DOWN, &reply, "binding"),
        ]);
        let media = Some(media(moves, ends, rng));
        let leg = Leg { target, first, media, last: VecDeque::new() };
        spread(cx, user, port, leg, &owner, rng);
    }
}

/// Starts the flows of a leg: one, or two where its end comes after a long silence.
fn spread(cx: &mut Context<'_>, user: u32, port: u16, leg: Leg, owner: &Owner, rng: &mut Rng) {
    let Leg { target, first, media, mut last } = leg;
    let quiet = match &media {
        Some(media) => media.until,
        None => first.back().map_or(i64::MIN, |d| d.at),
    };
    let gap = last.front().map_or(0, |d| d.at - quiet);
    if (gap - SILENCE).abs() < SECOND {
        // Too near the rule's edge to say whether it is the same flow.
        last.clear();
    }
    let apart = gap > SILENCE;
    let mut later = if apart { std::mem::take(&mut last) } else { VecDeque::new() };
    let protocol = if media.is_some() { "rtp" } else { owner.protocol };
    let named = Owner { protocol, ..owner.clone() };
    cx.udp(user, Some(port), &target, &named, Box::new(Call { first, media, last }), rng);
    if !later.is_empty() {
        later.make_contiguous();
        cx.udp(user, Some(port), &target, owner, Box::new(later), rng);
    }
}

fn transaction(rng: &mut Rng) -> [u8; 12] {
    let mut id = [0; 12];
    fill(rng.next(), 0, &mut id);
    id
}

fn stun(at: i64, side: usize, message: &MessageRepr, task: &'static str) -> Datagram {
    let mut bytes = Vec::new();
    message.emit(&mut bytes);
    Datagram { at, side, content: Content::bytes(bytes), mark: Some(Mark::task(task)) }
}

/// STUN, media, STUN on one 5-tuple.
struct Call {
    first: VecDeque<Datagram>,
    media: Option<Media>,
    last: VecDeque<Datagram>,
}

impl Talk for Call {
    fn next(&mut self, rng: &mut Rng) -> Option<Datagram> {
        if let Some(datagram) = self.first.pop_front() {
            return Some(datagram);
        }
        if let Some(datagram) = self.media.as_mut().and_then(|media| media.next(rng)) {
            return Some(datagram);
        }
        self.media = None;
        self.last.pop_front()
    }
}

/// RTP both ways, some of it lost before the capture point.
struct Media {
    /// Nominal time of the next packet of each side.
    next: [i64; 2],
    /// When the call's media began, whatever the path.
    origin: i64,
    until: i64,
    sources: [u32; 2],
    starts: [u16; 2],
    loss: f64,
    /// The next packet of each side with its captured time.
    ready: [Option<(i64, i64)>; 2],
}

impl Media {
    fn next(&mut self, rng: &mut Rng) -> Option<Datagram> {
        for side in [UP, DOWN] {
            while self.ready[side].is_none() && self.next[side] < self.until {
                let nominal = self.next[side];
                self.next[side] += PACKET;
                if !rng.chance(self.loss) {
                    // Jitter below the packet time keeps each side's order.
                    let jitter = (rng.exponential(1.5).min(15.0) * MILLI as f64) as i64;
                    self.ready[side] = Some((nominal + jitter, nominal));
                }
            }
        }
        let side = match (self.ready[UP], self.ready[DOWN]) {
            (Some(up), Some(down)) if down.0 < up.0 => DOWN,
            (Some(_), _) => UP,
            _ => DOWN,
        };
        let (at, nominal) = self.ready[side].take()?;
        let index = (nominal - self.origin) / PACKET;
        let mut head = Vec::with_capacity(rtp::HEADER);
        rtp::Packet {
            marker: index == 0,
            payload_type: PAYLOAD_TYPE,
            sequence: self.starts[side].wrapping_add(index as u16),
            timestamp: (index as u32).wrapping_mul(TICKS),
            ssrc: self.sources[side],
            contributors: &[],
            extension: None,
            payload: &[],
            padding: 0,
        }
        .emit(&mut head);
        let content = Content::opaque(head, rng.range(40, 76), rng.next());
        Some(Datagram { at, side, content, mark: None })
    }
}
