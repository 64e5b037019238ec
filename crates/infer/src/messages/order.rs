//! TCP packets of each direction in order of their sequence numbers, each byte once.

use ottoscope_flow::{Direction, Timestamp, Transport};

use crate::samples::Samples;

/// What is new in one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// Index of the packet in the samples.
    pub packet: u32,
    pub flow: u32,
    pub direction: Direction,
    pub at: Timestamp,
    /// Bytes at its start that were seen before.
    pub skip: u32,
    /// New bytes.
    pub len: u32,
    /// Bytes missing in front of it.
    pub gap: u64,
    /// Whether another piece of its flow and direction comes before it.
    pub follows: bool,
}

/// Pieces by flow and direction, and what was left out.
#[derive(Debug, Default)]
pub(super) struct Ordered {
    pub pieces: Vec<Piece>,
    pub retransmitted: usize,
    pub overlapping: usize,
    pub gaps: usize,
    pub missing: u64,
}

/// A packet with its place in the stream: 64 bits, so that wrapping sequence numbers rise.
struct Placed {
    flow: u32,
    down: bool,
    place: i64,
    packet: u32,
}

/// Sorts the packets and drops bytes that were sent before. Packets without a sequence number
/// stay in order of time, each behind the other.
pub(super) fn order(samples: &Samples) -> Ordered {
    let mut last: Vec<[Option<(u32, i64, i64)>; 2]> = vec![[None; 2]; samples.flows().len()];
    let mut placed = Vec::with_capacity(samples.len());
    for (index, sample) in samples.iter().enumerate() {
        let slot = &mut last[sample.flow][sample.direction.index()];
        let end = slot.map_or(0, |(_, _, end)| end);
        let tcp = samples.flows()[sample.flow].transport == Transport::Tcp;
        let (sequence, place) = match (sample.sequence.filter(|_| tcp), *slot) {
            (Some(sequence), Some((before, place, _))) => {
                // The nearer way around, two GiB at most.
                let step = sequence.wrapping_sub(before) as i32;
                (sequence, place + i64::from(step))
            }
            (Some(sequence), None) => (sequence, 0),
            (None, before) => (before.map_or(0, |(sequence, ..)| sequence), end),
        };
        // What has no number leaves the last number where it was.
        let numbered = if sample.sequence.is_some() { place } else { slot.map_or(0, |s| s.1) };
        *slot = Some((sequence, numbered, end.max(place + sample.len as i64)));
        placed.push(Placed {
            flow: sample.flow as u32,
            down: sample.direction == Direction::Down,
            place,
            packet: index as u32,
        });
    }
    placed.sort_unstable_by_key(|p| (p.flow, p.down, p.place, p.packet));
    let mut out = Ordered { pieces: Vec::with_capacity(placed.len()), ..Ordered::default() };
    for stream in placed.chunk_by(|a, b| a.flow == b.flow && a.down == b.down) {
        let mut next: Option<i64> = None;
        for packet in stream {
            let sample = samples.get(packet.packet as usize);
            let (start, end) = (packet.place, packet.place + sample.len as i64);
            let expected = next.unwrap_or(start);
            if end <= expected {
                out.retransmitted += usize::from(sample.len > 0);
                continue;
            }
            let skip = (expected - start).max(0);
            let gap = (start - expected).max(0) as u64;
            out.overlapping += usize::from(skip > 0);
            out.gaps += usize::from(gap > 0);
            out.missing += gap;
            out.pieces.push(Piece {
                packet: packet.packet,
                flow: packet.flow,
                direction: sample.direction,
                at: sample.at,
                skip: skip as u32,
                len: (end - start - skip) as u32,
                gap,
                follows: next.is_some(),
            });
            next = Some(end);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{FlowInfo, Sample};
    use ottoscope_flow::FlowId;

    fn check(packets: &[(u32, u64)], expected: &[(u32, u32, u32, u64)]) {
        let mut samples = Samples::new();
        let address = "192.0.2.1".parse().unwrap();
        let flow = samples.flow(FlowInfo {
            id: FlowId(1),
            transport: Transport::Tcp,
            client: (address, 1),
            server: (address, 2),
        });
        for (index, (sequence, len)) in packets.iter().enumerate() {
            samples.push(Sample {
                at: Timestamp(index as i64),
                flow,
                direction: Direction::Up,
                sequence: Some(*sequence),
                len: *len,
                head: &[],
            });
        }
        let pieces = order(&samples).pieces;
        let told: Vec<_> = pieces.iter().map(|p| (p.packet, p.skip, p.len, p.gap)).collect();
        assert_eq!(told, expected, "{packets:?}");
    }

    #[test]
    fn each_byte_comes_once_and_in_order() {
        check(&[(10, 5), (15, 5)], &[(0, 0, 5, 0), (1, 0, 5, 0)]);
        check(&[(15, 5), (10, 5)], &[(1, 0, 5, 0), (0, 0, 5, 0)]);
        check(&[(10, 5), (10, 5), (15, 1)], &[(0, 0, 5, 0), (2, 0, 1, 0)]);
        check(&[(10, 5), (10, 9)], &[(0, 0, 5, 0), (1, 5, 4, 0)]);
        check(&[(10, 5), (12, 9)], &[(0, 0, 5, 0), (1, 3, 6, 0)]);
        check(&[(10, 5), (14, 1)], &[(0, 0, 5, 0)]);
        check(&[(10, 5), (18, 2)], &[(0, 0, 5, 0), (1, 0, 2, 3)]);
        check(&[(0xffff_fffe, 4), (2, 3)], &[(0, 0, 4, 0), (1, 0, 3, 0)]);
        check(&[(2, 3), (0xffff_fffe, 4)], &[(1, 0, 4, 0), (0, 0, 3, 0)]);
        check(&[(7, 0), (7, 3)], &[(1, 0, 3, 0)]);
    }
}
