//! QQ calls read back by the paper's tables, written out once more here.
#![allow(clippy::unwrap_used, missing_docs)] // failing is a test's work

use std::collections::BTreeMap;

use ottoscope_synth::qq::{Call, Inner, KeyHeader, Transport, Truth, generate};
use ottoscope_synth::video;
use ottoscope_wire::{Decoded, LinkType, Packet, decode};

fn make(call: &Call, seed: u64) -> (Vec<u8>, Truth) {
    let mut out = Vec::new();
    let truth = generate(call, seed, &mut out).unwrap();
    (out, truth)
}

/// The packets of a capture with nanoseconds.
fn packets(capture: &[u8]) -> Vec<Packet<'_>> {
    let (mut at, mut all, mut last) = (24, Vec::new(), 0);
    while at < capture.len() {
        let four = |at: usize| u32::from_le_bytes(capture[at..at + 4].try_into().unwrap());
        let time = u64::from(four(at)) * 1_000_000_000 + u64::from(four(at + 4));
        assert!(time >= last, "times rise");
        last = time;
        let bytes = &capture[at + 16..][..four(at + 8) as usize];
        let Ok(Decoded::Packet(packet)) = decode(LinkType::ETHERNET, bytes) else { panic!() };
        all.push(packet);
        at += 16 + bytes.len();
    }
    all
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |all, byte| all << 8 | u64::from(*byte))
}

/// The sixteen bytes of table II and what follows, of every packet of video.
fn video_parts(call: &Call, capture: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    for packet in packets(capture) {
        if packet.source_port == 8801
            || [packet.source_port, packet.destination_port].contains(&8000)
        {
            continue;
        }
        let payload = packet.payload;
        let inner = match call.transport {
            Transport::Five => payload,
            Transport::Four => {
                assert_eq!(payload[0], 0x04);
                let length = number(&payload[3..5]) as usize;
                assert!(length == payload.len() || length == payload.len() + 8);
                let said = number(&payload[29..31]) as usize;
                let (end, expected) = match call.inner {
                    Inner::Command => (payload.len(), 16),
                    Inner::Rest => (payload.len(), payload.len() - 31),
                    Inner::RestButTail => (payload.len() - 1, payload.len() - 32),
                };
                assert_eq!(said, expected);
                &payload[31..end]
            }
            Transport::Tcp => unreachable!(),
        };
        assert_eq!((inner[0], &inner[3..6]), (0x05, [0x00, 0x2d, 0x64].as_slice()));
        if inner[15] == 0x03 {
            parts.push(inner.to_vec());
        }
    }
    parts
}

/// Frames by source and FF, put together in the order of VS.
fn frames(parts: &[Vec<u8>]) -> BTreeMap<(u64, u64), Vec<u8>> {
    let mut found: BTreeMap<(u64, u64), BTreeMap<u64, &[u8]>> = BTreeMap::new();
    for part in parts {
        let (video, frame) = (number(&part[6..11]), number(&part[11..15]));
        let rtp = &part[16..];
        assert_eq!(rtp[0] & 0xef, 0x80);
        found.entry((number(&rtp[8..12]), frame)).or_default().insert(video, &rtp[20..]);
    }
    let whole = |(key, parts): (_, BTreeMap<u64, &[u8]>)| {
        (key, parts.into_values().collect::<Vec<_>>().concat())
    };
    found.into_iter().map(whole).collect()
}

#[test]
fn every_frame_comes_back() {
    for transport in [Transport::Five, Transport::Four] {
        for seed in 0..12 {
            let video = if seed % 3 == 0 { video::HIDDEN } else { video::PATTERN };
            let call = Call { video, frames: 70, ..Call::new(transport, seed) };
            let (capture, truth) = make(&call, seed);
            let parts = video_parts(&call, &capture);
            let found = frames(&parts);
            assert_eq!(found.len(), truth.frames.len());
            assert_eq!(truth.frames.len(), 140);
            for frame in &truth.frames {
                let source = truth.streams[frame.stream as usize].source;
                let key = (u64::from(source), u64::from(frame.frame));
                // VS may wrap within a frame; one frame of a call then comes out of order.
                if frame.first_video + u64::from(frame.fragments) < 1 << 40 {
                    assert_eq!(found[&key], frame.data);
                }
                assert_eq!((frame.state, frame.lost.len()), ("intact", 0));
            }
            let sent: u64 = truth.streams.iter().map(|stream| stream.sent).sum();
            assert_eq!(parts.len() as u64, sent);
        }
    }
}

#[test]
fn losses_and_copies_are_those_of_the_capture() {
    for seed in 0..12 {
        let call =
            Call { loss: 0.05, reorder: 0.1, duplicate: 0.05, ..Call::new(Transport::Five, seed) };
        let (capture, truth) = make(&call, seed);
        let parts = video_parts(&call, &capture);
        for stream in &truth.streams {
            let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
            for part in parts.iter().filter(|p| number(&p[24..28]) == u64::from(stream.source)) {
                *seen.entry(number(&part[6..11])).or_default() += 1;
            }
            assert_eq!(seen.len() as u64, stream.captured);
            assert_eq!(seen.values().sum::<u64>() - stream.captured, stream.duplicates);
            // The span of VS, which may wrap.
            let first =
                truth.frames.iter().find(|f| f.stream == stream.stream).unwrap().first_video;
            let since = |video: &u64| (video.wrapping_sub(first)) & ((1 << 40) - 1);
            let (low, high) =
                (seen.keys().map(since).min().unwrap(), seen.keys().map(since).max().unwrap());
            assert_eq!(high - low + 1 - stream.captured, stream.lost);
            assert!(stream.lost > 0 && stream.duplicates > 0);
        }
        let states = |name| truth.frames.iter().filter(|frame| frame.state == name).count();
        assert!(states("intact") > 0 && states("after_loss") > 0 && states("incomplete") > 0);
    }
}

#[test]
fn one_message_a_segment_over_tcp() {
    for seed in 0..6 {
        let call = Call { retransmit: 0.05, ..Call::new(Transport::Tcp, seed) };
        let (capture, truth) = make(&call, seed);
        let mut found: BTreeMap<(u64, u64, u64), BTreeMap<u64, Vec<u8>>> = BTreeMap::new();
        for packet in packets(&capture) {
            let message = packet.payload;
            if packet.ip_protocol != 6 || message.is_empty() {
                continue;
            }
            assert_eq!(&message[2..5], [0x00, 0x00, 0x2d]);
            assert_eq!(message[8], 0x03);
            if message[9] == 0x03 {
                let (rtp, frame) = (&message[10..], number(&message[..2]));
                let key = (number(&rtp[8..12]), frame, number(&rtp[4..8]));
                // RTP's number is unwrapped by the half that it lies in.
                let order = number(&rtp[2..4]).wrapping_add(0x8000) & 0xffff;
                found.entry(key).or_default().insert(order, rtp[20..].to_vec());
            }
        }
        assert_eq!(found.len(), truth.frames.len());
        let mut right = 0;
        for frame in &truth.frames {
            let source = truth.streams[frame.stream as usize].source;
            let key = (source.into(), u64::from(frame.frame & 0xffff), frame.rtp_time.into());
            let data = found[&key].values().cloned().collect::<Vec<_>>().concat();
            right += usize::from(data == frame.data);
            assert_eq!(frame.state, "intact");
        }
        // But for one of each direction, where the number wraps as it is read here.
        assert!(right + 2 >= truth.frames.len());
    }
}

#[test]
fn holes_take_the_messages_that_touch_them() {
    let call = Call { hole: 0.02, coalesce: 0.7, retransmit: 0.02, ..Call::new(Transport::Tcp, 5) };
    let (_, truth) = make(&call, 5);
    let states = |name| truth.frames.iter().filter(|frame| frame.state == name).count();
    assert!(states("intact") > 20 && states("incomplete") + states("unseen") > 2);
    assert!(truth.streams.iter().all(|stream| stream.lost > 0 && stream.captured < stream.sent));
}

#[test]
fn what_senders_leave_out_of_key_frames() {
    let check = |key_header, begins: fn(&[u8]) -> Vec<u8>| {
        let call = Call { key_header, both: false, frames: 41, ..Call::new(Transport::Five, 3) };
        let (capture, truth) = make(&call, 3);
        let found = frames(&video_parts(&call, &capture));
        for frame in truth.frames.iter().filter(|frame| frame.key) {
            let key = (u64::from(truth.streams[0].source), u64::from(frame.frame));
            assert_eq!(found[&key], begins(&frame.data));
        }
    };
    check(KeyHeader::Whole, |data| data.to_vec());
    check(KeyHeader::NoSize, |data| [&data[..3], &data[10..]].concat());
    check(KeyHeader::None, |data| data[10..].to_vec());
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for (name, _) in ottoscope_synth::qq::CALLS {
        let call = |seed| Call::builtin(name, seed).unwrap();
        let (one, other) = (make(&call(7), 7), make(&call(7), 7));
        assert!(one == other, "{name}");
        assert!(one.0 != make(&call(8), 8).0, "{name}");
        let mut lines = Vec::new();
        one.1.write(&mut lines).unwrap();
        let rows = std::str::from_utf8(&lines).unwrap().lines().count();
        assert_eq!(rows, one.1.frames.len() + 2);
    }
    assert!(Call::builtin("absent", 1).is_err());
    let call = Call { loss: 2.0, ..Call::new(Transport::Five, 1) };
    assert!(generate(&call, 1, &mut Vec::new()).is_err());
}
