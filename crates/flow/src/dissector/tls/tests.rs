use hex_literal::hex;
use ottoscope_wire::tls::{
    Certificates, ClientHelloRepr, Handshake, Record, ServerHelloRepr, certificate,
};
use proptest::prelude::*;

use super::super::testing::Bench;
use super::*;
use crate::model::Direction::{Down, Up};
use crate::model::{Facts, NameSource};

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Handshake { kind, body }.emit(&mut out);
    out
}

/// Records of at most `size` bytes around handshake bytes.
fn records(bytes: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for fragment in bytes.chunks(size) {
        Record { content_type: content::HANDSHAKE, version: 0x0301, fragment }.emit(&mut out);
    }
    out
}

fn client_hello(name: &str) -> Vec<u8> {
    let mut body = Vec::new();
    ClientHelloRepr::new(Carrier::Tls, name, &["h2", "http/1.1"], [7; 32]).emit(&mut body);
    handshake(1, &body)
}

/// A server's first flight in TLS 1.2.
fn server_flight() -> Vec<u8> {
    let mut hello = Vec::new();
    ServerHelloRepr::tls12([9; 32], "http/1.1").emit(&mut hello);
    let leaf = certificate::synthesise("WhatsApp.net", &["*.whatsapp.net", "whatsapp.net"]);
    let mut chain = Vec::new();
    Certificates::emit(&[&leaf, &leaf], &mut chain);
    [handshake(2, &hello), handshake(11, &chain), handshake(14, &[])].concat()
}

fn bench() -> Bench {
    Bench::new(Transport::Tcp, Box::new(Tls::default()))
}

fn run(up: &[u8], down: &[u8], cuts: &[usize]) -> (Facts, Vec<String>) {
    let mut bench = bench();
    bench.talk(&[(Up, up), (Down, down)], cuts);
    assert_eq!(bench.end, Some(Progress::Done));
    assert_eq!(bench.anomalies, [""; 0]);
    (bench.facts, bench.messages)
}

#[test]
fn a_handshake_tells_names_versions_and_fingerprints() {
    let (facts, messages) = run(
        &records(&client_hello("Mmx.WhatsApp.net."), 9999),
        &records(&server_flight(), 9999),
        &[],
    );
    assert_eq!(facts.protocol, "tls");
    assert_eq!(facts.server_name.as_deref(), Some("mmx.whatsapp.net"));
    assert_eq!(facts.name_source, Some(NameSource::Sni));
    assert_eq!(facts.tls().alpn.as_deref(), Some("http/1.1"));
    assert_eq!(facts.tls().version, 0x0303);
    assert_eq!(&*facts.tls().certificate_names, "whatsapp.net,*.whatsapp.net");
    assert!(facts.tls().ja4.unwrap().starts_with("t13d0806h2_"));
    let kinds: Vec<_> = messages.iter().map(|m| m.split(" len").next().unwrap()).collect();
    assert_eq!(
        kinds,
        ["up tls/client-hello Mmx.WhatsApp.net.", "down tls/server-hello", "down tls/certificate"]
    );
}

proptest! {
    #[test]
    fn cutting_the_streams_changes_nothing(
        cuts in proptest::collection::vec(0usize..2500, 0..12),
        sizes in (1usize..400, 20usize..2000),
    ) {
        let up = records(&client_hello("c.whatsapp.net"), sizes.0);
        let down = records(&server_flight(), sizes.1);
        prop_assume!(up.len() / sizes.0.max(6) < 30);
        let whole = run(&up, &down, &[]);
        prop_assert_eq!(run(&up, &down, &cuts), whole);
    }

    #[test]
    fn reading_is_total(mut up: Vec<u8>, down: Vec<u8>, start in 0usize..3, gap: u64) {
        let head: &[u8] = [&[][..], &[22, 3, 1], &[22, 3, 1, 0, 9, 1, 0, 0, 5]][start];
        up.splice(0..0, head.iter().copied());
        let mut bench = bench();
        bench.feed(Up, &up).feed(Down, &down).gap(Up, gap).feed(Up, &down).feed(Up, &up).close();
    }

    #[test]
    fn probing_does_not_change_its_mind(bytes: Vec<u8>, start in 0usize..4) {
        let head: &[u8] = [&[][..], &[22, 3], &[22, 3, 1, 0, 200, 1], &[0x80, 0x2e, 1, 3]][start];
        let bytes = [head, &bytes].concat();
        let answer = |n: usize| probe(&at_start(&bytes[..n]));
        let mut last = Match::Maybe;
        for n in 0..=bytes.len() {
            if last == Match::Maybe {
                last = answer(n);
            } else if last == Match::No {
                prop_assert_eq!(answer(n), Match::No);
            }
        }
    }
}

fn at_start(bytes: &[u8]) -> Probe<'_> {
    let (server_port, client_port) = (443, 50_000);
    Probe { transport: Transport::Tcp, direction: Up, server_port, client_port, bytes }
}

#[test]
fn only_hellos_are_taken_for_tls() {
    let check = |bytes: &[u8], expected: Match| assert_eq!(probe(&at_start(bytes)), expected);
    check(&records(&client_hello("x.org"), 9999), Match::Yes);
    check(&records(&client_hello("x.org"), 3), Match::Yes);
    check(&hex!("16030100"), Match::Maybe);
    // WeChat's MMTLS, both versions.
    check(&hex!("16f1030050010000"), Match::No);
    check(&hex!("19f1040021000001"), Match::No);
    // A handshake record in the middle of a connection, application data.
    check(&hex!("160303002810000024"), Match::No);
    check(&hex!("1703030010"), Match::No);
    // A length that no hello has, a version that no hello has.
    check(&hex!("160301000901000005030300000000"), Match::No);
    check(&hex!("16030100ff010000fb020300000000"), Match::No);
    // RFC 5246 E.2.
    check(&hex!("801f0103010006000000100000350000 2f000102030405060708090a0b0c0d0e0f"), Match::Yes);
}

#[test]
fn a_hello_cut_by_a_hole_still_tells_its_name() {
    let bytes = records(&client_hello("static.whatsapp.net"), 9999);
    let mut bench = bench();
    bench.feed(Up, &bytes[..140]).gap(Up, bytes.len() as u64);
    assert_eq!(bench.facts.server_name.as_deref(), Some("static.whatsapp.net"));
    assert_eq!(bench.facts.tls().ja4, None);
    // The other direction goes on, and this one at the next record.
    bench.feed(Down, &records(&server_flight(), 9999));
    assert_eq!(bench.facts.tls().certificate_names.split(',').count(), 2);
}

#[test]
fn a_hole_within_a_record_is_stepped_over() {
    let down = records(&server_flight(), 9999);
    let mut bench = bench();
    bench.feed(Up, &records(&client_hello("x.org"), 9999));
    // Half a record of which the rest is lost, then the flight again as a new record.
    bench.feed(Down, &down[..50]).gap(Down, down.len() as u64);
    bench.feed(Down, &down);
    assert_eq!(bench.end, Some(Progress::Done));
    assert_eq!(bench.facts.tls().certificate_names.split(',').count(), 2);
}

#[test]
fn tls13_ends_with_the_server_hello() {
    let mut body = Vec::new();
    ServerHelloRepr::tls13([1; 32], &[7; 32]).emit(&mut body);
    let (facts, _) =
        run(&records(&client_hello("x.org"), 9999), &records(&handshake(2, &body), 9999), &[]);
    assert_eq!((facts.tls().version, facts.tls().alpn.as_deref()), (0x0304, Some("h2")));
}

#[test]
fn alerts_are_messages() {
    let mut bench = bench();
    bench.feed(Up, &records(&client_hello("x.org"), 9999)).feed(Down, &hex!("15030300020270"));
    assert_eq!(
        bench.messages[1],
        "down tls/alert len=2 opcode=112 level=2 description=112 meaning=unrecognized name"
    );
}
