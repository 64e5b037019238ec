//! RTP and RTCP: streams by source, told from chance by running numbers, measured as they go.
//!
//! Kept by direction and source, not by payload type too: numbers run on where a source
//! changes its payload type (comfort noise, digits), so loss is one number per source. The
//! packets of each type are counted.

use ottoscope_wire::rtcp::{self, Compound};
use ottoscope_wire::rtp::Packet;

use super::media::Media;
use super::rtp_stream::RtpStream;
use super::{Emit, Emitted, Match, Protocol};
use crate::model::{Body, Direction, Transport};
use crate::time::Timestamp;

/// RTP, with or without STUN, DTLS and RTCP beside it.
pub static PROTOCOL: Protocol = Protocol {
    name: "rtp",
    about: "Media in real time: packets, loss, jitter by source; also inside TURN",
    reference: "RFC 3550, RFC 3551, RFC 3711, RFC 7983",
    transports: &[Transport::Udp],
    shared: true,
    first: |_, byte| byte & 0xef == 0x80,
    probe: |probe| if may_start(probe.bytes) { Match::Yes } else { Match::No },
    open: || Box::new(Media::default()),
};

/// RTCP on a port of its own.
pub static RTCP: Protocol = Protocol {
    name: "rtcp",
    about: "Reports on media streams",
    reference: "RFC 3550, RFC 3711, RFC 5761",
    transports: &[Transport::Udp],
    shared: true,
    first: |_, byte| byte >> 6 == 2,
    probe: |probe| if Compound::new(probe.bytes).is_valid() { Match::Yes } else { Match::No },
    open: || Box::new(Media::default()),
};

/// Packets with running numbers that make a stream.
const PROOF: u32 = 4;
/// The same where STUN or DTLS passed between the same ends.
const PROOF_SIGNALLED: u32 = 2;
/// Streams kept per flow; conferences of dozens send each on its own source.
const MAX_STREAMS: usize = 64;
/// Sources on trial at a time.
const MAX_CANDIDATES: usize = 8;
/// Packets that no source on trial can explain before the flow is not RTP.
const MAX_STRANGERS: u32 = 4;

/// Whether a first packet may be RTP: it never proves it.
pub(super) fn may_start(bytes: &[u8]) -> bool {
    let plain = bytes.first().is_some_and(|b| b & 0xef == 0x80);
    plain && Packet::parse(bytes).is_ok_and(|p| plausible(&p))
}

/// Whether a packet's fields are such as RTP has: a payload, a source, and no type that would
/// be RTCP's (RFC 5761 4).
fn plausible(packet: &Packet<'_>) -> bool {
    !packet.payload.is_empty() && packet.ssrc != 0 && !(64..96).contains(&packet.payload_type)
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It belongs to an accepted stream.
    Stream,
    /// It may be of one: wait.
    Trial,
    /// It is not RTP.
    Stranger,
}

/// The streams of one flow.
#[derive(Debug, Default)]
pub(super) struct Streams {
    accepted: Vec<RtpStream>,
    trial: Vec<RtpStream>,
    strangers: u32,
    /// Packets of sources beyond the limit.
    ignored: u64,
}

impl Streams {
    /// Whether some stream was accepted.
    pub(super) fn any(&self) -> bool {
        !self.accepted.is_empty()
    }

    /// Whether too much speaks against RTP.
    pub(super) fn hopeless(&self) -> bool {
        self.accepted.is_empty() && self.strangers >= MAX_STRANGERS
    }

    /// Takes a datagram that may be RTP.
    pub(super) fn packet(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        signalled: bool,
        out: &mut Emit<'_>,
    ) -> Verdict {
        let Ok(packet) = Packet::parse(bytes) else { return self.stranger() };
        let same = |s: &&mut RtpStream| s.ssrc == packet.ssrc && s.direction == direction;
        if let Some(stream) = self.accepted.iter_mut().find(same) {
            stream.take(at, &packet);
            if out.every_packet {
                emit_packet(at, direction, &packet, bytes, out);
            }
            return Verdict::Stream;
        }
        if !plausible(&packet) {
            return self.stranger();
        }
        let Some(place) =
            self.trial.iter().position(|s| s.ssrc == packet.ssrc && s.direction == direction)
        else {
            if self.trial.len() >= MAX_CANDIDATES {
                self.trial.remove(0);
                self.strangers += 1;
            }
            self.trial.push(RtpStream::start(at, direction, &packet));
            return Verdict::Trial;
        };
        let stream = &mut self.trial[place];
        if !stream.continues(at, &packet) {
            // The same packet again says nothing; any other speaks against it.
            if stream.repeats(&packet) {
                return Verdict::Trial;
            }
            self.trial.remove(place);
            return self.stranger();
        }
        stream.take(at, &packet);
        let proof = if signalled || self.any() { PROOF_SIGNALLED } else { PROOF };
        if u64::from(proof) > self.trial[place].packets {
            return Verdict::Trial;
        }
        let stream = self.trial.remove(place);
        if self.accepted.len() >= MAX_STREAMS {
            self.ignored += stream.packets;
            return Verdict::Stranger;
        }
        self.accepted.push(stream);
        if out.every_packet {
            emit_packet(at, direction, &packet, bytes, out);
        }
        Verdict::Stream
    }

    fn stranger(&mut self) -> Verdict {
        self.strangers = self.strangers.saturating_add(1);
        Verdict::Stranger
    }

    /// Hands over the streams at the flow's end.
    pub(super) fn close(&mut self, out: &mut Emit<'_>) {
        for stream in std::mem::take(&mut self.accepted) {
            let emitted = Emitted {
                protocol: "rtp",
                kind: "stream",
                name: None,
                opcode: Some(stream.payload_type().into()),
                sequence: None,
                len: stream.payload_bytes,
                head: &[],
                body: Body::RtpStream(&stream),
            };
            out.message(stream.last, stream.direction, &emitted);
        }
    }
}

fn emit_packet(
    at: Timestamp,
    direction: Direction,
    packet: &Packet<'_>,
    bytes: &[u8],
    out: &mut Emit<'_>,
) {
    let emitted = Emitted {
        protocol: "rtp",
        kind: "packet",
        name: None,
        opcode: Some(packet.payload_type.into()),
        sequence: Some(packet.sequence.into()),
        len: bytes.len() as u64,
        head: bytes,
        body: Body::Fields(packet),
    };
    out.message(at, direction, &emitted);
}

/// Hands over the packets of an RTCP datagram, or what SRTCP shows of it.
pub(super) fn emit_rtcp(at: Timestamp, direction: Direction, bytes: &[u8], out: &mut Emit<'_>) {
    let mut emit = |kind: &str, code: u8, head: &[u8], body: Body<'_>| {
        let emitted = Emitted {
            protocol: "rtcp",
            kind,
            name: None,
            opcode: Some(code.into()),
            sequence: None,
            len: head.len() as u64,
            head,
            body,
        };
        out.message(at, direction, &emitted);
    };
    let compound = Compound::new(bytes);
    if compound.is_whole() {
        let mut rest = bytes;
        for packet in compound {
            let (head, tail) = rest.split_at(packet.size());
            emit(packet.name(), packet.kind, head, Body::Fields(&packet));
            rest = tail;
        }
    } else if let Ok(encrypted) = rtcp::Encrypted::parse(bytes) {
        emit("encrypted", encrypted.kind, bytes, Body::Fields(&encrypted));
    }
}
