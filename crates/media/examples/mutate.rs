//! Feeds damaged calls through capture reader, engine, dissector, session and decoder:
//! `cargo run --release -p ottoscope-media --example mutate -- 10000`. Says how many there were,
//! how long the longest took, and the most memory that was ever held.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)] // speaking is its work
#![allow(clippy::disallowed_methods)] // how long it takes is what it tells

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottoscope_flow::capture::{Captures, Input, Options};
use ottoscope_flow::run::feed_all;
use ottoscope_flow::{Config, Engine, Flow, FlowId, Message, Shard, Sink};
use ottoscope_media::qq::{self, Session};
use ottoscope_media::vp8::{Decoder, FrameDecoder, Limits};
use ottoscope_synth::qq::{Call, Transport, generate};

/// Decodes whatever comes out.
struct Viewer {
    open: HashMap<FlowId, Session>,
    decoder: Decoder,
    frames: u64,
    pictures: u64,
}

impl Viewer {
    fn see(&mut self, frames: &[ottoscope_media::Frame]) {
        for frame in frames {
            self.frames += 1;
            self.pictures += u64::from(matches!(self.decoder.decode(&frame.data), Ok(Some(_))));
        }
    }
}

impl Sink for Viewer {
    type Error = Infallible;

    fn message(&mut self, message: &Message<'_>) -> Result<(), Infallible> {
        let id = message.flow.id;
        let mut session =
            self.open.remove(&id).unwrap_or_else(|| Session::new(qq::Options::default()));
        let mut frames = Vec::new();
        session.message(message, &mut |frame| frames.push(frame));
        self.open.insert(id, session);
        self.see(&frames);
        Ok(())
    }

    fn flow(&mut self, flow: &Flow) -> Result<(), Infallible> {
        if let Some(session) = self.open.remove(&flow.id) {
            let mut frames = Vec::new();
            session.finish(&mut |frame| frames.push(frame));
            self.see(&frames);
        }
        Ok(())
    }
}

/// A generator that needs no crate (Marsaglia's xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most.max(1) as u64) as usize
    }
}

/// Changes bytes, cuts, repeats and exchanges stretches.
fn damage(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=dice.below(60) {
        let at = 24 + dice.below(bytes.len() - 24);
        match dice.below(6) {
            0 => bytes[at] = dice.0 as u8,
            1 => bytes[at] ^= 1 << dice.below(8),
            2 => {
                let end = (at + dice.below(2000)).min(bytes.len());
                bytes.drain(at..end);
            }
            3 => {
                let end = (at + dice.below(2000)).min(bytes.len());
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            4 => {
                let end = (at + dice.below(64)).min(bytes.len());
                let value = if dice.below(2) == 0 { 0xff } else { 0 };
                bytes[at..end].fill(value);
            }
            _ if dice.below(20) == 0 => bytes.truncate(at),
            _ => {}
        }
        if bytes.len() < 100 {
            break;
        }
    }
    bytes
}

fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM unknown").to_owned()
}

fn main() {
    let count: u64 = std::env::args().nth(1).map_or(1000, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("call.pcap");
    let calls: Vec<Vec<u8>> = (1..=8)
        .flat_map(|seed| [Transport::Five, Transport::Four, Transport::Tcp].map(|t| (t, seed)))
        .map(|(transport, seed)| {
            let call = Call { frames: 40, ..Call::troubled(transport, seed) };
            let mut bytes = Vec::new();
            generate(&call, seed, &mut bytes).unwrap();
            bytes
        })
        .collect();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut frames, mut pictures, mut longest) = (0, 0, Duration::ZERO);
    for n in 0..count {
        let bytes = damage(&calls[n as usize % calls.len()], &mut dice);
        std::fs::write(&path, &bytes).unwrap();
        let start = Instant::now();
        let Ok(mut source) = Captures::open(&[Input::Path(path.clone())], Options::default())
        else {
            continue;
        };
        let config = Config { video_packets: true, ..Config::default() };
        let viewer = Viewer {
            open: HashMap::new(),
            decoder: Decoder::new(Limits::default()),
            frames: 0,
            pictures: 0,
        };
        let mut engine = Engine::new(config, Arc::default(), Shard::single(), viewer);
        let _ = feed_all(&mut source, &mut engine);
        let (viewer, _) = engine.finish().unwrap();
        longest = longest.max(start.elapsed());
        frames += viewer.frames;
        pictures += viewer.pictures;
    }
    println!(
        "{count} captures, {frames} frames, {pictures} pictures, longest {longest:?}, {}",
        peak()
    );
}
