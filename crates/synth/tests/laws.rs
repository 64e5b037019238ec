//! The capture holds exactly what the truth says, packet by packet, whatever the scenario.

#![allow(clippy::unwrap_used)] // all of this is test code

use std::collections::HashMap;
use std::net::IpAddr;

use ottoscope_synth::scenario::{Duration, Encapsulation};
use ottoscope_synth::{
    Collected, FlowTruth, JsonLines, MessageTruth, Scenario, Totals, fixture, generate,
};
use ottoscope_wire::packet::{Decoded, decode};
use ottoscope_wire::{LinkType, dns};
use proptest::prelude::*;

mod common;

use common::{Record, hold, records};

fn make(scenario: &Scenario, seed: u64) -> (Vec<u8>, Collected, Totals) {
    let (mut out, mut truth) = (Vec::new(), Collected::default());
    let totals = generate(scenario, seed, &mut out, &mut truth).unwrap();
    (out, truth, totals)
}

/// Every law that holds between a capture and its truth.
fn check(scenario: &Scenario, seed: u64) {
    let (file, truth, totals) = make(scenario, seed);
    hold(&file, &truth, &totals, scenario.capture.snap_length == 0);
}

#[test]
fn shipped_scenarios_hold_what_they_say() {
    check(&Scenario::builtin("cell-minute").unwrap(), 1);
    let mut call = Scenario::builtin("call").unwrap();
    call.duration = Duration(240_000_000_000);
    check(&call, 5);
    let mut many = Scenario::builtin("many-flows").unwrap();
    many.load.flows = 3000;
    many.users = 200;
    check(&many, 6);
}

#[test]
fn the_seed_decides_every_byte() {
    let mut scenario = Scenario::builtin("cell-minute").unwrap();
    scenario.duration = Duration(30_000_000_000);
    let (first, truth, _) = make(&scenario, 7);
    let (again, same, _) = make(&scenario, 7);
    assert!(first == again);
    assert_eq!(truth.flows, same.flows);
    assert!(first != make(&scenario, 8).0);
}

#[test]
fn names_and_answers_are_in_the_capture() {
    let scenario = Scenario::builtin("cell-minute").unwrap();
    let (file, truth, _) = make(&scenario, 1);
    let mut answers = truth.dns.iter();
    for record in records(&file) {
        let Ok(Decoded::Packet(packet)) = decode(LinkType::ETHERNET, record.bytes) else {
            continue;
        };
        if packet.source_port != 53 {
            continue;
        }
        let told = answers.next().unwrap();
        let message = dns::Message::parse(packet.payload).unwrap();
        assert_eq!((told.answered, told.id), (record.at, message.id()));
        assert_eq!(message.question().unwrap().name.to_string(), &*told.name);
        let found: Vec<(IpAddr, u32)> = message.addresses().collect();
        let expected: Vec<(IpAddr, u32)> =
            told.addresses.iter().map(|address| (*address, told.ttl)).collect();
        assert_eq!(found, expected);
    }
    assert!(answers.next().is_none());
    assert!(truth.dns.iter().any(|dns| dns.cnames.len() == 2));
    assert!(truth.dns.iter().any(|dns| dns.query_type == 28));
    for kind in ["fresh", "unseen"] {
        assert!(truth.flows.iter().any(|flow| flow.resolved == kind), "{kind}");
    }
}

#[test]
fn truth_is_written_as_json_lines() {
    let mut scenario = Scenario::builtin("cell-minute").unwrap();
    scenario.duration = Duration(20_000_000_000);
    let (mut file, mut lines) = (Vec::new(), JsonLines(Vec::new()));
    let totals = generate(&scenario, 1, &mut file, &mut lines).unwrap();
    let text = String::from_utf8(lines.0).unwrap();
    let rows: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| rows.iter().filter(|row| row["row"] == kind).count() as u64;
    assert_eq!((of("flow"), of("dns"), of("totals")), (totals.flows, totals.dns, 1));
    assert!(of("message") > 50);
    assert_eq!(rows.last().unwrap()["packets"], totals.packets);
}

/// What the 2014 measurement reports, within the noise of a small cell.
#[test]
fn whatsapp_has_the_measured_shares() {
    let mut scenario = Scenario::builtin("whatsapp-chat").unwrap();
    scenario.users = 800;
    scenario.duration = Duration(3 * 3_600_000_000_000);
    let (mut out, mut truth) = (std::io::sink(), Collected::default());
    generate(&scenario, 3, &mut out, &mut truth).unwrap();
    let whole = || truth.flows.iter().filter(|flow| flow.whole && flow.end == "fin");
    let bytes = |service: &str| {
        let of = whole().filter(|flow| flow.service == service);
        of.flat_map(|flow| flow.bytes).sum::<u64>() as f64
    };
    let count = |service: &str| whole().filter(|flow| flow.service == service).count() as f64;
    let (chat, photo, video) = (bytes("chat"), bytes("photo-audio"), bytes("video"));
    let all = chat + photo + video;
    let check = |what: &str, value: f64, low: f64, high: f64| {
        assert!((low..high).contains(&value), "{what}: {value}");
    };
    check("media share of volume", (photo + video) / all, 0.70, 0.82);
    check("video share of volume", video / all, 0.34, 0.46);
    check("mean chat flow", chat / count("chat"), 5_700.0, 7_700.0);
    check(
        "mean media flow",
        (photo + video) / (count("photo-audio") + count("video")),
        195e3,
        255e3,
    );
    let minutes = |flow: &FlowTruth| (flow.last - flow.first) as f64 / 60e9;
    let chats: Vec<&FlowTruth> = whole().filter(|flow| flow.service == "chat").collect();
    let mean = chats.iter().map(|flow| minutes(flow)).sum::<f64>() / chats.len() as f64;
    check("mean minutes of a chat flow", mean, 13.0, 21.0);
    for (os, steps) in [("ios", &[3.0][..]), ("android", &[10.0, 15.0, 24.0])] {
        for step in steps {
            let near = |flow: &&&FlowTruth| flow.os == os && (minutes(flow) - step).abs() < 0.1;
            assert!(chats.iter().filter(near).count() >= 10, "{os} closes after {step} minutes");
        }
    }
}

#[test]
fn wechat_beats_every_five_minutes() {
    let mut scenario = Scenario::builtin("wechat").unwrap();
    scenario.users = 30;
    scenario.wechat.mmtls = 0.0;
    let (_, truth, _) = make(&scenario, 4);
    let mut flows: HashMap<_, Vec<&MessageTruth>> = HashMap::new();
    for message in truth.messages.iter().filter(|m| m.opcode.is_some()) {
        let flow = (message.client, message.client_port, message.server, message.flow);
        flows.entry(flow).or_default().push(message);
    }
    let mut beats = 0;
    for messages in flows.values() {
        let up = |m: &&&MessageTruth| m.opcode == Some(6) && m.direction == "up";
        let times: Vec<i64> = messages.iter().filter(up).map(|m| m.first).collect();
        for pair in times.windows(2) {
            let seconds = (pair[1] - pair[0]) as f64 / 1e9;
            assert!((seconds - 300.0).abs() < 30.0, "{seconds}");
            beats += 1;
        }
        // Responses repeat the request's sequence number with the opcode raised.
        for pair in messages.windows(2).filter(|p| p[0].opcode == Some(9)) {
            assert_eq!(pair[1].opcode, Some(1_000_000_009));
            assert_eq!(pair[1].sequence, pair[0].sequence);
        }
    }
    assert!(beats > 300, "{beats}");
}

#[test]
fn an_outage_resets_every_chat() {
    let mut scenario = Scenario::builtin("whatsapp-chat").unwrap();
    scenario.users = 60;
    scenario.duration = "50m".parse().unwrap();
    let quiet = make(&scenario, 9).1;
    let text = "at = \"15m\"\nlength = \"15m\"";
    scenario.outage = vec![toml::from_str(text).unwrap()];
    let (_, truth, totals) = make(&scenario, 9);
    let from = totals.first + 900_000_000_000;
    let chats = |truth: &Collected, end: &str| {
        let of = truth.flows.iter().filter(|flow| flow.service == "chat" && flow.end == end);
        of.filter(|flow| (from..from + 900_000_000_000).contains(&flow.last)).count()
    };
    assert_eq!(chats(&quiet, "reset"), 0);
    assert!(chats(&truth, "reset") > 100, "{}", chats(&truth, "reset"));
    assert_eq!(chats(&truth, "fin"), 0);
}

#[test]
fn odd_layers_carry_the_plain_conversation() {
    let flow = |name: &str| {
        let file = fixture(name).unwrap();
        let payload = |record: &Record<'_>| {
            let Ok(Decoded::Packet(packet)) = decode(LinkType::ETHERNET, record.bytes) else {
                panic!("{name} at {}", record.at)
            };
            (packet.source, packet.source_port, packet.payload.to_vec())
        };
        records(&file).iter().map(payload).collect::<Vec<_>>()
    };
    let plain = flow("tls12");
    assert!(plain.len() > 15);
    for name in ["vlan", "qinq", "mpls", "pppoe", "gtp", "gtp-qfi", "gre", "ip-in-ip", "vxlan"] {
        assert_eq!(flow(name), plain, "{name}");
    }
    let bytes = |packets: &[(IpAddr, u16, Vec<u8>)]| {
        packets.iter().map(|(_, _, payload)| payload.len()).sum::<usize>()
    };
    assert_eq!(bytes(&flow("retransmission")), 2 * bytes(&plain));
    assert_eq!(bytes(&flow("split-hello")), bytes(&plain));
    assert_eq!(bytes(&flow("out-of-order-hello")), bytes(&plain));
    assert!(bytes(&flow("overlap")) > bytes(&plain));
}

#[test]
fn every_fixture_can_be_made() {
    for (name, about) in ottoscope_synth::fixtures::fixtures() {
        let file = fixture(name).unwrap();
        assert!(file.len() >= 24 && !about.is_empty(), "{name}");
        assert_eq!(fixture(name).unwrap(), file, "{name} is the same every time");
    }
    assert!(fixture("no such").is_none());
}

fn scenarios() -> impl Strategy<Value = Scenario> {
    let shape = (1u32..25, 1i64..90, 0i64..300, 0.0..1.0f64);
    let network = (0.0..0.08f64, 0.0..0.05f64, 0.0..0.05f64, 1u64..400);
    let capture = (0u8..3, prop::option::of(0u8..64), prop::sample::select(vec![0u32, 160, 200]));
    (shape, network, capture).prop_map(|(shape, network, capture)| {
        let mut scenario = Scenario::default();
        let second = 1_000_000_000;
        scenario.users = shape.0;
        scenario.duration = Duration(shape.1 * second);
        scenario.warm_up = Duration(shape.2 * second);
        scenario.capture.ipv6 = shape.3;
        scenario.network.loss = network.0;
        scenario.network.reorder = network.1;
        scenario.network.duplicate = network.2;
        scenario.network.client_rtt = Duration(network.3 as i64 * 1_000_000);
        scenario.capture.encapsulation =
            [Encapsulation::None, Encapsulation::Vlan, Encapsulation::GtpU][usize::from(capture.0)];
        scenario.capture.qfi = capture.1;
        scenario.capture.snap_length = capture.2;
        scenario.web.share = 0.8;
        scenario.web.visits_per_hour = 60.0;
        scenario.whatsapp.share = 0.8;
        scenario.whatsapp.sessions_per_hour = 60.0;
        scenario.whatsapp.media_per_session = 1.0;
        scenario.wechat.share = 0.8;
        scenario.wechat.tasks_per_hour = 120.0;
        scenario.wechat.mmtls = 0.3;
        scenario.calls.share = 0.5;
        scenario.calls.per_hour = 10.0;
        scenario.calls.loss = network.0;
        scenario.load.flows = u64::from(shape.0);
        scenario
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_scenario_holds_what_it_says(scenario in scenarios(), seed in any::<u64>()) {
        check(&scenario, seed);
    }
}
