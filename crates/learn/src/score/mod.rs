//! What a model's answers are worth.
//!
//! Precision, recall and F1 as in the OTT voice paper (4.1, 7 to 10). Averages carry their
//! names: micro counts answers (and equals accuracy where every sample gets one), macro counts
//! classes alike, weighted counts them by their samples. The paper says micro of all its
//! averages; its table 6 holds macro and its table 8 weighted ones.

mod calibration;
mod curve;
mod interval;

use serde::{Deserialize, Serialize};

use crate::LearnError;

pub use calibration::{Bin, calibration};
pub use curve::{Curve, precision_at, reject_threshold};
pub use interval::Interval;

/// Precision, recall and their harmonic mean.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Rates {
    /// Share of answers that are right; 0 where there is none.
    pub precision: f64,
    /// Share of samples that are found; 0 where there is none.
    pub recall: f64,
    /// Harmonic mean of the two; 0 where both are.
    pub f1: f64,
}

impl Rates {
    fn new(right: f64, answered: f64, samples: f64) -> Rates {
        let share = |of: f64| if of > 0.0 { right / of } else { 0.0 };
        let (precision, recall) = (share(answered), share(samples));
        let sum = precision + recall;
        let f1 = if sum > 0.0 { 2.0 * precision * recall / sum } else { 0.0 };
        Rates { precision, recall, f1 }
    }
}

/// One class's rates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassScore {
    /// Its name.
    pub class: String,
    /// Its rates.
    pub rates: Rates,
    /// Its samples.
    pub samples: u64,
}

/// What a model scored on samples that it has not seen.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Scores {
    /// Share of samples answered right.
    pub accuracy: f64,
    /// Each class, in order.
    pub classes: Vec<ClassScore>,
    /// Over all answers.
    pub micro: Rates,
    /// Mean over classes that have samples.
    pub macro_: Rates,
    /// Mean over classes, weighted by their samples.
    pub weighted: Rates,
    /// Samples by true class (rows) and answer (columns).
    pub confusion: Vec<Vec<u64>>,
    /// Area under the receiver operating characteristic, each class against the rest, mean over
    /// classes; none where one class has all samples.
    pub auroc: Option<f64>,
    /// False positive rate where 95 % of a class are found, mean over classes.
    pub fpr95: Option<f64>,
    /// Expected calibration error: mean distance of stated probability and share right.
    pub calibration_error: f64,
    /// What that is of.
    pub reliability: Vec<Bin>,
}

/// Scores probabilities (row-major, one row a sample) against true classes.
///
/// # Errors
/// When the columns' lengths disagree, there is no sample, a label names no class, or a
/// probability is not a number.
pub fn score(
    probabilities: &[f32],
    labels: &[u16],
    classes: &[String],
) -> Result<Scores, LearnError> {
    check(probabilities, labels, classes)?;
    let width = classes.len();
    let rows: Vec<&[f32]> = probabilities.chunks_exact(width).collect();
    let answers: Vec<usize> = rows.iter().map(|row| best(row)).collect();
    let mut confusion = vec![vec![0; width]; width];
    for (label, answer) in labels.iter().zip(&answers) {
        confusion[usize::from(*label)][*answer] += 1;
    }
    let mut scores = of_confusion(&confusion, classes);
    let curves: Vec<Curve> = (0..width)
        .filter_map(|class| {
            let of = |wanted: bool| -> Vec<f32> {
                let is = |label: &u16| (usize::from(*label) == class) == wanted;
                let pairs = rows.iter().zip(labels).filter(|(_, label)| is(label));
                pairs.map(|(row, _)| row[class]).collect()
            };
            Curve::new(&of(true), &of(false))
        })
        .collect();
    let mean = |of: fn(&Curve) -> f64| {
        (!curves.is_empty()).then(|| curves.iter().map(of).sum::<f64>() / curves.len() as f64)
    };
    scores.auroc = mean(|curve| curve.area);
    scores.fpr95 = mean(|curve| curve.fpr95);
    let stated = rows.iter().zip(&answers).map(|(row, answer)| row[*answer]);
    let right = labels.iter().zip(&answers).map(|(label, answer)| usize::from(*label) == *answer);
    (scores.calibration_error, scores.reliability) =
        calibration(&stated.zip(right).collect::<Vec<_>>());
    Ok(scores)
}

/// The rates that follow from counts of true classes (rows) and answers (columns).
pub fn of_confusion(confusion: &[Vec<u64>], classes: &[String]) -> Scores {
    let width = classes.len();
    let cell = |row: usize, column: usize| confusion[row][column] as f64;
    let sum: f64 = confusion.iter().flatten().sum::<u64>() as f64;
    let right: f64 = (0..width).map(|class| cell(class, class)).sum();
    let mut scores = Scores {
        accuracy: if sum > 0.0 { right / sum } else { 0.0 },
        micro: Rates::new(right, sum, sum),
        confusion: confusion.to_vec(),
        ..Scores::default()
    };
    let mut there = 0.0;
    for (class, name) in classes.iter().enumerate() {
        let samples: f64 = (0..width).map(|answer| cell(class, answer)).sum();
        let answered: f64 = (0..width).map(|truth| cell(truth, class)).sum();
        let rates = Rates::new(cell(class, class), answered, samples);
        if samples > 0.0 {
            there += 1.0;
            add(&mut scores.macro_, rates, 1.0);
            add(&mut scores.weighted, rates, samples / sum);
        }
        scores.classes.push(ClassScore { class: name.clone(), rates, samples: samples as u64 });
    }
    if there > 0.0 {
        let all = std::mem::take(&mut scores.macro_);
        add(&mut scores.macro_, all, 1.0 / there);
    }
    scores
}

fn add(to: &mut Rates, rates: Rates, weight: f64) {
    to.precision += rates.precision * weight;
    to.recall += rates.recall * weight;
    to.f1 += rates.f1 * weight;
}

/// The most probable class; the first of equals.
pub fn best(row: &[f32]) -> usize {
    (0..row.len()).rev().max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap_or(0)
}

fn check(probabilities: &[f32], labels: &[u16], classes: &[String]) -> Result<(), LearnError> {
    if labels.is_empty() || classes.is_empty() {
        return Err(LearnError::Unfit("no samples to score".to_owned()));
    }
    if probabilities.len() != labels.len() * classes.len() {
        return Err(LearnError::Unfit(format!(
            "{} probabilities are not {} samples of {} classes",
            probabilities.len(),
            labels.len(),
            classes.len()
        )));
    }
    if let Some(&label) = labels.iter().find(|label| usize::from(**label) >= classes.len()) {
        return Err(LearnError::Label { label, classes: classes.len() });
    }
    match probabilities.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(LearnError::Unfit(format!(
            "the model's answer to sample {} is no number",
            at / classes.len()
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|class| format!("c{class}")).collect()
    }

    #[test]
    fn rates_are_as_defined() {
        // Three classes; worked by hand.
        let confusion = [vec![8, 2, 0], vec![1, 4, 0], vec![0, 0, 5]];
        let scores = of_confusion(&confusion, &names(3));
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
        near(scores.accuracy, 17.0 / 20.0);
        near(scores.micro.f1, 17.0 / 20.0);
        near(scores.classes[0].rates.precision, 8.0 / 9.0);
        near(scores.classes[0].rates.recall, 0.8);
        near(scores.classes[1].rates.precision, 4.0 / 6.0);
        near(scores.macro_.recall, (0.8 + 0.8 + 1.0) / 3.0);
        near(scores.weighted.recall, 0.8 * 0.5 + 0.8 * 0.25 + 0.25);
        let f1 = 2.0 * (4.0 / 6.0) * 0.8 / (4.0 / 6.0 + 0.8);
        near(scores.classes[1].rates.f1, f1);
    }

    #[test]
    fn a_class_without_samples_or_answers_is_no_division_by_zero() {
        let scores = of_confusion(&[vec![3, 0], vec![0, 0]], &names(2));
        assert_eq!((scores.macro_.f1, scores.classes[1].rates), (1.0, Rates::default()));
    }

    #[test]
    fn answers_are_scored() {
        let probabilities = [0.9, 0.1, 0.6, 0.4, 0.2, 0.8, 0.7, 0.3];
        let scores = score(&probabilities, &[0, 0, 1, 1], &names(2)).unwrap();
        assert_eq!(scores.confusion, [[2, 0], [1, 1]]);
        assert_eq!(scores.auroc, Some(0.75));
        let wrong = (score(&[0.5], &[0], &names(2)), score(&[0.5, f32::NAN], &[0], &names(2)));
        assert!(wrong.0.unwrap_err().to_string().contains("1 probabilities are not 1 samples"));
        assert!(wrong.1.unwrap_err().to_string().contains("answer to sample 0 is no number"));
        assert!(score(&[], &[], &names(2)).is_err());
    }

    proptest! {
        /// Micro averages are the accuracy; all rates lie between 0 and 1.
        #[test]
        fn laws_of_averages(
            labels in prop::collection::vec(0u16..4, 1..40),
            values in prop::collection::vec(0.0f32..1.0, 160),
        ) {
            let scores = score(&values[..labels.len() * 4], &labels, &names(4)).unwrap();
            prop_assert!((scores.micro.f1 - scores.accuracy).abs() < 1e-9);
            prop_assert!((scores.weighted.recall - scores.accuracy).abs() < 1e-9);
            for rates in [scores.macro_, scores.weighted] {
                prop_assert!((0.0..=1.0 + 1e-9).contains(&rates.f1));
            }
            prop_assert!((0.0..=1.0).contains(&scores.calibration_error));
        }
    }
}
