//! TLS connections: a handshake in clear as far as the version leaves it so, then records.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use ottoscope_wire::tls::certificate::synthesise;
use ottoscope_wire::tls::{
    Carrier, Certificates, ClientHelloRepr, Handshake, Record, ServerHelloRepr, content, extension,
    handshake_type,
};

use super::MILLI;
use crate::content::Content;
use crate::rng::{Rng, fill};
use crate::tcp::{DOWN, Step, UP};

/// How a connection begins.
pub(crate) struct Hello<'a> {
    /// Server name indication; none where empty.
    pub name: &'a str,
    /// Application protocols.
    pub alpn: &'a [&'a str],
    /// TLS 1.3, else 1.2.
    pub tls13: bool,
    /// Names of the certificate, which only TLS 1.2 shows.
    pub certificate: (&'a str, &'a [&'a str]),
}

const TLS12: u16 = 0x0303;

fn random(rng: &mut Rng) -> [u8; 32] {
    let mut bytes = [0; 32];
    fill(rng.next(), 0, &mut bytes);
    bytes
}

fn record(kind: u8, version: u16, fragment: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Record { content_type: kind, version, fragment }.emit(&mut out);
    out
}

fn handshake(kind: u8, body: &[u8], out: &mut Vec<u8>) {
    Handshake { kind, body }.emit(out);
}

/// The steps of a handshake; what follows is up to the application.
pub(crate) fn open(hello: &Hello<'_>, rng: &mut Rng) -> VecDeque<Step> {
    let client = ClientHelloRepr::new(Carrier::Tls, hello.name, hello.alpn, random(rng));
    open_as(client, hello, 2400..=3600, rng)
}

/// The same with this client hello, and with as many hidden bytes of TLS 1.3's server as its
/// certificates make.
pub(crate) fn open_as(
    mut client: ClientHelloRepr,
    hello: &Hello<'_>,
    hidden: RangeInclusive<u64>,
    rng: &mut Rng,
) -> VecDeque<Step> {
    if !hello.tls13 {
        client.ciphers = vec![0xc02b, 0xc02f, 0xc00a, 0xc009, 0xc013, 0xc014, 0x0033, 0x002f];
        client.session_id.clear();
        client.extensions.retain(|(kind, _)| {
            *kind != extension::SUPPORTED_VERSIONS && *kind != extension::KEY_SHARE
        });
    }
    let first = first_record(&client);
    let think = rng.range(200_000, 3_000_000) as i64;
    let mut steps = VecDeque::new();
    let mut send = |side, delay, content| {
        steps.push_back(Step::Send { side, delay, content, mark: None });
    };
    send(UP, rng.range(100_000, 2_000_000) as i64, Content::bytes(first));
    let mut body = Vec::new();
    if hello.tls13 {
        ServerHelloRepr::tls13(random(rng), &client.session_id).emit(&mut body);
        let mut flight = Vec::new();
        handshake(handshake_type::SERVER_HELLO, &body, &mut flight);
        let mut flight = record(content::HANDSHAKE, TLS12, &flight);
        flight.extend(record(content::CHANGE_CIPHER_SPEC, TLS12, &[1]));
        let hidden = rng.range(*hidden.start(), *hidden.end());
        flight.extend([0x17, 3, 3, (hidden >> 8) as u8, hidden as u8]);
        send(DOWN, think, Content::opaque(flight, hidden, rng.next()));
        let mut finish = record(content::CHANGE_CIPHER_SPEC, TLS12, &[1]);
        finish.extend([0x17, 3, 3, 0, 69]);
        send(UP, MILLI, Content::opaque(finish, 69, rng.next()));
    } else {
        let alpn = hello.alpn.first().copied().unwrap_or_default();
        ServerHelloRepr::tls12(random(rng), alpn).emit(&mut body);
        let mut flight = Vec::new();
        handshake(handshake_type::SERVER_HELLO, &body, &mut flight);
        let (subject, others) = hello.certificate;
        let leaf = synthesise(subject, others);
        let issuer = synthesise("Synthetic Issuing CA", &[]);
        body.clear();
        Certificates::emit(&[&leaf, &issuer], &mut body);
        handshake(handshake_type::CERTIFICATE, &body, &mut flight);
        // Named curve x25519, a 32-byte point, then an ECDSA signature.
        let mut exchange = vec![3, 0, 0x1d, 32];
        exchange.extend(random(rng));
        exchange.extend([4, 3, 0, 64]);
        exchange.extend(random(rng));
        exchange.extend(random(rng));
        handshake(handshake_type::SERVER_KEY_EXCHANGE, &exchange, &mut flight);
        handshake(handshake_type::SERVER_HELLO_DONE, &[], &mut flight);
        send(DOWN, think, Content::bytes(record(content::HANDSHAKE, TLS12, &flight)));
        // Client key exchange in clear; finished messages are encrypted.
        let mut point = vec![32];
        point.extend(random(rng));
        let mut finish = Vec::new();
        handshake(16, &point, &mut finish);
        let mut finish = record(content::HANDSHAKE, TLS12, &finish);
        for side in [UP, DOWN] {
            finish.extend(record(content::CHANGE_CIPHER_SPEC, TLS12, &[1]));
            finish.extend([0x16, 3, 3, 0, 40]);
            send(side, MILLI, Content::opaque(std::mem::take(&mut finish), 40, rng.next()));
        }
    }
    steps
}

/// A client hello alone.
pub(crate) fn client_hello(name: &str, rng: &mut Rng) -> Step {
    let client = ClientHelloRepr::new(Carrier::Tls, name, &["h2"], random(rng));
    let content = Content::bytes(first_record(&client));
    Step::Send { side: UP, delay: MILLI, content, mark: None }
}

fn first_record(client: &ClientHelloRepr) -> Vec<u8> {
    let mut body = Vec::new();
    client.emit(&mut body);
    let mut message = Vec::new();
    handshake(handshake_type::CLIENT_HELLO, &body, &mut message);
    record(content::HANDSHAKE, 0x0301, &message)
}

/// One encrypted message.
pub(crate) fn data(side: usize, delay: i64, len: u64, rng: &mut Rng) -> Step {
    Step::Send { side, delay, content: Content::tls(len + 24, rng.next()), mark: None }
}

/// Closes with a close-notify alert, which is encrypted, and FIN.
pub(crate) fn close(steps: &mut VecDeque<Step>, side: usize, delay: i64, rng: &mut Rng) {
    let alert = Content::opaque([0x15, 3, 3, 0, 26], 26, rng.next());
    steps.push_back(Step::Send { side, delay, content: alert, mark: None });
    steps.push_back(Step::Close { side, delay: 50_000 });
}
