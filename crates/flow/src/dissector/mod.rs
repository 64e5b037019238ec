//! Protocols, one file each: how to recognise one and how to read it.
//!
//! The engine offers the first payload bytes of a flow to [`Protocol::probe`] and, when one
//! answers [`Match::Yes`], opens its dissector and feeds it in-order bytes (TCP) or whole
//! datagrams (UDP) until it says it is done.

mod assembler;
mod certificates;
pub mod dns;
pub mod dtls;
mod handshakes;
pub mod hellos;
pub mod http;
pub mod media;
pub mod mmtls;
pub mod oicq;
pub mod qq_media;
pub mod qq_video;
pub mod quic;
pub mod rtp;
pub mod rtp_stream;
pub mod signature;
pub mod socks;
pub mod stun;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod xmpp;

use std::sync::LazyLock;

use crate::model::{Body, Direction, Facts, NameSource, Transport};
use crate::said::Said;
use crate::time::Timestamp;
use ottoscope_wire::WireError;

/// What a probe says of some first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// It is this protocol.
    Yes,
    /// It can't be.
    No,
    /// Not yet known: more bytes or packets are needed.
    Maybe,
}

/// What a probe may look at.
#[derive(Debug, Clone, Copy)]
pub struct Probe<'a> {
    /// Transport of the flow.
    pub transport: Transport,
    /// Direction of these bytes.
    pub direction: Direction,
    /// Server's port: a hint, never proof.
    pub server_port: u16,
    /// Client's port.
    pub client_port: u16,
    /// TCP: the first bytes of this direction's stream so far. UDP: this datagram.
    pub bytes: &'a [u8],
}

/// A protocol: its name, where it is defined, how to recognise and how to read it.
pub struct Protocol {
    /// Name as in the `protocol` columns, lower case.
    pub name: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// RFC, paper or public document that defines it.
    pub reference: &'static str,
    /// Carried by.
    pub transports: &'static [Transport],
    /// Many apps use it, and mark it each in their own way: catalogue signatures look at its
    /// datagrams too.
    pub shared: bool,
    /// Whether it may begin with this byte. Where it can't, [`Protocol::probe`] says no, and is
    /// not asked: a flow's first byte leaves a few candidates of all protocols.
    pub first: fn(Transport, u8) -> bool,
    /// Recognises first bytes; total on any input. Ask by [`Protocol::ask`].
    pub probe: fn(&Probe<'_>) -> Match,
    /// Opens a dissector for one flow.
    pub open: fn() -> Box<dyn Dissector>,
}

impl Protocol {
    /// What [`Protocol::probe`] says, and no where the transport does not carry the protocol.
    pub fn ask(&self, probe: &Probe<'_>) -> Match {
        if !self.transports.contains(&probe.transport) {
            return Match::No;
        }
        let answer = (self.probe)(probe);
        debug_assert!(
            answer == Match::No
                || probe.bytes.first().is_none_or(|byte| (self.first)(probe.transport, *byte)),
            "{} says {answer:?} to a first byte that it ruled out: {:02x?}",
            self.name,
            probe.bytes.first(),
        );
        answer
    }
}

/// Which of [`ALL`], bit by index, may begin with a byte, by transport and byte.
pub(crate) static BY_FIRST_BYTE: LazyLock<[[u32; 256]; 2]> = LazyLock::new(|| {
    [Transport::Tcp, Transport::Udp].map(|transport| {
        std::array::from_fn(|byte| {
            let may = |protocol: &Protocol| {
                protocol.transports.contains(&transport) && (protocol.first)(transport, byte as u8)
            };
            ALL.iter().enumerate().fold(0, |mask, (i, p)| mask | u32::from(may(p)) << i)
        })
    })
});

/// What a dissector says after some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// This many of the bytes were used (UDP: ignored); the rest comes again with more behind
    /// it. 0 asks for more bytes.
    Used(usize),
    /// Nothing more is to be learnt from this flow: it costs only counters from now on.
    Done,
    /// It is not this protocol after all; the engine goes on probing without it.
    NotMine,
    /// TCP: this many of the bytes were used, and another protocol begins behind them
    /// (STARTTLS, CONNECT, SOCKS). The dissector is dropped and both directions are probed anew
    /// from here: with the rest of these bytes and with what the other direction had unused.
    Switch(usize),
}

/// Reads one flow of one protocol. Total: any bytes, any order of directions.
pub trait Dissector: Send {
    /// Called with bytes in stream order (TCP; what was not used comes again in front of what
    /// follows, up to [`crate::Config::stream_buffer`] bytes) or with one datagram (UDP).
    fn data(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) -> Progress;

    /// Called when `missing` bytes of a TCP direction will not come (lost, or cut by the
    /// snapshot length); the next bytes follow the hole.
    fn gap(&mut self, _direction: Direction, _missing: u64, _out: &mut Emit<'_>) -> Progress {
        Progress::Done
    }

    /// Called once when the flow ends.
    fn close(&mut self, _at: Timestamp, _out: &mut Emit<'_>) {}
}

/// A message as a dissector hands it over; the engine adds the flow.
#[derive(Clone, Copy)]
pub struct Emitted<'a> {
    /// See [`crate::Message::protocol`].
    pub protocol: &'a str,
    /// See [`crate::Message::kind`].
    pub kind: &'a str,
    /// See [`crate::Message::name`].
    pub name: Option<&'a str>,
    /// See [`crate::Message::opcode`].
    pub opcode: Option<u64>,
    /// See [`crate::Message::sequence`].
    pub sequence: Option<u64>,
    /// See [`crate::Message::len`].
    pub len: u64,
    /// See [`crate::Message::head`].
    pub head: &'a [u8],
    /// See [`crate::Message::body`].
    pub body: Body<'a>,
}

/// Takes what dissectors find: facts of the flow, messages and anomalies.
pub struct Emit<'a> {
    /// Facts of the flow, to be filled in place.
    pub facts: &'a mut Facts,
    /// Transport of the flow, for protocols framed differently over TCP.
    pub transport: Transport,
    /// The client's and the server's port of the flow, for protocols whose roles hang on them.
    pub ports: (u16, u16),
    /// Whether every packet of media streams is wanted as a message (`dissect`), or only
    /// what the tables keep (`run`).
    pub every_packet: bool,
    /// Whether packets of video are wanted as messages all the same.
    pub video_packets: bool,
    /// What other flows said.
    pub said: &'a mut Said,
    /// Where messages go.
    pub messages: &'a mut dyn FnMut(Timestamp, Direction, &mut Facts, &Emitted<'_>),
    /// Where bytes that could not be read go, with the time and the bytes at fault.
    pub anomalies: &'a mut dyn FnMut(Timestamp, WireError, &[u8]),
}

impl Emit<'_> {
    /// Hands over one message.
    pub fn message(&mut self, at: Timestamp, direction: Direction, message: &Emitted<'_>) {
        (self.messages)(at, direction, self.facts, message);
    }

    /// Hands over bytes that could not be read.
    pub fn anomaly(&mut self, at: Timestamp, error: WireError, bytes: &[u8]) {
        (self.anomalies)(at, error, bytes);
    }

    /// Keeps the server's name; the first one stays. Lower-cases, drops a trailing dot, refuses
    /// what is empty, longer than 255 bytes or has control characters.
    pub fn server_name(&mut self, name: &str, source: NameSource) {
        let name = name.strip_suffix('.').unwrap_or(name);
        let sane = !name.is_empty()
            && name.len() <= 255
            && !name.chars().any(|c| c.is_control() || c.is_whitespace());
        if sane && self.facts.server_name.is_none() {
            let texts = &mut self.said.texts;
            self.facts.server_name = Some(if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
                texts.of(&name.to_ascii_lowercase())
            } else {
                texts.of(name)
            });
            self.facts.name_source = Some(source);
        }
    }
}

/// Every protocol that is read, in the order in which ties are decided.
pub static ALL: &[&Protocol] = &[
    &dns::DNS,
    &dns::MDNS,
    &dns::LLMNR,
    &http::PROTOCOL,
    &xmpp::PROTOCOL,
    &tls::PROTOCOL,
    &mmtls::PROTOCOL,
    &quic::PROTOCOL,
    &stun::PROTOCOL,
    &dtls::PROTOCOL,
    &rtp::RTCP,
    &rtp::PROTOCOL,
    &socks::PROTOCOL,
    &qq_video::PROTOCOL,
    &oicq::PROTOCOL,
    &qq_media::OLD,
    &qq_media::NEW,
];
