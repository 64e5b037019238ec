//! A table in order of time, whichever worker wrote which part: hours one after the other, and
//! the parts of an hour merged. A part is opened when its first row's time has come and let go
//! after its last, so that what is held in memory is one batch per part of about the same time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;
use std::sync::Arc;
use std::vec::IntoIter;

use ottoscope_flow::Timestamp;

use crate::ahead::Ahead;
use crate::error::Result;
use crate::reader::{Footer, Part, Rows, parts_below};
use crate::table::Table;

/// Place of a row in the order: time, key, part.
type Place = (Timestamp, u64, usize);

/// Rows of `T` by time, then by its key. `T` may be a view: only its columns are read.
pub(crate) struct Merged<T: Table> {
    hours: IntoIter<Vec<Part>>,
    /// Parts of the hour that are not begun yet, the next one last.
    waiting: Vec<(Timestamp, Footer)>,
    /// Parts that are or were open.
    cursors: Vec<Option<Cursor<T>>>,
    /// Where the current row stands.
    now: Option<Place>,
    /// The other open parts.
    heap: BinaryHeap<Reverse<Place>>,
}

/// Where one part stands.
struct Cursor<T: Table> {
    batches: Ahead<T>,
    rows: Option<Arc<Rows<T>>>,
    at: usize,
}

impl<T: Table> Cursor<T> {
    /// The place of the current row; batches are fetched as needed.
    fn place(&mut self) -> Result<Option<(Timestamp, u64)>> {
        while self.rows.as_ref().is_none_or(|rows| self.at >= rows.len()) {
            self.at = 0;
            match self.batches.next() {
                Some(rows) => self.rows = Some(Arc::new(rows?)),
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
        let mut merged = Merged {
            hours: hours.into_iter(),
            waiting: Vec::new(),
            cursors: Vec::new(),
            now: None,
            heap: BinaryHeap::new(),
        };
        merged.settle()?;
        Ok(merged)
    }

    /// The time of the current row.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        self.now.map(|(at, ..)| at)
    }

    /// The current row.
    pub(crate) fn row(&self) -> Option<T::Row<'_>> {
        let cursor = self.cursors[self.now?.2].as_ref()?;
        cursor.rows.as_ref().map(|rows| rows.get(cursor.at))
    }

    /// The batch that holds the current row and its place there, with the number of their part
    /// among those of the hour.
    pub(crate) fn current(&self) -> Option<(usize, &Arc<Rows<T>>, usize)> {
        let (.., part) = self.now?;
        let cursor = self.cursors[part].as_ref()?;
        Some((part, cursor.rows.as_ref()?, cursor.at))
    }

    /// Goes to the next row.
    pub(crate) fn advance(&mut self) -> Result<()> {
        let Some((.., i)) = self.now else { return Ok(()) };
        let next = match &mut self.cursors[i] {
            Some(cursor) => {
                cursor.at += 1;
                cursor.place()?
            }
            None => None,
        };
        if let Some((at, key)) = next {
            self.now = Some((at, key, i));
            self.least_first();
        } else {
            self.cursors[i] = None;
            self.now = self.heap.pop().map(|Reverse(place)| place);
        }
        self.settle()
    }

    /// Puts the least of all places first. Mostly the next row is of the same part, and the heap
    /// is not touched.
    fn least_first(&mut self) {
        if let Some(now) = &mut self.now
            && let Some(mut least) = self.heap.peek_mut()
            && least.0 < *now
        {
            std::mem::swap(&mut least.0, now);
        }
    }

    /// Opens parts whose time has come, and hours until one has rows.
    fn settle(&mut self) -> Result<()> {
        loop {
            let due = self
                .waiting
                .last()
                .is_some_and(|(first, _)| self.now.is_none_or(|(at, ..)| *first <= at));
            if due {
                self.open_next()?;
            } else if self.now.is_some() {
                return Ok(());
            } else {
                let Some(parts) = self.hours.next() else { return Ok(()) };
                self.cursors.clear();
                for part in parts {
                    let footer = part.footer(&T::INFO)?;
                    let first = footer.first(&T::INFO).unwrap_or(Timestamp(i64::MIN));
                    self.waiting.push((first, footer));
                }
                self.waiting.sort_by(|a, b| (b.0, &b.1.part).cmp(&(a.0, &a.1.part)));
            }
        }
    }

    fn open_next(&mut self) -> Result<()> {
        let Some((_, footer)) = self.waiting.pop() else { return Ok(()) };
        let batches = Ahead::of(footer)?;
        let mut cursor = Cursor { batches, rows: None, at: 0 };
        if let Some((at, key)) = cursor.place()? {
            self.heap.push(Reverse((at, key, self.cursors.len())));
            self.cursors.push(Some(cursor));
            match self.now {
                Some(_) => self.least_first(),
                None => self.now = self.heap.pop().map(|Reverse(place)| place),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::PartNames;
    use crate::tables::{BinRow, Bins};
    use crate::writer::{TableWriter, WriteOptions};

    /// Parts that follow, overlap and hold each other, of two workers and three hours.
    #[test]
    fn rows_come_in_order_and_parts_go_when_they_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut expected = Vec::new();
        for worker in 0..2u64 {
            let names = PartNames::new("host", "run", worker as u32);
            let options = WriteOptions { part_rows: 50, ..WriteOptions::default() };
            let mut writer = TableWriter::<Bins>::new(dir.path(), names, options);
            for i in 0..1000u64 {
                let second = 1_000 + (i * 9 + (i * 7919) % 400) as i64;
                let row = BinRow {
                    second: Timestamp::from_parts(second, 0),
                    flow: i * 2 + worker,
                    packets_up: 1,
                    packets_down: 0,
                    bytes_up: 0,
                    bytes_down: 0,
                    syn: 0,
                    fin: 0,
                    rst: 0,
                };
                writer.append(&row).unwrap();
                expected.push((row.second, row.flow));
            }
            writer.finish().unwrap();
        }
        expected.sort_unstable();
        let mut merged = Merged::<Bins>::open(dir.path()).unwrap();
        let mut found = Vec::new();
        let mut most_open = 0;
        while let Some(row) = merged.row() {
            found.push((row.second, row.flow));
            most_open = most_open.max(merged.cursors.iter().flatten().count());
            merged.advance().unwrap();
        }
        assert_eq!(found, expected);
        assert!((2..12).contains(&most_open), "{most_open} of 40 parts at once");
    }
}
