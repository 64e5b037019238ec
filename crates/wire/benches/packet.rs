//! Nanoseconds to decode a packet that lies in the cache.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)] // failing and speaking is a test's work

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use etherparse::LaxSlicedPacket;
use ottoscope_wire::build::{Ethernet, Gtpu, Ip, Segment};
use ottoscope_wire::{LinkType, decode};

fn packet(c: &mut Criterion) {
    let v4 = Ip::new([10, 0, 0, 1].into(), [203, 0, 113, 5].into());
    let v6 = Ip::new([1u8; 16].into(), [2u8; 16].into());
    let segment = Segment { source_port: 40000, destination_port: 443, ..Segment::default() };
    let frame = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        Ethernet::default().write(&mut out, write);
        out
    };
    let tunnel = Gtpu { teid: 7, qfi: Some(9) };
    let cases = [
        ("ipv4-tcp", frame(&|out| v4.tcp(out, &segment, |out| out.resize(out.len() + 500, 0)))),
        ("ipv4-udp", frame(&|out| v4.udp(out, 40000, 443, |out| out.resize(out.len() + 500, 0)))),
        ("ipv6-tcp", frame(&|out| v6.tcp(out, &segment, |out| out.resize(out.len() + 500, 0)))),
        (
            "gtp-u",
            frame(&|out| {
                v4.udp(out, 2152, 2152, |out| {
                    tunnel.write(out, |out| v4.tcp(out, &segment, |_| ()));
                });
            }),
        ),
    ];
    let mut group = c.benchmark_group("packet");
    for (name, frame) in &cases {
        group.bench_function(*name, |b| {
            b.iter(|| {
                let _ = black_box(decode(LinkType::ETHERNET, black_box(frame)));
            });
        });
    }
    group.bench_function("ipv4-tcp by etherparse", |b| {
        b.iter(|| {
            let _ = black_box(LaxSlicedPacket::from_ethernet(black_box(&cases[0].1)));
        });
    });
}

criterion_group!(benches, packet);
criterion_main!(benches);
