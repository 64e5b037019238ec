//! QQ video of 2012 and 2013 (Chen, Yuan, Xue 2013): told by a score, over UDP and TCP.
//!
//! First bytes alone are worthless: Zoom, WireGuard and Viber begin with `05` and `04`, too. A
//! flow on trial is read like any other, and named only once the [`Score`] is enough. Over UDP
//! it shares its ports with STUN and the rest of a call, so that [`Media`] reads the flow and
//! asks a [`Reader`] for what is QQ's own.

mod evidence;
mod reader;
mod score;
mod splitter;

use ottoscope_wire::qq_video::media;
use ottoscope_wire::{Fields, Value};

pub use reader::{Reader, Unit, Units};
pub use score::{ENOUGH, MIN_PACKETS, Score};
pub use splitter::PROOF;

pub(in crate::dissector) use reader::may_be_datagram;

use super::media::Media;
use super::{Dissector, Emit, Emitted, Match, Probe, Progress, Protocol};
use crate::model::{Body, Direction, Transport};
use crate::time::Timestamp;

/// QQ video.
pub static PROTOCOL: Protocol = Protocol {
    name: "qq-video",
    about: "Video of QQ 2012 and 2013, told by running numbers and VP8 frames; audio beside it",
    reference: "Chen, Yuan, Xue: The Mechanism of Tencent QQ Video Communication (2013)",
    transports: &[Transport::Udp, Transport::Tcp],
    shared: true,
    // Over TCP the capture may begin within a message.
    first: |transport, byte| transport == Transport::Tcp || matches!(byte, 0x04 | 0x05),
    probe,
    open: || Box::new(QqVideo::default()),
};

/// Bytes of a stream that are looked through for a message: a segment.
const LOOK: usize = 1500;

fn probe(probe: &Probe<'_>) -> Match {
    let may = match probe.transport {
        Transport::Tcp => reader::may_be_stream(&probe.bytes[..probe.bytes.len().min(LOOK)]),
        _ => may_be_datagram(probe.bytes),
    };
    if may { Match::Yes } else { Match::No }
}

/// A flow that may be QQ video.
#[derive(Debug, Default)]
struct QqVideo {
    /// UDP: all that a call has on its ports.
    media: Media,
    /// TCP.
    stream: Teller,
}

impl Dissector for QqVideo {
    fn data(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) -> Progress {
        if out.transport != Transport::Tcp {
            return self.media.data(at, direction, bytes, out);
        }
        self.stream.bytes(at, direction, bytes, out);
        if self.stream.is_refused() { Progress::NotMine } else { Progress::Used(bytes.len()) }
    }

    fn gap(&mut self, direction: Direction, _missing: u64, out: &mut Emit<'_>) -> Progress {
        self.stream.gap(direction, out);
        if self.stream.is_refused() { Progress::NotMine } else { Progress::Used(0) }
    }

    fn close(&mut self, at: Timestamp, out: &mut Emit<'_>) {
        self.media.close(at, out);
        self.stream.close(at, out);
    }
}

/// Tells of a flow what its [`Reader`] finds.
#[derive(Debug, Default)]
pub(super) struct Teller {
    reader: Reader,
    /// Whether the acceptance was told.
    told: bool,
    counts: Counts,
}

impl Teller {
    pub(super) fn is_refused(&self) -> bool {
        self.reader.is_refused()
    }

    pub(super) fn is_accepted(&self) -> bool {
        self.reader.score().is_some()
    }

    pub(super) fn datagram(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) -> bool {
        let Teller { reader, counts, .. } = self;
        let known = reader.datagram(at, direction, bytes, &mut |unit| tell(unit, counts, out));
        self.accept(at, direction, out);
        known
    }

    fn bytes(&mut self, at: Timestamp, direction: Direction, bytes: &[u8], out: &mut Emit<'_>) {
        let Teller { reader, counts, .. } = self;
        reader.bytes(at, direction, bytes, &mut |unit| tell(unit, counts, out));
        self.accept(at, direction, out);
    }

    fn gap(&mut self, direction: Direction, out: &mut Emit<'_>) {
        let Teller { reader, counts, .. } = self;
        reader.gap(direction, &mut |unit| tell(unit, counts, out));
    }

    pub(super) fn close(&mut self, at: Timestamp, out: &mut Emit<'_>) {
        let Teller { reader, counts, .. } = self;
        reader.finish(&mut |unit| tell(unit, counts, out));
        self.accept(at, Direction::Up, out);
        if self.is_accepted() {
            let counts = self.counts;
            emit(at, Direction::Up, "summary", &counts, out);
        }
    }

    /// Names the flow and says why, once.
    fn accept(&mut self, at: Timestamp, direction: Direction, out: &mut Emit<'_>) {
        let Some(score) = self.reader.score().filter(|_| !self.told) else { return };
        self.told = true;
        out.facts.protocol = PROTOCOL.name;
        emit(at, direction, "accepted", score, out);
    }
}

/// Packets by media type.
#[derive(Debug, Default, Clone, Copy)]
struct Counts([u64; 5]);

impl Fields for Counts {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        for (kind, count) in (0..).zip(self.0) {
            if count > 0 {
                each(media::name(kind), Value::Number(count));
            }
        }
    }
}

/// Hands over what is told of the flow as a whole.
fn emit(at: Timestamp, direction: Direction, kind: &str, fields: &dyn Fields, out: &mut Emit<'_>) {
    let emitted = Emitted {
        protocol: PROTOCOL.name,
        kind,
        name: None,
        opcode: None,
        sequence: None,
        len: 0,
        head: &[],
        body: Body::Fields(fields),
    };
    out.message(at, direction, &emitted);
}

/// Hands a packet over, where every packet is asked for.
fn tell(unit: &Unit<'_>, counts: &mut Counts, out: &mut Emit<'_>) {
    let kind = unit.packet.media();
    if let Some(count) = counts.0.get_mut(usize::from(kind)) {
        *count += 1;
    }
    if !out.every_packet {
        return;
    }
    let emitted = Emitted {
        protocol: PROTOCOL.name,
        // A message whose end nothing tells is not to be taken for a whole one.
        kind: if unit.open { "open" } else { media::name(kind) },
        name: None,
        opcode: Some(kind.into()),
        sequence: unit
            .packet
            .number()
            .or_else(|| unit.packet.content().map(|content| content.rtp.sequence.into())),
        len: unit.bytes.len() as u64,
        head: unit.bytes,
        body: Body::Fields(unit.packet),
    };
    out.message(unit.at, unit.direction, &emitted);
}

#[cfg(test)]
mod tests;
