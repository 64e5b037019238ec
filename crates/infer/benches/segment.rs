//! What it costs to cut many payloads of 16 bytes: whether it grows with them, and no faster.

#![allow(clippy::unwrap_used, missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ottoscope_flow::{Direction, FlowId, Timestamp, Transport};
use ottoscope_infer::samples::{FlowInfo, Sample};
use ottoscope_infer::segment::METHODS;
use ottoscope_infer::{Params, Samples};

/// Requests and responses with length, constant, command and sequence number in 1,000 flows,
/// and in between payloads without a header.
fn traffic(count: usize) -> Samples {
    let mut samples = Samples::new();
    for flow in 0..1000_u16 {
        samples.flow(FlowInfo {
            id: FlowId(u64::from(flow)),
            transport: Transport::Tcp,
            client: ("192.0.2.1".parse().unwrap(), flow),
            server: ("198.51.100.1".parse().unwrap(), 8080),
        });
    }
    let mut state = 1_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for n in 0..count {
        let (flow, dice) = ((random() % 1000) as usize, random());
        let len = 16 + dice % 1300;
        let mut head = [0; 16];
        if dice.is_multiple_of(3) {
            head[..8].copy_from_slice(&random().to_le_bytes());
            head[8..].copy_from_slice(&random().to_le_bytes());
        } else {
            let command = (dice >> 32) % 40 + if n % 2 == 0 { 0 } else { 1_000_000_000 };
            let words = [len as u32, 0x0010_0001, command as u32, (n / 1000) as u32];
            for (field, word) in head.chunks_exact_mut(4).zip(words) {
                field.copy_from_slice(&word.to_be_bytes());
            }
        }
        samples.push(Sample {
            at: Timestamp(n as i64 * 1_000_000),
            flow,
            direction: if n % 2 == 0 { Direction::Up } else { Direction::Down },
            sequence: None,
            len,
            head: &head,
        });
    }
    samples
}

fn cut(c: &mut Criterion) {
    let params = Params::default();
    let mut group = c.benchmark_group("segment");
    group.sample_size(10);
    for count in [250_000, 1_000_000] {
        let samples = traffic(count);
        group.throughput(Throughput::Elements(count as u64));
        for method in METHODS {
            let slow = !["aligned", "fixed-1"].contains(&method.name());
            if slow && count > 250_000 {
                continue;
            }
            group.bench_function(format!("{} {count}", method.name()), |b| {
                b.iter(|| method.segment(&samples, &params).cuts.len());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, cut);
criterion_main!(benches);
