//! A binary protocol that the seed makes up.
//!
//! Every seed has a layout, byte order, opcodes, sizes and habits of its own; all of them are
//! told as truth. Two fields never meet where the bytes on both sides of their boundary cannot
//! change: nobody could find such a boundary.

use std::sync::Arc;

use super::layout::{Endian, Hex, Kind, Layout, Opcode, Origin, Relation};
use super::talk::{End, Message, Turn};
use super::{Opening, Plan, Surroundings, Tester};
use crate::SynthError;
use crate::apps::{MILLI, SECOND};
use crate::rng::Rng;
use crate::tcp::{DOWN, UP};

/// A protocol of the seed's own.
#[derive(Debug, Clone)]
pub struct Random {
    /// Clients.
    pub clients: u32,
    /// Flows of each client, one after the other.
    pub flows: u32,
    /// Requests of each flow, responses and what they trigger not counted.
    pub requests: u32,
    /// `tcp` or `udp`; none lets the seed choose.
    pub transport: Option<&'static str>,
    /// Longest header, bytes; from 8 on.
    pub longest: u32,
    /// What the network and other apps add.
    pub surroundings: Surroundings,
}

impl Default for Random {
    /// Two clients with five flows of 60 requests each, a header of at most 32 bytes.
    fn default() -> Self {
        Random {
            clients: 2,
            flows: 5,
            requests: 60,
            transport: None,
            longest: 32,
            surroundings: Surroundings::default(),
        }
    }
}

/// What opcodes do; the seed takes as many as it wants.
const TASKS: &[&str] = &[
    "task a", "task b", "task c", "task d", "task e", "task f", "task g", "task h", "task i",
    "task j", "task k", "task l",
];

/// One kind of message.
struct Habit {
    task: &'static str,
    opcode: u64,
    weight: f64,
    /// Mean bytes of request and response.
    sizes: (f64, f64),
    /// Who begins.
    side: usize,
    /// Index of the kind that each of these lets follow.
    triggers: Option<usize>,
    /// Seconds between two, where a clock sends it.
    period: Option<u64>,
    /// Whether the lab's table names it.
    labelled: bool,
}

type Drawn = (u32, Option<Endian>, Kind);

impl Random {
    pub(super) fn plan(&self, start: i64, rng: &mut Rng) -> Result<Plan, SynthError> {
        if ![self.clients, self.flows].iter().all(|n| (1..=1000).contains(n))
            || !(1..=100_000).contains(&self.requests)
            || !(8..=64).contains(&self.longest)
        {
            let what = "a lab of a random protocol has 1 to 1000 clients and flows each, 1 to \
                        100000 requests, and a header of 8 to 64 bytes";
            return Err(SynthError::Scenario(what.to_owned()));
        }
        let transport = match self.transport {
            Some("udp") => "udp",
            Some("tcp") => "tcp",
            Some(other) => {
                return Err(SynthError::Scenario(format!("`{other}` is neither tcp nor udp")));
            }
            None if rng.chance(0.35) => "udp",
            None => "tcp",
        };
        let mut layout = Layout::new(0, "random", transport, draw(self.longest, transport, rng));
        let habits = habits(&layout, rng);
        layout.opcodes = told(&layout, &habits);
        let layouts: Arc<[Layout]> = Arc::new([layout]);
        let mut plan =
            Plan { layouts: Arc::clone(&layouts), openings: vec![], experiments: vec![], until: 0 };
        let port = rng.range(1024, 32_000) as u16;
        let mut now = start + 5 * SECOND;
        for user in 0..self.clients {
            for _ in 0..self.flows {
                let at = now;
                let mut writer = Writer::new(&layouts[0], rng);
                writer.flow(&habits, self.requests, &mut now, user, &mut plan.experiments, rng);
                plan.openings.push(Opening {
                    layouts: Arc::clone(&layouts),
                    user,
                    at,
                    udp: transport == "udp",
                    host: |hosts| hosts.random,
                    server: None,
                    port,
                    app: "lab",
                    service: "random",
                    protocol: "random",
                    turns: writer.turns,
                    end: [End::Close, End::Reset, End::Vanish][rng.below(3) as usize],
                });
                now += rng.range(5, 20) as i64 * SECOND;
            }
        }
        plan.until = now;
        Ok(plan)
    }
}

fn pick(from: &[u32], rng: &mut Rng) -> u32 {
    from[rng.below(from.len() as u64) as usize]
}

fn bytes(len: u32, rng: &mut Rng) -> Hex {
    let word = rng.next().to_be_bytes();
    Hex(word[..len as usize].to_vec())
}

/// Fields of a header of at most `longest` bytes.
fn draw(longest: u32, transport: &str, rng: &mut Rng) -> Vec<Drawn> {
    let endian = Some(if rng.chance(0.3) { Endian::Little } else { Endian::Big });
    let mut fields: Vec<Drawn> =
        vec![(pick(&[1, 1, 2, 4], rng), endian, Kind::Opcode { response_offset: 0 })];
    // The likelier first, so that a short header has the usual fields.
    if transport == "tcp" || rng.chance(0.5) {
        let add = [0, -1, -2, 1, 4][rng.weighted([5.0, 4.0, 3.0, 1.0, 1.0].into_iter())];
        let kind = Kind::Length { relation: Relation::Other, add };
        fields.push((pick(&[1, 2, 2, 3, 4, 4], rng), endian, kind));
    }
    if rng.chance(0.8) {
        let first = [0, 1, rng.below(1 << 14)][rng.below(3) as usize];
        let kind = Kind::Sequence { echo: rng.chance(0.5), first };
        fields.push((pick(&[1, 2, 2, 3, 4, 4, 8], rng), endian, kind));
    }
    if rng.chance(0.8) {
        let len = pick(&[1, 2, 2, 3, 4], rng);
        fields.push((len, None, Kind::Constant { value: bytes(len, rng) }));
    }
    if rng.chance(0.5) {
        let len = pick(&[1, 1, 2, 3], rng);
        let (request, response) = (bytes(len, rng), bytes(len, rng));
        // Every byte differs, so that it is one field to whoever looks at bytes.
        let apart = response.0.iter().zip(&request.0).map(|(a, b)| if a == b { !a } else { *a });
        let response = Hex(apart.collect());
        fields.push((len, None, Kind::RequestResponse { request, response }));
    }
    if rng.chance(0.3) {
        fields.push((pick(&[2, 4, 8], rng), endian, Kind::Transaction));
    }
    if rng.chance(0.25) {
        fields.push((pick(&[1, 2], rng), endian, Kind::Flags));
    }
    if rng.chance(0.25) {
        fields.push((pick(&[4, 8], rng), endian, Kind::Session));
    }
    if rng.chance(0.25) {
        let (len, per_second) = if rng.chance(0.5) { (4, 1) } else { (8, 1000) };
        fields.push((len, endian, Kind::Timestamp { per_second }));
    }
    if rng.chance(0.15) {
        fields.push((4, Some(Endian::Big), Kind::Address));
    }
    if rng.chance(0.3) {
        fields.push((rng.range(1, 8) as u32, None, Kind::Random));
    }
    if rng.chance(0.2) {
        let len = pick(&[1, 2], rng);
        fields.push((len, None, Kind::Constant { value: bytes(len, rng) }));
    }
    let mut room = longest;
    fields.retain(|(len, ..)| {
        let fits = *len <= room;
        room -= if fits { *len } else { 0 };
        fits
    });
    // Few orders are impossible; a layout for which none was found loses what hinders most.
    loop {
        for _ in 0..200 {
            for index in (1..fields.len()).rev() {
                fields.swap(index, rng.below(index as u64 + 1) as usize);
            }
            if findable(&fields) {
                return settle(fields);
            }
        }
        let stiff = |(len, endian, kind): &Drawn| still(kind, *len, *endian) == (true, true);
        let spare = |(_, _, kind): &Drawn| !matches!(kind, Kind::Opcode { .. });
        let index = fields.iter().position(stiff).or_else(|| fields.iter().position(spare));
        let Some(index) = index else { return settle(fields) };
        fields.remove(index);
    }
}

/// Whether every boundary can be found: bytes that never change do not meet others of another
/// field, nor random ones the payload.
fn findable(fields: &[Drawn]) -> bool {
    let ends = |field: &Drawn| still(&field.2, field.0, field.1);
    let meets = |pair: &[Drawn]| ends(&pair[0]).1 && ends(&pair[1]).0;
    let opaque = |kind: &Kind| matches!(kind, Kind::Random | Kind::Transaction);
    let alike = |pair: &[Drawn]| opaque(&pair[0].2) && opaque(&pair[1].2);
    !fields.windows(2).any(|pair| meets(pair) || alike(pair))
        && fields.last().is_none_or(|last| !matches!(last.2, Kind::Random))
}

/// Whether the first and the last byte of a field may be the same in every message.
fn still(kind: &Kind, len: u32, endian: Option<Endian>) -> (bool, bool) {
    let high = match kind {
        Kind::Constant { .. } => return (true, true),
        // Three bytes hold more than a flow counts, two more than most messages have.
        Kind::Sequence { .. } => len >= 2,
        Kind::Length { .. } | Kind::Opcode { .. } => len >= 2,
        Kind::Timestamp { .. } | Kind::Address => true,
        _ => false,
    };
    match endian {
        Some(Endian::Little) => (false, high),
        _ => (high, false),
    }
}

/// Lengths count the body or the rest where they were drawn to.
fn settle(mut fields: Vec<Drawn>) -> Vec<Drawn> {
    let header: u32 = fields.iter().map(|field| field.0).sum();
    let mut at = 0;
    for (len, _, kind) in &mut fields {
        at += *len;
        if let Kind::Length { add, .. } = kind {
            *add = match *add {
                -1 => -i64::from(header),
                -2 => -i64::from(at),
                add => add,
            };
        }
    }
    fields
}

/// Kinds of messages whose numbers and sizes the layout can hold.
fn habits(layout: &Layout, rng: &mut Rng) -> Vec<Habit> {
    let count = rng.range(2, TASKS.len() as u64) as usize;
    let width = |field: &super::Field| match field.kind {
        Kind::Opcode { .. } => Some(field.len),
        _ => None,
    };
    let width = layout.fields.iter().find_map(width).unwrap_or(1);
    let numbers = match width {
        1 => 250,
        2 => [250, 60_000][rng.below(2) as usize],
        _ => [250, 60_000, 4_000_000_000][rng.below(3) as usize],
    };
    let room = layout.most().saturating_sub(u64::from(layout.header)) as f64;
    let ceiling = if layout.transport == "udp" { 1200.0 } else { 40_000.0 };
    let mut habits: Vec<Habit> = Vec::new();
    for task in &TASKS[..count] {
        let opcode = loop {
            let opcode = rng.range(1, numbers);
            if habits.iter().all(|habit| habit.opcode != opcode) {
                break opcode;
            }
        };
        let mut size = || {
            let mean = match rng.below(6) {
                0..3 => rng.range(8, 60),
                3..5 => rng.range(60, 900),
                _ => rng.range(900, 12_000),
            };
            (mean as f64).min(ceiling / 3.0).min(room / 3.0)
        };
        let sizes = (size(), size());
        let rank = habits.len() as f64 + 1.0;
        habits.push(Habit {
            task,
            opcode,
            weight: 1.0 / rank,
            sizes,
            side: if rng.chance(0.1) { DOWN } else { UP },
            triggers: None,
            period: None,
            labelled: rng.chance(0.7),
        });
    }
    if count >= 4 && rng.chance(0.6) {
        let beat = &mut habits[count - 1];
        (beat.weight, beat.labelled, beat.side) = (0.0, false, UP);
        beat.period = Some(rng.range(15, 45));
    }
    if count >= 5 && rng.chance(0.6) {
        habits[count - 2].weight = 0.0;
        habits[count - 2].labelled = false;
        // The rarest of the rest, so that what follows it is more than chance.
        habits[count - 3].triggers = Some(count - 2);
        habits[count - 3].side = UP;
    }
    if habits.iter().all(|habit| !habit.labelled) {
        habits[0].labelled = true;
    }
    habits
}

fn told(layout: &Layout, habits: &[Habit]) -> Vec<Opcode> {
    if !layout.has_opcode() {
        return Vec::new();
    }
    let origin = |index: usize, habit: &Habit| {
        let by = habits.iter().find(|other| other.triggers == Some(index));
        match (habit.period, by) {
            (Some(period), _) => Origin::Periodic { period: period as f64 },
            (None, Some(by)) => Origin::Triggered { by: by.opcode },
            _ if habit.labelled => Origin::User,
            _ => Origin::System,
        }
    };
    let tell = |(index, habit): (usize, &Habit)| Opcode {
        opcode: habit.opcode,
        task: habit.task,
        origins: vec![origin(index, habit)],
    };
    let mut all: Vec<Opcode> = habits.iter().enumerate().map(tell).collect();
    all.sort_by_key(|opcode| opcode.opcode);
    all
}

/// Turns habits into what is said on one flow.
struct Writer<'a> {
    layout: &'a Layout,
    /// Whether a response repeats its request's number.
    echo: bool,
    /// Next number of each direction; `echo` uses the first.
    numbers: [u64; 2],
    mask: u64,
    turns: Vec<Turn>,
}

impl<'a> Writer<'a> {
    fn new(layout: &'a Layout, rng: &mut Rng) -> Self {
        let sequence = layout.fields.iter().find_map(|field| match field.kind {
            Kind::Sequence { echo, first } => Some((echo, first, field.len)),
            _ => None,
        });
        let (echo, first, len) = sequence.unwrap_or((true, 0, 4));
        let mask = if len >= 4 { u64::from(u32::MAX) } else { (1 << (8 * len)) - 1 };
        // Each direction counts on its own, and need not begin where the other does.
        let down = if echo { first } else { first + rng.below(50) };
        Writer { layout, echo, numbers: [first & mask, down & mask], mask, turns: Vec::new() }
    }

    fn flow(
        &mut self,
        habits: &[Habit],
        requests: u32,
        now: &mut i64,
        user: u32,
        experiments: &mut Vec<super::Experiment>,
        rng: &mut Rng,
    ) {
        let begin = *now + SECOND;
        let mut events = Vec::new();
        let mut at = begin;
        for _ in 0..requests {
            let habit = &habits[rng.weighted(habits.iter().map(|habit| habit.weight))];
            if habit.labelled {
                let (tapped, left) = (at - rng.range(100, 400) as i64 * MILLI, at + 1500 * MILLI);
                experiments.push(Tester::new(user).experiment("random", habit.task, tapped, left));
            }
            events.push((at, habit));
            at += rng.range(2000, 9000) as i64 * MILLI;
        }
        *now = at + SECOND;
        for habit in habits {
            let Some(period) = habit.period else { continue };
            let mut beat = begin + period as i64 * SECOND;
            while beat < at {
                events.push((beat, habit));
                beat += period as i64 * SECOND + rng.range(0, 300) as i64 * MILLI;
            }
        }
        events.sort_by_key(|(at, _)| *at);
        for (at, habit) in events {
            self.ask(at, 0, habit, rng);
            if let Some(next) = habit.triggers {
                self.ask(0, rng.range(20, 300) as i64 * MILLI, &habits[next], rng);
            }
        }
    }

    /// A request and its response.
    fn ask(&mut self, at: i64, delay: i64, habit: &Habit, rng: &mut Rng) {
        let transaction = rng.next();
        let mut number = None;
        for (response, mean) in [(false, habit.sizes.0), (true, habit.sizes.1)] {
            let side = if response { 1 - habit.side } else { habit.side };
            let sequence = match number {
                Some(number) if self.echo => number,
                _ => self.count(if self.echo { UP } else { side }),
            };
            number = Some(sequence);
            let body = rng.log_normal(mean, 0.4).clamp(0.0, mean * 2.5) as u64;
            let len = (u64::from(self.layout.header) + body).min(self.layout.most());
            let message = Message {
                layout: 0,
                task: habit.task,
                opcode: habit.opcode,
                response,
                sequence,
                transaction,
                len,
            };
            let (at, delay) = if response {
                (0, rng.range(1, 30) as i64 * MILLI)
            } else {
                (at, delay.max(MILLI))
            };
            self.turns.push(Turn { side, at, delay, again: false, messages: vec![message] });
        }
    }

    fn count(&mut self, side: usize) -> u64 {
        let number = self.numbers[side];
        self.numbers[side] = (number + 1) & self.mask;
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_findable_and_fit() {
        let mut kinds = std::collections::HashSet::new();
        for seed in 0..500 {
            let mut rng = Rng::new(seed);
            for longest in [8, 16, 32] {
                let fields = draw(longest, "tcp", &mut rng);
                assert!(findable(&fields), "{fields:?}");
                let layout = Layout::new(0, "random", "tcp", fields);
                layout.check().unwrap();
                assert!(layout.header <= longest);
                assert!(layout.has_opcode());
                kinds.extend(layout.fields.iter().map(|f| std::mem::discriminant(&f.kind)));
            }
        }
        assert_eq!(kinds.len(), 11, "every kind of field is drawn");
    }
}
