//! Samples from wherever they are.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use ottoscope_learn::file::Made;
use ottoscope_learn::masks::Masks;
use ottoscope_learn::split::{Rung, strongest};
use ottoscope_learn::{LearnError, Samples, file, idx};

use crate::commands::learn::args::{DataArgs, MaskArgs};
use crate::hint::hinted;

/// What a file of samples ends with.
pub(crate) const ENDING: &str = "safetensors";

/// An error of learning with its hint.
pub(crate) fn learned(error: LearnError) -> anyhow::Error {
    match &error {
        LearnError::Classes { .. } => {
            hinted(error.to_string(), "give samples of two classes: one capture or folder each")
        }
        LearnError::Groups { .. } => hinted(
            error.to_string(),
            "a weaker --rung needs less, and says less: random, flow, hosts, capture, time",
        ),
        LearnError::File { .. } => hinted(
            error.to_string(),
            "samples are files of `learn samples`, or IDX images with their labels beside them",
        ),
        LearnError::Gpu { .. } => {
            hinted(error.to_string(), "train on the processor: leave out --device gpu")
        }
        LearnError::Diverged { .. } => {
            hinted(error.to_string(), "a tenth of the step often does: --rate 0.0001")
        }
        LearnError::EmptyClass { .. } => hinted(
            error.to_string(),
            "drop the class, or a weaker --rung gives each part some of it",
        ),
        LearnError::Io { .. } => {
            hinted(error.to_string(), "is the folder there, and is there room on the disk?")
        }
        _ => error.into(),
    }
}

impl DataArgs {
    /// Reads the samples.
    pub(crate) fn open(&self) -> anyhow::Result<(Samples, Made)> {
        if self.data.extension().is_some_and(|ending| ending == ENDING) {
            if !self.classes.is_empty() {
                return Err(hinted(
                    "--classes names the labels of IDX files",
                    "a file of samples has its own names",
                ));
            }
            return file::load(&self.data).map_err(learned);
        }
        let (images, labels) = pair(&self.data)?;
        let classes = if self.classes.is_empty() {
            let labels = idx::read_labels(&labels).map_err(learned)?;
            (0..=labels.into_iter().max().unwrap_or(0)).map(|class| class.to_string()).collect()
        } else {
            self.classes.clone()
        };
        let data = idx::read(&images, &labels, &classes).map_err(learned)?;
        Ok((Samples::of_images(data).map_err(learned)?, Made::elsewhere()))
    }
}

impl MaskArgs {
    /// What is hidden.
    pub(crate) fn masks(&self) -> Masks {
        if self.no_mask {
            Masks::none()
        } else if self.mask.is_empty() {
            Masks::honest()
        } else {
            Masks(self.mask.iter().copied().collect())
        }
    }
}

/// What is kept apart: what is asked for, or the strongest that the samples allow.
pub(crate) fn rung(asked: Option<Rung>, samples: &Samples) -> Rung {
    asked.unwrap_or_else(|| strongest(samples))
}

/// IDX images and the labels beside them.
fn pair(path: &Path) -> anyhow::Result<(PathBuf, PathBuf)> {
    let named = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let images = if path.is_dir() {
        let entries =
            fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut found: Vec<PathBuf> =
            entries.map(|e| Ok(e?.path())).collect::<anyhow::Result<_>>()?;
        found.retain(|path| named(path).contains("images") && named(path).contains("idx3"));
        found.sort();
        match found.as_slice() {
            [images] => images.clone(),
            [] => {
                return Err(hinted(
                    format!("no IDX images in {}", path.display()),
                    "they are called like train-images-idx3-ubyte.gz",
                ));
            }
            several => {
                let names: Vec<String> = several.iter().map(|path| named(path)).collect();
                return Err(hinted(
                    format!("several IDX images in {}", path.display()),
                    format!("name one: {}", names.join(", ")),
                ));
            }
        }
    } else {
        path.to_owned()
    };
    let name = named(&images).replace("images", "labels").replace("idx3", "idx1");
    let labels = images.with_file_name(&name);
    if labels == images || !labels.is_file() {
        return Err(hinted(
            format!("no labels beside {}", images.display()),
            "samples are files of `learn samples`, or IDX: x-images-idx3-ubyte.gz beside x-labels-idx1-ubyte.gz",
        ));
    }
    Ok((images, labels))
}
