//! What it costs to probe a flow's first bytes for a catalogue's signatures, by their number.
#![allow(missing_docs)] // criterion's macros document nothing

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ottoscope_flow::dissector::Probe;
use ottoscope_flow::dissector::signature::SignatureSet;
use ottoscope_flow::{Direction, Field, FieldKind, Signature, Transport};

/// Layouts of four bytes at offset 0 or 4, as most of a catalogue's are.
fn set(count: u32) -> SignatureSet {
    let signature = |n: u32| Signature {
        id: format!("app/{n}").into(),
        transport: Transport::Udp,
        ports: vec![],
        direction: None,
        lengths: None,
        fields: vec![Field {
            offset: if n.is_multiple_of(2) { 0 } else { 4 },
            len: 4,
            kind: FieldKind::Constant(vec![n.wrapping_mul(2_654_435_761).to_be_bytes().into()]),
        }],
        min_messages: 1,
        every_packet: true,
    };
    SignatureSet::new((1..=count).map(signature).collect()).expect("can be run")
}

fn probes(criterion: &mut Criterion) {
    let bytes: Vec<u8> = (0..200).collect();
    let probe = Probe {
        transport: Transport::Udp,
        direction: Direction::Up,
        server_port: 8080,
        client_port: 50_000,
        bytes: &bytes,
    };
    let mut group = criterion.benchmark_group("signature probe, none matches");
    for count in [1, 16, 256, 4096] {
        let set = set(count);
        group.bench_with_input(BenchmarkId::from_parameter(count), &set, |b, set| {
            b.iter(|| set.find(black_box(&probe)));
        });
    }
    group.finish();
}

criterion_group!(benches, probes);
criterion_main!(benches);
