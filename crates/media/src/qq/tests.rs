use std::collections::BTreeMap;

use super::testing::*;
use super::*;
use crate::stream::Layout;
use crate::{FrameState, Reason};
use ottoscope_wire::qq_video::{Form, PayloadReading};
use proptest::prelude::*;

const CARRIERS: [Carrier; 7] = [
    Carrier::Case1,
    Carrier::Case2(PayloadReading::Packet, false),
    Carrier::Case2(PayloadReading::Packet, true),
    Carrier::Case2(PayloadReading::Command, false),
    Carrier::Case2(PayloadReading::Command, true),
    Carrier::Tcp(Form::Table),
    Carrier::Tcp(Form::Literal),
];
const EXTENSIONS: [Extension; 3] = [Extension::Bytes, Extension::Words, Extension::Noise];

fn is_tcp(carrier: Carrier) -> bool {
    matches!(carrier, Carrier::Tcp(_))
}

/// Frames by direction, with the number of the frame that was sent.
fn by_direction(frames: &[Frame], recovered: &Recovered) -> [BTreeMap<usize, Frame>; 2] {
    let mut sorted = [BTreeMap::new(), BTreeMap::new()];
    for frame in frames {
        let stream = recovered.streams.iter().find(|s| s.number == frame.stream).unwrap();
        assert_eq!(frame.ticks % 6000, 0);
        let place = (frame.ticks / 6000) as usize;
        let old = sorted[stream.direction.index()].insert(place, frame.clone());
        assert!(old.is_none(), "frame {place} came twice");
    }
    sorted
}

#[test]
fn a_clean_call_is_whole() {
    for carrier in CARRIERS {
        for extension in EXTENSIONS {
            for marker in [true, false] {
                let plan = Plan { carrier, extension, marker, ..PLAN };
                let call = call(&plan);
                let (frames, recovered) = match is_tcp(carrier) {
                    true => recover_stream(&call.sent),
                    false => recover(&call.sent),
                };
                assert!(recovered.accepted.is_some(), "{plan:?}");
                let video: Vec<_> = recovered.streams.iter().filter(|s| s.is_video()).collect();
                assert_eq!((recovered.streams.len(), video.len(), recovered.other), (4, 2, 0));
                for stream in video {
                    assert_eq!([stream.lost, stream.duplicates, stream.restarts], [0; 3]);
                    assert_eq!((stream.clock_hz, stream.clock_verified), (90_000, true));
                    assert_eq!((stream.key_frames, stream.size), (3, Some((320, 240))));
                    let placed = extension != Extension::Noise;
                    let Layout { index, total, marker: learnt, .. } = stream.layout;
                    assert_eq!(index.is_some() && total.is_some(), placed, "{plan:?}");
                    assert_eq!(learnt, marker, "{plan:?}");
                }
                let sorted = by_direction(&frames, &recovered);
                for (d, coded) in call.coded.iter().enumerate() {
                    for (i, coded) in coded.iter().enumerate() {
                        let frame = &sorted[d][&i];
                        let known = placed_end(&plan) || i + 1 < plan.frames as usize;
                        let expected =
                            if known { FrameState::Intact } else { FrameState::Incomplete };
                        assert_eq!(frame.state, expected, "{plan:?} {d} {i} {:?}", frame.reason);
                        assert_eq!(frame.data, coded.data, "{plan:?} {d} {i}");
                        assert!(!known || frame.header.is_some_and(|h| h.key == coded.key));
                    }
                }
            }
        }
    }
}

/// Whether the last frame of a capture can be known to be whole.
fn placed_end(plan: &Plan) -> bool {
    plan.marker || plan.extension != Extension::Noise
}

#[test]
fn audio_is_counted_beside() {
    let call = call(&PLAN);
    let (_, recovered) = recover(&call.sent);
    for stream in recovered.streams.iter().filter(|s| !s.is_video()) {
        assert_eq!((stream.media, stream.packets, stream.lost), (media::AUDIO, 270, 0));
        assert_eq!((stream.clock_hz, stream.payload_type, stream.intact), (8000, 8, 0));
    }
}

/// Sends a damaged call through, and holds what comes out against what was sent.
fn check_damaged(plan: &Plan, seed: u64, rates: (u64, u64, u64)) {
    let call = call(plan);
    let (sent, damage) = damage(&call, seed, rates);
    let (frames, recovered) = recover(&sent);
    assert!(recovered.accepted.is_some(), "{plan:?} {seed}");
    for stream in recovered.streams.iter().filter(|stream| stream.is_video()) {
        let d = stream.direction.index();
        assert_eq!(stream.lost, damage.lost[d], "{plan:?} {seed}");
        assert_eq!(stream.sequence_lost, damage.lost[d], "{plan:?} {seed}");
        assert_eq!(stream.duplicates, damage.copies[d], "{plan:?} {seed}");
        assert_eq!(stream.late, 0);
    }
    let sorted = by_direction(&frames, &recovered);
    for (d, sorted) in sorted.iter().enumerate() {
        let mut good = false;
        for (i, coded) in call.coded[d].iter().enumerate() {
            let torn = damage.torn[d].contains(&i);
            let frame = sorted.get(&i);
            good = !torn && (good || coded.key);
            let ends = placed_end(plan) || i + 1 < call.coded[d].len();
            let context =
                format!("{plan:?} {seed} {d} {i} {:?}", frame.map(|f| (f.state, f.reason)));
            match frame {
                Some(frame) if torn => {
                    assert_eq!(frame.state, FrameState::Incomplete, "{context}");
                }
                None => assert!(torn, "{context}"),
                Some(frame) if good && ends => {
                    assert_eq!(frame.state, FrameState::Intact, "{context}");
                    assert_eq!(frame.data, coded.data, "{context}");
                }
                Some(frame) => {
                    // Not intact, but all that came of it.
                    assert_ne!(frame.state, FrameState::Intact, "{context}");
                    assert_eq!(frame.data, coded.data, "{context}");
                    let whole = frame.state == FrameState::AfterLoss;
                    assert!(whole || plan.extension == Extension::Noise, "{context}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_complete_frame_comes_back(
        seed: u64,
        carrier in 0usize..5,
        extension in 0usize..2,
        rates in (0u64..80, 0u64..80, 0u64..150),
    ) {
        let (carrier, extension) = (CARRIERS[carrier], EXTENSIONS[extension]);
        check_damaged(&Plan { seed, carrier, extension, ..PLAN }, seed, rates);
    }

    #[test]
    fn any_cutting_of_a_stream_gives_the_same_frames(
        seed: u64, literal: bool, sizes in prop::collection::vec(1usize..4000, 1..30),
    ) {
        let form = if literal { Form::Literal } else { Form::Table };
        let plan = Plan { seed, carrier: Carrier::Tcp(form), frames: 40, ..PLAN };
        let call = call(&plan);
        let (expected, _) = recover_stream(&call.sent);
        let mut got = Vec::new();
        let mut session = Session::new(Options::default());
        for direction in [Direction::Up, Direction::Down] {
            let all: Vec<u8> = call.sent.iter().filter(|s| s.direction == direction)
                .flat_map(|s| s.bytes.clone()).collect();
            let (mut rest, mut sizes) = (&all[..], sizes.iter().cycle());
            while !rest.is_empty() {
                let (part, behind) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
                session.bytes(Timestamp(0), direction, part, &mut |f| got.push(f));
                rest = behind;
            }
        }
        let recovered = session.finish(&mut |f| got.push(f));
        let numbers = |direction| recovered.streams.iter()
            .find(|s| s.is_video() && s.direction == direction).unwrap().number;
        let by = |frames: &[Frame], number: u32| -> Vec<Vec<u8>> {
            frames.iter().filter(|f| f.stream == number && f.state == FrameState::Intact)
                .map(|f| f.data.clone()).collect()
        };
        let mut all: Vec<_> = [Direction::Up, Direction::Down].iter()
            .flat_map(|d| by(&got, numbers(*d))).collect();
        let mut whole: Vec<_> = (0..4).flat_map(|n| by(&expected, n)).collect();
        all.sort();
        whole.sort();
        prop_assert_eq!(whole.len(), 80);
        // Audio ends each direction, so that the last frame's end is known here as well.
        prop_assert_eq!(all, whole);
    }

    #[test]
    fn damaged_bytes_are_taken(
        seed: u64, tcp: bool, faults in prop::collection::vec((any::<u16>(), any::<u16>(), any::<u8>()), 0..80),
    ) {
        let carrier = if tcp { Carrier::Tcp(Form::Table) } else { Carrier::Case1 };
        let mut call = call(&Plan { seed, carrier, frames: 20, ..PLAN });
        let n = call.sent.len();
        for (packet, place, value) in faults {
            let bytes = &mut call.sent[usize::from(packet) % n].bytes;
            let place = usize::from(place) % (bytes.len().min(80));
            bytes[place] = value;
            if value == 0 {
                bytes.truncate(place + 1);
            }
        }
        let _ = if tcp { recover_stream(&call.sent) } else { recover(&call.sent) };
    }

    #[test]
    fn any_bytes_are_taken(packets in prop::collection::vec((any::<bool>(), 4u8..6, prop::collection::vec(any::<u8>(), 0..90)), 0..40), tcp: bool) {
        let mut session = Session::new(Options::default());
        for (up, first, mut bytes) in packets {
            bytes.insert(0, first);
            let direction = if up { Direction::Up } else { Direction::Down };
            if tcp {
                session.bytes(Timestamp(0), direction, &bytes, &mut |_| {});
            } else {
                session.datagram(Timestamp(0), direction, &bytes, &mut |_| {});
            }
        }
        let recovered = session.finish(&mut |_| {});
        prop_assert!(recovered.accepted.is_none());
    }
}

#[test]
fn without_a_place_neighbours_tell() {
    for seed in 1..40 {
        let plan = Plan { seed, extension: Extension::Noise, frames: 60, ..PLAN };
        let call = call(&plan);
        let (sent, damage) = damage(&call, seed * 77, (30, 20, 50));
        let (frames, recovered) = recover(&sent);
        let sorted = by_direction(&frames, &recovered);
        for (d, sorted) in sorted.iter().enumerate() {
            for (i, frame) in sorted {
                // Never is a torn frame taken for a whole one.
                if frame.state == FrameState::Intact {
                    assert!(!damage.torn[d].contains(i), "{seed} {d} {i}");
                    assert_eq!(frame.data, call.coded[d][*i].data);
                }
            }
        }
    }
}

#[test]
fn packets_sent_again_fill_the_hole() {
    // The same RTP packet under the next free video number, as a sender does that repeats what
    // was reported missing.
    let call = call(&Plan { both: false, audio: false, frames: 40, ..PLAN });
    let mut sent = call.sent.clone();
    let lost = sent.remove(10);
    let next =
        |packet: &Sent| packet.bytes[6..11].iter().fold(0_u64, |n, b| n << 8 | u64::from(*b)) + 1;
    for packet in &mut sent[20..] {
        let next = next(packet);
        packet.bytes[6..11].copy_from_slice(&next.to_be_bytes()[3..]);
    }
    let mut again = lost.clone();
    let free = next(&sent[19]);
    again.bytes[6..11].copy_from_slice(&free.to_be_bytes()[3..]);
    again.at = sent[19].at;
    sent.insert(20, again);
    let (frames, recovered) = recover(&sent);
    let stream = &recovered.streams[0];
    assert_eq!((stream.lost, stream.sequence_lost, stream.intact), (1, 0, 40));
    assert!(frames.iter().zip(&call.coded[0]).all(|(frame, coded)| frame.data == coded.data));
    // And under its own number: then it is not lost, and if it came before, it is double.
    let mut sent = call.sent.clone();
    let packet = sent.remove(10);
    sent.insert(25, packet.clone());
    let mut other = packet;
    other.bytes[1] ^= 0x55; // another multimedia sequence number
    sent.insert(30, other);
    let (_, recovered) = recover(&sent);
    let stream = &recovered.streams[0];
    assert_eq!([stream.lost, stream.duplicates, stream.retransmitted], [0, 1, 1]);
    assert_eq!((stream.reordered, stream.intact), (1, 40));
}

#[test]
fn a_header_without_start_code_is_put_back() {
    let call = call(&Plan { stripped: true, ..PLAN });
    let (frames, recovered) = recover(&call.sent);
    let keys: Vec<_> = frames.iter().filter(|f| f.header.is_some_and(|h| h.key)).collect();
    assert_eq!(keys.len(), 6);
    for key in keys {
        assert_eq!((key.state, key.header.unwrap().size), (FrameState::Intact, Some((320, 240))));
        assert_eq!(key.data[3..10], [0x9d, 1, 0x2a, 64, 1, 240, 0]);
    }
    assert!(recovered.streams.iter().all(|s| !s.is_video() || s.restored == 3));
}

#[test]
fn holes_in_a_stream_cost_little() {
    let (mut complete, mut whole) = (0, 0);
    for seed in 1..20 {
        let plan = Plan { seed, carrier: Carrier::Tcp(Form::Table), frames: 120, ..PLAN };
        let call = call(&plan);
        let mut rng = Rng(seed * 31 + 1);
        let mut session = Session::new(Options::default());
        let mut frames = Vec::new();
        let mut torn = [Vec::new(), Vec::new()];
        for sent in &call.sent {
            let d = sent.direction.index();
            if rng.below(100) < 2 && sent.bytes.len() > 60 {
                // A hole within the message, or one that swallows its end.
                let from = rng.below(sent.bytes.len() as u64 - 1) as usize;
                let to = from + 1 + rng.below((sent.bytes.len() - from) as u64) as usize;
                session
                    .bytes(sent.at, sent.direction, &sent.bytes[..from], &mut |f| frames.push(f));
                session.gap(sent.direction, (to - from) as u64, &mut |f| frames.push(f));
                let rest = sent.bytes.get(to..).unwrap_or(&[]);
                session.bytes(sent.at, sent.direction, rest, &mut |f| frames.push(f));
                if sent.media == media::VIDEO {
                    torn[d].push(sent.frame);
                }
            } else {
                session.bytes(sent.at, sent.direction, &sent.bytes, &mut |f| frames.push(f));
            }
        }
        let recovered = session.finish(&mut |f| frames.push(f));
        let sorted = by_direction(&frames, &recovered);
        for d in 0..2 {
            for (i, coded) in call.coded[d].iter().enumerate() {
                let is_whole = !torn[d].contains(&i);
                let frame = sorted[d].get(&i).filter(|f| f.state != FrameState::Incomplete);
                complete += u32::from(is_whole);
                whole += u32::from(is_whole && frame.is_some_and(|f| f.data == coded.data));
                assert!(is_whole || frame.is_none(), "{seed} {d} {i}: a torn frame");
                assert!(
                    frame.is_none_or(|f| f.data == coded.data),
                    "{seed} {d} {i}: a wrong frame"
                );
            }
        }
    }
    assert!(whole * 100 >= complete * 98, "{whole} of {complete}");
}

#[test]
fn a_cut_capture_ends_at_its_edges() {
    let call = call(&Plan { extension: Extension::Noise, marker: false, both: false, ..PLAN });
    let (frames, _) = recover(&call.sent[2..call.sent.len() - 4]);
    let edge = (FrameState::Incomplete, Some(Reason::Edge));
    assert_eq!((frames[0].state, frames[0].reason), edge);
    let last = frames.last().unwrap();
    assert_eq!((last.state, last.reason), edge);
    assert_eq!(frames[1].reason, Some(Reason::NoKey));
    assert!(frames[40..].iter().filter(|f| f.state == FrameState::Intact).count() > 40);
}

#[test]
fn a_source_that_begins_anew_goes_on() {
    let first = call(&Plan { both: false, audio: false, frames: 31, ..PLAN });
    let second = call(&Plan { both: false, audio: false, frames: 31, seed: 9, ..PLAN });
    let mut sent = first.sent.clone();
    let ssrc = sent[0].bytes[24..28].to_vec();
    for mut packet in second.sent.clone() {
        packet.bytes[24..28].copy_from_slice(&ssrc);
        packet.bytes[6] ^= 0x40; // far away
        packet.bytes[18] ^= 0x60;
        packet.at = packet.at + Span::from_seconds(3);
        sent.push(packet);
    }
    let (frames, recovered) = recover(&sent);
    let stream = &recovered.streams[0];
    assert_eq!((stream.restarts, stream.lost, stream.intact), (1, 0, 62), "{stream:?}");
    assert!(frames[31..].iter().zip(&second.coded[0]).all(|(f, c)| f.data == c.data));
}

#[test]
fn other_traffic_is_refused() {
    let mut session = Session::new(Options::default());
    let mut rng = Rng(5);
    for i in 0..2000_i64 {
        let mut bytes: Vec<u8> = (0..200).map(|_| rng.next() as u8).collect();
        bytes[0] = 5;
        session.datagram(Timestamp(i), Direction::Up, &bytes, &mut |_| panic!("a frame"));
    }
    assert!(session.is_refused());
    assert_eq!(session.finish(&mut |_| {}).accepted, None);
}
