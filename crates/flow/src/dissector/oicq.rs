//! OICQ, QQ's protocol to its servers over UDP 8000 and TCP: commands in clear, the rest
//! encrypted.

use ottoscope_wire::oicq::{Message, START, command_name};
use ottoscope_wire::{Fields, Value};

use super::{Dissector, Emit, Emitted, Match, Probe, Progress, Protocol};
use crate::model::{Body, Direction, Transport};
use crate::time::Timestamp;

/// OICQ.
pub static PROTOCOL: Protocol = Protocol {
    name: "oicq",
    about: "QQ's commands to its servers, by name; what they carry is encrypted",
    reference: "https://wiki.wireshark.org/OICQ",
    transports: &[Transport::Udp, Transport::Tcp],
    shared: false,
    // Over TCP a length comes first, of messages that are short.
    first: |transport, byte| match transport {
        Transport::Tcp => byte <= LONGEST_HIGH,
        _ => byte == START,
    },
    probe,
    open: || Box::new(Oicq::default()),
};

/// Ports of QQ's servers over UDP: a first byte, a last byte and a command are too little.
const PORTS: [u16; 2] = [8000, 8001];
/// High byte of the length of the longest first message that is waited for.
const LONGEST_HIGH: u8 = 0x0f;
/// Bytes over TCP that hold the command.
const HEAD: usize = 5 + 2;

fn probe(probe: &Probe<'_>) -> Match {
    let bytes = probe.bytes;
    let yes = |yes: bool| if yes { Match::Yes } else { Match::No };
    if probe.transport != Transport::Tcp {
        let port = PORTS.contains(&probe.server_port) || PORTS.contains(&probe.client_port);
        return yes(port && Message::parse(bytes).is_ok_and(|m| command_name(m.command).is_some()));
    }
    let fits = bytes.first().is_none_or(|high| *high <= LONGEST_HIGH)
        && bytes.get(2).is_none_or(|start| *start == START)
        && bytes
            .get(HEAD - 2..HEAD)
            .is_none_or(|c| command_name(u16::from_be_bytes([c[0], c[1]])).is_some());
    match Message::parse_framed(bytes) {
        _ if !fits => Match::No,
        Ok(_) => Match::Yes,
        Err(error) if error.is_truncated() => Match::Maybe,
        Err(_) => Match::No,
    }
}

/// Reads one flow.
#[derive(Debug, Default)]
struct Oicq {
    /// Some message was read.
    started: bool,
}

/// A client's message with its QQ number, which only `dissect` shows: it names a person.
struct WithAccount<'a>(Message<'a>, u32);

impl Fields for WithAccount<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("account", Value::Number(self.1.into()));
        self.0.fields(each);
    }
}

impl Oicq {
    fn tell(
        &mut self,
        at: Timestamp,
        direction: Direction,
        message: &Message<'_>,
        out: &mut Emit<'_>,
    ) {
        self.started = true;
        out.facts.protocol = PROTOCOL.name;
        let account = message.account().filter(|_| out.every_packet && direction == Direction::Up);
        let shown = account.map(|account| WithAccount(*message, account));
        let body: &dyn Fields = match &shown {
            Some(shown) => shown,
            None => message,
        };
        let emitted = Emitted {
            protocol: PROTOCOL.name,
            kind: message.name(),
            name: None,
            opcode: Some(message.command.into()),
            sequence: Some(message.sequence.into()),
            len: (ottoscope_wire::oicq::HEADER + message.body.len() + 1) as u64,
            // Its first bytes hold the number as well.
            head: &[],
            body: Body::Fields(body),
        };
        out.message(at, direction, &emitted);
    }
}

impl Dissector for Oicq {
    fn data(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) -> Progress {
        if out.transport != Transport::Tcp {
            return match Message::parse(bytes) {
                Ok(message) => {
                    self.tell(at, direction, &message, out);
                    Progress::Used(bytes.len())
                }
                Err(_) if self.started => Progress::Used(bytes.len()),
                Err(_) => Progress::NotMine,
            };
        }
        let mut used = 0;
        loop {
            match Message::parse_framed(&bytes[used..]) {
                Ok((message, size)) => {
                    self.tell(at, direction, &message, out);
                    used += size;
                }
                Err(error) if error.is_truncated() => return Progress::Used(used),
                Err(error) if self.started => {
                    out.anomaly(at, error, &[]);
                    return Progress::Done;
                }
                Err(_) => return Progress::NotMine,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissector::testing::Bench;
    use crate::model::Direction::{Down, Up};
    use proptest::prelude::*;

    fn message(command: u16, sequence: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        Message { version: 0x1505, command, sequence, body }.emit_framed(&mut bytes);
        bytes
    }

    fn ask(transport: Transport, server_port: u16, bytes: &[u8]) -> Match {
        let probe = Probe { transport, direction: Up, server_port, client_port: 50_000, bytes };
        PROTOCOL.ask(&probe)
    }

    #[test]
    fn datagrams_count_on_their_port_only() {
        let bytes = &message(2, 7, &[0, 0, 0x12, 0x34, 9, 9])[2..];
        assert_eq!(ask(Transport::Udp, 8000, bytes), Match::Yes);
        assert_eq!(ask(Transport::Udp, 8002, bytes), Match::No);
        assert_eq!(ask(Transport::Udp, 8000, &message(3, 7, &[])[2..]), Match::No);
        let mut bench = Bench::new(Transport::Udp, (PROTOCOL.open)());
        bench.feed(Up, bytes).feed(Down, &bytes[..7]).feed(Down, bytes);
        assert_eq!(bench.facts.protocol, "oicq");
        let line = "oicq/keep-alive len=14 opcode=2 sequence=7 client_version=0x1505 \
                    command=0x2 command_name=keep-alive sequence=7 body=6";
        assert_eq!(bench.messages, [format!("up {line}"), format!("down {line}")]);
    }

    #[test]
    fn a_stream_waits_for_its_first_message() {
        let bytes = message(0x22, 1, &[1; 30]);
        for cut in 0..bytes.len() {
            assert_eq!(ask(Transport::Tcp, 443, &bytes[..cut]), Match::Maybe, "{cut}");
        }
        assert_eq!(ask(Transport::Tcp, 443, &bytes), Match::Yes);
        assert_eq!(ask(Transport::Tcp, 443, &message(0x23, 1, &[1; 30])), Match::No);
    }

    proptest! {
        #[test]
        fn any_cutting_tells_the_same(cuts in prop::collection::vec(0usize..90, 0..9)) {
            let (up, down) = (message(0x22, 1, &[7; 20]), message(0x22, 1, &[8; 25]));
            let script: [(Direction, &[u8]); 3] = [(Up, &up), (Down, &down), (Up, &up)];
            let told = |cuts: &[usize]| {
                let mut bench = Bench::new(Transport::Tcp, (PROTOCOL.open)());
                bench.talk(&script, cuts);
                bench.messages
            };
            prop_assert_eq!(told(&cuts), told(&[]));
            prop_assert_eq!(told(&[]).len(), 3);
        }

        #[test]
        fn reading_is_total(bytes: Vec<u8>, tcp: bool, up: bool) {
            let transport = if tcp { Transport::Tcp } else { Transport::Udp };
            let mut bench = Bench::new(transport, (PROTOCOL.open)());
            bench.feed(if up { Up } else { Down }, &bytes);
        }
    }
}
