//! Protocol packets told from continuations, and both put together to messages.
//!
//! Two ways: the paper's (III-A2 ii), by how packets are segmented, and [`framed()`], by a length
//! field that is known. Datagrams are messages already.

mod framed;
mod order;
mod search;

use hashbrown::HashMap;
use ottoscope_flow::{Timestamp, Transport};

use crate::params::Params;
use crate::samples::{Cuts, Sample, Samples};

pub use framed::{Framing, framed, framed_but};
use order::{Piece, order};
pub use search::{Found, search};

/// Messages, in order of the time of their first packet.
#[derive(Debug, Clone, Default)]
pub struct Messages {
    /// One sample a message: `len` counts the bytes of the whole message, `head` is its start.
    pub samples: Samples,
    /// Index of the packet that each message begins in.
    pub first: Vec<u32>,
    /// How many packets carry each message.
    pub packets: Vec<u32>,
    /// When the last of them was seen.
    pub ended: Vec<Timestamp>,
    /// Bytes of each message that were not seen.
    pub missing: Vec<u64>,
    /// The message that each packet begins or goes on with, the first where it is of several;
    /// `None` for retransmissions and for what belongs to no message.
    pub of_packet: Vec<Option<u32>>,
    /// What was found on the way.
    pub statistics: Statistics,
}

/// How packets became messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Packets that begin a message.
    pub protocol: usize,
    /// Packets that only go on with one.
    pub continuations: usize,
    /// Packets before the first message of their flow and direction, or after a place that was
    /// lost.
    pub orphans: usize,
    /// Packets all of whose bytes were seen before.
    pub retransmitted: usize,
    /// Packets some of whose bytes were seen before.
    pub overlapping: usize,
    /// Holes in the streams, and the bytes in them.
    pub gaps: usize,
    /// See `gaps`.
    pub missing: u64,
    /// Messages that end in a hole, or with the capture.
    pub incomplete: usize,
    /// Packets in which at least one more message begins behind the bytes kept of it.
    pub hidden: usize,
    /// How often the place was found again after it was lost.
    pub found_again: usize,
}

/// A message while it is put together.
#[derive(Debug, Clone, Copy)]
struct Open {
    packet: u32,
    flow: u32,
    at: Timestamp,
    ended: Timestamp,
    /// Where it begins in its first packet.
    offset: u32,
    /// Bytes of the whole.
    len: u64,
    /// Bytes seen.
    seen: u64,
    packets: u32,
}

impl Open {
    fn new(piece: &Piece, offset: u32, len: u64) -> Self {
        let Piece { packet, flow, at, .. } = *piece;
        Open { packet, flow, at, ended: at, offset, len, seen: 0, packets: 1 }
    }
}

/// Orders messages by time and fills what is told of each packet.
fn collect(
    samples: &Samples,
    messages: &[Open],
    of_packet: Vec<Option<u32>>,
    statistics: Statistics,
) -> Messages {
    let mut order: Vec<u32> = (0..messages.len() as u32).collect();
    order.sort_unstable_by_key(|index| {
        let message = &messages[*index as usize];
        (message.at, message.packet, message.offset)
    });
    let mut place = vec![0; messages.len()];
    let mut out = Messages { statistics, ..Messages::default() };
    for flow in samples.flows() {
        out.samples.flow(flow.clone());
    }
    for (rank, index) in order.iter().enumerate() {
        let message = &messages[*index as usize];
        let packet = samples.get(message.packet as usize);
        let bytes = samples.bytes(message.packet as usize);
        let offset = (message.offset as usize).min(bytes.len());
        let known = message.len.min((bytes.len() - offset) as u64) as usize;
        out.samples.push(Sample {
            at: message.at,
            flow: message.flow as usize,
            sequence: None,
            len: message.len,
            head: &bytes[offset..offset + known],
            ..packet
        });
        place[*index as usize] = rank as u32;
        out.first.push(message.packet);
        out.packets.push(message.packets);
        out.ended.push(message.ended);
        out.missing.push(message.len.saturating_sub(message.seen));
        out.statistics.incomplete += usize::from(message.seen < message.len);
    }
    out.of_packet = of_packet.into_iter().map(|message| Some(place[message? as usize])).collect();
    out
}

/// Samples that are messages already, in order of time.
pub fn whole(samples: &Samples) -> Messages {
    let count = samples.len();
    Messages {
        samples: samples.clone(),
        first: (0..count as u32).collect(),
        packets: vec![1; count],
        ended: samples.iter().map(|sample| sample.at).collect(),
        missing: vec![0; count],
        of_packet: (0..count as u32).map(Some).collect(),
        statistics: Statistics { protocol: count, ..Statistics::default() },
    }
}

/// The paper's way: packets of a segmentation that covers [`Params::segmentation_coverage`] of
/// TCP packets are protocol packets, and each other packet goes on with the protocol packet before
/// it in its flow and direction.
///
/// `cuts` has the segmentation of every sample. Bytes in holes are not counted.
pub fn by_segmentation(samples: &Samples, cuts: &[Cuts], params: &Params) -> Messages {
    let tcp = |flow: usize| samples.flows()[flow].transport == Transport::Tcp;
    let mut groups: HashMap<Cuts, usize> = HashMap::new();
    let mut total = 0usize;
    for (sample, cuts) in samples.iter().zip(cuts) {
        if tcp(sample.flow) {
            *groups.entry(*cuts).or_default() += 1;
            total += 1;
        }
    }
    let least = params.segmentation_coverage * total as f64;
    let is_protocol = |piece: &Piece| {
        let cuts = cuts.get(piece.packet as usize);
        let group = cuts.and_then(|cuts| groups.get(cuts)).copied().unwrap_or(0);
        piece.skip == 0 && group as f64 > least
    };
    let ordered = order(samples);
    let mut statistics = ordered.statistics();
    let mut of_packet = vec![None; samples.len()];
    let mut messages: Vec<Open> = Vec::new();
    let mut open = false;
    for piece in &ordered.pieces {
        let datagram = !tcp(piece.flow as usize);
        open &= piece.follows;
        if datagram || is_protocol(piece) {
            statistics.protocol += 1;
            messages.push(Open::new(piece, 0, 0));
            open = !datagram;
        } else if open {
            statistics.continuations += 1;
        } else {
            statistics.orphans += 1;
            continue;
        }
        let Some(message) = messages.last_mut() else { continue };
        if message.packet != piece.packet {
            message.packets += 1;
        }
        message.len += u64::from(piece.len);
        message.seen = message.len;
        message.ended = message.ended.max(piece.at);
        of_packet[piece.packet as usize] = Some(messages.len() as u32 - 1);
    }
    collect(samples, &messages, of_packet, statistics)
}

impl order::Ordered {
    fn statistics(&self) -> Statistics {
        Statistics {
            retransmitted: self.retransmitted,
            overlapping: self.overlapping,
            gaps: self.gaps,
            missing: self.missing,
            ..Statistics::default()
        }
    }
}
