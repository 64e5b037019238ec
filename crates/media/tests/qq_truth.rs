//! Video calls whose truth is known, from capture to frames: made by an encoder that was written
//! from the paper's text and shares nothing with the reader.

#![allow(clippy::unwrap_used, missing_docs)] // failing is a test's work

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use md5::{Digest, Md5};
use ottoscope_flow::capture::{Captures, Input, Options};
use ottoscope_flow::run::feed_all;
use ottoscope_flow::{Config, Direction, Engine, Flow, FlowId, Message, Shard, Sink};
use ottoscope_media::qq::{self, Recovered, Session};
use ottoscope_media::{Frame, FrameState};
use ottoscope_synth::qq::{Call, KeyHeader, Transport, Truth, generate};

/// Follows every flow of video.
#[derive(Default)]
struct Follower {
    open: HashMap<FlowId, (Session, Vec<Frame>)>,
    found: Vec<(Recovered, Vec<Frame>)>,
}

impl Sink for Follower {
    type Error = Infallible;

    fn message(&mut self, message: &Message<'_>) -> Result<(), Infallible> {
        if message.protocol == "qq-video" {
            let (session, frames) = self
                .open
                .entry(message.flow.id)
                .or_insert_with(|| (Session::new(qq::Options::default()), Vec::new()));
            session.message(message, &mut |frame| frames.push(frame));
        }
        Ok(())
    }

    fn flow(&mut self, flow: &Flow) -> Result<(), Infallible> {
        if let Some((session, mut frames)) = self.open.remove(&flow.id) {
            let recovered = session.finish(&mut |frame| frames.push(frame));
            self.found.push((recovered, frames));
        }
        Ok(())
    }
}

/// Makes a call, reads it back, and gives the truth, the streams, and frames by source and time.
fn follow(call: &Call, seed: u64) -> (Truth, Recovered, HashMap<(u32, i64), Frame>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("call.pcap");
    let mut bytes = Vec::new();
    let truth = generate(call, seed, &mut bytes).unwrap();
    std::fs::write(&path, bytes).unwrap();
    let mut source = Captures::open(&[Input::Path(path)], Options::default()).unwrap();
    let config = Config { video_packets: true, bins: false, ..Config::default() };
    let mut engine = Engine::new(config, Arc::default(), Shard::single(), Follower::default());
    assert!(feed_all(&mut source, &mut engine).unwrap().is_none());
    let mut found = engine.finish().unwrap().0.found;
    assert_eq!(found.len(), 1, "one flow is video");
    let (recovered, frames) = found.remove(0);
    let source = |number| recovered.streams.iter().find(|s| s.number == number).unwrap().ssrc;
    let frames = frames.into_iter().map(|f| ((source(f.stream), f.ticks), f)).collect();
    (truth, recovered, frames)
}

fn md5(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().fold(String::new(), |all, byte| all + &format!("{byte:02x}"))
}

/// Frames that should be here and are, out of those that should.
fn check(call: &Call, seed: u64) -> (usize, usize) {
    let what = format!("{:?}, seed {seed}", call.transport);
    let (truth, recovered, frames) = follow(call, seed);
    let (mut here, mut all) = (0, 0);
    for stream in &truth.streams {
        let first = truth.frames.iter().find(|f| f.stream == stream.stream && f.state != "unseen");
        let start = first.unwrap().ticks;
        for sent in truth.frames.iter().filter(|frame| frame.stream == stream.stream) {
            let whole = matches!(sent.state, "intact" | "after_loss");
            all += usize::from(whole);
            let Some(found) = frames.get(&(stream.source, sent.ticks - start)) else { continue };
            if found.state == FrameState::Incomplete {
                continue;
            }
            assert!(whole, "{what}: {sent:?} is told to be {:?}", found.state);
            if call.key_header == KeyHeader::Whole {
                assert_eq!(md5(&found.data), sent.md5, "{what}: {} {}", stream.stream, sent.ticks);
            }
            if found.state == FrameState::Intact {
                assert_eq!(sent.state, "intact", "{what}: {}", sent.ticks);
            }
            here += 1;
        }
        let told = recovered.streams.iter().find(|s| s.ssrc == stream.source).unwrap();
        assert_eq!(told.direction, if stream.up { Direction::Up } else { Direction::Down });
        if call.transport != Transport::Tcp {
            assert_eq!((told.lost, told.duplicates), (stream.lost, stream.duplicates), "{what}");
        }
    }
    if call.audio {
        let sent: u64 = truth.streams.iter().map(|stream| stream.audio).sum();
        let audio: u64 =
            recovered.streams.iter().filter(|s| !s.is_video()).map(|s| s.packets).sum();
        assert!(audio * 10 >= sent * 8, "{what}: {audio} of {sent} packets of audio");
    }
    (here, all)
}

#[test]
fn every_whole_frame_of_datagrams_comes_back_bit_for_bit() {
    for seed in 1..=12 {
        for transport in [Transport::Five, Transport::Four] {
            let (here, all) = check(&Call::troubled(transport, seed), seed);
            assert!(all > 200, "{all}");
            // Nothing tells whether the last frame of a stream is whole where its packets
            // carry no count.
            assert!(here + 2 >= all, "{transport:?}, seed {seed}: {here} of {all}");
        }
    }
}

#[test]
fn every_frame_of_a_message_a_segment_comes_back_bit_for_bit() {
    for seed in 1..=12 {
        let call = Call { frames: 90, ..Call::troubled(Transport::Tcp, seed) };
        let (here, all) = check(&call, seed);
        assert_eq!(all, 180);
        assert!(here + 2 >= all, "seed {seed}: {here} of {all}");
    }
}

#[test]
fn streams_with_holes_lose_only_what_the_holes_touch() {
    let (mut here, mut all) = (0, 0);
    for seed in 1..=8 {
        let call = Call { coalesce: 0.3, hole: 0.01, ..Call::troubled(Transport::Tcp, seed) };
        let (h, a) = check(&call, seed);
        (here, all) = (here + h, all + a);
    }
    assert!(here * 100 >= all * 98, "{here} of {all}");
}
