//! From what ends send to what the capture holds.

use std::net::{IpAddr, Ipv4Addr};

use ottoscope_wire::Tcp;
use ottoscope_wire::build::{Ip, Segment};

use super::{Call, Transport, Truth};
use crate::frame::{Outer, wrap};
use crate::rng::Rng;

/// A packet of the capture.
#[derive(Debug, Clone)]
pub(super) struct Captured {
    pub(super) at: i64,
    pub(super) bytes: Vec<u8>,
}

/// A frame's number and which fragment of it.
type Part = Option<(usize, u32)>;

/// What an end wrote, before it is cut into segments.
#[derive(Debug)]
struct Written {
    at: i64,
    up: bool,
    bytes: Vec<u8>,
    part: Part,
}

const CALLER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 21));
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 99));
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 80));
/// Largest TCP payload of a segment.
const SEGMENT: usize = 1460;

/// Collects packets.
#[derive(Debug)]
pub(super) struct Network {
    call: Call,
    peer: IpAddr,
    ports: [u16; 2],
    packets: Vec<(Captured, Part)>,
    written: Vec<Written>,
}

impl Network {
    pub(super) fn new(call: &Call, rng: &mut Rng) -> Self {
        let peer = match call.transport {
            Transport::Tcp => Ipv4Addr::new(10, 0, 0, 22),
            _ => Ipv4Addr::new(198, 51, 100, 7),
        };
        let ports = [rng.range(1025, 65_000) as u16, rng.range(1025, 65_000) as u16];
        let peer = IpAddr::V4(peer);
        Network { call: call.clone(), peer, ports, packets: Vec::new(), written: Vec::new() }
    }

    fn datagram(&self, up: bool, bytes: &[u8]) -> Vec<u8> {
        let (from, to) = if up { (CALLER, self.peer) } else { (self.peer, CALLER) };
        let [a, b] = if up { self.ports } else { [self.ports[1], self.ports[0]] };
        udp(up, (from, a), (to, b), bytes)
    }

    /// An end sends bytes; they are a part of a frame, or not.
    pub(super) fn send(&mut self, at: i64, up: bool, bytes: Vec<u8>, part: Part, rng: &mut Rng) {
        if self.call.transport == Transport::Tcp {
            self.written.push(Written { at, up, bytes, part });
            return;
        }
        if rng.chance(self.call.loss) {
            return;
        }
        let late = if rng.chance(self.call.reorder) { rng.range(1, 4) * 900_000 } else { 0 };
        let packet = Captured { at: at + late as i64, bytes: self.datagram(up, &bytes) };
        if rng.chance(self.call.duplicate) {
            let again = packet.at + rng.range(10_000, 3_000_000) as i64;
            self.packets.push((Captured { at: again, ..packet.clone() }, part));
        }
        self.packets.push((packet, part));
    }

    pub(super) fn look_alike(&mut self, at: i64, bytes: &[u8]) {
        let bytes = udp(false, (STRANGER, 8801), (CALLER, 40_123), bytes);
        self.packets.push((Captured { at, bytes }, None));
    }

    pub(super) fn signalling(&mut self, at: i64, up: bool, bytes: &[u8]) {
        let (client, server) = ((CALLER, 4000), (SERVER, 8000));
        let (from, to) = if up { (client, server) } else { (server, client) };
        let bytes = udp(up, from, to, bytes);
        self.packets.push((Captured { at, bytes }, None));
    }

    /// All packets by time; the truth hears which parts are among them.
    pub(super) fn finish(mut self, truth: &mut Truth, rng: &mut Rng) -> Vec<Captured> {
        if self.call.transport == Transport::Tcp {
            self.connection(truth, rng);
        }
        for (_, part) in &self.packets {
            part.iter().for_each(|part| truth.seen(*part));
        }
        self.packets.sort_by_key(|(packet, _)| packet.at);
        truth.packets = self.packets.len() as u64;
        self.packets.into_iter().map(|(packet, _)| packet).collect()
    }

    /// One TCP connection that carries all that was written. Acknowledgements ride on data.
    fn connection(&mut self, truth: &mut Truth, rng: &mut Rng) {
        let mut written = std::mem::take(&mut self.written);
        written.sort_by_key(|written| written.at);
        let Some(first) = written.first().map(|written| written.at) else { return };
        let mut next = [rng.next() as u32, rng.next() as u32];
        let handshake = [(true, Tcp::SYN), (false, Tcp::SYN | Tcp::ACK), (true, Tcp::ACK)];
        for (index, (up, flags)) in handshake.into_iter().enumerate() {
            let at = first - 3_000_000 + index as i64 * 500_000;
            self.segment(at, up, flags, next, &[]);
            if flags & Tcp::SYN != 0 {
                next[usize::from(!up)] = next[usize::from(!up)].wrapping_add(1);
            }
        }
        // Messages that wait are sent with the next of their direction.
        let mut batches: Vec<(i64, bool, Vec<&Written>)> = Vec::new();
        for up in [true, false] {
            let mut waiting: Vec<&Written> = Vec::new();
            let mine: Vec<&Written> = written.iter().filter(|written| written.up == up).collect();
            for (index, message) in mine.iter().enumerate() {
                waiting.push(message);
                let last = index + 1 == mine.len();
                if last || waiting.len() == 4 || !rng.chance(self.call.coalesce) {
                    batches.push((message.at, up, std::mem::take(&mut waiting)));
                }
            }
        }
        batches.sort_by_key(|(at, ..)| *at);
        for (at, up, batch) in batches {
            self.send_batch(at, up, &batch, &mut next, truth, rng);
        }
    }

    /// Puts messages into segments; a segment that the capture misses takes all messages with it
    /// that have bytes in it.
    fn send_batch(
        &mut self,
        at: i64,
        up: bool,
        batch: &[&Written],
        next: &mut [u32; 2],
        truth: &mut Truth,
        rng: &mut Rng,
    ) {
        let bytes: Vec<u8> = batch.iter().flat_map(|message| message.bytes.clone()).collect();
        let side = usize::from(!up);
        let mut missed = Vec::new();
        for (index, piece) in bytes.chunks(SEGMENT).enumerate() {
            let at = at + index as i64 * 50_000;
            if rng.chance(self.call.hole) {
                missed.push(index * SEGMENT..index * SEGMENT + piece.len());
            } else {
                self.segment(at, up, Tcp::PSH | Tcp::ACK, *next, piece);
                if rng.chance(self.call.retransmit) {
                    let again = at + rng.range(1_000_000, 250_000_000) as i64;
                    self.segment(again, up, Tcp::PSH | Tcp::ACK, *next, piece);
                }
            }
            next[side] = next[side].wrapping_add(piece.len() as u32);
        }
        let mut begin = 0;
        for message in batch {
            let end = begin + message.bytes.len();
            let whole = missed.iter().all(|hole| hole.end <= begin || hole.start >= end);
            if let (true, Some(part)) = (whole, message.part) {
                truth.seen(part);
            }
            begin = end;
        }
    }

    fn segment(&mut self, at: i64, up: bool, flags: u8, next: [u32; 2], payload: &[u8]) {
        let (from, to) = if up { (CALLER, self.peer) } else { (self.peer, CALLER) };
        let [source_port, destination_port] =
            if up { self.ports } else { [self.ports[1], self.ports[0]] };
        let [mine, theirs] = if up { next } else { [next[1], next[0]] };
        let segment = Segment {
            source_port,
            destination_port,
            seq: mine,
            ack: if flags & Tcp::ACK == 0 { 0 } else { theirs },
            flags,
            window: 65_000,
            options: &[],
        };
        let mut bytes = Vec::new();
        wrap(&mut bytes, Outer::Plain, up, |out| {
            Ip::new(from, to).tcp(out, &segment, |out| out.extend_from_slice(payload));
        });
        self.packets.push((Captured { at, bytes }, None));
    }
}

fn udp(up: bool, from: (IpAddr, u16), to: (IpAddr, u16), payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    wrap(&mut bytes, Outer::Plain, up, |out| {
        Ip::new(from.0, to.0).udp(out, from.1, to.1, |out| out.extend_from_slice(payload));
    });
    bytes
}
