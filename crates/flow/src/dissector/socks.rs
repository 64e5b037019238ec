//! SOCKS over TCP: whom the proxy is asked for, then the tunnelled protocol takes over.

use ottoscope_wire::socks::{self, Reply, Request};
use ottoscope_wire::{Fields, WireError};

use super::{Dissector, Emit, Emitted, Match, Probe, Progress, Protocol};
use crate::model::{Body, Direction, NameSource, Transport};
use crate::time::Timestamp;

/// Bytes that a client may send ahead before its proxy's silence is taken for a capture of one
/// direction.
const MAX_AHEAD: usize = 4096;
/// Authentication methods (RFC 1928 section 3).
const PASSWORD: u8 = 2;
const GSSAPI: u8 = 1;
const REFUSED: u8 = 0xff;
/// Command that leaves TCP (RFC 1928 section 4).
const UDP_ASSOCIATE: u8 = 3;

/// SOCKS.
pub static PROTOCOL: Protocol = Protocol {
    name: "socks",
    about: "Requests to SOCKS 4, 4a and 5 proxies",
    reference: "RFC 1928, RFC 1929; the SOCKS 4 and 4a memos",
    transports: &[Transport::Tcp],
    shared: false,
    first: |_, byte| matches!(byte, socks::V4 | socks::V5),
    probe,
    open: || Box::new(Socks::default()),
};

fn probe(probe: &Probe<'_>) -> Match {
    let verdict = |read: Result<usize, WireError>| match read {
        Ok(len) if len == probe.bytes.len() => Match::Yes,
        Ok(len) if probe.bytes[0] == socks::V5 => follows(&probe.bytes[len..]),
        Err(error) if error.is_truncated() => Match::Maybe,
        _ => Match::No,
    };
    match probe.bytes.first() {
        _ if probe.direction == Direction::Down => Match::No,
        Some(&socks::V4) => verdict(Request::parse(probe.bytes).map(|request| request.len)),
        Some(&socks::V5) => verdict(socks::greeting(probe.bytes)),
        Some(_) => Match::No,
        None => Match::Maybe,
    }
}

/// What a client that did not wait sends behind its greeting.
fn follows(bytes: &[u8]) -> Match {
    match Request::parse(bytes).map(|request| request.len).or_else(|_| socks::password(bytes)) {
        Ok(_) => Match::Yes,
        Err(error) if error.is_truncated() => Match::Maybe,
        Err(_) => Match::No,
    }
}

#[derive(Default)]
struct Socks {
    version: u8,
    greeted: bool,
    command: u8,
    requested: bool,
    /// Authentication method that the proxy chose.
    method: Option<u8>,
    authenticated: bool,
}

impl Socks {
    /// One step in the client's direction: bytes used.
    fn client(
        &mut self,
        at: Timestamp,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) -> Result<usize, WireError> {
        if !self.greeted {
            self.version = bytes[0];
            self.greeted = true;
            if self.version == socks::V5 {
                return socks::greeting(bytes).inspect_err(|_| self.greeted = false);
            }
        }
        if self.version == socks::V5 && bytes[0] == 1 {
            return socks::password(bytes);
        }
        let request = Request::parse(bytes)?;
        self.requested = true;
        self.command = request.command;
        out.facts.protocol = PROTOCOL.name;
        if let Some(name) = request.name() {
            out.server_name(name, NameSource::Proxy);
        }
        tell(at, Direction::Up, "request", request.name(), &bytes[..request.len], &request, out);
        Ok(request.len)
    }

    /// One step in the proxy's direction.
    fn proxy(
        &mut self,
        at: Timestamp,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) -> Result<Progress, WireError> {
        if self.version == socks::V5 {
            let Some([first, second]) = bytes.first_chunk() else { return Ok(Progress::Used(0)) };
            if self.method.is_none() {
                if *first != socks::V5 {
                    return Ok(Progress::NotMine);
                }
                self.method = Some(*second);
                // GSSAPI may wrap all that follows.
                let over = matches!(*second, REFUSED | GSSAPI);
                return Ok(if over { Progress::Done } else { Progress::Used(2) });
            }
            if self.method == Some(PASSWORD) && !self.authenticated {
                self.authenticated = true;
                return Ok(if *second == 0 { Progress::Used(2) } else { Progress::Done });
            }
        }
        let reply = Reply::parse(self.version, bytes)?;
        tell(at, Direction::Down, "reply", None, &bytes[..reply.len], &reply, out);
        Ok(match self.command {
            UDP_ASSOCIATE => Progress::Done,
            _ if !reply.is_granted() => Progress::Done,
            _ => Progress::Switch(reply.len),
        })
    }
}

fn tell(
    at: Timestamp,
    direction: Direction,
    kind: &str,
    name: Option<&str>,
    head: &[u8],
    body: &dyn Fields,
    out: &mut Emit<'_>,
) {
    let emitted = Emitted {
        protocol: PROTOCOL.name,
        kind,
        name,
        opcode: None,
        sequence: None,
        len: head.len() as u64,
        head,
        body: Body::Fields(body),
    };
    out.message(at, direction, &emitted);
}

impl Dissector for Socks {
    fn data(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) -> Progress {
        let mut used = 0;
        while used < bytes.len() {
            let rest = &bytes[used..];
            let step = match direction {
                Direction::Up if self.requested => {
                    let alone = self.method.is_none() && self.version == socks::V5
                        || self.version == socks::V4;
                    let one_sided = alone && rest.len() > MAX_AHEAD;
                    return if one_sided { Progress::Switch(used) } else { Progress::Used(used) };
                }
                Direction::Up => self.client(at, rest, out).map(Progress::Used),
                Direction::Down => self.proxy(at, rest, out),
            };
            match step {
                Ok(Progress::Used(0)) => break,
                Ok(Progress::Used(more)) => used += more,
                Ok(Progress::Switch(more)) => return Progress::Switch(used + more),
                Ok(end) => return end,
                Err(error) if error.is_truncated() => break,
                Err(error) if self.requested => {
                    out.anomaly(at, error, rest);
                    return Progress::Done;
                }
                Err(_) => return Progress::NotMine,
            }
        }
        Progress::Used(used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissector::testing::Bench;
    use crate::model::Direction::{Down, Up};
    use hex_literal::hex;
    use proptest::prelude::*;

    const REQUEST: &[u8] = b"\x05\x01\x00\x03\x0eG.whatsapp.net\x01\xbb";
    const REPLY: &[u8] = &hex!("05000001 7f000001 0438");

    fn talk(script: &[(Direction, &[u8])], cuts: &[usize]) -> Bench {
        let mut bench = Bench::new(Transport::Tcp, (PROTOCOL.open)());
        bench.talk(script, cuts);
        bench
    }

    const V5: &[(Direction, &[u8])] = &[
        (Up, &hex!("05020002")),
        (Down, &hex!("0502")),
        (Up, &hex!("01 01 61 01 62")),
        (Down, &hex!("0100")),
        (Up, REQUEST),
        (Down, REPLY),
    ];

    #[test]
    fn targets_are_told_and_the_tunnel_handed_over() {
        let bench = talk(V5, &[]);
        assert_eq!(
            bench.messages,
            [
                "up socks/request G.whatsapp.net len=21 version=5 command=1 \
                 target=G.whatsapp.net port=443",
                "down socks/reply len=10 version=5 code=0 granted=true bound=127.0.0.1 port=1080",
            ]
        );
        assert_eq!(bench.facts.server_name.as_deref(), Some("g.whatsapp.net"));
        assert_eq!(bench.facts.protocol, "socks");
        assert_eq!(bench.facts.name_source, Some(NameSource::Proxy));
        assert_eq!(bench.end, Some(Progress::Switch(REPLY.len())));
        let v4 = talk(
            &[(Up, &hex!("0401005000000001 00 612e6200")), (Down, &hex!("005a000000000000"))],
            &[],
        );
        assert_eq!(v4.facts.server_name.as_deref(), Some("a.b"));
        assert_eq!(v4.end, Some(Progress::Switch(8)));
    }

    #[test]
    fn refusals_end_it() {
        let refused = hex!("05050001000000000000");
        assert_eq!(
            talk(&[V5[0], (Down, &hex!("0500")), V5[4], (Down, &refused)], &[]).end,
            Some(Progress::Done)
        );
        assert_eq!(talk(&[V5[0], (Down, b"\x05\xff")], &[]).end, Some(Progress::Done));
        assert_eq!(talk(&[V5[0], (Down, b"HTTP")], &[]).end, Some(Progress::NotMine));
        assert_eq!(talk(&[V5[0], (Up, b"GET /")], &[]).end, Some(Progress::NotMine));
    }

    #[test]
    fn probes_wait_for_the_whole_greeting() {
        let check = |bytes: &[u8], expected: Match| {
            let probe = Probe {
                transport: Transport::Tcp,
                direction: Up,
                server_port: 9150,
                client_port: 50_000,
                bytes,
            };
            assert_eq!((PROTOCOL.probe)(&probe), expected, "{bytes:x?}");
            let down = Probe { direction: Down, ..probe };
            assert_eq!((PROTOCOL.probe)(&down), Match::No);
        };
        check(&hex!("05"), Match::Maybe);
        check(&hex!("0502 00"), Match::Maybe);
        check(&hex!("0502 0002"), Match::Yes);
        check(&[&hex!("050100")[..], REQUEST].concat(), Match::Yes);
        check(&hex!("0502 0002 ffff"), Match::No);
        check(&hex!("05000b03 10000000"), Match::No); // DCE/RPC
        check(&hex!("04010050c0000201 6d6500"), Match::Yes);
        check(&hex!("04010050c0000201 6d6500 00"), Match::No);
        check(&hex!("040200"), Match::Maybe);
        check(&hex!("04030050c0000201"), Match::No);
    }

    proptest! {
        #[test]
        fn any_cutting_tells_the_same(cuts in prop::collection::vec(0usize..60, 0..20)) {
            let (bench, whole) = (talk(V5, &cuts), talk(V5, &[]));
            prop_assert_eq!(bench.messages, whole.messages);
            prop_assert!(matches!(bench.end, Some(Progress::Switch(_))));
        }

        #[test]
        fn reading_is_total(
            pieces in prop::collection::vec(
                (any::<bool>(), prop::collection::vec(any::<u8>(), 1..30)), 0..9,
            ),
            begun in 0usize..6,
        ) {
            let mut bench = talk(&V5[..begun], &[]);
            for (up, bytes) in &pieces {
                bench.feed(if *up { Up } else { Down }, bytes);
            }
        }
    }
}
