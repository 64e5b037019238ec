//! QQ video: packets read, and packets put together to frames.
#![allow(missing_docs)] // criterion's macros

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ottoscope_flow::{Direction, Timestamp};
use ottoscope_media::qq::{Options, Session};
use ottoscope_wire::qq_video::{Case1, Content, Form, Head, Message, Packet, VIDEO_FLAG, media};
use ottoscope_wire::{rtp, vp8};

/// Packets of a call.
const PACKETS: usize = 100_000;
/// Bytes of coded video in a packet.
const PIECE: usize = 1000;

/// A call of frames of four fragments, as datagrams or as messages.
fn call(form: Option<Form>) -> Vec<Vec<u8>> {
    let tag = vp8::Tag { key: true, version: 0, shown: true, first_partition: 900 };
    let extent = |pixels| vp8::Extent { pixels, scale: 0 };
    (0..PACKETS)
        .map(|n| {
            let (frame, i) = (n / 4, n % 4);
            let key = frame % 30 == 0;
            let mut payload = vec![i as u8, 4, 0, 0, 0, 0, 0, 0];
            if i == 0 {
                let size = key.then(|| (extent(320), extent(240)));
                vp8::Header { tag: vp8::Tag { key, ..tag }, size }.emit(&mut payload);
            }
            payload.resize(8 + PIECE, n as u8);
            let packet = rtp::Packet {
                marker: i == 3,
                payload_type: 107,
                sequence: n as u16,
                timestamp: frame as u32 * 6000,
                ssrc: 7,
                contributors: &[],
                extension: None,
                payload: &payload,
                padding: 0,
            };
            let content = Some(Content { rtp: packet, extension: &[], data: &[] });
            let sequence = (n as u16).wrapping_mul(7);
            let mut bytes = Vec::new();
            match form {
                None => Packet::Case1(Case1 {
                    sequence,
                    flag: VIDEO_FLAG,
                    number: n as u64,
                    frame: frame as u32,
                    media: media::VIDEO,
                    content,
                    body: &[],
                })
                .emit(&mut bytes),
                Some(form) => {
                    let head =
                        Head { form, frame: frame as u16, fill: 0x64, sequence, flag: [3, 3] };
                    Message { head, content, body: &[] }.emit(&mut bytes);
                }
            }
            bytes
        })
        .collect()
}

fn run(packets: &[Vec<u8>], stream: bool) -> usize {
    let mut session = Session::new(Options::default());
    let mut bytes = 0;
    let mut take = |frame: ottoscope_media::Frame| bytes += frame.data.len();
    for (n, packet) in packets.iter().enumerate() {
        let at = Timestamp(n as i64 * 16_000_000);
        if stream {
            session.bytes(at, Direction::Up, packet, &mut take);
        } else {
            session.datagram(at, Direction::Up, packet, &mut take);
        }
    }
    assert!(session.finish(&mut take).accepted.is_some(), "the call is QQ video");
    assert!(bytes >= packets.len() * PIECE, "frames are missing");
    bytes
}

fn bench(c: &mut Criterion) {
    let (datagrams, messages) = (call(None), call(Some(Form::Table)));
    let mut group = c.benchmark_group("qq");
    group.throughput(Throughput::Elements(PACKETS as u64)).sample_size(10);
    group.bench_function("parse", |b| {
        b.iter(|| {
            for bytes in &datagrams {
                black_box(Packet::datagram(bytes).is_ok());
            }
        });
    });
    group.bench_function("datagrams to frames", |b| b.iter(|| run(black_box(&datagrams), false)));
    group.bench_function("stream to frames", |b| b.iter(|| run(black_box(&messages), true)));
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
