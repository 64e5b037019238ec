//! Captures through one or several engines.
//!
//! With several workers every worker sees every batch and keeps the flows whose hash falls to
//! it. They take turns (`turns`) at reading the captures, and walk the headers once to tell
//! whose each packet is: of others' packets a worker sees the time. Nothing has to be copied or
//! ordered between threads, and the tables are the same for any number of workers.

use std::sync::{Arc, OnceLock};

use crate::capture::{Batch, CaptureError, Packets, Record};
use crate::config::Config;
use crate::dissector::signature::SignatureSet;
use crate::engine::{Engine, Frame, Shard, Summary};
use crate::sink::Sink;
use crate::turns::{Seat, Turns};

/// Why a run stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError<E: std::error::Error + 'static> {
    /// A capture could not be read at all.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The sink could not keep what it was given.
    #[error(transparent)]
    Sink(E),
    /// A worker died, which is a bug.
    #[error("a worker stopped unexpectedly")]
    Worker,
}

/// What a run gives back: every worker's sink and summary. After a capture error the sinks hold
/// everything read until then.
pub struct Outcome<S: Sink> {
    /// One to a worker.
    pub workers: Vec<(S, Summary)>,
    /// The error that ended reading early, if one did.
    pub stopped_by: Option<CaptureError>,
}

/// Reads `source` to its end with `workers` engines, whose sinks `sink` makes by worker index.
///
/// # Errors
/// [`RunError::Sink`] when a sink fails. A capture that fails ends reading, but not the run:
/// see [`Outcome::stopped_by`].
pub fn run<S>(
    source: &mut dyn Packets,
    config: &Config,
    signatures: &Arc<SignatureSet>,
    workers: usize,
    mut sink: impl FnMut(usize) -> S,
) -> Result<Outcome<S>, RunError<S::Error>>
where
    S: Sink + Send,
{
    let mut shard = Shard::single();
    shard.count = workers.max(1);
    let mut engine = |index: usize| {
        let shard = Shard { index, ..shard.clone() };
        Engine::new(config.clone(), Arc::clone(signatures), shard, sink(index))
    };
    if workers <= 1 {
        let mut engine = engine(0);
        let stopped_by = feed_all(source, &mut engine)?;
        let worker = engine.finish().map_err(RunError::Sink)?;
        return Ok(Outcome { workers: vec![worker], stopped_by });
    }
    let engines: Vec<_> = (0..workers).map(engine).collect();
    let turns = Turns::new(source, workers);
    let workers = std::thread::scope(|scope| {
        let drive = |(index, engine)| drive(engine, index as u32, &shard, turns.seat(index));
        let threads: Vec<_> =
            engines.into_iter().enumerate().map(|one| scope.spawn(move || drive(one))).collect();
        let ended = threads.into_iter().map(|thread| match thread.join() {
            Ok(done) => done.map_err(RunError::Sink),
            Err(_) => Err(RunError::Worker),
        });
        ended.collect::<Result<Vec<_>, _>>()
    })?;
    Ok(Outcome { workers, stopped_by: turns.stopped_by() })
}

/// Reads `source` to its end into one engine. Returns the error that ended reading early, if
/// one did.
///
/// # Errors
/// [`RunError::Sink`] when the sink fails.
pub fn feed_all<S: Sink>(
    source: &mut dyn Packets,
    engine: &mut Engine<S>,
) -> Result<Option<CaptureError>, RunError<S::Error>> {
    loop {
        match source.next() {
            Ok(Some(batch)) => feed(engine, &batch, |_| false).map_err(RunError::Sink)?,
            Ok(None) => return Ok(None),
            Err(error) => return Ok(Some(error)),
        }
    }
}

/// A batch and the worker of each of its records.
struct Walked {
    batch: Arc<Batch>,
    /// Of each record, or [`Walked::ALL`]; told by whichever worker comes first.
    owners: OnceLock<Vec<u32>>,
}

impl From<Arc<Batch>> for Walked {
    fn from(batch: Arc<Batch>) -> Self {
        Walked { batch, owners: OnceLock::new() }
    }
}

impl Walked {
    /// Every worker is to look at it.
    const ALL: u32 = u32::MAX;

    fn owners(&self, shard: &Shard) -> &[u32] {
        self.owners.get_or_init(|| {
            let owner = |record: &Record| shard.owner(record.link, self.batch.bytes(record));
            let records = self.batch.records().iter();
            records.map(|record| owner(record).map_or(Self::ALL, |i| i as u32)).collect()
        })
    }
}

fn drive<S: Sink>(
    mut engine: Engine<S>,
    index: u32,
    shard: &Shard,
    seat: Seat<'_, '_, Walked>,
) -> Result<(S, Summary), S::Error> {
    while let Some(walked) = seat.next(|read| _ = read.owners(shard)) {
        let owners = walked.owners(shard);
        let elsewhere = |i: usize| ![index, Walked::ALL].contains(&owners[i]);
        feed(&mut engine, &walked.batch, elsewhere)?;
    }
    drop(seat);
    engine.finish()
}

/// Hands a batch over; `elsewhere` says which of its records are other workers'.
fn feed<S: Sink>(
    engine: &mut Engine<S>,
    batch: &Batch,
    elsewhere: impl Fn(usize) -> bool,
) -> Result<(), S::Error> {
    engine.frames(batch.records().iter().enumerate().map(|(i, record)| Frame {
        at: record.at,
        link: record.link,
        capture: record.capture,
        wire_len: record.wire_len,
        bytes: batch.bytes(record),
        elsewhere: elsewhere(i),
    }))?;
    for fault in batch.faults() {
        engine.outside(fault.at, fault.capture, fault.error)?;
    }
    Ok(())
}
