//! A small model and small data for tests.

use std::path::Path;

use crate::layers::{Layout, image};
use crate::samples::Origin;
use crate::{Classifier, Control, Dataset, Epoch, Fit, LearnError, Rows, Samples};

/// Answers with the class of the most alike training sample: the one with the fewest other bytes.
#[derive(Default)]
pub(crate) struct Nearest {
    known: Vec<(Vec<u8>, u16)>,
    classes: usize,
}

impl Classifier for Nearest {
    fn name(&self) -> &'static str {
        "nearest"
    }

    fn fit(
        &mut self,
        train: Rows<'_>,
        _: Rows<'_>,
        _: &Fit,
        watch: &mut dyn FnMut(&Epoch) -> Control,
    ) -> Result<Vec<Epoch>, LearnError> {
        self.classes = train.data.classes.len();
        self.known = train.samples().map(<[u8]>::to_vec).zip(train.labels()).collect();
        let epoch = Epoch { number: 1, loss: 0.0, accuracy: 1.0, validation: None };
        watch(&epoch);
        Ok(vec![epoch])
    }

    fn predict(&self, rows: Rows<'_>, _: usize) -> Vec<f32> {
        let mut out = Vec::new();
        for sample in rows.samples() {
            let unlike = |known: &[u8]| known.iter().zip(sample).filter(|(a, b)| a != b).count();
            let mut least = vec![usize::MAX; self.classes];
            for (known, label) in &self.known {
                let least = &mut least[usize::from(*label)];
                *least = (*least).min(unlike(known));
            }
            let weights: Vec<f32> =
                least.iter().map(|least| 1.0 / (1.0 + *least as f32).powi(2)).collect();
            let sum: f32 = weights.iter().sum();
            out.extend(weights.iter().map(|weight| weight / sum));
        }
        out
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn save(&self, _: &Path) -> Result<(), LearnError> {
        Ok(())
    }

    fn load(&mut self, _: &Path) -> Result<(), LearnError> {
        Ok(())
    }

    fn size(&self) -> usize {
        self.known.iter().map(|(known, _)| known.len()).sum()
    }
}

/// Samples of eight bytes whose first four tell the class and whose last four are a number; of
/// known captures, one for each five samples of a class.
pub(crate) fn toy(count: usize, classes: u16) -> Samples {
    let mut data = Dataset {
        width: 8,
        classes: (0..classes).map(|class| format!("c{class}")).collect(),
        ..Dataset::default()
    };
    let mut origins = Vec::new();
    for row in 0..count {
        let label = (row % usize::from(classes)) as u16;
        data.labels.push(label);
        data.bytes.extend_from_slice(&[label as u8 + 1; 4]);
        data.bytes.extend_from_slice(&(row as u32 * 7919).to_be_bytes());
        data.features.extend([f32::from(label) * 100.0 + (row % 7) as f32, row as f32 % 3.0]);
        let capture =
            (row / usize::from(classes) / 5) as u32 * u32::from(classes) + u32::from(label);
        origins.push(Origin { capture: Some(capture), ..Origin::default() });
    }
    Samples::new(data, vec![Layout::default(); count], origins).unwrap()
}

/// Images of two classes that only the link type tells apart, with payloads that tell nothing.
pub(crate) fn linked(count: usize) -> Samples {
    let mut bytes = Vec::new();
    let mut labels = Vec::new();
    for row in 0..count {
        let raw = row % 2 == 1;
        labels.push(u16::from(raw));
        let word = (row as u32).wrapping_mul(2_654_435_761).to_be_bytes();
        let mut image = image(raw, [&word, &word]);
        // Each its own 5-tuple.
        let address = if raw { 40 } else { 54 } + 14;
        image[address..address + 2].copy_from_slice(&(row as u16).to_be_bytes());
        bytes.extend(image);
    }
    let classes = vec!["Voip".to_owned(), "Vpn_Voip".to_owned()];
    Samples::of_images(Dataset::new(bytes, 784, labels, classes).unwrap()).unwrap()
}
