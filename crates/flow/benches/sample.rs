//! How many packets a second are cut into samples, next to decoding them, which is part of it.
#![allow(clippy::unwrap_used)] // helpers are tests, too

use std::fs::File;
use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ottoscope_flow::capture::{Captures, Input, Options, Packets};
use ottoscope_flow::sample::{self, Config, Depth, Protocol};
use ottoscope_wire::build::pcap::{PcapWriter, Resolution};
use ottoscope_wire::build::{Ethernet, Ip, Segment};
use ottoscope_wire::{LinkType, decode};

const PACKETS: u64 = 200_000;

/// Packets of 5,000 connections, one after the other's.
fn write(path: &Path) {
    let file = std::io::BufWriter::new(File::create(path).unwrap());
    let mut file = PcapWriter::new(file, LinkType::ETHERNET, Resolution::Micro).unwrap();
    let payload = [0x5a; 1448];
    let mut frame = Vec::new();
    for number in 0..PACKETS {
        let host = (number * 7919 % 5000) as u16;
        let [a, b] = host.to_be_bytes();
        let ip = Ip::new([10, 0, a, b].into(), [203, 0, 113, b].into());
        let len = [0, 1448, (number % 1000) as usize][number as usize % 3];
        let segment =
            Segment { source_port: host | 1024, destination_port: 443, ..Segment::default() };
        frame.clear();
        Ethernet::default().write(&mut frame, |out| {
            ip.tcp(out, &segment, |out| out.extend_from_slice(&payload[..len]));
        });
        file.record(number as i64 * 1000, frame.len() as u32, &frame).unwrap();
    }
    file.finish().unwrap();
}

fn sampling(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pcap");
    write(&path);
    let inputs = [Input::Path(path)];
    let mut group = c.benchmark_group("sample");
    group.throughput(Throughput::Elements(PACKETS)).sample_size(20);
    group.bench_function("decode", |b| {
        b.iter(|| {
            let mut captures = Captures::open(&inputs, Options::default()).unwrap();
            while let Some(batch) = captures.next().unwrap() {
                for record in batch.records() {
                    black_box(decode(record.link, batch.bytes(record)).is_ok());
                }
            }
        })
    });
    for (name, protocol, depth) in [
        ("honest", Protocol::Honest, Depth::All),
        ("payload", Protocol::Honest, Depth::Payload),
        ("paper", Protocol::Paper, Depth::All),
    ] {
        let config = Config { protocol, depth, ..Config::default() };
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut units = 0;
                let each = &mut |_: &Input, unit| {
                    black_box(&unit);
                    units += 1;
                };
                sample::run(&inputs, &Options::default(), &config, each).unwrap();
                assert_eq!(units, 5000);
            })
        });
    }
}

criterion_group!(benches, sampling);
criterion_main!(benches);
