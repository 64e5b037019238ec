//! QUIC: Initial packets that can be opened, then opaque ones (RFC 9000, 17.2.2 and 17.3.1).

use std::collections::VecDeque;

use ottoscope_wire::quic::{Frame, KeyPair};
use ottoscope_wire::tls::{Carrier, ClientHelloRepr, Handshake, ServerHelloRepr, handshake_type};

use super::MILLI;
use crate::content::Content;
use crate::context::{Context, Owner, Target};
use crate::flow::Datagram;
use crate::rng::{Rng, fill};
use crate::tcp::{DOWN, UP};

const V1: u32 = 1;
/// RFC 9000, 14.1: a client's Initial fills this at least.
const MINIMUM: usize = 1200;
/// Payload of a full packet.
const FULL: u64 = 1252;
/// A sealed packet is its payload, a header of these bytes (ids of 8 and 8, no token), number and tag.
const AROUND: usize = 1 + 4 + 9 + 9 + 1 + 2 + 4 + 16;

/// One connection with the given requests and responses.
pub(crate) fn talk(
    cx: &mut Context<'_>,
    user: u32,
    target: &Target,
    owner: &Owner,
    (name, start): (&str, i64),
    sizes: &[(u64, u64)],
    rng: &mut Rng,
) {
    let half = cx.users[user as usize].half;
    let spacing = (8000.0 / cx.scenario.network.down_mbps * 1300.0) as i64;
    let mut packets = VecDeque::new();
    let mut push = |at: i64, side: usize, content: Content| {
        packets.push_back(Datagram { at, side, content, mark: None });
    };
    let mut at = start + half;
    let (client, server) = initials(name, rng);
    push(at, UP, Content::bytes(client));
    at += target.rtt + rng.range(200_000, 4_000_000) as i64;
    push(at, DOWN, Content::bytes(server));
    push(at + spacing, DOWN, handshake(1200, rng));
    push(at + 2 * spacing, DOWN, handshake(rng.range(500, 900), rng));
    at += 2 * spacing + 2 * half;
    push(at, UP, handshake(90, rng));
    for (request, response) in sizes {
        at += rng.range(1, 300) as i64 * MILLI;
        push(at, UP, short(*request, rng));
        at += target.rtt + rng.range(2, 60) as i64 * MILLI;
        let mut left = *response;
        let mut sent = 0u32;
        while left > 0 {
            let len = left.min(FULL - 20);
            left -= len;
            push(at, DOWN, short(len + 20, rng));
            at += spacing;
            sent += 1;
            // The client acknowledges every eighth packet, one round trip on, and the server
            // waits for it.
            if sent.is_multiple_of(8) && left > 0 {
                at += 2 * half;
                push(at, UP, short(33, rng));
                at += target.rtt;
            }
        }
        at += 2 * half;
        push(at, UP, short(35, rng));
    }
    cx.udp(user, None, target, owner, Box::new(packets), rng);
}

/// The client's and the server's first packets.
pub(crate) fn initials(name: &str, rng: &mut Rng) -> (Vec<u8>, Vec<u8>) {
    let mut random = [0; 32];
    fill(rng.next(), 0, &mut random);
    let (destination, source) = (rng.next().to_be_bytes(), rng.next().to_be_bytes());
    let mut body = Vec::new();
    ClientHelloRepr::new(Carrier::Quic, name, &["h3"], random).emit(&mut body);
    let mut hello = Vec::new();
    Handshake { kind: handshake_type::CLIENT_HELLO, body: &body }.emit(&mut hello);
    let mut frames = Vec::new();
    Frame::Crypto { offset: 0, data: &hello }.emit(&mut frames);
    frames.resize(frames.len().max(MINIMUM - AROUND), 0);
    let (mut client, mut server) = (Vec::new(), Vec::new());
    // Version 1 is known, so there are keys.
    if let Some(keys) = KeyPair::derive(V1, &destination) {
        keys.client.seal(V1, (&destination, &source), &[], 0, &frames, &mut client);
        body.clear();
        hello.clear();
        frames.clear();
        ServerHelloRepr::tls13(random, &[]).emit(&mut body);
        Handshake { kind: handshake_type::SERVER_HELLO, body: &body }.emit(&mut hello);
        Frame::Ack(0).emit(&mut frames);
        Frame::Crypto { offset: 0, data: &hello }.emit(&mut frames);
        frames.resize(frames.len().max(MINIMUM - AROUND), 0);
        keys.server.seal(V1, (&source, &destination), &[], 0, &frames, &mut server);
    }
    (client, server)
}

/// A Handshake packet, whose contents nobody between can read.
pub(crate) fn handshake(len: u64, rng: &mut Rng) -> Content {
    let mut head = vec![0xe0 | rng.below(16) as u8, 0, 0, 0, 1, 8];
    head.extend(rng.next().to_be_bytes());
    head.push(8);
    head.extend(rng.next().to_be_bytes());
    head.extend([0x40 | (len >> 8) as u8, len as u8]);
    Content::opaque(head, len, rng.next())
}

/// A short-header packet.
pub(crate) fn short(len: u64, rng: &mut Rng) -> Content {
    Content::opaque([0x40 | rng.below(64) as u8], len.min(FULL), rng.next())
}
