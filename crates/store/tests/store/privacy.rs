//! No client's address reaches the disk unless the study keeps them.

use std::fs;
use std::path::Path;

use ottoscope_flow::wire::dns::{self, Repr, ReprData, ReprRecord, kind};
use ottoscope_flow::wire::{Fields, Layer, Reason, Value, WireError};
use ottoscope_flow::{Anomaly, Body, Message, Side, Sink, Tunnel};
use ottoscope_store::Study;
use ottoscope_store::tables::{Anomalies, Dns, Flows, Messages};

use super::{at, flow, message, rows, sink, study};

/// Everybody's addresses that must not be seen, in every spelling.
const SECRETS: &[&str] = &[
    "10.77.66.55",
    "55.66.77.10.in-addr",
    "198.51.100.200",
    "c63364c8",
    "203.0.113.99",
    "2001:db8:aaaa::5",
    "host-10-77-66-55",
    "212:34ff:fe56:789a",
    "192.0.2.222",
];

/// A message whose fields tell addresses in several ways.
struct Stun;

impl Fields for Stun {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("xor_mapped_address", Value::Address("198.51.100.200".parse().unwrap()));
        each("xor_peer_address", Value::Address("203.0.113.99".parse().unwrap()));
        each("xor_relayed_address", Value::Address("157.240.1.53".parse().unwrap()));
        each("xor_mapped_address", Value::Bytes(&[0xc6, 0x33, 0x64, 0xc8]));
        each("candidate", Value::Text("udp 10.77.66.55 4000 via 8.8.4.4\u{7}"));
        each("forwarded", Value::Text("10.77.66.55, 8.8.4.4"));
    }
}

fn fill(study: &Study) {
    let mut sink = sink(study, 0);
    let mut one = flow(1, (0, 5), "10.77.66.55", "157.240.1.53", 3478);
    one.tunnel = Some(Tunnel {
        kind: "gre",
        client_side: "192.0.2.222".parse().unwrap(),
        server_side: "10.77.66.55".parse().unwrap(),
        id_up: Some(1),
        id_down: None,
        qfi: None,
    });
    sink.flow(&one).unwrap();
    let whole = message(&one, 1, "stun", Body::Fields(&Stun));
    sink.message(&Message { name: Some("10.77.66.55"), ..whole }).unwrap();

    // A call between two subscribers, a home server by its MAC address, a guess.
    sink.flow(&flow(2, (0, 5), "10.1.1.1", "10.77.66.55", 5000)).unwrap();
    sink.flow(&flow(3, (0, 5), "10.1.1.1", "2001:db8:1:2:212:34ff:fe56:789a", 5000)).unwrap();
    let mut guessed = flow(4, (0, 5), "203.0.113.99", "157.240.1.53", 5001);
    guessed.side = Side::Port;
    sink.flow(&guessed).unwrap();
    let mut gtp = flow(5, (0, 5), "2001:db8:aaaa::5", "157.240.1.53", 443);
    gtp.facts.server_name = Some("10.77.66.55".into());
    gtp.tunnel = Some(Tunnel {
        kind: "gtp-u",
        client_side: "172.30.0.1".parse().unwrap(),
        server_side: "172.30.0.2".parse().unwrap(),
        id_up: None,
        id_down: Some(7),
        qfi: Some(9),
    });
    sink.flow(&gtp).unwrap();

    let resolver = flow(6, (0, 1), "10.77.66.55", "8.8.8.8", 53);
    let ask = |name: &str, owner: &str, data: ReprData, kind: u16| {
        let query = Repr::query(1, name, kind);
        let record = ReprRecord { owner: owner.to_owned(), ttl: 60, data };
        [query.emit().unwrap(), query.answered(vec![record]).emit().unwrap()]
    };
    let ptr = "55.66.77.10.in-addr.arpa";
    let name = ReprData::Ptr("host-10-77-66-55.isp.example".to_owned());
    let home = ReprData::A("10.77.66.55".parse().unwrap());
    let clear = ReprData::A("157.240.1.53".parse().unwrap());
    for (protocol, bytes, asked) in [
        ("dns", ask(ptr, ptr, name, kind::PTR), ptr),
        ("dns", ask("me.example", "me.example", home.clone(), kind::A), "me.example"),
        ("mdns", ask("tv.local", "tv.local", home, kind::A), "tv.local"),
        ("dns", ask("chat.example", "chat.example", clear, kind::A), "chat.example"),
    ] {
        for bytes in bytes {
            let body = dns::Message::parse(&bytes).unwrap();
            let whole = message(&resolver, 1, protocol, Body::Dns(&body));
            sink.message(&Message { name: Some(asked), ..whole }).unwrap();
        }
    }
    let error = WireError::new(Layer::Ipv4, 0, Reason::BadLength);
    let head = b"\x45\x00..10.77.66.55";
    sink.anomaly(&Anomaly { at: at(0), capture: 0, flow: None, error, head }).unwrap();
    sink.finish().unwrap();
}

fn everything(study: &Study) -> String {
    [rows::<Flows>(study), rows::<Messages>(study), rows::<Dns>(study), rows::<Anomalies>(study)]
        .concat()
        .join("\n")
}

/// All bytes of all files below a folder.
fn bytes_below(folder: &Path, out: &mut Vec<u8>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            bytes_below(&path, out);
        } else {
            out.extend(fs::read(path).unwrap());
        }
    }
}

#[test]
fn no_client_address_reaches_the_disk() {
    for clients in ["[\"10.0.0.0/8\", \"2001:db8:aaaa::/48\"]", "[]"] {
        for mode in ["pseudonym", "hash"] {
            let dir = tempfile::tempdir().unwrap();
            let overrides = [("keep.client-addresses", mode), ("input.clients", clients)];
            let study = study(dir.path(), &overrides);
            fill(&study);
            let text = everything(&study);
            let mut raw = Vec::new();
            bytes_below(&study.root().join("tables"), &mut raw);
            for secret in SECRETS {
                assert!(!text.contains(secret), "{secret} with {overrides:?} in\n{text}");
                let found = raw.windows(secret.len()).any(|w| w == secret.as_bytes());
                assert!(!found, "{secret} in a file");
            }
            // What is no client's stays.
            for clear in
                ["157.240.1.53", "8.8.4.4", "8.8.8.8", "chat.example", "172.30.0.1", "tv.local"]
            {
                assert!(text.contains(clear), "{clear}");
            }
            // The same person has the same name everywhere.
            let same = text.matches(&pseudonym_of(&study, "10.77.66.55")).count();
            assert!(same >= 6, "{same}\n{text}");
        }
    }
}

fn pseudonym_of(study: &Study, address: &str) -> String {
    let (secret, _) = study.secret().unwrap();
    study.pseudonyms(&secret).client(address.parse().unwrap()).as_str().to_owned()
}

#[test]
fn kept_addresses_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let study = study(dir.path(), &[("keep.client-addresses", "keep")]);
    fill(&study);
    let text = everything(&study);
    for secret in SECRETS.iter().filter(|s| **s != "c63364c8") {
        assert!(text.contains(secret), "{secret}");
    }
    assert!(!text.contains('\u{7}'));
}

#[test]
fn the_secret_is_in_no_table() {
    let dir = tempfile::tempdir().unwrap();
    let study = study(dir.path(), &[]);
    fill(&study);
    let secret = fs::read_to_string(study.root().join("secret.key")).unwrap();
    let mut raw = Vec::new();
    bytes_below(&study.root().join("tables"), &mut raw);
    raw.extend(fs::read(study.root().join("study.toml")).unwrap());
    assert!(!raw.windows(64).any(|w| w == secret.trim().as_bytes()));
}
