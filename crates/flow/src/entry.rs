//! What the table keeps of one flow: hot counters inline, the rest boxed.

use crate::config::Config;
use crate::dissector::Dissector;
use crate::key::FlowKey;
use crate::model::{Bin, Direction, Facts, Flow, FlowEnd, FlowId, Side, Tally, Transport, Tunnel};
use crate::stream::Stream;
use crate::time::{Span, Timestamp};
use ottoscope_wire::packet::{Encapsulation, Packet, Tcp};

/// A closed TCP flow still takes stray packets (last acknowledgements, repeated FIN) this long.
const LINGER: Span = Span::from_seconds(60);

/// One second's counts.
#[derive(Debug, Clone, Copy, Default)]
struct Second {
    second: i64,
    packets: [u32; 2],
    bytes: [u64; 2],
    syn: u16,
    fin: u16,
    rst: u16,
}

/// A flow in the table.
pub(crate) struct Entry {
    pub(crate) key: FlowKey,
    pub(crate) hash: u64,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) tally: [Tally; 2],
    bin: Second,
    /// Next sequence number by direction, valid where `sequence_known`.
    next: [u32; 2],
    /// First sequence number of a SYN by direction, valid where `syn_seen`.
    syn_sequence: [u32; 2],
    sequence_known: [bool; 2],
    syn_seen: [bool; 2],
    fin_seen: [bool; 2],
    reset: bool,
    /// The client is the lower end of the key.
    client_is_lower: bool,
    pub(crate) used: bool,
    close_told: bool,
    /// Rises whenever the slot's timers become void.
    pub(crate) generation: u32,
    side: Side,
    vlan: Option<u16>,
    /// Sequence number whose acknowledgement ends the running data round trip.
    timed: Option<(u32, Timestamp)>,
    rtt_data: Option<u64>,
    pub(crate) detail: Option<Box<Detail>>,
    pub(crate) live: Option<Box<Live>>,
}

/// Cold parts that stay until the flow ends.
#[derive(Default)]
pub(crate) struct Detail {
    pub(crate) facts: Facts,
    pub(crate) heads: [Vec<u8>; 2],
    tunnel: Option<Tunnel>,
    syn_fingerprint: Option<Box<str>>,
    syn_at: Option<Timestamp>,
    syn_ack_at: Option<Timestamp>,
    rtt_server: Option<u64>,
    rtt_client: Option<u64>,
    sample: Vec<u8>,
    sizes: Vec<i32>,
}

/// What lives only while the flow is being read.
pub(crate) struct Live {
    pub(crate) streams: [Stream; 2],
    pub(crate) reader: Reader,
    /// Protocols whose dissectors gave up, bit by index: not asked again.
    pub(crate) refused: u64,
    /// A catalogue signature that media packets matched: media protocols are shared by many
    /// apps, whose own marks in them tell whose call it is.
    pub(crate) beside: Option<Box<dyn Dissector>>,
    /// Direction of the first payload.
    pub(crate) opener: Direction,
    /// Payload packets looked at.
    pub(crate) looked: u32,
}

/// Who reads the flow.
pub(crate) enum Reader {
    /// Nobody yet: by direction, which of [`crate::dissector::ALL`] said no (bit by index).
    Probing([u64; 2]),
    /// A dissector, with its index in [`crate::dissector::ALL`], or `usize::MAX` for a signature.
    Reading(Box<dyn Dissector>, usize),
}

/// How a packet relates to the flow that holds its key.
pub(crate) enum Fit {
    /// It continues the flow.
    Same,
    /// The flow is over and the packet begins another.
    Next(FlowEnd),
}

impl Entry {
    pub(crate) fn new(
        key: FlowKey,
        hash: u64,
        forward: bool,
        packet: &Packet<'_>,
        at: Timestamp,
        config: &Config,
    ) -> Self {
        let (sender_is_client, side) = crate::side::sender_is_client(
            (packet.source, packet.source_port),
            (packet.destination, packet.destination_port),
            Transport::from_ip(packet.ip_protocol),
            packet.tcp.flags,
            &config.clients,
        );
        let client_is_lower = sender_is_client == forward;
        Entry {
            key,
            hash,
            first: at,
            last: at,
            tally: [Tally::default(); 2],
            bin: Second::default(),
            next: [0; 2],
            syn_sequence: [0; 2],
            sequence_known: [false; 2],
            syn_seen: [false; 2],
            fin_seen: [false; 2],
            reset: false,
            client_is_lower,
            used: true,
            close_told: false,
            generation: 0,
            side,
            vlan: packet.vlan,
            timed: None,
            rtt_data: None,
            detail: None,
            live: None,
        }
    }

    pub(crate) fn direction(&self, forward: bool) -> Direction {
        if forward == self.client_is_lower { Direction::Up } else { Direction::Down }
    }

    pub(crate) fn transport(&self) -> Transport {
        Transport::from_ip(self.key.protocol())
    }

    fn closed(&self) -> Option<FlowEnd> {
        if self.reset {
            Some(FlowEnd::Reset)
        } else if self.fin_seen == [true; 2] {
            Some(FlowEnd::Fin)
        } else {
            None
        }
    }

    /// True once, when FIN or RST have ended the connection.
    pub(crate) fn just_closed(&mut self) -> bool {
        let closed = !self.close_told && self.closed().is_some();
        self.close_told |= closed;
        closed
    }

    /// The client's and the server's port.
    pub(crate) fn ports(&self) -> (u16, u16) {
        let [lower, upper] = self.key.ends();
        if self.client_is_lower { (lower.1, upper.1) } else { (upper.1, lower.1) }
    }

    /// Silence after which the flow is over.
    pub(crate) fn timeout(&self, config: &Config) -> Span {
        match self.transport() {
            Transport::Tcp if self.closed().is_some() => LINGER.min(config.tcp_idle),
            Transport::Tcp => config.tcp_idle,
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
            let repeated = self.syn_seen[d] && self.syn_sequence[d] == packet.tcp.seq;
            let simultaneous = !self.syn_seen[d] && self.syn_seen[1 - d] && !self.sequence_known[d];
            if !repeated && !simultaneous {
                return Fit::Next(FlowEnd::Reused);
            }
        }
        Fit::Same
    }

    /// Counts a packet. Returns the finished second if it began a new one, and whether the
    /// packet carries TCP payload or other news.
    pub(crate) fn count(
        &mut self,
        direction: Direction,
        packet: &Packet<'_>,
        at: Timestamp,
        packets: u32,
        frame_bytes: u64,
        config: &Config,
    ) -> Option<Bin> {
        let d = direction.index();
        let tally = &mut self.tally[d];
        tally.packets += u64::from(packets);
        tally.bytes += frame_bytes;
        // A forged IP length must not count for more than the frame.
        tally.payload += u64::from(packet.payload_len).min(frame_bytes);
        self.last = self.last.max(at);
        let finished =
            if config.bins { self.bin(d, packet, at, packets, frame_bytes, config) } else { None };
        if packet.ip_protocol == 6 {
            self.tcp(direction, packet, at, config);
        }
        if let Some(encapsulation) = &packet.encapsulation {
            self.tunnel(direction, encapsulation);
        }
        if config.head_bytes > 0 && !packet.payload.is_empty() {
            self.keep_head(d, packet, config);
        }
        if config.sample_bytes > 0 || config.sizes > 0 {
            self.keep_sample(direction, packet, config);
        }
        finished
    }

    fn bin(
        &mut self,
        d: usize,
        packet: &Packet<'_>,
        at: Timestamp,
        packets: u32,
        bytes: u64,
        config: &Config,
    ) -> Option<Bin> {
        let second = at.seconds();
        let finished = (second != self.bin.second).then(|| self.take_bin(config)).flatten();
        self.bin.second = second;
        self.bin.packets[d] += packets;
        self.bin.bytes[d] += bytes;
        let flag = packet.tcp.flags;
        if flag & (Tcp::SYN | Tcp::FIN | Tcp::RST) != 0 && packet.ip_protocol == 6 {
            self.bin.syn = self.bin.syn.saturating_add(u16::from(flag & Tcp::SYN != 0));
            self.bin.fin = self.bin.fin.saturating_add(u16::from(flag & Tcp::FIN != 0));
            self.bin.rst = self.bin.rst.saturating_add(u16::from(flag & Tcp::RST != 0));
        }
        finished
    }

    /// The second under way, if it has packets.
    pub(crate) fn take_bin(&mut self, config: &Config) -> Option<Bin> {
        let second = std::mem::take(&mut self.bin);
        (second.packets != [0, 0]).then(|| Bin {
            flow: self.id(config),
            second: second.second,
            packets: second.packets,
            bytes: second.bytes,
            syn: second.syn,
            fin: second.fin,
            rst: second.rst,
        })
    }

    fn tcp(&mut self, direction: Direction, packet: &Packet<'_>, at: Timestamp, config: &Config) {
        let d = direction.index();
        let tcp = &packet.tcp;
        let flag = tcp.flags;
        let length =
            packet.payload_len + u32::from(flag & Tcp::SYN != 0) + u32::from(flag & Tcp::FIN != 0);
        let end = tcp.seq.wrapping_add(length);
        if flag & Tcp::SYN != 0 {
            self.tally[d].syn = self.tally[d].syn.saturating_add(1);
            self.syn(direction, packet, at);
            self.syn_seen[d] = true;
            self.syn_sequence[d] = tcp.seq;
        }
        if flag & Tcp::FIN != 0 {
            self.tally[d].fin = self.tally[d].fin.saturating_add(1);
            self.fin_seen[d] = true;
        }
        if flag & Tcp::RST != 0 {
            self.tally[d].rst = self.tally[d].rst.saturating_add(1);
            self.reset = true;
        }
        if length > 0 {
            if !self.sequence_known[d] {
                self.sequence_known[d] = true;
                self.next[d] = end;
            } else if (end.wrapping_sub(self.next[d]) as i32) > 0 {
                self.next[d] = end;
                if direction == Direction::Up && packet.payload_len > 0 && self.timed.is_none() {
                    self.timed = Some((end, at));
                }
            } else {
                self.tally[d].retransmitted = self.tally[d].retransmitted.saturating_add(1);
                if direction == Direction::Up {
                    self.timed = None; // Karn: a repeated segment times nothing
                }
            }
        }
        if flag & Tcp::ACK != 0 {
            self.acknowledgement(direction, packet, at, config);
        }
    }

    fn syn(&mut self, direction: Direction, packet: &Packet<'_>, at: Timestamp) {
        let repeated = self.syn_seen[direction.index()];
        let answer = packet.tcp.flags & Tcp::ACK != 0;
        let detail = self.detail.get_or_insert_default();
        if answer {
            detail.syn_ack_at = (!repeated).then_some(at);
            if let (Some(syn), Direction::Down) = (detail.syn_at.take(), direction) {
                detail.rtt_server = u64::try_from((at - syn).0).ok();
            }
        } else if direction == Direction::Up {
            detail.syn_at = (!repeated).then_some(at);
            detail.syn_fingerprint.get_or_insert_with(|| crate::fingerprint::syn(packet).into());
        }
    }

    fn acknowledgement(
        &mut self,
        direction: Direction,
        packet: &Packet<'_>,
        at: Timestamp,
        _config: &Config,
    ) {
        match direction {
            Direction::Down => {
                if let Some((end, sent)) = self.timed
                    && (packet.tcp.ack.wrapping_sub(end) as i32) >= 0
                {
                    self.timed = None;
                    if let Ok(rtt) = u64::try_from((at - sent).0) {
                        self.rtt_data = Some(self.rtt_data.map_or(rtt, |old| old.min(rtt)));
                    }
                }
            }
            Direction::Up => {
                if packet.tcp.flags & Tcp::SYN == 0
                    && let Some(detail) = self.detail.as_deref_mut()
                    && let Some(sent) = detail.syn_ack_at.take()
                {
                    detail.rtt_client = u64::try_from((at - sent).0).ok();
                }
            }
        }
    }

    fn tunnel(&mut self, direction: Direction, outer: &Encapsulation) {
        let detail = self.detail.get_or_insert_default();
        let (client_side, server_side) = match direction {
            Direction::Up => (outer.source, outer.destination),
            Direction::Down => (outer.destination, outer.source),
        };
        let tunnel = detail.tunnel.get_or_insert(Tunnel {
            kind: outer.kind,
            client_side,
            server_side,
            id_up: None,
            id_down: None,
            qfi: None,
        });
        let id = match direction {
            Direction::Up => &mut tunnel.id_up,
            Direction::Down => &mut tunnel.id_down,
        };
        if id.is_none() {
            *id = outer.id;
        }
        if tunnel.qfi.is_none() {
            tunnel.qfi = outer.qfi;
        }
    }

    fn keep_head(&mut self, d: usize, packet: &Packet<'_>, config: &Config) {
        let limit = config.head_bytes;
        let syn = (packet.ip_protocol == 6 && self.syn_seen[d]).then_some(self.syn_sequence[d]);
        let head = &mut self.detail.get_or_insert_default().heads[d];
        // A head is the first datagram's, or the stream's first bytes: what follows the SYN.
        let expected = match syn {
            Some(syn) => syn.wrapping_add(1).wrapping_add(head.len() as u32) == packet.tcp.seq,
            None => head.is_empty(),
        };
        if expected && head.len() < limit {
            let room = (limit - head.len()).min(packet.payload.len());
            head.extend_from_slice(&packet.payload[..room]);
        }
    }

    fn keep_sample(&mut self, direction: Direction, packet: &Packet<'_>, config: &Config) {
        if packet.payload_len == 0 {
            return;
        }
        let detail = self.detail.get_or_insert_default();
        let room = config.sample_bytes.saturating_sub(detail.sample.len());
        detail.sample.extend_from_slice(&packet.payload[..room.min(packet.payload.len())]);
        if detail.sizes.len() < config.sizes {
            let size = packet.payload_len.min(i32::MAX as u32) as i32;
            detail.sizes.push(if direction == Direction::Up { size } else { -size });
        }
    }

    pub(crate) fn id(&self, config: &Config) -> FlowId {
        self.key.id(self.first, config.flow_key)
    }

    /// Fills `flow` with all but facts, heads, sample and sizes.
    pub(crate) fn describe(&self, flow: &mut Flow, config: &Config) {
        let [lower, upper] = self.key.ends();
        let (client, server) = if self.client_is_lower { (lower, upper) } else { (upper, lower) };
        flow.id = self.id(config);
        flow.first = self.first;
        flow.last = self.last;
        flow.transport = self.transport();
        (flow.client, flow.client_port) = client;
        (flow.server, flow.server_port) = server;
        [flow.up, flow.down] = self.tally;
        flow.side = self.side;
        flow.end = FlowEnd::CaptureEnd;
        flow.vlan = self.vlan;
        flow.rtt_data = self.rtt_data;
        let detail = self.detail.as_deref();
        flow.rtt_server = detail.and_then(|d| d.rtt_server);
        flow.rtt_client = detail.and_then(|d| d.rtt_client);
        flow.tunnel = detail.and_then(|d| d.tunnel);
    }

    /// Moves what [`Entry::describe`] left out into `flow`.
    pub(crate) fn hand_over(&mut self, flow: &mut Flow) {
        let detail = self.detail.take().map(|d| *d).unwrap_or_default();
        flow.facts = detail.facts;
        flow.syn_fingerprint = detail.syn_fingerprint;
        flow.heads = detail.heads.map(Vec::into_boxed_slice);
        flow.sample = (!detail.sample.is_empty()).then(|| detail.sample.into());
        flow.sizes = (!detail.sizes.is_empty()).then(|| detail.sizes.into());
    }
}
