//! The trained scorer of boundaries.

use std::sync::OnceLock;

use super::features;
use super::trees::{ModelError, Trees};

/// Says how likely a boundary is.
///
/// As a text: one line `threshold P`, then one tree a line, over the numbers that
/// [`describe`](super::describe) names. Lines that begin with `#` are skipped.
#[derive(Debug, Clone)]
pub struct Model {
    threshold: f32,
    trees: Trees,
}

impl Model {
    /// The model of this crate.
    pub fn shipped() -> &'static Model {
        static SHIPPED: OnceLock<Model> = OnceLock::new();
        // A test reads the text that is compiled in, so it can be read here.
        SHIPPED.get_or_init(|| {
            Model::parse(include_str!("model.txt"))
                .unwrap_or(Model { threshold: 1.0, trees: Trees::default() })
        })
    }

    /// Reads a model.
    pub fn parse(text: &str) -> Result<Self, ModelError> {
        let mut lines = text
            .lines()
            .enumerate()
            .map(|(line, text)| (line + 1, text.trim()))
            .filter(|(_, text)| !text.is_empty() && !text.starts_with('#'));
        let (line, first) = lines.next().ok_or(ModelError { line: 1 })?;
        let threshold: f32 = first
            .strip_prefix("threshold ")
            .and_then(|text| text.parse().ok())
            .filter(|value| (0.0..=1.0).contains(value))
            .ok_or(ModelError { line })?;
        Ok(Model { threshold, trees: Trees::parse(lines, features::COUNT)? })
    }

    /// The logarithm of the odds of a boundary with these numbers.
    pub(super) fn odds(&self, numbers: &[f32; features::COUNT]) -> f32 {
        self.trees.sum(numbers)
    }

    /// The logarithm of odds from which to cut.
    pub(super) fn least_odds(&self) -> f32 {
        (self.threshold / (1.0 - self.threshold)).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_model_is_read() {
        let model = Model::parse(include_str!("model.txt")).unwrap();
        assert!(model.odds(&[0.0; features::COUNT]).is_finite());
    }

    #[test]
    fn what_is_no_model_is_refused() {
        for text in ["", "threshold 2", "threshold", "0.5\n1", "threshold 0.5\n9999:0:1:2 1 1"] {
            assert!(Model::parse(text).is_err(), "{text}");
        }
        assert!(Model::parse("# words\nthreshold 0.5\n\n0:1:1:2 -1 1\n").is_ok());
    }
}
