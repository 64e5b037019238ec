//! The samples that a layout is inferred from, with their neighbours in time.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use ottoscope_flow::Direction;

use crate::samples::Samples;

/// Some samples, in order of time, that are taken to have one layout.
pub(crate) struct View<'a> {
    /// The samples.
    pub(crate) rows: Vec<Row<'a>>,
    /// How many bytes the longest has.
    pub(crate) width: usize,
    /// How many flows they are of.
    pub(crate) flows: usize,
}

/// One sample of a view.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    /// First bytes.
    pub(crate) head: &'a [u8],
    /// Length of the whole payload.
    pub(crate) len: u64,
    /// Time in nanoseconds.
    pub(crate) at: i64,
    /// Number of the flow, from 0.
    pub(crate) flow: u32,
    /// From server to client.
    pub(crate) down: bool,
    /// The row before of the same flow and direction.
    pub(crate) before: Option<u32>,
    /// The last row of the same flow and the other direction.
    pub(crate) other: Option<u32>,
}

impl<'a> View<'a> {
    /// The samples at `indices`, which rise, and no more than `bytes` of each.
    pub(crate) fn new(
        samples: &'a Samples,
        indices: impl IntoIterator<Item = usize>,
        bytes: usize,
    ) -> Self {
        let mut last: HashMap<usize, (u32, [Option<u32>; 2]), FixedState> = HashMap::default();
        let mut rows = Vec::new();
        let mut width = 0;
        for index in indices {
            let sample = samples.get(index);
            let next = last.len() as u32;
            let (flow, seen) = last.entry(sample.flow).or_insert((next, [None; 2]));
            let down = sample.direction == Direction::Down;
            let head = &sample.head[..sample.head.len().min(bytes)];
            width = width.max(head.len());
            let at = rows.len() as u32;
            rows.push(Row {
                head,
                len: sample.len,
                at: sample.at.0,
                flow: *flow,
                down,
                before: seen[usize::from(down)],
                other: seen[usize::from(!down)],
            });
            seen[usize::from(down)] = Some(at);
        }
        View { rows, width, flows: last.len() }
    }

    /// The row before in the same flow and direction, for each that has one.
    pub(crate) fn steps(&self) -> impl Iterator<Item = (&Row<'a>, &Row<'a>)> {
        self.rows.iter().filter_map(|row| Some((&self.rows[row.before? as usize], row)))
    }
}
