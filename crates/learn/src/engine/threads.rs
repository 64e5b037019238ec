//! Shares pieces of work out to threads, in the same way every time.
//!
//! Nobody spins: a thread that has nothing to do is gone, so another busy process costs its share
//! and no more.

use std::thread;

/// Calls `work` with each piece. The pieces are cut into as many stretches as there are threads;
/// each thread makes one `scratch` and works through one stretch.
pub(crate) fn share<T: Send, S>(
    threads: usize,
    pieces: impl IntoIterator<Item = T>,
    scratch: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, T) + Sync,
) {
    let mut pieces: Vec<T> = pieces.into_iter().collect();
    let threads = threads.clamp(1, pieces.len().max(1));
    let run = |pieces: Vec<T>| {
        let mut scratch = scratch();
        for piece in pieces {
            work(&mut scratch, piece);
        }
    };
    thread::scope(|scope| {
        for left in (1..threads).rev() {
            let stretch = pieces.split_off(pieces.len() * left / (left + 1));
            scope.spawn(|| run(stretch));
        }
        run(pieces);
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
