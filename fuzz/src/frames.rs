//! Headers of frames, and whole conversations through the engine.

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::sync::Arc;

use ottoscope_flow::collector::Collector;
use ottoscope_flow::dissector::signature::SignatureSet;
use ottoscope_flow::engine::{Engine, Frame, Shard};
use ottoscope_flow::{Config, Timestamp};
use ottoscope_wire::{Decoded, LinkType, Tcp, decode, decode_reassembled};

const LINKS: &[LinkType] = &[
    LinkType::ETHERNET,
    LinkType::RAW,
    LinkType::NULL,
    LinkType::LOOP,
    LinkType::LINUX_SLL,
    LinkType::LINUX_SLL2,
    LinkType::PPP,
    LinkType::PPP_HDLC,
    LinkType::PPP_ETHER,
    LinkType::PPP_WITH_DIRECTION,
    LinkType::CISCO_HDLC,
    LinkType::IEEE802_11,
    LinkType::IEEE802_11_RADIOTAP,
    LinkType::IEEE802_11_PRISM,
    LinkType::IEEE802_11_AVS,
    LinkType::IPV4,
    LinkType::IPV6,
];

/// The first byte chooses the link type.
pub fn packet(data: &[u8]) {
    let Some((choice, frame)) = data.split_first() else { return };
    match decode(LINKS[usize::from(*choice) % LINKS.len()], frame) {
        Ok(Decoded::Packet(packet)) => {
            assert!(packet.payload.len() <= frame.len());
            assert!(packet.payload.len() as u64 <= u64::from(packet.payload_len));
            black_box(packet);
        }
        Ok(Decoded::Fragment(fragment)) => {
            assert!(fragment.payload.len() <= frame.len());
            let _ = decode_reassembled(&fragment.head, fragment.payload, fragment.payload_len);
        }
        Ok(Decoded::NotIp(_)) => {}
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Segments of one conversation in any order, with holes and overlaps: a chunk is direction and
/// flags, a sequence number, a length, then bytes. No frame is lost, whatever happens.
pub fn stream(data: &[u8]) {
    let Some((choice, mut rest)) = data.split_first() else { return };
    let port = [80, 443, 53, 5222, 3478, 40000][usize::from(*choice) % 6];
    let udp = choice & 0x80 != 0;
    let none = SignatureSet::new(Vec::new()).expect("no signature can't be wrong");
    let config = Config { stream_buffer: 2048, total_buffer: 8192, ..Config::default() };
    let mut engine = Engine::new(config, Arc::new(none), Shard::single(), Collector::default());
    let (mut frames, mut bytes, mut at) = (0, 0, Timestamp(1_700_000_000_000_000_000));
    while let [how, seq, pause, len, tail @ ..] = rest {
        let (payload, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        let frame = segment(*how, port, udp, u32::from(*seq) * 16, payload);
        at = Timestamp(at.0 + i64::from(*pause) * 1_000_000_000);
        let wire_len = frame.len() as u32;
        let link = LinkType::RAW;
        let frame = Frame { at, link, capture: 0, wire_len, bytes: &frame, elsewhere: false };
        let Ok(()) = engine.frames([frame]);
        frames += 1;
        bytes += u64::from(wire_len);
        rest = tail;
    }
    let Ok((found, summary)) = engine.finish();
    let sum = |of: fn(&ottoscope_flow::Tally) -> u64| -> u64 {
        found.flows.iter().map(|f| of(&f.up) + of(&f.down)).sum()
    };
    assert_eq!(sum(|t| t.packets), frames, "packets in, packets out");
    assert_eq!(sum(|t| t.bytes), bytes, "bytes in, bytes out");
    let binned: u64 = found.bins.iter().map(|b| b.bytes[0] + b.bytes[1]).sum();
    assert_eq!(binned, bytes, "bins hold every byte");
    assert_eq!(summary.flows, found.flows.len() as u64);
}

/// An IPv4 packet between two fixed hosts. `how`: bit 0 turns it round, the rest are TCP flags.
fn segment(how: u8, port: u16, udp: bool, seq: u32, payload: &[u8]) -> Vec<u8> {
    let (client, server) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(192, 0, 2, 1));
    let up = how & 1 == 0;
    let ends = [(client, 40_001_u16), (server, port)];
    let ((source, source_port), (target, target_port)) =
        if up { (ends[0], ends[1]) } else { (ends[1], ends[0]) };
    let header = if udp { 8 } else { 20 };
    let mut frame = vec![0x45, 0];
    frame.extend(((20 + header + payload.len()) as u16).to_be_bytes());
    frame.extend([0, 0, 0, 0, 64, if udp { 17 } else { 6 }, 0, 0]);
    frame.extend(source.octets());
    frame.extend(target.octets());
    frame.extend(source_port.to_be_bytes());
    frame.extend(target_port.to_be_bytes());
    if udp {
        frame.extend(((header + payload.len()) as u16).to_be_bytes());
        frame.extend([0, 0]);
    } else {
        frame.extend(seq.to_be_bytes());
        frame.extend([0, 0, 0, 0, 0x50]);
        frame.push((how >> 1) & (Tcp::FIN | Tcp::SYN | Tcp::RST | Tcp::PSH | Tcp::ACK));
        frame.extend([0xff, 0xff, 0, 0, 0, 0]);
    }
    frame.extend(payload);
    frame
}
