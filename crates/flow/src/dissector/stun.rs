//! STUN and TURN: recognised by cookie or structure, one message each.

use ottoscope_wire::stun::attribute::kind;
use ottoscope_wire::stun::{ChannelData, Message, message};

use super::media::{self, Media};
use super::{Emit, Emitted, Match, Probe, Protocol};
use crate::model::{Body, Direction, NameSource, Transport};
use crate::time::Timestamp;

/// STUN and TURN over UDP, plain over TCP, or in frames over TCP.
pub static PROTOCOL: Protocol = Protocol {
    name: "stun",
    about: "Addresses seen from outside, connectivity checks and relays: STUN, ICE, TURN",
    reference: "RFC 3489, RFC 8489, RFC 8445, RFC 8656, RFC 4571",
    transports: &[Transport::Udp, Transport::Tcp],
    shared: true,
    // Over TCP a frame's length may come first (RFC 4571).
    first: |transport, byte| transport == Transport::Tcp || byte & 0x80 == 0,
    probe,
    open: || Box::new(Media::default()),
};

fn probe(probe: &Probe<'_>) -> Match {
    let bytes = probe.bytes;
    if probe.transport == Transport::Tcp {
        return probe_stream(bytes);
    }
    let known = Message::parse(bytes).is_ok()
        || is_relayed_media(bytes)
        // Without attributes, a classic request is proven by its answer only: `Media` waits.
        || Message::parse_classic(bytes).is_ok();
    if known { Match::Yes } else { Match::No }
}

/// A message's first eight bytes, alone or behind a frame's length that fits it.
fn probe_stream(bytes: &[u8]) -> Match {
    let plain = starts_message(bytes);
    let framed = match bytes.split_first_chunk::<2>() {
        Some((len, rest)) => match starts_message(rest) {
            Match::Yes => {
                let body = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
                let fits = usize::from(u16::from_be_bytes(*len)) == message::HEADER + body;
                if fits { Match::Yes } else { Match::No }
            }
            other => other,
        },
        None => Match::Maybe,
    };
    match (plain, framed) {
        (Match::Yes, _) | (_, Match::Yes) => Match::Yes,
        (Match::No, Match::No) => Match::No,
        _ => Match::Maybe,
    }
}

/// Whether a message with cookie starts here, as far as bytes are there.
fn starts_message(bytes: &[u8]) -> Match {
    let cookie = message::MAGIC_COOKIE.to_be_bytes();
    let have = bytes.get(4..).unwrap_or(&[]);
    let have = &have[..have.len().min(4)];
    let fits = bytes.first().is_none_or(|b| b & 0xc0 == 0)
        && bytes.get(3).is_none_or(|b| b.is_multiple_of(4))
        && cookie.starts_with(have);
    match (fits, have.len()) {
        (false, _) => Match::No,
        (true, 4) => Match::Yes,
        (true, _) => Match::Maybe,
    }
}

/// Whether ChannelData fills the datagram (padding aside) and holds something known.
fn is_relayed_media(bytes: &[u8]) -> bool {
    ChannelData::parse(bytes)
        .is_ok_and(|channel| bytes.len() - channel.size() < 4 && media::looks_known(channel.data))
}

/// Hands over one STUN message.
pub(super) fn emit(
    at: Timestamp,
    direction: Direction,
    message: &Message<'_>,
    bytes: &[u8],
    out: &mut Emit<'_>,
) {
    let realm = message.attributes().find(|a| a.kind == kind::REALM);
    if let Some(Ok(realm)) = realm.map(|a| std::str::from_utf8(a.value)) {
        out.server_name(realm, NameSource::Realm);
    }
    let emitted = Emitted {
        protocol: "stun",
        kind: message.name(),
        name: None,
        opcode: Some(message.kind.into()),
        sequence: None,
        len: message.size() as u64,
        head: bytes,
        body: Body::Fields(message),
    };
    out.message(at, direction, &emitted);
}
