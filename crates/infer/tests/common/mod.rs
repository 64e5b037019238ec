//! Streams of made-up headers whose truth is known.

#![allow(dead_code)] // each test uses a part

use ottoscope_flow::{Direction, FlowId, Timestamp, Transport};
use ottoscope_infer::{FlowInfo, Sample, Samples};

pub(crate) const SECOND: i64 = 1_000_000_000;
pub(crate) const MILLI: i64 = 1_000_000;
/// 10^9: what a response adds to its request's command.
pub(crate) const RESPONSE: u64 = 1_000_000_000;

/// SplitMix64.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(crate) fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low)
    }

    pub(crate) fn chance(&mut self, p: f64) -> bool {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64 <= p
    }

    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - (self.next() >> 11) as f64 / (1u64 << 53) as f64).ln()
    }

    pub(crate) fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next() as u8).collect()
    }
}

pub(crate) fn flow(samples: &mut Samples, id: u64, transport: Transport) -> usize {
    let client = std::net::Ipv4Addr::from(0x0a00_0000 | (id as u32 * 7 + 1));
    samples.flow(FlowInfo {
        id: FlowId(id),
        transport,
        client: (client.into(), 40_000 + id as u16),
        server: ("203.0.113.9".parse().unwrap(), 8080),
    })
}

/// One message as it was meant.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    pub(crate) at: i64,
    pub(crate) flow: usize,
    pub(crate) direction: Direction,
    pub(crate) opcode: u64,
    pub(crate) response: bool,
    pub(crate) len: u64,
    pub(crate) packets: u32,
}

/// Messages of W-TCP cut into packets.
pub(crate) struct Talk {
    pub(crate) packets: Samples,
    pub(crate) messages: Vec<Told>,
    pub(crate) rng: Rng,
    flows: Vec<Stream>,
    said: Vec<(Told, Number, Vec<u8>)>,
    pairs: u32,
}

/// What the last four bytes of a header are.
#[derive(Clone, Copy)]
pub(crate) enum Number {
    /// This.
    Is(u32),
    /// The next of its flow, for the request of a pair; the same for its response.
    Pair(u32),
}

struct Stream {
    /// Next sequence number of each direction, and when it is free.
    sequence: [u32; 2],
    free: [i64; 2],
    number: u32,
}

pub(crate) const SEGMENT: usize = 1400;

impl Talk {
    pub(crate) fn new(seed: u64) -> Self {
        let rng = Rng(seed);
        Talk {
            packets: Samples::new(),
            messages: vec![],
            rng,
            flows: vec![],
            said: vec![],
            pairs: 0,
        }
    }

    pub(crate) fn flow(&mut self) -> usize {
        let flow = flow(&mut self.packets, self.flows.len() as u64, Transport::Tcp);
        // One of the directions wraps soon.
        let sequence = [self.rng.next() as u32, u32::MAX - self.rng.below(20_000) as u32];
        self.flows.push(Stream { sequence, free: [0; 2], number: 0 });
        flow
    }

    /// One message of `len` bytes, header included.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn say(
        &mut self,
        at: i64,
        flow: usize,
        direction: Direction,
        opcode: u64,
        response: bool,
        len: usize,
        number: Number,
    ) {
        let mut bytes = (len as u32).to_be_bytes().to_vec();
        bytes.extend_from_slice(&[0, 0x10, 0, 1]);
        let command = opcode + if response { RESPONSE } else { 0 };
        bytes.extend_from_slice(&(command as u32).to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend(self.rng.bytes(len.saturating_sub(16)));
        let packets = len.div_ceil(SEGMENT) as u32;
        let told = Told { at, flow, direction, opcode, response, len: len as u64, packets };
        self.said.push((told, number, bytes));
    }

    /// A request and its response 20 to 80 ms later.
    pub(crate) fn ask(&mut self, at: i64, flow: usize, opcode: u64, up: usize, down: usize) -> i64 {
        self.pairs += 1;
        let number = Number::Pair(self.pairs);
        self.say(at, flow, Direction::Up, opcode, false, up, number);
        let answer = at + 40 * MILLI + self.rng.below(60) as i64 * MILLI;
        self.say(answer, flow, Direction::Down, opcode, true, down, number);
        answer
    }

    /// Puts the packets on the wire: `lost` and `again` are shares of packets that are not
    /// captured or captured twice, `swapped` of those that overtake the one before them.
    pub(crate) fn send(&mut self, lost: f64, again: f64, swapped: f64) {
        self.said.sort_by_key(|(message, ..)| message.at);
        let mut numbers = vec![0u32; self.pairs as usize + 1];
        let mut queue = Vec::new();
        for (mut message, number, mut bytes) in std::mem::take(&mut self.said) {
            let (stream, side) = (&mut self.flows[message.flow], message.direction.index());
            message.at = message.at.max(stream.free[side]);
            let mut at = message.at;
            let number = match number {
                Number::Is(number) => number,
                Number::Pair(pair) => {
                    if !message.response {
                        stream.number += 1;
                        numbers[pair as usize] = stream.number;
                    }
                    numbers[pair as usize]
                }
            };
            bytes[12..16].copy_from_slice(&number.to_be_bytes());
            for chunk in bytes.chunks(SEGMENT) {
                let head = chunk[..chunk.len().min(64)].to_vec();
                let sequence = stream.sequence[side];
                stream.sequence[side] = sequence.wrapping_add(chunk.len() as u32);
                let len = chunk.len() as u64;
                queue.push((at, message.flow, message.direction, sequence, head, len));
                at += 300_000;
            }
            stream.free[side] = at;
            self.messages.push(message);
        }
        queue.sort_by_key(|packet| packet.0);
        self.messages.sort_by_key(|message| message.at);
        for index in 1..queue.len() {
            let same = queue[index].1 == queue[index - 1].1 && queue[index].2 == queue[index - 1].2;
            if same && self.rng.chance(swapped) {
                let (a, b) = (queue[index - 1].0, queue[index].0);
                queue.swap(index - 1, index);
                (queue[index - 1].0, queue[index].0) = (a, b);
            }
        }
        let mut out = Vec::new();
        for packet in queue {
            if self.rng.chance(lost) {
                continue;
            }
            if self.rng.chance(again) {
                let mut copy = packet.clone();
                copy.0 += 200 * MILLI;
                out.push(copy);
            }
            out.push(packet);
        }
        out.sort_by_key(|packet| packet.0);
        for (at, flow, direction, sequence, head, len) in out {
            let at = Timestamp(at);
            let sequence = Some(sequence);
            self.packets.push(Sample { at, flow, direction, sequence, len, head: &head });
        }
    }
}

/// A day of W-TCP: tasks, heartbeats every 300 s, pushes that let the client sync.
pub(crate) fn day(seed: u64, flows: usize, wide: bool) -> Talk {
    let mut talk = Talk::new(seed);
    let codes: &[u64] = if wide {
        &[237, 9, 10, 522, 694, 1107, 39, 68, 98, 2098]
    } else {
        &[237, 9, 10, 19, 20, 39, 68, 98, 99, 155]
    };
    for index in 0..flows {
        let flow = talk.flow();
        let start = (1_400_000_000 + index as i64 * 40) * SECOND;
        let mut at = start;
        for _ in 0..40 {
            at += SECOND + (talk.rng.exponential(40.0) * 1e9) as i64;
            let code = codes[talk.rng.below(codes.len() as u64) as usize];
            let (up, down) = (talk.rng.range(60, 6000), talk.rng.range(60, 9000));
            let answered = talk.ask(at, flow, code, up as usize, down as usize);
            at = answered + 500 * MILLI;
        }
        let end = at;
        let mut beat = start;
        while beat + 300 * SECOND < end {
            beat += 300 * SECOND + talk.rng.below(2000) as i64 * MILLI;
            talk.say(beat, flow, Direction::Up, 6, false, 16, Number::Is(u32::MAX));
            talk.say(beat + 50 * MILLI, flow, Direction::Down, 6, true, 16, Number::Is(u32::MAX));
            if talk.rng.chance(0.15) {
                // No answer came: once more.
                talk.say(
                    beat + 9 * SECOND,
                    flow,
                    Direction::Up,
                    6,
                    false,
                    16,
                    Number::Is(u32::MAX),
                );
                talk.say(
                    beat + 9 * SECOND + 50 * MILLI,
                    flow,
                    Direction::Down,
                    6,
                    true,
                    16,
                    Number::Is(u32::MAX),
                );
            }
        }
        let mut push = start + 7 * SECOND;
        loop {
            push += 2 * SECOND + (talk.rng.exponential(150.0) * 1e9) as i64;
            if push >= end {
                break;
            }
            talk.say(push, flow, Direction::Down, 24, false, 60, Number::Is(0));
            let sync = push + talk.rng.range(5, 60) as i64 * MILLI;
            let (up, down) = (talk.rng.range(150, 250), talk.rng.range(200, 900));
            talk.ask(sync, flow, 121, up as usize, down as usize);
        }
    }
    talk
}
