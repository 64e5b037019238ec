//! The paper's iterative Voting Experts: long fields are segmented again.
//!
//! The paper (III-A2) leaves two things open. What a window votes for, hence two readings; and
//! what window and threshold hold in a field shorter than the window. Here both shrink with the
//! field: the window by the field's share of the bytes looked at, the threshold by the number of
//! windows that can vote.

use hashbrown::HashMap;

use super::experts::{Ballot, experts};
use super::ngrams::Entropies;
use super::{Distinct, Segmentation, Segmenter, Support, VotingExperts};
use crate::params::Params;
use crate::samples::{Cuts, Samples};

/// Voting Experts on any field longer than [`Params::field_length`], until none can be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Iterative {
    /// What a window votes for.
    pub reading: Reading,
}

/// What "votes for two positions in each sliding window" means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// As in ProWord: each of the two experts has one vote.
    Literal,
    /// The two positions between which the string is least surprising and at which the bytes
    /// that follow are most uncertain, together; and a field "can be partitioned" as long as any
    /// position in it has a vote, so that the threshold only decides whether it is cut at all
    /// peaks or at the highest one.
    BestPair,
}

impl Segmenter for Iterative {
    fn name(&self) -> &'static str {
        match self.reading {
            Reading::Literal => "iterative-literal",
            Reading::BestPair => "iterative",
        }
    }

    /// Votes of the first round.
    fn support(&self, samples: &Samples, params: &Params) -> Vec<Support> {
        VotingExperts.support(samples, params)
    }

    fn segment(&self, samples: &Samples, params: &Params) -> Segmentation {
        let distinct = Distinct::new(samples, params.payload_bytes);
        let vote = match self.reading {
            Reading::Literal => experts,
            Reading::BestPair => best_pair,
        };
        let mut cuts = vec![Cuts::none(); distinct.heads.len()];
        let mut open = vec![Vec::new(); 1];
        let mut spans: HashMap<(usize, usize), usize> = HashMap::new();
        // Payloads of one length share their statistics only in the first round with all others,
        // as in the basic algorithm; afterwards a field is compared with the same field.
        let mut work = vec![(0, usize::MAX)];
        open[0] = (0..distinct.heads.len() as u32).collect();
        while let (Some((start, end)), Some(members)) = (work.pop(), open.pop()) {
            let field = |id: u32| {
                let head = distinct.heads[id as usize];
                &head[start..end.min(head.len())]
            };
            let payloads: Vec<_> =
                members.iter().map(|id| (field(*id), distinct.counts[*id as usize])).collect();
            spans.clear();
            let longest = payloads.iter().map(|(payload, _)| payload.len()).max().unwrap_or(0);
            let mut ballot = Ballot::new(&payloads, window(longest, params));
            for (id, (payload, _)) in members.iter().zip(&payloads) {
                let window = window(payload.len(), params).min(payload.len());
                ballot.count(payload, window, vote);
                let mut found = Cuts::at(ballot.peaks(threshold(payload.len(), window, params)));
                let long = payload.len() > params.field_length;
                if found == Cuts::none() && self.reading == Reading::BestPair && long {
                    found = Cuts::at(ballot.most());
                }
                if found == Cuts::none() {
                    continue;
                }
                for part in found.fields(payload.len()) {
                    cuts[*id as usize].insert(start + part.start);
                    if part.len() <= params.field_length {
                        continue;
                    }
                    let span = (start + part.start, start + part.end);
                    let at = *spans.entry(span).or_insert_with(|| {
                        work.push(span);
                        open.push(Vec::new());
                        open.len() - 1
                    });
                    open[at].push(*id);
                }
            }
        }
        Segmentation { cuts: distinct.of.iter().map(|id| cuts[*id as usize]).collect() }
    }
}

fn window(len: usize, params: &Params) -> usize {
    if len >= params.payload_bytes || len == 0 {
        return params.window.max(2);
    }
    let share = (params.window * len) as f64 / params.payload_bytes.max(1) as f64;
    (share.round() as usize).clamp(2, params.window.max(2))
}

fn threshold(len: usize, window: usize, params: &Params) -> u32 {
    let all = params.payload_bytes.saturating_sub(params.window) + 1;
    let here = len + 1 - window.min(len);
    (f64::from(params.votes) * here as f64 / all as f64).ceil().max(1.0) as u32
}

/// The pair of positions with the most uncertain boundaries and the least surprising word
/// between them; the first of equals.
fn best_pair(entropies: &Entropies, start: usize, window: usize, end: usize) -> [Option<usize>; 2] {
    let mut best: Option<(f32, usize, usize)> = None;
    for first in 1..window {
        let before = entropies.boundary(start, first);
        for len in (1..=window - first).take_while(|len| start + first + len < end) {
            let value = before + entropies.boundary(start + first, len)
                - entropies.internal(start + first, len);
            if best.is_none_or(|(most, ..)| value > most) {
                best = Some((value, start + first, start + first + len));
            }
        }
    }
    best.map_or([None; 2], |(_, first, second)| [Some(first), Some(second)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::VotingExperts;
    use crate::segment::tests::{random, samples};

    fn header(seed: u64) -> Vec<Vec<u8>> {
        let mut next = random(seed);
        (0..200)
            .map(|n: u32| {
                let mut out = vec![0, 16, 0, 1];
                out.extend(n.to_be_bytes());
                out.extend((0..8).map(|_| next() as u8));
                out
            })
            .collect()
    }

    #[test]
    fn only_adds_to_the_first_round() {
        let payloads = header(1);
        let samples = samples(&payloads.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let params = Params::default();
        let once = VotingExperts.segment(&samples, &params);
        let again = Iterative { reading: Reading::Literal }.segment(&samples, &params);
        for (once, again) in once.cuts.iter().zip(&again.cuts) {
            assert!(once.iter().all(|at| again.contains(at)));
        }
    }

    #[test]
    fn window_and_threshold_shrink_with_the_field() {
        let params = Params::default();
        assert_eq!((window(16, &params), threshold(16, 10, &params)), (10, 6));
        assert_eq!((window(8, &params), threshold(8, 5, &params)), (5, 4));
        assert_eq!((window(5, &params), threshold(5, 3, &params)), (3, 3));
    }
}
