use ottoscope_wire::quic::{KeyPair, version};
use ottoscope_wire::tls::{ClientHelloRepr, ServerHelloRepr};
use proptest::prelude::*;

use super::super::testing::Bench;
use super::*;
use crate::model::Direction::{Down, Up};

const ID: &[u8] = b"client's";

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Handshake { kind, body }.emit(&mut out);
    out
}

fn client_hello() -> Vec<u8> {
    let mut body = Vec::new();
    ClientHelloRepr::new(Carrier::Quic, "g.whatsapp.net", &["h3"], [3; 32]).emit(&mut body);
    handshake(1, &body)
}

/// An Initial packet with these pieces of a hello, of the client or the server.
fn initial(v: u32, id: &[u8], client: bool, number: u32, pieces: &[(usize, &[u8])]) -> Vec<u8> {
    let keys = KeyPair::derive(v, id).unwrap();
    let mut payload = Vec::new();
    for (offset, data) in pieces {
        Frame::Crypto { offset: *offset as u64, data }.emit(&mut payload);
    }
    payload.resize(payload.len().max(1100), 0);
    let mut out = Vec::new();
    let (side, ids) =
        if client { (&keys.client, (id, &b"me"[..])) } else { (&keys.server, (&b"me"[..], id)) };
    side.seal(v, ids, &[], number, &payload, &mut out);
    out
}

fn fresh() -> Bench {
    Bench::new(Transport::Udp, Box::new(Quic::default()))
}

fn probed(bytes: &[u8]) -> Match {
    let (server_port, client_port) = (443, 50_000);
    probe(&Probe { transport: Transport::Udp, direction: Up, server_port, client_port, bytes })
}

#[test]
fn every_version_with_known_keys_tells_its_name() {
    for v in [version::V1, version::V2, version::DRAFT_29, version::MVFST_22, version::MVFST_27] {
        let hello = client_hello();
        let packet = initial(v, ID, true, 0, &[(0, &hello)]);
        assert_eq!(probed(&packet), Match::Yes);
        let mut bench = fresh();
        bench.feed(Up, &packet);
        assert_eq!(bench.facts.server_name.as_deref(), Some("g.whatsapp.net"), "{v:x}");
        assert_eq!(bench.facts.name_source, Some(NameSource::Quic));
        assert_eq!(bench.facts.tls().alpn.as_deref(), Some("h3"));
        assert!(bench.facts.tls().ja4.as_deref().unwrap().starts_with("q13d0307h3_"));
        let mut body = Vec::new();
        ServerHelloRepr::tls13([1; 32], &[]).emit(&mut body);
        bench.feed(Down, &initial(v, ID, false, 0, &[(0, &handshake(2, &body))]));
        assert_eq!(bench.end, Some(Progress::Done));
        assert_eq!(bench.messages.len(), 2);
    }
}

#[test]
fn without_a_tag_that_verifies_it_is_not_quic() {
    let mut packet = initial(version::V1, ID, true, 0, &[(0, &client_hello())]);
    *packet.last_mut().unwrap() ^= 1;
    assert_eq!(probed(&packet), Match::Maybe);
    packet[1] = 0x77; // a version nobody knows
    assert_eq!(probed(&packet), Match::No);
    assert_eq!(probed(&[0x41; 40]), Match::No);
}

#[test]
fn a_retry_changes_the_keys() {
    let hello = client_hello();
    let (one, two) = hello.split_at(100);
    let mut bench = fresh();
    bench.feed(Up, &initial(version::V1, ID, true, 0, &[(0, one)]));
    let retry = [&[0xf0, 0, 0, 0, 1, 2, b'm', b'e', 3, b'n', b'e', b'w'][..], &[9; 40]].concat();
    bench.feed(Down, &retry);
    bench.feed(Up, &initial(version::V1, b"new", true, 1, &[(100, two)]));
    assert_eq!(bench.facts.server_name.as_deref(), Some("g.whatsapp.net"));
    assert!(bench.messages[0].starts_with("down quic/retry"), "{:?}", bench.messages);
}

proptest! {
    /// Pieces of the hello in any order, over packets and datagrams, tell the same.
    #[test]
    fn pieces_in_any_order_tell_the_same(
        order in Just((0usize..8).collect::<Vec<_>>()).prop_shuffle(),
        per_packet in 1usize..5, coalesce: bool, overlap in 0usize..20,
    ) {
        let hello = client_hello();
        let step = hello.len().div_ceil(8);
        let pieces: Vec<_> = order.iter().map(|i| {
            let from = (i * step).saturating_sub(overlap).min(hello.len());
            (from, &hello[from..((i + 1) * step).min(hello.len())])
        }).collect();
        let packets: Vec<_> = pieces.chunks(per_packet).enumerate()
            .map(|(n, p)| initial(version::V1, ID, true, n as u32, p)).collect();
        let mut bench = fresh();
        if coalesce {
            bench.feed(Up, &packets.concat());
        } else {
            for packet in &packets {
                bench.feed(Up, packet);
            }
        }
        let mut whole = fresh();
        whole.feed(Up, &initial(version::V1, ID, true, 0, &[(0, &hello)]));
        prop_assert_eq!(bench.facts, whole.facts);
        prop_assert_eq!(bench.messages, whole.messages);
    }

    #[test]
    fn reading_is_total(bytes: Vec<u8>, v in proptest::sample::select(vec![1, 0, version::V2])) {
        let header = [&[0xc3][..], &u32::to_be_bytes(v), &bytes].concat();
        probed(&header);
        probed(&bytes);
        fresh().feed(Up, &header).feed(Down, &bytes).close();
    }
}
