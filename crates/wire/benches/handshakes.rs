//! What a flow's first packets cost: hello, QUIC Initial, STUN; and RTP, which all of a call's
//! packets cost.

#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::net::SocketAddr;

use criterion::{Criterion, criterion_group, criterion_main};
use ottoscope_wire::quic::{Frame, KeyPair, LongHeader, version};
use ottoscope_wire::stun::{Message, MessageRepr, attribute::kind};
use ottoscope_wire::tls::{Carrier, ClientHello, ClientHelloRepr, Handshake};
use ottoscope_wire::{ja, rtp};

fn client_hello(carrier: Carrier) -> Vec<u8> {
    let mut body = Vec::new();
    ClientHelloRepr::new(carrier, "media.fxyz1-1.cdn.whatsapp.net", &["h2", "http/1.1"], [7; 32])
        .emit(&mut body);
    body
}

fn hello(c: &mut Criterion) {
    let body = client_hello(Carrier::Tls);
    c.bench_function("client hello: parse, name, ALPN", |b| {
        b.iter(|| {
            let hello = ClientHello::parse(black_box(&body), Carrier::Tls).unwrap();
            (hello.server_name().map(str::len), hello.alpn().count())
        });
    });
    let hello = ClientHello::parse(&body, Carrier::Tls).unwrap();
    c.bench_function("client hello: JA3", |b| b.iter(|| ja::ja3(black_box(&hello))));
    c.bench_function("client hello: JA4", |b| b.iter(|| ja::ja4(black_box(&hello))));
}

fn quic(c: &mut Criterion) {
    let id = b"eight by";
    let keys = KeyPair::derive(version::V1, id).unwrap();
    let mut hello = Vec::new();
    Handshake { kind: 1, body: &client_hello(Carrier::Quic) }.emit(&mut hello);
    let mut payload = Vec::new();
    Frame::Crypto { offset: 0, data: &hello }.emit(&mut payload);
    payload.resize(1162, 0);
    let mut packet = Vec::new();
    keys.client.seal(version::V1, (id, &[]), &[], 0, &payload, &mut packet);
    c.bench_function("QUIC Initial: derive keys", |b| {
        b.iter(|| KeyPair::derive(version::V1, black_box(id)));
    });
    let header = LongHeader::parse(&packet).unwrap();
    let mut scratch = Vec::new();
    c.bench_function("QUIC Initial: open 1,200 bytes", |b| {
        b.iter(|| keys.client.open(black_box(&header), &mut scratch).unwrap().number);
    });
}

fn media(c: &mut Criterion) {
    let peer: SocketAddr = "192.0.2.7:4242".parse().unwrap();
    let repr = MessageRepr { fingerprint: true, ..MessageRepr::new(0x0101, [5; 12]) };
    let mut bytes = Vec::new();
    repr.with(kind::SOFTWARE, b"ottoscope")
        .with_address(kind::XOR_MAPPED_ADDRESS, peer)
        .emit(&mut bytes);
    c.bench_function("STUN answer: parse, address", |b| {
        b.iter(|| Message::parse(black_box(&bytes)).unwrap().address(kind::XOR_MAPPED_ADDRESS));
    });
    let packet = [&[0x80, 120, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3][..], &[7; 160]].concat();
    c.bench_function("RTP: parse", |b| {
        b.iter(|| rtp::Packet::parse(black_box(&packet)).unwrap().sequence);
    });
}

criterion_group!(benches, hello, quic, media);
criterion_main!(benches);
