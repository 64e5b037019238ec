use super::*;
use hex_literal::hex;
use proptest::prelude::*;

/// `graph.facebook.com` by a public resolver: two CNAME steps, then the address.
fn facebook() -> Vec<u8> {
    let cname = |owner: &str, target: &str| ReprRecord {
        owner: owner.into(),
        ttl: 3_600,
        data: ReprData::Cname(target.into()),
    };
    let query = Repr::query(0x1b7e, "graph.facebook.com", kind::A);
    query
        .answered(vec![
            cname("graph.facebook.com", "api.facebook.com"),
            cname("api.facebook.com", "star.c10r.facebook.com"),
            ReprRecord {
                owner: "star.c10r.facebook.com".into(),
                ttl: 58,
                data: ReprData::A([31, 13, 86, 8].into()),
            },
        ])
        .emit()
        .unwrap()
}

#[test]
fn chains_lead_from_the_question_to_the_addresses() {
    let bytes = facebook();
    let message = Message::parse(&bytes).unwrap();
    let chain: Vec<_> = message.chain().iter().map(ToString::to_string).collect();
    assert_eq!(chain, ["graph.facebook.com", "api.facebook.com", "star.c10r.facebook.com"]);
    let addresses: Vec<_> = message.addresses().collect();
    assert_eq!(addresses, [("31.13.86.8".parse().unwrap(), 58)]);
    let of_question: Vec<_> = message.answer_records().map(|r| r.is_of_question()).collect();
    assert_eq!((message.asked_kind(), of_question), (Some(kind::A), vec![true, false, false]));
    assert_eq!(message.check(), Ok(bytes.len()));
    assert_eq!(
        message.to_string(),
        "DNS response graph.facebook.com A, api.facebook.com, star.c10r.facebook.com, 31.13.86.8"
    );
}

#[test]
fn chains_that_loop_end() {
    let record = |owner: &str, target: &str| ReprRecord {
        owner: owner.into(),
        ttl: 1,
        data: ReprData::Cname(target.into()),
    };
    let bytes = Repr::query(1, "a.example", kind::A)
        .answered(vec![record("b.example", "a.example"), record("a.example", "b.example")])
        .emit()
        .unwrap();
    assert_eq!(Message::parse(&bytes).unwrap().chain().len(), 2);
}

#[test]
fn what_lies_before_a_cut_is_read() {
    let bytes = facebook();
    for len in 0..bytes.len() {
        let Ok(message) = Message::parse(&bytes[..len]) else {
            assert!(len < HEADER_LEN);
            continue;
        };
        assert!(message.check().unwrap_err().is_truncated(), "cut at {len}");
        assert_eq!(message.question().is_some(), len >= 36);
        assert!(message.answers().count() < 3);
        assert_eq!(is_plausible(&bytes[..len], false).is_ok(), len >= 36);
        assert!(is_plausible(&bytes[..len], true).is_err());
    }
    assert_eq!(is_plausible(&bytes, true), Ok(()));
}

#[test]
fn counts_bound_nothing_but_the_bytes_do() {
    let mut bytes = facebook();
    bytes[6..8].copy_from_slice(&[0xff, 0xff]);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.answers().count(), 3);
    assert!(message.check().is_err());
}

#[test]
fn netbios_is_not_dns() {
    // NBSTAT wildcard query, as Windows hosts send to port 137.
    let bytes = hex!(
        "80f00010000100000000000020434b41414141414141414141414141414141414141414141414141
         414141414100 0021 0001"
    );
    assert!(Message::parse(&bytes).unwrap().check().is_ok());
    assert!(is_plausible(&bytes, true).is_err());
}

fn names() -> impl Strategy<Value = String> {
    "([a-z0-9_-]{1,20}\\.){0,5}[a-z]{2,10}"
}

fn data() -> impl Strategy<Value = ReprData> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(|a| ReprData::A(a.into())),
        any::<[u8; 16]>().prop_map(|a| ReprData::Aaaa(a.into())),
        names().prop_map(ReprData::Cname),
        names().prop_map(ReprData::Ptr),
        names().prop_map(ReprData::Ns),
        (any::<u16>(), names()).prop_map(|(port, name)| ReprData::Srv(port, name)),
        (
            prop::collection::vec("[a-z0-9]{1,8}", 0..3),
            prop::collection::vec(any::<[u8; 4]>(), 0..3),
            prop::collection::vec(any::<[u8; 16]>(), 0..3),
        )
            .prop_map(|(alpn, v4, v6)| {
                let v4 = v4.into_iter().map(std::net::IpAddr::from);
                let hints = v4.chain(v6.into_iter().map(Into::into)).collect();
                ReprData::Https { alpn, hints }
            }),
        prop::collection::vec(any::<u8>(), 0..50)
            .prop_map(|bytes| ReprData::Other(kind::SOA, bytes)),
    ]
}

prop_compose! {
    fn reprs()(
        (id, response, rcode) in (any::<u16>(), any::<bool>(), 0u8..6),
        question in prop::option::of((names(), 1u16..300)),
        answers in prop::collection::vec((names(), any::<u32>(), data()), 0..12),
        edns in prop::option::of(any::<u16>()),
        compress in any::<bool>(),
    ) -> Repr {
        let answers = answers
            .into_iter()
            .map(|(owner, ttl, data)| ReprRecord { owner, ttl, data })
            .collect();
        Repr { id, response, rcode, question, answers, edns, compress }
    }
}

/// What was written, as far as reading tells it.
fn reread(message: &Message<'_>, compress: bool) -> Repr {
    let own = |data: Data<'_>| match data {
        Data::A(a) => ReprData::A(a),
        Data::Aaaa(a) => ReprData::Aaaa(a),
        Data::Cname(name) => ReprData::Cname(name.to_string()),
        Data::Ptr(name) => ReprData::Ptr(name.to_string()),
        Data::Ns(name) => ReprData::Ns(name.to_string()),
        Data::Srv { port, target, .. } => ReprData::Srv(port, target.to_string()),
        Data::Service(service) => ReprData::Https {
            alpn: service.alpn().map(|id| String::from_utf8(id.to_vec()).unwrap()).collect(),
            hints: service.hints().collect(),
        },
        Data::Other(bytes) => ReprData::Other(kind::SOA, bytes.to_vec()),
        Data::Txt(_) => unreachable!("never written here"),
    };
    Repr {
        id: message.id(),
        response: message.is_response(),
        rcode: message.rcode(),
        question: message.question().map(|q| (q.name.to_string(), q.kind)),
        answers: message
            .answers()
            .map(|a| ReprRecord { owner: a.owner.to_string(), ttl: a.ttl, data: own(a.value) })
            .collect(),
        edns: message.edns().map(|edns| edns.udp_size),
        compress,
    }
}

proptest! {
    #[test]
    fn emit_then_parse_is_identity(repr in reprs()) {
        let bytes = repr.emit().unwrap();
        let message = Message::parse(&bytes).unwrap();
        prop_assert_eq!(message.check(), Ok(bytes.len()));
        for record in message.answer_records() {
            let asked = message.question().map(|asked| asked.name);
            prop_assert!(!record.is_of_question() || asked == Some(record.owner()));
        }
        prop_assert_eq!(reread(&message, repr.compress), repr);
    }

    #[test]
    fn reading_is_total(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = is_plausible(&bytes, false);
        if let Ok(message) = Message::parse(&bytes) {
            let _ = (message.check(), message.chain(), message.to_string());
            let question = message.question();
            prop_assert_eq!(message.asked_kind(), question.as_ref().map(|asked| asked.kind));
            for record in message.records() {
                prop_assert_eq!(record.check(), record.data().map(|_| ()));
                if let Some(asked) = question.as_ref().filter(|_| record.is_of_question()) {
                    prop_assert_eq!(record.owner(), asked.name.clone());
                }
            }
            message.fields(&mut |_, _| ());
        }
    }

    #[test]
    fn random_bytes_are_not_dns(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(is_plausible(&bytes, true).is_err());
    }
}
