//! What was really in the capture, to check a pipeline's answers number by number.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;

use crate::SynthError;
use crate::lab::{Experiment, Layout};

/// One flow: one life of a 5-tuple, as far as the capture holds it. Pairs are up, down.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FlowTruth {
    /// First packet in the capture, nanoseconds since 1970 UTC.
    pub first: i64,
    /// Last packet in the capture.
    pub last: i64,
    /// `tcp` or `udp`.
    pub transport: &'static str,
    /// The user's address.
    pub client: IpAddr,
    /// The user's port.
    pub client_port: u16,
    /// The server's (or peer's) address.
    pub server: IpAddr,
    /// The server's port.
    pub server_port: u16,
    /// Packets.
    pub packets: [u64; 2],
    /// Bytes of whole frames, encapsulation included, before any snap length.
    pub bytes: [u64; 2],
    /// Bytes of transport payload.
    pub payload: [u64; 2],
    /// TCP segments with payload or FIN that repeat what the capture holds already, copies
    /// (`duplicated`) included.
    pub retransmitted: [u32; 2],
    /// Packets captured twice.
    pub duplicated: [u32; 2],
    /// Innermost protocol: `tls`, `http`, `dns`, `quic`, `stun`, `rtp`, `w-tcp`, `mmtls`, ...
    pub protocol: &'static str,
    /// Name that the client says in the flow itself (SNI, Host).
    pub server_name: Option<Arc<str>>,
    /// Name that the client resolved to get the address.
    pub host: Option<Arc<str>>,
    /// Whose it is: a catalogue id, or `web`, `dns`, `load`.
    pub app: &'static str,
    /// The app's service.
    pub service: &'static str,
    /// Operating system of the device.
    pub os: &'static str,
    /// How the address was known: `fresh` (an answer in this capture, within its time to live),
    /// `overrun` (in this capture, used beyond it), `unseen` (no answer in this capture).
    pub resolved: &'static str,
    /// Whether the flow's first packet is in the capture.
    pub whole: bool,
    /// `fin`, `reset`, `silent` (no end on the wire), `capture-end`.
    pub end: &'static str,
    /// GTP-U tunnel ids up and down.
    pub teid: Option<[u32; 2]>,
    /// SYN to SYN/ACK as captured, nanoseconds.
    pub rtt_server: Option<i64>,
    /// SYN/ACK to the client's ACK as captured, nanoseconds.
    pub rtt_client: Option<i64>,
    /// Marked messages that lie wholly in the capture.
    pub messages: u64,
}

/// One application message that lies wholly in the capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MessageTruth {
    /// The user's address; with the next three fields and `flow`, the flow it belongs to.
    pub client: IpAddr,
    /// The user's port.
    pub client_port: u16,
    /// The server's address.
    pub server: IpAddr,
    /// The server's port.
    pub server_port: u16,
    /// First packet of its flow in the capture, nanoseconds since 1970 UTC.
    pub flow: i64,
    /// First packet of it.
    pub first: i64,
    /// Packet with the last byte that was new.
    pub last: i64,
    /// `up` or `down`.
    pub direction: &'static str,
    /// What it does.
    pub task: &'static str,
    /// Opcode on the wire, where the protocol has one.
    pub opcode: Option<u32>,
    /// Sequence number on the wire, where the protocol has one.
    pub sequence: Option<u32>,
    /// Which of the lab's layouts its header has ([`crate::lab::Layout::index`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layout: Option<u16>,
    /// In a lab: whether it answers a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<bool>,
    /// In a lab: bytes that this direction's stream has before it; 0 over UDP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// Bytes of transport payload.
    pub bytes: u64,
    /// Bytes seen so far.
    #[serde(skip)]
    pub(crate) seen: u64,
}

/// One packet with payload of a flow that a lab looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SegmentTruth {
    /// The user's address; with the next three fields and `flow`, the flow it belongs to.
    pub client: IpAddr,
    /// The user's port.
    pub client_port: u16,
    /// The server's address.
    pub server: IpAddr,
    /// The server's port.
    pub server_port: u16,
    /// First packet of its flow in the capture, nanoseconds since 1970 UTC.
    pub flow: i64,
    /// Its time.
    pub at: i64,
    /// `up` or `down`.
    pub direction: &'static str,
    /// TCP: bytes that this direction's stream has before it. UDP: 0.
    pub offset: u64,
    /// Bytes of transport payload.
    pub bytes: u64,
    /// Whether the capture holds these bytes already.
    pub repeated: bool,
    /// `protocol` where a message begins with its first byte, else `fragment`.
    pub role: &'static str,
    /// Offsets in its payload where messages begin.
    pub starts: Vec<u32>,
}

/// One DNS answer in the capture, with its query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DnsTruth {
    /// The last query, nanoseconds since 1970 UTC, where it is in the capture.
    pub asked: Option<i64>,
    /// The answer.
    pub answered: i64,
    /// The user's address.
    pub client: IpAddr,
    /// The user's port.
    pub client_port: u16,
    /// The resolver's address.
    pub resolver: IpAddr,
    /// Transaction id.
    pub id: u16,
    /// Name asked for, without final dot.
    pub name: Arc<str>,
    /// 1 for A, 28 for AAAA.
    pub query_type: u16,
    /// CNAME targets in order.
    pub cnames: Vec<Arc<str>>,
    /// Addresses in order.
    pub addresses: Vec<IpAddr>,
    /// Time to live of the address records, seconds.
    pub ttl: u32,
}

/// Counts of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ServiceTotals {
    /// Flows.
    pub flows: u64,
    /// Packets up and down.
    pub packets: [u64; 2],
    /// Frame bytes up and down.
    pub bytes: [u64; 2],
}

/// Counts of the whole capture.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Totals {
    /// Packets.
    pub packets: u64,
    /// Bytes of whole frames.
    pub bytes: u64,
    /// Bytes of frames kept after the snap length.
    pub captured: u64,
    /// Bytes of the capture file.
    pub file: u64,
    /// First packet, nanoseconds since 1970 UTC; 0 where there is none.
    pub first: i64,
    /// Last packet.
    pub last: i64,
    /// Flows.
    pub flows: u64,
    /// TCP flows.
    pub tcp: u64,
    /// UDP flows.
    pub udp: u64,
    /// Users that own a packet.
    pub users: u64,
    /// DNS queries whose answer is in the capture.
    pub dns: u64,
    /// See [`FlowTruth::retransmitted`].
    pub retransmitted: u64,
    /// See [`FlowTruth::duplicated`].
    pub duplicated: u64,
    /// By `app/service`.
    pub services: BTreeMap<String, ServiceTotals>,
}

/// Where truth goes while the capture is written.
pub trait TruthSink {
    /// Called for every flow when it can get no further packet; the order is deterministic.
    fn flow(&mut self, flow: &FlowTruth) -> std::io::Result<()>;
    /// Called for every marked message, when its last byte has been written.
    fn message(&mut self, _message: &MessageTruth) -> std::io::Result<()> {
        Ok(())
    }
    /// Called for every packet with payload of a flow that a lab looks at, when it has been
    /// written.
    fn segment(&mut self, _segment: &SegmentTruth) -> std::io::Result<()> {
        Ok(())
    }
    /// Called for every header layout of a lab, before its capture is written.
    fn layout(&mut self, _layout: &Layout) -> std::io::Result<()> {
        Ok(())
    }
    /// Called for every labelled task of a lab, after its capture is written.
    fn experiment(&mut self, _experiment: &Experiment) -> std::io::Result<()> {
        Ok(())
    }
    /// Called for every answered DNS query, when the answer has been written.
    fn dns(&mut self, _dns: &DnsTruth) -> std::io::Result<()> {
        Ok(())
    }
    /// Called once at the end.
    fn totals(&mut self, _totals: &Totals) -> std::io::Result<()> {
        Ok(())
    }
    /// Called now and then with the part of the capture's duration that is written, 0 to 1.
    fn progress(&mut self, _done: f64) {}
}

/// Forgets all.
impl TruthSink for () {
    fn flow(&mut self, _flow: &FlowTruth) -> std::io::Result<()> {
        Ok(())
    }
}

/// Keeps all in memory, for tests.
#[derive(Debug, Clone, Default)]
pub struct Collected {
    /// Every flow.
    pub flows: Vec<FlowTruth>,
    /// Every marked message.
    pub messages: Vec<MessageTruth>,
    /// Every answered DNS query.
    pub dns: Vec<DnsTruth>,
    /// Every packet with payload that a lab looks at.
    pub segments: Vec<SegmentTruth>,
    /// Every header layout of a lab.
    pub layouts: Vec<Layout>,
    /// Every labelled task of a lab.
    pub experiments: Vec<Experiment>,
}

impl TruthSink for Collected {
    fn flow(&mut self, flow: &FlowTruth) -> std::io::Result<()> {
        self.flows.push(flow.clone());
        Ok(())
    }
    fn message(&mut self, message: &MessageTruth) -> std::io::Result<()> {
        self.messages.push(message.clone());
        Ok(())
    }
    fn dns(&mut self, dns: &DnsTruth) -> std::io::Result<()> {
        self.dns.push(dns.clone());
        Ok(())
    }
    fn segment(&mut self, segment: &SegmentTruth) -> std::io::Result<()> {
        self.segments.push(segment.clone());
        Ok(())
    }
    fn layout(&mut self, layout: &Layout) -> std::io::Result<()> {
        self.layouts.push(layout.clone());
        Ok(())
    }
    fn experiment(&mut self, experiment: &Experiment) -> std::io::Result<()> {
        self.experiments.push(experiment.clone());
        Ok(())
    }
}

/// Writes JSON lines: objects with `"row"` being `flow`, `message`, `dns`, or once at the end
/// `totals`; of a lab also `segment`, `layout` and `experiment`.
#[derive(Debug)]
pub struct JsonLines<W>(
    /// Where the lines go; flush it afterwards.
    pub W,
);

#[derive(Serialize)]
#[serde(tag = "row", rename_all = "kebab-case")]
enum Row<'a> {
    Flow(&'a FlowTruth),
    Message(&'a MessageTruth),
    Dns(&'a DnsTruth),
    Segment(&'a SegmentTruth),
    Layout(&'a Layout),
    Experiment(&'a Experiment),
    Totals(&'a Totals),
}

impl<W: Write> JsonLines<W> {
    fn row(&mut self, row: &Row<'_>) -> std::io::Result<()> {
        serde_json::to_writer(&mut self.0, row)?;
        self.0.write_all(b"\n")
    }
}

impl<W: Write> TruthSink for JsonLines<W> {
    fn flow(&mut self, flow: &FlowTruth) -> std::io::Result<()> {
        self.row(&Row::Flow(flow))
    }
    fn message(&mut self, message: &MessageTruth) -> std::io::Result<()> {
        self.row(&Row::Message(message))
    }
    fn dns(&mut self, dns: &DnsTruth) -> std::io::Result<()> {
        self.row(&Row::Dns(dns))
    }
    fn segment(&mut self, segment: &SegmentTruth) -> std::io::Result<()> {
        self.row(&Row::Segment(segment))
    }
    fn layout(&mut self, layout: &Layout) -> std::io::Result<()> {
        self.row(&Row::Layout(layout))
    }
    fn experiment(&mut self, experiment: &Experiment) -> std::io::Result<()> {
        self.row(&Row::Experiment(experiment))
    }
    fn totals(&mut self, totals: &Totals) -> std::io::Result<()> {
        self.row(&Row::Totals(totals))
    }
}

impl Totals {
    /// Adds a finished flow and hands it on.
    pub(crate) fn flow(
        &mut self,
        flow: &FlowTruth,
        sink: &mut impl TruthSink,
    ) -> Result<(), SynthError> {
        self.flows += 1;
        match flow.transport {
            "tcp" => self.tcp += 1,
            _ => self.udp += 1,
        }
        self.retransmitted += flow.retransmitted.iter().map(|n| u64::from(*n)).sum::<u64>();
        self.duplicated += flow.duplicated.iter().map(|n| u64::from(*n)).sum::<u64>();
        let key = format!("{}/{}", flow.app, flow.service);
        let service = self.services.entry(key).or_default();
        service.flows += 1;
        for side in 0..2 {
            service.packets[side] += flow.packets[side];
            service.bytes[side] += flow.bytes[side];
        }
        sink.flow(flow).map_err(SynthError::Truth)
    }
}
