//! What must be known of a model to use it: the card that lies beside its weights.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::evaluate::Summary;
use crate::masks::{Mask, Masks};
use crate::score::Scores;
use crate::split::Rung;
use crate::{Dataset, LearnError, whole};

/// The format's version: a card of another one is not read.
const FORMAT: u32 = 1;

/// How samples were made that a model was trained on, and must be made to ask it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    /// `session` or `flow`.
    pub kind: String,
    /// `all` or `payload`.
    pub depth: String,
    /// `honest` or `paper`.
    pub protocol: String,
    /// Bytes of a sample.
    pub width: usize,
    /// Bytes of it that masks leave, see [`crate::Samples::masked`]; the others are zeros.
    pub left: usize,
    /// Packets whose sizes and gaps are features; 0 where bytes alone count.
    pub packets: usize,
    /// Names of masks.
    pub masks: Vec<String>,
}

impl Recipe {
    /// Its masks.
    ///
    /// # Errors
    /// When a name is no mask's.
    pub fn masks(&self) -> Result<Masks, LearnError> {
        let masks = self.masks.iter().map(|name| name.parse::<Mask>());
        masks.collect::<Result<_, _>>().map(Masks).map_err(LearnError::Unfit)
    }
}

/// A model's card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// Version of this format.
    pub format: u32,
    /// The model, one of [`crate::MODELS`].
    pub model: String,
    /// Version of the program that trained it.
    pub version: String,
    /// SHA-256 of its weights' file, hex.
    pub weights: String,
    /// Classes in order of the answers.
    pub classes: Vec<String>,
    /// How samples are made.
    pub recipe: Recipe,
    /// What was kept apart when it was scored.
    pub rung: Rung,
    /// SHA-256 of the samples and labels that it was trained and scored on, hex.
    pub data: String,
    /// Answers below this certainty are none.
    pub threshold: f32,
    /// Certainty on validation samples in ascending order, at most 1,000 of it: what drift is
    /// measured against.
    pub certainty: Vec<f32>,
    /// On samples that it has not seen.
    pub scores: Scores,
    /// Over several seeds, where it was trained more than once.
    pub summary: Option<Summary>,
    /// What a reader must know: fields that solve the task alone, rivals that are not beaten.
    pub warnings: Vec<String>,
}

impl Card {
    /// The format that is written.
    pub fn format() -> u32 {
        FORMAT
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save(&self, path: &Path) -> Result<(), LearnError> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| LearnError::Unfit(format!("card: {error}")))?;
        whole::write(path, |out| writeln!(out, "{text}"))
    }

    /// Reads one and checks that it is whole.
    ///
    /// # Errors
    /// When it can't be read or is no card of this format.
    pub fn load(path: &Path) -> Result<Card, LearnError> {
        let bad = |what: String| LearnError::File { path: path.to_owned(), what };
        let text = std::fs::read_to_string(path)
            .map_err(|error| LearnError::Io { path: path.to_owned(), error })?;
        let card: Card = serde_json::from_str(&text)
            .map_err(|error| bad(format!("no card of a model: {error}")))?;
        if card.format != FORMAT {
            return Err(bad(format!("format {}, and this program reads {FORMAT}", card.format)));
        }
        if card.classes.len() < 2 || card.recipe.width == 0 {
            return Err(bad("a card of fewer than two classes or of no bytes".to_owned()));
        }
        if !card.threshold.is_finite() {
            return Err(bad(format!("a reject threshold of {}", card.threshold)));
        }
        card.recipe.masks().map_err(|error| bad(error.to_string()))?;
        Ok(card)
    }

    /// Whether `weights` are the bytes that this card was written for.
    ///
    /// # Errors
    /// When they are others.
    pub fn check(&self, weights: &[u8], path: &Path) -> Result<(), LearnError> {
        let found = hex(&Sha256::digest(weights));
        if found == self.weights {
            return Ok(());
        }
        Err(LearnError::File {
            path: path.to_owned(),
            what: "these are not the weights that the card is of".to_owned(),
        })
    }
}

/// SHA-256 of bytes, hex.
pub fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-256 over samples, features, labels and names of classes, hex.
pub fn data_digest(data: &Dataset) -> String {
    let mut digest = Sha256::new();
    digest.update((data.width as u64).to_be_bytes());
    digest.update(&data.bytes);
    data.features.iter().for_each(|value| digest.update(value.to_be_bytes()));
    data.labels.iter().for_each(|label| digest.update(label.to_be_bytes()));
    for class in &data.classes {
        digest.update((class.len() as u64).to_be_bytes());
        digest.update(class.as_bytes());
    }
    hex(&digest.finalize())
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|d| DIGITS[usize::from(d)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::toy;

    fn card() -> Card {
        Card {
            format: FORMAT,
            model: "lstm".to_owned(),
            version: "0.1.0".to_owned(),
            weights: digest(b"weights"),
            classes: vec!["a".to_owned(), "b".to_owned()],
            recipe: Recipe {
                kind: "session".to_owned(),
                depth: "all".to_owned(),
                protocol: "honest".to_owned(),
                width: 784,
                left: 700,
                packets: 32,
                masks: Masks::honest().names(),
            },
            rung: Rung::Capture,
            data: data_digest(&toy(3, 2).data),
            threshold: 0.7,
            certainty: vec![0.5, 0.9],
            scores: Scores::default(),
            summary: None,
            warnings: vec!["the task is solvable from ports".to_owned()],
        }
    }

    #[test]
    fn cards_are_read_again_and_belong_to_their_weights() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("card.json");
        card().save(&path).unwrap();
        let back = Card::load(&path).unwrap();
        assert_eq!(back, card());
        assert_eq!(back.recipe.masks().unwrap(), Masks::honest());
        assert!(back.check(b"weights", &path).is_ok());
        assert!(back.check(b"others", &path).is_err());
    }

    #[test]
    fn other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("card.json");
        let check = |text: &str, expected: &str| {
            std::fs::write(&path, text).unwrap();
            let error = Card::load(&path).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("{}", "no card of a model");
        let text = serde_json::to_string(&card()).unwrap();
        check(&text.replace("\"format\":1", "\"format\":2"), "format 2, and this program reads 1");
        check(&text.replace("[\"a\",\"b\"]", "[\"a\"]"), "fewer than two classes");
        check(&text.replace("\"ttl\"", "\"mac\""), "no mask \"mac\"");
    }

    #[test]
    fn digests_tell_data_apart() {
        let one = toy(3, 2).data;
        let mut other = one.clone();
        other.labels[2] = 1;
        assert_ne!(data_digest(&one), data_digest(&other));
        assert_eq!(data_digest(&one), data_digest(&one.clone()));
    }
}
