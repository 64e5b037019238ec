//! The cell at work: an event queue by time, from which agents start flows and flows emit
//! packets.
//!
//! Everything happens in order of time, so the capture is written as it is made and only living
//! flows are held. One thread does it all: the same seed gives the same bytes anywhere.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{BufWriter, Write};

use ottoscope_wire::build::Gtpu;
use ottoscope_wire::build::pcap::{PcapWriter, Resolution};
use ottoscope_wire::{LinkType, Tcp};

use crate::SynthError;
use crate::apps::{self, Agent};
use crate::context::Context;
use crate::flow::{Carrier, Ends, Flow, note, trace};
use crate::frame::{self, Outer};
use crate::rng::Rng;
use crate::scenario::{Encapsulation, Scenario};
use crate::tcp::UP;
use crate::truth::{Totals, TruthSink};
use crate::world::{self, User, World};

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at: i64,
    /// Breaks ties by age.
    order: u64,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Agent(u32),
    Flow(u32),
}

/// Makes the capture of `scenario` into `out`, and tells the truth about it to `truth`.
///
/// The same scenario and seed give the same bytes on every machine. Packets have strictly rising
/// times. Memory grows with users and living flows, not with packets.
///
/// # Errors
/// When the scenario is not valid, or `out` or `truth` fail.
pub fn generate(
    scenario: &Scenario,
    seed: u64,
    out: &mut impl Write,
    truth: &mut impl TruthSink,
) -> Result<Totals, SynthError> {
    run(scenario, seed, |begin, _, rng| apps::cast(scenario, begin, rng), out, truth)
}

/// The same with agents of the caller's choice: `cast` is given when everything begins, and the
/// users, whose devices it may exchange.
pub(crate) fn run(
    scenario: &Scenario,
    seed: u64,
    cast: impl FnOnce(i64, &mut [User], &mut Rng) -> Vec<(i64, Agent)>,
    out: &mut impl Write,
    truth: &mut impl TruthSink,
) -> Result<Totals, SynthError> {
    scenario.check()?;
    let mut rng = Rng::new(seed);
    let world = World::new(scenario, &mut rng.fork());
    let mut who = rng.fork();
    let mut users: Vec<User> = (0..scenario.users).map(|_| User::new(scenario, &mut who)).collect();
    let start = scenario.start_nanos()?;
    let begin = start - scenario.warm_up.0;
    let mut queue = BinaryHeap::new();
    let mut order = 0;
    let mut agents = Vec::new();
    for (at, agent) in cast(begin, &mut users, &mut rng) {
        queue.push(Reverse(Event { at, order, what: What::Agent(agents.len() as u32) }));
        agents.push(agent);
        order += 1;
    }
    let mut cell = Cell {
        writer: PcapWriter::new(
            BufWriter::with_capacity(256 * 1024, out),
            LinkType::ETHERNET,
            Resolution::Nano,
        )
        .map_err(SynthError::Capture)?,
        scenario,
        start,
        end: start + scenario.duration.0,
        totals: Totals { file: 24, ..Totals::default() },
        clock: i64::MIN,
        frame: Vec::with_capacity(2048),
        pauses: 0,
    };
    let mut flows: Vec<Option<Flow>> = Vec::new();
    let mut free: Vec<u32> = Vec::new();
    let mut started: Vec<Flow> = Vec::new();
    while let Some(Reverse(event)) = queue.pop() {
        if event.at >= cell.end {
            break;
        }
        let next = match event.what {
            What::Agent(index) => {
                let agent: &mut Agent = &mut agents[index as usize];
                let mut context = Context {
                    scenario,
                    world: &world,
                    users: &mut users,
                    started: &mut started,
                    start,
                };
                agent.wake(event.at, &mut context).map(|at| at.max(event.at + 1))
            }
            What::Flow(index) => match &mut flows[index as usize] {
                Some(flow) => {
                    cell.emit(flow, &mut users[flow.user as usize], truth)?;
                    match flow.next_at() {
                        Some(at) => Some(at),
                        None => {
                            if let Some(flow) = flows[index as usize].take() {
                                free.push(index);
                                cell.finish(flow, false, truth)?;
                            }
                            None
                        }
                    }
                }
                None => None,
            },
        };
        if let Some(at) = next {
            queue.push(Reverse(Event { at, order, what: event.what }));
            order += 1;
        }
        for mut flow in started.drain(..) {
            let Some(at) = flow.next_at() else { continue };
            let index = free.pop().unwrap_or_else(|| {
                flows.push(None);
                flows.len() as u32 - 1
            });
            flows[index as usize] = Some(flow);
            queue.push(Reverse(Event { at, order, what: What::Flow(index) }));
            order += 1;
        }
    }
    for flow in flows.into_iter().flatten() {
        cell.finish(flow, true, truth)?;
    }
    let Cell { mut totals, writer, .. } = cell;
    writer.finish().map_err(SynthError::Capture)?;
    totals.users = users.iter().filter(|u| u.seen).count() as u64;
    truth.totals(&totals).map_err(SynthError::Truth)?;
    Ok(totals)
}

struct Cell<'a, W: Write> {
    scenario: &'a Scenario,
    writer: PcapWriter<BufWriter<&'a mut W>>,
    start: i64,
    end: i64,
    totals: Totals,
    /// Time of the last packet.
    clock: i64,
    frame: Vec<u8>,
    pauses: u32,
}

impl<W: Write> Cell<'_, W> {
    /// Writes the flow's next packet, or drops it where the capture has not begun.
    fn emit(
        &mut self,
        flow: &mut Flow,
        user: &mut User,
        sink: &mut impl TruthSink,
    ) -> Result<(), SynthError> {
        let Flow { user: index, carrier, truth, .. } = flow;
        let outer = |side: usize| match self.scenario.capture.encapsulation {
            Encapsulation::None => Outer::Plain,
            Encapsulation::Vlan => Outer::Vlan(self.scenario.capture.vlan),
            Encapsulation::GtpU => {
                let [radio, core] = world::tunnel_ends(*index);
                let teid = world::tunnel_ids(*index)[side];
                Outer::Gtp { radio, core, tunnel: Gtpu { teid, qfi: self.scenario.capture.qfi } }
            }
        };
        let ends = Ends {
            addresses: [truth.client, truth.server],
            ports: [truth.client_port, truth.server_port],
        };
        let (at, side, len, repeated, copy) = match carrier {
            Carrier::Tcp(connection) => {
                let Some((segment, message)) = connection.pop() else { return Ok(()) };
                let side = usize::from(segment.side);
                let first = !std::mem::replace(&mut flow.started, true);
                if segment.at < self.start {
                    return Ok(());
                }
                truth.whole |= first;
                let at = self.stamp(segment.at);
                let repeated = segment.repeats.is_some_and(|before| before >= self.start);
                match segment.flags & (Tcp::SYN | Tcp::ACK) {
                    Tcp::SYN if flow.syn.is_none() => flow.syn = Some(at),
                    flags if flags == Tcp::SYN | Tcp::ACK && flow.syn_ack.is_none() => {
                        flow.syn_ack = Some(at);
                        truth.rtt_server = flow.syn.map(|syn| at - syn);
                    }
                    Tcp::ACK if side == UP && truth.rtt_client.is_none() && !segment.copy => {
                        truth.rtt_client = flow.syn_ack.map(|answered| at - answered);
                    }
                    _ => {}
                }
                let content = message.as_ref().map(|m| &m.content);
                frame::wrap(&mut self.frame, outer(side), side == UP, |out| {
                    ends.segment(out, user.stack, &segment, content, u64::from(*index));
                });
                if let Some(message) = message {
                    let (from, to) = (segment.offset, segment.offset + u64::from(segment.len));
                    // Sequence numbers are relative to the SYN's, which counts as a byte.
                    let place = u64::from(segment.seq.wrapping_sub(1));
                    if flow.traced {
                        let place = (place, to - from);
                        let starts = message.parts.iter().map(|part| part.from);
                        let starts = starts.filter(|start| (from..to).contains(start));
                        let starts = starts.map(|start| (start - from) as u32).collect();
                        let told = trace(truth, at, side, place, repeated, starts);
                        sink.segment(&told).map_err(SynthError::Truth)?;
                    }
                    for part in &mut message.parts {
                        let inside = to.min(part.to).saturating_sub(from.max(part.from));
                        let new = if repeated { 0 } else { inside };
                        let (mark, size) = (Some(part.mark), (new, part.to - part.from));
                        if let Some(mut told) = note(truth, &mut part.row, mark, at, side, size) {
                            if flow.traced {
                                told.offset = Some(place - from + part.from);
                            }
                            sink.message(&told).map_err(SynthError::Truth)?;
                        }
                    }
                }
                (at, side, usize::from(segment.len), repeated, segment.copy)
            }
            Carrier::Udp { next, .. } => {
                let Some(datagram) = next.take() else { return Ok(()) };
                let first = !std::mem::replace(&mut flow.started, true);
                if datagram.at < self.start {
                    return Ok(());
                }
                truth.whole |= first;
                let at = self.stamp(datagram.at);
                let side = datagram.side;
                let len = datagram.content.len() as usize;
                let id =
                    (truth.packets[side] as u16).wrapping_mul(7).wrapping_add(truth.client_port);
                frame::wrap(&mut self.frame, outer(side), side == UP, |out| {
                    ends.datagram(out, user.stack, &datagram, id);
                });
                if flow.traced {
                    let told = trace(truth, at, side, (0, len as u64), false, vec![0]);
                    sink.segment(&told).map_err(SynthError::Truth)?;
                }
                let part = (len as u64, len as u64);
                if let Some(mut told) = note(truth, &mut None, datagram.mark, at, side, part) {
                    if flow.traced {
                        told.offset = Some(0);
                    }
                    sink.message(&told).map_err(SynthError::Truth)?;
                }
                if let Some(dns) = &mut flow.dns {
                    match side {
                        UP => dns.asked = Some(at),
                        _ => {
                            dns.answered = at;
                            self.totals.dns += 1;
                            sink.dns(dns).map_err(SynthError::Truth)?;
                        }
                    }
                }
                (at, side, len, false, false)
            }
        };
        user.seen = true;
        let wire = self.frame.len() as u64;
        if truth.packets == [0; 2] {
            truth.first = at;
        }
        truth.last = at;
        truth.packets[side] += 1;
        truth.bytes[side] += wire;
        truth.payload[side] += len as u64;
        truth.retransmitted[side] += u32::from(repeated);
        truth.duplicated[side] += u32::from(copy);
        if self.totals.packets == 0 {
            self.totals.first = at;
        }
        self.totals.last = at;
        self.totals.packets += 1;
        self.totals.bytes += wire;
        let kept = match self.scenario.capture.snap_length as usize {
            0 => &self.frame[..],
            snap => &self.frame[..self.frame.len().min(snap)],
        };
        self.totals.captured += kept.len() as u64;
        self.totals.file += 16 + kept.len() as u64;
        self.writer.record(at, wire as u32, kept).map_err(SynthError::Capture)?;
        self.pauses += 1;
        if self.pauses.is_multiple_of(4096) {
            sink.progress((at - self.start) as f64 / (self.end - self.start) as f64);
        }
        Ok(())
    }

    /// The time of the next packet: its own, or a nanosecond after the last one.
    fn stamp(&mut self, at: i64) -> i64 {
        self.clock = at.max(self.clock.saturating_add(1));
        self.clock
    }

    /// Tells the truth of a flow that gets no further packet.
    fn finish(
        &mut self,
        flow: Flow,
        cut: bool,
        sink: &mut impl TruthSink,
    ) -> Result<(), SynthError> {
        let Flow { mut truth, carrier, answer, .. } = flow;
        if truth.packets == [0; 2] {
            return Ok(());
        }
        truth.end = match carrier {
            _ if cut => "capture-end",
            Carrier::Tcp(connection) => connection.end,
            Carrier::Udp { .. } => "silent",
        };
        truth.resolved = match answer {
            Some((answered, until)) if answered >= self.start && answered < self.end => {
                if truth.first <= until { "fresh" } else { "overrun" }
            }
            _ => "unseen",
        };
        self.totals.flow(&truth, sink)
    }
}
