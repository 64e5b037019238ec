//! MMTLS over TCP: WeChat's long connection, record by record.
//!
//! Everything behind the hellos is encrypted, but a record holds about a message, so that every
//! record is told: sizes and times are what can be learnt. What is carried in HTTP bodies is
//! HTTP.

use ottoscope_wire::wechat::mmtls::{self, Hello, content, handshake_type};
use ottoscope_wire::{Fields, Value};

use super::{Dissector, Emit, Emitted, Match, Probe, Progress, Protocol};
use crate::model::{Body, Direction, Transport};
use crate::time::Timestamp;

/// MMTLS.
pub static PROTOCOL: Protocol = Protocol {
    name: "mmtls",
    about: "MMTLS, WeChat's dialect of TLS over TCP, on any port: hellos and records",
    reference: "https://github.com/citizenlab/wechat-security-report",
    transports: &[Transport::Tcp],
    shared: false,
    first: |_, byte| {
        matches!(byte, content::ALERT | content::HANDSHAKE | content::DATA | content::EARLY)
    },
    probe,
    open: || Box::new(Mmtls::default()),
};

/// High byte of both versions.
const MAJOR: u8 = 0xf1;
/// Bytes of a message in clear that tell that it is one: its length.
const INNER: usize = 4;
/// A first record longer than this is taken at its word; the engine does not keep 8 KiB.
const PATIENCE: usize = 4096;
/// Longest record that is waited for in full, since it may be a hello: those seen have 400 bytes.
const MAX_HELLO: usize = 2048;
/// First bytes kept of a record whose rest is skipped.
const HEAD: usize = 32;

/// A record in clear, or one that ends where the bytes do, or is followed by another. Its three
/// fixed bytes alone would be little for a flow that is seen from its middle.
fn probe(probe: &Probe<'_>) -> Match {
    let bytes = probe.bytes;
    if bytes.get(1).is_some_and(|byte| *byte != MAJOR) {
        return Match::No;
    }
    let verdict = |bytes: &[u8], sure: Match| match mmtls::header(bytes) {
        Ok(_) => sure,
        Err(error) if error.is_truncated() => Match::Maybe,
        Err(_) => Match::No,
    };
    let Ok((_, _, len)) = mmtls::header(bytes) else { return verdict(bytes, Match::Maybe) };
    let fragment = &bytes[mmtls::HEADER..];
    let inner = &fragment[..fragment.len().min(len).min(INNER)];
    if mmtls::is_clear(inner, len) == Some(true) {
        return Match::Yes;
    }
    match fragment.get(len..) {
        Some([]) => Match::Yes,
        Some(next) => verdict(next, Match::Yes),
        None if fragment.len() >= PATIENCE => Match::Yes,
        None => Match::Maybe,
    }
}

#[derive(Debug, Default)]
struct Mmtls {
    sides: [Side; 2],
}

/// One direction.
#[derive(Debug, Default)]
struct Side {
    /// Bytes of a record that need not be seen.
    skip: u64,
    /// Size of the record whose rest was asked for.
    unfinished: u64,
    /// A hole was met: the next bytes may be the middle of a record.
    lost: bool,
    /// Some record was read.
    started: bool,
}

/// What the header of a record says.
struct Told {
    content_type: u8,
    version: u16,
    len: usize,
}

impl Fields for Told {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("content_type", Value::Hex(self.content_type.into()));
        each("version", Value::Hex(self.version.into()));
        each("len", Value::Number(self.len as u64));
    }
}

impl Told {
    /// Whether it may hold a hello, as far as the first bytes of its fragment tell.
    fn may_greet(&self, fragment: &[u8]) -> bool {
        matches!(self.content_type, content::HANDSHAKE | content::EARLY)
            && (INNER..=MAX_HELLO).contains(&self.len)
            && mmtls::is_clear(fragment, self.len) != Some(false)
    }

    fn tell(&self, at: Timestamp, direction: Direction, bytes: &[u8], out: &mut Emit<'_>) {
        let size = mmtls::HEADER + self.len;
        let hello = bytes.get(mmtls::HEADER..size).filter(|fragment| self.may_greet(fragment));
        let hello = hello.and_then(|fragment| Hello::parse(fragment).ok());
        let kind = match &hello {
            Some(hello) if hello.kind == handshake_type::CLIENT_HELLO => "client-hello",
            Some(_) => "server-hello",
            None => mmtls::name(self.content_type),
        };
        let body: &dyn Fields = match &hello {
            Some(hello) => hello,
            None => self,
        };
        let message = Emitted {
            protocol: PROTOCOL.name,
            kind,
            name: None,
            opcode: None,
            sequence: None,
            len: size as u64,
            head: &bytes[..size.min(HEAD).min(bytes.len())],
            body: Body::Fields(body),
        };
        out.message(at, direction, &message);
    }
}

impl Dissector for Mmtls {
    fn data(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) -> Progress {
        let foreign = !self.sides.iter().any(|side| side.started);
        let side = &mut self.sides[direction.index()];
        let mut used = 0;
        loop {
            let skipped = side.skip.min((bytes.len() - used) as u64) as usize;
            side.skip -= skipped as u64;
            used += skipped;
            let rest = &bytes[used..];
            if rest.is_empty() {
                return Progress::Used(used);
            }
            side.unfinished = 0;
            let told = match mmtls::header(rest) {
                Ok((content_type, version, len)) => Told { content_type, version, len },
                Err(error) if error.is_truncated() && !side.lost => return Progress::Used(used),
                Err(_) if side.lost => return Progress::Used(bytes.len()),
                Err(_) if foreign => return Progress::NotMine,
                Err(error) => {
                    out.anomaly(at, error, rest);
                    side.lost = true;
                    return Progress::Used(bytes.len());
                }
            };
            let size = mmtls::HEADER + told.len;
            let fragment = &rest[mmtls::HEADER..];
            let wanted = if told.may_greet(fragment) { size } else { size.min(HEAD) };
            if rest.len() < wanted {
                side.unfinished = size as u64;
                return Progress::Used(used);
            }
            (side.lost, side.started) = (false, true);
            out.facts.protocol = PROTOCOL.name;
            told.tell(at, direction, rest, out);
            side.skip = size as u64;
        }
    }

    fn gap(&mut self, direction: Direction, missing: u64, _out: &mut Emit<'_>) -> Progress {
        // `missing` counts from the last byte used: a record's start, or within what is skipped.
        let side = &mut self.sides[direction.index()];
        let known = side.skip.max(side.unfinished);
        side.skip = known.saturating_sub(missing);
        side.lost |= missing > known;
        side.unfinished = 0;
        Progress::Used(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissector::testing::Bench;
    use crate::model::Direction::{Down, Up};
    use hex_literal::hex;
    use proptest::prelude::*;

    fn hello(kind: u8) -> Vec<u8> {
        let client = kind == handshake_type::CLIENT_HELLO;
        let mut fragment = Vec::new();
        Hello {
            kind,
            version: mmtls::version::F104,
            suites: &[0, 0xa8],
            random: &[7; 32],
            time: client.then_some(1_701_738_561),
            extensions: &[1, 2, 3],
        }
        .emit(&mut fragment);
        record(content::HANDSHAKE, &fragment)
    }

    fn record(content_type: u8, fragment: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let version = mmtls::version::F104;
        mmtls::Record { content_type, version, fragment }.emit(&mut out);
        out
    }

    fn script() -> Vec<(Direction, Vec<u8>)> {
        let sealed = record(content::HANDSHAKE, &[0x9b; 55]);
        vec![
            (Up, hello(1)),
            (Down, [hello(2), sealed.clone()].concat()),
            (Up, [sealed, record(content::DATA, &[0x5a; 546])].concat()),
            (Down, record(content::DATA, &[0x60; 150])),
            (Down, hex!("15f10400070000000300730215f103000201ff").to_vec()),
        ]
    }

    fn talk(script: &[(Direction, Vec<u8>)], cuts: &[usize]) -> Bench {
        let mut bench = Bench::new(Transport::Tcp, (PROTOCOL.open)());
        let script: Vec<(Direction, &[u8])> = script.iter().map(|(d, b)| (*d, &b[..])).collect();
        bench.talk(&script, cuts);
        bench
    }

    const EXPECTED: &[&str] = &[
        "up mmtls/client-hello len=58 kind=1 version=0xf104 cipher=0xa8 time=1701738561 extensions=3",
        "down mmtls/server-hello len=53 kind=2 version=0xf104 cipher=0xa8 extensions=3",
        "down mmtls/handshake len=60 content_type=0x16 version=0xf104 len=55",
        "up mmtls/handshake len=60 content_type=0x16 version=0xf104 len=55",
        "up mmtls/data len=551 content_type=0x17 version=0xf104 len=546",
        "down mmtls/data len=155 content_type=0x17 version=0xf104 len=150",
        "down mmtls/alert len=12 content_type=0x15 version=0xf104 len=7",
        "down mmtls/alert len=7 content_type=0x15 version=0xf103 len=2",
    ];

    #[test]
    fn every_record_is_told() {
        let bench = talk(&script(), &[]);
        assert_eq!(bench.messages, EXPECTED);
        assert!(bench.anomalies.is_empty() && bench.end.is_none());
        assert_eq!(bench.facts.protocol, "mmtls");
    }

    #[test]
    fn holes_and_nonsense_cost_only_what_they_hide() {
        let data = |len| record(content::DATA, &vec![0x77; len]);
        let mut bench = talk(&[(Up, hello(1))], &[]);
        // The rest of a record is missing, then a record and the start of the next.
        bench.feed(Up, &data(1000)[..400]).gap(Up, 605).feed(Up, &data(40));
        bench.gap(Up, 90).feed(Up, &[0xee; 30]).feed(Up, &data(50));
        let sizes = |bench: &Bench| -> Vec<String> {
            let last = |line: &String| line.rsplit('=').next().unwrap_or_default().to_owned();
            bench.messages.iter().skip(1).map(last).collect()
        };
        assert_eq!(sizes(&bench), ["1000", "40", "50"]);
        assert!(bench.anomalies.is_empty());
        bench.feed(Up, &[0xee; 30]).feed(Up, &data(60));
        assert_eq!(sizes(&bench), ["1000", "40", "50", "60"]);
        assert_eq!(bench.anomalies, ["mmtls at byte 0: fixed value differs"]);
    }

    #[test]
    fn probing_wants_more_than_three_bytes() {
        let check = |bytes: &[u8], expected: Match| {
            let probe = Probe {
                transport: Transport::Tcp,
                direction: Up,
                server_port: 443,
                client_port: 50_000,
                bytes,
            };
            assert_eq!(PROTOCOL.ask(&probe), expected, "{bytes:02x?}");
        };
        check(&hello(1), Match::Yes);
        check(&hello(1)[..9], Match::Yes);
        check(&hello(1)[..8], Match::Maybe);
        check(&[0x16], Match::Maybe);
        check(&hex!("16f1"), Match::Maybe);
        check(&hex!("1603"), Match::No);
        check(&hex!("16f105"), Match::No);
        check(&hex!("160301 0200 010001fc0303"), Match::No);
        check(&hex!("17f10300020102"), Match::Yes);
        check(&hex!("17f1030002010217f1"), Match::Maybe);
        check(&hex!("17f1030002010217f1030001ff"), Match::Yes);
        check(&hex!("17f103000201020000000000"), Match::No);
        check(&record(content::DATA, &[1; 5000])[..4000], Match::Maybe);
        check(&record(content::DATA, &[1; 5000])[..4200], Match::Yes);
    }

    proptest! {
        #[test]
        fn cutting_the_stream_changes_nothing(cuts in prop::collection::vec(0usize..900, 0..9)) {
            prop_assert_eq!(talk(&script(), &cuts).messages, EXPECTED);
        }

        #[test]
        fn any_bytes_are_taken(
            pieces in prop::collection::vec(
                (any::<bool>(), prop::collection::vec(any::<u8>(), 1..30), 0u64..40), 0..9,
            ),
            begun in 0usize..5,
        ) {
            let mut bench = talk(&script()[..begun], &[]);
            for (up, bytes, missing) in &pieces {
                let direction = if *up { Up } else { Down };
                bench.feed(direction, bytes);
                if *missing > 0 && bench.end.is_none() {
                    bench.gap(direction, *missing);
                }
            }
        }
    }
}
