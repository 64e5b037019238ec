//! Parts encoded by a second thread, so that the one that collects rows goes on meanwhile.
//!
//! One part is under way at a time. Whoever has another before it is done writes that one
//! himself: nothing waits in a queue, and no more than two parts are ever in memory beside the
//! rows that are being collected.

use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::error::{Result, StoreError};

/// Writes one part.
type Job = Box<dyn FnOnce() -> Result<()> + Send>;

/// The thread and its first failure.
pub(crate) struct Background {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    failed: Arc<Mutex<Option<StoreError>>>,
}

impl Background {
    /// A thread that waits for work. Without one, where the system has none left, everything
    /// is written by the caller.
    pub(crate) fn start() -> Arc<Self> {
        let (jobs, waiting) = sync_channel::<Job>(0);
        let failed = Arc::new(Mutex::new(None));
        let failure = Arc::clone(&failed);
        let work = move || {
            for job in waiting {
                if let Err(error) = job() {
                    failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            }
        };
        let thread = std::thread::Builder::new().name("parts".to_owned()).spawn(work).ok();
        Arc::new(Background { jobs: thread.is_some().then_some(jobs), thread, failed })
    }

    /// Has a part written, by the thread if it is idle and else at once.
    ///
    /// # Errors
    /// Those of this part, or of one before it.
    pub(crate) fn write(&self, job: Job) -> Result<()> {
        self.check()?;
        let Some(jobs) = &self.jobs else { return job() };
        match jobs.try_send(job) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => job(),
        }
    }

    /// Waits until everything is written.
    ///
    /// # Errors
    /// The first of a part that was not.
    pub(crate) fn settle(&self) -> Result<()> {
        if let Some(jobs) = &self.jobs {
            // Taken only when what was under way is done.
            jobs.send(Box::new(|| Ok(()))).map_err(|_| StoreError::Worker)?;
        }
        self.check()
    }

    fn check(&self) -> Result<()> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        failed.map_or(Ok(()), Err)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was told where it happened.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn everything_is_done_once_settled() {
        let background = Background::start();
        let done = Arc::new(AtomicU32::new(0));
        for _ in 0..100 {
            let done = Arc::clone(&done);
            background
                .write(Box::new(move || {
                    done.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                }))
                .unwrap();
        }
        background.settle().unwrap();
        assert_eq!(done.load(Ordering::Relaxed), 100);
    }

    #[test]
    fn a_failure_is_told_once_and_soon() {
        let background = Background::start();
        let fail = || -> Result<()> { Err(StoreError::NotEmpty("x".into())) };
        // By whichever thread it was written.
        let told = background.write(Box::new(fail)).and_then(|()| background.settle());
        assert!(matches!(told, Err(StoreError::NotEmpty(_))));
        background.settle().unwrap();
    }
}
