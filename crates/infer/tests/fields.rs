//! Types of fields of generated headers.

#![allow(clippy::unwrap_used, missing_docs)] // failing is a test's work

mod common;

use std::ops::Range;

use common::{MILLI, Rng, SECOND, day, flow};
use ottoscope_flow::{Direction, Timestamp, Transport};
use ottoscope_infer::fields::command::response_offset;
use ottoscope_infer::fields::refine::refine;
use ottoscope_infer::fields::{Field, Kind, paper, typed};
use ottoscope_infer::{Cuts, Params, Sample, Samples};

fn kinds(fields: &[Field]) -> Vec<Kind> {
    fields.iter().map(|field| field.kind).collect()
}

fn headers(samples: &Samples) -> Vec<usize> {
    let header = |index: &usize| samples.get(*index).head.get(4..8) == Some(&[0, 0x10, 0, 1]);
    (0..samples.len()).filter(header).collect()
}

fn evidence(fields: &[Field]) -> String {
    let line =
        |f: &Field| format!("\n{:?} {:?} {:.2} {}", f.span, f.kind, f.confidence, f.evidence);
    fields.iter().map(line).collect()
}

#[test]
fn w_tcp_from_packets() {
    for seed in 1..9 {
        let mut talk = day(seed, 5, false);
        talk.send(0.01, 0.02, 0.01);
        let members = headers(&talk.packets);
        let spans = [0..4, 4..8, 8..11, 11..12, 12..16];
        let fields = typed::infer(&talk.packets, &members, &spans, &Params::default());
        let expected = [
            Kind::Length { add: 0 },
            Kind::Constant,
            Kind::RequestResponse,
            Kind::Opcode,
            Kind::Sequence,
        ];
        assert_eq!(kinds(&fields), expected, "seed {seed}{}", evidence(&fields));
        assert!(fields.iter().all(|f| f.confidence > 0.7 && !f.little), "{}", evidence(&fields));
        let refined = refine(&talk.packets, &members, &spans, &Params::default());
        assert_eq!(refined, spans);
    }
}

#[test]
fn commands_over_255_are_one_number() {
    for seed in 1..9 {
        let mut talk = day(seed, 5, true);
        talk.send(0.0, 0.02, 0.0);
        let members = headers(&talk.packets);
        let cut = [0..4, 4..8, 8..11, 11..12, 12..16];
        let spans = refine(&talk.packets, &members, &cut, &Params::default());
        assert_eq!(spans, [0..4, 4..8, 8..12, 12..16], "seed {seed}");
        let fields = typed::infer(&talk.packets, &members, &spans, &Params::default());
        let expected = [Kind::Length { add: 0 }, Kind::Constant, Kind::Opcode, Kind::Sequence];
        assert_eq!(kinds(&fields), expected, "seed {seed}{}", evidence(&fields));
        let offset = response_offset(&talk.packets, &members, &(8..12)).unwrap();
        assert_eq!((offset.offset, offset.little), (common::RESPONSE, false));
    }
}

#[test]
fn the_paper_finds_what_it_can() {
    let mut talk = day(1, 5, false);
    talk.send(0.0, 0.0, 0.0);
    let whole: Vec<usize> =
        headers(&talk.packets).into_iter().filter(|i| talk.packets.get(*i).len < 1400).collect();
    let spans = [0..4, 4..8, 8..11, 11..12, 12..16];
    let fields = paper::infer(&talk.packets, &whole, &spans, &Params::default());
    // The sequence falls at pushes and heartbeats, so that no order of packets is monotone.
    let expected = [
        Kind::Length { add: 0 },
        Kind::Constant,
        Kind::RequestResponse,
        Kind::Opcode,
        Kind::Unidentified,
    ];
    assert_eq!(kinds(&fields)[..2], expected[..2]);
    assert_eq!(kinds(&fields)[3..], expected[3..]);
}

/// Messages of one made-up header: `write` gives what is behind the flow, direction and number.
fn made(
    seed: u64,
    flows: usize,
    each: u32,
    transport: Transport,
    mut write: impl FnMut(&mut Rng, &Context) -> Vec<u8>,
) -> Samples {
    let mut samples = Samples::new();
    let mut rng = Rng(seed);
    let mut all = Vec::new();
    for id in 0..flows {
        let flow = flow(&mut samples, id as u64, transport);
        let session = rng.next();
        let mut at = 1_400_000_000 * SECOND + id as i64 * 7 * SECOND;
        let mut transaction = 0;
        for number in 0..each {
            let response = number % 2 == 1;
            if !response {
                transaction = rng.next();
            }
            at += if response { 30 * MILLI } else { (rng.exponential(3.0) * 1e9) as i64 };
            let direction = if response { Direction::Down } else { Direction::Up };
            let body = rng.range(4, 400);
            let context = Context { flow, number, response, session, transaction, at, body };
            let head = write(&mut rng, &context);
            all.push((at, flow, direction, head, body));
        }
    }
    all.sort_by_key(|message| message.0);
    for (at, flow, direction, head, body) in all {
        let at = Timestamp(at);
        let len = head.len() as u64 + body;
        let bytes = [head, rng.bytes(body.min(64) as usize)].concat();
        samples.push(Sample { at, flow, direction, sequence: None, len, head: &bytes });
    }
    samples
}

struct Context {
    flow: usize,
    number: u32,
    response: bool,
    session: u64,
    transaction: u64,
    at: i64,
    body: u64,
}

fn check(
    spans: &[Range<usize>],
    expected: &[(Kind, bool)],
    transport: Transport,
    write: impl Fn(&mut Rng, &Context) -> Vec<u8> + Copy,
) {
    for seed in 1..6 {
        let samples = made(seed, 6, 80, transport, write);
        let all: Vec<usize> = (0..samples.len()).collect();
        let fields = typed::infer(&samples, &all, spans, &Params::default());
        let told: Vec<_> = fields.iter().map(|f| (f.kind, f.little)).collect();
        assert_eq!(told, expected, "seed {seed}{}", evidence(&fields));
    }
}

#[test]
fn little_endian_and_body_lengths() {
    check(
        &[0..2, 2..4, 4..8, 8..9, 9..13],
        &[
            (Kind::Constant, false),
            (Kind::Length { add: 13 }, true),
            (Kind::Sequence, true),
            (Kind::Opcode, false),
            (Kind::Session, false),
        ],
        Transport::Udp,
        |rng, cx| {
            let mut out = vec![0xa1, 0x08];
            out.extend_from_slice(&(cx.body as u16).to_le_bytes());
            out.extend_from_slice(&(1000 + cx.number / 2).to_le_bytes());
            out.push([3, 5, 9, 20][rng.below(4) as usize]);
            out.extend_from_slice(&(cx.session as u32).to_be_bytes());
            out
        },
    );
}

#[test]
fn transactions_times_and_addresses() {
    check(
        &[0..4, 4..8, 8..12, 12..13, 13..15],
        &[
            (Kind::Transaction, false),
            (Kind::Timestamp, false),
            (Kind::Address, false),
            (Kind::RequestResponse, false),
            (Kind::Length { add: 0 }, false),
        ],
        Transport::Udp,
        |_, cx| {
            let mut out = (cx.transaction as u32).to_be_bytes().to_vec();
            out.extend_from_slice(&((cx.at / SECOND) as u32).to_be_bytes());
            out.extend_from_slice(&(0x0a00_0000 | (cx.flow as u32 * 7 + 1)).to_be_bytes());
            out.push(if cx.response { 0x80 } else { 0 });
            out.extend_from_slice(&(cx.body as u16 + 15).to_be_bytes());
            out
        },
    );
}

#[test]
fn media_clocks_and_flags() {
    check(
        &[0..1, 1..3, 3..7, 7..9],
        &[
            (Kind::Constant, false),
            (Kind::Sequence, false),
            (Kind::Timestamp, false),
            (Kind::Flags, false),
        ],
        Transport::Udp,
        |rng, cx| {
            let mut out = vec![0x80];
            // Wraps within the flow.
            out.extend_from_slice(&(65_500u16.wrapping_add(cx.number as u16)).to_be_bytes());
            let clock = (cx.at / 1000 * 48 / 1000) as u32;
            out.extend_from_slice(&clock.to_be_bytes());
            out.extend_from_slice(&((rng.next() as u16) & 0x5252).to_be_bytes());
            out
        },
    );
}

#[test]
fn counters_of_a_flow_and_with_gaps_and_specials() {
    check(
        &[0..2, 2..4, 4..8],
        &[(Kind::Sequence, false), (Kind::Sequence, false), (Kind::Sequence, false)],
        Transport::Udp,
        |rng, cx| {
            // Shared by both directions; steps of four with gaps; none in every tenth message.
            let mut out = (7 + cx.number as u16).to_be_bytes().to_vec();
            let gaps = cx.number / 2 + u32::from(rng.chance(0.1));
            out.extend_from_slice(&(gaps as u16 * 4).to_be_bytes());
            let number = match rng.below(20) {
                0 => u32::MAX,
                1 => 0,
                _ => 50_000 + cx.number / 2,
            };
            out.extend_from_slice(&number.to_be_bytes());
            out
        },
    );
}

#[test]
fn numbers_cut_in_two_are_joined() {
    for seed in 1..6 {
        let samples = made(seed, 3, 2000, Transport::Udp, |_, cx| {
            let mut out = (200 + cx.number as u16).to_be_bytes().to_vec();
            out.extend_from_slice(&(cx.body as u16).to_be_bytes());
            out.extend_from_slice(&(cx.transaction as u32).to_be_bytes());
            out
        });
        let all: Vec<usize> = (0..samples.len()).collect();
        let cut = [0..1, 1..2, 2..3, 3..4, 4..5, 5..8];
        let spans = refine(&samples, &all, &cut, &Params::default());
        assert_eq!(spans, [0..2, 2..4, 4..8], "seed {seed}");
        // What was cut too coarsely is split.
        let spans = refine(&samples, &all, &[0..4, 4..8], &Params::default());
        assert_eq!(spans, [0..2, 2..4, 4..8], "seed {seed}");
    }
}

#[test]
fn digits_that_count_are_text() {
    for seed in 1..4 {
        let samples = made(seed, 3, 200, Transport::Tcp, |_, cx| {
            let mut out = format!("{:04} {:5}", cx.number, cx.body).into_bytes();
            out.extend_from_slice(&(0x3030 + cx.number as u16).to_be_bytes());
            out
        });
        let all: Vec<usize> = (0..samples.len()).collect();
        let spans = [0..4, 4..5, 5..10, 10..12];
        let fields = typed::infer(&samples, &all, &spans, &Params::default());
        let expected = [Kind::Text, Kind::Constant, Kind::Text, Kind::Sequence];
        assert_eq!(kinds(&fields), expected, "seed {seed}{}", evidence(&fields));
    }
}

#[test]
fn dates_and_addresses_are_found_where_nothing_was_cut() {
    for seed in 1..4 {
        let samples = made(seed, 6, 80, Transport::Udp, |_, cx| {
            let mut out = vec![7, (cx.number % 5) as u8, 3];
            // As `common::flow` numbers clients.
            out.extend_from_slice(&(0x0a00_0001 + cx.flow as u32 * 7).to_be_bytes());
            out.extend_from_slice(&((cx.at / SECOND) as u32).to_le_bytes());
            out.push((cx.number % 3) as u8);
            out
        });
        let all: Vec<usize> = (0..samples.len()).collect();
        let spans = refine(&samples, &all, &[0..4, 4..8, 8..10, 10..12], &Params::default());
        assert!(spans.contains(&(3..7)) && spans.contains(&(7..11)), "seed {seed}: {spans:?}");
        let fields = typed::infer(&samples, &all, &[3..7, 7..11], &Params::default());
        assert_eq!(kinds(&fields), [Kind::Address, Kind::Timestamp], "{}", evidence(&fields));
    }
}

#[test]
fn zeros_belong_to_the_number_beside_them() {
    for seed in 1..4 {
        let samples = made(seed, 3, 200, Transport::Udp, |rng, cx| {
            let mut out = (cx.number / 2).to_be_bytes().to_vec();
            out.push([1, 2, 5][rng.below(3) as usize]);
            // Not aligned: a counter takes them, a length does not.
            out.extend_from_slice(&[0, 0, 0, cx.number as u8 / 2]);
            out.push([3, 4][rng.below(2) as usize]);
            out.extend_from_slice(&(cx.body as u32).to_be_bytes());
            out
        });
        let all: Vec<usize> = (0..samples.len()).collect();
        let cut = [0..2, 2..4, 4..5, 5..7, 7..9, 9..10, 10..12, 12..14];
        let spans = refine(&samples, &all, &cut, &Params::default());
        assert_eq!(spans, [0..4, 4..5, 5..9, 9..10, 10..12, 12..14], "seed {seed}");
        // The same from the other end, where a number of several bytes shows the order.
        let samples = made(seed, 3, 400, Transport::Udp, |rng, cx| {
            let mut out = vec![[1, 2, 5][rng.below(3) as usize], 9];
            out.extend_from_slice(&(cx.number as u16 / 2).to_le_bytes());
            out.extend_from_slice(&(200 + 3 * cx.number).to_le_bytes());
            out
        });
        let all: Vec<usize> = (0..samples.len()).collect();
        let spans = refine(&samples, &all, &[0..1, 1..2, 2..4, 4..6, 6..8], &Params::default());
        assert_eq!(spans.last(), Some(&(4..8)), "seed {seed}: {spans:?}");
    }
}

#[test]
fn both_sides_may_ask() {
    let samples = made(5, 4, 200, Transport::Udp, |_, cx| {
        // Every other pair begins with the server.
        let mark = if cx.response { 0xed } else { 0x7e };
        let mut out = vec![mark];
        out.extend_from_slice(&(cx.transaction as u32).to_be_bytes());
        out
    });
    let mut turned = Samples::new();
    for flow in samples.flows() {
        turned.flow(flow.clone());
    }
    for sample in samples.iter() {
        let pair = sample.head[1].is_multiple_of(2);
        let direction = if pair { sample.direction.flipped() } else { sample.direction };
        turned.push(Sample { direction, ..sample });
    }
    let all: Vec<usize> = (0..turned.len()).collect();
    let fields = typed::infer(&turned, &all, &[0..1, 1..5], &Params::default());
    let expected = [Kind::RequestResponse, Kind::Transaction];
    assert_eq!(kinds(&fields), expected, "{}", evidence(&fields));
}

#[test]
fn layouts_share_what_each_is_too_small_to_show() {
    let samples = made(4, 6, 60, Transport::Udp, |rng, cx| {
        let code = [1u8, 2, 3, 4][rng.below(4) as usize];
        let mut out = vec![code, 0];
        out.extend_from_slice(&(cx.body as u16).to_be_bytes());
        out.extend_from_slice(&[code; 4]);
        out
    });
    // The layout hangs on the code, which is constant in each.
    let layout = |codes: Range<u8>, cuts: [usize; 4]| typed::Layout {
        members: (0..samples.len()).filter(|i| codes.contains(&samples.get(*i).head[0])).collect(),
        spans: Cuts::at(cuts).fields(8).collect(),
    };
    let layouts =
        [layout(1..3, [1, 2, 4, 6]), layout(3..4, [1, 2, 4, 5]), layout(4..5, [2, 4, 5, 6])];
    let typed = typed::together(&samples, &layouts, 2, &Params::default());
    assert_eq!(typed.len(), 2);
    for fields in typed {
        let kinds = kinds(&fields);
        assert_eq!(kinds[..3], [Kind::Opcode, Kind::Constant, Kind::Length { add: 8 }]);
    }
}

#[test]
fn noise_has_no_fields() {
    for seed in 1..9 {
        let samples = made(seed, 5, 300, Transport::Udp, |rng, _| rng.bytes(16));
        let all: Vec<usize> = (0..samples.len()).collect();
        let spans: Vec<Range<usize>> = vec![0..1, 1..2, 2..4, 4..8, 8..16];
        for field in typed::infer(&samples, &all, &spans, &Params::default()) {
            let honest = matches!(field.kind, Kind::Unidentified | Kind::Payload);
            assert!(honest && field.confidence < 0.7, "{field:?}");
        }
        assert_eq!(refine(&samples, &all, &spans, &Params::default()), spans);
    }
}

#[test]
fn too_little_says_nothing() {
    let params = Params::default();
    let empty = Samples::new();
    for infer in [typed::infer, paper::infer] {
        let fields = infer(&empty, &[], &[0..4, 4..16], &params);
        assert_eq!(kinds(&fields), [Kind::Unidentified; 2]);
        assert!(infer(&empty, &[], &[], &params).is_empty());
    }
    assert!(typed::together(&empty, &[], 0, &params).is_empty());
    assert!(refine(&empty, &[], &[], &params).is_empty());
    let one = made(1, 1, 1, Transport::Udp, |rng, _| rng.bytes(16));
    let fields = typed::infer(&one, &[0], &[0..4, 4..16, 16..60, 60..64], &params);
    assert!(fields.iter().all(|f| f.kind == Kind::Unidentified && f.confidence == 0.0));
    // One direction, two messages: at most a constant, and not sure of it.
    let two = made(1, 1, 2, Transport::Udp, |_, _| vec![1; 16]);
    let fields = typed::infer(&two, &[0, 1], &[0..4, 4..16], &params);
    assert!(fields.iter().all(|f| f.kind == Kind::Constant && f.confidence <= 0.5));
}

mod anything {
    use super::*;
    use proptest::prelude::*;

    fn packets() -> impl Strategy<Value = Vec<(u8, bool, u16, Vec<u8>, u8)>> {
        let bytes = prop::collection::vec(prop::sample::select(vec![0u8, 1, 2, 0x80, 0xff]), 0..24);
        prop::collection::vec((0u8..3, any::<bool>(), 0u16..2000, bytes, any::<u8>()), 0..80)
    }

    fn samples(packets: &[(u8, bool, u16, Vec<u8>, u8)]) -> Samples {
        let mut samples = Samples::new();
        for id in 0..3 {
            let transport = if id == 0 { Transport::Udp } else { Transport::Tcp };
            flow(&mut samples, id, transport);
        }
        for (index, (flow, down, len, head, sequence)) in packets.iter().enumerate() {
            samples.push(Sample {
                at: Timestamp(index as i64 * MILLI),
                flow: usize::from(*flow),
                direction: if *down { Direction::Down } else { Direction::Up },
                sequence: (*flow > 1).then(|| u32::from(*sequence).wrapping_mul(0x0101_0101)),
                len: u64::from(*len).max(head.len() as u64),
                head,
            });
        }
        samples
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn is_typed_without_panic(packets in packets(), cuts in prop::collection::vec(any::<u16>(), 80)) {
            let samples = samples(&packets);
            let params = Params::default();
            let all: Vec<usize> = (0..samples.len()).collect();
            let cut = |bits: &u16| Cuts::at((1..16).filter(|at| bits >> at & 1 == 1));
            let spans: Vec<_> = cut(&cuts[0]).fields(16).collect();
            for field in typed::infer(&samples, &all, &spans, &params) {
                prop_assert!((0.0..=1.0).contains(&field.confidence));
            }
            paper::infer(&samples, &all, &spans, &params);
            let refined = refine(&samples, &all, &spans, &params);
            prop_assert_eq!(refined.first().map(|s| s.start), Some(0));
            prop_assert_eq!(refined.last().map(|s| s.end), Some(16));
            prop_assert!(refined.windows(2).all(|pair| pair[0].end == pair[1].start));
            let cuts: Vec<Cuts> = cuts.iter().map(cut).take(samples.len()).collect();
            let layouts: Vec<typed::Layout> = (0..3)
                .map(|part| typed::Layout {
                    members: (0..samples.len()).filter(|index| index % 3 == part).collect(),
                    spans: cuts.get(part).copied().unwrap_or_default().fields(16).collect(),
                })
                .collect();
            let typed = typed::together(&samples, &layouts, 3, &params);
            for (layout, fields) in layouts.iter().zip(typed) {
                let spans: Vec<_> = fields.into_iter().map(|field| field.span).collect();
                prop_assert_eq!(&spans, &layout.spans);
            }
            let messages = ottoscope_infer::messages::by_segmentation(&samples, &cuts, &params);
            prop_assert_eq!(messages.of_packet.len(), samples.len());
        }
    }
}
