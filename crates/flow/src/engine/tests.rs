//! The rules of flows, packet by packet.

use std::net::IpAddr;
use std::sync::Arc;

use ottoscope_wire::build::{Ethernet, Ip, Segment};
use ottoscope_wire::packet::{Encapsulation, Packet, Tcp};
use proptest::prelude::*;

use super::*;
use crate::Span;
use crate::collector::Collector;

const CLIENT: (&str, u16) = ("10.0.0.1", 40000);
const SERVER: (&str, u16) = ("192.0.2.1", 443);

/// A packet of the test's conversation: who sends, IP protocol, TCP fields and payload.
#[derive(Debug, Clone, Copy)]
struct Sent {
    at_ms: i64,
    up: bool,
    protocol: u8,
    flags: u8,
    seq: u32,
    ack: u32,
    payload: &'static [u8],
    port: u16,
}

fn udp(at_ms: i64, up: bool) -> Sent {
    Sent { at_ms, up, protocol: 17, flags: 0, seq: 0, ack: 0, payload: b"\0\0\0", port: CLIENT.1 }
}

fn tcp(at_ms: i64, up: bool, flags: u8, seq: u32, ack: u32, payload: &'static [u8]) -> Sent {
    Sent { at_ms, up, protocol: 6, flags, seq, ack, payload, port: CLIENT.1 }
}

fn engine(config: &Config, shard: Shard) -> Engine<Collector> {
    let signatures = Arc::new(SignatureSet::default());
    Engine::new(config.clone(), signatures, shard, Collector::default())
}

fn send(engine: &mut Engine<Collector>, sent: &Sent) {
    let client: (IpAddr, u16) = (CLIENT.0.parse().unwrap(), sent.port);
    let server: (IpAddr, u16) = (SERVER.0.parse().unwrap(), SERVER.1);
    let (from, to) = if sent.up { (client, server) } else { (server, client) };
    let packet = Packet {
        source: from.0,
        destination: to.0,
        ip_protocol: sent.protocol,
        source_port: from.1,
        destination_port: to.1,
        tcp: Tcp { seq: sent.seq, ack: sent.ack, flags: sent.flags, window: 1000, options: &[] },
        ttl: 64,
        payload: sent.payload,
        payload_len: sent.payload.len() as u32,
        encapsulation: None,
        vlan: None,
    };
    let at = Timestamp(sent.at_ms * 1_000_000);
    engine.tick(at).unwrap();
    // Another worker's packets are not its own.
    if let Some(conversation) = engine.conversation(&packet) {
        engine.packet(&packet, &conversation, at, 1, 60 + sent.payload.len() as u64).unwrap();
    }
}

fn run(config: &Config, sent: &[Sent]) -> Collector {
    let mut engine = engine(config, Shard::single());
    for s in sent {
        send(&mut engine, s);
    }
    let mut got = engine.finish().unwrap().0;
    got.flows.sort_by_key(|flow| flow.first);
    got
}

/// Ends and packets (up, down) of the flows, in order of their start.
fn ends(sent: &[Sent]) -> Vec<(FlowEnd, u64, u64)> {
    let got = run(&Config::default(), sent);
    got.flows.iter().map(|f| (f.end, f.up.packets, f.down.packets)).collect()
}

#[test]
fn udp_flows_end_after_a_minute_of_silence() {
    let minute = 60_000;
    assert_eq!(ends(&[udp(0, true), udp(minute, false)]), [(FlowEnd::CaptureEnd, 1, 1)]);
    assert_eq!(
        ends(&[udp(0, true), udp(minute + 1, true)]),
        [(FlowEnd::Idle, 1, 0), (FlowEnd::CaptureEnd, 1, 0)]
    );
}

#[test]
fn all_flows_end_with_the_capture_however_many() {
    let ports = 0..40_000;
    let sent: Vec<Sent> = ports.clone().map(|port| Sent { port, ..udp(0, true) }).collect();
    let mut ended: Vec<u16> =
        run(&Config::default(), &sent).flows.iter().map(|flow| flow.client_port).collect();
    ended.sort_unstable();
    assert!(ended.into_iter().eq(ports));
}

#[test]
fn tcp_flows_end_after_half_an_hour_of_silence() {
    let gap = 30 * 60_000;
    let packet = |at| tcp(at, true, Tcp::ACK, 1, 1, b"");
    assert_eq!(ends(&[packet(0), packet(gap)]), [(FlowEnd::CaptureEnd, 2, 0)]);
    assert_eq!(
        ends(&[packet(0), packet(gap + 1)]),
        [(FlowEnd::Idle, 1, 0), (FlowEnd::CaptureEnd, 1, 0)]
    );
}

#[test]
fn heads_are_as_long_as_asked_for() {
    let text = b"\0abcdefghijklmnopqrstuvwxyz";
    let (s, a) = (Tcp::SYN, Tcp::ACK);
    let stream = [
        tcp(0, true, s, 99, 0, b""),
        tcp(1, true, a, 100, 1, &text[..10]),
        tcp(2, true, a, 100, 1, &text[..10]),
        tcp(3, true, a, 110, 1, &text[10..]),
        tcp(4, false, a, 1, 127, b"\0later"),
        tcp(5, false, a, 7, 127, b" and not a head"),
    ];
    for head_bytes in [1, 10, 15, 16, 17, 20, 100] {
        let config = Config { head_bytes, ..Config::default() };
        let [up, down] = &run(&config, &stream).flows[0].heads;
        assert_eq!(up[..], text[..head_bytes.min(text.len())], "{head_bytes}");
        assert_eq!(down[..], b"\0later"[..head_bytes.min(6)], "{head_bytes}");
    }
}

#[test]
fn a_connection_with_its_stray_packets_is_one_flow() {
    let (s, a, f) = (Tcp::SYN, Tcp::ACK, Tcp::FIN);
    let connection = [
        tcp(0, true, s, 100, 0, b""),
        tcp(40, false, s | a, 500, 101, b""),
        tcp(50, true, a, 101, 501, b""),
        tcp(60, true, a, 101, 501, b"\0hello"),
        tcp(95, false, a, 501, 107, b"\0answer"),
        tcp(100, true, f | a, 107, 508, b""),
        tcp(140, false, f | a, 508, 108, b""),
        tcp(150, true, a, 108, 509, b""),
        tcp(900, true, f | a, 107, 508, b""),
    ];
    assert_eq!(ends(&connection), [(FlowEnd::Fin, 6, 3)]);
    let flow = &run(&Config::default(), &connection).flows[0];
    assert_eq!(flow.rtt_server, Some(40_000_000));
    assert_eq!(flow.rtt_client, Some(10_000_000));
    assert_eq!(flow.rtt_data, Some(35_000_000));
    assert_eq!(flow.side, Side::Syn);
    assert_eq!(flow.up.retransmitted, 1);
    assert_eq!((flow.up.syn, flow.up.fin, flow.down.syn, flow.down.fin), (1, 2, 1, 1));
    assert_eq!((&*flow.heads[0], &*flow.heads[1]), (&b"\0hello"[..], &b"\0answer"[..]));
    assert_eq!(flow.syn_fingerprint.as_deref(), Some("64:1000:*:*:"));
    // A new SYN on the same ports is the next flow, even at once.
    let again: Vec<Sent> =
        connection.into_iter().chain([tcp(1000, true, s, 9000, 0, b"")]).collect();
    assert_eq!(ends(&again), [(FlowEnd::Fin, 6, 3), (FlowEnd::CaptureEnd, 1, 0)]);
}

#[test]
fn resets_and_reused_ports() {
    let syn = |at, seq| tcp(at, true, Tcp::SYN, seq, 0, b"");
    let reset = tcp(10, false, Tcp::RST | Tcp::ACK, 0, 101, b"");
    assert_eq!(ends(&[syn(0, 100), reset]), [(FlowEnd::Reset, 1, 1)]);
    assert_eq!(ends(&[syn(0, 100), syn(1000, 100)]), [(FlowEnd::CaptureEnd, 2, 0)]);
    assert_eq!(
        ends(&[syn(0, 100), syn(1000, 777)]),
        [(FlowEnd::Reused, 1, 0), (FlowEnd::CaptureEnd, 1, 0)]
    );
    // After a reset, strays belong to the flow for a minute.
    let stray = |at| tcp(at, true, Tcp::ACK, 101, 1, b"");
    assert_eq!(ends(&[syn(0, 100), reset, stray(5_000)]), [(FlowEnd::Reset, 2, 1)]);
    assert_eq!(
        ends(&[syn(0, 100), reset, stray(70_011)]),
        [(FlowEnd::Reset, 1, 1), (FlowEnd::CaptureEnd, 1, 0)]
    );
}

#[test]
fn a_syn_in_both_directions_is_one_flow() {
    let simultaneous = [tcp(0, true, Tcp::SYN, 100, 0, b""), tcp(5, false, Tcp::SYN, 900, 0, b"")];
    assert_eq!(ends(&simultaneous), [(FlowEnd::CaptureEnd, 1, 1)]);
}

#[test]
fn seen_from_the_middle_the_port_tells_the_client() {
    let got = run(&Config::default(), &[tcp(0, false, Tcp::ACK, 1, 1, b"x")]);
    let flow = &got.flows[0];
    assert_eq!(flow.client, CLIENT.0.parse::<IpAddr>().unwrap());
    assert_eq!((flow.client_port, flow.server_port), (CLIENT.1, SERVER.1));
    assert_eq!((flow.side, flow.up.packets, flow.down.packets), (Side::Port, 0, 1));
}

#[test]
fn one_broken_timestamp_splits_no_flow_but_its_own() {
    let far = 3_000_000_000_000;
    let got = ends(&[udp(0, true), udp(far, true), udp(10, false), udp(20, true)]);
    // The stray's flow ends at once, and what follows goes on from a new one.
    assert_eq!(got.iter().map(|e| e.1 + e.2).sum::<u64>(), 4);
    assert!(got.len() <= 3, "{got:?}");
}

#[test]
fn too_many_flows_evict_those_that_would_end_first() {
    let config = Config { max_flows: 10, ..Config::default() };
    let mut engine = engine(&config, Shard::single());
    for i in 0..50 {
        send(&mut engine, &Sent { port: 1024 + i, ..udp(i64::from(i) * 1000, true) });
        assert!(engine.index.len() <= 10);
    }
    let (got, summary) = engine.finish().unwrap();
    assert_eq!(got.flows.len(), 50);
    assert_eq!(summary.evicted, 40);
    assert_eq!(summary.peak_flows, 10);
}

#[test]
fn the_last_answer_to_a_syn_says_where_data_begin() {
    // A load balancer answered twice, with sequence numbers of its own each time.
    let got = run(
        &Config::default(),
        &[
            tcp(0, false, Tcp::SYN | Tcp::ACK, 100, 8, b""),
            tcp(9, false, Tcp::SYN | Tcp::ACK, 3_000_000_000, 8, b""),
            tcp(10, true, Tcp::ACK, 8, 3_000_000_001, b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"),
            tcp(11, false, Tcp::ACK, 3_000_000_001, 45, b"HTTP/1.1 204 No\r\n\r\n"),
        ],
    );
    let kinds: Vec<&str> = got.messages.iter().map(|m| &*m.kind).collect();
    assert_eq!(kinds, ["request", "response"]);
}

#[test]
fn the_longest_silent_goes_first() {
    let config = Config { max_flows: 3, ..Config::default() };
    let mut engine = engine(&config, Shard::single());
    for (at, port) in [(0, 1), (1000, 2), (2000, 3), (3000, 1), (4000, 4)] {
        send(&mut engine, &Sent { port, ..udp(at, true) });
    }
    let (got, _) = engine.finish().unwrap();
    let ends: Vec<_> = got.flows.iter().map(|f| (f.client_port, f.end)).collect();
    assert_eq!(ends[0], (2, FlowEnd::Evicted));
    assert!(ends[1..].iter().all(|(_, end)| *end == FlowEnd::CaptureEnd));
}

#[test]
fn flows_stay_within_their_memory() {
    let memory = 20_000;
    let config = Config { memory, ..Config::default() };
    let mut engine = engine(&config, Shard::single());
    for i in 0..500 {
        let syn = Sent { port: 1024 + i, ..tcp(i64::from(i), true, Tcp::SYN, 7, 0, b"") };
        send(&mut engine, &syn);
        send(&mut engine, &Sent { seq: 8, flags: Tcp::ACK, payload: b"\x16\x03\x01", ..syn });
    }
    let (got, summary) = engine.finish().unwrap();
    assert_eq!(got.flows.len(), 500);
    // What a flow learns after it began may exceed it by so much.
    assert!(summary.peak_bytes < memory as u64 + 1000, "{}", summary.peak_bytes);
    assert!(summary.evicted > 400 && summary.peak_flows > 10, "{summary:?}");
}

#[test]
fn tunnels_are_kept_by_direction() {
    let mut engine = engine(&Config::default(), Shard::single());
    let outer = |up: bool, id| Encapsulation {
        kind: "gtp-u",
        source: if up { "172.16.0.1" } else { "172.16.0.2" }.parse().unwrap(),
        destination: if up { "172.16.0.2" } else { "172.16.0.1" }.parse().unwrap(),
        id: Some(id),
        qfi: up.then_some(9),
    };
    for (up, id) in [(true, 7), (false, 8)] {
        let ends = [("10.0.0.1", 40000), ("192.0.2.1", 53)];
        let (from, to) = if up { (ends[0], ends[1]) } else { (ends[1], ends[0]) };
        let packet = Packet {
            source: from.0.parse().unwrap(),
            destination: to.0.parse().unwrap(),
            ip_protocol: 17,
            source_port: from.1,
            destination_port: to.1,
            tcp: Tcp::default(),
            ttl: 1,
            payload: b"",
            payload_len: 0,
            encapsulation: Some(outer(up, id)),
            vlan: Some(12),
        };
        let conversation = engine.conversation(&packet).unwrap();
        engine.packet(&packet, &conversation, Timestamp(0), 1, 100).unwrap();
    }
    let flow = engine.finish().unwrap().0.flows.remove(0);
    let tunnel = flow.tunnel.unwrap();
    assert_eq!(
        (tunnel.kind, tunnel.id_up, tunnel.id_down, tunnel.qfi),
        ("gtp-u", Some(7), Some(8), Some(9))
    );
    assert_eq!(tunnel.client_side, "172.16.0.1".parse::<IpAddr>().unwrap());
    assert_eq!(flow.vlan, Some(12));
}

/// An Ethernet frame of one of a few TCP flows.
fn frame_of(flow: u8) -> Vec<u8> {
    let ip = Ip::new([10, 0, 0, flow].into(), [192, 0, 2, 1].into());
    let segment = Segment { source_port: 4000, destination_port: 443, ..Segment::default() };
    let mut frame = Vec::new();
    Ethernet::default().write(&mut frame, |out| ip.tcp(out, &segment, |out| out.extend(b"abcd")));
    frame
}

proptest! {
    /// Whether a worker is told that a packet is another's or finds it out changes no flow,
    /// whatever the clock does: jumps only count once enough packets agree.
    #[test]
    fn packets_of_others_need_not_be_read(
        sent in prop::collection::vec(
            (0u8..6, prop::sample::select(vec![0i64, 0, 0, 0, 0, 0, 0, 1, 40, 5_000, -5_000])),
            1..300,
        ),
    ) {
        let config = Config { tcp_idle: Span::from_seconds(60), ..Config::default() };
        let frames: Vec<Vec<u8>> = sent.iter().map(|&(flow, _)| frame_of(flow)).collect();
        let shared = Shard { count: 2, ..Shard::single() };
        for index in 0..2 {
            let found = |told: bool| {
                let mut engine = engine(&config, Shard { index, ..shared.clone() });
                let mut second = 1_000_000;
                let frames = sent.iter().zip(&frames).map(|((_, step), bytes)| {
                    second += step;
                    let owner = shared.owner(LinkType::ETHERNET, bytes);
                    Frame {
                        at: Timestamp::from_parts(second, 0),
                        link: LinkType::ETHERNET,
                        capture: 0,
                        wire_len: bytes.len() as u32,
                        bytes,
                        elsewhere: told && owner != Some(index),
                    }
                });
                let frames: Vec<_> = frames.collect();
                engine.frames(frames).unwrap();
                engine.finish().unwrap().0.flows
            };
            prop_assert_eq!(found(true), found(false));
        }
    }
}

fn any_sent() -> impl Strategy<Value = Sent> {
    let payloads: [&'static [u8]; 4] =
        [b"", b"\0\x01", b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", b"\x16\x03\x01\0\x05"];
    (0i64..400_000, any::<bool>(), any::<bool>(), 0u8..32, 0u32..50, 0usize..4, 0u16..6).prop_map(
        move |(at_ms, up, is_tcp, flags, seq, payload, port)| Sent {
            at_ms,
            up,
            protocol: if is_tcp { 6 } else { 17 },
            flags: if is_tcp { flags } else { 0 },
            seq,
            ack: seq,
            payload: payloads[payload],
            port: 2000 + port,
        },
    )
}

proptest! {
    /// Packets and bytes are conserved, bins add up to flows, ids are unique, and two or five
    /// workers find what one finds.
    #[test]
    fn laws(mut sent in prop::collection::vec(any_sent(), 1..200), shuffle: bool) {
        if !shuffle {
            sent.sort_by_key(|s| s.at_ms);
        }
        let config = Config { udp_idle: Span::from_seconds(5), tcp_idle: Span::from_seconds(40), ..Config::default() };
        let whole = run(&config, &sent);
        let packets: u64 = whole.flows.iter().map(|f| f.up.packets + f.down.packets).sum();
        let bytes: u64 = whole.flows.iter().map(|f| f.up.bytes + f.down.bytes).sum();
        prop_assert_eq!(packets, sent.len() as u64);
        prop_assert_eq!(bytes, sent.iter().map(|s| 60 + s.payload.len() as u64).sum::<u64>());
        let binned: u64 = whole.bins.iter().map(|b| u64::from(b.packets[0] + b.packets[1])).sum();
        prop_assert_eq!(binned, packets);
        let sorted = |mut got: Collector| {
            got.flows.sort_by_key(|f| (f.id, f.up.packets));
            got.bins.sort_by_key(|b| (b.flow, b.second, b.packets, b.bytes));
            got.messages.sort();
            got
        };
        let hash = foldhash::fast::RandomState::default();
        for count in [2, 5] {
            let mut parts = Collector::default();
            for index in 0..count {
                let mut engine = engine(&config, Shard { index, count, hash: hash.clone() });
                for s in &sent {
                    send(&mut engine, s);
                }
                let part = engine.finish().unwrap().0;
                parts.flows.extend(part.flows);
                parts.bins.extend(part.bins);
                parts.messages.extend(part.messages);
                parts.anomalies.extend(part.anomalies);
            }
            parts.anomalies.sort_by_key(|a| (a.0, a.1));
            let mut whole = sorted(whole.clone());
            whole.anomalies.sort_by_key(|a| (a.0, a.1));
            prop_assert_eq!(sorted(parts), whole);
        }
    }
}
