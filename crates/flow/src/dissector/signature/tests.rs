use super::*;
use crate::dissector::Progress;
use crate::dissector::testing::Bench;
use crate::model::Direction::{self, Down, Up};
use crate::signature::{Field, FieldKind};
use hex_literal::hex;
use proptest::prelude::*;

fn field(offset: usize, len: usize, kind: FieldKind) -> Field {
    Field { offset, len, kind }
}

fn constant(offset: usize, values: &[&[u8]]) -> Field {
    let values: Vec<Box<[u8]>> = values.iter().map(|v| Box::from(*v)).collect();
    field(offset, values[0].len(), FieldKind::Constant(values))
}

fn signature(id: &str, transport: Transport, fields: Vec<Field>) -> Signature {
    Signature {
        id: id.into(),
        transport,
        ports: vec![],
        direction: None,
        lengths: None,
        fields,
        min_messages: 1,
        every_packet: false,
    }
}

/// W-TCP (the ChatDissect paper, section III-A): length of the whole task, `00100001`, command
/// (a response's is the request's + 10^9), sequence.
fn w_tcp() -> Signature {
    let opcode =
        FieldKind::Opcode { little: false, response_offset: 1_000_000_000, values: vec![] };
    Signature {
        lengths: Some((16, 1 << 24)),
        min_messages: 2,
        ..signature(
            "wechat/w-tcp",
            Transport::Tcp,
            vec![
                field(0, 4, FieldKind::Length { little: false, add: 0 }),
                constant(4, &[&hex!("00100001")]),
                field(8, 4, opcode),
                field(12, 4, FieldKind::Sequence { little: false }),
            ],
        )
    }
}

/// MMTLS records: type, version `f103` or `f104`, length of the body.
fn mmtls() -> Signature {
    signature(
        "wechat/mmtls",
        Transport::Tcp,
        vec![
            constant(0, &[&[0x15], &[0x16], &[0x17], &[0x19]]),
            constant(1, &[&hex!("f103"), &hex!("f104")]),
            field(3, 2, FieldKind::Length { little: false, add: 5 }),
        ],
    )
}

/// WeChat's UDP heartbeat: `d1 0a`, a length, `0a`.
fn heartbeat() -> Signature {
    Signature {
        every_packet: true,
        ..signature(
            "wechat/udp",
            Transport::Udp,
            vec![constant(0, &[&hex!("d10a")]), constant(3, &[&hex!("0a")])],
        )
    }
}

fn set(signatures: Vec<Signature>) -> SignatureSet {
    SignatureSet::new(signatures).unwrap()
}

fn probe(transport: Transport, bytes: &[u8]) -> Probe<'_> {
    Probe { transport, direction: Up, server_port: 8080, client_port: 50_000, bytes }
}

fn bench(signature: Signature) -> Bench {
    let transport = signature.transport;
    Bench::new(transport, set(vec![signature]).open(0).unwrap())
}

fn task(command: u32, sequence: u32, body: usize) -> Vec<u8> {
    let len = 16 + body as u32;
    let mut bytes = [len.to_be_bytes(), hex!("00100001")].concat();
    bytes.extend([command.to_be_bytes(), sequence.to_be_bytes()].concat());
    bytes.resize(len as usize, 0xa5);
    bytes
}

fn conversation() -> Vec<(Direction, Vec<u8>)> {
    vec![
        (Up, [task(6, u32::MAX, 0), task(9, 1, 70)].concat()),
        (Down, task(1_000_000_006, u32::MAX, 1)),
        (Down, [task(1_000_000_009, 1, 300), task(24, 0, 3)].concat()),
        (Up, task(1_000, 2, 0)),
    ]
}

const TOLD: [&str; 6] = [
    "up wechat/w-tcp/request len=16 opcode=6 sequence=4294967295",
    "up wechat/w-tcp/request len=86 opcode=9 sequence=1",
    "down wechat/w-tcp/response len=17 opcode=6 sequence=4294967295",
    "down wechat/w-tcp/response len=316 opcode=9 sequence=1",
    "down wechat/w-tcp/request len=19 opcode=24 sequence=0",
    "up wechat/w-tcp/request len=16 opcode=1000 sequence=2",
];

fn talk(cuts: &[usize]) -> Bench {
    let conversation = conversation();
    let script: Vec<_> = conversation.iter().map(|(d, b)| (*d, b.as_slice())).collect();
    let mut bench = bench(w_tcp());
    bench.talk(&script, cuts).close();
    bench
}

#[test]
fn tasks_are_framed_wherever_the_stream_is_cut() {
    let total: usize = conversation().iter().map(|(_, bytes)| bytes.len()).sum();
    for cut in 0..total {
        let bench = talk(&[cut]);
        assert_eq!(bench.messages, TOLD, "cut at {cut}");
        assert_eq!(bench.facts.signature.as_deref(), Some("wechat/w-tcp"));
        assert!(!bench.facts.signature_broken && bench.anomalies.is_empty());
    }
    let everywhere: Vec<_> = (0..total).collect();
    assert_eq!(talk(&everywhere).messages, TOLD);
}

#[test]
fn too_few_messages_never_count() {
    let mut one = bench(w_tcp());
    one.feed(Up, &task(6, 1, 0)).close();
    assert_eq!((one.messages.len(), &one.facts.signature), (0, &None));
    let mut other = bench(w_tcp());
    other.feed(Up, &task(6, 1, 0)).feed(Up, b"GET / HTTP/1.1\r\n");
    assert_eq!(other.end, Some(Progress::NotMine));
}

#[test]
fn holes_are_bridged_or_resynchronised() {
    let mut bench = bench(w_tcp());
    bench.feed(Up, &task(6, 1, 0)).feed(Up, &task(9, 2, 1000)[..100]).gap(Up, 500);
    bench.feed(Up, &task(9, 2, 1000)[600..]);
    assert_eq!(bench.messages.len(), 2, "bridged");
    bench.feed(Up, &task(9, 3, 1000)[..100]).gap(Up, 2000);
    bench.feed(Up, &[0xa5; 50]).feed(Up, &task(6, 4, 0));
    assert_eq!(bench.messages[2], "up wechat/w-tcp/request len=1016 opcode=9 sequence=3");
    assert_eq!(bench.messages[3], "up wechat/w-tcp/request len=16 opcode=6 sequence=4");
    assert!(bench.anomalies.is_empty());
}

#[test]
fn nonsense_between_messages_is_an_anomaly_once() {
    let mut bench = bench(w_tcp());
    bench.feed(Up, &[task(6, 1, 0), task(6, 2, 0)].concat());
    bench.feed(Up, &[0; 40]).feed(Up, &[0; 40]).feed(Up, &task(6, 3, 0));
    assert_eq!(bench.messages.len(), 3);
    assert_eq!(bench.anomalies, ["signature at byte 0: no message where one should begin"]);
    assert!(!bench.facts.signature_broken);
}

#[test]
fn records_whose_length_counts_the_body() {
    // Hello, 0-RTT and data records with short bodies.
    let records = hex!("16f1030003010203 19f1040002aaaa 17f104000100 15f1040000");
    assert_eq!(set(vec![mmtls()]).find(&probe(Transport::Tcp, &records)), Found::Yes(0));
    let mut bench = bench(mmtls());
    bench.feed(Up, &records);
    let lens: Vec<_> = bench.messages.iter().map(|m| m.rsplit('=').next().unwrap()).collect();
    assert_eq!(lens, ["8", "7", "6", "5"]);
    // A TLS 1.2 record is none.
    let tls = hex!("160303002a0100");
    assert_eq!(set(vec![mmtls()]).find(&probe(Transport::Tcp, &tls)), Found::No);
}

#[test]
fn every_packet_must_match_where_asked() {
    let mut bench = bench(heartbeat());
    bench.feed(Up, &hex!("d10a1d0a00")).feed(Down, &hex!("d10a290a00"));
    assert_eq!(bench.facts.signature.as_deref(), Some("wechat/udp"));
    bench.feed(Up, &hex!("d20a1d0a00"));
    assert!(bench.facts.signature_broken);
    assert_eq!(bench.end, Some(Progress::Done));
}

#[test]
fn datagrams_of_one_app_mix_in_a_flow() {
    let content = Signature {
        every_packet: true,
        min_messages: 4,
        ..signature(
            "wechat/content",
            Transport::Udp,
            vec![field(2, 2, FieldKind::Sequence { little: false }), constant(4, &[&hex!("1e")])],
        )
    };
    let other = Signature { id: "other/udp".into(), ..heartbeat() };
    let set = set(vec![heartbeat(), content, other]);
    let index = (0..3).find(|&i| &*set.get(i).unwrap().id == "wechat/udp").unwrap();
    let mut bench = Bench::new(Transport::Udp, set.open(index).unwrap());
    bench.feed(Up, &hex!("d10a1d0a00")).feed(Up, &hex!("0103fffe1e"));
    bench.feed(Down, &hex!("ee0207001e")).feed(Up, &hex!("020300011e"));
    assert_eq!(bench.facts.signature.as_deref(), Some("wechat/udp"));
    assert!(!bench.facts.signature_broken);
    // A sequence number from elsewhere is another protocol's bytes.
    bench.feed(Up, &hex!("020370011e"));
    assert!(bench.facts.signature_broken);
}

#[test]
fn ports_direction_and_lengths_are_honoured() {
    let bytes = hex!("d10a1d0a00");
    let found = |signature| set(vec![signature]).find(&probe(Transport::Udp, &bytes));
    assert_eq!(found(heartbeat()), Found::Yes(0));
    assert_eq!(found(Signature { ports: vec![8000], ..heartbeat() }), Found::No);
    assert_eq!(found(Signature { ports: vec![8000, 8080], ..heartbeat() }), Found::Yes(0));
    assert_eq!(found(Signature { direction: Some(Down), ..heartbeat() }), Found::No);
    assert_eq!(found(Signature { direction: Some(Up), ..heartbeat() }), Found::Yes(0));
    assert_eq!(found(Signature { lengths: Some((6, 9)), ..heartbeat() }), Found::No);
    assert_eq!(found(Signature { lengths: Some((5, 5)), ..heartbeat() }), Found::Yes(0));
    assert_eq!(found(Signature { transport: Transport::Tcp, ..heartbeat() }), Found::No);
}

#[test]
fn little_endian_lengths_count_datagrams() {
    let little = signature(
        "x/little",
        Transport::Udp,
        vec![constant(2, &[&[7]]), field(0, 2, FieldKind::Length { little: true, add: 2 })],
    );
    let set = set(vec![little]);
    assert_eq!(set.find(&probe(Transport::Udp, &hex!("0300070809"))), Found::Yes(0));
    assert_eq!(set.find(&probe(Transport::Udp, &hex!("0003070809"))), Found::No);
}

#[test]
fn layouts_without_length_take_pieces() {
    let plain = Signature {
        direction: Some(Up),
        ..signature("x/plain", Transport::Tcp, vec![constant(0, &[b"LINE"])])
    };
    let mut bench = bench(plain);
    bench.feed(Up, b"LI").feed(Up, b"NE1").feed(Up, b"continued").feed(Up, b"LINE2..");
    bench.feed(Down, b"anything");
    assert_eq!(bench.messages, ["up x/plain/message len=5", "up x/plain/message len=7"]);
}

#[test]
fn the_most_telling_layout_wins() {
    let short = signature("a/short", Transport::Udp, vec![constant(0, &[&[1]])]);
    let long = signature("b/long", Transport::Udp, vec![constant(1, &[&[2, 3, 4]])]);
    let set = set(vec![short, long]);
    let id = |bytes: &[u8]| match set.find(&probe(Transport::Udp, bytes)) {
        Found::Yes(index) => set.get(index).unwrap().id.to_string(),
        other => format!("{other:?}"),
    };
    assert_eq!(id(&[1, 2, 3, 4]), "b/long");
    assert_eq!(id(&[1, 2, 3, 5]), "a/short");
    assert_eq!(id(&[9, 2, 3]), "No");
}

#[test]
fn layouts_that_can_not_run_are_refused() {
    let check = |fields: Vec<Field>, reason: &str| {
        let error = SignatureSet::new(vec![signature("x/y", Transport::Udp, fields)]).unwrap_err();
        assert_eq!(error.to_string(), format!("signature `x/y`: {reason}"));
    };
    check(vec![], "has no fixed value, so that anything would match");
    check(
        vec![field(0, 4, FieldKind::Unknown)],
        "has no fixed value, so that anything would match",
    );
    check(vec![field(250, 7, FieldKind::Unknown)], "has a field beyond 256 bytes");
    check(vec![field(usize::MAX, 1, FieldKind::Unknown)], "has a field beyond 256 bytes");
    check(vec![field(0, 0, FieldKind::Unknown)], "has a field without length");
    let long = FieldKind::Length { little: false, add: 0 };
    check(vec![field(0, 9, long)], "has a number of more than 8 bytes");
    let short = FieldKind::Constant(vec![Box::from([1])]);
    check(vec![field(0, 2, short)], "has a value that is not as long as its field");
}

proptest! {
    #[test]
    fn any_cutting_tells_the_same(cuts in prop::collection::vec(0usize..500, 0..20)) {
        prop_assert_eq!(talk(&cuts).messages, TOLD);
    }

    #[test]
    fn running_is_total(
        pieces in prop::collection::vec(
            (any::<bool>(), prop::collection::vec(any::<u8>(), 0..40), 0u64..99),
            0..20,
        ),
        start in any::<bool>(),
    ) {
        for signature in [w_tcp(), mmtls(), heartbeat()] {
            let set = set(vec![signature.clone()]);
            let mut bench = bench(signature);
            if start {
                bench.feed(Up, &[task(6, 1, 0), task(6, 2, 9)[..20].to_vec()].concat());
            }
            for (up, bytes, missing) in &pieces {
                let direction = if *up { Up } else { Down };
                bench.feed(direction, bytes);
                bench.gap(direction, *missing);
                let _ = set.find(&probe(bench.transport, bytes));
            }
            bench.close();
        }
    }

    #[test]
    fn short_streams_are_maybe_until_they_differ(cut in 0usize..16, flip in 4usize..8) {
        let set = set(vec![w_tcp(), mmtls()]);
        let whole = task(6, 1, 0);
        prop_assert_eq!(set.find(&probe(Transport::Tcp, &whole[..cut])), Found::Maybe);
        let mut other = whole.clone();
        other[flip] ^= 0xff;
        prop_assert_eq!(set.find(&probe(Transport::Tcp, &other)), Found::No);
    }
}
