//! Opcodes and the tasks behind them.
//!
//! Three ways (III-A4): what comes [`periodic()`]ally, what another request [`triggered()`], what comes
//! in the [`labelled()`] times of a controlled experiment and not else. Each assignment says why.

mod labelled;
mod periodic;
mod reading;
mod triggered;

use hashbrown::HashMap;
use ottoscope_flow::{Direction, Timestamp};

pub use labelled::{Experiment, labelled};
pub use periodic::periodic;
pub use reading::Reading;
pub use triggered::triggered;

/// A message by its opcode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// When it began.
    pub at: Timestamp,
    /// Index of its flow in the samples.
    pub flow: usize,
    /// Which way it went.
    pub direction: Direction,
    /// As a request has it.
    pub opcode: u64,
    /// Whether it answers a request.
    pub response: bool,
}

/// Who lets an opcode be sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// A clock.
    Periodic {
        /// Seconds.
        period: f64,
    },
    /// Another request.
    Triggered {
        /// Its opcode.
        by: u64,
    },
    /// The user, by a task of an experiment.
    Task(String),
}

/// What an opcode is for.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// As a request has it.
    pub opcode: u64,
    /// Who lets it be sent.
    pub origin: Origin,
    /// 0 to 1: how sure.
    pub confidence: f32,
    /// Observations that speak for it.
    pub observations: usize,
    /// Why, in words with numbers.
    pub evidence: String,
}

/// Requests of each opcode by flow, in order of time.
type Occurrences = HashMap<u64, Vec<(usize, Vec<Timestamp>)>>;

fn occurrences(events: &[Event]) -> Occurrences {
    let mut requests: Vec<&Event> = events.iter().filter(|event| !event.response).collect();
    requests.sort_unstable_by_key(|event| (event.opcode, event.flow, event.at));
    let mut out = Occurrences::new();
    for run in requests.chunk_by(|a, b| (a.opcode, a.flow) == (b.opcode, b.flow)) {
        let times = run.iter().map(|event| event.at).collect();
        out.entry(run[0].opcode).or_default().push((run[0].flow, times));
    }
    out
}

/// Probability of `hits` or more of `tries`, each of probability `p`, as its logarithm to the
/// base 2; an upper bound (Chernoff), which is what a claim needs.
fn chance(hits: usize, tries: usize, p: f64) -> f64 {
    if tries == 0 {
        return 0.0;
    }
    let share = hits as f64 / tries as f64;
    let p = p.clamp(1e-12, 1.0);
    if share <= p {
        return 0.0;
    }
    let part = |a: f64, b: f64| if a > 0.0 { a * (a / b).log2() } else { 0.0 };
    -(tries as f64) * (part(share, p) + part(1.0 - share, 1.0 - p))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_an_upper_bound() {
        assert_eq!(chance(1, 10, 0.5), 0.0);
        assert!((chance(10, 10, 0.5) + 10.0).abs() < 1e-9);
        // Of 9 or more of 10 fair throws: 11 in 1024.
        let bound = chance(9, 10, 0.5);
        assert!(bound < -3.0 && bound > (11f64 / 1024.0).log2());
        assert_eq!(chance(0, 0, 0.1), 0.0);
    }
}
