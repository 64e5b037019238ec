//! What inference looks at: the first bytes of packets or messages, in order of time.

use std::net::IpAddr;

use ottoscope_flow::{Direction, FlowId, Timestamp, Transport};

/// Most bytes that can be kept of one payload; [`Cuts`] has a bit for each.
pub const MOST_HEAD: usize = 64;

/// Most bytes that are kept of all packets beyond their heads: what begins behind the start of a
/// TCP packet is found in them.
const MOST_KEPT: usize = 256 << 20;

/// The first bytes of packets (or of messages once they were put together), in order of time.
///
/// Columns, not boxes: a million payloads of 16 bytes take 50 MB.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    bytes: Vec<u8>,
    rows: Vec<Row>,
    flows: Vec<FlowInfo>,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    at: Timestamp,
    start: u32,
    flow: u32,
    len: u32,
    sequence: u32,
    kept: u16,
    head: u8,
    down: bool,
    has_sequence: bool,
}

/// The flow that samples belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowInfo {
    /// Its id in the study or run.
    pub id: FlowId,
    /// TCP or UDP.
    pub transport: Transport,
    /// The client's address and port.
    pub client: (IpAddr, u16),
    /// The server's address and port.
    pub server: (IpAddr, u16),
}

/// One packet's payload, or one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample<'a> {
    /// When it was seen.
    pub at: Timestamp,
    /// Index of its flow in [`Samples::flows`].
    pub flow: usize,
    /// Which way it went.
    pub direction: Direction,
    /// TCP sequence number of its first byte; `None` for datagrams and for messages.
    pub sequence: Option<u32>,
    /// Length of the whole payload or message in bytes.
    pub len: u64,
    /// The first bytes, [`MOST_HEAD`] at most of a sample that was got; all there are of one that is
    /// pushed.
    pub head: &'a [u8],
}

impl Samples {
    /// Nothing yet.
    pub fn new() -> Self {
        Samples::default()
    }

    /// Adds a flow and returns its index.
    pub fn flow(&mut self, flow: FlowInfo) -> usize {
        self.flows.push(flow);
        self.flows.len() - 1
    }

    /// Adds a sample behind the others. Its head is cut to [`MOST_HEAD`]; of TCP packets, which have
    /// a sequence number, all is kept as long as 256 MiB are not full. False, and nothing is kept,
    /// when 4 GiB are full or the flow is unknown.
    pub fn push(&mut self, sample: Sample<'_>) -> bool {
        let head = sample.head.len().min(MOST_HEAD);
        let all = sample.head.len().min(usize::from(u16::MAX));
        let room = sample.sequence.is_some() && self.bytes.len() + all <= MOST_KEPT;
        let kept = if room { all } else { head };
        let (Ok(start), Ok(flow)) = (u32::try_from(self.bytes.len()), u32::try_from(sample.flow))
        else {
            return false;
        };
        if sample.flow >= self.flows.len() {
            return false;
        }
        self.bytes.extend_from_slice(&sample.head[..kept]);
        self.rows.push(Row {
            at: sample.at,
            start,
            flow,
            len: u32::try_from(sample.len).unwrap_or(u32::MAX),
            sequence: sample.sequence.unwrap_or(0),
            kept: kept as u16,
            head: head as u8,
            down: sample.direction == Direction::Down,
            has_sequence: sample.sequence.is_some(),
        });
        true
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The flows.
    pub fn flows(&self) -> &[FlowInfo] {
        &self.flows
    }

    /// One sample; panics beyond [`Samples::len`].
    pub fn get(&self, index: usize) -> Sample<'_> {
        let row = &self.rows[index];
        Sample {
            at: row.at,
            flow: row.flow as usize,
            direction: if row.down { Direction::Down } else { Direction::Up },
            sequence: row.has_sequence.then_some(row.sequence),
            len: u64::from(row.len),
            head: &self.bytes[row.start as usize..row.start as usize + usize::from(row.head)],
        }
    }

    /// All that is kept of one sample, its head first; panics beyond [`Samples::len`].
    pub fn bytes(&self, index: usize) -> &[u8] {
        let row = &self.rows[index];
        &self.bytes[row.start as usize..row.start as usize + usize::from(row.kept)]
    }

    /// All samples in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Sample<'_>> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// The samples of which `keep` says true by their index, with the same flows.
    #[must_use]
    pub fn filtered(&self, mut keep: impl FnMut(usize) -> bool) -> Samples {
        let mut out = Samples { flows: self.flows.clone(), ..Samples::default() };
        for index in 0..self.len() {
            if keep(index) {
                out.push(Sample { head: self.bytes(index), ..self.get(index) });
            }
        }
        out
    }
}

/// Boundaries of one segmentation: bit `n` says that a field begins at offset `n`. Offset 0 is
/// no boundary and never set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Cuts(u64);

impl Cuts {
    /// One field, no boundary.
    pub fn none() -> Self {
        Cuts(0)
    }

    /// From offsets; 0 and what lies beyond [`MOST_HEAD`] is left out.
    pub fn at(offsets: impl IntoIterator<Item = usize>) -> Self {
        let mut cuts = Cuts(0);
        for offset in offsets {
            cuts.insert(offset);
        }
        cuts
    }

    /// Adds a boundary before the byte at `offset`.
    pub fn insert(&mut self, offset: usize) {
        if (1..MOST_HEAD).contains(&offset) {
            self.0 |= 1 << offset;
        }
    }

    /// Takes a boundary away.
    pub fn remove(&mut self, offset: usize) {
        if offset < MOST_HEAD {
            self.0 &= !(1 << offset);
        }
    }

    /// Whether a field begins at `offset`.
    pub fn contains(self, offset: usize) -> bool {
        offset < MOST_HEAD && self.0 >> offset & 1 == 1
    }

    /// The boundaries by rising offset.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (1..MOST_HEAD).filter(move |offset| self.contains(*offset))
    }

    /// The boundaries below `len`: what a payload of `len` bytes shows of them.
    #[must_use]
    pub fn within(self, len: usize) -> Self {
        if len >= MOST_HEAD { self } else { Cuts(self.0 & ((1 << len) - 1)) }
    }

    /// The fields between boundaries, the last ending at `end`.
    pub fn fields(self, end: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
        let mut start = 0;
        let mut rest = self.within(end).0;
        std::iter::from_fn(move || {
            if start >= end {
                return None;
            }
            let next = if rest == 0 { end } else { rest.trailing_zeros() as usize };
            rest &= rest.wrapping_sub(1);
            let field = start..next;
            start = next;
            Some(field)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_give_fields() {
        let cuts = Cuts::at([0, 4, 8, 11, 12]);
        assert_eq!(cuts.iter().collect::<Vec<_>>(), [4, 8, 11, 12]);
        assert_eq!(cuts.fields(16).collect::<Vec<_>>(), [0..4, 4..8, 8..11, 11..12, 12..16]);
        assert_eq!(cuts.fields(8).collect::<Vec<_>>(), [0..4, 4..8]);
        assert_eq!(cuts.fields(6).collect::<Vec<_>>(), [0..4, 4..6]);
        assert_eq!(Cuts::none().fields(3).next(), Some(0..3));
        assert_eq!(Cuts::none().fields(0).count(), 0);
        assert!(Cuts::at([64, 1000]).iter().next().is_none());
    }

    #[test]
    fn samples_keep_what_they_got() {
        let mut samples = Samples::new();
        let address = "192.0.2.1".parse().unwrap();
        let flow = samples.flow(FlowInfo {
            id: FlowId(7),
            transport: Transport::Tcp,
            client: (address, 1),
            server: (address, 2),
        });
        let long = [9; 100];
        let sample = Sample {
            at: Timestamp(5),
            flow,
            direction: Direction::Down,
            sequence: Some(3),
            len: 100,
            head: &long,
        };
        assert!(samples.push(sample));
        assert!(!samples.push(Sample { flow: 1, ..sample }));
        assert_eq!(samples.get(0), Sample { head: &long[..64], ..sample });
        assert_eq!(samples.filtered(|_| false).len(), 0);
        assert_eq!(samples.bytes(0), long, "of a TCP packet all is kept");
        assert_eq!(samples.filtered(|_| true).bytes(0), long);
        assert!(samples.push(Sample { sequence: None, ..sample }));
        assert_eq!(samples.bytes(1).len(), MOST_HEAD);
    }
}
