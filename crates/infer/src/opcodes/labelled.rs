//! Opcodes of the tasks of a controlled experiment.

use hashbrown::HashMap;
use ottoscope_flow::Timestamp;

use super::{Assignment, Event, Origin, chance};

/// One task as it was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Experiment {
    /// Its name.
    pub task: String,
    /// When it began.
    pub start: Timestamp,
    /// When it had ended.
    pub end: Timestamp,
    /// Indices of the flows of the device it was done on; any where empty.
    pub flows: Vec<usize>,
}

/// Smallest share of a task's experiments in which its opcode is seen.
const COVERAGE: f64 = 0.5;
/// Smallest share of an opcode's requests that lie in the task's experiments.
const PRECISION: f64 = 0.7;
/// Bits by which chance must be ruled out, over all pairs of tasks and opcodes.
const BITS: f64 = 8.0;

impl Experiment {
    fn has(&self, event: &Event) -> bool {
        event.at >= self.start
            && event.at <= self.end
            && (self.flows.is_empty() || self.flows.contains(&event.flow))
    }

    fn seconds(&self) -> f64 {
        (self.end - self.start).as_seconds().max(0.0)
    }
}

/// What is known of one task and opcode.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// Experiments with the opcode.
    experiments: usize,
    /// Requests within them.
    requests: usize,
}

/// Opcodes whose requests come in the experiments of a task and not else.
///
/// An opcode that comes with several tasks (a sync after each, a heartbeat between) is none of
/// theirs.
pub fn labelled(events: &[Event], experiments: &[Experiment]) -> Vec<Assignment> {
    let mut requests: Vec<&Event> = events.iter().filter(|event| !event.response).collect();
    requests.sort_unstable_by_key(|event| event.at);
    let mut totals: HashMap<u64, usize> = HashMap::new();
    for request in &requests {
        *totals.entry(request.opcode).or_default() += 1;
    }
    let mut tasks: Vec<&str> = experiments.iter().map(|e| e.task.as_str()).collect();
    tasks.sort_unstable();
    tasks.dedup();
    let mut seen: HashMap<(usize, u64), Seen> = HashMap::new();
    let mut done = vec![(0usize, 0.0f64); tasks.len()];
    for experiment in experiments {
        let Ok(task) = tasks.binary_search(&experiment.task.as_str()) else { continue };
        done[task].0 += 1;
        done[task].1 += experiment.seconds();
        let first = requests.partition_point(|request| request.at < experiment.start);
        let mut here: HashMap<u64, usize> = HashMap::new();
        let within = requests[first..].iter().take_while(|request| request.at <= experiment.end);
        for request in within.filter(|request| experiment.has(request)) {
            *here.entry(request.opcode).or_default() += 1;
        }
        for (opcode, count) in here {
            let seen = seen.entry((task, opcode)).or_default();
            seen.experiments += 1;
            seen.requests += count;
        }
    }
    let (Some(first), Some(last)) = (requests.first(), requests.last()) else { return Vec::new() };
    let starts = experiments.iter().map(|e| e.start).min().unwrap_or(first.at).min(first.at);
    let ends = experiments.iter().map(|e| e.end).max().unwrap_or(last.at).max(last.at);
    let whole = (ends - starts).as_seconds().max(1e-9);
    let needed = BITS + (seen.len().max(1) as f64).log2();
    let mut out: Vec<Assignment> = seen
        .iter()
        .filter_map(|((task, opcode), seen)| {
            let (count, seconds) = done[*task];
            let total = totals.get(opcode).copied().unwrap_or(0);
            let coverage = seen.experiments as f64 / count.max(1) as f64;
            let precision = seen.requests as f64 / total.max(1) as f64;
            let share = (seconds / whole).min(1.0);
            // A burst of requests is one observation: as many as experiments at most.
            let hits = seen.experiments;
            let tries = (hits as f64 / precision).ceil() as usize;
            let bits = -chance(hits, tries, share);
            if coverage < COVERAGE || precision < PRECISION || bits < needed {
                return None;
            }
            let evidence = format!(
                "in {} of {count} experiments of this task; {} of its {total} requests lie within \
                 them, {:.1} % of the time; by chance with probability 2^-{bits:.0} at most",
                seen.experiments,
                seen.requests,
                100.0 * share
            );
            let sure = 1.0 - (-bits / 8.0).exp2();
            Some(Assignment {
                opcode: *opcode,
                origin: Origin::Task(tasks[*task].to_owned()),
                confidence: (coverage * precision * sure).clamp(0.0, 0.99) as f32,
                observations: seen.experiments,
                evidence,
            })
        })
        .collect();
    out.sort_by(|a, b| a.opcode.cmp(&b.opcode).then(b.confidence.total_cmp(&a.confidence)));
    out
}
