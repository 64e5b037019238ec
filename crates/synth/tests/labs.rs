//! The captures of labs hold what their truth says, field by field.

#![allow(clippy::unwrap_used)] // all of this is test code

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use ottoscope_synth::lab::{
    Endian, Field, Header, Kind, LABS, Lab, Layout, LongConnection, Made, Origin, Random, generate,
    to_toml,
};
use ottoscope_synth::{Collected, JsonLines, MessageTruth};
use ottoscope_wire::packet::{Decoded, decode};
use ottoscope_wire::{LinkType, wechat};

#[allow(dead_code)] // the laws use more of it
mod common;

use common::{hold, records};

/// A direction of a flow: client, port, server, port, first packet, direction.
type Way = (IpAddr, u16, IpAddr, u16, i64, &'static str);

fn make(lab: &Lab, seed: u64) -> (Vec<u8>, Collected, Made) {
    let (mut out, mut truth) = (Vec::new(), Collected::default());
    let made = generate(lab, seed, &mut out, &mut truth).unwrap();
    (out, truth, made)
}

fn way(m: &MessageTruth) -> Way {
    (m.client, m.client_port, m.server, m.server_port, m.flow, m.direction)
}

/// Each message's bytes, read from the capture by the places that the truth names, in the order
/// of its stream.
fn messages<'a>(file: &[u8], truth: &'a Collected) -> Vec<(&'a MessageTruth, Vec<u8>)> {
    let mut payloads = HashMap::new();
    for record in records(file) {
        let Ok(Decoded::Packet(packet)) = decode(LinkType::ETHERNET, record.bytes) else {
            panic!("a packet that does not decode at {}", record.at)
        };
        payloads.insert(record.at, packet.payload.to_vec());
    }
    let mut streams: BTreeMap<Way, BTreeMap<u64, Vec<u8>>> = BTreeMap::new();
    let mut datagrams: BTreeMap<(Way, i64), Vec<u8>> = BTreeMap::new();
    for s in &truth.segments {
        let way = (s.client, s.client_port, s.server, s.server_port, s.flow, s.direction);
        let payload = payloads.remove(&s.at).unwrap();
        assert_eq!(payload.len() as u64, s.bytes);
        assert_eq!(s.role == "protocol", s.starts.first() == Some(&0));
        datagrams.insert((way, s.at), payload.clone());
        let known = streams.entry(way).or_default().entry(s.offset).or_insert(payload.clone());
        if s.repeated {
            assert_eq!(*known, payload, "a retransmission repeats the bytes");
        }
    }
    let mut out = Vec::new();
    let mut by_way: BTreeMap<Way, Vec<&MessageTruth>> = BTreeMap::new();
    for message in truth.messages.iter().filter(|m| m.layout.is_some()) {
        by_way.entry(way(message)).or_default().push(message);
    }
    for (way, mut messages) in by_way {
        if truth.layouts[0].transport == "udp" {
            for message in messages {
                out.push((message, datagrams[&(way, message.first)].clone()));
            }
            continue;
        }
        let mut stream = Vec::new();
        for (offset, bytes) in &streams[&way] {
            assert_eq!(*offset, stream.len() as u64, "no hole and no overlap");
            stream.extend_from_slice(bytes);
        }
        messages.sort_by_key(|m| m.offset);
        let mut at = 0;
        for message in messages {
            assert_eq!(message.offset, Some(at as u64), "messages lie one behind the other");
            let end = at + message.bytes as usize;
            out.push((message, stream[at..end].to_vec()));
            at = end;
        }
        assert_eq!(at, stream.len(), "and are all that there is");
    }
    out
}

fn number(field: &Field, bytes: &[u8]) -> u64 {
    let fold = |n: u64, b: &u8| n << 8 | u64::from(*b);
    match field.endian {
        Some(Endian::Little) => bytes.iter().rev().fold(0, fold),
        _ => bytes.iter().fold(0, fold),
    }
}

/// Holds every field of every message against what the layout says of it.
fn fields(layouts: &[Layout], messages: &[(&MessageTruth, Vec<u8>)]) {
    let mut sessions: HashMap<Way, HashSet<u64>> = HashMap::new();
    let mut transactions: HashMap<u64, Vec<bool>> = HashMap::new();
    for (message, bytes) in messages {
        assert_eq!(bytes.len() as u64, message.bytes);
        let layout = &layouts[usize::from(message.layout.unwrap())];
        let response = message.response.unwrap();
        for field in &layout.fields {
            let own = &bytes[field.at as usize..(field.at + field.len) as usize];
            let value = number(field, own);
            let low = if field.len < 4 { (1 << (8 * field.len)) - 1 } else { u64::from(u32::MAX) };
            match &field.kind {
                Kind::Constant { value } => assert_eq!(own, value.0),
                Kind::Sequence { .. } => {
                    assert_eq!(value & low, u64::from(message.sequence.unwrap()) & low);
                }
                Kind::RequestResponse { request, response: answer } => {
                    assert_eq!(own, if response { &answer.0[..] } else { &request.0 });
                }
                Kind::Length { add, .. } => {
                    assert_eq!(value as i64, bytes.len() as i64 + add, "{layout:?}");
                }
                Kind::Opcode { response_offset } => {
                    assert_eq!(value, u64::from(message.opcode.unwrap()));
                    let asked = if response { value - response_offset } else { value };
                    let known = layout.opcodes.iter().find(|o| o.opcode == asked).unwrap();
                    assert_eq!(known.task, message.task);
                }
                // Two bytes are drawn twice by chance.
                Kind::Transaction if field.len < 4 => {}
                Kind::Transaction => transactions.entry(value).or_default().push(response),
                Kind::Timestamp { per_second } => {
                    let sent = value as f64 / *per_second as f64;
                    let captured = message.first as f64 / 1e9;
                    // Truncation, and the way to the capture point, perhaps twice.
                    assert!((-0.001..4.0).contains(&(captured - sent)), "{captured} {sent}");
                }
                Kind::Session => {
                    let (client, port, server, server_port, first, _) = way(message);
                    let flow = (client, port, server, server_port, first, "");
                    sessions.entry(flow).or_default().insert(value);
                }
                Kind::Address => match message.client {
                    IpAddr::V4(address) => assert_eq!(own, address.octets()),
                    IpAddr::V6(_) => panic!("labs have IPv4 clients"),
                },
                Kind::Flags | Kind::Random => {}
            }
        }
    }
    assert!(sessions.values().all(|values| values.len() == 1), "one session a flow");
    for pair in transactions.values_mut() {
        pair.sort_unstable();
        assert_eq!(pair[..], [false, true], "a response repeats its request's number");
    }
}

fn check(lab: &Lab, seed: u64) -> (Vec<u8>, Collected, Made) {
    let (file, truth, made) = make(lab, seed);
    hold(&file, &truth, &made.totals, true);
    assert_eq!(truth.layouts, made.layouts);
    assert_eq!(truth.experiments, made.experiments);
    fields(&truth.layouts, &messages(&file, &truth));
    // Labelled intervals of one device never overlap, and hold a message of their task.
    for pair in made.experiments.windows(2) {
        assert!(pair[0].end < pair[1].start, "{pair:?}");
    }
    for experiment in &made.experiments {
        let inside = truth.messages.iter().filter(|m| m.task == experiment.task);
        let mut inside = inside.filter(|m| (experiment.start..experiment.end).contains(&m.first));
        assert!(inside.next().is_some(), "{experiment:?}");
    }
    (file, truth, made)
}

fn long(header: Header) -> LongConnection {
    LongConnection { header, clients: 2, connections: 2, ..LongConnection::default() }
}

#[test]
fn every_lab_holds_what_it_says() {
    for (name, _) in LABS {
        let lab = Lab::builtin(name).unwrap();
        assert_eq!(lab.name(), *name);
        let (_, truth, made) = check(&lab, 1);
        assert!(made.totals.packets > 1000, "{name}: {}", made.totals.packets);
        assert!(!truth.experiments.is_empty());
    }
    assert!(Lab::builtin("none").unwrap_err().to_string().contains("longlink"));
}

#[test]
fn bad_weather_and_noise_change_no_message() {
    let said = |surrounded: bool| {
        let mut long = long(Header::WTcp);
        long.surroundings.network.loss = 0.0;
        if surrounded {
            long.surroundings.noise = true;
            long.surroundings.network.loss = 0.05;
            long.surroundings.network.reorder = 0.05;
            long.surroundings.network.duplicate = 0.02;
        }
        let (_, mut truth, made) = check(&Lab::LongConnection(long), 3);
        truth.messages.retain(|m| m.layout.is_some());
        let key = |m: &MessageTruth| (m.flow, m.direction, m.offset);
        truth.messages.sort_by_key(key);
        let said = truth.messages.iter().map(|m| (m.task, m.opcode, m.bytes)).collect::<Vec<_>>();
        let segments = truth.segments.len();
        let repeated = truth.segments.iter().filter(|s| s.repeated).count();
        (said, segments, repeated, made.totals.services)
    };
    let (quiet, few, none, alone) = said(false);
    let (loud, many, repeated, crowd) = said(true);
    assert_eq!(quiet, loud);
    assert!(none < 10, "only heartbeats: {none}");
    assert!(many > few && repeated > 30, "{repeated}");
    assert!(!alone.contains_key("web/web") && crowd.len() > alone.len(), "{crowd:?}");
}

#[test]
fn the_long_connection_is_the_papers() {
    let (file, truth, _) = check(&Lab::builtin("w-tcp").unwrap(), 2);
    for (message, bytes) in messages(&file, &truth) {
        let head: [u8; 16] = *bytes.first_chunk().unwrap();
        assert_eq!(head[..4], (bytes.len() as u32).to_be_bytes());
        assert_eq!(head[4..8], [0, 0x10, 0, 1]);
        let answer = message.response == Some(true);
        let header = wechat::Header::parse(&bytes).unwrap();
        assert_eq!((header.len as usize, header.is_response()), (bytes.len(), answer));
        assert_eq!(u32::from(header.opcode()), message.opcode.unwrap());
        assert_eq!(head[8..11], if answer { [0x3b, 0x9a, 0xca] } else { [0; 3] });
        assert_eq!(u32::from(head[11]), message.opcode.unwrap());
        assert_eq!(head[12..], message.sequence.unwrap().to_be_bytes());
    }
    let beats = |m: &&MessageTruth| m.task == "heartbeat" && m.direction == "up";
    let beats: Vec<&MessageTruth> = truth.messages.iter().filter(beats).collect();
    assert!(beats.iter().all(|m| m.sequence == Some(u32::MAX)));
    let mut periods = 0;
    for pair in beats.windows(2).filter(|pair| pair[0].flow == pair[1].flow) {
        let seconds = (pair[1].first - pair[0].first) as f64 / 1e9;
        assert!((299.0..304.0).contains(&seconds), "{seconds}");
        periods += 1;
    }
    assert!(periods > 30, "{periods}");
    let repeated = |m: &&&MessageTruth| {
        truth.segments.iter().any(|s| s.repeated && s.flow == m.flow && Some(s.offset) == m.offset)
    };
    assert!(beats.iter().filter(repeated).count() > 0, "a heartbeat is sent again by TCP");
    let pushes = truth.messages.iter().filter(|m| m.task == "server push news");
    assert!(pushes.clone().count() > 100);
    assert!(pushes.clone().all(|m| m.direction == "down" && m.sequence == Some(0)));
    // Large tasks have fragments, some segments several messages, and some headers lie within.
    let roles = |role: &str| truth.segments.iter().filter(|s| s.role == role).count();
    assert!(roles("fragment") > roles("protocol"));
    assert!(truth.segments.iter().any(|s| s.starts.len() > 1));
    assert!(truth.segments.iter().any(|s| s.role == "fragment" && !s.starts.is_empty()));
    // What triggers and what is triggered, within a second.
    let layout = &truth.layouts[0];
    for opcode in &layout.opcodes {
        for origin in &opcode.origins {
            let Origin::Triggered { by } = origin else { continue };
            let of = |number: u64| {
                let asked = truth.messages.iter().filter(|m| m.response == Some(false));
                asked.filter(move |m| m.opcode == Some(number as u32))
            };
            let followed = of(*by).filter(|cause| {
                of(opcode.opcode).any(|m| {
                    m.flow == cause.flow && (0..=1_000_000_000).contains(&(m.first - cause.first))
                })
            });
            let (all, followed) = (of(*by).count(), followed.count());
            assert!(all >= 12 && followed * 10 >= all * 9, "{opcode:?}: {followed} of {all}");
        }
    }
}

#[test]
fn wide_commands_need_all_four_bytes() {
    let (file, truth, _) = check(&Lab::LongConnection(long(Header::WTcpWide)), 2);
    let mut wide = 0;
    for (message, bytes) in messages(&file, &truth) {
        let command = u32::from_be_bytes(*bytes[8..12].first_chunk().unwrap());
        assert_eq!(Some(command), message.opcode);
        let header = wechat::Header::parse(&bytes).unwrap();
        assert_eq!(header.request(), command.checked_sub(1_000_000_000).unwrap_or(command));
        let asked = command.checked_sub(1_000_000_000).unwrap_or(command);
        assert_eq!(command != asked, message.response == Some(true));
        wide += usize::from(asked > 255);
    }
    assert!(wide > 30, "{wide}");
}

#[test]
fn real_time_chats_mix_their_layouts() {
    let (file, truth, _) = check(&Lab::builtin("w-udp").unwrap(), 2);
    let mut flows: HashMap<_, HashSet<u16>> = HashMap::new();
    for (message, bytes) in messages(&file, &truth) {
        let layout = message.layout.unwrap();
        match layout {
            0 | 1 => assert_eq!((bytes[1], bytes[3]), (0x0a, 0x0a)),
            2 => assert_eq!(bytes[4], 0x1e),
            _ => assert_eq!(bytes[..2], [0xa1, 0x08]),
        }
        flows.entry((message.client_port, message.flow)).or_default().insert(layout);
    }
    assert!(flows.values().all(|kinds| kinds.len() >= 3));
    assert_eq!(flows.values().filter(|kinds| kinds.len() == 4).count(), 12);
}

/// Whether some boundary of the layout has bytes on both sides that never change.
fn hidden(layout: &Layout, messages: &[(&MessageTruth, Vec<u8>)]) -> bool {
    let still = |at: u32| {
        let mut values = messages.iter().map(|(_, bytes)| bytes[at as usize]);
        let first = values.next();
        values.all(|value| Some(value) == first)
    };
    layout.fields.iter().skip(1).any(|field| still(field.at - 1) && still(field.at))
}

#[test]
fn random_protocols_can_be_found() {
    let (mut udp, mut little) = (0, 0);
    for seed in 0..40 {
        let random = Random { clients: 2, flows: 2, requests: 30, ..Random::default() };
        let (file, truth, _) = check(&Lab::Random(random), seed);
        let layout = &truth.layouts[0];
        let messages = messages(&file, &truth);
        assert!(!hidden(layout, &messages), "{seed}: {layout:?}");
        udp += usize::from(layout.transport == "udp");
        let is_little = |field: &Field| field.endian == Some(Endian::Little);
        little += usize::from(layout.fields.iter().any(is_little));
    }
    assert!((5..30).contains(&udp) && (4..30).contains(&little), "{udp} {little}");
}

#[test]
fn the_seed_decides_every_byte() {
    for (name, _) in LABS {
        let lab = Lab::builtin(name).unwrap();
        let (first, ..) = make(&lab, 7);
        assert!(first == make(&lab, 7).0, "{name}");
        assert!(first != make(&lab, 8).0, "{name}");
    }
}

#[test]
fn truth_and_table_are_written() {
    let lab = Lab::LongConnection(long(Header::WTcp));
    let mut lines = JsonLines(Vec::new());
    let made = generate(&lab, 1, &mut std::io::sink(), &mut lines).unwrap();
    let text = String::from_utf8(lines.0).unwrap();
    let rows: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| rows.iter().filter(|row| row["row"] == kind).count();
    assert_eq!((of("layout"), of("experiment"), of("totals")), (1, made.experiments.len(), 1));
    assert!(of("segment") > of("message") && of("message") > 200);
    assert_eq!(rows[0]["fields"][3]["kind"], "opcode");
    let table: toml::Table = to_toml(&made.experiments).parse().unwrap();
    assert_eq!(table["experiment"].as_array().unwrap().len(), made.experiments.len());
}

#[test]
fn bad_labs_are_refused() {
    let refused = |lab: &Lab| generate(lab, 1, &mut std::io::sink(), &mut ()).is_err();
    assert!(refused(&Lab::LongConnection(LongConnection { clients: 0, ..Default::default() })));
    assert!(refused(&Lab::Random(Random { transport: Some("sctp"), ..Default::default() })));
    assert!(refused(&Lab::Random(Random { longest: 4, ..Default::default() })));
    let mut long = LongConnection::default();
    long.surroundings.network.loss = 2.0;
    assert!(refused(&Lab::LongConnection(long)));
}
