//! Frames that the network or somebody changed: pictures or errors, never a panic, and after the
//! next whole key frame all is as if nothing had been.
#![allow(clippy::unwrap_used, missing_docs)] // failing is a test's work

use ottoscope_media::vp8::{Decoder, FrameDecoder, Limits};
use ottoscope_synth::video;

/// Numbers that are the same in every run (Knuth's MMIX).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

#[test]
fn any_change_is_survived_and_forgotten() {
    let frames = video::frames(video::PATTERN);
    let last_key = 40;
    let mut clean = Decoder::default();
    let expected: Vec<_> =
        frames.iter().map(|frame| clean.decode(frame).unwrap()).skip(last_key).collect();
    let (mut pictures, mut errors) = (0, 0);
    for seed in 0..24 {
        let mut numbers = Numbers(seed);
        // Small enough that sizes made up by a change are mostly refused.
        let mut decoder = Decoder::new(Limits { width: 640, height: 480 });
        for (index, frame) in frames.iter().enumerate() {
            let mut frame = frame.to_vec();
            if index < last_key {
                for _ in 0..numbers.below(4) {
                    let first = if numbers.below(2) == 0 { 30 } else { frame.len() };
                    let at = numbers.below(first.min(frame.len()));
                    frame[at] = numbers.below(256) as u8;
                }
                if numbers.below(8) == 0 {
                    frame.truncate(numbers.below(frame.len()));
                }
            }
            match decoder.decode(&frame) {
                Ok(picture) if index >= last_key => {
                    assert!(picture == expected[index - last_key], "seed {seed} frame {index}");
                }
                Ok(_) => pictures += 1,
                Err(error) => {
                    assert!(index < last_key, "seed {seed} frame {index}: {error}");
                    errors += 1;
                }
            }
        }
    }
    assert!(pictures > 100 && errors > 100, "{pictures} pictures, {errors} errors");
}
