//! What a name lookup and a label cost.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)] // failing and speaking is a test's work

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use ottoscope_catalog::{Catalog, FlowEvidence, Labeler, LabelerConfig, NameLearned};
use ottoscope_flow::{FlowId, Timestamp, Transport};

fn benches(c: &mut Criterion) {
    let Ok(catalog) = Catalog::builtin() else { return };
    let catalog = Arc::new(catalog);
    let names = [
        "e7.whatsapp.net",
        "media.fmvd1-1.fna.whatsapp.net",
        "hkextshort.weixin.qq.com",
        "www.example.com",
        "a.very.deep.name.of.some.content.network.example.net",
        "scontent-mxp1-1.xx.fbcdn.net",
    ];
    let mut next = names.iter().cycle();
    c.bench_function("lookup_name", |b| {
        b.iter(|| catalog.lookup_name(black_box(next.next().copied().unwrap_or_default())));
    });

    let mut labeler = Labeler::new(Arc::clone(&catalog), LabelerConfig::default());
    for i in 0..100_000_u32 {
        labeler.name_learned(&NameLearned {
            at: Timestamp(i64::from(i)),
            client: &format!("10.{}.{}.{}", i >> 16, i >> 8 & 255, i & 255),
            names: &[names[i as usize % names.len()]],
            addresses: &[IpAddr::from([198, 51, (i >> 8) as u8, i as u8])],
            ttl: 60,
            over_http: false,
        });
    }
    let times = (Timestamp(200_000), Timestamp(300_000));
    let bare = |client, server| {
        FlowEvidence::bare(FlowId(1), times, client, (server, 443), Transport::Tcp)
    };
    let by_dns = bare("10.0.0.6", IpAddr::from([198, 51, 0, 6]));
    let nothing = bare("10.0.0.6", IpAddr::from([203, 0, 113, 1]));
    let by_name = FlowEvidence { server_name: Some("e7.whatsapp.net"), ..nothing };
    let mut labels = Vec::new();
    for (id, flow) in [("flow/name", by_name), ("flow/dns", by_dns), ("flow/nothing", nothing)] {
        c.bench_function(id, |b| b.iter(|| labeler.flow(black_box(&flow), &mut labels)));
    }
}

criterion_group!(labels, benches);
criterion_main!(labels);
