//! Captures through one or several engines.
//!
//! With several workers every worker sees every batch and keeps the flows whose hash falls to
//! it. Whoever reads the captures walks the headers to tell whose each packet is: of others'
//! packets a worker sees the time. Nothing has to be copied or ordered between threads, and the
//! tables are the same for any number of workers.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::capture::{Batch, CaptureError, Packets, Record};
use crate::config::Config;
use crate::dissector::signature::SignatureSet;
use crate::engine::{Engine, Frame, Shard, Summary};
use crate::sink::Sink;

/// Batches that may wait for a worker.
const AHEAD: usize = 4;

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
    std::thread::scope(|scope| {
        let mut senders: Vec<SyncSender<Arc<Walked>>> = Vec::new();
        let mut threads = Vec::new();
        for (index, engine) in engines.into_iter().enumerate() {
            let (sender, receiver) = sync_channel(AHEAD);
            senders.push(sender);
            threads.push(scope.spawn(move || drive(engine, index as u32, &receiver)));
        }
        let stopped_by = loop {
            match source.next() {
                Ok(Some(batch)) => {
                    let walked = Arc::new(Walked::new(batch, &shard));
                    // A worker that failed has hung up; its error comes out below.
                    if senders.iter().any(|s| s.send(Arc::clone(&walked)).is_err()) {
                        break None;
                    }
                }
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        drop(senders);
        let workers = threads
            .into_iter()
            .map(|thread| match thread.join() {
                Ok(done) => done.map_err(RunError::Sink),
                Err(_) => Err(RunError::Worker),
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Outcome { workers, stopped_by })
    })
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
    /// Of each record, or [`Walked::ALL`].
    owners: Vec<u32>,
}

impl Walked {
    /// Every worker is to look at it.
    const ALL: u32 = u32::MAX;

    fn new(batch: Arc<Batch>, shard: &Shard) -> Self {
        let owner = |record: &Record| shard.owner(record.link, batch.bytes(record));
        let owners =
            batch.records().iter().map(|record| owner(record).map_or(Self::ALL, |i| i as u32));
        Walked { owners: owners.collect(), batch }
    }
}

fn drive<S: Sink>(
    mut engine: Engine<S>,
    index: u32,
    batches: &Receiver<Arc<Walked>>,
) -> Result<(S, Summary), S::Error> {
    for walked in batches {
        let elsewhere = |i: usize| ![index, Walked::ALL].contains(&walked.owners[i]);
        feed(&mut engine, &walked.batch, elsewhere)?;
    }
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
