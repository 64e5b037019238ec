//! Payloads cut into candidate fields: one trait, one file a method.

pub mod aligned;
mod distinct;
mod experts;
mod fixed;
mod iterative;
mod ngrams;

use crate::params::Params;
use crate::samples::{Cuts, Samples};

pub use aligned::Aligned;
pub(crate) use aligned::learned;
pub(crate) use distinct::Distinct;
pub use experts::VotingExperts;
pub use fixed::Fixed;
pub use iterative::{Iterative, Reading};

/// A way to find field boundaries.
pub trait Segmenter: Sync {
    /// The method's name on the command line.
    fn name(&self) -> &'static str;

    /// Cuts the first [`Params::payload_bytes`] of every sample.
    fn segment(&self, samples: &Samples, params: &Params) -> Segmentation;

    /// What speaks for a boundary at each offset, for figures; nothing where a method has no
    /// such numbers.
    fn support(&self, _samples: &Samples, _params: &Params) -> Vec<Support> {
        Vec::new()
    }
}

/// What one expert says of boundaries.
#[derive(Debug, Clone, PartialEq)]
pub struct Support {
    /// Who says it, in words.
    pub name: &'static str,
    /// By offset, 0 to 1: the share of the votes that it could give, or a probability.
    pub by_offset: Vec<f64>,
}

/// Where the fields of every sample begin.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Segmentation {
    /// The boundaries of each sample, in the samples' order.
    pub cuts: Vec<Cuts>,
}

/// All methods, the default first.
pub static METHODS: &[&dyn Segmenter] = &[
    &Aligned,
    &Iterative { reading: Reading::BestPair },
    &Iterative { reading: Reading::Literal },
    &VotingExperts,
    &Fixed::One,
    &Fixed::Two,
    &Fixed::Four,
];

/// The method of that name.
pub fn method(name: &str) -> Option<&'static dyn Segmenter> {
    METHODS.iter().copied().find(|method| method.name() == name)
}

#[cfg(test)]
pub(crate) mod tests {
    use ottoscope_flow::{Direction, FlowId, Timestamp, Transport};

    use super::*;
    use crate::samples::{FlowInfo, Sample};

    /// One flow with these payloads, one a second.
    pub(crate) fn samples(payloads: &[&[u8]]) -> Samples {
        let mut out = Samples::new();
        let address = "192.0.2.1".parse().unwrap();
        let flow = out.flow(FlowInfo {
            id: FlowId(1),
            transport: Transport::Udp,
            client: (address, 1000),
            server: (address, 2000),
        });
        for (second, payload) in payloads.iter().enumerate() {
            out.push(Sample {
                at: Timestamp(second as i64 * 1_000_000_000),
                flow,
                direction: Direction::Up,
                sequence: None,
                len: payload.len() as u64,
                head: payload,
            });
        }
        out
    }

    /// Numbers that look random (SplitMix64).
    pub(crate) fn random(seed: u64) -> impl FnMut() -> u64 {
        let mut state = seed;
        move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }
    }

    #[test]
    fn every_method_is_found_by_its_name() {
        for known in METHODS {
            assert_eq!(method(known.name()).unwrap().name(), known.name());
        }
        assert!(method("oracle").is_none());
    }
}
