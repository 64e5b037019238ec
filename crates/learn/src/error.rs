//! What can be wrong with samples, models and files.

use std::io;
use std::path::PathBuf;

/// Why something could not be learned or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LearnError {
    /// Columns whose lengths disagree.
    #[error("{bytes} bytes are not {labels} samples of {width} bytes")]
    Shape {
        /// Bytes of all samples.
        bytes: usize,
        /// Labels.
        labels: usize,
        /// Bytes of a sample.
        width: usize,
    },
    /// A label beyond the classes.
    #[error("label {label} names none of {classes} classes")]
    Label {
        /// The label.
        label: u16,
        /// Classes there are.
        classes: usize,
    },
    /// Training needs two classes.
    #[error("only {found} class with samples: nothing to tell apart")]
    Classes {
        /// Classes that have samples.
        found: usize,
    },
    /// Training diverged.
    #[error("the loss is no number any more after {epoch} epochs: try a smaller --rate")]
    Diverged {
        /// Passes that went well.
        epoch: u32,
    },
    /// No graphics card to train on, or one that gave up.
    #[error("cannot train on a graphics card: {why}")]
    Gpu {
        /// What is missing, or went wrong.
        why: String,
    },
    /// A class without samples where each must have some.
    #[error("class {class} has no samples{part}: leave it out, or find some")]
    EmptyClass {
        /// Its name.
        class: String,
        /// Where it has none, with a space in front.
        part: String,
    },
    /// A split needs more groups than there are.
    #[error("too few groups to split {rung}: {why}")]
    Groups {
        /// What was to be kept apart.
        rung: &'static str,
        /// What is missing.
        why: String,
    },
    /// A feature that is not a number.
    #[error("feature {feature} of sample {row} is {value}")]
    Feature {
        /// The sample.
        row: usize,
        /// The feature.
        feature: usize,
        /// What it is.
        value: f32,
    },
    /// Data of another kind than the question is about.
    #[error("{0}")]
    Unfit(String),
    /// Less memory than training needs.
    #[error("training needs {} MB, and {} are allowed", need.div_ceil(1_000_000), limit / 1_000_000)]
    Memory {
        /// Bytes needed.
        need: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// Nothing was learned that could be written.
    #[error("{name} has learned nothing yet")]
    Untrained {
        /// The model.
        name: &'static str,
    },
    /// A file that is not what it should be.
    #[error("{}: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The disk refused.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}
