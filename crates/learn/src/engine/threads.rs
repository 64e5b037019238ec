//! Shares pieces of work out to threads.
//!
//! Each takes the next piece when it has done one, so that a thread that begins late, or whose
//! processor others use, too, holds nobody up; pieces write to places of their own, so that it does
//! not matter which thread did which. Nobody spins: a thread that finds nothing to do is gone.

use std::sync::{Mutex, PoisonError};
use std::thread;

/// Calls `work` with each piece. Each thread that has a piece makes one `scratch`.
pub(crate) fn share<T: Send, S>(
    threads: usize,
    pieces: impl IntoIterator<Item = T>,
    scratch: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, T) + Sync,
) {
    let pieces: Vec<T> = pieces.into_iter().collect();
    let threads = threads.clamp(1, pieces.len().max(1));
    let queue = Mutex::new(pieces.into_iter());
    // Nothing can fail while the lock is held.
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let run = || {
        let Some(first) = next() else { return };
        let mut scratch = scratch();
        work(&mut scratch, first);
        while let Some(piece) = next() {
            work(&mut scratch, piece);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(run);
        }
        run();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_done_once() {
        for threads in 0..6 {
            for pieces in 0..9 {
                let mut counts = vec![0; pieces];
                share(threads, counts.iter_mut(), || (), |(), count| *count += 1);
                assert_eq!(counts, vec![1; pieces], "{threads} threads");
            }
        }
    }
}
