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
    heap: BinaryHeap<Reverse<Place>>,
    key: fn(&T::Row<'_>) -> u64,
}

/// Where one part stands.
struct Cursor<T: Table> {
    batches: Batches,
    part: Part,
    rows: Option<Rows<T>>,
    at: usize,
}

impl<T: Table> Cursor<T> {
    /// The current row; batches are fetched as needed.
    fn row(&mut self) -> Result<Option<T::Row<'_>>> {
        while self.rows.as_ref().is_none_or(|rows| self.at >= rows.len()) {
            self.at = 0;
            match self.batches.next() {
                Some(batch) => self.rows = Some(Rows::of(&batch?, &self.part)?),
                None => return Ok(None),
            }
        }
        Ok(self.rows.as_ref().map(|rows| rows.get(self.at)))
    }
}

impl<T: Table> Merged<T> {
    /// Over the parts in a table's folder; `key` is what the table is sorted by after time.
    pub(crate) fn open(folder: &Path, key: fn(&T::Row<'_>) -> u64) -> Result<Self> {
        let mut hours: Vec<Vec<Part>> = Vec::new();
        for part in parts_below(folder)? {
            match hours.last_mut() {
                Some(hour) if hour[0].partition == part.partition => hour.push(part),
                _ => hours.push(vec![part]),
            }
        }
        let mut merged =
            Merged { hours: hours.into_iter(), cursors: Vec::new(), heap: BinaryHeap::new(), key };
        merged.settle()?;
        Ok(merged)
    }

    /// The time of the current row.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }

    /// The current row.
    pub(crate) fn row(&self) -> Option<T::Row<'_>> {
        let Reverse((_, _, i)) = self.heap.peek()?;
        let cursor = &self.cursors[*i];
        cursor.rows.as_ref().map(|rows| rows.get(cursor.at))
    }

    /// Goes to the next row.
    pub(crate) fn advance(&mut self) -> Result<()> {
        if let Some(Reverse((_, _, i))) = self.heap.pop() {
            self.cursors[i].at += 1;
            self.push(i)?;
        }
        self.settle()
    }

    fn push(&mut self, i: usize) -> Result<()> {
        if let Some(row) = self.cursors[i].row()? {
            let place = (T::time(&row).unwrap_or_default(), (self.key)(&row), i);
            self.heap.push(Reverse(place));
        }
        Ok(())
    }

    /// Opens hours until one has rows.
    fn settle(&mut self) -> Result<()> {
        while self.heap.is_empty() {
            let Some(parts) = self.hours.next() else { return Ok(()) };
            let batch = (ROWS_IN_MEMORY / parts.len()).clamp(256, 8_192);
            self.cursors.clear();
            for part in parts {
                let batches = part.batches_of(&T::INFO, None, batch)?;
                self.cursors.push(Cursor { batches, part, rows: None, at: 0 });
                self.push(self.cursors.len() - 1)?;
            }
        }
        Ok(())
    }
}
