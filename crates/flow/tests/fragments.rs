//! Fragments in any order are the datagram; what never becomes whole is told and forgotten.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // helpers are tests, too

use std::net::IpAddr;

use ottoscope_flow::defrag::{Datagram, Defrag, Limits, Outcome};
use ottoscope_flow::{Span, Timestamp};
use ottoscope_wire::build::Ip;
use ottoscope_wire::{Decoded, Fragment, LinkType, Reason, decode};
use proptest::prelude::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_parts(seconds, 0)
}

fn fragment(packet: &[u8]) -> Fragment<'_> {
    match decode(LinkType::RAW, packet) {
        Ok(Decoded::Fragment(fragment)) => fragment,
        other => panic!("{other:?}"),
    }
}

fn ip(id: u16) -> Ip {
    let (source, destination): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
    Ip { id, ..Ip::new(source, destination) }
}

fn whole(outcome: Outcome) -> Datagram {
    match outcome {
        Outcome::Complete(datagram) => datagram,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_bytes_stay_where_fragments_overlap() {
    let mut defrag = Defrag::default();
    let (first, second) = (ip(7).fragments(17, &[1; 32], 16), ip(7).fragments(17, &[2; 32], 24));
    assert_eq!(defrag.push(&fragment(&first[0]), at(1), 50), Outcome::Pending);
    assert_eq!(defrag.push(&fragment(&second[0]), at(2), 50), Outcome::Pending);
    let troubles: Vec<_> = defrag.troubles().collect();
    assert_eq!((troubles.len(), troubles[0].lost), (1, false));
    let datagram = whole(defrag.push(&fragment(&first[1]), at(3), 50));
    assert_eq!(datagram.payload, [[1; 16].as_slice(), &[2; 8], &[1; 8]].concat());
    assert_eq!((datagram.packets, datagram.wire_bytes, datagram.first), (3, 150, at(1)));
    // The same fragment twice is no contradiction.
    let pieces = ip(8).fragments(17, &[3; 32], 16);
    for _ in 0..2 {
        assert_eq!(defrag.push(&fragment(&pieces[0]), at(4), 50), Outcome::Pending);
    }
    assert_eq!(whole(defrag.push(&fragment(&pieces[1]), at(4), 50)).payload, [3; 32]);
    assert_eq!(defrag.troubles().count(), 0);
}

#[test]
fn what_waits_too_long_or_takes_too_much_is_given_up() {
    let lost = |defrag: &mut Defrag| defrag.troubles().filter(|trouble| trouble.lost).count();
    let pieces = |id| ip(id).fragments(17, &[0; 64], 32);
    let mut defrag = Defrag::default();
    defrag.push(&fragment(&pieces(1)[0]), at(0), 50);
    defrag.push(&fragment(&pieces(2)[0]), at(30), 50);
    assert_eq!(lost(&mut defrag), 0);
    defrag.push(&fragment(&pieces(3)[0]), at(31), 50);
    assert_eq!(lost(&mut defrag), 1);
    assert_eq!(defrag.push(&fragment(&pieces(1)[1]), at(31), 50), Outcome::Pending);
    whole(defrag.push(&fragment(&pieces(2)[1]), at(31), 50));
    defrag.finish();
    assert_eq!(lost(&mut defrag), 2);

    let limits = Limits { datagrams: 2, bytes: 1000, age: Span::from_seconds(30) };
    let mut defrag = Defrag::new(limits);
    for id in 0..10 {
        defrag.push(&fragment(&pieces(id)[0]), at(0), 50);
    }
    assert_eq!(lost(&mut defrag), 8);
    let big = ip(99).fragments(17, &[0; 2000], 992);
    defrag.push(&fragment(&big[1]), at(0), 50);
    assert_eq!(lost(&mut defrag), 3, "all that waited, to make room");
}

#[test]
fn impossible_fragments_are_dropped() {
    let pieces = ip(1).fragments(17, &[0; 64], 32);
    let good = fragment(&pieces[0]);
    let refused = |fragment: Fragment<'_>| match Defrag::default().push(&fragment, at(0), 50) {
        Outcome::Dropped(error) => error.reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(Fragment { offset: 65_528, ..good }), Reason::TooLarge);
    assert_eq!(refused(Fragment { payload_len: 31, ..good }), Reason::BadLength);
    assert_eq!(refused(Fragment { payload_len: 0, payload: &[], ..good }), Reason::BadLength);
    let mut defrag = Defrag::default();
    defrag.push(&fragment(&pieces[1]), at(0), 50);
    let beyond = Fragment { offset: 64, ..good };
    assert!(matches!(defrag.push(&beyond, at(0), 50), Outcome::Dropped(_)));
}

#[test]
fn what_the_snapshot_length_cut_is_missing_and_not_made_up() {
    let pieces = ip(1).fragments(17, &[5; 64], 32);
    let mut defrag = Defrag::default();
    let cut = &pieces[0][..20 + 10];
    assert_eq!(defrag.push(&fragment(cut), at(0), 50), Outcome::Pending);
    let datagram = whole(defrag.push(&fragment(&pieces[1]), at(0), 50));
    assert_eq!((datagram.payload.as_slice(), datagram.payload_len), ([5; 10].as_slice(), 64));
}

proptest! {
    #[test]
    fn any_order_is_the_same_datagram(
        payload in prop::collection::vec(any::<u8>(), 17..600), size in 8usize..64,
        v6 in any::<bool>(), seed in any::<u64>(),
    ) {
        let mut ip = ip(5);
        if v6 {
            (ip.source, ip.destination) = (IpAddr::from([1u8; 16]), IpAddr::from([2u8; 16]));
        }
        let size = size.min(payload.len() - 1);
        let mut pieces = ip.fragments(17, &payload, size);
        let mut state = seed | 1;
        pieces.sort_by_cached_key(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 33
        });
        let mut defrag = Defrag::default();
        let count = pieces.len();
        // More ranges than any path makes are refused.
        prop_assume!(count > 1 && count < 64);
        for (index, piece) in pieces.iter().enumerate() {
            match defrag.push(&fragment(piece), at(0), piece.len() as u32) {
                Outcome::Complete(datagram) => {
                    prop_assert_eq!(index + 1, count);
                    prop_assert_eq!(&datagram.payload, &payload);
                    prop_assert_eq!(datagram.packets as usize, count);
                    defrag.recycle(datagram);
                }
                Outcome::Pending => prop_assert!(index + 1 < count),
                Outcome::Dropped(error) => panic!("{error}"),
            }
        }
        defrag.finish();
        prop_assert_eq!(defrag.troubles().count(), 0);
    }
}
