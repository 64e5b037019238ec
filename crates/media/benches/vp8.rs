//! What it costs to decode VP8, on one core.
#![allow(missing_docs)] // criterion's macros document nothing

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ottoscope_media::ivf::Frames;
use ottoscope_media::vp8::{Decoder, FrameDecoder};
use ottoscope_synth::video;

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("vp8");
    for (name, file) in [("320x240", video::PATTERN), ("320x240 two passes", video::HIDDEN)] {
        let frames: Vec<&[u8]> =
            Frames::open(file).expect("an IVF file").1.map(|(_, frame)| frame).collect();
        group.throughput(Throughput::Elements(frames.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut decoder = Decoder::default();
                for frame in &frames {
                    std::hint::black_box(decoder.decode(frame)).expect("a frame");
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
