//! Position-aware segmentation: the default.
//!
//! Kinds of messages are told apart first. Then every offset, every pair of neighbours and every
//! span that could hold a number is described by what its values do (entropy, carry, common
//! change, lengths, counters, echoes; `columns`, `pairs`, `numbers`), and boosted trees say how
//! likely a field begins there. They were trained on other protocols; `benchsuite/inference`
//! does that, and `model.txt` beside this file is all that it leaves here.

mod columns;
mod entropy;
mod features;
mod layout;
mod model;
mod numbers;
mod pairs;
mod trees;
mod view;

use features::Facts;
pub use model::Model;
pub use trees::ModelError;
use view::View;

use super::{Segmentation, Segmenter, Support};
use crate::kinds::Kinds;
use crate::params::Params;
use crate::samples::{Cuts, MOST_HEAD, Samples};

/// Samples from which kinds and layouts are learned; the rest only follows them.
const MOST_LEARNED: usize = 4096;
/// Samples of one flow that stay together when some must be left out.
const BLOCK: usize = 64;
/// Fewest samples of a kind that get a layout of their own.
const LEAST_OF_KIND: usize = 8;
/// How much a kind's own samples say at most beside all samples, and how many say half of that.
const MOST_OWN: f32 = 0.5;
const ENOUGH_OF_KIND: f32 = 50.0;

/// Position-aware segmentation with the model of this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aligned;

impl Segmenter for Aligned {
    fn name(&self) -> &'static str {
        "aligned"
    }

    fn segment(&self, samples: &Samples, params: &Params) -> Segmentation {
        Model::shipped().segment(samples, params)
    }

    fn support(&self, samples: &Samples, params: &Params) -> Vec<Support> {
        Model::shipped().support(samples, params)
    }
}

impl Segmenter for Model {
    fn name(&self) -> &'static str {
        "aligned"
    }

    fn segment(&self, samples: &Samples, params: &Params) -> Segmentation {
        let learned = learned(samples);
        let kinds = Kinds::learn(samples, &learned);
        let mut members = vec![Vec::new(); kinds.len()];
        for index in &learned {
            members[kinds.kind(&samples.get(*index))].push(*index);
        }
        let mut scored: Vec<Option<Scored>> = members
            .iter()
            .map(|members| {
                (kinds.len() > 1 && members.len() >= LEAST_OF_KIND)
                    .then(|| Scored::new(self, samples, members))
            })
            .collect();
        let ciphertext: Vec<bool> =
            scored.iter().map(|it| it.as_ref().is_some_and(|it| it.is_random(params))).collect();
        let mut shared = learned;
        shared.retain(|index| !ciphertext[kinds.kind(&samples.get(*index))]);
        let common = Scored::new(self, samples, &shared);
        for (own, members) in scored.iter_mut().zip(&members) {
            if let Some(own) = own {
                own.lean_on(&common, members.len());
            }
        }
        // Messages without a body show no length, but share the header of those that do.
        let words = scored.iter().flatten().chain([&common]).any(|it| it.has_words(self, params));
        let layouts: Vec<Cuts> = scored
            .iter()
            .map(|own| own.as_ref().unwrap_or(&common).layout(self, params, words))
            .collect();
        let cuts = samples
            .iter()
            .map(|sample| layouts[kinds.kind(&sample)].within(sample.head.len()))
            .collect();
        Segmentation { cuts }
    }

    /// How likely a field begins at each offset, over messages of all kinds.
    fn support(&self, samples: &Samples, params: &Params) -> Vec<Support> {
        let scored = Scored::new(self, samples, &learned(samples));
        let likely = scored.odds.iter().map(|odds| 1.0 / (1.0 + f64::from(-odds).exp()));
        let mut by_offset: Vec<f64> = likely.take(params.payload_bytes).collect();
        if let Some(first) = by_offset.first_mut() {
            *first = 0.0;
        }
        vec![Support { name: "probability of a boundary", by_offset }]
    }
}

/// Samples of one kind, with how likely each boundary is.
struct Scored {
    facts: Facts,
    odds: Vec<f32>,
}

impl Scored {
    fn new(model: &Model, samples: &Samples, indices: &[usize]) -> Self {
        let facts = Facts::new(&View::new(samples, indices.iter().copied(), MOST_HEAD));
        let odds = (0..facts.width())
            .map(|offset| if offset == 0 { 0.0 } else { model.odds(&facts.boundary(offset)) })
            .collect();
        Scored { facts, odds }
    }

    /// Few samples of a kind say less than all samples do.
    fn lean_on(&mut self, common: &Scored, samples: usize) {
        let own = MOST_OWN * samples as f32 / (samples as f32 + ENOUGH_OF_KIND);
        for (odds, common) in self.odds.iter_mut().zip(&common.odds) {
            *odds = own * *odds + (1.0 - own) * common;
        }
    }

    fn is_random(&self, params: &Params) -> bool {
        layout::all_random(&self.facts, params.payload_bytes)
    }

    fn has_words(&self, model: &Model, params: &Params) -> bool {
        let cuts = self.layout(model, params, false);
        layout::has_words(&self.facts, cuts, params.payload_bytes)
    }

    fn layout(&self, model: &Model, params: &Params, words: bool) -> Cuts {
        layout::choose(&self.facts, &self.odds, model.least_odds(), params.payload_bytes, words)
    }
}

/// Which samples are learned from: all, or blocks of consecutive ones spread over all flows.
pub(crate) fn learned(samples: &Samples) -> Vec<usize> {
    let keep = samples.len().div_ceil(MOST_LEARNED).max(1);
    let mut flows = 0;
    // By flow: its number in order of appearance, and samples seen.
    let mut seen: Vec<Option<(usize, usize)>> = vec![None; samples.flows().len()];
    (0..samples.len())
        .filter(|index| {
            let (number, count) = seen[samples.get(*index).flow].get_or_insert_with(|| {
                flows += 1;
                (flows - 1, 0)
            });
            *count += 1;
            (*number + (*count - 1) / BLOCK).is_multiple_of(keep)
        })
        .take(2 * MOST_LEARNED)
        .collect()
}

/// The numbers by which a boundary is judged, and what they are called: for training.
#[derive(Debug, Clone)]
pub struct Described {
    /// Names of the numbers.
    pub names: Vec<String>,
    /// By offset from 1: the numbers of the boundary before it.
    pub boundaries: Vec<Vec<f32>>,
}

/// Describes every boundary in the first `bytes` of the samples at `indices`.
pub fn describe(samples: &Samples, indices: &[usize], bytes: usize) -> Described {
    let view = View::new(samples, indices.iter().copied(), bytes);
    let facts = Facts::new(&view);
    Described {
        names: features::names(),
        boundaries: (1..facts.width()).map(|offset| facts.boundary(offset).to_vec()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::tests::samples;

    #[test]
    fn learns_from_blocks_of_all_flows() {
        let payloads: Vec<&[u8]> = vec![&[1, 2, 3]; 3 * MOST_LEARNED];
        let learned = learned(&samples(&payloads));
        assert_eq!(learned.len(), MOST_LEARNED);
        assert_eq!(learned[..BLOCK], (0..BLOCK).collect::<Vec<_>>());
        assert_eq!(learned[BLOCK], 3 * BLOCK);
    }

    #[test]
    fn nothing_has_no_cuts() {
        assert_eq!(Aligned.segment(&samples(&[]), &Params::default()).cuts, []);
        assert_eq!(Aligned.segment(&samples(&[&[]]), &Params::default()).cuts, [Cuts::none()]);
    }
}
