//! Drops what would be learned by heart: empty samples and samples that are there twice.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::Dataset;

/// What cleaning found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cleaned {
    /// Samples before.
    pub samples: usize,
    /// Samples of zeros alone.
    pub empty: usize,
    /// Samples that another one of the same class equals.
    pub duplicates: usize,
    /// Samples that equal one of another class. All but the first of such samples are dropped,
    /// and no model can have all of them right.
    pub conflicts: usize,
}

impl Cleaned {
    /// Share of samples that were there already.
    pub fn duplicate_rate(&self) -> f64 {
        (self.duplicates + self.conflicts) as f64 / (self.samples.max(1)) as f64
    }
}

/// The rows that stay, in order, and what was dropped. Of samples with equal bytes the first
/// stays, whatever their features: gaps between packets are never quite the same.
pub fn clean(data: &Dataset) -> (Vec<u32>, Cleaned) {
    let mut found = Cleaned { samples: data.len(), ..Cleaned::default() };
    let mut first: HashMap<&[u8], u16> = HashMap::new();
    let mut rows = Vec::new();
    for (row, label) in data.labels.iter().enumerate() {
        let sample = data.sample(row);
        if sample.iter().all(|byte| *byte == 0) {
            found.empty += 1;
            continue;
        }
        match first.get(sample) {
            Some(same) if same == label => found.duplicates += 1,
            Some(_) => found.conflicts += 1,
            None => {
                first.insert(sample, *label);
                rows.push(row as u32);
            }
        }
    }
    (rows, found)
}

/// Samples of each class, as the paper's tables 1 to 3 count them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Class names with their samples, in order of the classes.
    pub classes: Vec<(String, usize)>,
    /// All samples.
    pub sum: usize,
}

/// Counts the samples of each class.
pub fn counts(data: &Dataset) -> Counts {
    let mut counts = vec![0; data.classes.len()];
    for label in &data.labels {
        counts[usize::from(*label)] += 1;
    }
    Counts { classes: data.classes.iter().cloned().zip(counts).collect(), sum: data.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_counted() {
        let bytes = [[1, 2], [0, 0], [1, 2], [1, 2], [3, 4]].concat();
        let classes = vec!["a".to_owned(), "b".to_owned()];
        let data = Dataset::new(bytes, 2, vec![0, 0, 0, 1, 1], classes).unwrap();
        let (rows, found) = clean(&data);
        assert_eq!(rows, [0, 4]);
        assert_eq!((found.empty, found.duplicates, found.conflicts), (1, 1, 1));
        assert!((found.duplicate_rate() - 0.4).abs() < 1e-9);
        assert_eq!(counts(&data).classes, [("a".to_owned(), 3), ("b".to_owned(), 2)]);
    }
}
