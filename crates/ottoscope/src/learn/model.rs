//! A trained model with its card.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use ottoscope_learn::card::{Card, Recipe, digest};
use ottoscope_learn::file::Made;
use ottoscope_learn::masks::Masks;
use ottoscope_learn::model::{self, MODELS};
use ottoscope_learn::{Classifier, Samples};

use super::data::learned;
use crate::hint::hinted;

/// A model that can be asked.
pub(crate) struct Trained {
    pub(crate) card: Card,
    pub(crate) model: Box<dyn Classifier>,
}

/// Where the card of these weights lies.
pub(crate) fn card_of(weights: &Path) -> PathBuf {
    weights.with_extension("json")
}

/// An untrained model by name.
pub(crate) fn named(name: &str) -> anyhow::Result<&'static model::Model> {
    model::named(name).ok_or_else(|| {
        let known: Vec<&str> = MODELS.iter().map(|model| model.name).collect();
        hinted(format!("no model is named `{name}`"), format!("there are: {}", known.join(", ")))
    })
}

/// Reads weights and the card beside them, and checks that they belong together.
pub(crate) fn open(weights: &Path) -> anyhow::Result<Trained> {
    let path = card_of(weights);
    if !path.is_file() {
        return Err(hinted(
            format!("no card {} beside {}", path.display(), weights.display()),
            "`learn train` writes both; a model without its card cannot be asked",
        ));
    }
    let card = Card::load(&path).map_err(learned)?;
    let bytes = fs::read(weights).with_context(|| format!("cannot read {}", weights.display()))?;
    card.check(&bytes, weights).map_err(learned)?;
    let mut model = (named(&card.model)?.make)();
    model.load(weights).map_err(learned)?;
    Ok(Trained { card, model })
}

impl Trained {
    /// Samples as the model learned from them: the same bytes hidden, the same number left.
    pub(crate) fn prepared(&self, samples: &Samples) -> anyhow::Result<Samples> {
        let Recipe { width, left, .. } = self.card.recipe;
        if samples.data.width != width {
            return Err(hinted(
                format!(
                    "samples of {} bytes, and the model learned from {width}",
                    samples.data.width
                ),
                format!("cut them anew: `learn samples --width {width}`"),
            ));
        }
        let masks = self.card.recipe.masks().map_err(learned)?;
        Ok(samples.masked_to(&masks, left))
    }
}

/// How samples were made and masked, for a card.
pub(crate) fn recipe(made: &Made, samples: &Samples, masks: &Masks, left: usize) -> Recipe {
    Recipe {
        kind: made.kind.clone(),
        depth: made.depth.clone(),
        protocol: made.protocol.clone(),
        width: samples.data.width,
        left,
        packets: made.packets,
        masks: masks.names(),
    }
}

/// The digest of a file of weights.
pub(crate) fn digest_of(weights: &Path) -> anyhow::Result<String> {
    let bytes = fs::read(weights).with_context(|| format!("cannot read {}", weights.display()))?;
    Ok(digest(&bytes))
}
