//! What the table keeps of one flow: hot counters inline, the rest beside.

mod beside;
mod tcp;

use crate::cold::{Carried, Cold, Detail, Handshake, Place, Sampled, Slab, UNKNOWN, known};
use crate::config::Config;
use crate::key::{FlowKey, ShortKey, Wide};
use crate::model::{Bin, Direction, Facts, Flow, FlowEnd, FlowId, Side, Tally, Transport};
use crate::time::{Span, Timestamp};
use ottoscope_wire::packet::{Packet, Tcp};

/// A closed TCP flow still takes stray packets (last acknowledgements, repeated FIN) this long.
const LINGER: Span = Span::from_seconds(60);

/// One second's counts, but for SYN, FIN and RST.
#[derive(Debug, Clone, Copy, Default)]
struct Second {
    second: i64,
    packets: [u32; 2],
    bytes: [u32; 2],
}

/// A flow in the table: what every packet touches. Counters have 32 bits; what that cannot hold
/// is [`Carried`], by the few flows that need it.
pub(crate) struct Entry {
    pub(crate) key: ShortKey,
    pub(crate) id: FlowId,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    packets: [u32; 2],
    bytes: [u32; 2],
    payload: [u32; 2],
    bin: Second,
    /// Segments with SYN, FIN and RST in the second under way.
    controls: [u16; 3],
    /// Valid with [`flag::VLAN`].
    vlan: u16,
    /// Where its parts in [`Cold`] are.
    pub(crate) detail: Option<Place>,
    handshake: Option<Place>,
    pub(crate) live: Option<Place>,
    /// Smallest data round trip in nanoseconds, or [`UNKNOWN`].
    rtt_data: u64,
    /// When the segment was sent whose acknowledgement ends the running data round trip, valid
    /// with [`flag::TIMED`].
    timed_at: Timestamp,
    /// The sequence number that acknowledges it.
    timed_end: u32,
    /// Next sequence number by direction, valid with [`flag::SEQUENCE`].
    next: [u32; 2],
    retransmitted: [u32; 2],
    /// Rises whenever the slot's timers become void.
    pub(crate) generation: u32,
    /// See [`flag`].
    flags: u32,
}

/// What is known of a flow, bit by bit. Pairs are by direction: the second is one to the left.
mod flag {
    /// The slot holds a flow.
    pub(super) const USED: u32 = 1;
    /// The client is the lower end of the key.
    pub(super) const CLIENT_IS_LOWER: u32 = 1 << 1;
    /// FIN or RST ended the connection and its timer was shortened.
    pub(super) const CLOSE_TOLD: u32 = 1 << 2;
    pub(super) const RESET: u32 = 1 << 3;
    /// A data round trip is running.
    pub(super) const TIMED: u32 = 1 << 4;
    /// Nothing more is to be learnt from payload.
    pub(super) const DECIDED: u32 = 1 << 5;
    pub(super) const SYN: u32 = 1 << 6;
    pub(super) const FIN: u32 = 1 << 8;
    pub(super) const SEQUENCE: u32 = 1 << 10;
    /// A SYN/ACK waits for its answer.
    pub(super) const ANSWERED: u32 = 1 << 12;
    /// The first payload bytes are complete.
    pub(super) const HEAD: u32 = 1 << 13;
    /// A SYN waits for its answer.
    pub(super) const ASKED: u32 = 1 << 15;
    pub(super) const BOTH: u32 = 3;
    pub(super) const VLAN: u32 = 1 << 16;
    /// The tunnel's id is known.
    pub(super) const TUNNEL: u32 = 1 << 17;
    /// The tunnel's QoS flow is known.
    pub(super) const QFI: u32 = 1 << 19;
    /// First of the three bits that hold the [`Side`](crate::model::Side).
    pub(super) const SIDE: u32 = 20;
    /// Counters overflowed into [`Carried`](super::Carried).
    pub(super) const CARRIED: u32 = 1 << 23;
    /// Bytes wait for others in front of them.
    pub(super) const HOLE: u32 = 1 << 24;
}

/// A packet with what its frame said.
#[derive(Clone, Copy)]
pub(crate) struct Arrival<'p, 'a> {
    pub(crate) packet: &'p Packet<'a>,
    pub(crate) at: Timestamp,
    /// Frames that it came in: fragments.
    pub(crate) packets: u32,
    /// Bytes of those frames on the wire.
    pub(crate) frame_bytes: u64,
}

/// How a packet relates to the flow that holds its key.
pub(crate) enum Fit {
    /// It continues the flow.
    Same,
    /// The flow is over and the packet begins another.
    Next(FlowEnd),
}

/// Sides by their number in [`Entry::flags`].
const SIDES: [Side; 5] = [Side::Syn, Side::Port, Side::Prefix, Side::Private, Side::First];

/// Adds to a counter, and says what it cannot hold in units of 2^32.
fn add(counter: &mut u32, more: u64) -> u32 {
    let sum = u64::from(*counter) + more;
    *counter = sum as u32;
    (sum >> 32) as u32
}

/// A counter with what it could not hold.
fn full(counter: u32, carried: u32) -> u64 {
    u64::from(carried) << 32 | u64::from(counter)
}

// Less than three lines of a core's cache.
const _: () = assert!(size_of::<Entry>() == 152);

impl Entry {
    pub(crate) fn new(
        key: &FlowKey,
        forward: bool,
        packet: &Packet<'_>,
        at: Timestamp,
        config: &Config,
        cold: &mut Cold,
    ) -> Self {
        let (sender_is_client, side) = crate::side::sender_is_client(
            (packet.source, packet.source_port),
            (packet.destination, packet.destination_port),
            Transport::from_ip(packet.ip_protocol),
            packet.tcp.flags,
            &config.clients,
        );
        let mut flags = flag::USED | (side as u32) << flag::SIDE;
        if packet.vlan.is_some() {
            flags |= flag::VLAN;
        }
        if sender_is_client == forward {
            flags |= flag::CLIENT_IS_LOWER;
        }
        if !matches!(key.protocol(), 6 | 17) || !config.dissect {
            flags |= flag::DECIDED;
        }
        Entry {
            key: ShortKey::new(key, &mut cold.wide),
            id: key.id(at, config.flow_key),
            first: at,
            last: at,
            packets: [0; 2],
            bytes: [0; 2],
            payload: [0; 2],
            bin: Second::default(),
            controls: [0; 3],
            vlan: packet.vlan.unwrap_or_default(),
            detail: None,
            handshake: None,
            live: None,
            rtt_data: UNKNOWN,
            timed_at: Timestamp(0),
            timed_end: 0,
            next: [0; 2],
            retransmitted: [0; 2],
            generation: 0,
            flags,
        }
    }

    fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Whether the slot holds a flow.
    pub(crate) fn used(&self) -> bool {
        self.has(flag::USED)
    }

    /// Gives the slot up; its timers are void.
    pub(crate) fn leave(&mut self) {
        self.flags &= !flag::USED;
        self.generation = self.generation.wrapping_add(1);
    }

    /// Whether payload may still tell something.
    pub(crate) fn undecided(&self) -> bool {
        !self.has(flag::DECIDED)
    }

    /// Whether the packet means something to whoever reads the flow: payload, a SYN that says
    /// where payload will begin, an acknowledgement of what is missing.
    pub(crate) fn concerns_reader(&self, packet: &Packet<'_>) -> bool {
        packet.payload_len > 0
            || packet.ip_protocol == 6
                && self.live.is_some()
                && (packet.tcp.flags & Tcp::SYN != 0 || self.has(flag::HOLE))
    }

    /// Notes whether its reader waits for bytes in front of others.
    pub(crate) fn set_hole(&mut self, hole: bool) {
        self.flags = (self.flags & !flag::HOLE) | (u32::from(hole) * flag::HOLE);
    }

    /// Reads some of each line of the core's cache that it lies in.
    #[inline]
    pub(crate) fn touch(&self) -> u64 {
        let words = self.id.0
            ^ self.last.0.cast_unsigned()
            ^ self.bin.second.cast_unsigned()
            ^ self.rtt_data
            ^ self.timed_at.0.cast_unsigned();
        let halves = self.packets[0] ^ self.next[0] ^ self.retransmitted[0] ^ self.flags;
        words ^ u64::from(halves) ^ u64::from(self.key.ports().0) ^ u64::from(self.controls[0])
    }

    /// The same of what lies beside it and is needed when it goes.
    pub(crate) fn touch_beside(&self, cold: &Cold) -> u64 {
        let handshake = self.handshake.map_or(0, |place| cold.handshakes[place].touch());
        let live = self.live.map_or(0, |place| cold.lives[place].touch(&cold.streams));
        let detail = self.detail.map(|place| &cold.details[place]);
        let facts = detail.and_then(|detail| detail.facts).map(|place| cold.facts[place].touch());
        handshake ^ live ^ detail.map_or(0, Detail::touch) ^ facts.unwrap_or(0)
    }

    /// From now on the flow costs only counters.
    pub(crate) fn decide(&mut self) {
        self.flags |= flag::DECIDED;
    }

    /// The sequence number of a direction's SYN, where one was seen.
    pub(crate) fn syn_of(&self, d: usize, cold: &Cold) -> Option<u32> {
        let handshake = self.handshake.filter(|_| self.has(flag::SYN << d))?;
        Some(cold.handshakes[handshake].syn_sequence[d])
    }

    pub(crate) fn direction(&self, forward: bool) -> Direction {
        if forward == self.has(flag::CLIENT_IS_LOWER) { Direction::Up } else { Direction::Down }
    }

    pub(crate) fn transport(&self) -> Transport {
        Transport::from_ip(self.key.protocol())
    }

    fn closed(&self) -> Option<FlowEnd> {
        if self.has(flag::RESET) {
            Some(FlowEnd::Reset)
        } else if (self.flags / flag::FIN) & flag::BOTH == flag::BOTH {
            Some(FlowEnd::Fin)
        } else {
            None
        }
    }

    /// True once, when FIN or RST have ended the connection.
    pub(crate) fn just_closed(&mut self) -> bool {
        let closed = !self.has(flag::CLOSE_TOLD) && self.closed().is_some();
        if closed {
            self.flags |= flag::CLOSE_TOLD;
        }
        closed
    }

    /// The client's and the server's port.
    pub(crate) fn ports(&self) -> (u16, u16) {
        let (lower, upper) = self.key.ports();
        if self.has(flag::CLIENT_IS_LOWER) { (lower, upper) } else { (upper, lower) }
    }

    /// Silence after which the flow is over.
    pub(crate) fn timeout(&self, config: &Config) -> Span {
        match self.key.protocol() {
            6 if self.closed().is_some() => LINGER.min(config.tcp_idle),
            6 => config.tcp_idle,
            _ => config.udp_idle,
        }
    }

    /// The end that applies when nothing more comes.
    pub(crate) fn silent_end(&self, now: Timestamp, config: &Config) -> FlowEnd {
        self.closed().unwrap_or(if now - self.last > self.timeout(config) {
            FlowEnd::Idle
        } else {
            FlowEnd::CaptureEnd
        })
    }

    pub(crate) fn fits(
        &self,
        direction: Direction,
        packet: &Packet<'_>,
        at: Timestamp,
        config: &Config,
        cold: &Cold,
    ) -> Fit {
        if at - self.last > self.timeout(config) {
            return Fit::Next(self.closed().unwrap_or(FlowEnd::Idle));
        }
        let opens = packet.ip_protocol == 6
            && packet.tcp.flags & (Tcp::SYN | Tcp::ACK | Tcp::RST) == Tcp::SYN;
        if opens {
            let d = direction.index();
            if let Some(end) = self.closed() {
                return Fit::Next(end);
            }
            // The same SYN again is a retransmission, and a first SYN from the other side of a
            // connection that opened with one is a simultaneous open.
            let seen = |d: usize| self.has(flag::SYN << d);
            let repeated = self.syn_of(d, cold) == Some(packet.tcp.seq);
            let simultaneous = !seen(d) && seen(1 - d) && !self.has(flag::SEQUENCE << d);
            if !repeated && !simultaneous {
                return Fit::Next(FlowEnd::Reused);
            }
        }
        Fit::Same
    }

    /// Counts a packet. Returns the finished second if it began a new one.
    #[inline]
    pub(crate) fn count(
        &mut self,
        direction: Direction,
        arrival: &Arrival<'_, '_>,
        config: &Config,
        cold: &mut Cold,
    ) -> Option<Bin> {
        let Arrival { packet, at, packets, frame_bytes } = *arrival;
        let d = direction.index();
        // A forged IP length must not count for more than the frame.
        let payload = u64::from(packet.payload_len).min(frame_bytes);
        let over = [
            add(&mut self.packets[d], packets.into()),
            add(&mut self.bytes[d], frame_bytes),
            add(&mut self.payload[d], payload),
        ];
        if over != [0; 3] {
            self.carry(d, over, 0, cold);
        }
        let before = self.last;
        self.last = self.last.max(at);
        let finished = if config.bins { self.bin(d, arrival, cold) } else { None };
        if packet.ip_protocol == 6 {
            self.tcp(direction, packet, at, cold);
        }
        if let Some(encapsulation) = &packet.encapsulation {
            self.tunnel(direction, encapsulation, cold);
        }
        if !packet.payload.is_empty() && !self.has(flag::HEAD << d) && config.head_bytes > 0 {
            self.keep_head(d, packet, config, cold);
        }
        if config.sample_bytes > 0 || config.sizes > 0 {
            self.keep_sample(direction, packet, at - before, config, cold);
        }
        finished
    }

    /// Keeps what counters could not hold, in units of 2^32: packets, bytes and payload, and
    /// bytes of the second under way.
    #[cold]
    fn carry(&mut self, d: usize, over: [u32; 3], second: u32, cold: &mut Cold) {
        self.flags |= flag::CARRIED;
        let detail = cold.details.own(&mut self.detail);
        let carried = cold.carried.own(&mut detail.carried);
        for (sum, over) in carried.counts[d].iter_mut().zip(over) {
            *sum += over;
        }
        carried.second[d] += second;
    }

    /// What counters could not hold.
    fn carried(&self, details: &Slab<Detail>, carried: &Slab<Carried>) -> Carried {
        let detail = self.detail.filter(|_| self.has(flag::CARRIED));
        let place = detail.and_then(|detail| details[detail].carried);
        place.map(|place| carried[place]).unwrap_or_default()
    }

    fn bin(&mut self, d: usize, arrival: &Arrival<'_, '_>, cold: &mut Cold) -> Option<Bin> {
        let Arrival { packet, at, packets, frame_bytes } = *arrival;
        let second = at.seconds();
        let finished = if second == self.bin.second { None } else { self.take_bin(cold) };
        self.bin.second = second;
        self.bin.packets[d] = self.bin.packets[d].saturating_add(packets);
        let over = add(&mut self.bin.bytes[d], frame_bytes);
        if over != 0 {
            self.carry(d, [0; 3], over, cold);
        }
        let flags = packet.tcp.flags;
        if flags & (Tcp::SYN | Tcp::FIN | Tcp::RST) != 0 && packet.ip_protocol == 6 {
            for (count, flag) in self.controls.iter_mut().zip([Tcp::SYN, Tcp::FIN, Tcp::RST]) {
                *count = count.saturating_add(u16::from(flags & flag != 0));
            }
        }
        finished
    }

    /// The second under way, if it has packets.
    pub(crate) fn take_bin(&mut self, cold: &mut Cold) -> Option<Bin> {
        let Second { second, packets, bytes } = std::mem::take(&mut self.bin);
        let [syn, fin, rst] = std::mem::take(&mut self.controls);
        let mut carried = [0; 2];
        if self.has(flag::CARRIED)
            && let Some(place) = self.detail.and_then(|detail| cold.details[detail].carried)
        {
            carried = std::mem::take(&mut cold.carried[place].second);
        }
        let bytes = [full(bytes[0], carried[0]), full(bytes[1], carried[1])];
        (packets != [0, 0]).then_some(Bin { flow: self.id, second, packets, bytes, syn, fin, rst })
    }

    /// Fills `flow` with all but facts, tunnel, heads, sample and sizes.
    pub(crate) fn describe(
        &self,
        flow: &mut Flow,
        wide: &Slab<Wide>,
        handshakes: &Slab<Handshake>,
        details: &Slab<Detail>,
        carried: &Slab<Carried>,
    ) {
        let [lower, upper] = self.key.whole(wide).ends();
        let lower_first = self.has(flag::CLIENT_IS_LOWER);
        let (client, server) = if lower_first { (lower, upper) } else { (upper, lower) };
        flow.id = self.id;
        flow.first = self.first;
        flow.last = self.last;
        flow.transport = self.transport();
        (flow.client, flow.client_port) = client;
        (flow.server, flow.server_port) = server;
        let handshake = self.handshake.map(|place| &handshakes[place]);
        let carried = self.carried(details, carried);
        let tally = |d: usize| Tally {
            packets: full(self.packets[d], carried.counts[d][0]),
            bytes: full(self.bytes[d], carried.counts[d][1]),
            payload: full(self.payload[d], carried.counts[d][2]),
            retransmitted: self.retransmitted[d],
            syn: handshake.map_or(0, |h| h.syn[d]),
            fin: handshake.map_or(0, |h| h.fin[d]),
            rst: handshake.map_or(0, |h| h.rst[d]),
        };
        (flow.up, flow.down) = (tally(0), tally(1));
        flow.side = SIDES[(self.flags >> flag::SIDE & 7) as usize % SIDES.len()];
        flow.end = FlowEnd::CaptureEnd;
        flow.vlan = self.has(flag::VLAN).then_some(self.vlan);
        flow.rtt_data = known(self.rtt_data);
        let rtt = |waits: u32, rtt: fn(&Handshake) -> u64| {
            handshake.filter(|_| !self.has(waits)).and_then(|handshake| known(rtt(handshake)))
        };
        flow.rtt_server = rtt(flag::ASKED, |handshake| handshake.server);
        flow.rtt_client = rtt(flag::ANSWERED, |handshake| handshake.client);
    }

    /// Moves what [`Entry::describe`] left out into `flow`, whose old content goes.
    pub(crate) fn hand_over(&mut self, flow: &mut Flow, cold: &mut Cold) {
        for head in &mut flow.heads {
            head.clear();
        }
        (flow.sample, flow.sizes, flow.gaps) = (None, None, None);
        flow.syn_fingerprint = None;
        (flow.tunnel, flow.facts) = (None, Facts::default());
        self.key.leave(&mut cold.wide);
        if let Some(handshake) = self.handshake.take() {
            flow.syn_fingerprint = cold.handshakes.remove(handshake).syn_fingerprint;
        }
        let Some(detail) = self.detail.take() else { return };
        let detail = cold.details.remove(detail);
        if let Some(carried) = detail.carried {
            cold.carried.remove(carried);
        }
        if let Some(facts) = detail.facts {
            flow.facts = cold.facts.remove(facts);
        }
        flow.tunnel = detail.tunnel.and_then(|tunnel| cold.tunnels.remove(tunnel));
        for (d, head) in flow.heads.iter_mut().enumerate() {
            head.extend_from_slice(detail.head(d));
        }
        if let Some(sampled) = detail.sampled {
            let Sampled { bytes, sizes, gaps, heads } = cold.sampled.remove(sampled);
            for (head, long) in flow.heads.iter_mut().zip(heads) {
                head.extend_from_slice(&long);
            }
            flow.sample = (!bytes.is_empty()).then(|| bytes.into());
            flow.sizes = (!sizes.is_empty()).then(|| sizes.into());
            flow.gaps = (!gaps.is_empty()).then(|| gaps.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_have_their_numbers() {
        assert!(SIDES.iter().enumerate().all(|(i, side)| *side as usize == i));
    }

    #[test]
    fn counters_carry() {
        let mut counter = u32::MAX - 1;
        assert_eq!((add(&mut counter, 1), counter), (0, u32::MAX));
        assert_eq!((add(&mut counter, 1), counter), (1, 0));
        assert_eq!((add(&mut counter, 3 << 32 | 5), counter), (3, 5));
        assert_eq!(full(5, 3), 3 << 32 | 5);
    }
}
