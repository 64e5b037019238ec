use super::*;
use crate::dissector::testing::Bench;
use crate::model::Direction::{Down, Up};
use hex_literal::hex;
use ottoscope_wire::dns::{Repr, ReprData, ReprRecord, kind};
use proptest::prelude::*;

fn query() -> Vec<u8> {
    Repr::query(7, "C3.WhatsApp.net", kind::A).emit().unwrap()
}

fn response() -> Vec<u8> {
    let owner = "c3.whatsapp.net".to_owned();
    let data = ReprData::A([158, 85, 233, 52].into());
    Repr::query(7, "c3.whatsapp.net", kind::A)
        .answered(vec![ReprRecord { owner, ttl: 60, data }])
        .emit()
        .unwrap()
}

fn probe(transport: Transport, server_port: u16, bytes: &[u8]) -> Probe<'_> {
    Probe { transport, direction: Up, server_port, client_port: 50_000, bytes }
}

#[test]
fn datagrams_become_messages() {
    let mut bench = Bench::new(Transport::Udp, (DNS.open)());
    bench.feed(Up, &query()).feed(Down, &response()).feed(Down, &response()[..40]);
    assert_eq!(
        bench.messages[0],
        "up dns/query c3.whatsapp.net len=33 id=0x7 response=false \
        question=c3.whatsapp.net type=A"
    );
    assert_eq!(
        bench.messages[1],
        "down dns/response c3.whatsapp.net len=49 id=0x7 response=true \
        rcode=0 question=c3.whatsapp.net type=A owner=c3.whatsapp.net ttl=60 a=158.85.233.52"
    );
    assert_eq!((bench.messages.len(), bench.facts.protocol), (3, "dns"));
    assert_eq!(bench.anomalies, ["dns at byte 35: needs 45 bytes, has 40"]);
}

#[test]
fn ports_are_hints_and_structure_is_proof() {
    let check = |port: u16, bytes: &[u8], expected: [Match; 3]| {
        let probe = probe(Transport::Udp, port, bytes);
        assert_eq!([&DNS, &MDNS, &LLMNR].map(|p| (p.probe)(&probe)), expected, "{port} {bytes:?}");
    };
    use Match::{No, Yes};
    check(53, &query(), [Yes, No, No]);
    check(5300, &query(), [Yes, No, No]);
    check(5353, &query(), [No, Yes, No]);
    check(5355, &query(), [No, No, Yes]);
    check(137, &query(), [No, No, No]);
    check(53, &response()[..40], [Yes, No, No]);
    check(5300, &response()[..40], [No, No, No]);
    check(5300, &[query(), vec![0]].concat(), [No, No, No]);
    check(53, &[0; 40], [No, No, No]);
    // RTP, STUN, QUIC and WeChat's heartbeat
    check(5300, &hex!("80600001000000a0deadbeef0000000000000000"), [No, No, No]);
    check(5300, &hex!("000100002112a442000102030405060708090a0b"), [No, No, No]);
    check(53, &hex!("c00000000108000102030405060708"), [No, No, No]);
    check(5300, &hex!("d10a1d0a0000000000000000000000000000"), [No, No, No]);
}

fn framed(messages: &[Vec<u8>]) -> Vec<u8> {
    let frame = |m: &Vec<u8>| [&(m.len() as u16).to_be_bytes()[..], m].concat();
    messages.iter().flat_map(frame).collect()
}

#[test]
fn streams_are_probed_as_they_come() {
    let stream = framed(&[query()]);
    for cut in 0..stream.len() {
        let at = |port| (DNS.probe)(&probe(Transport::Tcp, port, &stream[..cut]));
        assert_ne!(at(53), Match::No, "{cut}");
        assert_eq!(at(5300), Match::Maybe, "{cut}");
    }
    assert_eq!((DNS.probe)(&probe(Transport::Tcp, 5300, &stream)), Match::Yes);
    for other in [&b"GET / HTTP/1.1\r\n"[..], b"\x16\x03\x01\x02\x00\x01", b"SSH-2.0-x\r\n\r\n"] {
        assert_eq!((DNS.probe)(&probe(Transport::Tcp, 5300, other)), Match::No);
    }
}

proptest! {
    #[test]
    fn any_cutting_tells_the_same(cuts in prop::collection::vec(0usize..200, 0..20)) {
        let (up, down) = (framed(&[query(), query()]), framed(&[response(), response()]));
        let talk = |cuts: &[usize]| {
            let mut bench = Bench::new(Transport::Tcp, (DNS.open)());
            bench.talk(&[(Up, &up), (Down, &down)], cuts);
            bench.messages
        };
        let whole = talk(&[]);
        prop_assert_eq!(whole.len(), 4);
        prop_assert_eq!(talk(&cuts), whole);
    }

    #[test]
    fn reading_is_total(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..9),
        tcp in any::<bool>(),
    ) {
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        let mut bench = Bench::new(transport, (DNS.open)());
        bench.feed(Up, &if tcp { framed(&[query()]) } else { query() });
        for bytes in &pieces {
            bench.feed(Up, bytes);
            for port in [53, 5300] {
                let _ = (DNS.probe)(&probe(transport, port, bytes));
            }
        }
    }

    #[test]
    fn random_datagrams_are_not_dns(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!((DNS.probe)(&probe(Transport::Udp, 5300, &bytes)), Match::No);
    }
}
