//! Tasks on long-lived TCP connections: WeChat's (ChatDissect, V-A), and the open-source one of
//! Tencent's Mars (`mars/stn/proto/longlink_packer.cc`).

use std::sync::Arc;

use super::layout::{Endian, Hex, Kind, Layout, Opcode, Origin, Relation};
use super::talk::{End, Message, Turn};
use super::{Opening, Plan, Surroundings, Tester};
use crate::SynthError;
use crate::apps::{MILLI, SECOND};
use crate::rng::Rng;
use crate::tcp::{DOWN, UP};

/// The header of every message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// 16 bytes as the ChatDissect paper reads them: length of the whole, `00100001`,
    /// request/response of 3 bytes, opcode of 1, sequence.
    WTcp,
    /// The same 16 bytes with commands over 255: the four bytes before the sequence are one
    /// number, to which a response adds 1,000,000,000.
    WTcpWide,
    /// 20 bytes, five numbers: header length, client version, command, sequence, body length.
    LongLink,
}

/// Tasks on long-lived connections, one client after the other.
#[derive(Debug, Clone)]
pub struct LongConnection {
    /// Which header.
    pub header: Header,
    /// Clients: two devices take turns, then two versions of the app.
    pub clients: u32,
    /// Connections of each client; on each of them every task is done once.
    pub connections: u32,
    /// What the network and other apps add.
    pub surroundings: Surroundings,
}

impl Default for LongConnection {
    /// Four clients with three connections each: five hours, 216 labelled tasks.
    fn default() -> Self {
        LongConnection {
            header: Header::WTcp,
            clients: 4,
            connections: 3,
            surroundings: Surroundings::default(),
        }
    }
}

impl Header {
    pub(super) fn name(self) -> &'static str {
        match self {
            Header::WTcp => "w-tcp",
            Header::WTcpWide => "w-tcp-wide",
            Header::LongLink => "longlink",
        }
    }

    fn layout(self) -> Layout {
        let big = Some(Endian::Big);
        let length = |add| Kind::Length { relation: Relation::Total, add };
        let constant = |bytes: &[u8]| Kind::Constant { value: Hex(bytes.to_vec()) };
        let sequence = Kind::Sequence { echo: true, first: 1 };
        let fields = match self {
            Header::WTcp => vec![
                (4, big, length(0)),
                (4, None, constant(&[0, 0x10, 0, 1])),
                (
                    3,
                    None,
                    Kind::RequestResponse {
                        request: Hex(vec![0; 3]),
                        response: Hex(vec![0x3b, 0x9a, 0xca]),
                    },
                ),
                (1, big, Kind::Opcode { response_offset: 0 }),
                (4, big, sequence),
            ],
            Header::WTcpWide => vec![
                (4, big, length(0)),
                (4, None, constant(&[0, 0x10, 0, 1])),
                (4, big, Kind::Opcode { response_offset: 1_000_000_000 }),
                (4, big, sequence),
            ],
            Header::LongLink => vec![
                (4, None, constant(&20u32.to_be_bytes())),
                // What the sample client of Mars sends.
                (4, None, constant(&200u32.to_be_bytes())),
                (4, big, Kind::Opcode { response_offset: 0 }),
                (4, big, sequence),
                (4, big, length(-20)),
            ],
        };
        Layout::new(0, self.name(), "tcp", fields)
    }
}

/// How a task goes on the wire.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    /// A request and its response.
    Ask,
    /// The same, and a report within a second.
    Reported,
    /// The server says that there is something; the client syncs, then fetches it.
    Fetch,
    /// Two requests in one segment, two responses in one write.
    Pair,
}

/// A task of the user.
struct Task {
    name: &'static str,
    opcode: u64,
    /// Its command where those over 255 are used. All but 522 are this lab's own.
    wide: u64,
    /// Mean bytes of request and response (ChatDissect, Table V, where it has the task).
    sizes: (f64, f64),
    shape: Shape,
}

const HEARTBEAT: u64 = 6;
const PUSH: u64 = 24;
const PROFILE: u64 = 118;
const SYNC: u64 = 121;
const IDENTIFY: u64 = 205;
const REPORT: u64 = 226;
const WIDE_REPORT: u64 = 694;
/// Sequence numbers beside the counter (`mars`: no-operation, identification, push).
const NO_OPERATION: u64 = 0xffff_ffff;
const IDENTIFICATION: u64 = 0xffff_fffe;
const PUSHED: u64 = 0;

const PERIOD: i64 = 300 * SECOND;

#[rustfmt::skip]
const TASKS: &[Task] = &[
    Task { name: "send text", opcode: 237, wide: 522, sizes: (340.0, 221.0), shape: Shape::Ask },
    Task { name: "send picture", opcode: 9, wide: 9, sizes: (4935.0, 209.0), shape: Shape::Reported },
    Task { name: "receive picture", opcode: 10, wide: 10, sizes: (256.0, 38_645.0), shape: Shape::Fetch },
    Task { name: "send voice", opcode: 19, wide: 19, sizes: (2191.0, 183.0), shape: Shape::Ask },
    Task { name: "receive voice", opcode: 20, wide: 20, sizes: (276.0, 27_143.0), shape: Shape::Fetch },
    Task { name: "send video", opcode: 39, wide: 39, sizes: (16_405.0, 196.0), shape: Shape::Ask },
    Task { name: "receive video", opcode: 40, wide: 40, sizes: (231.0, 53_189.0), shape: Shape::Fetch },
    Task { name: "send emoji", opcode: 68, wide: 68, sizes: (406.0, 183.0), shape: Shape::Ask },
    Task { name: "send link or file", opcode: 107, wide: 1107, sizes: (900.0, 230.0), shape: Shape::Ask },
    Task { name: "create group", opcode: 37, wide: 37, sizes: (520.0, 640.0), shape: Shape::Ask },
    Task { name: "add group member", opcode: 36, wide: 36, sizes: (300.0, 310.0), shape: Shape::Ask },
    Task { name: "search contact", opcode: 34, wide: 34, sizes: (220.0, 480.0), shape: Shape::Ask },
    Task { name: "add friend", opcode: 44, wide: 44, sizes: (260.0, 190.0), shape: Shape::Ask },
    Task { name: "post to moments", opcode: 97, wide: 97, sizes: (2300.0, 1100.0), shape: Shape::Ask },
    Task { name: "refresh moments", opcode: 98, wide: 2098, sizes: (360.0, 4200.0), shape: Shape::Ask },
    Task { name: "view a user", opcode: 99, wide: 99, sizes: (300.0, 2600.0), shape: Shape::Pair },
    Task { name: "comment a post", opcode: 100, wide: 100, sizes: (420.0, 260.0), shape: Shape::Ask },
    Task { name: "open web page", opcode: 155, wide: 1155, sizes: (410.0, 1900.0), shape: Shape::Ask },
];

impl LongConnection {
    pub(super) fn plan(&self, start: i64, rng: &mut Rng) -> Result<Plan, SynthError> {
        if self.clients == 0 || self.clients > 1000 || !(1..=1000).contains(&self.connections) {
            let what = "a lab has 1 to 1000 clients with 1 to 1000 connections each";
            return Err(SynthError::Scenario(what.to_owned()));
        }
        let wide = self.header == Header::WTcpWide;
        let mut layout = self.header.layout();
        layout.opcodes = opcodes(wide);
        let layouts: Arc<[Layout]> = Arc::new([layout]);
        let mut plan =
            Plan { layouts: Arc::clone(&layouts), openings: vec![], experiments: vec![], until: 0 };
        let mut now = start + 5 * SECOND;
        for user in 0..self.clients {
            let tester = Tester::new(user);
            for connection in 0..self.connections {
                let writer = Writer {
                    header: u64::from(layouts[0].header),
                    wide,
                    // Newer versions say a little more.
                    growth: if tester.version == "5.0" { 1.15 } else { 1.0 },
                    sequence: 0,
                    turns: Vec::new(),
                };
                let at = now;
                let turns = self.connection(writer, tester, &mut now, &mut plan.experiments, rng);
                plan.openings.push(Opening {
                    layouts: Arc::clone(&layouts),
                    user,
                    at,
                    udp: false,
                    host: match self.header {
                        Header::LongLink => |hosts| hosts.longlink,
                        _ => |hosts| hosts.long,
                    },
                    server: None,
                    port: [8080, 80, 443][connection as usize % 3],
                    app: if self.header == Header::LongLink { "lab" } else { "wechat" },
                    service: "long",
                    protocol: self.header.name(),
                    turns,
                    end: [End::Close, End::Reset, End::Vanish][(user + connection) as usize % 3],
                });
                now += rng.range(30, 90) as i64 * SECOND;
            }
        }
        plan.until = now;
        Ok(plan)
    }

    /// One connection from `now` on, which is set to its end.
    fn connection(
        &self,
        mut writer: Writer,
        tester: Tester,
        now: &mut i64,
        experiments: &mut Vec<super::Experiment>,
        rng: &mut Rng,
    ) -> Vec<Turn> {
        let mut order: Vec<&Task> = TASKS.iter().collect();
        for index in (1..order.len()).rev() {
            order.swap(index, rng.below(index as u64 + 1) as usize);
        }
        let begin = *now + SECOND;
        let mut events = vec![(begin, Event::Connect)];
        let mut at = begin + 20 * SECOND;
        for task in order {
            at += rng.range(40_000, 110_000) as i64 * MILLI;
            events.push((at, Event::Task(task)));
            let tapped = at - rng.range(100, 900) as i64 * MILLI;
            let left = at + rng.range(8000, 20_000) as i64 * MILLI;
            let name = self.header.name();
            experiments.push(tester.experiment(name, task.name, tapped, left));
        }
        *now = at + rng.range(20, 60) as i64 * SECOND;
        let mut beat = begin;
        while beat + PERIOD < *now {
            beat += PERIOD + rng.range(0, 2000) as i64 * MILLI;
            events.push((beat, Event::Heartbeat));
        }
        // What others send meanwhile.
        let mut pushed = begin + 10 * SECOND;
        loop {
            pushed += (rng.exponential(180.0) * 1e9) as i64 + SECOND;
            if pushed >= *now - 10 * SECOND {
                break;
            }
            events.push((pushed, Event::Push));
        }
        events.sort_by_key(|(at, _)| *at);
        for (at, event) in events {
            writer.event(at, event, rng);
        }
        writer.turns
    }
}

#[derive(Clone, Copy)]
enum Event {
    Connect,
    Heartbeat,
    Push,
    Task(&'static Task),
}

/// Turns events into what is said.
struct Writer {
    header: u64,
    wide: bool,
    growth: f64,
    sequence: u64,
    turns: Vec<Turn>,
}

impl Writer {
    fn event(&mut self, at: i64, event: Event, rng: &mut Rng) {
        match event {
            Event::Connect => {
                let sizes = (rng.range(220, 300), 48);
                self.ask(at, 0, [("connect to servers", IDENTIFY, IDENTIFICATION, sizes)], rng);
                self.sync(rng.range(50, 400) as i64 * MILLI, rng);
            }
            Event::Heartbeat => {
                let sizes = (self.header, self.header);
                self.ask(at, 0, [("heartbeat", HEARTBEAT, NO_OPERATION, sizes)], rng);
                // A radio that slept for minutes answers late.
                let asked = self.turns.len() - 2;
                self.turns[asked].again = rng.chance(0.15);
            }
            Event::Push => {
                self.push(at, 1 + usize::from(rng.chance(0.2)), rng);
                self.sync(rng.range(5, 50) as i64 * MILLI, rng);
            }
            Event::Task(task) => self.task(at, task, rng),
        }
    }

    fn task(&mut self, at: i64, task: &'static Task, rng: &mut Rng) {
        let opcode = if self.wide { task.wide } else { task.opcode };
        let sizes = self.sizes(task.sizes, rng);
        match task.shape {
            Shape::Ask => self.next(at, 0, (task.name, opcode), sizes, rng),
            Shape::Reported => {
                self.next(at, 0, (task.name, opcode), sizes, rng);
                let report = if self.wide { WIDE_REPORT } else { REPORT };
                let delay = rng.range(100, 400) as i64 * MILLI;
                let sizes = self.sizes((700.0, 90.0), rng);
                self.next(0, delay, ("report to servers", report), sizes, rng);
            }
            Shape::Fetch => {
                self.push(at, 1, rng);
                self.sync(rng.range(5, 50) as i64 * MILLI, rng);
                let delay = rng.range(20, 200) as i64 * MILLI;
                self.next(0, delay, (task.name, opcode), sizes, rng);
                if rng.chance(0.3) {
                    // A push right behind the response: its header may lie within a segment, or
                    // across two.
                    let push = self.pushed(rng);
                    if let Some(turn) = self.turns.last_mut() {
                        turn.messages.push(push);
                    }
                    self.sync(rng.range(5, 50) as i64 * MILLI, rng);
                }
            }
            Shape::Pair => {
                self.sequence += 2;
                let profile = self.sizes((210.0, 640.0), rng);
                let asked = [
                    (task.name, opcode, self.sequence - 1, sizes),
                    ("get profile", PROFILE, self.sequence, profile),
                ];
                self.ask(at, 0, asked, rng);
            }
        }
    }

    fn sizes(&self, (up, down): (f64, f64), rng: &mut Rng) -> (u64, u64) {
        let mut around = |mean: f64| {
            let sigma = if mean > 1000.0 { 0.5 } else { 0.2 };
            rng.log_normal(mean * self.growth, sigma).clamp(24.0, 400_000.0) as u64
        };
        (around(up), around(down))
    }

    /// A request with the next sequence number, and its response.
    fn next(
        &mut self,
        at: i64,
        delay: i64,
        (task, opcode): (&'static str, u64),
        sizes: (u64, u64),
        rng: &mut Rng,
    ) {
        self.sequence += 1;
        self.ask(at, delay, [(task, opcode, self.sequence, sizes)], rng);
    }

    fn sync(&mut self, delay: i64, rng: &mut Rng) {
        let sizes = self.sizes((196.0, 358.0), rng);
        self.next(0, delay, ("query servers", SYNC), sizes, rng);
    }

    /// Requests in one write and their responses in another.
    fn ask<const N: usize>(
        &mut self,
        at: i64,
        delay: i64,
        asked: [(&'static str, u64, u64, (u64, u64)); N],
        rng: &mut Rng,
    ) {
        let message = |response: bool| {
            asked.map(|(task, opcode, sequence, (up, down))| Message {
                layout: 0,
                task,
                opcode,
                response,
                sequence,
                transaction: 0,
                len: if response { down } else { up },
            })
        };
        self.turns.push(Turn {
            side: UP,
            at,
            delay,
            again: false,
            messages: message(false).into(),
        });
        // Most tasks complete within a tenth of a second (ChatDissect, VI-B).
        let think = (rng.exponential(12.0).min(400.0) * MILLI as f64) as i64 + MILLI;
        self.turns.push(Turn {
            side: DOWN,
            at: 0,
            delay: think,
            again: false,
            messages: message(true).into(),
        });
    }

    fn pushed(&self, rng: &mut Rng) -> Message {
        Message {
            layout: 0,
            task: "server push news",
            opcode: PUSH,
            response: false,
            sequence: PUSHED,
            transaction: 0,
            len: self.header + rng.range(4, 90),
        }
    }

    fn push(&mut self, at: i64, count: usize, rng: &mut Rng) {
        let messages = (0..count).map(|_| self.pushed(rng)).collect();
        self.turns.push(Turn { side: DOWN, at, delay: MILLI, again: false, messages });
    }
}

/// Who lets each command be sent.
fn opcodes(wide: bool) -> Vec<Opcode> {
    let task = |name: &str| TASKS.iter().find(|task| task.name == name);
    let number = |name: &str| task(name).map_or(0, |t| if wide { t.wide } else { t.opcode });
    let triggered = |names: &[u64]| names.iter().map(|by| Origin::Triggered { by: *by }).collect();
    let mut all: Vec<Opcode> = TASKS
        .iter()
        .map(|task| Opcode {
            opcode: number(task.name),
            task: task.name,
            origins: vec![Origin::User],
        })
        .collect();
    let mut add = |opcode, task, origins| all.push(Opcode { opcode, task, origins });
    add(HEARTBEAT, "heartbeat", vec![Origin::Periodic { period: 300.0 }]);
    add(PUSH, "server push news", vec![Origin::System]);
    add(PROFILE, "get profile", triggered(&[number("view a user")]));
    add(SYNC, "query servers", triggered(&[IDENTIFY, PUSH]));
    add(IDENTIFY, "connect to servers", vec![Origin::System]);
    let report = if wide { WIDE_REPORT } else { REPORT };
    add(report, "report to servers", triggered(&[number("send picture")]));
    all.sort_by_key(|opcode| opcode.opcode);
    all
}
