//! Labelled samples, all of one width.

use crate::LearnError;

/// Bytes of a sample in the papers: 28 rows of 28.
pub const SAMPLE: usize = 784;

/// Samples and what is known of each. Columns are parallel: one entry a sample.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Dataset {
    /// First bytes, row-major, `width` each, zero-filled.
    pub bytes: Vec<u8>,
    /// Bytes of a sample.
    pub width: usize,
    /// Class of each sample, an index into `classes`.
    pub labels: Vec<u16>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Features that are no bytes, row-major, `features.len() / labels.len()` each: packet sizes
    /// with the direction as sign, gaps. Empty where only images are at hand.
    pub features: Vec<f32>,
    /// Which samples must not be parted by a split (same flow, host pair, capture), coarsest
    /// grouping that the data allows. Empty where nothing is known.
    pub groups: Vec<u32>,
}

/// Some samples of a dataset.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// All samples.
    pub data: &'a Dataset,
    /// Which of them, in order.
    pub rows: &'a [u32],
}

impl Dataset {
    /// Samples of `width` bytes with their classes.
    ///
    /// # Errors
    /// When the columns' lengths disagree or a label names no class.
    pub fn new(
        bytes: Vec<u8>,
        width: usize,
        labels: Vec<u16>,
        classes: Vec<String>,
    ) -> Result<Self, LearnError> {
        if width == 0 || bytes.len() != labels.len() * width {
            return Err(LearnError::Shape { bytes: bytes.len(), labels: labels.len(), width });
        }
        if let Some(&label) = labels.iter().find(|&&label| usize::from(label) >= classes.len()) {
            return Err(LearnError::Label { label, classes: classes.len() });
        }
        Ok(Dataset { bytes, width, labels, classes, ..Dataset::default() })
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The bytes of one sample.
    pub fn sample(&self, row: usize) -> &[u8] {
        &self.bytes[row * self.width..(row + 1) * self.width]
    }

    /// Features a sample.
    pub fn feature_width(&self) -> usize {
        if self.is_empty() { 0 } else { self.features.len() / self.len() }
    }
}

impl<'a> Rows<'a> {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The bytes of each sample, in order.
    pub fn samples(self) -> impl ExactSizeIterator<Item = &'a [u8]> {
        self.rows.iter().map(move |&row| self.data.sample(row as usize))
    }

    /// The bytes of all samples behind one another, each cut or zero-filled to `width`.
    pub(crate) fn bytes(self, width: usize, to: &mut Vec<u8>) {
        to.clear();
        to.resize(self.len() * width, 0);
        for (to, sample) in to.chunks_exact_mut(width).zip(self.samples()) {
            let len = sample.len().min(width);
            to[..len].copy_from_slice(&sample[..len]);
        }
    }

    /// The class of each sample, in order.
    pub fn labels(self) -> impl ExactSizeIterator<Item = u16> + 'a {
        self.rows.iter().map(move |&row| self.data.labels[row as usize])
    }
}
