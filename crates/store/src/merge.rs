//! A table in order of time, whichever worker wrote which part: hours one after the other, and
//! the parts of an hour merged. What is held in memory is one batch per part of one hour.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;
use std::vec::IntoIter;

use ottoscope_flow::Timestamp;

use crate::error::Result;
use crate::reader::{Batches, Part, Rows, parts_below};
use crate::table::Table;

/// Rows decoded at once over all parts of an hour.
const ROWS_IN_MEMORY: usize = 1 << 18;

/// Place of a row in the order: time, key, part.
type Place = (Timestamp, u64, usize);

/// Rows of `T` by time, then by its key. `T` may be a view: only its columns are read.
pub(crate) struct Merged<T: Table> {
    hours: IntoIter<Vec<Part>>,
    cursors: Vec<Cursor<T>>,
    /// Where the current row stands.
    now: Option<Place>,
    /// The other cursors.
    heap: BinaryHeap<Reverse<Place>>,
}

/// Where one part stands.
struct Cursor<T: Table> {
    batches: Batches,
    part: Part,
    rows: Option<Rows<T>>,
    at: usize,
}

impl<T: Table> Cursor<T> {
    /// The place of the current row; batches are fetched as needed.
    fn place(&mut self) -> Result<Option<(Timestamp, u64)>> {
        while self.rows.as_ref().is_none_or(|rows| self.at >= rows.len()) {
            self.at = 0;
            match self.batches.next() {
                Some(batch) => self.rows = Some(Rows::of(&batch?, &self.part)?),
                None => return Ok(None),
            }
        }
        Ok(self.rows.as_ref().map(|rows| rows.place(self.at)))
    }
}

impl<T: Table> Merged<T> {
    /// Over the parts in a table's folder.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let mut hours: Vec<Vec<Part>> = Vec::new();
        for part in parts_below(folder)? {
            match hours.last_mut() {
                Some(hour) if hour[0].partition == part.partition => hour.push(part),
                _ => hours.push(vec![part]),
            }
        }
        let (cursors, heap) = (Vec::new(), BinaryHeap::new());
        let mut merged = Merged { hours: hours.into_iter(), cursors, now: None, heap };
        merged.open_hour()?;
        Ok(merged)
    }

    /// The time of the current row.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        self.now.map(|(at, ..)| at)
    }

    /// The current row.
    pub(crate) fn row(&self) -> Option<T::Row<'_>> {
        let cursor = &self.cursors[self.now?.2];
        cursor.rows.as_ref().map(|rows| rows.get(cursor.at))
    }

    /// Goes to the next row.
    pub(crate) fn advance(&mut self) -> Result<()> {
        let Some((.., i)) = self.now else { return Ok(()) };
        self.cursors[i].at += 1;
        // Mostly the next row is of the same part; then the heap is not touched.
        self.now = match self.cursors[i].place()? {
            Some((at, key)) => match self.heap.peek_mut() {
                Some(mut least) if least.0 < (at, key, i) => {
                    Some(std::mem::replace(&mut *least, Reverse((at, key, i))).0)
                }
                _ => Some((at, key, i)),
            },
            None => self.heap.pop().map(|Reverse(place)| place),
        };
        if self.now.is_none() { self.open_hour() } else { Ok(()) }
    }

    /// Opens hours until one has rows.
    fn open_hour(&mut self) -> Result<()> {
        while self.now.is_none() {
            let Some(parts) = self.hours.next() else { return Ok(()) };
            let batch = (ROWS_IN_MEMORY / parts.len()).clamp(256, 8_192);
            self.cursors.clear();
            for part in parts {
                let batches = part.batches_of(&T::INFO, None, batch)?;
                let mut cursor = Cursor { batches, part, rows: None, at: 0 };
                if let Some((at, key)) = cursor.place()? {
                    self.heap.push(Reverse((at, key, self.cursors.len())));
                    self.cursors.push(cursor);
                }
            }
            self.now = self.heap.pop().map(|Reverse(place)| place);
        }
        Ok(())
    }
}
