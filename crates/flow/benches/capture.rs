//! How fast captures are read, next to a bare loop over their records, which is the limit.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // helpers are tests, too

use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::path::{Path, PathBuf};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ottoscope_flow::capture::{Captures, Input, Options, Packets};
use ottoscope_wire::build::pcap::{PcapWriter, Resolution};
use ottoscope_wire::build::{Ethernet, Gtpu, Ip, Segment};
use ottoscope_wire::{Decoded, LinkType, decode};

const PACKETS: u64 = 200_000;

/// Packets of the sizes of a mixed link: a third full, a third empty, the rest between.
fn write(path: &Path, tunnel: Option<Gtpu>) {
    let file = std::io::BufWriter::new(File::create(path).unwrap());
    let mut file = PcapWriter::new(file, LinkType::ETHERNET, Resolution::Micro).unwrap();
    let outer = Ip::new([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
    let payload = [0x5a; 1448];
    let mut frame = Vec::new();
    for number in 0..PACKETS {
        let host = (number * 7919 % 5000) as u16;
        let [a, b] = host.to_be_bytes();
        let ip = Ip::new([10, 0, a, b].into(), [203, 0, 113, b].into());
        let len = [0, 1448, (number % 1000) as usize][number as usize % 3];
        let segment = Segment {
            source_port: host | 1024,
            destination_port: 443,
            flags: 0x18,
            ..Segment::default()
        };
        frame.clear();
        Ethernet::default().write(&mut frame, |out| {
            let inner = |out: &mut Vec<u8>| {
                ip.tcp(out, &segment, |out| out.extend_from_slice(&payload[..len]))
            };
            match tunnel {
                Some(tunnel) => {
                    outer.udp(out, Gtpu::PORT, Gtpu::PORT, |out| tunnel.write(out, inner))
                }
                None => inner(out),
            }
        });
        file.record(number as i64 * 1000, frame.len() as u32, &frame).unwrap();
    }
    file.finish().unwrap();
}

/// The limit: lengths only, one buffer.
fn bare(path: &Path) -> u64 {
    let mut file = File::open(path).unwrap();
    let mut buffer = vec![0; 256 * 1024];
    let (mut have, mut sum) = (0, 0);
    let mut skip = 24;
    loop {
        let n = file.read(&mut buffer[have..]).unwrap();
        if n == 0 {
            return sum;
        }
        have += n;
        let mut at = skip;
        skip = 0;
        while let Some(head) = buffer[..have].get(at..at + 16) {
            let len = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
            if at + 16 + len > have {
                break;
            }
            sum += len as u64;
            at += 16 + len;
        }
        buffer.copy_within(at..have, 0);
        have -= at;
    }
}

fn each(path: &Path, mut look: impl FnMut(LinkType, &[u8])) -> u64 {
    let inputs = [Input::Path(PathBuf::from(path))];
    let mut captures = Captures::open(&inputs, Options::default()).unwrap();
    let mut sum = 0;
    while let Some(batch) = captures.next().unwrap() {
        for record in batch.records() {
            sum += u64::from(record.len);
            look(record.link, batch.bytes(record));
        }
    }
    sum
}

fn capture(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    for (name, tunnel) in [("plain", None), ("gtp-u", Some(Gtpu { teid: 7, qfi: Some(1) }))] {
        let path = folder.path().join(name);
        write(&path, tunnel);
        assert_eq!(bare(&path), each(&path, |_, _| ()));
        let mut group = c.benchmark_group(format!("capture/{name}"));
        group.throughput(Throughput::Elements(PACKETS)).sample_size(20);
        group.bench_function("bare", |b| b.iter(|| bare(&path)));
        group.bench_function("read", |b| {
            b.iter(|| {
                each(&path, |_, bytes| {
                    black_box(bytes);
                })
            })
        });
        group.bench_function("decode", |b| {
            b.iter(|| {
                each(&path, |link, bytes| {
                    if let Ok(Decoded::Packet(packet)) = decode(link, bytes) {
                        black_box((packet.source, packet.destination_port, packet.payload.len()));
                    }
                })
            })
        });
    }
}

criterion_group!(benches, capture);
criterion_main!(benches);
