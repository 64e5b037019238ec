//! From what the engine tells to tables, labels and users.
#![allow(clippy::unwrap_used)]

#[path = "store/privacy.rs"]
mod privacy;
#[path = "store/reference.rs"]
mod reference;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use ottoscope_catalog::{Catalog, LabelerConfig};
use ottoscope_flow::wire::dns::{self, Repr, ReprData, ReprRecord, kind};
use ottoscope_flow::wire::{Layer, Reason, WireError};
use ottoscope_flow::{
    Anomaly, Bin, Body, Direction, Facts, Flow, FlowEnd, FlowId, Message, Side, Sink, Tally,
    Timestamp, TlsFacts, Transport,
};
use ottoscope_store::tables::{Anomalies, Bins, Dns, Flows, Labels, Messages, Users};
use ottoscope_store::{PartNames, StoreSink, Study, Table};

/// A time on 2013-11-01, in seconds after 08:00.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_parts(1_383_292_800 + seconds, 0)
}

pub(crate) fn flow(id: u64, seconds: (i64, i64), client: &str, server: &str, port: u16) -> Flow {
    Flow {
        id: FlowId(id),
        first: at(seconds.0),
        last: at(seconds.1),
        transport: if port == 53 { Transport::Udp } else { Transport::Tcp },
        client: client.parse().unwrap(),
        client_port: 40_000,
        server: server.parse().unwrap(),
        server_port: port,
        up: Tally {
            packets: 10,
            bytes: 1_000,
            payload: 500,
            retransmitted: 1,
            syn: 1,
            fin: 1,
            rst: 0,
        },
        down: Tally {
            packets: 20,
            bytes: 2_000,
            payload: 1_500,
            retransmitted: 2,
            syn: 1,
            fin: 0,
            rst: 3,
        },
        side: Side::Syn,
        end: FlowEnd::Fin,
        facts: Facts::default(),
        rtt_server: Some(1_500),
        rtt_client: None,
        rtt_data: Some(2_000_000),
        syn_fingerprint: None,
        tunnel: None,
        vlan: None,
        heads: [vec![1, 2], vec![]],
        sample: None,
        sizes: Some(Box::new([5, -6])),
        gaps: Some(Box::new([0, 1500])),
    }
}

pub(crate) fn message<'a>(
    flow: &'a Flow,
    seconds: i64,
    protocol: &'a str,
    body: Body<'a>,
) -> Message<'a> {
    Message {
        flow,
        at: at(seconds),
        direction: Direction::Up,
        protocol,
        kind: "test",
        name: None,
        opcode: None,
        sequence: None,
        len: 100,
        head: b"0123456789abcdefghijk",
        body,
    }
}

pub(crate) fn study(dir: &Path, overrides: &[(&str, &str)]) -> Study {
    Study::create(&dir.join("study"), overrides).unwrap()
}

pub(crate) fn sink(study: &Study, worker: u32) -> StoreSink {
    let (secret, _) = study.secret().unwrap();
    let names = PartNames::new("host", "run", worker);
    StoreSink::new(study, &names, &study.pseudonyms(&secret), vec!["a.pcap".to_owned()].into())
}

/// All rows of a table as text, sorted.
pub(crate) fn rows<T: Table>(study: &Study) -> Vec<String> {
    let mut all = Vec::new();
    for batch in study.rows::<T>().unwrap() {
        all.extend(batch.unwrap().iter().map(|row| format!("{row:?}")));
    }
    all.sort();
    all
}

/// A query and its answer through a CNAME.
fn resolve(sink: &mut StoreSink, flow: &Flow, seconds: i64, name: &str, address: &str, ttl: u32) {
    let query = Repr::query(7, name, kind::A);
    let IpAddr::V4(address) = address.parse().unwrap() else { panic!("an IPv4 address") };
    let record = |owner: &str, ttl, data| ReprRecord { owner: owner.to_owned(), ttl, data };
    let response = query.answered(vec![
        record(name, ttl, ReprData::Cname("edge.example".to_owned())),
        record("edge.example", ttl + 100, ReprData::A(address)),
    ]);
    for (repr, kind) in [(query, "query"), (response, "response")] {
        let bytes = repr.emit().unwrap();
        let body = dns::Message::parse(&bytes).unwrap();
        let whole = message(flow, seconds, "dns", Body::Dns(&body));
        sink.message(&Message { kind, name: Some(name), ..whole }).unwrap();
    }
}

const CATALOG: &str = r#"
[app]
id = "chat"
name = "Chat"
operator = "Example"
kind = "messaging"
about = "For tests."
[sources]
test = "made up"
[[name]]
pattern = [".chat.example"]
service = "talk"
source = "test"
"#;

fn catalog() -> Arc<Catalog> {
    Arc::new(Catalog::from_texts(&[("chat.toml", CATALOG)]).unwrap())
}

#[test]
fn what_the_engine_tells_becomes_rows() {
    let dir = tempfile::tempdir().unwrap();
    let study = study(dir.path(), &[("keep.client-addresses", "keep"), ("keep.head-bytes", "4")]);
    let mut sink = sink(&study, 0);
    let mut one = flow(1, (0, 9), "10.0.0.1", "192.0.2.1", 443);
    one.facts = Facts {
        protocol: "tls",
        server_name: Some("a.example".into()),
        tls: Some(Arc::new(TlsFacts {
            certificate_names: "a.example,*.a.example".into(),
            version: 0x0304,
            ..TlsFacts::default()
        })),
        ..Facts::default()
    };
    sink.flow(&one).unwrap();
    sink.message(&message(&one, 1, "tls", Body::Fields(&()))).unwrap();
    sink.bin(&Bin {
        flow: one.id,
        second: at(3).seconds(),
        packets: [1, 2],
        bytes: [3, 4],
        syn: 5,
        fin: 6,
        rst: 7,
    })
    .unwrap();
    let error = WireError::new(Layer::Tls, 5, Reason::BadLength);
    let anomaly = Anomaly { at: at(2), capture: 0, flow: Some(one.id), error, head: &[9; 40] };
    sink.anomaly(&anomaly).unwrap();
    let resolver = flow(2, (0, 1), "10.0.0.1", "192.0.2.53", 53);
    resolve(&mut sink, &resolver, 0, "www.chat.example", "192.0.2.9", 60);
    let written = sink.finish().unwrap();
    let rows_of = |table: &str| written.iter().find(|(t, _)| *t == table).unwrap().1.rows;
    assert_eq!(["flows", "messages", "dns", "bins", "anomalies"].map(rows_of), [1, 3, 3, 1, 1]);

    study.rows::<Flows>().unwrap().for_each(|batch| {
        let batch = batch.unwrap();
        let row = batch.iter().next().unwrap();
        assert_eq!((row.flow, row.first, row.last), (1, at(0), at(9)));
        assert_eq!((row.client, row.server, row.transport), ("10.0.0.1", "192.0.2.1", "tcp"));
        assert_eq!(row.certificate_names, Some("a.example,*.a.example"));
        assert_eq!((row.tls_version, row.protocol), (Some(0x0304), Some("tls")));
        assert_eq!((row.syn, row.fin, row.rst), (2, 1, 3));
        assert_eq!((row.rtt_server_us, row.rtt_client_us), (Some(1.5), None));
        assert_eq!((row.head_up, row.head_down), (Some(&[1, 2][..]), None));
        assert_eq!(row.sizes, Some(&[5, -6][..]));
        assert_eq!(row.gaps_us, Some(&[0, 1500][..]));
        assert_eq!((row.side, row.end, row.tunnel), ("syn", "fin", None));
    });
    study.rows::<Messages>().unwrap().for_each(|batch| {
        let batch = batch.unwrap();
        assert!(batch.iter().all(|row| row.head == Some(b"0123") && row.bytes == 100));
    });
    study.rows::<Dns>().unwrap().for_each(|batch| {
        let batch = batch.unwrap();
        let mut rows = batch.iter();
        let query = rows.next().unwrap();
        assert_eq!((query.kind, query.rcode, query.qtype), ("query", None, Some("A")));
        assert_eq!((query.name, query.answer), (Some("www.chat.example"), None));
        let cname = rows.next().unwrap();
        assert_eq!((cname.answer_type, cname.answer), (Some("CNAME"), Some("edge.example")));
        let address = rows.next().unwrap();
        assert_eq!((address.kind, address.rcode), ("response", Some("noerror")));
        assert_eq!((address.name, address.chain), (Some("www.chat.example"), Some("edge.example")));
        assert_eq!((address.answer_type, address.answer), (Some("A"), Some("192.0.2.9")));
        assert_eq!((address.ttl, address.query_id), (Some(60), 7));
    });
    study.rows::<Anomalies>().unwrap().for_each(|batch| {
        let batch = batch.unwrap();
        let row = batch.iter().next().unwrap();
        assert_eq!((row.capture, row.layer, row.offset), ("a.pcap", "tls", 5));
        assert_eq!((row.flow, row.head), (Some(1), Some(&[9; 4][..])));
    });
    assert_eq!(rows::<Bins>(&study).len(), 1);
    let check = study.check().unwrap();
    assert!(check.faults.is_empty(), "{check:?}");
    assert_eq!(check.rows, 9);
    assert_eq!(study.count(&Flows::INFO).unwrap(), 1);
}

#[test]
fn memory_is_bounded_over_all_tables() {
    let dir = tempfile::tempdir().unwrap();
    let study = study(dir.path(), &[("memory.rows", "16KiB")]);
    let mut sink = sink(&study, 0);
    for i in 0..2_000 {
        sink.flow(&flow(i, (i as i64, i as i64 + 1), "10.0.0.1", "192.0.2.1", 443)).unwrap();
        sink.bin(&Bin {
            flow: FlowId(i),
            second: at(i as i64).seconds(),
            packets: [1, 0],
            bytes: [1, 0],
            syn: 0,
            fin: 0,
            rst: 0,
        })
        .unwrap();
    }
    sink.finish().unwrap();
    assert_eq!(study.count(&Flows::INFO).unwrap(), 2_000);
    assert_eq!(study.count(&Bins::INFO).unwrap(), 2_000);
    assert!(study.parts("flows").unwrap().len() > 10);
}

/// A day of one user: resolves the app's name, talks to its server, and to others.
fn day(study: &Study, workers: u32) {
    let mut sinks: Vec<StoreSink> = (0..workers).map(|w| sink(study, w)).collect();
    let mut give = |flow: &Flow| {
        let worker = flow.id.0 as usize % sinks.len();
        sinks[worker].flow(flow).unwrap();
        worker
    };
    let resolver = flow(1, (0, 1), "10.0.0.1", "198.51.100.53", 53);
    let resolver = Flow { facts: Facts { protocol: "dns", ..Facts::default() }, ..resolver };
    let worker = give(&resolver);
    // Answered at second 0, holds to 60 (and the grace).
    for (id, seconds, client, server) in [
        (2, (0, 30), "10.0.0.1", "192.0.2.9"),
        (3, (50, 60), "10.0.0.1", "192.0.2.9"),
        (4, (50, 60), "10.0.0.1", "203.0.113.7"),
        (5, (87_000, 87_010), "10.0.0.1", "192.0.2.9"),
    ] {
        give(&flow(id, seconds, client, server, 5222));
    }
    let mut named = flow(6, (70, 71), "10.0.0.2", "203.0.113.8", 443);
    named.facts.server_name = Some("mmv1.chat.example".into());
    give(&named);
    // The same server and port later, without a name: feedback.
    give(&flow(7, (100, 101), "10.0.0.2", "203.0.113.8", 443));
    resolve(&mut sinks[worker], &resolver, 0, "www.chat.example", "192.0.2.9", 60);
    for sink in sinks {
        sink.finish().unwrap();
    }
}

#[test]
fn labels_come_from_tables_and_replace_only_themselves() {
    let dir = tempfile::tempdir().unwrap();
    for (mode, workers) in [("keep", 1), ("pseudonym", 1), ("hash", 3)] {
        let dir = dir.path().join(mode);
        std::fs::create_dir(&dir).unwrap();
        let study =
            study(&dir, &[("keep.client-addresses", mode), ("input.clients", "[\"10.0.0.0/8\"]")]);
        day(&study, workers);
        let before = (rows::<Flows>(&study), rows::<Dns>(&study));
        let lock = study.lock().unwrap();
        let run = |n: &str| {
            let config = LabelerConfig::default();
            let names = PartNames::new("host", n, 0);
            ottoscope_store::label(&study, &lock, &catalog(), config, &names).unwrap()
        };
        let first = run("l1");
        let labels = rows::<Labels>(&study);
        let second = run("l2");
        assert_eq!(first, second);
        assert_eq!(rows::<Labels>(&study), labels);
        assert_eq!((rows::<Flows>(&study), rows::<Dns>(&study)), before);
        assert_eq!((first.flows, first.labels), (7, labels.len() as u64));

        let mut best = Vec::new();
        for batch in study.rows::<Labels>().unwrap() {
            for row in batch.unwrap().iter().filter(|row| row.best) {
                assert_eq!(row.app, "chat");
                best.push((row.flow, row.evidence.to_owned()));
            }
        }
        best.sort();
        let expected = [(1, "dns-query"), (2, "dns"), (3, "dns"), (6, "sni"), (7, "feedback-user")];
        assert_eq!(best, expected.map(|(f, e)| (f, e.to_owned())), "{mode}");

        let why = |id| {
            let config = LabelerConfig::default();
            ottoscope_store::explain(&study, catalog(), config, FlowId(id)).unwrap()
        };
        assert!(why(99).is_none());
        assert_eq!(&*why(3).unwrap().labels[0].app, "chat");
        assert!(why(4).unwrap().labels.is_empty());

        // Two users, one of them twice: 87,000 seconds are more than the hour of silence.
        assert_eq!(first.sessions, 3);
        let mut sessions = Vec::new();
        for batch in study.rows::<Users>().unwrap() {
            for row in batch.unwrap().iter() {
                sessions.push((row.session, row.first, row.last, row.flows, row.bytes_up));
            }
        }
        sessions.sort_by_key(|s| (s.1, s.0));
        assert_eq!(
            sessions,
            [
                (0, at(0), at(60), 4, 4_000),
                (0, at(70), at(101), 2, 2_000),
                (1, at(87_000), at(87_010), 1, 1_000),
            ]
        );
    }
}

#[test]
fn workers_change_no_table() {
    let dir = tempfile::tempdir().unwrap();
    let mut tables = Vec::new();
    for workers in [1, 2, 5] {
        let dir = dir.path().join(workers.to_string());
        std::fs::create_dir(&dir).unwrap();
        let study = study(&dir, &[("keep.client-addresses", "keep")]);
        day(&study, workers);
        let lock = study.lock().unwrap();
        let names = PartNames::new("host", "label", 0);
        ottoscope_store::label(&study, &lock, &catalog(), LabelerConfig::default(), &names)
            .unwrap();
        tables.push([
            rows::<Flows>(&study),
            rows::<Dns>(&study),
            rows::<Messages>(&study),
            rows::<Labels>(&study),
            rows::<Users>(&study),
        ]);
    }
    assert_eq!(tables[0], tables[1]);
    assert_eq!(tables[0], tables[2]);
}

#[test]
fn an_empty_study_is_labelled_too() {
    let dir = tempfile::tempdir().unwrap();
    let study = study(dir.path(), &[]);
    let lock = study.lock().unwrap();
    let names = PartNames::new("host", "label", 0);
    let summary =
        ottoscope_store::label(&study, &lock, &catalog(), LabelerConfig::default(), &names)
            .unwrap();
    assert_eq!(summary, ottoscope_store::LabelSummary::default());
    assert_eq!(rows::<Labels>(&study), Vec::<String>::new());
}

#[test]
fn memory_is_shared_out_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut study = study(dir.path(), &[]);
    let (secret, _) = study.secret().unwrap();
    let whole = study.engine(&secret);
    study.share_out(2, None).unwrap();
    assert_eq!(study.engine(&secret).memory, whole.memory);
    for (workers, bytes, enough) in [(1, 0, false), (1, 150 << 20, false), (1, 160 << 20, true)] {
        assert_eq!(study.share_out(workers, Some(bytes)).is_ok(), enough, "{bytes}");
    }
    study.share_out(4, Some(1 << 30)).unwrap();
    let (engine, options) = (study.engine(&secret), study.write_options());
    let each = engine.memory + engine.total_buffer + 3 * options.buffer_bytes;
    assert!(engine.memory > 64 << 20 && 4 * each < 1 << 30, "{each}");
}
