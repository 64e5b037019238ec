//! What every model can do.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{LearnError, Rows};

/// Where networks are trained. Other models know one place only, and so does prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// The processor: the same parameters for the same seed, to the bit.
    #[default]
    Cpu,
    /// The graphics card that the system names first; needs the feature `gpu`. Sums are taken in
    /// another order there, so that parameters are not those of the processor to the bit.
    Gpu,
}

/// How to train.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// Passes over the samples, at most.
    pub epochs: u32,
    /// Samples a step.
    pub batch: usize,
    /// Adam's step size.
    pub rate: f32,
    /// Passes without a better validation loss before training stops; 0 never stops early.
    pub patience: u32,
    /// Everything random comes from it.
    pub seed: u64,
    /// Threads.
    pub threads: usize,
    /// Whether classes weigh the same however many samples they have.
    pub balance: bool,
    /// Where training is kept after each pass, and gone on with when it was broken off; the file
    /// stays until someone removes it. Models that have no passes keep nothing.
    pub checkpoint: Option<PathBuf>,
    /// Bytes that training may take beside the samples; without it, what the system gives.
    pub memory: Option<u64>,
    /// Where networks are trained.
    pub device: Device,
}

impl Default for Fit {
    /// The paper's: 100 epochs, step size 0.001; early stop is ours.
    fn default() -> Self {
        Fit {
            epochs: 100,
            batch: 128,
            rate: 0.001,
            patience: 10,
            seed: 1,
            threads: 1,
            balance: false,
            checkpoint: None,
            memory: None,
            device: Device::Cpu,
        }
    }
}

/// What one pass over the samples gave.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Passes so far, from 1.
    pub number: u32,
    /// Mean cross-entropy over the training samples, nats.
    pub loss: f32,
    /// Share of training samples right.
    pub accuracy: f32,
    /// The same two on the validation samples, where there are some.
    pub validation: Option<(f32, f32)>,
}

/// Whether training goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Another pass.
    Continue,
    /// Keep what is learned and stop.
    Stop,
}

/// A way to tell classes apart.
pub trait Classifier: Send + Sync {
    /// Its name on the command line and in tables.
    fn name(&self) -> &'static str;

    /// Learns from `train`; `validation` only decides when to stop and which pass to keep.
    /// `watch` is called after each pass, once for models that have no passes.
    ///
    /// # Errors
    /// One class or none in `train`, a loss that is not a number, too little memory.
    fn fit(
        &mut self,
        train: Rows<'_>,
        validation: Rows<'_>,
        how: &Fit,
        watch: &mut dyn FnMut(&Epoch) -> Control,
    ) -> Result<Vec<Epoch>, LearnError>;

    /// Probability of each class for each sample, row-major, `rows.len() * classes` values; none
    /// before something was learned. Samples of another width are cut or zero-filled.
    fn predict(&self, rows: Rows<'_>, threads: usize) -> Vec<f32>;

    /// Classes that it tells apart, 0 before it has learned.
    fn classes(&self) -> usize;

    /// Writes what was learned: safetensors.
    ///
    /// # Errors
    /// When the disk refuses.
    fn save(&self, path: &Path) -> Result<(), LearnError>;

    /// Reads what [`Classifier::save`] wrote, checking names and shapes.
    ///
    /// # Errors
    /// When it is not this model's file.
    fn load(&mut self, path: &Path) -> Result<(), LearnError>;

    /// Bytes of what was learned.
    fn size(&self) -> usize;

    /// What was learned as an ONNX model: bytes of samples divided by 255 go in as `input`, features
    /// as `features`, whichever the model looks at; probabilities come out as `probabilities`.
    /// Nothing where it can't be said in ONNX: an LSTM whose last step is cut off, an image that
    /// is not filled.
    fn onnx(&self) -> Option<Vec<u8>> {
        None
    }
}
