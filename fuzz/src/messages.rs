//! Readers of one message.

use std::fmt::Display;
use std::hint::black_box;

use ottoscope_wire::tls::{
    Carrier, Certificates, ClientHello, Handshake, Record, ServerHello, x509,
};
use ottoscope_wire::{Fields, dns, dtls, http, ja, quic, rtcp, rtp, stun};

/// Looks at everything that a message shows.
pub(crate) fn look(message: &(impl Fields + Display)) {
    message.fields(&mut |name, value| {
        black_box((name, format!("{value:?}").len()));
    });
    black_box(message.to_string());
}

pub fn dns(data: &[u8]) {
    black_box(dns::is_plausible(data, true).is_ok() && dns::is_plausible(data, false).is_ok());
    if let Ok(message) = dns::Message::parse(data) {
        look(&message);
        black_box((message.chain().len(), message.addresses().count(), message.edns()));
        // Compression pointers must not make a small message grow without bound.
        assert!(message.records().count() <= data.len());
        if let Ok(used) = message.check() {
            assert!(used <= data.len());
        }
    }
}

pub fn http(data: &[u8]) {
    black_box((http::start(data), http::early_header(data, "host")));
    if let Some(end) = http::head_end(data, 0) {
        assert!(end <= data.len());
    }
    if let Ok(request) = http::Request::parse(data) {
        assert!(request.len <= data.len());
        look(&request);
        black_box((request.host(), request.path(), request.body(), request.server_name()));
    }
    if let Ok(response) = http::Response::parse(data) {
        assert!(response.len <= data.len());
        look(&response);
        black_box(response.body(false));
    }
    let (mut whole, mut bytewise) = (http::Chunked::default(), http::Chunked::default());
    let used = whole.advance(data);
    let mut sum = 0;
    for at in 0..data.len() {
        match bytewise.advance(&data[at..=at]) {
            Ok(used) => sum += used,
            Err(_) => break,
        }
        if bytewise.is_done() {
            break;
        }
    }
    if let Ok(used) = used {
        assert_eq!((used, whole.is_done()), (sum, bytewise.is_done()), "however it was cut");
    }
}

pub fn tls(data: &[u8]) {
    let mut rest = data;
    while let Ok(record) = Record::parse(rest) {
        look(&record);
        handshakes(record.fragment);
        rest = &rest[record.size()..];
    }
    handshakes(data);
    hello(data, Carrier::Tls);
    hello(data, Carrier::Quic);
    if let Ok(message) = ServerHello::parse(data) {
        look(&message);
        black_box(ja::ja3s(&message));
    }
    if let Ok(message) = ClientHello::parse_ssl2(data) {
        look(&message);
    }
    if let Ok(chain) = Certificates::parse(data) {
        look(&chain);
        for der in chain {
            let _ = x509::names(der, &mut |name| assert!(!name.is_empty()));
        }
    }
    let _ = x509::names(data, &mut |name| assert!(!name.is_empty()));
    let mut rest = data;
    while let Ok(record) = dtls::Record::parse(rest) {
        look(&record);
        if let Ok(handshake) = dtls::HandshakeFragment::parse(record.fragment) {
            look(&handshake);
            hello(handshake.body, Carrier::Dtls);
        }
        rest = &rest[record.size()..];
    }
}

fn handshakes(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(message) = Handshake::parse(rest) {
        look(&message);
        hello(message.body, Carrier::Tls);
        rest = &rest[message.size()..];
    }
}

fn hello(bytes: &[u8], carrier: Carrier) {
    if let Ok(hello) = ClientHello::parse(bytes, carrier) {
        look(&hello);
        black_box((ja::ja3(&hello), hello.server_name(), hello.highest_version()));
        let ja4 = ja::ja4(&hello);
        assert_eq!(ja4.len(), 36, "{ja4}");
    }
}

pub fn quic(data: &[u8]) {
    let mut rest = data;
    while let Ok(header) = quic::LongHeader::parse(rest) {
        look(&header);
        black_box(header.supported_versions().count());
        if let Some(keys) = quic::KeyPair::derive(header.version, header.destination) {
            let mut scratch = Vec::new();
            if let Ok(opened) = keys.client.open(&header, &mut scratch) {
                frames(&scratch[opened.payload]);
            }
        }
        if header.packet.is_empty() {
            break;
        }
        rest = &rest[header.packet.len()..];
    }
    frames(data);
    sealed(data);
    if let Ok(packet) = quic::gquic::Packet::parse(data)
        && let Some(message) = packet.message()
    {
        black_box((message.server_name(), message.user_agent(), message.name()));
    }
    if let Ok(message) = quic::gquic::Message::parse(data) {
        black_box(message.entries().count());
    }
}

/// What was sealed opens to the same bytes, padded.
fn sealed(payload: &[u8]) {
    let (destination, source) = (&payload[..payload.len().min(20)], &payload[..0]);
    for version in [quic::version::V1, quic::version::V2] {
        let keys = quic::KeyPair::derive(version, destination).expect("a known version");
        let (mut packet, mut scratch) = (Vec::new(), Vec::new());
        keys.client.seal(version, (destination, source), &[], 7, payload, &mut packet);
        let header = quic::LongHeader::parse(&packet).expect("an own packet");
        let opened = keys.client.open(&header, &mut scratch).expect("an own packet opens");
        assert_eq!(opened.number, 7);
        assert!(scratch[opened.payload].starts_with(payload));
    }
}

fn frames(payload: &[u8]) {
    let mut frames = quic::Frames::new(payload);
    let count = frames.by_ref().count();
    assert!(count <= payload.len());
}

pub fn stun(data: &[u8]) {
    for message in [stun::Message::parse(data), stun::Message::parse_classic(data)] {
        let Ok(message) = message else { continue };
        assert!(message.size() <= data.len());
        look(&message);
        black_box((message.data(), message.error_code(), message.fingerprint_holds()));
        for attribute in message.attributes() {
            black_box(attribute.kind);
        }
    }
    if let Ok(channel) = stun::ChannelData::parse(data) {
        look(&channel);
    }
    if let Ok(packet) = rtp::Packet::parse(data) {
        look(&packet);
    }
    black_box(rtcp::looks_like(data));
    for packet in rtcp::Compound::new(data) {
        look(&packet);
    }
    black_box((rtcp::Compound::new(data).is_valid(), rtcp::Encrypted::parse(data).is_ok()));
}
