//! QQ calls of 2012 and 2013: from packets to VP8 frames.
//!
//! Push what a flow carries into a [`Session`], take frames as they become whole. Nothing comes
//! out before the flow has proven itself ([`Score`]); then what was held comes first, so that no
//! frame is lost to the proof.

mod layout;
mod source;

use ottoscope_flow::dissector::qq_video::{Reader, Unit};
use ottoscope_flow::{Direction, Message, Span, Timestamp, Transport};
use ottoscope_wire::qq_video::media;

pub use ottoscope_flow::dissector::qq_video::Score;

use crate::{Frame, Stream};
use source::Source;

/// Sources kept in one flow.
const MAX_SOURCES: usize = 16;

/// How frames are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Width and height taken for key frames that come without, pixels (the paper, V: 320 by
    /// 240).
    pub assume_size: (u16, u16),
    /// Number of the first stream found. Streams are numbered in order of their first packets;
    /// a number is left out where a source turns out to be no stream.
    pub first_stream: u32,
    /// Datagrams that wait at most for one in front of them.
    pub reorder: usize,
    /// How long they wait at most.
    pub wait: Span,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            assume_size: (320, 240),
            first_stream: 0,
            reorder: 256,
            wait: Span::from_seconds(2),
        }
    }
}

/// What a flow turned out to be.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recovered {
    /// Why it is QQ video; nothing where it is not, and then all else is empty, too.
    pub accepted: Option<Score>,
    /// Its streams, by number.
    pub streams: Vec<Stream>,
    /// Packets of QQ's that belong to no stream: set-up, reports, sources that are none or
    /// beyond the limit.
    pub other: u64,
    /// Packets that are not QQ's.
    pub strangers: u64,
    /// Packets let go before the flow was accepted, since too many had to be held.
    pub forgotten: u64,
    /// The number that the next stream of the run may have.
    pub next_stream: u32,
}

/// One flow, both directions: packets in order of capture go in, frames come out as they become
/// whole, in order within a stream. What is held is bounded.
#[derive(Debug)]
pub struct Session {
    reader: Reader,
    core: Core,
}

/// What happens to packets of an accepted flow.
#[derive(Debug)]
struct Core {
    options: Options,
    sources: Vec<Source>,
    next_stream: u32,
    other: u64,
}

impl Session {
    /// Nothing seen yet.
    pub fn new(options: Options) -> Self {
        let core =
            Core { options, sources: Vec::new(), next_stream: options.first_stream, other: 0 };
        Session { reader: Reader::default(), core }
    }

    /// Takes a datagram. Frames that became whole go to `frames`.
    pub fn datagram(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        frames: &mut dyn FnMut(Frame),
    ) {
        let Session { reader, core } = self;
        reader.datagram(at, direction, bytes, &mut |unit| core.unit(unit, frames));
    }

    /// Takes in-order bytes of a TCP stream, best one segment at a time: where every segment
    /// begins a message, the end of the last one is known as well.
    pub fn bytes(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        frames: &mut dyn FnMut(Frame),
    ) {
        let Session { reader, core } = self;
        reader.bytes(at, direction, bytes, &mut |unit| core.unit(unit, frames));
    }

    /// So many bytes of a TCP stream will not come. How many changes nothing: what touches the
    /// hole is lost.
    pub fn gap(&mut self, direction: Direction, _missing: u64, frames: &mut dyn FnMut(Frame)) {
        let Session { reader, core } = self;
        reader.gap(direction, &mut |unit| core.unit(unit, frames));
    }

    /// Takes a message that the flow engine told, for whoever has a [`ottoscope_flow::Sink`] and
    /// no bytes: all messages of one flow whose protocol is `qq-video`, with
    /// [`ottoscope_flow::Config::video_packets`]. Others are ignored.
    pub fn message(&mut self, message: &Message<'_>, frames: &mut dyn FnMut(Frame)) {
        if message.protocol != ottoscope_flow::dissector::qq_video::PROTOCOL.name
            || message.head.is_empty()
        {
            return;
        }
        let (at, direction, bytes) = (message.at, message.direction, message.head);
        let Session { reader, core } = self;
        if message.flow.transport == Transport::Tcp {
            let open = message.kind == "open";
            reader.message(at, direction, bytes, open, &mut |unit| core.unit(unit, frames));
        } else {
            reader.datagram(at, direction, bytes, &mut |unit| core.unit(unit, frames));
        }
    }

    /// Whether the flow is accepted by now.
    pub fn is_accepted(&self) -> bool {
        self.reader.score().is_some()
    }

    /// What is known so far of a stream that frames have come of; counts are told at the end.
    pub fn stream(&self, number: u32) -> Option<&Stream> {
        self.core.sources.iter().map(|source| &source.stream).find(|s| s.number == number)
    }

    /// Whether it was decided that the flow is something else, and nothing more need be pushed.
    pub fn is_refused(&self) -> bool {
        self.reader.is_refused()
    }

    /// The flow has ended.
    pub fn finish(mut self, frames: &mut dyn FnMut(Frame)) -> Recovered {
        let Session { reader, core } = &mut self;
        reader.finish(&mut |unit| core.unit(unit, frames));
        let Session { reader, core } = self;
        let mut recovered = Recovered {
            accepted: reader.score().copied(),
            streams: Vec::new(),
            other: core.other,
            strangers: reader.strangers(),
            forgotten: reader.forgotten(),
            next_stream: core.next_stream,
        };
        for source in core.sources {
            match source.finish(frames) {
                Ok(stream) => recovered.streams.push(stream),
                Err(packets) => recovered.other += packets,
            }
        }
        recovered
    }
}

impl Core {
    fn unit(&mut self, unit: &Unit<'_>, frames: &mut dyn FnMut(Frame)) {
        let packet = unit.packet;
        let kind = packet.media();
        // What has the type but not the flag of video is something else.
        let Some(content) = packet.content().filter(|_| kind != media::VIDEO || packet.is_video())
        else {
            self.other += 1;
            return;
        };
        let is_its = |source: &Source| source.is_of(unit.direction, kind, content.rtp.ssrc);
        let place = match self.sources.iter().position(is_its) {
            Some(place) => place,
            None => {
                if self.sources.len() >= MAX_SOURCES && !self.make_room() {
                    self.other += 1;
                    return;
                }
                let number = self.next_stream;
                self.next_stream += 1;
                let Unit { at, direction, .. } = *unit;
                let options = &self.options;
                self.sources.push(Source::new(number, at, direction, packet, content, options));
                self.sources.len() - 1
            }
        };
        self.sources[place].take(unit.at, packet, content, unit.open, frames);
    }

    /// Forgets the oldest source of too few packets: what looks like QQ's by chance must not
    /// shut out what is.
    fn make_room(&mut self) -> bool {
        let Some(place) = self.sources.iter().position(Source::is_slight) else { return false };
        self.other += self.sources.remove(place).stream.packets;
        true
    }
}

#[cfg(test)]
mod engine_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
