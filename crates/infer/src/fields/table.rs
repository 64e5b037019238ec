//! Members of a group laid out for typing: rows by flow, values of a span as one column.

use std::hash::{BuildHasher, Hasher};
use std::ops::Range;

use foldhash::fast::FixedState;
use ottoscope_flow::Direction;

use crate::samples::{FlowInfo, Samples};

/// One member of the group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// Nanoseconds since 1970.
    pub at: i64,
    /// Bytes of the whole packet or message.
    pub len: u32,
    /// Index in the samples.
    pub sample: u32,
    /// Index of its flow in the samples.
    pub flow: u32,
    /// Bytes known of it.
    pub head: u8,
    /// From the server.
    pub down: bool,
}

impl Row {
    /// 0 for up, 1 for down.
    pub(crate) fn side(&self) -> usize {
        usize::from(self.down)
    }
}

/// The members' rows, flow by flow and in order of time within each, with their first bytes
/// side by side: the samples are walked once, however many fields are tried.
pub(crate) struct Table<'a> {
    samples: &'a Samples,
    pub rows: Vec<Row>,
    heads: Vec<u8>,
    stride: usize,
}

impl<'a> Table<'a> {
    /// Keeps the first `stride` bytes of each member.
    pub(crate) fn new(samples: &'a Samples, members: &[usize], stride: usize) -> Self {
        let mut starts = vec![0u32; samples.flows().len() + 1];
        for &member in members {
            starts[samples.get(member).flow + 1] += 1;
        }
        for flow in 1..starts.len() {
            starts[flow] += starts[flow - 1];
        }
        let blank = Row { at: 0, len: 0, sample: 0, flow: 0, head: 0, down: false };
        let mut rows = vec![blank; members.len()];
        let mut heads = vec![0; members.len() * stride];
        for &member in members {
            let sample = samples.get(member);
            let place = starts[sample.flow] as usize;
            starts[sample.flow] += 1;
            let head = &sample.head[..sample.head.len().min(stride)];
            heads[place * stride..place * stride + head.len()].copy_from_slice(head);
            rows[place] = Row {
                at: sample.at.0,
                len: u32::try_from(sample.len).unwrap_or(u32::MAX),
                sample: member as u32,
                flow: sample.flow as u32,
                head: head.len() as u8,
                down: sample.direction == Direction::Down,
            };
        }
        Table { samples, rows, heads, stride }
    }

    /// The bytes kept of a row.
    pub(crate) fn head(&self, row: usize) -> &[u8] {
        let start = row * self.stride;
        &self.heads[start..start + usize::from(self.rows[row].head)]
    }

    pub(crate) fn flow(&self, row: usize) -> &FlowInfo {
        &self.samples.flows()[self.rows[row].flow as usize]
    }

    /// The values of a span in the rows that reach over it.
    pub(crate) fn column(&self, span: &Range<usize>) -> Column {
        self.column_of(span, |_| true)
    }

    /// The same, of the samples that `keep` says true of.
    pub(crate) fn column_of(&self, span: &Range<usize>, keep: impl Fn(usize) -> bool) -> Column {
        let width = span.len();
        let mut rows = Vec::with_capacity(self.rows.len());
        let mut values = Vec::with_capacity(self.rows.len());
        let hashes = FixedState::default();
        for (index, row) in self.rows.iter().enumerate() {
            if usize::from(row.head) < span.end || !keep(row.sample as usize) {
                continue;
            }
            let bytes = &self.heads[index * self.stride + span.start..][..width];
            rows.push(index as u32);
            values.push(if width <= 8 {
                bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte))
            } else {
                let mut hasher = hashes.build_hasher();
                hasher.write(bytes);
                hasher.finish()
            });
        }
        Column { span: span.clone(), rows, values }
    }
}

/// The values of one span, big-endian; hashes where it is longer than eight bytes.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub span: Range<usize>,
    /// Index of the row of each value.
    pub rows: Vec<u32>,
    pub values: Vec<u64>,
}

impl Column {
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn width(&self) -> usize {
        self.span.len()
    }

    /// Whether values are numbers and no hashes.
    pub(crate) fn is_numeric(&self) -> bool {
        self.width() <= 8
    }

    /// Largest number that the span can hold.
    pub(crate) fn mask(&self) -> u64 {
        mask(self.width())
    }

    /// The same numbers read from the other end.
    pub(crate) fn swapped(&self) -> Column {
        let shift = 64 - 8 * self.width().min(8);
        let values = self.values.iter().map(|value| value.swap_bytes() >> shift).collect();
        Column { span: self.span.clone(), rows: self.rows.clone(), values }
    }

    pub(crate) fn spread(&self) -> Spread {
        Spread::new(self.values.clone(), self.width())
    }
}

/// Largest number of `width` bytes.
pub(crate) fn mask(width: usize) -> u64 {
    if width >= 8 { u64::MAX } else { (1 << (8 * width)) - 1 }
}

/// How values are distributed.
#[derive(Debug, Clone)]
pub(crate) struct Spread {
    /// How many values there are.
    pub total: usize,
    /// How many different ones.
    pub distinct: usize,
    /// Entropy over the largest that so many values of this width can have, 0 to 1.
    pub entropy: f64,
    /// The commonest values with their counts, [`Spread::KEPT`] at most.
    pub common: Vec<(u64, usize)>,
    /// Bits that differ between any two values.
    pub varying: u64,
    /// Smallest and largest value.
    pub range: (u64, u64),
}

impl Spread {
    /// Values kept with their counts.
    const KEPT: usize = 256;

    pub(crate) fn new(mut values: Vec<u64>, width: usize) -> Self {
        values.sort_unstable();
        let total = values.len();
        let (mut ones, mut zeros) = (0, 0);
        let (mut distinct, mut sum) = (0, 0.0);
        let mut common: Vec<(u64, usize)> = Vec::new();
        for run in values.chunk_by(|a, b| a == b) {
            distinct += 1;
            ones |= run[0];
            zeros |= !run[0];
            sum += run.len() as f64 * (run.len() as f64).log2();
            common.push((run[0], run.len()));
            if common.len() >= 2 * Self::KEPT {
                common.sort_unstable_by_key(|(value, count)| (std::cmp::Reverse(*count), *value));
                common.truncate(Self::KEPT);
            }
        }
        common.sort_unstable_by_key(|(value, count)| (std::cmp::Reverse(*count), *value));
        common.truncate(Self::KEPT);
        let bits = if total == 0 { 0.0 } else { (total as f64).log2() - sum / total as f64 };
        let most = (total.max(1) as f64).log2().min(8.0 * width.min(4) as f64);
        let range = (values.first().copied().unwrap_or(0), values.last().copied().unwrap_or(0));
        let entropy = if most > 0.0 { (bits / most).clamp(0.0, 1.0) } else { 0.0 };
        Spread { total, distinct, entropy, common, varying: ones & zeros, range }
    }

    /// Share of the commonest value.
    pub(crate) fn top(&self) -> f64 {
        let top = self.common.first().map_or(0, |(_, count)| *count);
        top as f64 / self.total.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_count() {
        let spread = Spread::new(vec![3, 1, 1, 1], 1);
        assert_eq!((spread.distinct, spread.total, spread.varying), (2, 4, 2));
        assert_eq!(spread.common, [(1, 3), (3, 1)]);
        assert!((spread.entropy - 0.811_278 / 2.0).abs() < 1e-4);
        assert_eq!(Spread::new(vec![7; 9], 2).entropy, 0.0);
        assert_eq!(Spread::new(Vec::new(), 2).distinct, 0);
        let all = Spread::new((0..1000).collect(), 2);
        assert!((all.entropy - 1.0).abs() < 1e-9 && all.common.len() == Spread::KEPT);
    }
}
