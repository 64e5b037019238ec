//! What a network is to the loop that trains it: a stretch of numbers and their slope.

use crate::Rows;
use crate::engine::math::Tally;
use crate::engine::random::Random;

/// Samples that are worked on together, by one thread. Sums over samples are taken within shards
/// first and then over shards in order, so that results don't depend on the number of threads.
pub(crate) const SHARD: usize = 32;

/// A learned tensor as others know it.
pub(crate) struct Tensor {
    /// Its name in files.
    pub(crate) name: &'static str,
    /// Its shape in files, slowest index first.
    pub(crate) shape: Vec<usize>,
    /// Where its values lie among the parameters, by index in the file.
    pub(crate) place: Box<dyn Fn(usize) -> usize + Send + Sync>,
}

impl Tensor {
    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Its values in the file's order.
    pub(crate) fn values(&self, parameters: &[f32]) -> Vec<f32> {
        (0..self.len()).map(|at| parameters[(self.place)(at)]).collect()
    }
}

/// How one step is taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<'a> {
    /// Weight of each class.
    pub(crate) weights: &'a [f32],
    /// What is dropped is drawn from it; without, nothing is.
    pub(crate) seed: Option<u64>,
    /// Threads.
    pub(crate) threads: usize,
}

/// A network of fixed shape.
pub(crate) trait Network: Send + Sync + Sized {
    /// Its name in files and on the command line.
    const NAME: &'static str;

    /// What it needs beside parameters while it works.
    type Work: Send;

    /// For samples of `width` bytes in `classes` classes.
    fn new(width: usize, classes: usize) -> Self;

    /// Number of parameters, padding included.
    fn parameters(&self) -> usize;

    /// Every tensor.
    fn tensors(&self) -> Vec<Tensor>;

    /// Random parameters to begin with; they are zero when it is called.
    fn start(&self, parameters: &mut [f32], random: &mut Random);

    /// Space for batches of up to `batch` samples; `learns` whether [`Network::learn`] is called.
    fn work(&self, batch: usize, learns: bool) -> Self::Work;

    /// Bytes of that, known before they are asked for.
    fn work_size(&self, batch: usize, learns: bool) -> usize;

    /// Loss of a batch and its mean's slope, which replaces what is in `slope`.
    fn learn(
        &self,
        parameters: &[f32],
        rows: Rows<'_>,
        step: &Step<'_>,
        slope: &mut [f32],
        work: &mut Self::Work,
    ) -> Tally;

    /// Probabilities of a batch, row-major, on one thread.
    fn predict(
        &self,
        parameters: &[f32],
        rows: Rows<'_>,
        probabilities: &mut [f32],
        work: &mut Self::Work,
    );

    /// The graph for others, where it can be said.
    fn onnx(&self, parameters: &[f32]) -> Option<Vec<u8>>;

    /// Scores of a batch, by class, as operations of a graphics card. `tensors` are those of
    /// [`Network::tensors`] in order and flat; `bytes` of 0 to 1 by sample; `drops` whether what
    /// training drops is dropped.
    #[cfg(feature = "gpu")]
    fn scores(
        &self,
        tensors: &[super::gpu::Flat],
        bytes: super::gpu::Matrix,
        drops: bool,
    ) -> super::gpu::Matrix;
}
