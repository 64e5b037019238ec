//! Captures through one or several engines.
//!
//! With several workers every worker sees every batch and keeps the flows whose hash falls to
//! it: reading and header walking are a small part of the cost, nothing has to be copied or
//! ordered between threads, and the tables are the same for any number of workers.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use smallvec::SmallVec;

use crate::capture::{Batch, CaptureError, Packets, Record};
use crate::config::Config;
use crate::dissector::signature::SignatureSet;
use crate::engine::{Engine, Frame, Shard, Summary, TOGETHER};
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
        let mut senders: Vec<SyncSender<Arc<Batch>>> = Vec::new();
        let mut threads = Vec::new();
        for engine in engines {
            let (sender, receiver) = sync_channel(AHEAD);
            senders.push(sender);
            threads.push(scope.spawn(move || drive(engine, &receiver)));
        }
        let stopped_by = loop {
            match source.next() {
                Ok(Some(batch)) => {
                    // A worker that failed has hung up; its error comes out below.
                    if senders.iter().any(|s| s.send(Arc::clone(&batch)).is_err()) {
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
            Ok(Some(batch)) => feed(engine, &batch).map_err(RunError::Sink)?,
            Ok(None) => return Ok(None),
            Err(error) => return Ok(Some(error)),
        }
    }
}

fn drive<S: Sink>(
    mut engine: Engine<S>,
    batches: &Receiver<Arc<Batch>>,
) -> Result<(S, Summary), S::Error> {
    for batch in batches {
        feed(&mut engine, &batch)?;
    }
    engine.finish()
}

fn feed<S: Sink>(engine: &mut Engine<S>, batch: &Batch) -> Result<(), S::Error> {
    let frame = |record: &Record| Frame {
        at: record.at,
        link: record.link,
        capture: record.capture,
        wire_len: record.wire_len,
        bytes: batch.bytes(record),
    };
    for records in batch.records().chunks(TOGETHER) {
        let frames: SmallVec<[Frame<'_>; TOGETHER]> = records.iter().map(frame).collect();
        engine.frames(&frames)?;
    }
    for fault in batch.faults() {
        engine.outside(fault.at, fault.capture, fault.error)?;
    }
    Ok(())
}
