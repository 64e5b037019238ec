//! Payloads cut into candidate fields: one trait, one file a method.

use crate::params::Params;
use crate::samples::{Cuts, Samples};

/// A way to find field boundaries.
pub trait Segmenter {
    /// The method's name on the command line.
    fn name(&self) -> &'static str;

    /// Cuts the first [`Params::payload_bytes`] of every sample.
    fn segment(&self, samples: &Samples, params: &Params) -> Segmentation;
}

/// Where the fields of every sample begin.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Segmentation {
    /// The boundaries of each sample, in the samples' order.
    pub cuts: Vec<Cuts>,
}
