//! Workers that take turns at reading.
//!
//! Every worker is to see every batch, in order. Whoever is about to run out of them reads the next
//! one for all, so that there is no thread beside the workers: on two cores a third thread had one
//! of them wait while a core was idle. Half of what a worker reads stays in its core's cache.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::capture::{Batch, CaptureError, Packets};

/// Batches that may wait for a worker: so far may others be ahead of it.
const AHEAD: usize = 4;

/// A source of packets that workers share. Each gets every batch as a `W`.
pub(crate) struct Turns<'a, W> {
    state: Mutex<State<'a, W>>,
    moved: Condvar,
}

struct State<'a, W> {
    /// While nobody reads.
    source: Option<&'a mut dyn Packets>,
    /// By worker: what waits for it. Who has left needs nothing.
    queues: Vec<Option<VecDeque<Arc<W>>>>,
    ended: bool,
    stopped_by: Option<CaptureError>,
}

impl<W> State<'_, W> {
    /// Whether nobody has too much before them.
    fn has_room(&self) -> bool {
        self.queues.iter().flatten().all(|queue| queue.len() < AHEAD)
    }

    /// Deals out what was read; gives it back too.
    fn take(&mut self, read: Result<Option<Arc<W>>, CaptureError>) -> Option<Arc<W>> {
        match read {
            Ok(Some(batch)) => {
                let queues = self.queues.iter_mut().flatten();
                queues.for_each(|queue| queue.push_back(Arc::clone(&batch)));
                return Some(batch);
            }
            Ok(None) => self.ended = true,
            Err(error) => (self.ended, self.stopped_by) = (true, Some(error)),
        }
        None
    }
}

impl<'a, W: From<Arc<Batch>>> Turns<'a, W> {
    pub(crate) fn new(source: &'a mut dyn Packets, workers: usize) -> Self {
        let queues = (0..workers).map(|_| Some(VecDeque::new())).collect();
        let state = State { source: Some(source), queues, ended: false, stopped_by: None };
        Turns { state: Mutex::new(state), moved: Condvar::new() }
    }

    /// A worker's place, once for each index.
    pub(crate) fn seat(&self, index: usize) -> Seat<'_, 'a, W> {
        Seat { turns: self, index }
    }

    /// The error that ended reading early, if one did.
    pub(crate) fn stopped_by(self) -> Option<CaptureError> {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).stopped_by
    }

    fn state(&self) -> MutexGuard<'_, State<'a, W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker's place among those that take turns. Once one is given up, reading ends for all.
pub(crate) struct Seat<'t, 'a, W: From<Arc<Batch>>> {
    turns: &'t Turns<'a, W>,
    index: usize,
}

impl<W: From<Arc<Batch>>> Seat<'_, '_, W> {
    /// The next batch; `None` after the last. Before a worker takes the last one it has, it reads
    /// another, so that nobody waits for it; `prepare` does with that what all have need of.
    pub(crate) fn next(&self, prepare: impl Fn(&W)) -> Option<Arc<W>> {
        let turns = self.turns;
        let mut state = turns.state();
        loop {
            let (room, ended) = (state.has_room(), state.ended);
            let waiting = state.queues[self.index].as_ref()?.len();
            if waiting <= 1
                && !ended
                && let Some(source) = state.source.take_if(|_| room)
            {
                drop(state);
                let read = source.next().map(|batch| batch.map(|batch| Arc::new(W::from(batch))));
                state = turns.state();
                state.source = Some(source);
                let batch = state.take(read);
                drop(state);
                turns.moved.notify_all();
                batch.iter().for_each(|batch| prepare(batch));
                state = turns.state();
                continue;
            }
            if let Some(next) = state.queues[self.index].as_mut()?.pop_front() {
                if !room {
                    turns.moved.notify_all();
                }
                return Some(next);
            }
            if ended {
                return None;
            }
            state = turns.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<W: From<Arc<Batch>>> Drop for Seat<'_, '_, W> {
    fn drop(&mut self) {
        let mut state = self.turns.state();
        state.queues[self.index] = None;
        state.ended = true;
        drop(state);
        self.turns.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::capture::CaptureInfo;

    /// Hands out so many empty batches, then an error or the end.
    struct Source {
        left: usize,
        fails: bool,
    }

    impl Packets for Source {
        fn next(&mut self) -> Result<Option<Arc<Batch>>, CaptureError> {
            match self.left.checked_sub(1) {
                Some(left) => {
                    self.left = left;
                    Ok(Some(Arc::new(Batch::default())))
                }
                None if self.fails => Err(CaptureError::NoCaptures { path: "x".into() }),
                None => Ok(None),
            }
        }

        fn infos(&self) -> Vec<CaptureInfo> {
            Vec::new()
        }
    }

    /// Where a batch lies tells it from others, as nobody gives one back.
    type Seen = Arc<Batch>;

    /// What each of three workers sees, the slower the higher its index; the last leaves after
    /// `stays` batches.
    fn seen(source: &mut Source, stays: usize) -> (Vec<Vec<Arc<Seen>>>, bool) {
        let turns: Turns<'_, Seen> = Turns::new(source, 3);
        let all = std::thread::scope(|scope| {
            let work = |index: usize| {
                let seat = turns.seat(index);
                let mut seen = Vec::new();
                while (index < 2 || seen.len() < stays)
                    && let Some(next) = seat.next(|_| ())
                {
                    seen.push(next);
                    std::thread::sleep(Duration::from_micros(50 * index as u64));
                }
                seen
            };
            let threads: Vec<_> = (0..3).map(|i| scope.spawn(move || work(i))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        (all, turns.stopped_by().is_some())
    }

    fn same(a: &[Arc<Seen>], b: &[Arc<Seen>]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b))
    }

    #[test]
    fn everybody_sees_everything_in_order() {
        for (left, fails) in [(0, false), (1, false), (500, false), (500, true)] {
            let (all, stopped) = seen(&mut Source { left, fails }, usize::MAX);
            assert_eq!((all[0].len(), stopped), (left, fails));
            assert!(same(&all[0], &all[1]) && same(&all[0], &all[2]));
            let different: BTreeSet<_> = all[0].iter().map(Arc::as_ptr).collect();
            assert_eq!(different.len(), left);
        }
    }

    #[test]
    fn nobody_waits_for_who_has_left() {
        let (all, stopped) = seen(&mut Source { left: 100_000, fails: false }, 7);
        assert!(!stopped);
        assert_eq!(all[2].len(), 7);
        assert!(all[0].len() <= 7 + 2 * AHEAD, "{}", all[0].len());
        assert!(same(&all[0], &all[1]) && same(&all[0][..7], &all[2]));
    }
}
