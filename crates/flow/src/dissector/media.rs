//! What shares the ports of a call: STUN, TURN, DTLS, RTP and RTCP, told apart by the first
//! byte (RFC 7983) and then by proof, each also inside TURN.
//!
//! One reader for the whole flow, since a call's packets of all these kinds run between the
//! same ends. It names the flow by the best of them: RTP, else RTCP, else DTLS, else STUN.

use ottoscope_wire::rtcp;
use ottoscope_wire::stun::{ChannelData, Class, Message, message};

use super::dtls::{self, Dtls};
use super::qq_video::{self, Teller};
use super::rtp::{Streams, Verdict, emit_rtcp, may_start};
use super::{Dissector, Emit, Progress, stun};
use crate::model::{Direction, Transport};
use crate::time::Timestamp;

/// TURN may wrap STUN, which may wrap no further.
const MAX_DEPTH: u32 = 2;
/// Packets without proof after which the flow is something else.
const PATIENCE: u32 = 16;

/// Whether a relayed payload looks like one of ours: a hint, since the ends chose what to relay.
pub(super) fn looks_known(bytes: &[u8]) -> bool {
    Message::parse(bytes).is_ok()
        || dtls::is_records(bytes)
        || rtcp::looks_like(bytes)
        || may_start(bytes)
}

/// Reads one flow of media.
#[derive(Debug, Default)]
pub struct Media {
    /// A STUN message with cookie, or an answered classic one, was seen.
    stun: bool,
    /// Transaction of a classic request that waits for its proof.
    classic: Option<[u8; 16]>,
    dtls: Option<Box<Dtls>>,
    /// RTCP was seen that proves itself.
    rtcp: bool,
    streams: Streams,
    qq: Qq,
    /// Packets so far, counted until there is proof.
    packets: u32,
    framing: Framing,
}

/// QQ's own packets, which run between the same ends as its STUN.
#[derive(Debug, Default)]
enum Qq {
    #[default]
    Unseen,
    /// On trial, or accepted.
    Seen(Box<Teller>),
    Refused,
}

impl Qq {
    fn is_accepted(&self) -> bool {
        matches!(self, Qq::Seen(teller) if teller.is_accepted())
    }

    fn is_on_trial(&self) -> bool {
        matches!(self, Qq::Seen(teller) if !teller.is_accepted())
    }
}

/// How messages are cut out of a TCP stream.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Framing {
    #[default]
    Unknown,
    /// STUN and ChannelData tell their own length (RFC 8489 6.2.2).
    Plain,
    /// Each behind its length in two bytes (RFC 4571).
    Frames,
}

impl Dissector for Media {
    fn data(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) -> Progress {
        let progress = if out.transport == Transport::Tcp {
            self.stream(at, direction, bytes, out)
        } else {
            self.packets = self.packets.saturating_add(1);
            let known = self.datagram(at, direction, bytes, 0, out);
            // A QQ call on trial may have strangers beside it, and counts them itself.
            if self.proven() || self.qq.is_on_trial() {
                Progress::Used(bytes.len())
            } else if !known || self.streams.hopeless() || self.packets >= PATIENCE {
                Progress::NotMine
            } else {
                Progress::Used(bytes.len())
            }
        };
        self.name(out);
        progress
    }

    fn gap(&mut self, _direction: Direction, _missing: u64, out: &mut Emit<'_>) -> Progress {
        self.streams.close(out);
        Progress::Done
    }

    fn close(&mut self, at: Timestamp, out: &mut Emit<'_>) {
        self.streams.close(out);
        if let Qq::Seen(teller) = &mut self.qq {
            teller.close(at, out);
        }
    }
}

impl Media {
    fn proven(&self) -> bool {
        self.stun || self.rtcp || self.dtls.is_some() || self.streams.any() || self.qq.is_accepted()
    }

    fn name(&self, out: &mut Emit<'_>) {
        if self.qq.is_accepted() {
            out.facts.protocol = qq_video::PROTOCOL.name;
        } else if self.streams.any() {
            out.facts.protocol = "rtp";
        } else if self.rtcp {
            out.facts.protocol = "rtcp";
        } else if self.dtls.is_some() {
            out.facts.protocol = "dtls";
        } else if self.stun {
            out.facts.protocol = "stun";
        }
    }

    /// Reads one datagram, or what one relayed; says whether it was known.
    fn datagram(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        depth: u32,
        out: &mut Emit<'_>,
    ) -> bool {
        match bytes.first() {
            Some(4 | 5) if depth == 0 && self.qq(at, direction, bytes, out) => true,
            Some(0..=63) if self.stun(at, direction, bytes, depth, out) => true,
            Some(20..=63) => self.dtls(at, direction, bytes, out),
            Some(64..=127) => self.channel(at, direction, bytes, depth, out),
            Some(128..=191) => self.rtp(at, direction, bytes, out),
            _ => false,
        }
    }

    fn qq(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) -> bool {
        if matches!(self.qq, Qq::Unseen) && qq_video::may_be_datagram(bytes) {
            self.qq = Qq::Seen(Box::default());
        }
        let Qq::Seen(teller) = &mut self.qq else { return false };
        let known = teller.datagram(at, direction, bytes, out);
        if teller.is_refused() {
            self.qq = Qq::Refused;
            return false;
        }
        known
    }

    fn stun(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        depth: u32,
        out: &mut Emit<'_>,
    ) -> bool {
        let message = match Message::parse(bytes) {
            Ok(message) => {
                self.stun = true;
                message
            }
            Err(_) => {
                let Ok(message) = Message::parse_classic(bytes) else { return false };
                let answers = message.class() != Class::Request
                    && self.classic.as_ref().is_some_and(|id| id == message.id);
                self.stun |= answers || message.attributes().next().is_some();
                self.classic.get_or_insert(*message.id);
                message
            }
        };
        if let Some(data) = message.data().filter(|_| depth < MAX_DEPTH) {
            let known = self.datagram(at, direction, data, depth + 1, out);
            if known && self.streams.any() && !out.every_packet {
                return true; // one row per relayed packet would say nothing
            }
        }
        stun::emit(at, direction, &message, bytes, out);
        true
    }

    fn channel(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        depth: u32,
        out: &mut Emit<'_>,
    ) -> bool {
        match ChannelData::parse(bytes) {
            Ok(channel) if depth < MAX_DEPTH => {
                self.datagram(at, direction, channel.data, depth + 1, out) || self.stun
            }
            _ => false,
        }
    }

    fn dtls(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) -> bool {
        if let Some(dtls) = &mut self.dtls {
            dtls.datagram(at, direction, bytes, out);
            return true;
        }
        if !dtls::is_records(bytes) {
            return false;
        }
        self.dtls.insert(Box::default()).datagram(at, direction, bytes, out);
        true
    }

    fn rtp(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) -> bool {
        if rtcp::looks_like(bytes) {
            let valid = rtcp::Compound::new(bytes).is_valid();
            self.rtcp |= valid;
            if valid || self.proven() {
                emit_rtcp(at, direction, bytes, out);
                return true;
            }
            return false;
        }
        let signalled = self.stun || self.dtls.is_some();
        self.streams.packet(at, direction, bytes, signalled, out) != Verdict::Stranger
    }

    /// Cuts messages out of a TCP stream.
    fn stream(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) -> Progress {
        if self.framing == Framing::Unknown {
            if bytes.len() < message::HEADER {
                return Progress::Used(0);
            }
            let cookie = message::MAGIC_COOKIE.to_be_bytes();
            self.framing = match (bytes[4..8] == cookie, bytes[6..10] == cookie) {
                (true, _) => Framing::Plain,
                (false, true) => Framing::Frames,
                _ => return Progress::NotMine,
            };
        }
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            let Some(head) = rest.first_chunk::<4>() else { return Progress::Used(used) };
            let (skip, size) = match self.framing {
                Framing::Frames => (2, usize::from(u16::from_be_bytes([head[0], head[1]]))),
                _ => {
                    let body = usize::from(u16::from_be_bytes([head[2], head[3]]));
                    match head[0] {
                        0..=63 => (0, message::HEADER + body),
                        // ChannelData is padded to four bytes in streams (RFC 8656 12.5).
                        64..=127 => (0, 4 + body.next_multiple_of(4)),
                        _ => {
                            self.streams.close(out);
                            return Progress::Done;
                        }
                    }
                }
            };
            let Some(whole) = rest.get(skip..skip + size) else { return Progress::Used(used) };
            self.datagram(at, direction, whole, 0, out);
            used += skip + size;
        }
    }
}

#[cfg(test)]
mod tests;
