//! What hellos and certificates tell of a flow, whoever carries them: TLS, DTLS or QUIC.

use std::sync::Arc;

use ottoscope_wire::ja::{Ja3, Ja4};
use ottoscope_wire::tls::{Carrier, Certificates, ClientHello, Handshake, ServerHello};
use ottoscope_wire::tls::{handshake_type as kind, version};
use ottoscope_wire::{Fields, WireError};

use super::hellos::alpn;
use super::{Emit, Emitted};
use crate::model::{Body, Direction, NameSource, TlsFacts};
use crate::time::Timestamp;

/// The longest message worth holding together; certificate chains are the longest.
pub(super) const MAX_MESSAGE: usize = 128 * 1024;

/// Progress of one flow's handshake.
#[derive(Debug)]
pub(super) struct Handshakes {
    carrier: Carrier,
    /// Direction of the client hello, once seen.
    client: Option<Direction>,
    /// Whether a server hello that is no retry was seen.
    server: bool,
    /// Whether what follows the server hello is encrypted.
    hidden: bool,
    certificate: bool,
}

impl Handshakes {
    pub(super) fn new(carrier: Carrier) -> Self {
        Handshakes { carrier, client: None, server: false, hidden: false, certificate: false }
    }

    fn protocol(&self) -> &'static str {
        match self.carrier {
            Carrier::Tls => "tls",
            Carrier::Dtls => "dtls",
            Carrier::Quic => "quic",
        }
    }

    /// Whether both hellos were read.
    pub(super) fn hellos(&self) -> bool {
        self.client.is_some() && self.server
    }

    /// Whether the client hello was read.
    pub(super) fn client_hello(&self) -> bool {
        self.client.is_some()
    }

    /// Whether the server's messages have told all they will.
    pub(super) fn server_done(&self) -> bool {
        self.certificate || self.server && self.hidden
    }

    /// Notes that the server encrypts from here on.
    pub(super) fn encrypted(&mut self, direction: Direction) {
        if direction == self.server_direction() {
            self.hidden = true;
            // A server that encrypts has said hello, seen or not.
            self.server = true;
        }
    }

    fn server_direction(&self) -> Direction {
        self.client.map_or(Direction::Down, Direction::flipped)
    }

    /// Reads one whole message.
    pub(super) fn message(&mut self, arrived: &Arrived<'_>, out: &mut Emit<'_>) {
        let body = arrived.message.body;
        let read = match arrived.message.kind {
            kind::CLIENT_HELLO => ClientHello::parse(body, self.carrier).map(|hello| {
                self.take_client_hello(arrived, &hello, out);
            }),
            kind::SERVER_HELLO => ServerHello::parse(body).map(|hello| {
                self.take_server_hello(&hello, out);
                self.emit(arrived, hello.name(), None, &hello, out);
            }),
            kind::CERTIFICATE
                if arrived.direction == self.server_direction() && !self.certificate =>
            {
                Certificates::parse(body).and_then(|chain| {
                    self.certificate = true;
                    self.emit(arrived, arrived.message.name(), None, &chain, out);
                    { chain }.next().map_or(Ok(()), |leaf| keep_names(leaf, out))
                })
            }
            _ => Ok(()),
        };
        if let Err(error) = read {
            out.anomaly(arrived.at, error, body);
        }
    }

    /// Takes a client hello in SSL 2 form, which no handshake message holds.
    pub(super) fn ssl2_hello(
        &mut self,
        arrived: &Arrived<'_>,
        hello: &ClientHello<'_>,
        out: &mut Emit<'_>,
    ) {
        self.take_client_hello(arrived, hello, out);
    }

    /// Looks for the server's name in the first bytes of a client hello that has not come
    /// whole, and may never.
    pub(super) fn partial(&self, bytes: &[u8], out: &mut Emit<'_>) {
        if self.client.is_some() || bytes.first() != Some(&kind::CLIENT_HELLO) {
            return;
        }
        let body = bytes.get(4..).unwrap_or(&[]);
        if let Ok(hello) = ClientHello::parse(body, self.carrier)
            && let Some(name) = hello.server_name()
        {
            out.server_name(name, self.source());
        }
    }

    fn source(&self) -> NameSource {
        if self.carrier == Carrier::Quic { NameSource::Quic } else { NameSource::Sni }
    }

    fn take_client_hello(
        &mut self,
        arrived: &Arrived<'_>,
        hello: &ClientHello<'_>,
        out: &mut Emit<'_>,
    ) {
        // A second hello, after a retry or a cookie, repeats the first.
        self.client.get_or_insert(arrived.direction);
        let name = hello.server_name();
        if let Some(name) = name {
            out.server_name(name, self.source());
        }
        let told = hello.stop.is_none().then(|| out.said.hellos.client(hello));
        match (&mut out.facts.tls, &told) {
            (facts @ None, Some(told)) => *facts = Some(Arc::clone(told)),
            _ => self.add_client(hello, told.as_deref(), out),
        }
        if let Some(error) = hello.stop {
            out.anomaly(arrived.at, error, arrived.message.body);
        }
        let fingerprints = told.as_ref().and_then(|told| Some((told.ja3?, told.ja4?)));
        let told = Fingerprinted { hello, fingerprints };
        self.emit(arrived, "client-hello", name, &told, out);
    }

    /// Adds what a client hello tells to what is known: of a cut or second hello, or of one
    /// behind its answer.
    fn add_client(&self, hello: &ClientHello<'_>, told: Option<&TlsFacts>, out: &mut Emit<'_>) {
        let facts = out.facts.tls_mut();
        if let (None, Some(told)) = (facts.ja4, told) {
            (facts.ja3, facts.ja4) = (told.ja3, told.ja4);
        }
        if let (None, Some(name)) = (&facts.alpn, hello.alpn().next()) {
            facts.alpn = alpn(name);
        }
        if self.carrier == Carrier::Quic {
            facts.version = version::TLS13;
        }
    }

    fn take_server_hello(&mut self, hello: &ServerHello<'_>, out: &mut Emit<'_>) {
        if hello.is_retry() {
            return;
        }
        self.server = true;
        self.hidden |= hello.hides_the_rest();
        let before = out.facts.tls.take();
        let after = out.said.hellos.server(before, hello.selected_version(), hello.alpn());
        out.facts.tls = Some(after);
    }

    fn emit(
        &self,
        arrived: &Arrived<'_>,
        kind: &str,
        name: Option<&str>,
        fields: &dyn Fields,
        out: &mut Emit<'_>,
    ) {
        let message = &arrived.message;
        let emitted = Emitted {
            protocol: self.protocol(),
            kind,
            name,
            opcode: Some(message.kind.into()),
            sequence: None,
            len: message.size() as u64,
            head: message.body,
            body: Body::Fields(&Both(arrived.carrier, fields)),
        };
        out.message(arrived.at, arrived.direction, &emitted);
    }
}

/// One handshake message and how it came.
pub(super) struct Arrived<'a> {
    pub(super) at: Timestamp,
    pub(super) direction: Direction,
    pub(super) message: Handshake<'a>,
    /// Fields of the carrier, told before the message's own.
    pub(super) carrier: &'a dyn Fields,
}

/// A client hello with its JA3 and JA4, which both the flow and the message tell.
struct Fingerprinted<'a> {
    hello: &'a ClientHello<'a>,
    fingerprints: Option<(Ja3, Ja4)>,
}

impl Fields for Fingerprinted<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, ottoscope_wire::Value<'_>)) {
        let fingerprints = self.fingerprints.as_ref().map(|(ja3, ja4)| (&**ja3, &**ja4));
        self.hello.fields_with(fingerprints, each);
    }
}

/// The fields of a carrier and of the message in it.
struct Both<'a>(&'a dyn Fields, &'a dyn Fields);

impl Fields for Both<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, ottoscope_wire::Value<'_>)) {
        self.0.fields(each);
        self.1.fields(each);
    }
}

/// Keeps the names of the server's certificate. Says what could not be read, or that there were
/// more than are kept.
fn keep_names(leaf: &[u8], out: &mut Emit<'_>) -> Result<(), WireError> {
    let (facts, read) = out.said.hellos.certificate(out.facts.tls.take(), leaf);
    out.facts.tls = Some(facts);
    read
}
