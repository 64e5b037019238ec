//! Flows, messages and anomalies: what the engine hands to sinks.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use ottoscope_wire::ja::{Ja3, Ja4};
use ottoscope_wire::{Fields, WireError, dns, http};

use crate::dissector::http::Reply;
use crate::dissector::rtp_stream::RtpStream;
use crate::said::SharedText;
use crate::time::Timestamp;

/// Deterministic id of a flow: a keyed hash of 5-tuple and first timestamp, so that it depends
/// on neither the number of workers nor the split of capture files, and an outsider cannot
/// search for the addresses behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(pub u64);

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What carries a flow, by IP protocol number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// IP protocol 6.
    Tcp,
    /// IP protocol 17.
    Udp,
    /// IP protocol 132.
    Sctp,
    /// IP protocols 1 and 58; ports are 0.
    Icmp,
    /// Any other IP protocol; ports are 0.
    Other(u8),
}

impl Transport {
    /// From the IP protocol number.
    pub fn from_ip(protocol: u8) -> Self {
        match protocol {
            6 => Transport::Tcp,
            17 => Transport::Udp,
            132 => Transport::Sctp,
            1 | 58 => Transport::Icmp,
            other => Transport::Other(other),
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Transport::Tcp => f.write_str("tcp"),
            Transport::Udp => f.write_str("udp"),
            Transport::Sctp => f.write_str("sctp"),
            Transport::Icmp => f.write_str("icmp"),
            Transport::Other(n) => write!(f, "ip-{n}"),
        }
    }
}

/// Which way a packet or message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From the client (the user) to the server.
    Up,
    /// From the server to the client.
    Down,
}

impl Direction {
    /// 0 for up, 1 for down.
    pub fn index(self) -> usize {
        self as usize
    }

    /// The other way.
    #[must_use]
    pub fn flipped(self) -> Self {
        match self {
            Direction::Up => Direction::Down,
            Direction::Down => Direction::Up,
        }
    }

    /// `up` or `down`.
    pub fn name(self) -> &'static str {
        match self {
            Direction::Up => "up",
            Direction::Down => "down",
        }
    }
}

/// One direction's counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Packets.
    pub packets: u64,
    /// Bytes of whole frames on the wire, as tshark's conversations count them.
    pub bytes: u64,
    /// Bytes of transport payload by the IP length.
    pub payload: u64,
    /// TCP segments that carry nothing new.
    pub retransmitted: u32,
    /// TCP segments with SYN, FIN and RST.
    pub syn: u16,
    /// See `syn`.
    pub fin: u16,
    /// See `syn`.
    pub rst: u16,
}

/// How a flow ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FlowEnd {
    /// FIN in both directions.
    Fin,
    /// RST.
    Reset,
    /// Silent for longer than the timeout of its transport.
    Idle,
    /// A new SYN reused the ports.
    Reused,
    /// Still active when the captures ended.
    CaptureEnd,
    /// Dropped to stay within the memory limit.
    Evicted,
}

impl FlowEnd {
    /// The name used in the `flows` table.
    pub fn name(self) -> &'static str {
        match self {
            FlowEnd::Fin => "fin",
            FlowEnd::Reset => "reset",
            FlowEnd::Idle => "idle",
            FlowEnd::Reused => "reused",
            FlowEnd::CaptureEnd => "capture-end",
            FlowEnd::Evicted => "evicted",
        }
    }
}

/// How it was decided which end is the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// A SYN or SYN/ACK was seen.
    Syn,
    /// One port is a service's.
    Port,
    /// One address lies in the study's `clients` prefixes.
    Prefix,
    /// One address is private and the other is not.
    Private,
    /// Nothing told; the first packet's sender is taken.
    First,
}

impl Side {
    /// The name used in the `flows` table.
    pub fn name(self) -> &'static str {
        match self {
            Side::Syn => "syn",
            Side::Port => "port",
            Side::Prefix => "prefix",
            Side::Private => "private",
            Side::First => "first",
        }
    }
}

/// Where `server_name` was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameSource {
    /// Server name indication of a TLS or DTLS client hello.
    Sni,
    /// The same inside QUIC Initial packets.
    Quic,
    /// HTTP/1 Host header.
    Host,
    /// Target of a SOCKS or CONNECT request.
    Proxy,
    /// `to` of an XMPP stream.
    Xmpp,
    /// REALM of a STUN or TURN server (RFC 8489, 9.2).
    Realm,
}

impl NameSource {
    /// The name used in the `flows` table.
    pub fn name(self) -> &'static str {
        match self {
            NameSource::Sni => "sni",
            NameSource::Quic => "quic",
            NameSource::Host => "host",
            NameSource::Proxy => "proxy",
            NameSource::Xmpp => "xmpp",
            NameSource::Realm => "realm",
        }
    }
}

/// What dissectors learnt of a flow. Everything here may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// Name of the innermost protocol that was recognised, from [`crate::dissector::ALL`];
    /// empty where none was.
    pub protocol: &'static str,
    /// The server's name as the client said it, lower case, no trailing dot.
    pub server_name: Option<SharedText>,
    /// Where `server_name` comes from.
    pub name_source: Option<NameSource>,
    /// What its hellos told, where it has any, shared with flows that told the same; see
    /// [`Facts::tls`].
    pub tls: Option<Arc<TlsFacts>>,
    /// HTTP User-Agent of the first request.
    pub user_agent: Option<SharedText>,
    /// Catalogue signature that the payload matched, as `app/signature`.
    pub signature: Option<SharedText>,
    /// The signature was contradicted later by packets that must match.
    pub signature_broken: bool,
}

/// What TLS, DTLS or QUIC hellos and certificates told of a flow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsFacts {
    /// First protocol the client offered by ALPN, or the one the server chose.
    pub alpn: Option<Box<str>>,
    /// JA3 of the client hello.
    pub ja3: Option<Ja3>,
    /// JA4 of the client hello.
    pub ja4: Option<Ja4>,
    /// Version in use, as on the wire (0x0303 is TLS 1.2), 0 if unknown.
    pub version: u16,
    /// Subject common name and alternative names of the server's certificate, with commas
    /// between; empty where none was seen.
    pub certificate_names: SharedText,
}

impl Facts {
    /// What its hellos told; nothing where there were none.
    pub fn tls(&self) -> &TlsFacts {
        static NOTHING: LazyLock<TlsFacts> = LazyLock::new(TlsFacts::default);
        self.tls.as_deref().unwrap_or_else(|| &*NOTHING)
    }

    /// Reads some of each line of the core's cache that they lie in.
    pub(crate) fn touch(&self) -> u64 {
        let texts = [&self.server_name, &self.user_agent].map(|text| {
            text.as_deref().and_then(|text| text.as_bytes().first()).copied().unwrap_or(0)
        });
        self.protocol.len() as u64
            ^ u64::from(texts[0] ^ texts[1] ^ u8::from(self.signature_broken))
            ^ self.signature.as_ref().map_or(0, |signature| signature.len() as u64)
    }

    /// Whether nothing was learnt.
    pub(crate) fn are_none(&self) -> bool {
        let Facts {
            protocol,
            server_name: None,
            name_source: None,
            tls: None,
            user_agent: None,
            signature: None,
            signature_broken: false,
        } = self
        else {
            return false;
        };
        protocol.is_empty()
    }

    /// The same, to be filled.
    pub fn tls_mut(&mut self) -> &mut TlsFacts {
        Arc::make_mut(self.tls.get_or_insert_default())
    }
}

/// The tunnel that a flow ran in: the innermost, but GTP-U before any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tunnel {
    /// `gtp-u`, `gre`, `ip-in-ip`, `vxlan`, ...
    pub kind: &'static str,
    /// Outer address on the client's side.
    pub client_side: IpAddr,
    /// Outer address on the server's side.
    pub server_side: IpAddr,
    /// Tunnel id of packets going up (GTP-U TEID, VXLAN network id, GRE key), where seen.
    pub id_up: Option<u32>,
    /// The same for packets going down.
    pub id_down: Option<u32>,
    /// GTP-U QoS flow identifier.
    pub qfi: Option<u8>,
}

/// One life of a 5-tuple.
#[derive(Debug, Clone, PartialEq)]
pub struct Flow {
    /// See [`FlowId`].
    pub id: FlowId,
    /// Time of the first packet.
    pub first: Timestamp,
    /// Time of the last packet.
    pub last: Timestamp,
    /// What carries it.
    pub transport: Transport,
    /// The client's address, in clear: sinks that keep it pseudonymise it.
    pub client: IpAddr,
    /// The client's port.
    pub client_port: u16,
    /// The server's address.
    pub server: IpAddr,
    /// The server's port.
    pub server_port: u16,
    /// Client to server.
    pub up: Tally,
    /// Server to client.
    pub down: Tally,
    /// How the client's side was told.
    pub side: Side,
    /// How it ended; meaningless until then.
    pub end: FlowEnd,
    /// What dissectors learnt.
    pub facts: Facts,
    /// Round trip from the vantage point to the server by SYN to SYN/ACK, nanoseconds.
    pub rtt_server: Option<u64>,
    /// Round trip from the vantage point to the client by SYN/ACK to ACK, nanoseconds.
    pub rtt_client: Option<u64>,
    /// Smallest time from data going up to its acknowledgement, nanoseconds.
    pub rtt_data: Option<u64>,
    /// `ttl:window:mss:scale:options` of the client's SYN, see `docs/reference/tables.md`.
    pub syn_fingerprint: Option<SharedText>,
    /// The tunnel it ran in.
    pub tunnel: Option<Tunnel>,
    /// Outermost VLAN id.
    pub vlan: Option<u16>,
    /// First payload bytes up and down, as many as [`crate::Config::head_bytes`].
    pub heads: [Vec<u8>; 2],
    /// First payload bytes of both directions in order of arrival, where asked.
    pub sample: Option<Box<[u8]>>,
    /// Signed payload sizes of the first packets (up positive), where asked.
    pub sizes: Option<Box<[i32]>>,
    /// Microseconds between each of these packets and the flow's packet before it, where asked:
    /// the first is 0, out of order is negative, over half an hour counts as 2,147 seconds.
    pub gaps: Option<Box<[i32]>>,
}

/// One application message.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// The flow so far: counts and facts are those known when the message was seen.
    pub flow: &'a Flow,
    /// Time of the packet that completed the message.
    pub at: Timestamp,
    /// Which way it went.
    pub direction: Direction,
    /// The protocol's name, from [`crate::dissector::ALL`], or the signature's id.
    pub protocol: &'a str,
    /// What kind of message: `query`, `client-hello`, `binding-request` ...
    pub kind: &'a str,
    /// The name it carries (host, query name, SNI), if any.
    pub name: Option<&'a str>,
    /// Opcode by a catalogue signature.
    pub opcode: Option<u64>,
    /// Sequence number by a catalogue signature.
    pub sequence: Option<u64>,
    /// Length of the message in bytes.
    pub len: u64,
    /// The message's first bytes (all that is in memory; sinks cut it).
    pub head: &'a [u8],
    /// The parsed message, for sinks that keep more than its name.
    pub body: Body<'a>,
}

/// The payload of one packet, before anybody puts packets together.
#[derive(Clone, Copy)]
pub struct Segment<'a> {
    /// The flow so far, this packet counted.
    pub flow: &'a Flow,
    /// Time of the packet.
    pub at: Timestamp,
    /// Which way it went.
    pub direction: Direction,
    /// TCP sequence number of the first payload byte.
    pub sequence: Option<u32>,
    /// Length of the payload on the wire in bytes, at least 1.
    pub len: u32,
    /// What was captured of it.
    pub payload: &'a [u8],
}

/// A parsed message.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Body<'a> {
    /// Fields only.
    Fields(&'a dyn Fields),
    /// A DNS, mDNS or LLMNR message.
    Dns(&'a dns::Message<'a>),
    /// An RTP stream at its end.
    RtpStream(&'a RtpStream),
    /// Head of an HTTP/1 request.
    HttpRequest(&'a http::Request<'a>),
    /// Head of an HTTP/1 response with what it answers.
    HttpResponse(&'a Reply<'a>),
}

impl Body<'_> {
    /// The fields, whatever the protocol.
    pub fn fields(&self) -> &dyn Fields {
        match self {
            Body::Fields(fields) => *fields,
            Body::Dns(message) => *message,
            Body::RtpStream(stream) => *stream,
            Body::HttpRequest(request) => *request,
            Body::HttpResponse(reply) => *reply,
        }
    }
}

/// One second of one flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bin {
    /// The flow.
    pub flow: FlowId,
    /// The second, whole seconds since the epoch.
    pub second: i64,
    /// Packets up and down.
    pub packets: [u32; 2],
    /// Frame bytes up and down.
    pub bytes: [u64; 2],
    /// TCP segments with SYN, both directions.
    pub syn: u16,
    /// With FIN.
    pub fin: u16,
    /// With RST.
    pub rst: u16,
}

/// Traffic that could not be read, or was dropped to stay within limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anomaly<'a> {
    /// Time of the packet.
    pub at: Timestamp,
    /// Index of the capture among the run's inputs.
    pub capture: u32,
    /// The flow, where the packet could be told to belong to one.
    pub flow: Option<FlowId>,
    /// Layer, offset and reason.
    pub error: WireError,
    /// First bytes of what could not be read; empty at layers that hold addresses.
    pub head: &'a [u8],
}
