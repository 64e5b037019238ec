//! Labelling is the same however many work on it.

use std::collections::BTreeSet;

use ottoscope_flow::Timestamp;

use super::predicted::{PredictionView, PredictionViewRow};
use super::views::{DnsView, DnsViewRow, FlowViewRow};
use super::*;

/// Numbers that look random (Knuth's linear congruential generator).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) % end
    }
}

fn bare(flow: u64, first: Timestamp, client: &str) -> FlowViewRow<'_> {
    FlowViewRow {
        flow,
        first,
        last: Timestamp(first.0 + 20_000_000_000),
        transport: "tcp",
        client,
        client_port: 0,
        server: "203.0.113.1",
        server_port: 443,
        protocol: None,
        server_name: None,
        name_source: None,
        certificate_names: None,
        user_agent: None,
        signature: None,
        signature_broken: false,
        packets_up: flow % 7,
        packets_down: 3,
        bytes_up: flow,
        bytes_down: 1_000,
    }
}

/// Seven hours of sixty clients at the same few servers: names that they and others resolve, also
/// in flows that last, calls by relays and from peer to peer, names in clear, predictions. Rows
/// are of two workers, in small parts.
fn busy(folder: &std::path::Path) -> Study {
    let study = Study::create(folder, &[("flow.user-idle", "20m")]).unwrap();
    let options = crate::writer::WriteOptions { part_rows: 900, ..study.write_options() };
    let names = |worker| PartNames::new("host", "run", worker);
    fn writer<T: Table>(
        study: &Study,
        names: PartNames,
        options: &crate::writer::WriteOptions,
    ) -> TableWriter<T> {
        TableWriter::new(&study.table(T::INFO.name), names, options.clone())
    }
    let mut flows = [0, 1].map(|w| writer::<FlowView>(&study, names(w), &options));
    let mut dns = [0, 1].map(|w| writer::<DnsView>(&study, names(w), &options));
    let mut predictions = writer::<PredictionView>(&study, names(0), &options);
    let mut chance = Chance(7);
    let hosts = ["e7.whatsapp.net", "www.example.com", "mmg.whatsapp.net", "short.weixin.qq.com"];
    for i in 0..9_000u64 {
        let first = Timestamp::from_parts(1_500_000_000 + (i * 14 / 5) as i64, 0);
        let who = chance.below(60);
        let client = match who % 5 {
            0 => format!("~fd00::{who:x}"),
            1 => format!("{who:032x}"),
            2 => format!("10.0.0.{who}"),
            _ => format!("~10.0.0.{who}"),
        };
        let server = format!("198.51.100.{}", chance.below(50));
        let host = hosts[chance.below(4) as usize];
        let worker = chance.below(2) as usize;
        let port = 40_000 + (who % 3) as u16;
        let mut row = FlowViewRow { server: &server, ..bare(i * 7_919, first, &client) };
        match chance.below(20) {
            0..3 => {
                row = FlowViewRow {
                    transport: "udp",
                    server: "9.9.9.9",
                    server_port: 53,
                    protocol: Some("dns"),
                    last: Timestamp(first.0 + (1 + 4_000 * (i % 3) as i64) * 1_000_000_000),
                    ..row
                };
                let address = format!("198.51.100.{}", chance.below(50));
                let query = DnsViewRow {
                    at: first,
                    flow: row.flow,
                    client: &client,
                    kind: "query",
                    name: Some(host),
                    chain: None,
                    answer_type: None,
                    answer: None,
                    ttl: None,
                };
                dns[worker].append(&query).unwrap();
                let response = DnsViewRow {
                    at: Timestamp(first.0 + 50_000_000),
                    kind: "response",
                    chain: (i % 4 == 0).then_some("edge.example.net"),
                    answer_type: Some("A"),
                    answer: Some(&address),
                    ttl: Some(if i % 9 == 0 { 100_000 } else { 60 }),
                    ..query
                };
                dns[worker].append(&response).unwrap();
                // The same flow asks again, at its very end.
                let again = DnsViewRow { at: row.last, name: Some("e1.whatsapp.net"), ..query };
                dns[worker].append(&again).unwrap();
            }
            3 => (row.server_name, row.name_source) = (Some(host), Some("sni")),
            4 => {
                row.protocol = Some("qq-video");
                (row.transport, row.client_port, row.server_port) = ("udp", port, 8_000);
            }
            5 | 6 => (row.transport, row.client_port, row.server_port) = ("udp", port, 9_999),
            7 => row.server_port = 5_222,
            8 => {
                let prediction = PredictionViewRow {
                    flow: row.flow,
                    first,
                    class: "telegram",
                    probability: 0.9,
                    accepted: i % 2 == 0,
                    model: "m",
                    version: "1",
                };
                predictions.append(&prediction).unwrap();
            }
            _ => {}
        }
        flows[worker].append(&row).unwrap();
    }
    flows.into_iter().for_each(|flows| _ = flows.finish().unwrap());
    dns.into_iter().for_each(|dns| _ = dns.finish().unwrap());
    predictions.finish().unwrap();
    study
}

fn rows<T: Table>(study: &Study) -> Vec<String> {
    let mut rows = Vec::new();
    for batch in study.rows::<T>().unwrap() {
        rows.extend(batch.unwrap().iter().map(|row| format!("{row:?}")));
    }
    rows.sort();
    rows
}

#[test]
fn workers_change_no_label_and_no_session() {
    let dir = tempfile::tempdir().unwrap();
    let study = busy(&dir.path().join("study"));
    let lock = study.lock().unwrap();
    let catalog = Arc::new(Catalog::builtin().unwrap());
    let names = PartNames::new("host", "label", 0);
    let label = |workers| {
        let config = LabelerConfig::default();
        let summary = label_by(workers, &study, &lock, &catalog, config, &names).unwrap();
        (summary, rows::<Labels>(&study), rows::<Users>(&study))
    };
    let alone = label(1);
    for workers in [2, 3, 7] {
        let several = label(workers);
        assert_eq!(several.0, alone.0, "{workers}");
        assert!(several.1 == alone.1, "{workers} workers give other labels");
        assert!(several.2 == alone.2, "{workers} workers give other sessions");
        let parts = study.parts("users").unwrap();
        let writers: BTreeSet<_> =
            parts.iter().filter_map(|p| p.path.file_stem()?.to_str()?.split('-').nth(2)).collect();
        assert_eq!(writers.len(), usize::from(workers), "each has clients of its own");
    }
    let (summary, ..) = alone;
    assert_eq!(summary.flows, 9_000);
    assert!(summary.sessions > 60, "{}", summary.sessions);
    let seen: Vec<&str> = summary.evidence.keys().copied().collect();
    for evidence in [
        "signature",
        "sni",
        "dns-query",
        "dns",
        "dns-others",
        "stun-relay",
        "call-socket",
        "feedback-user",
        "feedback",
        "model",
    ] {
        assert!(seen.contains(&evidence), "{evidence} is not among {:?}", summary.evidence);
    }
}

#[test]
fn what_is_explained_is_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let study = busy(&dir.path().join("study"));
    let lock = study.lock().unwrap();
    let catalog = Arc::new(Catalog::builtin().unwrap());
    let names = PartNames::new("host", "label", 0);
    label_by(3, &study, &lock, &catalog, LabelerConfig::default(), &names).unwrap();
    let mut written: BTreeMap<u64, Vec<(String, String)>> = BTreeMap::new();
    for batch in study.rows::<Labels>().unwrap() {
        for row in batch.unwrap().iter() {
            let label = (row.app.to_owned(), row.detail.to_owned());
            if !matches!(row.evidence, "model" | "feedback" | "feedback-user") {
                written.entry(row.flow).or_default().push(label);
            }
        }
    }
    for labels in written.values_mut() {
        labels.sort();
    }
    for i in (0..9_000).step_by(450) {
        let id = FlowId(i * 7_919);
        let config = LabelerConfig::default();
        let told = explain(&study, Arc::clone(&catalog), config, id).unwrap().unwrap().labels;
        let mut told: Vec<_> =
            told.iter().map(|label| (label.app.to_string(), label.detail.clone())).collect();
        told.sort();
        assert_eq!(written.get(&id.0).cloned().unwrap_or_default(), told, "{id}");
    }
}

/// A call's set-up and its media that begin at the same instant, whichever has the lower id: ids
/// hang on the study's secret.
#[test]
fn ids_change_no_label() {
    let catalog = Arc::new(Catalog::builtin().unwrap());
    let names = PartNames::new("host", "label", 0);
    let labels = |set_up: u64, media: u64, peer: u64| {
        let dir = tempfile::tempdir().unwrap();
        let study = Study::create(&dir.path().join("study"), &[]).unwrap();
        let lock = study.lock().unwrap();
        let at = Timestamp::from_parts(1_500_000_000, 0);
        let mut flows = TableWriter::<FlowView>::new(
            &study.table("flows"),
            names.clone(),
            study.write_options(),
        );
        let udp = FlowViewRow { transport: "udp", client_port: 40_000, ..bare(0, at, "~10.0.0.1") };
        for row in [
            FlowViewRow { flow: set_up, protocol: Some("qq-video"), server_port: 8_000, ..udp },
            FlowViewRow { flow: media, server_port: 9_999, client_port: 50_000, ..udp },
            FlowViewRow { flow: peer, server: "198.51.100.7", server_port: 7_000, ..udp },
        ] {
            flows.append(&row).unwrap();
        }
        flows.finish().unwrap();
        label(&study, &lock, &catalog, LabelerConfig::default(), &names).unwrap();
        let mut found = BTreeSet::new();
        for batch in study.rows::<Labels>().unwrap() {
            for row in batch.unwrap().iter() {
                let which = [set_up, media, peer].iter().position(|id| *id == row.flow);
                found.insert(format!("{which:?} {} {} {}", row.app, row.evidence, row.confidence));
            }
        }
        found.into_iter().collect::<Vec<String>>()
    };
    let first = labels(1, 2, 3);
    assert_eq!(first.len(), 3, "{first:?}");
    assert!(first[1].contains("stun-relay") && first[2].contains("call-socket"), "{first:?}");
    for (a, b, c) in [(1, 3, 2), (2, 1, 3), (2, 3, 1), (3, 1, 2), (3, 2, 1)] {
        assert_eq!(labels(a, b, c), first);
    }
}
