//! Opcodes that another request lets be sent (Sherlock's heuristic, as the paper has it).
//!
//! The paper asks for the probability that a request is followed within a second, over the mean
//! arrival rate. Opcodes that come often follow anything, so that we ask besides: how often would
//! as many follow by chance, does the follower come because of this one or of one between, and is
//! it simply the answer?

use hashbrown::HashMap;
use ottoscope_flow::{Span, Timestamp};

use super::{Assignment, Event, Origin, chance};
use crate::params::Params;

/// Times that a request must have been followed.
const LEAST: usize = 4;
/// Smallest share of a request's occurrences that are followed.
const SHARE: f64 = 0.5;
/// Bits by which chance must be ruled out, over all pairs of opcodes.
const BITS: f64 = 10.0;

/// One pair of opcodes.
#[derive(Debug, Clone, Copy, Default)]
struct Pair {
    followed: usize,
    /// Of these, how many in one packet or write: the first may be the cause, or both have one
    /// cause and neither is it.
    together: usize,
    /// Of these, how many had another request between that may be the cause.
    between: usize,
    delay: f64,
    /// Of the followers, how many went the other way.
    opposite: usize,
}

/// Requests that come within a second of others.
#[derive(Default)]
struct Tally {
    count: HashMap<u64, usize>,
    pairs: HashMap<(u64, u64), Pair>,
    /// For each follower and its cause: which requests stood between.
    chains: HashMap<(u64, u64, u64), usize>,
    seconds: f64,
}

/// Requests within this time are one write.
const TOGETHER: Span = Span(1_000_000);

fn tally(events: &[Event], gap: Span) -> Tally {
    let mut out = Tally::default();
    let mut requests: Vec<&Event> = events.iter().filter(|event| !event.response).collect();
    requests.sort_by_key(|event| (event.flow, event.at));
    for flow in requests.chunk_by(|a, b| a.flow == b.flow) {
        if let [first, .., last] = flow {
            out.seconds += (last.at - first.at).as_seconds();
        }
        for (index, cause) in flow.iter().enumerate() {
            *out.count.entry(cause.opcode).or_default() += 1;
            let mut seen: Vec<(u64, Timestamp)> = Vec::new();
            for follower in &flow[index + 1..] {
                let delay = follower.at - cause.at;
                if delay > gap || follower.opcode == cause.opcode {
                    break;
                }
                if seen.iter().any(|(opcode, _)| *opcode == follower.opcode) {
                    continue;
                }
                let pair = out.pairs.entry((cause.opcode, follower.opcode)).or_default();
                pair.followed += 1;
                pair.delay += delay.as_seconds();
                pair.together += usize::from(delay <= TOGETHER);
                pair.opposite += usize::from(cause.direction != follower.direction);
                let mut others = seen.iter().filter(|(_, at)| *at > cause.at);
                pair.between += usize::from(others.next().is_some());
                for (other, at) in &seen {
                    if *at > cause.at {
                        let key = (cause.opcode, follower.opcode, *other);
                        *out.chains.entry(key).or_default() += 1;
                    }
                }
                seen.push((follower.opcode, follower.at));
            }
        }
    }
    out
}

/// Opcodes that follow a request of another within [`Params::trigger_gap`] more than chance
/// would have it. Where answers can't be told from requests, an opcode that only ever goes the
/// other way and as often as its cause is taken for the answer.
pub fn triggered(events: &[Event], params: &Params) -> Vec<Assignment> {
    let gap = Span((params.trigger_gap * 1e9) as i64);
    let tally = tally(events, gap);
    if tally.seconds <= 0.0 {
        return Vec::new();
    }
    let marked = events.iter().any(|event| event.response);
    let needed = BITS + (tally.pairs.len().max(1) as f64).log2();
    let rate = |opcode: u64| tally.count.get(&opcode).copied().unwrap_or(0) as f64 / tally.seconds;
    let convincing = |cause: u64, follower: u64| {
        let pair = tally.pairs.get(&(cause, follower))?;
        let causes = *tally.count.get(&cause)?;
        let probability = pair.followed as f64 / causes as f64;
        let by_chance = 1.0 - (-rate(follower) * params.trigger_gap).exp();
        let bits = -chance(pair.followed, causes, by_chance);
        let ratio = probability / rate(cause);
        let answer = !marked
            && pair.opposite == pair.followed
            && tally.count.get(&follower) == Some(&pair.followed);
        (pair.followed >= LEAST
            && probability >= SHARE
            && bits >= needed
            && ratio >= params.trigger_ratio
            && !answer)
            .then_some((*pair, causes, probability, bits, ratio))
    };
    let mut out: Vec<Assignment> = tally
        .pairs
        .keys()
        .filter_map(|(cause, follower)| {
            let (pair, causes, probability, bits, ratio) = convincing(*cause, *follower)?;
            // The cause of the cause: what stands between and is convincing itself.
            let explained = tally.chains.iter().any(|((first, last, other), count)| {
                (first, last) == (cause, follower)
                    && 2 * count > pair.followed
                    && convincing(*other, *follower).is_some()
            });
            // In one write with it, and there is another before both.
            let together = |pair: &Pair| 2 * pair.together >= pair.followed;
            let before = together(&pair)
                && tally.pairs.iter().any(|((other, last), pair)| {
                    last == follower
                        && other != cause
                        && !together(pair)
                        && convincing(*other, *follower).is_some()
                });
            if explained || before {
                return None;
            }
            let evidence = format!(
                "{} of {causes} requests of opcode {cause} followed within {} s, {:.3} s later in \
                 the mean; {ratio:.0} times their arrival rate; by chance with probability \
                 2^-{bits:.0} at most",
                pair.followed,
                params.trigger_gap,
                pair.delay / pair.followed as f64,
            );
            Some(Assignment {
                opcode: *follower,
                origin: Origin::Triggered { by: *cause },
                confidence: (probability * (1.0 - (-bits / 10.0).exp2())).clamp(0.0, 0.99) as f32,
                observations: pair.followed,
                evidence,
            })
        })
        .collect();
    let cause = |assignment: &Assignment| match assignment.origin {
        Origin::Triggered { by } => by,
        _ => 0,
    };
    out.sort_unstable_by_key(|assignment| (assignment.opcode, cause(assignment)));
    out
}
