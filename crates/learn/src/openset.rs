//! What a model says of classes that it never saw.

use serde::{Deserialize, Serialize};

use crate::cluster::{Cluster, clusters, purity};
use crate::engine::random::Random;
use crate::evaluate::{Bench, Make, certainty};
use crate::score::{Curve, precision_at, reject_threshold};
use crate::split::{Plan, split};
use crate::{Fit, LearnError, Rows, Samples};

/// Rejected samples that are grouped, at most.
const GROUPED: usize = 2000;

/// A model asked about classes that were held out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenSet {
    /// Classes held out of training.
    pub held: Vec<String>,
    /// Test samples of known classes, samples of held-out ones.
    pub samples: [usize; 2],
    /// How well certainty tells known from unknown.
    pub curve: Curve,
    /// Certainty below which an answer is rejected; 95 % of validation samples reach it.
    pub threshold: f32,
    /// Share of known samples that are kept, and of these answers the share that is right.
    pub kept: f64,
    /// Share right among kept known samples.
    pub right: f64,
    /// Share of unknown samples that are rejected.
    pub rejected: f64,
    /// What was rejected, grouped: classes to look at and perhaps to name.
    pub clusters: Vec<Cluster>,
    /// How distinct these groups are, -1 to 1.
    pub silhouette: f64,
    /// Share of grouped samples that share their group's most frequent true class.
    pub purity: Option<f64>,
}

/// Trains without the classes `held` and asks about them.
///
/// # Errors
/// When fewer than two classes are left or none is held out, and those of splitting and training.
pub fn open_set(
    make: Make<'_>,
    samples: &Samples,
    held: &[u16],
    bench: &mut Bench<'_>,
) -> Result<OpenSet, LearnError> {
    let classes = &samples.data.classes;
    let known: Vec<u16> = (0..classes.len() as u16).filter(|c| !held.contains(c)).collect();
    let name = |class: &u16| classes.get(usize::from(*class)).cloned().unwrap_or_default();
    let place = |class: u16| known.iter().position(|known| *known == class).map(|at| at as u16);
    let inside = samples.relabelled(known.iter().map(name).collect(), place)?;
    let outside: Vec<u32> = (0..samples.len() as u32)
        .filter(|row| held.contains(&samples.data.labels[*row as usize]))
        .collect();
    if outside.is_empty() {
        return Err(LearnError::Unfit("no samples of held-out classes".to_owned()));
    }
    let seed = bench.seeds.first().copied().unwrap_or(bench.fit.seed);
    let split = split(&inside, &Plan { seed, ..*bench.plan })?;
    let mut model = make();
    let fit = Fit { seed, ..bench.fit.clone() };
    let rows = |rows| Rows { data: &inside.data, rows };
    let model_name = model.name();
    let watch = &mut *bench.watch;
    model.fit(rows(&split.train), rows(&split.validation), &fit, &mut |epoch| {
        watch(model_name, 0, epoch)
    })?;
    let width = known.len();
    let validated = certainty(&model.predict(rows(&split.validation), fit.threads), width);
    let threshold = reject_threshold(&validated, 0.95);
    let tested = model.predict(rows(&split.test), fit.threads);
    let asked = model.predict(Rows { data: &samples.data, rows: &outside }, fit.threads);
    let (sure, unsure) = (certainty(&tested, width), certainty(&asked, width));
    let curve = Curve::new(&sure, &unsure)
        .ok_or_else(|| LearnError::Unfit("no test samples of known classes".to_owned()))?;
    let answers = tested.chunks_exact(width).map(crate::score::best);
    let judged = answers.zip(rows(&split.test).labels()).zip(&sure);
    let kept: Vec<bool> = judged
        .filter(|(_, sure)| **sure >= threshold)
        .map(|((answer, label), _)| answer == usize::from(label))
        .collect();
    let share = |part: usize, of: usize| if of > 0 { part as f64 / of as f64 } else { 0.0 };
    let mut refused: Vec<u32> = outside
        .iter()
        .zip(&unsure)
        .filter(|(_, sure)| **sure < threshold)
        .map(|(row, _)| *row)
        .collect();
    let rejected = share(refused.len(), outside.len());
    Random::part(seed, 0x0_5e7).shuffle(&mut refused);
    refused.truncate(GROUPED);
    let (clusters, silhouette) = clusters(&samples.data, &refused, seed);
    Ok(OpenSet {
        held: held.iter().map(name).collect(),
        samples: [sure.len(), unsure.len()],
        curve,
        threshold,
        kept: share(kept.len(), sure.len()),
        right: share(kept.iter().filter(|right| **right).count(), kept.len()),
        rejected,
        purity: purity(&clusters, &samples.data),
        clusters,
        silhouette,
    })
}

/// A class where it has its true share of traffic and not the test's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AtPrevalence {
    /// The class.
    pub class: String,
    /// Its share of traffic.
    pub prevalence: f64,
    /// Share of answers "this class" that are right there; none where it is never answered.
    pub precision: Option<f64>,
}

/// Precision of each class at its true share of traffic, from a confusion matrix. Of the other
/// classes, whatever their true mix, the test's is taken.
pub fn at_prevalence(
    confusion: &[Vec<u64>],
    classes: &[String],
    prevalence: &[f64],
) -> Vec<AtPrevalence> {
    let sum: u64 = confusion.iter().flatten().sum();
    (0..classes.len().min(prevalence.len()))
        .map(|class| {
            let own: u64 = confusion[class].iter().sum();
            let taken: u64 = confusion.iter().map(|row| row[class]).sum();
            let right = confusion[class][class];
            let recall = right as f64 / own.max(1) as f64;
            let wrong = (taken - right) as f64 / (sum - own).max(1) as f64;
            AtPrevalence {
                class: classes[class].clone(),
                prevalence: prevalence[class],
                precision: precision_at(prevalence[class], recall, wrong),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::Rung;
    use crate::testing::{Nearest, toy};
    use crate::{Control, Epoch};

    #[test]
    fn strangers_are_rejected_and_grouped() {
        let samples = toy(150, 5);
        let plan = Plan { rung: Rung::Random, ..Plan::default() };
        let mut watch = |_: &str, _: usize, _: &Epoch| Control::Continue;
        let mut bench = Bench {
            fit: &Fit::default(),
            plan: &plan,
            seeds: &[1],
            clock: &|| 0.0,
            watch: &mut watch,
        };
        let make: Make<'_> = &|| Box::new(Nearest::default());
        let found = open_set(make, &samples, &[3, 4], &mut bench).unwrap();
        assert_eq!((found.held, found.samples[1]), (vec!["c3".to_owned(), "c4".to_owned()], 60));
        assert!(found.curve.area > 0.95 && found.rejected > 0.9, "{:?}", found.curve);
        assert_eq!(found.right, 1.0);
        // Features tell the two held-out classes apart, so grouping does.
        assert!(found.clusters.len() >= 2 && found.purity.unwrap() > 0.9);
        let error = open_set(make, &samples, &[0, 1, 2, 3], &mut bench).unwrap_err();
        assert!(matches!(error, LearnError::Classes { found: 1 }));
        assert!(open_set(make, &samples, &[], &mut bench).is_err());
    }

    #[test]
    fn rare_classes_are_less_precise_than_the_test_says() {
        let classes = ["rare".to_owned(), "rest".to_owned()];
        let found = at_prevalence(&[vec![99, 1], vec![1, 99]], &classes, &[0.001, 0.999]);
        assert!((found[0].precision.unwrap() - 0.0902).abs() < 1e-3);
        assert!(found[1].precision.unwrap() > 0.9999);
    }
}
