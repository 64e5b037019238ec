//! TLS over TCP: hellos and certificates, until all is encrypted.

use ottoscope_wire::tls::{Alert, Carrier, ClientHello, Handshake};
use ottoscope_wire::tls::{content, handshake_type, record};
use ottoscope_wire::{Layer, Reason, WireError};

use super::handshakes::{Arrived, Handshakes, MAX_MESSAGE};
use super::{Dissector, Emit, Emitted, Match, Probe, Progress, Protocol};
use crate::model::{Body, Direction, Transport};
use crate::time::Timestamp;

/// TLS 1.0 to 1.3, and SSL 3 and the SSL 2 hello on the way there.
pub static PROTOCOL: Protocol = Protocol {
    name: "tls",
    about: "Transport Layer Security 1.0 to 1.3: server name, versions, fingerprints, certificates",
    reference: "RFC 2246, RFC 4346, RFC 5246, RFC 8446",
    transports: &[Transport::Tcp],
    shared: false,
    first: |_, byte| byte == content::HANDSHAKE || byte & 0x80 != 0,
    probe,
    open: || Box::new(Tls::default()),
};

/// Records looked at before giving up: a handshake with client certificate takes about 20.
const MAX_RECORDS: u32 = 64;

/// A handshake record that starts with a hello. Strict, since others borrow the record types:
/// WeChat's MMTLS is `16 f1 03`, and fails here at its second byte.
fn probe(probe: &Probe<'_>) -> Match {
    let bytes = probe.bytes;
    if bytes.first().is_some_and(|b| b & 0x80 != 0) {
        return match ClientHello::parse_ssl2(bytes) {
            Ok(_) => Match::Yes,
            Err(error) if error.is_truncated() => Match::Maybe,
            Err(_) => Match::No,
        };
    }
    if bytes.first().is_some_and(|b| *b != content::HANDSHAKE) {
        return Match::No;
    }
    let len = match record::header(bytes) {
        Err(error) if error.is_truncated() => return Match::Maybe,
        Ok((content::HANDSHAKE, _, len)) if len > 0 => len,
        _ => return Match::No,
    };
    let here = &bytes[record::HEADER..];
    let ends = here.len() >= len;
    // Type, length in three bytes, version; 64 KiB and more are no hello.
    match &here[..len.min(here.len())] {
        [kind, ..]
            if !matches!(*kind, handshake_type::CLIENT_HELLO | handshake_type::SERVER_HELLO) =>
        {
            Match::No
        }
        [_, high, ..] if *high != 0 => Match::No,
        [_, _, a, b, major, ..] => {
            let sane = u16::from_be_bytes([*a, *b]) >= 38 && matches!(*major, 3 | 0x7f);
            if sane { Match::Yes } else { Match::No }
        }
        // Some split a hello into tiny records to hide its name.
        _ if ends => Match::Yes,
        _ => Match::Maybe,
    }
}

/// Reads one TLS flow. Other dissectors hand over to it (STARTTLS, proxies).
#[derive(Debug)]
pub struct Tls {
    sides: [Side; 2],
    handshakes: Handshakes,
    records: u32,
}

impl Default for Tls {
    fn default() -> Self {
        Tls { sides: Default::default(), handshakes: Handshakes::new(Carrier::Tls), records: 0 }
    }
}

/// One direction.
#[derive(Debug, Default)]
struct Side {
    /// Bytes of a handshake message that goes on in the next record.
    pending: Box<[u8]>,
    /// Bytes of a record that need not be seen.
    skip: u32,
    /// Size of the record whose rest was asked for.
    unfinished: u32,
    /// Records from here on are encrypted, or not understood.
    opaque: bool,
    /// A hole was met: the next bytes may be the middle of a record, ...
    lost: bool,
    /// ... and the next handshake record the middle of a message.
    torn: bool,
    /// Some record was read.
    started: bool,
}

impl Dissector for Tls {
    fn data(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) -> Progress {
        out.facts.protocol = "tls";
        let mut used = 0;
        loop {
            let side = &mut self.sides[direction.index()];
            let skipped = (side.skip as usize).min(bytes.len() - used);
            side.skip -= skipped as u32;
            used += skipped;
            let rest = &bytes[used..];
            if rest.is_empty() {
                return Progress::Used(used);
            }
            side.unfinished = 0;
            match self.record(at, direction, rest, out) {
                Step::Read(size) => used += size,
                Step::Wait => return Progress::Used(used),
                Step::Lost => return Progress::Used(bytes.len()),
                Step::Foreign => return Progress::NotMine,
            }
            if self.is_done() {
                return Progress::Done;
            }
        }
    }

    fn gap(&mut self, direction: Direction, missing: u64, _out: &mut Emit<'_>) -> Progress {
        // `missing` counts from the last byte used, thus from a record's start or within what
        // is skipped.
        let side = &mut self.sides[direction.index()];
        let known = u64::from(side.skip.max(side.unfinished));
        side.pending = Box::default();
        side.torn = true;
        side.skip = known.saturating_sub(missing) as u32; // no more than it was
        side.lost |= missing > known;
        side.unfinished = 0;
        Progress::Used(0)
    }
}

/// What became of the bytes at a record's start.
enum Step {
    /// So many were used.
    Read(usize),
    /// More are needed.
    Wait,
    /// They are no record, and nothing behind them can be found.
    Lost,
    /// They are no record, and there never was one.
    Foreign,
}

impl Tls {
    fn is_done(&self) -> bool {
        let h = &self.handshakes;
        self.records >= MAX_RECORDS
            || h.server_done() && (h.client_hello() || self.sides[0].opaque)
            || self.sides.iter().all(|s| s.opaque)
    }

    fn record(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) -> Step {
        let side = &mut self.sides[direction.index()];
        if !side.started && !side.lost && bytes[0] & 0x80 != 0 {
            return self.ssl2(at, direction, bytes, out);
        }
        let (content_type, _, len) = match record::header(bytes) {
            Ok(header) => header,
            Err(error) if error.is_truncated() && !side.lost => return Step::Wait,
            Err(_) if side.lost => return Step::Lost,
            Err(error) => {
                let foreign = !self.sides.iter().any(|s| s.started);
                if !foreign {
                    out.anomaly(at, error, bytes);
                    let side = &mut self.sides[direction.index()];
                    (side.opaque, side.lost) = (true, true);
                }
                return if foreign { Step::Foreign } else { Step::Lost };
            }
        };
        side.lost = false;
        side.started = true;
        self.records += 1;
        let size = record::HEADER + len;
        let wanted = matches!(content_type, content::HANDSHAKE | content::ALERT) && !side.opaque;
        if !wanted {
            if content_type != content::ALERT && content_type != content::HANDSHAKE {
                side.opaque = true;
                side.pending = Box::default();
                self.handshakes.encrypted(direction);
            }
            let here = size.min(bytes.len());
            self.sides[direction.index()].skip = (size - here) as u32; // a record's length has 16 bits
            return Step::Read(here);
        }
        let Some(fragment) = bytes.get(record::HEADER..size) else {
            self.records -= 1; // it comes again
            side.unfinished = size as u32;
            if content_type == content::HANDSHAKE && side.pending.is_empty() && !side.torn {
                self.handshakes.partial(&bytes[record::HEADER..], out);
            }
            return Step::Wait;
        };
        if content_type == content::ALERT {
            alert(at, direction, fragment, out);
        } else {
            self.handshake(at, direction, fragment, out);
        }
        Step::Read(size)
    }

    /// Reads the messages of a handshake record, keeping what does not end in it.
    fn handshake(
        &mut self,
        at: Timestamp,
        direction: Direction,
        fragment: &[u8],
        out: &mut Emit<'_>,
    ) {
        let side = &mut self.sides[direction.index()];
        let held = std::mem::take(&mut side.pending);
        let joined = (!held.is_empty()).then(|| [&held[..], fragment].concat());
        let mut rest = joined.as_deref().unwrap_or(fragment);
        while !rest.is_empty() {
            let side = &mut self.sides[direction.index()];
            match Handshake::parse(rest) {
                Ok(message) if message.kind <= handshake_type::LAST => {
                    side.torn = false;
                    rest = &rest[message.size()..];
                    let arrived = Arrived { at, direction, message, carrier: &() };
                    self.handshakes.message(&arrived, out);
                }
                Err(WireError { reason: Reason::Truncated { need, .. }, .. })
                    if rest[0] <= handshake_type::LAST && need <= MAX_MESSAGE && !side.torn =>
                {
                    self.handshakes.partial(rest, out);
                    side.pending = rest.into();
                    return;
                }
                _ if side.torn => return,
                _ => {
                    // Finished and renegotiation look like this: encrypted handshake records.
                    side.opaque = true;
                    self.handshakes.encrypted(direction);
                    return;
                }
            }
        }
    }

    /// A hello in SSL 2 form, which no record holds.
    fn ssl2(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) -> Step {
        let hello = match ClientHello::parse_ssl2(bytes) {
            Ok(hello) => hello,
            Err(error) if error.is_truncated() => return Step::Wait,
            Err(_) if self.sides.iter().any(|s| s.started) => {
                out.anomaly(at, WireError::new(Layer::Tls, 0, Reason::BadMagic), bytes);
                let side = &mut self.sides[direction.index()];
                (side.opaque, side.lost) = (true, true);
                return Step::Lost;
            }
            Err(_) => return Step::Foreign,
        };
        self.sides[direction.index()].started = true;
        self.records += 1;
        let size = 2 + usize::from(u16::from_be_bytes([bytes[0] & 0x7f, bytes[1]]));
        let message = Handshake { kind: handshake_type::CLIENT_HELLO, body: &bytes[..size] };
        let arrived = Arrived { at, direction, message, carrier: &() };
        self.handshakes.ssl2_hello(&arrived, &hello, out);
        Step::Read(size)
    }
}

fn alert(at: Timestamp, direction: Direction, fragment: &[u8], out: &mut Emit<'_>) {
    let Ok(alert) = Alert::parse(fragment) else { return };
    let emitted = Emitted {
        protocol: "tls",
        kind: "alert",
        name: None,
        opcode: Some(alert.description.into()),
        sequence: None,
        len: fragment.len() as u64,
        head: fragment,
        body: Body::Fields(&alert),
    };
    out.message(at, direction, &emitted);
}

#[cfg(test)]
mod tests;
