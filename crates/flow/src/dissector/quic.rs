//! QUIC over UDP: the hellos of its Initial packets.

use std::ops::Range;

use ottoscope_wire::quic::{Frame, Frames, Keys, Kind, LongHeader, VersionName, gquic, initial};
use ottoscope_wire::tls::{Carrier, Handshake};
use ottoscope_wire::{Fields, Value};

use super::assembler::Assembler;
use super::handshakes::{Arrived, Handshakes};
use super::{Dissector, Emit, Emitted, Match, Probe, Progress, Protocol};
use crate::model::{Body, Direction, NameSource, Transport};
use crate::time::Timestamp;

/// QUIC 1 and 2, its later drafts, and Google's before it.
pub static PROTOCOL: Protocol = Protocol {
    name: "quic",
    about: "QUIC versions 1 and 2, drafts, mvfst and Google's: server name, ALPN, fingerprint",
    reference: "RFC 9000, RFC 9001, RFC 9369",
    transports: &[Transport::Udp],
    shared: false,
    first: |_, byte| byte & 0x80 != 0 || byte & 0x8b == 0x09,
    probe,
    open: || Box::new(Quic::default()),
};

/// Datagrams looked at before giving up.
const MAX_DATAGRAMS: u32 = 48;
/// Datagrams waited for the server's hello once the client's is known.
const PATIENCE: u32 = 16;
/// Most bytes of hello held per direction.
const MAX_HELLO: usize = 16 * 1024;

/// Only a tag or a checksum that verifies is proof. Long headers of a known version that can't
/// be opened (a server's first, 0-RTT) wait for a packet that can.
fn probe(probe: &Probe<'_>) -> Match {
    if gquic::Packet::parse(probe.bytes).is_ok() {
        return Match::Yes;
    }
    let Ok(header) = LongHeader::parse(probe.bytes) else { return Match::No };
    if !initial::is_known(header.version) {
        return if header.kind == Kind::VersionNegotiation { Match::Maybe } else { Match::No };
    }
    let opens = header.kind == Kind::Initial
        && Keys::client(header.version, header.destination)
            .is_some_and(|keys| keys.open(&header, &mut Vec::new()).is_ok());
    if opens { Match::Yes } else { Match::Maybe }
}

/// Reads one QUIC flow.
pub struct Quic {
    handshakes: Handshakes,
    keys: Option<InUse>,
    streams: [Assembler; 2],
    /// Whether the hello of a direction was read.
    read: [bool; 2],
    scratch: Vec<u8>,
    datagrams: u32,
    hello_at: u32,
}

/// Keys in use.
struct InUse {
    /// Direction of the client whose id they come from.
    direction: Direction,
    version: u32,
    /// The id.
    id: Box<[u8]>,
    client: Box<Keys>,
    /// Made when the server sends something.
    server: Option<Box<Keys>>,
}

impl InUse {
    /// The keys of what was sent in a direction.
    fn of(&mut self, direction: Direction) -> Option<&Keys> {
        if self.direction == direction {
            return Some(&self.client);
        }
        if self.server.is_none() {
            self.server = Keys::server(self.version, &self.id).map(Box::new);
        }
        self.server.as_deref()
    }
}

impl Default for Quic {
    fn default() -> Self {
        Quic {
            handshakes: Handshakes::new(Carrier::Quic),
            keys: None,
            streams: Default::default(),
            read: [false; 2],
            scratch: Vec::new(),
            datagrams: 0,
            hello_at: 0,
        }
    }
}

impl Dissector for Quic {
    fn data(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) -> Progress {
        out.facts.protocol = "quic";
        self.datagrams += 1;
        if let Ok(packet) = gquic::Packet::parse(bytes) {
            if let Some(message) = packet.message() {
                self.google(at, direction, packet.version, &message, out);
            }
            return self.progress();
        }
        let mut rest = bytes;
        while let Ok(header) = LongHeader::parse(rest) {
            rest = &rest[header.packet.len()..];
            match header.kind {
                Kind::Initial => self.initial(at, direction, &header, out),
                Kind::Retry | Kind::VersionNegotiation => {
                    if header.kind == Kind::Retry {
                        // The client begins anew with keys from the id that it is given here.
                        self.keys = None;
                    }
                    let emitted = Emitted {
                        protocol: "quic",
                        kind: header.kind.name(),
                        name: None,
                        opcode: None,
                        sequence: None,
                        len: header.packet.len() as u64,
                        head: header.packet,
                        body: Body::Fields(&header),
                    };
                    out.message(at, direction, &emitted);
                }
                Kind::ZeroRtt | Kind::Handshake => {}
            }
        }
        self.progress()
    }
}

impl Quic {
    fn progress(&mut self) -> Progress {
        let hello = self.handshakes.client_hello() || self.read != [false; 2];
        if hello && self.hello_at == 0 {
            self.hello_at = self.datagrams;
        }
        let waited = hello && self.datagrams >= self.hello_at + PATIENCE;
        if self.handshakes.hellos() || waited || self.datagrams >= MAX_DATAGRAMS {
            Progress::Done
        } else {
            Progress::Used(0)
        }
    }

    fn initial(
        &mut self,
        at: Timestamp,
        direction: Direction,
        header: &LongHeader<'_>,
        out: &mut Emit<'_>,
    ) {
        let Some(payload) = self.open(direction, header) else { return };
        let stream = &mut self.streams[direction.index()];
        for frame in Frames::new(&self.scratch[payload]) {
            if let Frame::Crypto { offset, data } = frame {
                stream.insert(offset, data, MAX_HELLO);
            }
        }
        self.hello(at, direction, header.version, out);
    }

    /// Opens a packet into the scratch: with the keys in use, else, for a client's packet, with
    /// those of its own destination id, which then are in use.
    fn open(&mut self, direction: Direction, header: &LongHeader<'_>) -> Option<Range<usize>> {
        if let Some(keys) = self.keys.as_mut().and_then(|keys| keys.of(direction))
            && let Ok(opened) = keys.open(header, &mut self.scratch)
        {
            return Some(opened.payload);
        }
        let (version, id) = (header.version, header.destination);
        let client = Keys::client(version, id)?;
        let opened = client.open(header, &mut self.scratch).ok()?;
        let (client, id) = (Box::new(client), id.into());
        self.keys = Some(InUse { direction, version, id, client, server: None });
        Some(opened.payload)
    }

    /// Reads the hello of a direction once it is whole.
    fn hello(&mut self, at: Timestamp, direction: Direction, version: u32, out: &mut Emit<'_>) {
        if self.read[direction.index()] {
            return;
        }
        let streams = std::mem::take(&mut self.streams);
        let bytes = streams[direction.index()].prefix();
        if let Ok(message) = gquic::Message::parse(bytes) {
            self.google(at, direction, version, &message, out);
        } else if let Ok(message) = Handshake::parse(bytes) {
            self.read[direction.index()] = true;
            let arrived = Arrived { at, direction, message, carrier: &Carried(version) };
            self.handshakes.message(&arrived, out);
        } else {
            self.handshakes.partial(bytes, out);
        }
        self.streams = streams;
    }

    /// Takes a message of Google's handshake.
    fn google(
        &mut self,
        at: Timestamp,
        direction: Direction,
        version: u32,
        message: &gquic::Message<'_>,
        out: &mut Emit<'_>,
    ) {
        self.read[direction.index()] = true;
        let name = message.server_name();
        if let Some(name) = name {
            out.server_name(name, NameSource::Quic);
        }
        if let (None, Some(agent)) = (&out.facts.user_agent, message.user_agent()) {
            out.facts.user_agent = Some(out.said.texts.of(agent));
        }
        let fields = Google(version, *message);
        let emitted = Emitted {
            protocol: "quic",
            kind: message.name(),
            name,
            opcode: None,
            sequence: None,
            len: 0,
            head: &[],
            body: Body::Fields(&fields),
        };
        out.message(at, direction, &emitted);
    }
}

/// The QUIC version around a hello.
struct Carried(u32);

impl Fields for Carried {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("quic_version", Value::Text(&VersionName(self.0).to_string()));
    }
}

/// A message of Google's handshake and its version.
struct Google<'a>(u32, gquic::Message<'a>);

impl Fields for Google<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        Carried(self.0).fields(each);
        self.1.fields(each);
    }
}

#[cfg(test)]
mod tests;
