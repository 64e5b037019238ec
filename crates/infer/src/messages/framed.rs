//! Messages framed by their length field.
//!
//! A length that is known tells where the next message begins, so that nothing has to be guessed
//! of the packets between. The place is lost in a hole that reaches beyond a message, and behind a
//! message whose start lies in bytes that were not kept; the next packet that starts with a
//! header is taken again.

use std::ops::Range;

use ottoscope_flow::Transport;
use ottoscope_flow::signature::number;

use super::order::{Ordered, Piece, order};
use super::{Messages, Open, Statistics, collect};
use crate::fields::{Field, Kind};
use crate::samples::Samples;

/// What tells a message's start and end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Framing {
    /// Bytes of the length field, eight at most.
    pub length: Range<usize>,
    /// Little-endian.
    pub little: bool,
    /// Message bytes = value + `add`.
    pub add: i64,
    /// Offsets and values of bytes that every message has.
    pub fixed: Vec<(usize, u8)>,
    /// Bytes of the header.
    pub header: usize,
    /// Longest message; a longer length is no header.
    pub longest: u64,
}

/// Least confidence of a length that messages are framed by.
const SURE: f32 = 0.5;
/// Longest message where none was seen.
const LONGEST: u64 = 1 << 26;

impl Framing {
    /// From typed fields of the samples in `members`; `None` without a length.
    ///
    /// The first length is taken that is exact: one behind it counts a part.
    pub fn new(samples: &Samples, members: &[usize], fields: &[Field]) -> Option<Framing> {
        let mut lengths = fields.iter().filter_map(|field| match field.kind {
            Kind::Length { add } => Some((field, add)),
            _ => None,
        });
        let (field, add) =
            lengths.find(|(field, _)| field.confidence >= SURE && field.span.len() <= 8)?;
        let constants = fields.iter().filter(|field| field.kind == Kind::Constant);
        let end = constants.clone().map(|field| field.span.end).max().unwrap_or(0);
        let example = members
            .iter()
            .map(|member| samples.get(*member).head)
            .find(|head| head.len() >= end.max(field.span.end))?;
        // Some constants are so but in a few messages.
        let everywhere = |offset: usize| {
            let mut heads = members.iter().map(|member| samples.get(*member).head);
            heads.all(|head| head.get(offset).is_none_or(|byte| *byte == example[offset]))
        };
        let fixed = constants
            .flat_map(|field| field.span.clone())
            .filter(|offset| everywhere(*offset))
            .map(|offset| (offset, example[offset]))
            .collect();
        let known = [Kind::Unidentified, Kind::Payload, Kind::Text];
        let header = fields.iter().filter(|field| !known.contains(&field.kind));
        let header = header.map(|field| field.span.end).max().unwrap_or(field.span.end);
        Some(Framing {
            length: field.span.clone(),
            little: field.little,
            add,
            fixed,
            header,
            longest: LONGEST,
        })
    }

    /// Bytes needed to see whether a message begins.
    fn needed(&self) -> usize {
        let fixed = self.fixed.iter().map(|(offset, _)| offset + 1).max().unwrap_or(0);
        fixed.max(self.length.end)
    }

    /// Bytes of the message that begins here.
    pub fn total(&self, bytes: &[u8]) -> Option<u64> {
        let field = bytes.get(self.length.clone())?;
        if field.len() > 8 || !self.fixed.iter().all(|(at, value)| bytes.get(*at) == Some(value)) {
            return None;
        }
        let total = number(field, self.little).checked_add_signed(self.add)?;
        (total >= self.needed() as u64 && total <= self.longest).then_some(total)
    }
}

/// Where in its messages a stream stands.
enum Place {
    /// A message should begin.
    Head,
    /// So many bytes of the last message are to come.
    Body(u64),
    /// Not known.
    Lost,
}

struct Framer<'a> {
    samples: &'a Samples,
    framing: &'a Framing,
    place: Place,
    messages: Vec<Open>,
    of_packet: Vec<Option<u32>>,
    statistics: Statistics,
}

impl Framer<'_> {
    /// Takes what is new in one packet.
    fn take(&mut self, piece: &Piece) {
        if !piece.follows {
            self.place = Place::Head;
        }
        if piece.gap > 0 {
            self.place = match self.place {
                Place::Body(left) if left > piece.gap => Place::Body(left - piece.gap),
                Place::Body(left) if left == piece.gap => Place::Head,
                _ => Place::Lost,
            };
        }
        let head = self.samples.bytes(piece.packet as usize);
        let (mut used, mut begins, mut goes_on) = (0u32, false, false);
        while used < piece.len {
            let left = u64::from(piece.len - used);
            match self.place {
                Place::Body(wanted) => {
                    let here = wanted.min(left);
                    self.add(piece, here, used == 0);
                    goes_on |= used == 0;
                    used += here as u32;
                    let rest = wanted - here;
                    self.place = if rest == 0 { Place::Head } else { Place::Body(rest) };
                }
                Place::Head | Place::Lost => {
                    let lost = matches!(self.place, Place::Lost);
                    let offset = piece.skip + used;
                    let bytes = head.get(offset as usize..).unwrap_or(&[]);
                    // Without the place, only a packet's own start can be a message's.
                    let total = self.framing.total(bytes).filter(|_| !lost || offset == 0);
                    let Some(total) = total else {
                        let unseen = bytes.len() < self.framing.needed();
                        self.statistics.hidden += usize::from(!lost && unseen);
                        self.place = Place::Lost;
                        break;
                    };
                    self.statistics.found_again += usize::from(lost && piece.follows);
                    self.messages.push(Open::new(piece, offset, total));
                    self.of_packet[piece.packet as usize]
                        .get_or_insert(self.messages.len() as u32 - 1);
                    begins = true;
                    self.place = Place::Body(total);
                }
            }
        }
        let told = &mut self.statistics;
        match (begins, goes_on) {
            (true, _) => told.protocol += 1,
            (false, true) => told.continuations += 1,
            (false, false) => told.orphans += 1,
        }
    }

    fn add(&mut self, piece: &Piece, bytes: u64, first_of_packet: bool) {
        let Some(index) = self.messages.len().checked_sub(1) else { return };
        let message = &mut self.messages[index];
        message.seen += bytes;
        message.ended = message.ended.max(piece.at);
        if first_of_packet && message.packet != piece.packet {
            message.packets += 1;
            self.of_packet[piece.packet as usize].get_or_insert(index as u32);
        }
    }
}

/// Messages by their length field. Datagrams are messages of their own length.
pub fn framed(samples: &Samples, framing: &Framing) -> Messages {
    framed_but(samples, framing, &[])
}

/// The same, where packets of the flows `strangers` belong to no message: another protocol is
/// spoken there.
pub fn framed_but(samples: &Samples, framing: &Framing, strangers: &[usize]) -> Messages {
    let mut strange = vec![false; samples.flows().len()];
    for flow in strangers {
        strange[*flow] = true;
    }
    let ordered: Ordered = order(samples);
    let statistics = ordered.statistics();
    let of_packet = vec![None; samples.len()];
    let messages = Vec::new();
    let mut framer =
        Framer { samples, framing, place: Place::Lost, messages, of_packet, statistics };
    for piece in &ordered.pieces {
        if strange[piece.flow as usize] {
            framer.statistics.orphans += 1;
            continue;
        }
        if samples.flows()[piece.flow as usize].transport == Transport::Tcp {
            framer.take(piece);
        } else {
            framer.of_packet[piece.packet as usize] = Some(framer.messages.len() as u32);
            let len = u64::from(piece.len);
            framer.messages.push(Open { seen: len, ..Open::new(piece, 0, len) });
            framer.statistics.protocol += 1;
        }
    }
    let Framer { messages, of_packet, statistics, .. } = framer;
    collect(samples, &messages, of_packet, statistics)
}
