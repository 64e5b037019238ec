//! What an app says in one session: datagrams, or the steps of a TCP connection.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ottoscope_wire::rtp;
use ottoscope_wire::stun::{ChannelData, MessageRepr};
use ottoscope_wire::tls::{Carrier, ClientHelloRepr};

use super::apps::{Call, Setup, Web, Wire};
use crate::apps::quic;
use crate::apps::tls::{self, Hello};
use crate::apps::{MILLI, SECOND};
use crate::content::Content;
use crate::flow::Datagram;
use crate::rng::{Rng, fill};
use crate::tcp::{DOWN, Step, UP};

/// How the device and the day make it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circumstances {
    /// Which of three TLS libraries the device's apps link.
    pub(super) library: u64,
    /// Whether the app has had its update: headers grow, packets change a little.
    pub(super) updated: bool,
    /// One way between capture point and server, nanoseconds.
    pub(super) half: i64,
    /// Mean delay that the air adds to a packet, milliseconds.
    pub(super) jitter: f64,
}

/// What one session is carried by.
pub(super) enum Talk {
    Tcp(VecDeque<Step>),
    Udp(Vec<Datagram>),
}

/// Seconds of media of a call: what classifiers look at is its beginning.
const MEDIA: f64 = 1.6;
/// STUN types (RFC 8489, 18.2; RFC 8656, 18.1) and attributes.
const BINDING: u16 = 0x0001;
const ALLOCATE: u16 = 0x0003;
const CHANNEL_BIND: u16 = 0x0009;
const SUCCESS: u16 = 0x0100;
const USERNAME: u16 = 0x0006;
const INTEGRITY: u16 = 0x0008;
const CHANNEL: u16 = 0x000c;
const TRANSPORT: u16 = 0x0019;
const RELAYED: u16 = 0x0016;
const MAPPED: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;

fn push(out: &mut Vec<Datagram>, at: i64, side: usize, content: Content) {
    out.push(Datagram { at, side, content, mark: None });
}

fn random<const N: usize>(rng: &mut Rng) -> [u8; N] {
    let mut bytes = [0; N];
    fill(rng.next(), 0, &mut bytes);
    bytes
}

fn emitted(message: &MessageRepr) -> Content {
    let mut bytes = Vec::new();
    message.emit(&mut bytes);
    Content::bytes(bytes)
}

/// A call's datagrams in order of time, from `start` on.
pub(super) fn call(call: &Call, start: i64, how: &Circumstances, rng: &mut Rng) -> Vec<Datagram> {
    let mut out = Vec::new();
    let trip = 2 * how.half;
    let mut at = start;
    match call.setup {
        Setup::Ice(name) => ice(&mut out, &mut at, name, trip, rng),
        Setup::Turn(channel) => turn(&mut out, &mut at, channel, trip, rng),
        Setup::Own(sizes) => {
            for _ in 0..rng.range(1, 3) {
                for (side, size) in [UP, DOWN].into_iter().zip(sizes) {
                    let len = u64::from(size) + if how.updated { 4 } else { 0 };
                    let head = probe(&call.wire, side, rng);
                    push(&mut out, at, side, Content::opaque(head, len, rng.next()));
                    at += if side == UP { trip } else { rng.range(40, 300) as i64 * MILLI };
                }
            }
        }
        Setup::Sip => sip(&mut out, &mut at, trip, rng),
    }
    media(&mut out, call, at + rng.range(50, 900) as i64 * MILLI, how, rng);
    out.sort_by_key(|datagram| datagram.at);
    out
}

fn probe(wire: &Wire, side: usize, rng: &mut Rng) -> Vec<u8> {
    let Wire::Own { marks, session } = wire else {
        return vec![0x80 | side as u8, 0xc8, 0, rng.range(6, 12) as u8];
    };
    let mut head = marks.to_vec();
    head.push(side as u8);
    head.extend(&random::<16>(rng)[..usize::from(*session)]);
    head
}

fn ice(out: &mut Vec<Datagram>, at: &mut i64, name: u8, trip: i64, rng: &mut Rng) {
    let letters = b"abcdefghijklmnopqrstuvwxyz0123456789+/";
    let user: Vec<u8> = (0..name)
        .map(|at| if at == name / 2 { b':' } else { letters[rng.below(38) as usize] })
        .collect();
    let mapped = SocketAddr::new(
        IpAddr::V4(Ipv4Addr::from(0x0a2d_0000 | rng.below(1 << 16) as u32)),
        rng.range(1024, 65_000) as u16,
    );
    for side in [UP, DOWN].into_iter().cycle().take(rng.range(2, 5) as usize) {
        let id = random::<12>(rng);
        let mut ask = MessageRepr::new(BINDING, id)
            .with(USERNAME, &user)
            .with(PRIORITY, &random::<4>(rng))
            .with(INTEGRITY, &random::<20>(rng));
        let mut answer = MessageRepr::new(BINDING | SUCCESS, id)
            .with_address(MAPPED, mapped)
            .with(INTEGRITY, &random::<20>(rng));
        (ask.fingerprint, answer.fingerprint) = (true, true);
        push(out, *at, side, emitted(&ask));
        push(out, *at + trip, 1 - side, emitted(&answer));
        *at += trip + rng.range(5, 60) as i64 * MILLI;
    }
}

fn turn(out: &mut Vec<Datagram>, at: &mut i64, channel: bool, trip: i64, rng: &mut Rng) {
    let ours = SocketAddr::new(
        IpAddr::V4(Ipv4Addr::from(0xc612_0000 | (rng.next() as u32 & 0x0001_ffff))),
        40_000,
    );
    let mut exchange = |kind: u16, fill: &dyn Fn(MessageRepr) -> MessageRepr, rng: &mut Rng| {
        let id = random::<12>(rng);
        let answer = MessageRepr::new(kind | SUCCESS, id);
        let answer = match kind {
            ALLOCATE => answer.with_address(RELAYED, ours).with_address(MAPPED, ours),
            _ => answer,
        };
        push(out, *at, UP, emitted(&fill(MessageRepr::new(kind, id))));
        push(out, *at + trip, DOWN, emitted(&answer));
        *at += trip + rng.range(2, 40) as i64 * MILLI;
    };
    let token: [u8; 16] = random(rng);
    exchange(ALLOCATE, &|ask| ask.with(TRANSPORT, &[17, 0, 0, 0]).with(0x4000, &token), rng);
    if channel {
        let bound = |ask: MessageRepr| ask.with(CHANNEL, &[0x40, 1, 0, 0]).with(USERNAME, &token);
        exchange(CHANNEL_BIND, &bound, rng);
    }
}

fn sip(out: &mut Vec<Datagram>, at: &mut i64, trip: i64, rng: &mut Rng) {
    let (call, tag) = (rng.next(), rng.next() as u32);
    let caller = rng.range(100_000, 999_999);
    let called = rng.range(1_000_000_000, 9_999_999_999);
    let via = "Via: SIP/2.0/UDP 10.45.0.2:5060;rport;branch=z9hG4bK";
    let tail = format!(
        "From: <sip:{caller}@sip.voipbuster.example>;tag={tag:x}\r\n\
         To: <sip:{called}@sip.voipbuster.example>\r\nCall-ID: {call:016x}\r\nCSeq: 1 INVITE\r\n"
    );
    let invite = format!(
        "INVITE sip:{called}@sip.voipbuster.example SIP/2.0\r\n{via}{:08x}\r\n{tail}\
         Content-Type: application/sdp\r\nContent-Length: 120\r\n\r\n",
        rng.next() as u32
    );
    push(out, *at, UP, Content::opaque(invite.into_bytes(), 120, rng.next()));
    for status in ["100 Trying", "183 Session Progress", "200 OK"] {
        *at += trip + rng.range(20, 400) as i64 * MILLI;
        let answer = format!("SIP/2.0 {status}\r\n{via}\r\n{tail}\r\n");
        push(out, *at, DOWN, Content::bytes(answer.into_bytes()));
    }
}

/// Voice both ways, and video where there is some.
fn media(out: &mut Vec<Datagram>, call: &Call, start: i64, how: &Circumstances, rng: &mut Rng) {
    let payload_type = match call.wire {
        Wire::Rtp { types, .. } => types[rng.below(types.len() as u64) as usize],
        Wire::Own { .. } => 0,
    };
    let session = random::<16>(rng);
    for side in [UP, DOWN] {
        let source = rng.next() as u32;
        let first = rng.next() as u16;
        let begin = rng.next() as u32;
        let (mut at, mut number) = (start + rng.below(80) as i64 * MILLI, 0u16);
        let until = at + (MEDIA * 1e9) as i64;
        let mut silent = rng.chance(call.silence.1);
        let mut frame = 0;
        while at < until {
            if rng.chance(0.04) {
                silent = rng.chance(call.silence.1);
            }
            let (mean, spread) = if silent { (call.silence.0, 0.1) } else { call.bytes };
            let larger = if how.updated { 1.06 } else { 1.0 };
            let mut parts = vec![rng.log_normal(mean * larger, spread).clamp(4.0, 1200.0) as u64];
            if call.video > 0.0 && frame % 3 == 0 {
                let count = rng.range(1, 3);
                parts.extend(
                    (0..count).map(|_| rng.log_normal(call.video, 0.3).clamp(60.0, 1180.0) as u64),
                );
            }
            for (index, len) in parts.into_iter().enumerate() {
                let sequence = first.wrapping_add(number);
                number = number.wrapping_add(1);
                let seen = at + (rng.exponential(how.jitter).min(90.0) * MILLI as f64) as i64;
                let content = match call.wire {
                    Wire::Rtp { extension, .. } => {
                        let body = random::<12>(rng);
                        let grown = extension + if how.updated { 4 } else { 0 };
                        let grown = if extension == 0 { 0 } else { usize::from(grown).min(12) };
                        let packet = rtp::Packet {
                            marker: number == 1,
                            payload_type: payload_type ^ u8::from(index > 0),
                            sequence,
                            timestamp: begin.wrapping_add(frame * (call.period * 48.0) as u32),
                            ssrc: source ^ u32::from(index > 0),
                            contributors: &[],
                            extension: (grown > 0).then_some((0xbede, &body[..grown])),
                            payload: &[],
                            padding: 0,
                        };
                        let mut head = Vec::new();
                        packet.emit(&mut head);
                        relayed(call, head, len, rng)
                    }
                    Wire::Own { marks, session: ids } => {
                        let mut head = marks.to_vec();
                        head.push(0x10 | side as u8 | if index > 0 { 4 } else { 0 });
                        head.extend(&session[..usize::from(ids)]);
                        head.extend(sequence.to_be_bytes());
                        Content::opaque(head, len, rng.next())
                    }
                };
                if !rng.chance(0.004) {
                    push(out, seen + index as i64 * 200_000, side, content);
                }
            }
            frame += 1;
            at += (call.period * MILLI as f64) as i64;
        }
    }
}

/// Media in channel data where a relay carries them so.
fn relayed(call: &Call, head: Vec<u8>, len: u64, rng: &mut Rng) -> Content {
    if call.setup != Setup::Turn(true) {
        return Content::opaque(head, len, rng.next());
    }
    let mut data = head;
    let from = data.len();
    data.resize(from + len as usize, 0);
    fill(rng.next(), 0, &mut data[from..]);
    let mut bytes = Vec::new();
    ChannelData { channel: 0x4001, data: &data }.emit(&mut bytes);
    Content::bytes(bytes)
}

/// Requests and responses, and the port that they go to.
pub(super) fn web(web: &Web, start: i64, how: &Circumstances, rng: &mut Rng) -> (Talk, u16) {
    let host = web.hosts[rng.rank(web.hosts.len())];
    let turns = rng.range(1, 5);
    let sizes: Vec<(u64, u64)> = (0..turns)
        .map(|_| {
            let ask = rng.log_normal(web.sizes.0, 0.5).clamp(40.0, 6000.0);
            (ask as u64, rng.log_normal(web.sizes.1, 0.9).clamp(60.0, 60_000.0) as u64)
        })
        .collect();
    if rng.chance(web.quic) {
        return (Talk::Udp(datagrams(host, web, &sizes, start, how, rng)), 443);
    }
    let pause = |rng: &mut Rng| (rng.exponential(web.pause).min(5000.0) * MILLI as f64) as i64;
    let think = |rng: &mut Rng| rng.range(1, 40) as i64 * MILLI;
    if rng.chance(web.plain) {
        let mut steps = VecDeque::new();
        for (ask, answer) in sizes {
            let agent = ["okhttp/3.12", "Dalvik/2.1.0", "CFNetwork/1240"][how.library as usize % 3];
            let head = format!(
                "GET /{:0width$x} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\n\r\n",
                rng.next(),
                width = (ask / 4).clamp(16, 400) as usize,
            );
            let mut send = |side, delay, content| {
                steps.push_back(Step::Send { side, delay, content, mark: None });
            };
            send(UP, pause(rng), Content::bytes(head.into_bytes()));
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: {answer}\r\n\r\n",
                ["video/x-flv", "image/webp", "application/json"][rng.below(3) as usize]
            );
            send(DOWN, think(rng), Content::opaque(head.into_bytes(), answer, rng.next()));
        }
        return (Talk::Tcp(steps), 80);
    }
    let tls13 = rng.chance(web.tls13);
    let certificate = (host, &[host][..]);
    let hello = Hello { name: host, alpn: &["h2", "http/1.1"], tls13, certificate };
    let chain = web.chain - 40..=web.chain + 60;
    let mut steps = tls::open_as(client(host, how, rng), &hello, chain, rng);
    for (ask, answer) in sizes {
        let (delay, then) = (pause(rng), think(rng));
        steps.push_back(tls::data(UP, delay, ask, rng));
        steps.push_back(tls::data(DOWN, then, answer, rng));
    }
    if rng.chance(0.7) {
        let delay = pause(rng);
        tls::close(&mut steps, UP, delay, rng);
    }
    (Talk::Tcp(steps), 443)
}

/// The client hello of the device's library, which an app's update changes too.
fn client(host: &str, how: &Circumstances, rng: &mut Rng) -> ClientHelloRepr {
    let alpn: &[&str] = if how.library == 2 { &["http/1.1"] } else { &["h2", "http/1.1"] };
    let mut hello = ClientHelloRepr::new(Carrier::Tls, host, alpn, random(rng));
    match how.library {
        0 => {}
        1 => {
            // GREASE (RFC 8701) in front, as browsers send.
            let grease = 0x0a0a + 0x1010 * rng.below(16) as u16;
            hello.ciphers.insert(0, grease);
            hello.ciphers.extend([0xcca8, 0x009c, 0x002f, 0x0035]);
            hello.extensions.insert(0, (grease, Vec::new()));
        }
        _ => {
            hello.ciphers = vec![0x1301, 0x1303, 0x1302, 0xc02c, 0xc02b, 0xcca9, 0xc030, 0xc02f];
            hello.extensions.rotate_left(1);
        }
    }
    if how.updated {
        hello.extensions.push((0x0015, vec![0; 40 + rng.below(60) as usize]));
    }
    hello
}

/// A QUIC connection.
fn datagrams(
    host: &str,
    web: &Web,
    sizes: &[(u64, u64)],
    start: i64,
    how: &Circumstances,
    rng: &mut Rng,
) -> Vec<Datagram> {
    const FULL: u64 = 1232;
    let mut out = Vec::new();
    let trip = 2 * how.half;
    let (client, server) = quic::initials(host, rng);
    push(&mut out, start, UP, Content::bytes(client));
    let mut at = start + trip;
    push(&mut out, at, DOWN, Content::bytes(server));
    let hidden = web.chain.saturating_sub(1100).clamp(200, 2400);
    push(&mut out, at + MILLI, DOWN, quic::handshake(hidden.min(1200), rng));
    push(&mut out, at + 2 * MILLI, DOWN, quic::handshake((hidden / 2).clamp(90, 1100), rng));
    at += 3 * MILLI;
    push(&mut out, at, UP, quic::handshake(90, rng));
    for (ask, answer) in sizes {
        at += (rng.exponential(web.pause).min(3000.0) * MILLI as f64) as i64;
        push(&mut out, at, UP, quic::short((*ask).min(FULL), rng));
        at += trip + rng.range(1, 40) as i64 * MILLI;
        let mut left = *answer;
        while left > 0 {
            push(&mut out, at, DOWN, quic::short(left.min(FULL) + 20, rng));
            left -= left.min(FULL);
            at += 300_000 + (rng.exponential(how.jitter) * 1e5) as i64;
        }
        push(&mut out, at + MILLI, UP, quic::short(35, rng));
    }
    debug_assert!(out.last().is_none_or(|last| last.at < start + 3600 * SECOND));
    out
}
