//! Voting Experts as ProWord uses them: in every window two experts vote for a boundary.
//!
//! Cohen and Adams 2001, in the reading of ProWord (the ChatDissect paper, III-A2): one expert
//! votes for the position behind which the next byte is most uncertain, the other for the
//! position that splits the window into the two least surprising words.

use super::ngrams::{Entropies, Ngrams};
use super::{Distinct, Segmentation, Segmenter, Support};
use crate::params::Params;
use crate::samples::{Cuts, Samples};

/// Votes once, and cuts where they have a peak of at least [`Params::votes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VotingExperts;

impl Segmenter for VotingExperts {
    fn name(&self) -> &'static str {
        "voting-experts"
    }

    fn segment(&self, samples: &Samples, params: &Params) -> Segmentation {
        let distinct = Distinct::new(samples, params.payload_bytes);
        let payloads: Vec<_> =
            distinct.heads.iter().copied().zip(distinct.counts.iter().copied()).collect();
        let window = params.window.max(2);
        let mut ballot = Ballot::new(&payloads, window);
        let cuts: Vec<Cuts> = payloads
            .iter()
            .map(|(payload, _)| {
                ballot.count(payload, window.min(payload.len()), experts);
                Cuts::at(ballot.peaks(params.votes))
            })
            .collect();
        Segmentation { cuts: distinct.of.iter().map(|id| cuts[*id as usize]).collect() }
    }

    /// Mean votes of the two experts, of as many as a position can get.
    fn support(&self, samples: &Samples, params: &Params) -> Vec<Support> {
        let distinct = Distinct::new(samples, params.payload_bytes);
        let payloads = distinct.heads.iter().copied().zip(distinct.counts.iter().copied());
        let payloads: Vec<_> = payloads.take(MOST_SHOWN).collect();
        let window = params.window.max(2);
        let mut ballot = Ballot::new(&payloads, window);
        let experts: [(&'static str, Vote); 2] = [
            ("votes for uncertain ends", |entropies, start, window, end| {
                [experts(entropies, start, window, end)[0], None]
            }),
            ("votes for likely words", |entropies, start, window, end| {
                [experts(entropies, start, window, end)[1], None]
            }),
        ];
        let mean = |(name, vote): (&'static str, Vote)| {
            let (mut votes, mut most) =
                (vec![0.0; params.payload_bytes], vec![0.0; params.payload_bytes]);
            for (payload, times) in &payloads {
                let window = window.min(payload.len());
                ballot.count(payload, window, vote);
                for offset in 1..payload.len() {
                    // Windows that reach the position.
                    let first = (offset + 1).saturating_sub(window);
                    let windows = offset.min(payload.len() - window) + 1 - first.min(offset);
                    votes[offset] += f64::from(ballot.votes[offset] * times);
                    most[offset] += (windows as f64) * f64::from(*times);
                }
            }
            let share = votes.iter().zip(&most);
            let by_offset = share.map(|(votes, most)| (votes / f64::max(*most, 1.0)).min(1.0));
            Support { name, by_offset: by_offset.collect() }
        };
        experts.map(mean).into()
    }
}

/// Distinct payloads whose votes are counted for a figure.
const MOST_SHOWN: usize = 4096;

/// Votes for every position of one payload.
pub(super) struct Ballot {
    ngrams: Ngrams,
    entropies: Entropies,
    votes: Vec<u32>,
}

/// How one window votes: given its start, its length and the payload's length, the positions
/// that it votes for.
pub(super) type Vote = fn(&Entropies, usize, usize, usize) -> [Option<usize>; 2];

impl Ballot {
    /// With the statistics of `payloads`.
    pub(super) fn new(payloads: &[(&[u8], u32)], window: usize) -> Self {
        Ballot {
            ngrams: Ngrams::learn(payloads, window),
            entropies: Entropies::default(),
            votes: Vec::new(),
        }
    }

    /// Lets every window of `window` bytes in `payload` vote.
    pub(super) fn count(&mut self, payload: &[u8], window: usize, vote: Vote) {
        self.votes.clear();
        self.votes.resize(payload.len() + 1, 0);
        if payload.len() < 2 || window < 2 {
            return;
        }
        self.ngrams.look_up(payload, &mut self.entropies);
        for start in 0..=payload.len() - window {
            for position in
                vote(&self.entropies, start, window, payload.len()).into_iter().flatten()
            {
                self.votes[position] += 1;
            }
        }
    }

    /// The position inside with most votes, if any has one; of equals the one nearest the middle.
    pub(super) fn most(&self) -> Option<usize> {
        let end = self.votes.len().saturating_sub(1);
        (1..end).filter(|position| self.votes[*position] > 0).max_by_key(|position| {
            (self.votes[*position], position.min(&(end - position)).to_owned())
        })
    }

    /// Positions inside with `least` votes or more, and more than both neighbours.
    pub(super) fn peaks(&self, least: u32) -> impl Iterator<Item = usize> {
        (1..self.votes.len().saturating_sub(1)).filter(move |position| {
            let votes = self.votes[*position];
            votes >= least && votes > self.votes[position - 1] && votes > self.votes[position + 1]
        })
    }
}

/// One vote for the highest boundary entropy, one for the lowest sum of internal entropies; the
/// first of equals.
pub(super) fn experts(
    entropies: &Entropies,
    start: usize,
    window: usize,
    end: usize,
) -> [Option<usize>; 2] {
    let mut uncertain: Option<(f32, usize)> = None;
    for len in (1..=window).take_while(|len| start + len < end) {
        let entropy = entropies.boundary(start, len);
        if uncertain.is_none_or(|(best, _)| entropy > best) {
            uncertain = Some((entropy, start + len));
        }
    }
    let mut split: Option<(f32, usize)> = None;
    for len in 1..window {
        let entropy =
            entropies.internal(start, len) + entropies.internal(start + len, window - len);
        if split.is_none_or(|(best, _)| entropy < best) {
            split = Some((entropy, start + len));
        }
    }
    [uncertain.map(|(_, at)| at), split.map(|(_, at)| at)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::tests::samples;

    #[test]
    fn words_are_found_where_there_is_text() {
        let text = b"theappleorangetheorangeappleorangetheappletheapple";
        let payloads: Vec<&[u8]> = text.chunks(10).collect();
        let cut = VotingExperts
            .segment(&samples(&payloads), &Params { window: 5, votes: 3, ..Params::default() });
        assert!(cut.cuts.iter().any(|cuts| *cuts != Cuts::none()));
        assert_eq!(cut.cuts.len(), 5);
    }

    #[test]
    fn short_payloads_have_no_boundary() {
        let cut = VotingExperts.segment(&samples(&[&[], &[1], &[1, 2]]), &Params::default());
        assert_eq!(cut.cuts, [Cuts::none(); 3]);
    }
}
