//! Rows of one table into parts, with a bound on what is held in memory.

mod order;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::background::Background;
use crate::error::{Result, StoreError};
use crate::layout::{PartNames, Partition};
use crate::part::{Disk, PartFormat, RealDisk};
use crate::table::Table;

/// How tables are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteOptions {
    /// zstd level of parts, 1 to 22.
    pub zstd_level: i32,
    /// Most rows of a part.
    pub part_rows: usize,
    /// Most rows of a row group: what a query can skip within a part.
    pub row_group_rows: usize,
    /// Most bytes of rows held in memory by one worker, over all tables; when they are
    /// reached the largest part is written.
    pub buffer_bytes: usize,
    /// Most hours of a table that are collected at once.
    pub open_hours: usize,
}

impl Default for WriteOptions {
    fn default() -> Self {
        WriteOptions {
            zstd_level: 1,
            part_rows: 500_000,
            row_group_rows: 100_000,
            buffer_bytes: 24 << 20,
            open_hours: 32,
        }
    }
}

/// Most different hours that one writer makes folders for: 14 months. Times in a hostile
/// capture can be anything, and two million folders would be the result.
const MAX_HOURS: usize = 10_000;

/// What a writer wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// Rows.
    pub rows: u64,
    /// Parts.
    pub parts: u64,
    /// Rows filed under 1970-01-01, hour 00, since their hour would have been one folder too
    /// many.
    pub misfiled: u64,
}

impl std::ops::AddAssign for Written {
    fn add_assign(&mut self, other: Written) {
        self.rows += other.rows;
        self.parts += other.parts;
        self.misfiled += other.misfiled;
    }
}

/// Rows of one hour that are not yet on disk.
struct Open<T: Table> {
    partition: Option<Partition>,
    builder: T::Builder,
    rows: usize,
    bytes: usize,
}

/// Writes rows of one table.
///
/// Dropped without [`TableWriter::finish`], it loses the rows that are still in memory and
/// nothing else.
pub struct TableWriter<T: Table> {
    folder: PathBuf,
    names: PartNames,
    options: WriteOptions,
    format: Arc<PartFormat>,
    disk: Arc<dyn Disk>,
    background: Option<Arc<Background>>,
    open: Vec<Open<T>>,
    /// Index in `open` that the last row went to: traffic comes in order of time.
    last: usize,
    hours: HashSet<Partition>,
    next_part: u64,
    bytes: usize,
    written: Written,
}

impl<T: Table> TableWriter<T> {
    /// A writer of parts below `folder` (the table's), named by `names`.
    pub fn new(folder: &Path, names: PartNames, options: WriteOptions) -> Self {
        Self::on(Arc::new(RealDisk), folder, names, options)
    }

    pub(crate) fn on(
        disk: Arc<dyn Disk>,
        folder: &Path,
        names: PartNames,
        options: WriteOptions,
    ) -> Self {
        let format = PartFormat::new(&T::INFO, options.zstd_level, options.row_group_rows);
        TableWriter {
            folder: folder.to_owned(),
            names,
            options,
            format: Arc::new(format),
            disk,
            background: None,
            open: Vec::new(),
            last: 0,
            hours: HashSet::new(),
            next_part: 0,
            bytes: 0,
            written: Written::default(),
        }
    }

    /// Has parts written by another thread. Failures may then be told by a later call, and
    /// [`Background::settle`] by whoever started it must end the writing.
    pub(crate) fn in_background(mut self, background: &Arc<Background>) -> Self {
        self.background = Some(Arc::clone(background));
        self
    }

    /// Adds a row. Parts are written when a limit is reached.
    pub fn append(&mut self, row: &T::Row<'_>) -> Result<()> {
        let at = self.slot(T::time(row).map(Partition::of))?;
        let open = &mut self.open[at];
        let bytes = T::append(&mut open.builder, row);
        open.rows += 1;
        open.bytes += bytes;
        self.bytes += bytes;
        self.written.rows += 1;
        if open.rows >= self.options.part_rows {
            self.flush(at)?;
        }
        while self.bytes > self.options.buffer_bytes {
            self.flush_largest()?;
        }
        Ok(())
    }

    /// Bytes of rows held in memory, about.
    pub fn buffered(&self) -> usize {
        self.bytes
    }

    /// Writes the part that holds the most bytes, if any row is held.
    pub fn flush_largest(&mut self) -> Result<()> {
        match (0..self.open.len()).max_by_key(|&i| self.open[i].bytes) {
            Some(largest) => self.flush(largest),
            None => Ok(()),
        }
    }

    /// Bytes of the largest part in memory.
    pub(crate) fn largest(&self) -> usize {
        self.open.iter().map(|o| o.bytes).max().unwrap_or(0)
    }

    /// Writes everything that is held; the writer can go on.
    pub fn flush_all(&mut self) -> Result<()> {
        while !self.open.is_empty() {
            self.flush(self.open.len() - 1)?;
        }
        Ok(())
    }

    /// Writes everything that is held and says what was written.
    pub fn finish(mut self) -> Result<Written> {
        self.flush_all()?;
        Ok(self.written)
    }

    /// The index in `open` where rows of `partition` go.
    fn slot(&mut self, partition: Option<Partition>) -> Result<usize> {
        if self.open.get(self.last).is_some_and(|o| o.partition == partition) {
            return Ok(self.last);
        }
        self.other_slot(partition)
    }

    #[cold]
    fn other_slot(&mut self, partition: Option<Partition>) -> Result<usize> {
        let mut partition = partition;
        if let Some(hour) = partition {
            if !self.hours.contains(&hour) && self.hours.len() >= MAX_HOURS {
                partition = Some(Partition::ODD);
                self.written.misfiled += 1;
            } else {
                self.hours.insert(hour);
            }
        }
        if let Some(at) = self.open.iter().position(|o| o.partition == partition) {
            self.last = at;
            return Ok(at);
        }
        if self.open.len() >= self.options.open_hours.max(1) {
            self.flush_largest()?;
        }
        self.open.push(Open { partition, builder: T::Builder::default(), rows: 0, bytes: 0 });
        self.last = self.open.len() - 1;
        Ok(self.last)
    }

    /// Writes one part; its slot is given up, also when it fails, so that an error is not
    /// followed by the same rows again.
    fn flush(&mut self, at: usize) -> Result<()> {
        let open = self.open.swap_remove(at);
        self.bytes -= open.bytes;
        if open.rows == 0 {
            return Ok(());
        }
        let folder = match open.partition {
            Some(partition) => self.folder.join(partition.folder()),
            None => self.folder.clone(),
        };
        self.disk.make_folder(&folder).map_err(StoreError::io("create folder", &folder))?;
        let path = loop {
            let path = folder.join(self.names.part(self.next_part));
            self.next_part += 1;
            if !self.disk.exists(&path) {
                break path;
            }
        };
        self.written.parts += 1;
        let (format, disk) = (Arc::clone(&self.format), Arc::clone(&self.disk));
        let job = move || {
            let order = order::order(open.rows, |i| T::held_place(&open.builder, i));
            format.write(&*disk, &path, &T::cells(&open.builder), &order)
        };
        match &self.background {
            Some(background) => background.write(Box::new(job)),
            None => job(),
        }
    }
}

#[cfg(test)]
mod tests;
