//! How long a million payloads of sixteen bytes take.

use criterion::{Criterion, criterion_group, criterion_main};
use ottoscope_flow::{Direction, FlowId, Timestamp, Transport};
use ottoscope_infer::fields::refine::refine;
use ottoscope_infer::fields::typed::Layout;
use ottoscope_infer::fields::{paper, typed};
use ottoscope_infer::messages::{Framing, framed};
use ottoscope_infer::opcodes::{Reading, periodic, triggered};
use ottoscope_infer::{Cuts, FlowInfo, Params, Sample, Samples};

const MESSAGES: usize = 1_000_000;
const FLOWS: usize = 2_000;

/// W-TCP's header, or random bytes behind eight known ones.
fn million(random: bool) -> Samples {
    let mut samples = Samples::new();
    for id in 0..FLOWS as u64 {
        let client = std::net::Ipv4Addr::from(0x0a00_0000 | id as u32);
        samples.flow(FlowInfo {
            id: FlowId(id),
            transport: Transport::Tcp,
            client: (client.into(), 40_000),
            server: (client.into(), 8080),
        });
    }
    let mut state = 1u64;
    let mut draw = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let mut counts = vec![[0u32; 2]; FLOWS];
    let mut placed = vec![[0u32; 2]; FLOWS];
    for index in 0..MESSAGES {
        let flow = draw() as usize % FLOWS;
        let side = draw() as usize % 2;
        counts[flow][side] += 1;
        let len = 16 + draw() as u32 % 1300;
        let sequence = placed[flow][side];
        placed[flow][side] = sequence.wrapping_add(len);
        let command = [6u32, 9, 24, 121, 237][draw() as usize % 5] + side as u32 * 1_000_000_000;
        let mut head = [0; 16];
        head[..4].copy_from_slice(&len.to_be_bytes());
        head[4..8].copy_from_slice(&[0, 0x10, 0, 1]);
        head[8..12].copy_from_slice(&command.to_be_bytes());
        head[12..].copy_from_slice(&counts[flow][side].to_be_bytes());
        if random {
            head[8..12].copy_from_slice(&(draw() as u32).to_be_bytes());
            head[12..].copy_from_slice(&(draw() as u32).to_be_bytes());
        }
        samples.push(Sample {
            at: Timestamp(1_400_000_000_000_000_000 + index as i64 * 1_000_000),
            flow,
            direction: if side == 1 { Direction::Down } else { Direction::Up },
            sequence: Some(sequence),
            len: u64::from(len),
            head: &head,
        });
    }
    samples
}

fn fields(c: &mut Criterion) {
    let params = Params::default();
    let all: Vec<usize> = (0..MESSAGES).collect();
    let spans = [0..4, 4..8, 8..11, 11..12, 12..16];
    let mut group = c.benchmark_group("fields");
    group.sample_size(10);
    for random in [false, true] {
        let samples = million(random);
        let name = if random { "random" } else { "w-tcp" };
        group.bench_function(format!("typed, {name}"), |b| {
            b.iter(|| typed::infer(&samples, &all, &spans, &params));
        });
        group.bench_function(format!("paper, {name}"), |b| {
            b.iter(|| paper::infer(&samples, &all, &spans, &params));
        });
        group.bench_function(format!("refine, {name}"), |b| {
            b.iter(|| refine(&samples, &all, &spans, &params));
        });
    }
    let samples = million(false);
    let layouts: Vec<Layout> = (0..4)
        .map(|part| Layout {
            members: (part..MESSAGES).step_by(4).collect(),
            spans: Cuts::at([4, 8, 11, 12 + part]).fields(16).collect(),
        })
        .collect();
    group.bench_function("typed, four layouts", |b| {
        b.iter(|| typed::together(&samples, &layouts, layouts.len(), &params));
    });
    let told = typed::infer(&samples, &all, &spans, &params);
    if let Some(framing) = Framing::new(&samples, &all, &told) {
        group.bench_function("messages", |b| b.iter(|| framed(&samples, &framing)));
    }
    if let Some(reading) = Reading::new(&samples, &all, &told) {
        let events = reading.events(&samples);
        group.bench_function("opcodes", |b| {
            b.iter(|| (periodic(&events, &params), triggered(&events, &params)));
        });
    }
    group.finish();
}

criterion_group!(benches, fields);
criterion_main!(benches);
