//! What a model must beat: rules that know next to nothing.

use std::path::Path;

use crate::evaluate::{Bench, Entry, Make, Summary, contest};
use crate::leaks::{extract, is_identifier};
use crate::masks::Mask;
use crate::samples::PACKETS;
use crate::{Classifier, Control, Dataset, Epoch, Fit, LearnError, Rows, Samples, whole};

/// Always answers with each class's share of the training samples.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Majority {
    shares: Vec<f32>,
}

impl Classifier for Majority {
    fn name(&self) -> &'static str {
        "majority"
    }

    fn fit(
        &mut self,
        train: Rows<'_>,
        _: Rows<'_>,
        _: &Fit,
        watch: &mut dyn FnMut(&Epoch) -> Control,
    ) -> Result<Vec<Epoch>, LearnError> {
        let mut shares = vec![0.0_f32; train.data.classes.len()];
        train.labels().for_each(|label| shares[usize::from(label)] += 1.0);
        let found = shares.iter().filter(|share| **share > 0.0).count();
        if found < 2 {
            return Err(LearnError::Classes { found });
        }
        shares.iter_mut().for_each(|share| *share /= train.len() as f32);
        let entropy: f32 =
            shares.iter().filter(|s| **s > 0.0).map(|share| -share * share.ln()).sum();
        let accuracy = shares.iter().copied().fold(0.0, f32::max);
        self.shares = shares;
        let epoch = Epoch { number: 1, loss: entropy, accuracy, validation: None };
        watch(&epoch);
        Ok(vec![epoch])
    }

    fn predict(&self, rows: Rows<'_>, _: usize) -> Vec<f32> {
        self.shares.repeat(rows.len())
    }

    fn classes(&self) -> usize {
        self.shares.len()
    }

    fn save(&self, path: &Path) -> Result<(), LearnError> {
        let text = serde_json::to_string(&self.shares).unwrap_or_default(); // numbers always can
        whole::write(path, |out| out.write_all(text.as_bytes()))
    }

    fn load(&mut self, path: &Path) -> Result<(), LearnError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| LearnError::Io { path: path.to_owned(), error })?;
        self.shares = serde_json::from_str(&text).map_err(|error| LearnError::File {
            path: path.to_owned(),
            what: format!("no shares of classes: {error}"),
        })?;
        Ok(())
    }

    fn size(&self) -> usize {
        self.shares.len() * 4
    }
}

/// The models that rivals are made of.
#[derive(Clone, Copy)]
pub struct Makers<'a> {
    /// A random forest.
    pub forest: Make<'a>,
    /// Gradient-boosted trees.
    pub boosted: Make<'a>,
    /// One nearest neighbour on features.
    pub nearest: Make<'a>,
}

/// Trains every rival that the samples allow on the splits of `masked`. `raw` are the same
/// samples with nothing masked: rivals look where the model must not.
///
/// # Errors
/// Those of splitting and of training.
pub fn rivals(
    raw: &Samples,
    masked: &Samples,
    makers: &Makers<'_>,
    bench: &mut Bench<'_>,
) -> Result<Vec<Summary>, LearnError> {
    let identifiers = extract(raw, is_identifier);
    let headers = extract(raw, |field| Mask::Headers.covers(field));
    let exchange = exchange(&raw.data);
    let majority: Make<'_> = &|| Box::new(Majority::default());
    let looks = [
        ("majority", majority, Some(&masked.data)),
        ("forest on time, addresses, ports, lengths", makers.forest, identifiers.as_ref()),
        ("nearest by sizes and directions", makers.nearest, exchange.as_ref()),
        ("boosted trees on headers", makers.boosted, headers.as_ref()),
    ];
    let entries: Vec<Entry<'_>> = looks
        .into_iter()
        .filter_map(|(name, make, data)| Some(Entry { name: name.to_owned(), make, data: data? }))
        .collect();
    contest(&entries, masked, bench)
}

/// Sizes and directions alone: features without gaps, and no bytes that could be looked at.
fn exchange(data: &Dataset) -> Option<Dataset> {
    let width = data.feature_width();
    if width == 0 {
        return None;
    }
    let sizes = (width / 2).clamp(1, PACKETS);
    let features =
        data.features.chunks_exact(width).flat_map(|row| row[..sizes].iter().copied()).collect();
    Some(Dataset {
        bytes: vec![0; data.len()],
        width: 1,
        labels: data.labels.clone(),
        classes: data.classes.clone(),
        features,
        groups: Vec::new(),
    })
}

/// The rivals that a model does not beat: their mean accuracy is within its interval or above.
pub fn unbeaten<'a>(model: &Summary, rivals: &'a [Summary]) -> Vec<&'a Summary> {
    let least = model.accuracy.mean - model.accuracy.half.unwrap_or(0.0);
    rivals.iter().filter(|rival| rival.accuracy.mean >= least).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::{Plan, Rung};
    use crate::testing::{Nearest, linked, toy};

    #[test]
    fn the_majority_is_what_it_says() {
        let samples = toy(9, 3);
        let rows = [0, 3, 6, 1];
        let mut model = Majority::default();
        let part = Rows { data: &samples.data, rows: &rows };
        model.fit(part, part, &Fit::default(), &mut |_| Control::Continue).unwrap();
        assert_eq!(model.predict(part, 1)[..3], [0.75, 0.25, 0.0]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m");
        model.save(&path).unwrap();
        let mut back = Majority::default();
        back.load(&path).unwrap();
        assert_eq!(back, model);
        std::fs::write(&path, "x").unwrap();
        assert!(back.load(&path).is_err());
        let one = Rows { data: &samples.data, rows: &rows[..2] };
        assert!(model.fit(one, one, &Fit::default(), &mut |_| Control::Continue).is_err());
    }

    #[test]
    fn rivals_look_where_the_model_must_not() {
        let raw = linked(60);
        let (masked, _) = raw.masked(&crate::masks::Masks::honest());
        let nearest: Make<'_> = &|| Box::new(Nearest::default());
        let plan = Plan { rung: Rung::Random, distinct: false, ..Plan::default() };
        let mut watch = |_: &str, _: usize, _: &Epoch| Control::Continue;
        let mut bench = Bench {
            fit: &Fit::default(),
            plan: &plan,
            seeds: &[1, 2],
            clock: &|| 0.0,
            watch: &mut watch,
        };
        let makers = Makers { forest: nearest, boosted: nearest, nearest };
        let rivals = rivals(&raw, &masked, &makers, &mut bench).unwrap();
        let names: Vec<&str> = rivals.iter().map(|rival| &*rival.model).collect();
        assert_eq!(names.len(), 4, "{names:?}");
        assert_eq!(rivals[0].accuracy.mean, 0.5);
        // The link header is among the headers and tells all.
        assert_eq!(rivals[3].accuracy.mean, 1.0);
        assert_eq!(unbeaten(&rivals[3], &rivals[..1]).len(), 0);
        assert_eq!(unbeaten(&rivals[0], &rivals[3..]).len(), 1);
    }
}
