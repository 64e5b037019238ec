//! Messages put together from packets of a generated connection.

#![allow(clippy::unwrap_used, missing_docs)] // failing is a test's work

mod common;

use common::{SEGMENT, day};
use ottoscope_flow::Direction;
use ottoscope_infer::fields::typed;
use ottoscope_infer::messages::{Framing, Messages, by_segmentation, framed};
use ottoscope_infer::{Cuts, Params, Samples};

/// What the header is, as a perfect segmentation has it: ciphertext is cut anyhow.
fn cuts(samples: &Samples) -> Vec<Cuts> {
    samples
        .iter()
        .map(|sample| match sample.head {
            [_, _, _, _, 0, 0x10, 0, 1, ..] => Cuts::at([4, 8, 11, 12]),
            head => Cuts::at((1..16).filter(|at| head.get(*at).is_some_and(|b| b % 3 == 0))),
        })
        .collect()
}

fn framing(samples: &Samples) -> Framing {
    let headers: Vec<usize> = (0..samples.len())
        .filter(|index| samples.get(*index).head.get(4..8) == Some(&[0, 0x10, 0, 1]))
        .collect();
    let spans = [0..4, 4..8, 8..11, 11..12, 12..16];
    let fields = typed::infer(samples, &headers, &spans, &Params::default());
    Framing::new(samples, &headers, &fields).expect("a length is found")
}

/// Each message by direction, length and first bytes.
fn told(messages: &Messages) -> Vec<(usize, Direction, u64, Vec<u8>)> {
    let samples = messages.samples.iter();
    let mut all: Vec<_> =
        samples.map(|s| (s.flow, s.direction, s.len, s.head[..16].to_vec())).collect();
    all.sort();
    all
}

fn meant(talk: &common::Talk) -> Vec<(usize, Direction, u64)> {
    let mut all: Vec<_> = talk.messages.iter().map(|m| (m.flow, m.direction, m.len)).collect();
    all.sort();
    all
}

#[test]
fn every_byte_counts_once_whatever_the_network_did() {
    for seed in 1..6 {
        let mut clean = day(seed, 4, false);
        clean.send(0.0, 0.0, 0.0);
        let mut rough = day(seed, 4, false);
        rough.send(0.0, 0.1, 0.1);
        assert!(rough.packets.len() > clean.packets.len());
        let params = Params::default();
        let framing = framing(&clean.packets);
        for messages in [
            framed(&clean.packets, &framing),
            framed(&rough.packets, &framing),
            by_segmentation(&clean.packets, &cuts(&clean.packets), &params),
            by_segmentation(&rough.packets, &cuts(&rough.packets), &params),
        ] {
            let lengths: Vec<_> =
                told(&messages).into_iter().map(|(f, d, len, _)| (f, d, len)).collect();
            assert_eq!(lengths, meant(&clean), "seed {seed}");
            assert_eq!(messages.statistics.orphans, 0);
            assert_eq!(messages.statistics.incomplete, 0);
            let carried: Vec<u32> =
                messages.samples.iter().map(|s| s.len.div_ceil(SEGMENT as u64) as u32).collect();
            assert_eq!(messages.packets, carried);
        }
        let statistics = framed(&rough.packets, &framing).statistics;
        assert_eq!(statistics.retransmitted, rough.packets.len() - clean.packets.len());
        assert_eq!(statistics.gaps, 0);
    }
}

#[test]
fn protocol_packets_are_told_from_fragments() {
    let mut talk = day(9, 3, false);
    talk.send(0.0, 0.05, 0.0);
    let params = Params::default();
    for messages in [
        framed(&talk.packets, &framing(&talk.packets)),
        by_segmentation(&talk.packets, &cuts(&talk.packets), &params),
    ] {
        let begins: Vec<usize> = messages.first.iter().map(|packet| *packet as usize).collect();
        for (index, sample) in talk.packets.iter().enumerate() {
            let header = sample.head.get(4..8) == Some(&[0, 0x10, 0, 1]);
            assert!(header || !begins.contains(&index));
        }
        assert_eq!(begins.len(), talk.messages.len());
        assert_eq!(messages.statistics.protocol, talk.messages.len());
        assert!(messages.statistics.continuations > 100);
    }
}

#[test]
fn what_was_lost_is_known() {
    for seed in 1..6 {
        let mut talk = day(seed, 4, false);
        talk.send(0.03, 0.02, 0.02);
        let framing = framing(&talk.packets);
        let messages = framed(&talk.packets, &framing);
        let statistics = messages.statistics;
        assert!(statistics.gaps > 10 && statistics.missing > 0);
        // Whatever message is told is one that was sent, with its length, whole or not.
        let mut meant = meant(&talk);
        for (flow, direction, len, _) in told(&messages) {
            let place = meant.iter().position(|message| *message == (flow, direction, len));
            meant.remove(place.unwrap_or_else(|| panic!("{flow} {direction:?} {len} not sent")));
        }
        // Messages whose first packet is lost can't be told: one in thirty or so.
        let unseen = meant.len() as f64 / talk.messages.len() as f64;
        assert!(unseen < 0.06, "{unseen}");
        assert_eq!(statistics.incomplete, messages.missing.iter().filter(|m| **m > 0).count());
        let paper = by_segmentation(&talk.packets, &cuts(&talk.packets), &Params::default());
        let all = |m: &Messages| m.samples.iter().map(|s| s.len).sum::<u64>();
        let seen: u64 = all(&messages) - messages.missing.iter().sum::<u64>();
        assert!(all(&paper) >= seen, "the paper counts fragments of lost messages to others");
    }
}

#[test]
fn several_messages_in_one_segment() {
    use common::flow;
    use ottoscope_flow::{Timestamp, Transport};
    use ottoscope_infer::Sample;
    let message = |len: usize| {
        let mut bytes = vec![7; len];
        bytes[..8].copy_from_slice(&[0, 0, 0, len as u8, 0, 0x10, 0, 1]);
        bytes
    };
    let framing = Framing {
        length: 0..4,
        little: false,
        add: 0,
        fixed: vec![(4, 0), (5, 0x10), (6, 0), (7, 1)],
        header: 16,
        longest: 1 << 20,
    };
    let mut samples = Samples::new();
    let flow = flow(&mut samples, 1, Transport::Tcp);
    let mut sequence = 100;
    let mut push = |bytes: Vec<u8>, kept: usize| {
        let direction = Direction::Up;
        let len = bytes.len() as u64;
        let sample = Sample {
            at: Timestamp(i64::from(sequence)),
            flow,
            direction,
            sequence: Some(sequence),
            len,
            head: &bytes[..kept.min(bytes.len())],
        };
        assert!(samples.push(sample));
        sequence += bytes.len() as u32;
    };
    // Two visible, and the second goes on in the next packet with a third behind it.
    let both = [message(20), message(30)].concat();
    push(both[..40].to_vec(), 1500);
    push([&both[40..], &message(16)].concat(), 1500);
    // The second begins far behind the first 64 bytes, then behind what was captured.
    push([message(70), message(20)].concat(), 1500);
    push([message(70), message(20)].concat(), 64);
    push(message(25), 1500);
    let messages = framed(&samples, &framing);
    let lens: Vec<u64> = messages.samples.iter().map(|s| s.len).collect();
    assert_eq!(lens, [20, 30, 16, 70, 20, 70, 25]);
    assert_eq!(messages.packets, [1, 2, 1, 1, 1, 1, 1]);
    assert_eq!(messages.first, [0, 0, 1, 2, 2, 3, 4]);
    assert_eq!(messages.of_packet, [Some(0), Some(1), Some(3), Some(5), Some(6)]);
    assert_eq!(messages.statistics.hidden, 1);
    assert_eq!(messages.statistics.found_again, 1);
    assert_eq!(messages.statistics.incomplete, 0);
}
