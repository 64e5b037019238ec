//! What it costs to read DNS messages and HTTP heads, and to refuse what is neither.
#![allow(missing_docs)] // criterion's macros document nothing

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ottoscope_wire::dns::{self, Repr, ReprData, ReprRecord, kind};
use ottoscope_wire::http;

/// A response with one alias and four addresses, as content networks give.
fn response() -> Vec<u8> {
    let record = |owner: &str, data| ReprRecord { owner: owner.into(), ttl: 60, data };
    let alias = "mmx-ds.cdn.whatsapp.net";
    let mut answers = vec![record("media.whatsapp.net", ReprData::Cname(alias.into()))];
    answers.extend((1..=4).map(|n| record(alias, ReprData::A([192, 0, 2, n].into()))));
    Repr::query(7, "media.whatsapp.net", kind::A).answered(answers).emit().expect("fits")
}

fn dns_benches(criterion: &mut Criterion) {
    let bytes = response();
    let mut group = criterion.benchmark_group("dns");
    group.throughput(Throughput::Elements(1));
    group.bench_function("probe", |b| b.iter(|| dns::is_plausible(black_box(&bytes), true)));
    group.bench_function("answers", |b| {
        b.iter(|| {
            let message = dns::Message::parse(black_box(&bytes)).expect("whole");
            message.answers().filter(|answer| answer.value.address().is_some()).count()
        });
    });
    group.bench_function("chain and addresses", |b| {
        b.iter(|| dns::Message::parse(black_box(&bytes)).expect("whole").addresses().count());
    });
    let random: Vec<u8> =
        (0..1200u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    group.bench_function("probe refuses", |b| {
        b.iter(|| dns::is_plausible(black_box(&random), true).is_err());
    });
    group.finish();
}

fn http_benches(criterion: &mut Criterion) {
    let request = b"GET /v/t62.7118-24/30_n.enc?ccb=11-4&oh=01&oe=65&_nc_sid=5e03e0 HTTP/1.1\r\n\
        Host: mmg.whatsapp.net\r\nUser-Agent: WhatsApp/2.23.25 A\r\nAccept-Encoding: identity\r\n\
        Origin: https://web.whatsapp.com\r\nReferer: https://web.whatsapp.com/\r\n\
        Accept: */*\r\nConnection: keep-alive\r\nRange: bytes=0-65535\r\n\r\n";
    let mut group = criterion.benchmark_group("http");
    group.throughput(Throughput::Bytes(request.len() as u64));
    group.bench_function("request", |b| b.iter(|| http::Request::parse(black_box(request))));
    group.bench_function("start", |b| b.iter(|| http::start(black_box(request))));
    group.finish();
}

criterion_group!(benches, dns_benches, http_benches);
criterion_main!(benches);
