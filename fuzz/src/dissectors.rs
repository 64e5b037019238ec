//! Every protocol's probe and reader.

use ottoscope_flow::dissector::{ALL, Emit, Match, Probe, Progress};
use ottoscope_flow::said::Said;
use ottoscope_flow::{Direction, Facts, Timestamp, Transport};

/// The first byte chooses the protocol, the second transport and port. Then chunks: direction
/// and length in a byte, then bytes; a length of 127 is a hole.
pub fn dissectors(data: &[u8]) {
    let [choice, how, rest @ ..] = data else { return };
    let protocol = ALL[usize::from(*choice) % ALL.len()];
    let transport = protocol.transports[usize::from(how & 0x0f) % protocol.transports.len()];
    let port = [53, 80, 443, 1080, 3478, 5222, 5353, 40000][usize::from(how >> 4) % 8];
    for other in ALL {
        let probe = Probe {
            transport,
            direction: Direction::Up,
            server_port: port,
            client_port: 40001,
            bytes: rest,
        };
        let _ = (other.probe)(&probe);
        let answer = other.ask(&probe);
        let carried = other.transports.contains(&transport);
        assert!(carried || answer != Match::Yes, "{} over {transport}", other.name);
    }
    let mut dissector = (protocol.open)();
    let mut facts = Facts::default();
    let mut messages = 0_usize;
    let mut buffers = [Vec::new(), Vec::new()];
    let mut at = Timestamp(1_700_000_000_000_000_000);
    let mut emit = Emit {
        facts: &mut facts,
        transport,
        ports: (40001, port),
        every_packet: how & 1 == 1,
        video_packets: how & 2 == 2,
        said: &mut Said::default(),
        messages: &mut |_, _, _, message| {
            message.body.fields().fields(&mut |_, value| {
                assert!(!format!("{value:?}").is_empty());
            });
            assert!(!message.kind.is_empty() && !message.protocol.is_empty());
            messages += 1;
        },
        anomalies: &mut |_, error, _| assert!(!error.to_string().is_empty()),
    };
    let mut rest = rest;
    while let [head, tail @ ..] = rest {
        let direction = if head & 0x80 == 0 { Direction::Up } else { Direction::Down };
        let len = usize::from(head & 0x7f) * 4;
        at = Timestamp(at.0 + 1_000_000);
        let progress = if head & 0x7f == 0x7f {
            rest = tail;
            buffers[direction.index()].clear();
            dissector.gap(direction, 100, &mut emit)
        } else {
            let (chunk, tail) = tail.split_at(len.min(tail.len()));
            rest = tail;
            if transport == Transport::Udp {
                dissector.data(at, direction, chunk, &mut emit)
            } else {
                let buffer = &mut buffers[direction.index()];
                buffer.extend_from_slice(chunk);
                stream(|bytes| dissector.data(at, direction, bytes, &mut emit), buffer)
            }
        };
        if progress == Progress::Done || progress == Progress::NotMine {
            break;
        }
    }
    dissector.close(at, &mut emit);
    assert!(messages <= 64 * (data.len() + 1), "{messages} messages out of {} bytes", data.len());
}

/// Offers the buffer as the engine does: again and again until nothing more is used.
fn stream(mut data: impl FnMut(&[u8]) -> Progress, buffer: &mut Vec<u8>) -> Progress {
    loop {
        match data(buffer) {
            Progress::Used(0) => return Progress::Used(0),
            Progress::Used(n) => {
                assert!(n <= buffer.len(), "used {n} of {}", buffer.len());
                buffer.drain(..n);
                if buffer.is_empty() {
                    return Progress::Used(n);
                }
            }
            end => return end,
        }
    }
}
