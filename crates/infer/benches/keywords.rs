//! How the time to find keywords grows with the number of distinct strings.
#![allow(missing_docs)] // criterion's macros document nothing

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ottoscope_infer::Params;
use ottoscope_infer::keywords::{Cut, keywords};

fn mixed(n: u64) -> u64 {
    let n = (n ^ n >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (n ^ n >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 16
}

/// Host names of one app and of others.
fn hosts(count: u64) -> Vec<(String, u64)> {
    let sites = ["hk", "sh", "sz", "sg", "ca"];
    let services = ["short", "long", "support", "voip", "mmsns", "extshort"];
    let domains = ["weixin.qq.com", "wechat.com", "qpic.cn"];
    let name = |n: u64| {
        let r = mixed(n);
        if r.is_multiple_of(4) {
            format!("{:x}.example{}.net", mixed(r), r % 1000)
        } else {
            let site = sites[(r >> 8) as usize % sites.len()];
            let service = services[(r >> 12) as usize % services.len()];
            let domain = domains[(r >> 20) as usize % domains.len()];
            format!("{site}{service}{n}.{domain}")
        }
    };
    (0..count).map(|n| (name(n), 1 + mixed(n) % 9)).collect()
}

/// Request targets with long random parts.
fn urls(count: u64) -> Vec<(String, u64)> {
    let heads = ["/cgi-bin/micromsg-bin/", "/mmsns/", "/mmhead/ver_1/", "/cgi-bin/mmsupport-bin/"];
    let url = |n: u64| {
        let r = mixed(n);
        let head = heads[r as usize % heads.len()];
        format!("{head}{:x}{:x}/0?uin={}&ver=654312", mixed(r), mixed(n + 7), r % 100_000)
    };
    (0..count).map(|n| (url(n), 1)).collect()
}

fn growth(criterion: &mut Criterion) {
    for (name, make) in [("hosts", hosts as fn(u64) -> _), ("urls", urls)] {
        let mut group = criterion.benchmark_group(format!("keywords of {name}"));
        group.sample_size(10);
        for count in [1_000, 10_000, 100_000] {
            let values = make(count);
            let bytes = values.iter().map(|(value, _)| value.len() as u64).sum();
            group.throughput(Throughput::Bytes(bytes));
            group.bench_with_input(BenchmarkId::from_parameter(count), &values, |b, values| {
                b.iter(|| {
                    let values = values.iter().map(|(value, n)| (value.as_str(), *n));
                    keywords(black_box(values), &Params::default(), Cut::Anywhere)
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, growth);
criterion_main!(benches);
