//! Looks for the length field that frames a stream.
//!
//! A stream says itself which field is a length: cut by the right one, messages end where
//! packets end and the next one begins with a length again. Each offset, width and byte order is
//! tried, with the differences between value and bytes that occur most; chance ends few messages
//! where packets end, unless every packet is as long as every other.

use hashbrown::HashMap;
use ottoscope_flow::Transport;
use ottoscope_flow::signature::number;

use super::framed::Framing;
use super::order::{Ordered, Piece, order};
use crate::samples::Samples;

/// Packets that are looked at.
const MOST_PACKETS: usize = 20_000;
/// Farthest offset of a length field.
const FARTHEST: usize = 24;
/// Differences between value and bytes that are tried for each field.
const MOST_ADDS: usize = 3;
/// Ports whose streams are looked at alone, where all together have no length.
const MOST_PORTS: usize = 8;
/// Fewest messages that say anything.
const FEW: usize = 12;
/// Smallest share, of messages that end with a packet or in the middle of nowhere, of the former.
const SHARE: f64 = 0.8;
/// Smallest share of all messages that end with a packet: the others stand before another in it.
const ENDS: f64 = 0.3;
/// Smallest share of packets that belong to a message.
const COVERAGE: f64 = 0.8;

/// A framing with what speaks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Where the length is, and what it counts.
    pub framing: Framing,
    /// Messages that it makes of the packets looked at.
    pub messages: usize,
    /// Of these, how many end where a packet ends.
    pub ends: usize,
    /// Of these, how many end inside a packet where no message begins.
    pub astray: usize,
    /// Of these, how many take several packets.
    pub long: usize,
    /// Share of packets that begin or go on with a message, of those that can be told: what
    /// follows a message that begins behind the bytes kept of its packet cannot.
    pub coverage: f64,
    /// Share of all bytes that belong to messages which end with a packet or where another
    /// begins.
    pub bytes: f64,
    /// Messages of another length than the commonest.
    pub unusual: usize,
    /// Of these, how many end where a packet ends: a field that only passes for a length has
    /// hardly any, as where all packets are alike.
    pub unusual_ends: usize,
    /// Flows, by their index, whose streams it doesn't frame: they speak another protocol.
    pub strangers: Vec<usize>,
}

/// The framing that explains the TCP streams best, if one does.
pub fn search(samples: &Samples) -> Option<Found> {
    let tcp = |flow: usize| samples.flows()[flow].transport == Transport::Tcp;
    let looked: Samples;
    let samples = if samples.len() > MOST_PACKETS {
        // Whole flows, so that streams stay streams.
        let mut left = MOST_PACKETS;
        let mut per_flow = vec![0_usize; samples.flows().len()];
        samples.iter().for_each(|sample| per_flow[sample.flow] += 1);
        let chosen: Vec<bool> = per_flow
            .iter()
            .map(|&n| {
                let take = left > 0;
                left = left.saturating_sub(if take { n } else { 0 });
                take
            })
            .collect();
        let mut room = 2 * MOST_PACKETS;
        looked = samples.filtered(|index| {
            let take = room > 0 && chosen[samples.get(index).flow];
            room -= usize::from(take);
            take
        });
        &looked
    } else {
        samples
    };
    let mut ordered = order(samples);
    ordered.pieces.retain(|piece| tcp(piece.flow as usize));
    let (found, usual) =
        best(samples, &ordered.pieces).or_else(|| of_servers(samples, &ordered))?;
    let strangers = strangers(samples, &ordered, &found.framing, usual);
    if strangers.is_empty() {
        return Some(found.widened(samples, &ordered.pieces, usual));
    }
    // Bytes that all messages have are known only without those that are none.
    let mut strange = vec![false; samples.flows().len()];
    for flow in &strangers {
        strange[*flow] = true;
    }
    ordered.pieces.retain(|piece| !strange[piece.flow as usize]);
    let found = try_out(samples, &ordered.pieces, found.framing, usual);
    let found = found.is_good().then(|| found.widened(samples, &ordered.pieces, usual))?;
    Some(Found { strangers, ..found })
}

/// The framing that explains the pieces best, with the commonest length.
fn best(samples: &Samples, pieces: &[Piece]) -> Option<(Found, u64)> {
    if pieces.len() < FEW {
        return None;
    }
    let mut best: Option<(Found, u64)> = None;
    for width in [4, 2, 3, 1] {
        for offset in 0..=FARTHEST {
            for little in [false, true] {
                if little && width == 1 {
                    continue;
                }
                for (add, usual) in adds(samples, pieces, offset..offset + width, little) {
                    let framing = Framing {
                        length: offset..offset + width,
                        little,
                        add,
                        fixed: Vec::new(),
                        header: offset + width,
                        longest: 1 << 26,
                    };
                    let found = try_out(samples, pieces, framing, usual);
                    if found.is_good() && best.as_ref().is_none_or(|(b, _)| found.beats(b)) {
                        best = Some((found, usual));
                    }
                }
            }
        }
    }
    best
}

/// Where several protocols are mixed, streams to one port may still have a length: that of the
/// port with most packets that has one.
fn of_servers(samples: &Samples, ordered: &Ordered) -> Option<(Found, u64)> {
    let port = |piece: &Piece| samples.flows()[piece.flow as usize].server.1;
    let mut groups: HashMap<u16, Vec<Piece>> = HashMap::new();
    for piece in &ordered.pieces {
        groups.entry(port(piece)).or_default().push(*piece);
    }
    let mut groups: Vec<(u16, Vec<Piece>)> = groups.into_iter().collect();
    groups.sort_by_key(|(port, pieces)| (std::cmp::Reverse(pieces.len()), *port));
    groups.truncate(if groups.len() > 1 { MOST_PORTS } else { 0 });
    groups.iter().find_map(|(_, pieces)| best(samples, pieces))
}

/// Share of messages that end with a packet, beyond what chance makes of any bytes.
const CHANCE: f64 = 0.1;
/// Fewest packets of a flow that is said to speak another protocol.
const FEW_PACKETS: usize = 4;

/// Flows whose messages hardly ever end where they should, were this the framing.
fn strangers(samples: &Samples, ordered: &Ordered, framing: &Framing, usual: u64) -> Vec<usize> {
    let flows = ordered.pieces.chunk_by(|a, b| a.flow == b.flow);
    let strange = flows.filter(|pieces| {
        let found = weigh(samples, pieces, framing.clone(), usual, None);
        let ends = found.ends as f64 / found.messages.max(1) as f64;
        pieces.len() >= FEW_PACKETS && ends < CHANCE
    });
    strange.map(|pieces| pieces[0].flow as usize).collect()
}

impl Found {
    fn is_good(&self) -> bool {
        self.messages >= FEW
            && self.ends as f64 >= SHARE * (self.ends + self.astray) as f64
            && self.ends as f64 >= ENDS * self.messages as f64
            && self.coverage >= COVERAGE
            && self.unusual_ends as f64 >= CHANCE * self.unusual as f64
    }

    /// More messages explained wins; among equals the field that is named first, being wider.
    fn beats(&self, other: &Found) -> bool {
        let score =
            |f: &Found| (f.coverage + f.bytes) * f.ends as f64 / (f.ends + f.astray).max(1) as f64;
        score(self) > score(other) + 0.005
    }

    /// Takes zero bytes before the field into it: high bytes of the same number.
    fn widened(self, samples: &Samples, pieces: &[Piece], usual: u64) -> Found {
        let mut best = self;
        while !best.framing.little && best.framing.length.start > 0 && best.framing.length.len() < 4
        {
            let mut framing = best.framing.clone();
            framing.length.start -= 1;
            let found = try_out(samples, pieces, framing, usual);
            if !found.is_good() || best.beats(&found) {
                break;
            }
            best = found;
        }
        best
    }
}

/// Differences from the field's value to the bytes of the packet that occur most, each with the
/// commonest length that it makes.
fn adds(
    samples: &Samples,
    pieces: &[Piece],
    span: std::ops::Range<usize>,
    little: bool,
) -> Vec<(i64, u64)> {
    let mut seen: HashMap<i64, usize> = HashMap::new();
    let mut values: HashMap<u64, usize> = HashMap::new();
    let mut asked = 0_usize;
    for piece in pieces.iter().filter(|piece| piece.skip == 0).take(4096) {
        let sample = samples.get(piece.packet as usize);
        let Some(bytes) = sample.head.get(span.clone()) else { continue };
        let value = number(bytes, little);
        asked += 1;
        if value <= 1 << 24 {
            *seen.entry(sample.len as i64 - value as i64).or_insert(0) += 1;
            *values.entry(value).or_insert(0) += 1;
        }
    }
    // A value that hardly varies is no length, whatever its packets' sizes are.
    let usual = values.iter().max_by_key(|(value, n)| (**n, std::cmp::Reverse(**value)));
    let (usual, times) = usual.map_or((0, 0), |(value, n)| (*value, *n));
    let constant = times * 20 > asked * 19;
    if constant || asked < FEW {
        return Vec::new();
    }
    let mut common: Vec<(i64, usize)> = seen
        .into_iter()
        .filter(|(add, n)| *n * 20 >= asked && (-64..=1024).contains(add))
        .collect();
    common.sort_by_key(|(add, n)| (std::cmp::Reverse(*n), *add));
    common.truncate(MOST_ADDS);
    common.into_iter().map(|(add, _)| (add, usual.saturating_add_signed(add))).collect()
}

/// Weighs a framing, then again with the bytes that all its messages have in common: with them
/// the place is found again where it was lost.
fn try_out(samples: &Samples, pieces: &[Piece], mut framing: Framing, usual: u64) -> Found {
    let mut common = Common::default();
    let found = weigh(samples, pieces, framing.clone(), usual, Some(&mut common));
    framing.fixed = common.bytes();
    framing.fixed.retain(|(at, _)| !framing.length.contains(at));
    if framing.fixed.is_empty() { found } else { weigh(samples, pieces, framing, usual, None) }
}

/// Bytes that all messages begin with, as far as it was seen.
#[derive(Debug, Default)]
struct Common {
    messages: usize,
    bytes: Vec<Option<u8>>,
}

impl Common {
    fn add(&mut self, head: &[u8]) {
        if self.messages == 0 {
            self.bytes = head.iter().take(16).copied().map(Some).collect();
        }
        self.messages += 1;
        for (offset, known) in self.bytes.iter_mut().enumerate() {
            if *known != head.get(offset).copied() {
                *known = None;
            }
        }
    }

    fn bytes(&self) -> Vec<(usize, u8)> {
        if self.messages < FEW {
            return Vec::new();
        }
        let known = self.bytes.iter().enumerate();
        known.filter_map(|(offset, byte)| Some((offset, (*byte)?))).collect()
    }
}

/// Follows the framing through the streams. `usual` is the commonest length; `common` is told what messages begin with whose
/// place is beyond doubt.
fn weigh(
    samples: &Samples,
    pieces: &[Piece],
    framing: Framing,
    usual: u64,
    mut common: Option<&mut Common>,
) -> Found {
    let (mut messages, mut ends, mut astray, mut long, mut covered) = (0, 0, 0, 0, 0_usize);
    // Bytes of the message that are to come; `None` where the place is not known.
    let mut place: Option<u64> = None;
    // Packets of the message that has not ended yet.
    let mut open = 0_usize;
    // Whether the place was lost behind what was kept of a packet, and packets since.
    let (mut hidden, mut unknown) = (false, 0_usize);
    // Bytes of the message that ended last, until it is seen whether another begins there.
    let (mut bytes_all, mut ended) = (0_u64, 0_u64);
    let (mut bytes_told, mut unusual, mut unusual_ends) = (0_u64, 0, 0);
    let mut whole = 0_u64;
    for piece in pieces {
        let Piece { packet, skip, len, gap, follows, .. } = *piece;
        bytes_all += u64::from(len);
        bytes_told += std::mem::take(&mut ended);
        if !follows {
            // A message that never ends is none, or the capture's last.
            astray += usize::from(place.is_some_and(|left| left > 0));
            place = None;
            (open, hidden) = (0, false);
        }
        if gap > 0 {
            place = place.and_then(|left| left.checked_sub(gap));
        }
        let head = samples.bytes(packet as usize);
        let (mut used, mut explained) = (0_u32, false);
        if let Some(left) = place.filter(|left| *left > 0) {
            let here = left.min(u64::from(len));
            used = here as u32;
            place = Some(left - here);
            if left == here {
                explained = true;
                covered += std::mem::take(&mut open);
                long += 1;
                ended = whole;
                ends += usize::from(used == len);
                unusual_ends += usize::from(used == len && whole != usual);
            } else {
                open += 1;
            }
        }
        while used < len {
            let offset = skip + used;
            let bytes = head.get(offset as usize..).unwrap_or(&[]);
            let starts = !follows && used == 0;
            let again = offset == 0 && !framing.fixed.is_empty();
            let known = place.is_some() || starts || again;
            let Some(total) = framing.total(bytes).filter(|_| known) else {
                if place.is_some() {
                    // Behind what was kept of the packet nothing can be said against it.
                    hidden = bytes.len() < framing.length.end;
                    astray += usize::from(!hidden);
                    explained &= hidden;
                }
                unknown += usize::from(hidden && !explained);
                (place, ended) = (None, 0);
                break;
            };
            bytes_told += std::mem::take(&mut ended);
            if let Some(common) = common.as_deref_mut().filter(|_| offset == 0) {
                common.add(bytes);
            }
            (hidden, whole) = (false, total);
            messages += 1;
            unusual += usize::from(total != usual);
            let left = u64::from(len - used);
            if total <= left {
                explained = true;
                used += total as u32;
                ended = total;
                ends += usize::from(used == len);
                unusual_ends += usize::from(used == len && total != usual);
                place = Some(0);
            } else {
                open = usize::from(!explained);
                place = Some(total - left);
                used = len;
            }
        }
        covered += usize::from(explained);
    }
    let known = pieces.len() - unknown;
    let coverage = covered as f64 / known.max(pieces.len() / 2).max(1) as f64;
    let bytes = (bytes_told + ended) as f64 / bytes_all.max(1) as f64;
    let strangers = Vec::new();
    Found {
        framing,
        messages,
        ends,
        astray,
        long,
        coverage,
        bytes,
        unusual,
        unusual_ends,
        strangers,
    }
}

#[cfg(test)]
mod tests {
    use ottoscope_flow::{Direction, FlowId, Timestamp};

    use super::*;
    use crate::samples::{FlowInfo, Sample};
    use crate::segment::tests::random;

    /// Streams of messages with a header that `head` makes of (total, number), cut into segments
    /// of at most 700 bytes, two messages in one now and then.
    fn streams(seed: u64, head: impl Fn(u32, u32) -> Vec<u8>) -> Samples {
        let mut next = random(seed);
        let mut samples = Samples::new();
        let address = "192.0.2.1".parse().unwrap();
        for flow in 0..6_u16 {
            let flow = samples.flow(FlowInfo {
                id: FlowId(u64::from(flow)),
                transport: Transport::Tcp,
                client: (address, flow),
                server: (address, 80),
            });
            let (mut sequence, mut pending) = (next() as u32, Vec::new());
            for number in 0..40 {
                let body = if next().is_multiple_of(5) { next() % 4000 } else { next() % 300 };
                let header = head(0, 0).len() as u32;
                pending.extend(head(header + body as u32, number));
                pending.extend((0..body).map(|_| next() as u8));
                if next().is_multiple_of(4) {
                    continue;
                }
                for segment in std::mem::take(&mut pending).chunks(700) {
                    samples.push(Sample {
                        at: Timestamp::from_parts(i64::from(number), 0),
                        flow,
                        direction: Direction::Up,
                        sequence: Some(sequence),
                        len: segment.len() as u64,
                        head: segment,
                    });
                    sequence = sequence.wrapping_add(segment.len() as u32);
                }
            }
        }
        samples
    }

    #[test]
    fn lengths_are_found_wherever_they_are() {
        let check = |head: &dyn Fn(u32, u32) -> Vec<u8>, length: std::ops::Range<usize>, add| {
            for seed in 1..4 {
                let found = search(&streams(seed, head)).expect("a framing").framing;
                assert_eq!((found.length, found.add), (length.clone(), add), "seed {seed}");
            }
        };
        let w_tcp = |total: u32, number: u32| {
            [total.to_be_bytes(), [0, 16, 0, 1], [0, 0, 0, 9], number.to_be_bytes()].concat()
        };
        check(&w_tcp, 0..4, 0);
        let longlink = |total: u32, number: u32| {
            [[0, 0, 0, 20], [0, 0, 0, 1], [0, 0, 0, 6], number.to_be_bytes()]
                .into_iter()
                .chain([total.saturating_sub(20).to_be_bytes()])
                .flatten()
                .collect()
        };
        check(&longlink, 16..20, 20);
        let short = |total: u32, _: u32| {
            let body = (total.saturating_sub(3) as u16).to_le_bytes();
            vec![0x45, body[0], body[1]]
        };
        check(&short, 1..3, 3);
    }

    /// Adds a stream of packets to `samples`, each as it is.
    fn stream(samples: &mut Samples, packets: impl IntoIterator<Item = Vec<u8>>) {
        let address = "192.0.2.1".parse().unwrap();
        let flow = samples.flow(FlowInfo {
            id: FlowId(samples.flows().len() as u64),
            transport: Transport::Tcp,
            client: (address, 1),
            server: (address, 80 + samples.flows().len() as u16),
        });
        let mut sequence = 7_u32;
        for (number, packet) in packets.into_iter().enumerate() {
            samples.push(Sample {
                at: Timestamp::from_parts(number as i64, 0),
                flow,
                direction: Direction::Up,
                sequence: Some(sequence),
                len: packet.len() as u64,
                head: &packet,
            });
            sequence = sequence.wrapping_add(packet.len() as u32);
        }
    }

    #[test]
    fn packets_all_alike_have_no_length() {
        let mut next = random(3);
        let mut samples = Samples::new();
        // Bytes 4 and 5, read little-endian, are 0 in the first 256.
        let packet = |number: u32| {
            let head = [[0, 20, 1].to_vec(), number.to_be_bytes().to_vec()].concat();
            [head, (0..13).map(|_| next() as u8).collect()].concat()
        };
        stream(&mut samples, (0..800).map(packet));
        assert_eq!(search(&samples), None);
    }

    #[test]
    fn flows_of_another_protocol_are_set_aside() {
        let mut next = random(5);
        let mut samples = Samples::new();
        let framed: Vec<Vec<u8>> = (0..400)
            .map(|_| {
                let body = 4 + next() % 300;
                let head = [(body as u16).to_be_bytes(), [7, next() as u8 % 4]].concat();
                [head, (0..body).map(|_| next() as u8).collect()].concat()
            })
            .collect();
        stream(&mut samples, framed);
        for size in [30, 700] {
            let other: Vec<Vec<u8>> =
                (0..400).map(|_| (0..10 + next() % size).map(|_| next() as u8).collect()).collect();
            stream(&mut samples, other);
        }
        let found = search(&samples).expect("a framing");
        assert_eq!((found.framing.length, found.framing.add), (0..2, 4));
        assert_eq!(found.framing.fixed, [(2, 7)]);
        assert_eq!(found.strangers, [1, 2]);
    }

    #[test]
    fn noise_has_no_length() {
        for seed in 1..5 {
            let mut next = random(seed);
            let noise: Vec<u64> = (0..1000).map(|_| next()).collect();
            let samples = streams(seed, |total, number| {
                noise[(total as usize + number as usize) % 1000].to_be_bytes().to_vec()
            });
            assert_eq!(search(&samples), None, "seed {seed}");
        }
        assert_eq!(search(&Samples::new()), None);
    }
}
