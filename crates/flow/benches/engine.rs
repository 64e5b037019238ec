//! What a packet of a known flow and the first packet of a new one cost, header walk included:
//! with flows that fit into the caches, and with a million.
#![allow(clippy::unwrap_used, missing_docs)]

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ottoscope_flow::{Config, Engine, Flow, Frame, Shard, Sink, Timestamp};
use ottoscope_wire::LinkType;
use ottoscope_wire::build::{Ethernet, Ip, Segment};

struct Nothing;

impl Sink for Nothing {
    type Error = Infallible;

    fn flow(&mut self, flow: &Flow) -> Result<(), Infallible> {
        black_box(flow);
        Ok(())
    }
}

const PACKETS: usize = 100_000;

/// The packet of a flow, by its number.
fn frame(flow: u32) -> Vec<u8> {
    let [_, a, b, c] = flow.to_be_bytes();
    let ip = Ip::new([10, a, b, c].into(), [203, 0, 113, b].into());
    let segment = Segment {
        source_port: 1024 | flow as u16,
        destination_port: 443,
        flags: 0x10,
        ..Segment::default()
    };
    let mut frame = Vec::new();
    Ethernet::default().write(&mut frame, |out| ip.tcp(out, &segment, |out| out.extend(b"abcd")));
    frame
}

fn engine() -> Engine<Nothing> {
    let config = Config { dissect: false, head_bytes: 0, ..Config::default() };
    Engine::new(config, Arc::default(), Shard::single(), Nothing)
}

fn feed(engine: &mut Engine<Nothing>, frames: &[Vec<u8>]) {
    let Ok(()) = engine.frames(frames.iter().map(|bytes| Frame {
        at: Timestamp(1_000_000_000),
        link: LinkType::ETHERNET,
        capture: 0,
        wire_len: bytes.len() as u32,
        bytes,
        elsewhere: false,
    }));
}

fn flows(c: &mut Criterion) {
    let mut group = c.benchmark_group("flow");
    group.throughput(Throughput::Elements(PACKETS as u64)).sample_size(20);
    for count in [1_000u32, 1_000_000] {
        let all: Vec<Vec<u8>> = (0..count).map(frame).collect();
        // In an order that no prefetcher foresees.
        let step = 7_919 % count as usize;
        let some: Vec<_> = (0..PACKETS).map(|i| all[i * step % count as usize].clone()).collect();
        let mut engine = engine();
        feed(&mut engine, &all);
        group.bench_function(format!("known, {count} flows"), |b| {
            b.iter(|| feed(&mut engine, &some));
        });
    }
    let new: Vec<Vec<u8>> = (0..PACKETS as u32).map(frame).collect();
    group.bench_function("new", |b| {
        b.iter_batched(engine, |mut engine| feed(&mut engine, &new), BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(benches, flows);
criterion_main!(benches);
