//! Real-time chats over UDP in the four layouts of the ChatDissect paper (Fig. 3).
//!
//! The paper gives offsets and, but for `a108`, no values. Values of the heartbeats are those of
//! libprotoident's observations where it has them; where the heartbeats' third constant lies, and
//! what it holds, is this lab's own choice.

use std::sync::Arc;

use super::layout::{Endian, Hex, Kind, Layout, Opcode, Origin};
use super::talk::{End, Message, Turn};
use super::{Opening, Plan, Surroundings, Tester};
use crate::SynthError;
use crate::apps::{MILLI, SECOND};
use crate::rng::Rng;
use crate::tcp::{DOWN, UP};

/// Real-time chats, one after the other.
#[derive(Debug, Clone)]
pub struct Voip {
    /// Clients.
    pub clients: u32,
    /// Chats of each client; voice calls, video calls and walkie-talkie take turns.
    pub chats: u32,
    /// What the network and other apps add.
    pub surroundings: Surroundings,
}

impl Default for Voip {
    /// Two clients with six chats each.
    fn default() -> Self {
        Voip { clients: 2, chats: 6, surroundings: Surroundings::default() }
    }
}

/// What is chatted by, its opcode, mean bytes of a packet and milliseconds between two.
const CHATS: &[(&str, u64, f64, u64)] =
    &[("voice call", 2, 90.0, 60), ("video call", 3, 700.0, 40), ("walkie-talkie", 6, 130.0, 60)];

/// Indices of the layouts.
const BEAT_UP: u16 = 0;
const BEAT_DOWN: u16 = 1;
const CONTENT: u16 = 2;
const SIGNALLING: u16 = 3;

fn layouts() -> Vec<Layout> {
    let constant = |bytes: &[u8]| Kind::Constant { value: Hex(bytes.to_vec()) };
    let sequence = || Kind::Sequence { echo: false, first: 0 };
    let big = Some(Endian::Big);
    let beat = |third: &[u8]| {
        vec![
            (1, None, Kind::Random),
            (1, None, constant(&[0x0a])),
            (1, None, Kind::Random),
            (3, None, constant(&[0x0a, 0x10, 0x08])),
            (2, None, Kind::Random),
            (third.len() as u32, None, constant(third)),
        ]
    };
    let content = vec![
        (1, None, Kind::Random),
        (1, big, Kind::Opcode { response_offset: 0 }),
        (2, big, sequence()),
        (1, None, constant(&[0x1e])),
    ];
    let signalling = vec![
        (2, None, constant(&[0xa1, 0x08])),
        (3, big, sequence()),
        (2, None, Kind::Random),
        (1, None, constant(&[0x01])),
        (1, None, Kind::Random),
        (4, None, constant(&[0x10, 0x00, 0x18, 0x05])),
    ];
    let mut all = vec![
        Layout::new(BEAT_UP, "heartbeat-up", "udp", beat(&[0x12, 0x04])),
        Layout::new(BEAT_DOWN, "heartbeat-down", "udp", beat(&[0x1a, 0x02, 0x08])),
        Layout::new(CONTENT, "content", "udp", content),
        Layout::new(SIGNALLING, "signalling", "udp", signalling),
    ];
    let opcode = |chat: &(&'static str, u64, f64, u64)| Opcode {
        opcode: chat.1,
        task: chat.0,
        origins: vec![Origin::User],
    };
    all[usize::from(CONTENT)].opcodes = CHATS.iter().map(opcode).collect();
    all
}

impl Voip {
    pub(super) fn plan(&self, start: i64, rng: &mut Rng) -> Result<Plan, SynthError> {
        if !(1..=1000).contains(&self.clients) || !(1..=1000).contains(&self.chats) {
            let what = "a lab has 1 to 1000 clients with 1 to 1000 chats each";
            return Err(SynthError::Scenario(what.to_owned()));
        }
        let layouts: Arc<[Layout]> = layouts().into();
        let mut openings = Vec::new();
        let mut experiments = Vec::new();
        let mut now = start + 5 * SECOND;
        for user in 0..self.clients {
            for index in 0..self.chats {
                let chat = &CHATS[index as usize % CHATS.len()];
                let mut flow = |at, server: u32, turns| {
                    openings.push(Opening {
                        layouts: Arc::clone(&layouts),
                        user,
                        at,
                        udp: true,
                        host: |hosts| hosts.voip,
                        server: Some(server),
                        port: [8000, 8080, 16_285][server as usize % 3],
                        app: "wechat",
                        service: "call",
                        protocol: "w-udp",
                        turns,
                        end: End::Vanish,
                    });
                };
                // Small flows to several servers, then one long one (ChatDissect, II-B).
                let first = rng.below(6) as u32;
                for server in first..first + 3 {
                    let at = now + rng.range(100, 900) as i64 * MILLI;
                    flow(at, server, probe(at, rng));
                }
                let begin = now + 3 * SECOND;
                let end = begin + rng.range(20, 45) as i64 * SECOND;
                flow(begin, first + 1, talk(begin, end, chat, rng));
                let (tapped, left) = (now - 200 * MILLI, end + SECOND);
                experiments.push(Tester::new(user).experiment("w-udp", chat.0, tapped, left));
                now = end + rng.range(20, 60) as i64 * SECOND;
            }
        }
        Ok(Plan { layouts, openings, experiments, until: now })
    }
}

fn message(layout: u16, task: &'static str, sequence: u64, len: u64) -> Message {
    let (opcode, response, transaction) = (0, false, 0);
    Message { layout, task, opcode, response, sequence, transaction, len }
}

fn turn(side: usize, at: i64, message: Message) -> Turn {
    Turn { side, at, delay: MILLI, again: false, messages: vec![message] }
}

/// A heartbeat and its answer; lengths as libprotoident lists them.
fn beat(turns: &mut Vec<Turn>, at: i64, rng: &mut Rng) {
    let up = 3 + [0x1d, 0x1e, 0x2c, 0x2d, 0x2e][rng.below(5) as usize];
    let down = 3 + [0x29, 0x2a, 0x2b, 0x2d][rng.below(4) as usize];
    turns.push(turn(UP, at, message(BEAT_UP, "chatting heartbeat", 0, up)));
    turns.push(turn(DOWN, at, message(BEAT_DOWN, "chatting heartbeat", 0, down)));
}

/// Signalling both ways; numbers rise in each direction.
fn signal(turns: &mut Vec<Turn>, at: i64, numbers: &mut [u64; 2], rng: &mut Rng) {
    for side in [UP, DOWN] {
        let len = if rng.chance(0.5) { 75 } else { 92 };
        turns.push(turn(side, at, message(SIGNALLING, "call signalling", numbers[side], len)));
        numbers[side] = (numbers[side] + 1) & 0x00ff_ffff;
    }
}

/// Looks whether a server is near.
fn probe(at: i64, rng: &mut Rng) -> Vec<Turn> {
    let mut turns = Vec::new();
    let mut numbers = [rng.below(1 << 20), rng.below(1 << 20)];
    signal(&mut turns, at, &mut numbers, rng);
    for index in 1..=rng.range(3, 5) as i64 {
        beat(&mut turns, at + index * 500 * MILLI, rng);
    }
    signal(&mut turns, at + 3 * SECOND, &mut numbers, rng);
    turns
}

/// The chat itself.
fn talk(
    begin: i64,
    end: i64,
    (task, opcode, bytes, period): &(&'static str, u64, f64, u64),
    rng: &mut Rng,
) -> Vec<Turn> {
    let mut turns = Vec::new();
    let mut numbers = [rng.below(1 << 20), rng.below(1 << 20)];
    for index in 0..3 {
        signal(&mut turns, begin + index * 300 * MILLI, &mut numbers, rng);
    }
    let mut at = begin + SECOND;
    while at < end {
        beat(&mut turns, at, rng);
        at += 2 * SECOND;
    }
    let mut at = begin + 9 * SECOND;
    while at < end {
        signal(&mut turns, at, &mut numbers, rng);
        at += 8 * SECOND;
    }
    for side in [UP, DOWN] {
        let mut sequence = rng.below(1 << 16);
        let mut at = begin + SECOND + rng.range(100, 400) as i64 * MILLI;
        while at < end {
            // Walkie-talkie: one talks, then the other.
            let silent = *task == "walkie-talkie" && (at - begin) / (5 * SECOND) % 2 == side as i64;
            if !silent {
                let len = rng.log_normal(*bytes, 0.3).clamp(20.0, 1300.0) as u64;
                let content = message(CONTENT, task, sequence, len);
                turns.push(turn(side, at, Message { opcode: *opcode, ..content }));
                sequence = (sequence + 1) & 0xffff;
            }
            at += *period as i64 * MILLI + rng.range(0, 6) as i64 * MILLI;
        }
    }
    signal(&mut turns, end, &mut numbers, rng);
    turns.sort_by_key(|turn| turn.at);
    turns
}
