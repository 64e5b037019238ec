//! Opcodes that a clock sends.
//!
//! The paper's test is the coefficient of variation of the times between occurrences in every
//! flow. Two things would spoil it that change nothing about the clock: an occurrence sent again
//! because no answer came, and one that was not captured. The first is left out, the second
//! counted as two or three periods.

use ottoscope_flow::Timestamp;

use super::{Assignment, Event, Origin, occurrences};
use crate::params::Params;

/// Share of the usual time within which an occurrence is the last one sent again.
const AGAIN: f64 = 0.2;
/// How near to two or three periods a time must be to count as that many.
const MULTIPLE: f64 = 0.05;
/// Bits by which chance must be ruled out, over all opcodes.
const BITS: f64 = 8.0;

/// Times between occurrences in one flow.
#[derive(Debug, Default, PartialEq)]
struct Gaps {
    seconds: Vec<f64>,
    /// Occurrences sent again.
    again: usize,
    /// Occurrences that were not seen.
    unseen: usize,
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// Standard deviation over mean.
fn variation(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let square = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / n;
    if mean > 0.0 { square.sqrt() / mean } else { f64::INFINITY }
}

fn gaps(times: &[Timestamp], usual: f64) -> Gaps {
    let mut out = Gaps::default();
    let mut last: Option<Timestamp> = None;
    for at in times {
        let Some(before) = last else {
            last = Some(*at);
            continue;
        };
        let gap = (*at - before).as_seconds();
        if gap < AGAIN * usual {
            out.again += 1;
            continue;
        }
        last = Some(*at);
        let periods = (gap / usual).round();
        if (2.0..=3.0).contains(&periods) && (gap / usual - periods).abs() < MULTIPLE * periods {
            out.unseen += periods as usize - 1;
            out.seconds.push(gap / periods);
        } else {
            out.seconds.push(gap);
        }
    }
    out
}

/// Times between occurrences that are not sent again: half of those above a fifth of the
/// longest are longer.
fn usual(flows: &[(usize, Vec<Timestamp>)]) -> f64 {
    let gaps: Vec<f64> = flows
        .iter()
        .flat_map(|(_, times)| times.windows(2).map(|pair| (pair[1] - pair[0]).as_seconds()))
        .collect();
    // What is sent again comes soon after: by bytes of time it weighs nothing.
    let total: f64 = gaps.iter().sum();
    let mut sorted = gaps;
    sorted.sort_unstable_by(f64::total_cmp);
    let mut sum = 0.0;
    for gap in &sorted {
        sum += gap;
        if 2.0 * sum >= total {
            return *gap;
        }
    }
    0.0
}

/// Bits by which `n` times of random arrivals don't vary so little: the volume of the ball of
/// coefficient `cv` in the simplex of times that add up, 1.9 bits a time at 0.2.
fn surprise(n: usize, cv: f64) -> f64 {
    if n < 3 {
        return 0.0;
    }
    let each = 1.9 + (0.2 / cv.max(0.01)).log2();
    each * (n as f64 - 1.0) - 0.5
}

/// Opcodes whose requests come at a steady period in every flow.
pub fn periodic(events: &[Event], params: &Params) -> Vec<Assignment> {
    let occurrences = occurrences(events);
    let needed = BITS + (occurrences.len().max(1) as f64).log2();
    let mut out: Vec<Assignment> = occurrences
        .iter()
        .filter_map(|(opcode, flows)| {
            let usual = usual(flows);
            let (mut bits, mut times, mut worst) = (0.0, 0, 0.0f64);
            let (mut again, mut unseen, mut counted) = (0, 0, 0);
            let mut periods = Vec::new();
            for (_, occurrences) in flows {
                let gaps = gaps(occurrences, usual);
                again += gaps.again;
                if gaps.seconds.len() < 2 {
                    continue;
                }
                let cv = variation(&gaps.seconds);
                if cv >= params.periodic_cv || gaps.unseen * 3 > gaps.seconds.len() + 2 {
                    return None;
                }
                unseen += gaps.unseen;
                worst = worst.max(cv);
                bits += surprise(gaps.seconds.len(), cv);
                times += gaps.seconds.len();
                counted += 1;
                periods.push(median(&gaps.seconds));
            }
            if bits < needed || usual <= 0.0 {
                return None;
            }
            let period = median(&periods);
            let mut evidence = format!(
                "every {period:.1} s: coefficient of variation {worst:.3} at most over {times} \
                 times in {counted} of {} flows",
                flows.len()
            );
            if again + unseen > 0 {
                evidence.push_str(&format!("; {again} sent again, {unseen} not seen"));
            }
            Some(Assignment {
                opcode: *opcode,
                origin: Origin::Periodic { period },
                confidence: (1.0 - (-bits / 8.0).exp2()).clamp(0.0, 0.99) as f32,
                observations: times,
                evidence,
            })
        })
        .collect();
    out.sort_unstable_by_key(|assignment| assignment.opcode);
    out
}
