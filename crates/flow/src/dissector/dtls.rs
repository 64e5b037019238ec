//! DTLS: hellos and certificates, put together from their fragments.

use ottoscope_wire::dtls::{HandshakeFragment, Record};
use ottoscope_wire::tls::{Carrier, Handshake, content, handshake_type as kind};

use super::assembler::Assembler;
use super::handshakes::{Arrived, Handshakes};
use super::media::Media;
use super::{Emit, Match, Probe, Protocol};
use crate::model::{Direction, Transport};
use crate::time::Timestamp;

/// DTLS, alone or beside STUN and RTP.
pub static PROTOCOL: Protocol = Protocol {
    name: "dtls",
    about: "Datagram Transport Layer Security 1.0 to 1.3: as TLS; keys of WebRTC media",
    reference: "RFC 4347, RFC 6347, RFC 9147",
    transports: &[Transport::Udp],
    shared: true,
    first: |_, byte| matches!(byte, 20..=63),
    probe,
    open: || Box::new(Media::default()),
};

/// Records looked at before giving up.
const MAX_RECORDS: u32 = 256;
/// Messages put together at a time, per direction.
const MAX_PARTIAL: usize = 4;
/// Most bytes of one message.
const MAX_MESSAGE: usize = 32 * 1024;

/// Records to the datagram's very end, the first a handshake's with a fragment in clear that
/// makes sense, or any from the middle of a connection.
fn probe(probe: &Probe<'_>) -> Match {
    if is_records(probe.bytes) { Match::Yes } else { Match::No }
}

/// Whether records fill the datagram.
pub(super) fn is_records(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while !rest.is_empty() {
        let Ok(record) = Record::parse(rest) else { return false };
        let clear = record.epoch == 0 && record.content_type == content::HANDSHAKE;
        if record.fragment.is_empty()
            || clear && HandshakeFragment::parse(record.fragment).is_err()
            || record.epoch > 16
        {
            return false;
        }
        rest = &rest[record.size()..];
    }
    !bytes.is_empty()
}

/// The state of one flow's handshake.
#[derive(Debug)]
pub(super) struct Dtls {
    handshakes: Handshakes,
    sides: [Side; 2],
    records: u32,
}

impl Default for Dtls {
    fn default() -> Self {
        let handshakes = Handshakes::new(Carrier::Dtls);
        Dtls { handshakes, sides: Default::default(), records: 0 }
    }
}

/// One direction.
#[derive(Debug, Default)]
struct Side {
    /// Number of the next message not read yet; earlier ones are retransmissions.
    next: u16,
    /// Messages of which parts are missing, by number.
    partial: Vec<(u16, u8, usize, Assembler)>,
}

impl Dtls {
    /// Whether nothing more is to be learnt.
    pub(super) fn is_done(&self) -> bool {
        self.records >= MAX_RECORDS || self.handshakes.server_done()
    }

    /// Reads a datagram of records.
    pub(super) fn datagram(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) {
        if self.is_done() {
            return;
        }
        let mut rest = bytes;
        while let Ok(record) = Record::parse(rest) {
            rest = &rest[record.size()..];
            self.records += 1;
            match (record.epoch, record.content_type) {
                (0, content::HANDSHAKE) => self.handshake(at, direction, record.fragment, out),
                (0, content::CHANGE_CIPHER_SPEC) | (1.., _) => {
                    self.handshakes.encrypted(direction);
                }
                _ => {}
            }
        }
    }

    fn handshake(
        &mut self,
        at: Timestamp,
        direction: Direction,
        fragments: &[u8],
        out: &mut Emit<'_>,
    ) {
        let mut rest = fragments;
        while !rest.is_empty() {
            let fragment = match HandshakeFragment::parse(rest) {
                Ok(fragment) => fragment,
                Err(error) => return out.anomaly(at, error, rest),
            };
            rest = &rest[fragment.size()..];
            self.fragment(at, direction, &fragment, out);
        }
    }

    fn fragment(
        &mut self,
        at: Timestamp,
        direction: Direction,
        fragment: &HandshakeFragment<'_>,
        out: &mut Emit<'_>,
    ) {
        let side = &mut self.sides[direction.index()];
        let wanted =
            matches!(fragment.kind, kind::CLIENT_HELLO | kind::SERVER_HELLO | kind::CERTIFICATE);
        if !wanted || fragment.message < side.next {
            return;
        }
        if fragment.is_whole() {
            side.next = fragment.message.saturating_add(1);
            let message = Handshake { kind: fragment.kind, body: fragment.body };
            let arrived = Arrived { at, direction, message, carrier: &() };
            return self.handshakes.message(&arrived, out);
        }
        let len = fragment.len as usize;
        let place = side.partial.iter().position(|p| p.0 == fragment.message);
        let place = place.unwrap_or_else(|| {
            if side.partial.len() >= MAX_PARTIAL {
                side.partial.remove(0);
            }
            side.partial.push((fragment.message, fragment.kind, len, Assembler::default()));
            side.partial.len() - 1
        });
        let (number, kind, whole, parts) = &mut side.partial[place];
        if *kind != fragment.kind || *whole != len {
            return;
        }
        parts.insert(fragment.offset.into(), fragment.body, (*whole).min(MAX_MESSAGE));
        if parts.prefix().len() < *whole {
            return;
        }
        side.next = number.saturating_add(1);
        let (_, kind, _, parts) = side.partial.swap_remove(place);
        let message = Handshake { kind, body: parts.prefix() };
        let arrived = Arrived { at, direction, message, carrier: &() };
        self.handshakes.message(&arrived, out);
    }
}
