use std::net::SocketAddr;

use ottoscope_wire::dtls::{HandshakeFragment, Record};
use ottoscope_wire::rtcp::emit_report;
use ottoscope_wire::rtp::Packet;
use ottoscope_wire::stun::{MessageRepr, attribute::kind as attr};
use ottoscope_wire::tls::{Carrier, ClientHelloRepr};
use proptest::prelude::*;

use super::super::testing::Bench;
use super::*;
use crate::model::Direction::{Down, Up};

fn bench(transport: Transport) -> Bench {
    Bench::new(transport, Box::new(Media::default()))
}

fn binding(kind: u16) -> Vec<u8> {
    let peer: SocketAddr = "192.0.2.7:4242".parse().unwrap();
    let mut out = Vec::new();
    let message = MessageRepr { fingerprint: true, ..MessageRepr::new(kind, *b"twelve bytes") };
    message.with_address(attr::XOR_MAPPED_ADDRESS, peer).emit(&mut out);
    out
}

fn rtp(ssrc: u32, sequence: u16, timestamp: u32) -> Vec<u8> {
    let packet = Packet {
        marker: false,
        payload_type: 111,
        sequence,
        timestamp,
        ssrc,
        contributors: &[],
        extension: None,
        payload: &[7; 60],
        padding: 0,
    };
    let mut out = Vec::new();
    packet.emit(&mut out);
    out
}

fn dtls_records() -> Vec<Vec<u8>> {
    let mut body = Vec::new();
    ClientHelloRepr::new(Carrier::Dtls, "turn.example.org", &["webrtc"], [5; 32]).emit(&mut body);
    let records = body.chunks(40).enumerate().map(|(i, part)| {
        let mut fragment = Vec::new();
        let (len, offset) = (body.len() as u32, 40 * i as u32);
        HandshakeFragment { kind: 1, len, message: 0, offset, body: part }.emit(&mut fragment);
        let (sequence, fragment) = (i as u64, &fragment[..]);
        let mut out = Vec::new();
        Record { content_type: 22, version: 0xfefd, epoch: 0, sequence, fragment }.emit(&mut out);
        out
    });
    records.collect()
}

fn in_channel(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    ChannelData { channel: 0x4001, data }.emit(&mut out);
    out
}

fn in_indication(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    MessageRepr::new(0x0016, [8; 12]).with(attr::DATA, data).emit(&mut out);
    out
}

fn streams(bench: &Bench) -> Vec<&String> {
    bench.messages.iter().filter(|m| m.contains("rtp/stream")).collect()
}

#[test]
fn a_call_is_named_by_the_best_of_its_parts() {
    let mut bench = bench(Transport::Udp);
    bench.feed(Up, &binding(0x0001)).feed(Down, &binding(0x0101));
    assert_eq!(bench.facts.protocol, "stun");
    for record in dtls_records().iter().rev() {
        bench.feed(Up, record);
    }
    assert_eq!(bench.facts.protocol, "dtls");
    assert_eq!(bench.facts.server_name.as_deref(), Some("turn.example.org"));
    assert!(bench.facts.tls().ja4.as_deref().unwrap().starts_with("dd3d0806wc_"));
    for i in 0..5u16 {
        bench.feed(Up, &rtp(1, i, 960 * u32::from(i)));
    }
    let mut report = Vec::new();
    emit_report(1, None, &[], &mut report);
    bench.feed(Down, &report).close();
    assert_eq!(bench.facts.protocol, "rtp");
    assert!(bench.messages.iter().any(|m| m.starts_with("down rtcp/receiver-report")));
    let streams = streams(&bench);
    assert_eq!(streams.len(), 1);
    assert!(streams[0].contains(" packets=5 ") && streams[0].contains(" lost=0 "), "{streams:?}");
}

#[test]
fn media_inside_turn_is_unwrapped() {
    let check = |wrap: &dyn Fn(&[u8]) -> Vec<u8>| {
        let mut bench = bench(Transport::Udp);
        for i in 0..8u16 {
            bench.feed(Down, &wrap(&rtp(9, 65_532_u16.wrapping_add(i), 960 * u32::from(i))));
        }
        bench.close();
        assert_eq!(bench.facts.protocol, "rtp");
        assert_eq!(streams(&bench).len(), 1);
        assert!(streams(&bench)[0].contains(" expected=8 "), "{:?}", streams(&bench));
    };
    check(&in_channel);
    check(&in_indication);
}

#[test]
fn chance_is_not_rtp() {
    let check = |packets: &[Vec<u8>]| {
        let mut bench = bench(Transport::Udp);
        for packet in packets {
            bench.feed(Up, packet);
        }
        bench.close();
        assert_eq!(streams(&bench), [""; 0], "{packets:x?}");
        assert_eq!(bench.facts.protocol, "");
        bench.end
    };
    // One packet, one packet four times, sources that change, numbers that jump.
    check(&[rtp(1, 5, 6)]);
    check(&vec![rtp(1, 5, 6); 9]);
    let changing: Vec<_> = (0..20).map(|i| rtp(i + 1, i as u16, i)).collect();
    assert_eq!(check(&changing), Some(Progress::NotMine));
    let jumping: Vec<_> = (0..20u16).map(|i| rtp(1, i.wrapping_mul(7919), 6)).collect();
    assert_eq!(check(&jumping), Some(Progress::NotMine));
    // WeChat's signalling has RTP's first byte.
    let wechat: Vec<_> = (0..9u8).map(|i| vec![0xa1, 8, 0, 0, i, 1, 2, 3, 4, 5, 6, 7, 8]).collect();
    check(&wechat);
}

#[test]
fn loss_duplicates_and_disorder_are_counted() {
    let mut bench = bench(Transport::Udp);
    for n in [10u16, 11, 12, 13, 15, 14, 15, 18, 19] {
        bench.feed(Up, &rtp(3, n, 320 * u32::from(n)));
    }
    bench.close();
    let stream = &streams(&bench)[0];
    for field in ["packets=9", "expected=10", "lost=2", "duplicates=1", "out_of_order=1"] {
        assert!(stream.contains(&format!(" {field} ")), "{field}: {stream}");
    }
}

#[test]
fn classic_stun_without_attributes_waits_for_its_answer() {
    let request = [&[0, 1, 0, 0][..], b"sixteen bytes id"].concat();
    let answer =
        [&[1, 1, 0, 12][..], b"sixteen bytes id", &[0, 1, 0, 8, 0, 1, 9, 9, 1, 2, 3, 4]].concat();
    let mut bench = bench(Transport::Udp);
    bench.feed(Up, &request);
    assert_eq!(bench.facts.protocol, "");
    bench.feed(Down, &answer);
    assert_eq!(bench.facts.protocol, "stun");
}

proptest! {
    /// STUN and TURN over TCP, plain and framed, however the stream is cut.
    #[test]
    fn cutting_a_stream_changes_nothing(
        cuts in proptest::collection::vec(0usize..700, 0..10), framed: bool,
    ) {
        let mut parts = vec![binding(0x0001), binding(0x0101)];
        parts.extend((0..5u16).map(|i| in_channel(&rtp(2, i, u32::from(i) * 960))));
        let up: Vec<u8> = parts.iter().flat_map(|p| {
            let head = (p.len() as u16).to_be_bytes();
            if framed { [&head[..], p].concat() } else { p.clone() }
        }).collect();
        let run = |cuts: &[usize]| {
            let mut bench = bench(Transport::Tcp);
            bench.talk(&[(Up, &up)], cuts).close();
            (bench.facts, bench.messages)
        };
        let whole = run(&[]);
        prop_assert_eq!(whole.0.protocol, "rtp");
        prop_assert_eq!(run(&cuts), whole);
    }

    #[test]
    fn reading_is_total(packets: Vec<Vec<u8>>, first: u8, tcp: bool) {
        let mut bench = bench(if tcp { Transport::Tcp } else { Transport::Udp });
        bench.feed(Up, &binding(0x0001));
        for mut packet in packets {
            if let Some(b) = packet.first_mut() {
                *b = first;
            }
            bench.feed(Down, &packet);
        }
        bench.close();
    }
}
