//! What a worker pays per flow and per second of a flow, encoding and disk included, and what
//! the label pass pays per flow.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ottoscope_catalog::{Catalog, LabelerConfig};
use ottoscope_flow::wire::ja::Ja4;
use ottoscope_flow::{
    Bin, Facts, Flow, FlowEnd, FlowId, NameSource, Side, Sink, Tally, Timestamp, TlsFacts,
    Transport,
};
use ottoscope_store::{PartNames, StoreSink, Study, label};

const FLOWS: u64 = 500_000;

/// A flow of a busy cell: 20,000 users, 3,000 servers, an hour.
fn flow(i: u64) -> Flow {
    let mixed = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let first = Timestamp(1_383_292_800_000_000_000 + (i as i64) * 7_000_000);
    let tally = |n: u64| Tally {
        packets: n % 90,
        bytes: n % 70_000,
        payload: n % 60_000,
        ..Tally::default()
    };
    let named = i.is_multiple_of(3);
    Flow {
        id: FlowId(mixed),
        first,
        last: Timestamp(first.0 + (mixed % 60_000_000_000) as i64),
        transport: Transport::Tcp,
        client: IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + (mixed >> 40) as u32 % 20_000)),
        client_port: mixed as u16,
        server: IpAddr::V4(Ipv4Addr::from(0xc000_0200 + (mixed >> 20) as u32 % 3_000)),
        server_port: 443,
        up: tally(mixed >> 8),
        down: tally(mixed >> 3),
        side: Side::Syn,
        end: FlowEnd::Fin,
        facts: Facts {
            protocol: "tls",
            server_name: named.then(|| (*format!("mmv{}.whatsapp.net", mixed % 500)).into()),
            name_source: named.then_some(NameSource::Sni),
            tls: named.then(|| {
                let ja4 = Ja4::from_text("t13d1516h2_8daaf6152771_b186095e22b6");
                Arc::new(TlsFacts { ja4, version: 0x0304, ..TlsFacts::default() })
            }),
            ..Facts::default()
        },
        rtt_server: Some(mixed % 90_000_000),
        rtt_client: Some(mixed % 9_000_000),
        rtt_data: None,
        syn_fingerprint: Some("64:65535:1460:6:2-1-3-1-1-8-4-0".into()),
        tunnel: None,
        vlan: None,
        heads: [vec![0x16, 3, 1, 2, 0, 1, 0, 1], vec![0x16, 3, 3, 0, 122, 2, 0, 0]],
        sample: None,
        sizes: None,
        gaps: None,
    }
}

fn sink(folder: &tempfile::TempDir) -> (Study, StoreSink) {
    let study = Study::create(&folder.path().join("study"), &[]).unwrap();
    let (secret, _) = study.secret().unwrap();
    let names = PartNames::new("bench", "run", 0);
    let sink = StoreSink::new(&study, &names, &study.pseudonyms(&secret), Arc::new([]));
    (study, sink)
}

fn store(c: &mut Criterion) {
    let flows: Vec<Flow> = (0..FLOWS).map(flow).collect();
    let mut group = c.benchmark_group("store");
    group.sample_size(10).throughput(Throughput::Elements(FLOWS));
    group.bench_function("flows", |b| {
        b.iter_batched(
            || tempfile::tempdir().unwrap(),
            |folder| {
                let (_, mut sink) = sink(&folder);
                for flow in &flows {
                    sink.flow(flow).unwrap();
                }
                sink.finish().unwrap();
                folder
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("bins", |b| {
        b.iter_batched(
            || tempfile::tempdir().unwrap(),
            |folder| {
                let (_, mut sink) = sink(&folder);
                for i in 0..FLOWS {
                    let (flow, second) = (FlowId(i / 4 * 7_919), 1_383_292_800 + i as i64 / 1_000);
                    let (packets, bytes) = ([i as u32 % 9, 2], [i % 3_000, i % 9_000]);
                    sink.bin(&Bin { flow, second, packets, bytes, syn: 0, fin: 0, rst: 0 })
                        .unwrap();
                }
                sink.finish().unwrap();
                folder
            },
            BatchSize::PerIteration,
        );
    });
    let folder = tempfile::tempdir().unwrap();
    let (study, mut sink) = sink(&folder);
    for flow in &flows {
        sink.flow(flow).unwrap();
    }
    sink.finish().unwrap();
    let lock = study.lock().unwrap();
    let catalog = Arc::new(Catalog::builtin().unwrap());
    group.bench_function("label", |b| {
        b.iter(|| {
            let names = PartNames::new("bench", "label", 0);
            let config = LabelerConfig::default();
            black_box(label(&study, &lock, &catalog, config, &names).unwrap())
        });
    });
    group.finish();
}

criterion_group!(benches, store);
criterion_main!(benches);
