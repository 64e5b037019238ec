//! Many captures as one time line.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::batch::{Batch, CaptureFault, Pool, Record};
use super::error::CaptureError;
use super::file::{CHUNK, CaptureFile};
use super::inputs::{self, Input};
use super::{CaptureInfo, Options, Packets};
use crate::time::Timestamp;

/// Bytes read of each file to learn when it starts.
const PEEK: usize = 4 * 1024;

/// Captures, read as one time line.
///
/// Files follow each other by their first packet's time. As long as they do not overlap, their
/// batches are handed over as they were read; where they do, records are merged by time (ties
/// in order of the files). Order within a file is kept, whatever its times say.
pub struct Captures {
    options: Options,
    /// Not open yet, in order.
    waiting: VecDeque<Waiting>,
    /// Being read.
    active: Vec<Active>,
    infos: Vec<CaptureInfo>,
    skipped: Vec<(PathBuf, CaptureError)>,
    pool: Pool,
    faults: Vec<CaptureFault>,
}

struct Waiting {
    order: Order,
    input: Input,
    /// Already open, as a pipe can't be opened twice.
    open: Option<Box<Active>>,
}

/// When a record, or a file's first one, comes: by time, then by file.
type Order = (Timestamp, u32);

struct Active {
    file: CaptureFile,
    capture: u32,
    batch: Batch,
    /// Next record of the batch.
    cursor: usize,
    /// Latest time in the batch.
    latest: Timestamp,
}

impl Active {
    /// Reads the next batch; false at the end.
    fn refill(&mut self, chunk: usize) -> Result<bool, CaptureError> {
        self.cursor = 0;
        let more = self.file.fill(&mut self.batch, chunk)?;
        self.latest = self.batch.records.iter().map(|r| r.at).max().unwrap_or_default();
        Ok(more)
    }

    fn head(&self) -> Option<Order> {
        self.batch.records.get(self.cursor).map(|record| (record.at, self.capture))
    }
}

/// Captures of which compression is undone ahead: each has a thread and a megabyte and a half.
/// Of those that overlap beyond them, it is undone as they are read.
const READ_AHEAD: usize = 16;

impl Captures {
    /// Opens captures and folders of captures, reads every header and finds the order in time.
    ///
    /// # Errors
    /// When an input that was named can't be opened or is no capture; files that are found in
    /// a folder and are none are [`Captures::skipped`].
    pub fn open(inputs: &[Input], options: Options) -> Result<Captures, CaptureError> {
        let mut captures = Captures {
            options,
            waiting: VecDeque::new(),
            active: Vec::new(),
            infos: Vec::new(),
            skipped: Vec::new(),
            pool: Pool::default(),
            faults: Vec::new(),
        };
        for named in inputs::expand(inputs)? {
            match captures.add(&named.input) {
                Err(error) if named.found => {
                    let Input::Path(path) = named.input else { continue };
                    captures.skipped.push((path, error));
                }
                result => result?,
            }
        }
        if captures.infos.is_empty()
            && let Some(Input::Path(path)) = inputs.first()
        {
            return Err(CaptureError::NoCaptures { path: path.clone() });
        }
        captures.waiting.make_contiguous().sort_by_key(|waiting| waiting.order);
        let total = captures.infos.iter().map(|info| info.file_size).sum();
        captures.options.progress.total.store(total, Ordering::Relaxed);
        Ok(captures)
    }

    /// Reads the start of a file to learn its time, and closes it until its turn.
    fn add(&mut self, input: &Input) -> Result<(), CaptureError> {
        let capture = self.infos.len() as u32;
        // A pipe, named or not, can't be opened twice: it stays open.
        let pipe = !matches!(input, Input::Path(path) if path.is_file());
        // What is read twice counts once.
        let mut options = self.options.clone();
        if !pipe {
            options.progress = Arc::default();
        }
        let file = CaptureFile::open(input, capture, &options)?;
        let mut active = Box::new(Active {
            file,
            capture,
            batch: Batch::default(),
            cursor: 0,
            latest: Timestamp::default(),
        });
        active.refill(if pipe { CHUNK } else { PEEK })?;
        let first = active.head().map_or(Timestamp(i64::MAX), |(at, _)| at);
        let mut info = active.file.info.clone();
        if !pipe {
            info = CaptureInfo {
                packets: 0,
                bytes: 0,
                captured_bytes: 0,
                first: None,
                last: None,
                truncated: false,
                ..info
            };
        }
        self.infos.push(info);
        let open = pipe.then_some(active);
        self.waiting.push_back(Waiting { order: (first, capture), input: input.clone(), open });
        Ok(())
    }

    /// Files that were found in folders and are no captures.
    pub fn skipped(&self) -> &[(PathBuf, CaptureError)] {
        &self.skipped
    }

    /// Starts reading the next waiting file.
    fn activate(&mut self) -> Result<(), CaptureError> {
        let Some(waiting) = self.waiting.pop_front() else { return Ok(()) };
        let ahead = self.active.len() < READ_AHEAD;
        let mut active = match waiting.open {
            Some(mut active) => {
                if ahead {
                    active.file.read_ahead()?;
                }
                *active
            }
            None => {
                let capture = waiting.order.1;
                let mut file = CaptureFile::open(&waiting.input, capture, &self.options)?;
                if ahead {
                    file.read_ahead()?;
                }
                let batch = self.pool.fresh();
                let mut active =
                    Active { file, capture, batch, cursor: 0, latest: Timestamp::default() };
                active.refill(CHUNK)?;
                active
            }
        };
        self.faults.append(&mut active.batch.faults);
        self.active.push(active);
        Ok(())
    }

    fn hand_over(&mut self, mut batch: Batch) -> Arc<Batch> {
        batch.faults.append(&mut self.faults);
        self.pool.hand_over(batch)
    }

    /// Index of the active file with the next record, once every file is active that may have
    /// it, and what follows after that file's turn.
    fn next_turn(&mut self) -> Result<Option<(usize, Option<Order>)>, CaptureError> {
        loop {
            // Refill or retire what is used up.
            let mut index = 0;
            while index < self.active.len() {
                let active = &mut self.active[index];
                if active.head().is_some() {
                    index += 1;
                    continue;
                }
                // Only now, so that a batch that was let go is filled while still in the cache.
                if active.batch.buffer.is_empty() {
                    active.batch = self.pool.fresh();
                }
                if active.refill(CHUNK)? {
                    self.faults.append(&mut active.batch.faults);
                } else {
                    let done = self.active.swap_remove(index);
                    self.infos[done.capture as usize] = done.file.info; // `capture` is its index
                }
            }
            let next =
                self.active.iter().enumerate().filter_map(|(i, a)| Some((a.head()?, i))).min();
            match (next, self.waiting.front().map(|waiting| waiting.order)) {
                (Some((head, index)), waiting) if waiting.is_none_or(|order| head < order) => {
                    let others = self.active.iter().enumerate().filter(|(i, _)| *i != index);
                    let limit = others.filter_map(|(_, a)| a.head()).chain(waiting).min();
                    return Ok(Some((index, limit)));
                }
                (_, Some(_)) => self.activate()?,
                (_, None) => return Ok(None),
            }
        }
    }
}

impl Packets for Captures {
    fn next(&mut self) -> Result<Option<Arc<Batch>>, CaptureError> {
        let mut merged: Option<Batch> = None;
        while !self.options.stop.load(Ordering::Relaxed) {
            let Some((index, limit)) = self.next_turn()? else { break };
            let active = &mut self.active[index];
            let before = |record: &Record| limit.is_none_or(|l| (record.at, record.capture) < l);
            let whole = active.cursor == 0
                && limit.is_none_or(|limit| (active.latest, active.capture) < limit);
            if whole && merged.is_none() {
                let batch = std::mem::take(&mut active.batch);
                return Ok(Some(self.hand_over(batch)));
            }
            let mut out = match merged.take() {
                Some(out) => out,
                None => {
                    let mut fresh = self.pool.fresh();
                    fresh.buffer.clear();
                    fresh
                }
            };
            let active = &mut self.active[index];
            while let Some(record) = active.batch.records.get(active.cursor)
                && before(record)
                && out.buffer.len() < CHUNK
            {
                let start = out.buffer.len() as u32;
                out.buffer.extend_from_slice(active.batch.bytes(record));
                out.records.push(Record { start, ..*record });
                active.cursor += 1;
            }
            if out.buffer.len() >= CHUNK || whole {
                return Ok(Some(self.hand_over(out)));
            }
            merged = Some(out);
        }
        if merged.is_some() || !self.faults.is_empty() {
            let batch = merged.unwrap_or_else(|| self.pool.fresh());
            return Ok(Some(self.hand_over(batch)));
        }
        Ok(None)
    }

    fn infos(&self) -> Vec<CaptureInfo> {
        let mut infos = self.infos.clone();
        for active in &self.active {
            infos[active.capture as usize] = active.file.info.clone(); // `capture` is its index
        }
        infos
    }
}
