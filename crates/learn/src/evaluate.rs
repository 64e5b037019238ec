//! Trains a model and scores it on what it has not seen, once for each seed.

use serde::{Deserialize, Serialize};

use crate::score::{Interval, Rates, Scores, reject_threshold, score};
use crate::split::{Plan, Split, split};
use crate::{Classifier, Control, Dataset, Epoch, Fit, LearnError, Rows, Samples};

/// Makes an untrained model.
pub type Make<'a> = &'a (dyn Fn() -> Box<dyn Classifier> + Sync);

/// What a run needs beside model and data.
pub struct Bench<'a> {
    /// How to train; its seed is replaced by each run's.
    pub fit: &'a Fit,
    /// How to split; its seed is replaced by each run's.
    pub plan: &'a Plan,
    /// Seeds, one run each: at least five for an interval that means something.
    pub seeds: &'a [u64],
    /// Seconds from any start, for what things cost. This crate looks at no clock.
    pub clock: &'a dyn Fn() -> f64,
    /// Told after each pass: the model, the run, the pass.
    pub watch: &'a mut dyn FnMut(&str, usize, &Epoch) -> Control,
}

/// What a model costs.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Cost {
    /// Passes that it took.
    pub epochs: u32,
    /// Seconds of all training.
    pub fit_seconds: f64,
    /// Predictions a second.
    pub predictions: f64,
    /// Bytes of what was learned.
    pub bytes: usize,
}

/// One run: one seed, one split, one training.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Run {
    /// Its seed.
    pub seed: u64,
    /// Samples to learn from, to validate, to test.
    pub samples: [usize; 3],
    /// On the test part.
    pub scores: Scores,
    /// Probability below which an answer is no answer: 95 % of the validation part's reach it.
    pub threshold: f32,
    /// What it cost.
    pub cost: Cost,
    /// Loss and accuracy of each pass, where there are passes.
    pub epochs: Vec<Epoch>,
}

/// A model's runs and what they come to.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// The model.
    pub model: String,
    /// Share of test samples right.
    pub accuracy: Interval,
    /// F1: micro, macro, weighted.
    pub f1: [Interval; 3],
    /// Each run.
    pub runs: Vec<Run>,
}

/// A class's precision, recall and F1 over runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassSummary {
    /// The class.
    pub class: String,
    /// Precision, recall, F1.
    pub rates: [Interval; 3],
}

impl Summary {
    /// Each class over all runs, as the paper's tables 6 to 8 have it.
    pub fn classes(&self) -> Vec<ClassSummary> {
        let count = self.runs.iter().map(|run| run.scores.classes.len()).min().unwrap_or(0);
        (0..count)
            .map(|class| {
                let over = |of: fn(&Rates) -> f64| {
                    let of = |run: &Run| of(&run.scores.classes[class].rates);
                    Interval::of(&self.runs.iter().map(of).collect::<Vec<_>>())
                };
                ClassSummary {
                    class: self.runs[0].scores.classes[class].class.clone(),
                    rates: [over(|r| r.precision), over(|r| r.recall), over(|r| r.f1)],
                }
            })
            .collect()
    }

    /// Of these runs.
    pub fn new(model: &str, runs: Vec<Run>) -> Summary {
        let over = |of: &dyn Fn(&Scores) -> f64| {
            Interval::of(&runs.iter().map(|run| of(&run.scores)).collect::<Vec<_>>())
        };
        Summary {
            model: model.to_owned(),
            accuracy: over(&|scores| scores.accuracy),
            f1: [
                over(&|scores| scores.micro.f1),
                over(&|scores| scores.macro_.f1),
                over(&|scores| scores.weighted.f1),
            ],
            runs,
        }
    }
}

/// One model, and what it looks at. All of a contest look at the same samples in the same order,
/// if at other bytes of them.
pub struct Entry<'a> {
    /// What tables call it.
    pub name: String,
    /// Makes it.
    pub make: Make<'a>,
    /// What it looks at.
    pub data: &'a Dataset,
}

/// Trains and scores one model for every seed.
///
/// # Errors
/// Those of splitting and of training.
pub fn repeat(
    make: Make<'_>,
    samples: &Samples,
    bench: &mut Bench<'_>,
) -> Result<Summary, LearnError> {
    let name = make().name().to_owned();
    let entries = [Entry { name, make, data: &samples.data }];
    let mut summaries = contest(&entries, samples, bench)?;
    summaries.pop().ok_or_else(|| LearnError::Unfit("no model".to_owned()))
}

/// Trains and scores models on the same splits of `samples`, one for every seed.
///
/// # Errors
/// Those of splitting and of training.
pub fn contest(
    entries: &[Entry<'_>],
    samples: &Samples,
    bench: &mut Bench<'_>,
) -> Result<Vec<Summary>, LearnError> {
    let mut runs = vec![Vec::new(); entries.len()];
    for (number, seed) in bench.seeds.iter().enumerate() {
        let split = split(samples, &Plan { seed: *seed, ..*bench.plan })?;
        for (entry, runs) in entries.iter().zip(&mut runs) {
            let mut model = (entry.make)();
            runs.push(once(model.as_mut(), entry.data, &split, *seed, number, bench)?);
        }
    }
    Ok(entries.iter().zip(runs).map(|(entry, runs)| Summary::new(&entry.name, runs)).collect())
}

/// Trains a model on a split's training part and scores it on its test part.
///
/// # Errors
/// Those of training.
pub fn once(
    model: &mut dyn Classifier,
    data: &Dataset,
    split: &Split,
    seed: u64,
    number: usize,
    bench: &mut Bench<'_>,
) -> Result<Run, LearnError> {
    let rows = |rows| Rows { data, rows };
    let fit = Fit { seed, ..bench.fit.clone() };
    let name = model.name();
    let start = (bench.clock)();
    let watch = &mut *bench.watch;
    let epochs = model.fit(rows(&split.train), rows(&split.validation), &fit, &mut |epoch| {
        watch(name, number, epoch)
    })?;
    let trained = (bench.clock)();
    let probabilities = model.predict(rows(&split.test), fit.threads);
    let tested = (bench.clock)();
    let labels: Vec<u16> = rows(&split.test).labels().collect();
    let scores = score(&probabilities, &labels, &data.classes)?;
    let validated = model.predict(rows(&split.validation), fit.threads);
    let sure: Vec<f32> = certainty(&validated, data.classes.len());
    let seconds = tested - trained;
    Ok(Run {
        seed,
        samples: [split.train.len(), split.validation.len(), split.test.len()],
        scores,
        threshold: reject_threshold(&sure, 0.95),
        cost: Cost {
            epochs: epochs.len() as u32,
            fit_seconds: trained - start,
            predictions: if seconds > 0.0 { labels.len() as f64 / seconds } else { 0.0 },
            bytes: model.size(),
        },
        epochs,
    })
}

/// The probability of each sample's best class.
pub fn certainty(probabilities: &[f32], classes: usize) -> Vec<f32> {
    let rows = probabilities.chunks_exact(classes.max(1));
    rows.map(|row| row.iter().copied().fold(0.0, f32::max)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::Rung;
    use crate::testing::{Nearest, toy};

    #[test]
    fn runs_are_repeatable_and_scored_on_the_test_alone() {
        let samples = toy(60, 3);
        let plan = Plan { rung: Rung::Random, ..Plan::default() };
        let run = || {
            let mut watch = |_: &str, _: usize, _: &Epoch| Control::Continue;
            let mut bench = Bench {
                fit: &Fit::default(),
                plan: &plan,
                seeds: &[1, 2, 3, 4, 5],
                clock: &|| 0.0,
                watch: &mut watch,
            };
            repeat(&|| Box::new(Nearest::default()), &samples, &mut bench).unwrap()
        };
        let summary = run();
        assert_eq!(summary, run());
        assert_eq!((summary.runs.len(), summary.model.as_str()), (5, "nearest"));
        assert_eq!(summary.runs[0].samples.iter().sum::<usize>(), 60);
        let tested: u64 = summary.runs[0].scores.confusion.iter().flatten().sum();
        assert_eq!(tested as usize, summary.runs[0].samples[2]);
        assert!(summary.accuracy.mean > 0.95, "{}", summary.accuracy);
        let classes = summary.classes();
        assert_eq!((classes.len(), &*classes[2].class, classes[2].rates[1].runs), (3, "c2", 5));
        let mean = classes.iter().map(|class| class.rates[2].mean).sum::<f64>() / 3.0;
        assert!((mean - summary.f1[1].mean).abs() < 1e-9);
    }
}
