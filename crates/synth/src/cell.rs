//! The cell at work: an event queue by time, from which agents start flows and flows emit
//! packets.
//!
//! Everything happens in order of time, so the capture is written as it is made and only living
//! flows are held. One thread does it all: the same seed gives the same bytes anywhere.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Write;

use crate::SynthError;
use crate::apps::{self, Agent};
use crate::content::Content;
use crate::frame::{self, ACK, Ip, Outer, RST, SYN, Tcp};
use crate::pcap::PcapWriter;
use crate::rng::Rng;
use crate::scenario::{Encapsulation, Scenario};
use crate::tcp::{Connection, Mark, Path, Script, UP};
use crate::truth::{DnsTruth, FlowTruth, MessageTruth, Totals, TruthSink};
use crate::world::{self, Cached, User, World};

/// One UDP packet.
#[derive(Debug)]
pub(crate) struct Datagram {
    /// When it passes the capture point.
    pub at: i64,
    pub side: usize,
    pub content: Content,
    pub mark: Option<Mark>,
}

/// An application over UDP: its packets in order of time.
pub(crate) trait Talk {
    fn next(&mut self, rng: &mut Rng) -> Option<Datagram>;
}

/// Packets known from the start.
impl Talk for std::collections::VecDeque<Datagram> {
    fn next(&mut self, _rng: &mut Rng) -> Option<Datagram> {
        self.pop_front()
    }
}

enum Carrier {
    Tcp(Box<Connection>),
    Udp { talk: Box<dyn Talk>, next: Option<Datagram>, rng: Rng },
}

/// A living flow.
pub(crate) struct Flow {
    user: u32,
    carrier: Carrier,
    truth: Box<FlowTruth>,
    /// Answer that the address came from: when captured, and the end of its time to live.
    answer: Option<(i64, i64)>,
    dns: Option<Box<DnsTruth>>,
    started: bool,
    syn: Option<i64>,
    syn_ack: Option<i64>,
}

/// Whose a new flow is, for the truth.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub app: &'static str,
    pub service: &'static str,
    pub protocol: &'static str,
    /// Index of the host that was asked for.
    pub host: Option<usize>,
    /// Whether the flow itself says the host's name.
    pub says_name: bool,
}

/// Where a flow goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    /// Address index, see [`World::address`].
    pub address: u32,
    pub port: u16,
    /// When the user knows the address, by the user's clock.
    pub at: i64,
    pub answer: Option<(i64, i64)>,
    /// Nanoseconds between capture point and server, both ways.
    pub rtt: i64,
}

/// What an agent may do when it wakes.
pub(crate) struct Context<'a> {
    pub scenario: &'a Scenario,
    pub world: &'a World,
    pub users: &'a mut [User],
    started: &'a mut Vec<Flow>,
    /// The capture's start.
    pub start: i64,
}

impl Context<'_> {
    /// Looks a host up as the user's device does: in its memory, else by DNS.
    pub(crate) fn resolve(&mut self, user: u32, host: usize, port: u16, now: i64, rng: &mut Rng) -> Target {
        const HOUR: i64 = 3_600_000_000_000;
        let entry = &self.world.hosts[host];
        let (ttl, rtt) = (entry.ttl, entry.rtt);
        let who = &mut self.users[user as usize];
        let known = who.known(host);
        if let Some(known) = known {
            let grace = if who.overruns { HOUR } else { 0 };
            if now < known.until + grace {
                let Cached { address, answer, .. } = known;
                return Target { address, port, at: now, answer, rtt };
            }
        }
        let turn = rng.below(u64::from(entry.count)) as u32;
        let address = entry.first + turn;
        let lives = i64::from(ttl) * 1_000_000_000;
        let (at, answer) = if rng.chance(self.scenario.dns.unseen) {
            (now, known.and_then(|k| k.answer))
        } else {
            let (at, answered) = apps::dns::look_up(self, user, host, turn, now, rng);
            (at, Some((answered, answered + lives)))
        };
        let entry = Cached { host: host as u32, address, until: at + lives, answer };
        self.users[user as usize].remember(entry, now);
        Target { address, port, at, answer, rtt }
    }

    /// Starts a TCP flow; the client's SYN leaves at `at` of its clock.
    pub(crate) fn tcp(
        &mut self,
        user: u32,
        target: &Target,
        owner: &Owner,
        at: i64,
        script: Box<dyn Script>,
        rng: &mut Rng,
    ) {
        let who = &mut self.users[user as usize];
        let network = &self.scenario.network;
        let path = Path {
            half: [who.half, target.rtt / 2],
            per_byte: [(8000.0 / network.up_mbps) as i64, (8000.0 / network.down_mbps) as i64],
            loss: network.loss,
            reorder: network.reorder,
            duplicate: network.duplicate,
            v6: who.v6,
        };
        let port = who.port();
        let connection = Connection::open(at, path, who.stack, script, rng.fork());
        self.start(user, port, target, owner, Carrier::Tcp(Box::new(connection)), None);
    }

    /// Starts a UDP flow from `port`, or a new one.
    pub(crate) fn udp(
        &mut self,
        user: u32,
        port: Option<u16>,
        target: &Target,
        owner: &Owner,
        talk: Box<dyn Talk>,
        rng: &mut Rng,
    ) {
        let port = port.unwrap_or_else(|| self.users[user as usize].port());
        let carrier = Carrier::Udp { talk, next: None, rng: rng.fork() };
        self.start(user, port, target, owner, carrier, None);
    }

    /// Starts a DNS exchange with the resolver.
    pub(crate) fn dns(&mut self, user: u32, mut dns: DnsTruth, talk: Box<dyn Talk>, rng: &mut Rng) {
        let who = &mut self.users[user as usize];
        dns.client_port = who.port();
        dns.client = world::user_address(user, who.v6);
        dns.resolver = World::resolver(who.v6);
        let owner =
            Owner { app: "dns", service: "resolver", protocol: "dns", host: None, says_name: false };
        let target = Target { address: 0, port: 53, at: 0, answer: None, rtt: 0 };
        let carrier = Carrier::Udp { talk, next: None, rng: rng.fork() };
        self.start(user, dns.client_port, &target, &owner, carrier, Some(Box::new(dns)));
    }

    fn start(
        &mut self,
        user: u32,
        client_port: u16,
        target: &Target,
        owner: &Owner,
        carrier: Carrier,
        dns: Option<Box<DnsTruth>>,
    ) {
        let who = &self.users[user as usize];
        let host = owner.host.map(|host| self.world.hosts[host].name.clone());
        let server = match &dns {
            Some(dns) => dns.resolver,
            None => World::address(target.address, who.v6),
        };
        let truth = FlowTruth {
            first: 0,
            last: 0,
            transport: if matches!(carrier, Carrier::Tcp(_)) { "tcp" } else { "udp" },
            client: world::user_address(user, who.v6),
            client_port,
            server,
            server_port: target.port,
            packets: [0; 2],
            bytes: [0; 2],
            payload: [0; 2],
            retransmitted: [0; 2],
            duplicated: [0; 2],
            protocol: owner.protocol,
            server_name: host.clone().filter(|_| owner.says_name),
            host,
            app: owner.app,
            service: owner.service,
            os: who.stack.name,
            resolved: "unseen",
            whole: false,
            end: "capture-end",
            teid: (self.scenario.capture.encapsulation == Encapsulation::GtpU)
                .then(|| world::tunnel_ids(user)),
            rtt_server: None,
            rtt_client: None,
            messages: Vec::new(),
        };
        self.started.push(Flow {
            user,
            carrier,
            truth: Box::new(truth),
            answer: target.answer,
            dns,
            started: false,
            syn: None,
            syn_ack: None,
        });
    }

    /// Activity at `at` relative to the busiest hour, 0 to 1.
    pub(crate) fn activity(&self, at: i64) -> f64 {
        let hour = at.div_euclid(3_600_000_000_000).rem_euclid(24) as usize;
        let hours = &self.scenario.profile.hours;
        let most = hours.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        hours.get(hour).copied().unwrap_or(0.0) / most
    }
}

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
    scenario.check()?;
    let mut rng = Rng::new(seed);
    let world = World::new(scenario, &mut rng.fork());
    let mut who = rng.fork();
    let mut users: Vec<User> =
        (0..scenario.users).map(|_| User::new(scenario, &mut who)).collect();
    let start = scenario.start_nanos()?;
    let begin = start - scenario.warm_up.0;
    let mut queue = BinaryHeap::new();
    let mut order = 0;
    let mut agents = Vec::new();
    for (at, agent) in apps::cast(scenario, begin, &mut rng) {
        queue.push(Reverse(Event { at, order, what: What::Agent(agents.len() as u32) }));
        agents.push(agent);
        order += 1;
    }
    let mut cell = Cell {
        writer: PcapWriter::new(out, scenario.capture.snap_length).map_err(SynthError::Capture)?,
        scenario,
        start,
        end: start + scenario.duration.0,
        totals: Totals::default(),
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
    totals.file = writer.finish().map_err(SynthError::Capture)?;
    totals.users = users.iter().filter(|u| u.seen).count() as u64;
    truth.totals(&totals).map_err(SynthError::Truth)?;
    Ok(totals)
}

struct Cell<'a, W: Write> {
    scenario: &'a Scenario,
    writer: PcapWriter<'a, W>,
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
        let outer = |up: bool| match self.scenario.capture.encapsulation {
            Encapsulation::None => Outer::Plain,
            Encapsulation::Vlan => Outer::Vlan(self.scenario.capture.vlan),
            Encapsulation::GtpU => {
                let [radio, core] = world::tunnel_ends(*index);
                let (from, to) = if up { (radio, core) } else { (core, radio) };
                let teid = world::tunnel_ids(*index)[usize::from(!up)];
                Outer::Gtp { from, to, teid, qfi: self.scenario.capture.qfi, up }
            }
        };
        let (at, side, len, repeated, copy) = match carrier {
            Carrier::Tcp(connection) => {
                let stack = user.stack;
                let Some((segment, message)) = connection.pop() else { return Ok(()) };
                let side = usize::from(segment.side);
                let first = !std::mem::replace(&mut flow.started, true);
                if segment.at < self.start {
                    return Ok(());
                }
                truth.whole |= first;
                let at = self.stamp(segment.at);
                let repeated = segment.repeats.is_some_and(|before| before >= self.start);
                match segment.flags & (SYN | ACK) {
                    SYN if flow.syn.is_none() => flow.syn = Some(at),
                    flags if flags == SYN | ACK && flow.syn_ack.is_none() => {
                        flow.syn_ack = Some(at);
                        truth.rtt_server = flow.syn.map(|syn| at - syn);
                    }
                    ACK if side == UP && truth.rtt_client.is_none() && !segment.copy => {
                        truth.rtt_client = flow.syn_ack.map(|answered| at - answered);
                    }
                    _ => {}
                }
                let mut options = [0; 40];
                let syn = segment.flags & SYN != 0;
                let n = match (syn, side) {
                    (true, UP) => stack.syn(segment.stamp, &mut options),
                    (true, _) => stack.syn_ack(segment.stamp, segment.echo, &mut options),
                    _ if segment.flags & RST != 0 => 0,
                    _ => stack.later(segment.stamp, segment.echo, &mut options),
                };
                let isn = crate::rng::mix(
                    u64::from(*index) << 32
                        | u64::from(truth.client_port) << 16
                        | u64::from(truth.server_port),
                );
                let isn = [isn as u32, (isn >> 32) as u32];
                let header = Tcp {
                    from: [truth.client_port, truth.server_port][side],
                    to: [truth.server_port, truth.client_port][side],
                    seq: isn[side].wrapping_add(segment.seq),
                    ack: if segment.flags & ACK == 0 {
                        0
                    } else {
                        isn[1 - side].wrapping_add(segment.ack)
                    },
                    flags: segment.flags,
                    window: stack.advertised(side, syn),
                    options: &options[..n],
                };
                let len = usize::from(segment.len);
                let ip = ip(truth, side, stack.ttl, segment.ip_id);
                let content = message.as_ref().map(|m| &m.content);
                frame::tcp(&mut self.frame, outer(side == UP), side == UP, &ip, &header, len, |b| {
                    if let Some(content) = content {
                        content.fill(segment.offset, b);
                    }
                });
                if let Some(message) = message {
                    let whole = message.content.len();
                    let new = if repeated { 0 } else { u64::from(segment.len) };
                    note(truth, &mut message.row, message.mark, at, side, (segment.offset, new, whole));
                }
                (at, side, len, repeated, segment.copy)
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
                let ports = [
                    (truth.client_port, truth.server_port),
                    (truth.server_port, truth.client_port),
                ][side];
                let id = (truth.packets[side] as u16).wrapping_mul(7).wrapping_add(truth.client_port);
                let ip = ip(truth, side, user.stack.ttl, id);
                frame::udp(&mut self.frame, outer(side == UP), side == UP, &ip, ports, len, |b| {
                    datagram.content.fill(0, b);
                });
                note(truth, &mut None, datagram.mark, at, side, (0, len as u64, len as u64));
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
        self.totals.captured +=
            self.writer.packet(at, &self.frame).map_err(SynthError::Capture)?;
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
        truth.messages.retain(|message| message.seen == message.bytes);
        self.totals.flow(&truth, sink)
    }
}

impl Flow {
    /// When its next packet is due; none when it has ended.
    fn next_at(&mut self) -> Option<i64> {
        match &mut self.carrier {
            Carrier::Tcp(connection) => connection.next_at(),
            Carrier::Udp { talk, next, rng } => {
                if next.is_none() {
                    *next = talk.next(rng);
                }
                next.as_ref().map(|datagram| datagram.at)
            }
        }
    }
}

/// The IP header of a packet; servers' hop limits have 64 at the start and some hops behind.
fn ip(truth: &FlowTruth, side: usize, client_ttl: u8, id: u16) -> Ip {
    if side == UP {
        Ip { from: truth.client, to: truth.server, ttl: client_ttl, id }
    } else {
        Ip { from: truth.server, to: truth.client, ttl: 52, id }
    }
}

/// Counts part of a marked message: offset, new bytes, bytes of the whole.
fn note(
    truth: &mut FlowTruth,
    row: &mut Option<usize>,
    mark: Option<Mark>,
    at: i64,
    side: usize,
    (offset, new, whole): (u64, u64, u64),
) {
    let Some(mark) = mark else { return };
    let index = match *row {
        Some(index) => index,
        None if offset == 0 => {
            truth.messages.push(MessageTruth {
                first: at,
                last: at,
                direction: if side == UP { "up" } else { "down" },
                task: mark.task,
                opcode: mark.opcode,
                sequence: mark.sequence,
                bytes: whole,
                seen: 0,
            });
            *row.insert(truth.messages.len() - 1)
        }
        None => return,
    };
    if let Some(message) = truth.messages.get_mut(index)
        && new > 0
    {
        message.seen += new;
        message.last = at;
    }
}
