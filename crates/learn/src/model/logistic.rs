//! Logistic regression over bytes, softmax, trained by L-BFGS (Nocedal 1980) on all samples at
//! once, with the same penalty on large weights as scikit-learn's default.

use std::path::Path;

use crate::classifier::{Control, Epoch, Fit};
use crate::engine::math::{self, Tally, cross_entropy, softmax};
use crate::engine::onnx::{BYTES, Graph};
use crate::engine::simd::{Buffer, Left, PANEL, Start, product};
use crate::engine::store::{Head, Stored};
use crate::engine::threads::share;
use crate::model::neural::{class_weights, enough, judge, two_classes};
use crate::{Classifier, LearnError, Rows};

/// Its name in files and on the command line.
const NAME: &str = "logistic";
/// Samples that are worked on together.
const TOGETHER: usize = 128;
/// Parts that samples are summed in, whatever the number of threads.
const PARTS: usize = 16;
/// Steps that are remembered.
const MEMORY: usize = 10;
/// Training ends where no slope is steeper, as in scikit-learn.
const FLAT: f32 = 1e-4;

/// Weights of bytes by class, and a bias.
#[derive(Debug, Default)]
pub(crate) struct Logistic {
    width: usize,
    classes: usize,
    /// By panel of classes and byte, then the bias of each panel.
    parameters: Buffer,
}

/// Where things lie for samples of one width.
#[derive(Debug, Clone, Copy)]
struct Shape {
    width: usize,
    classes: usize,
    /// Panels of bytes.
    blocks: usize,
    /// Panels of classes.
    panels: usize,
}

/// Some samples on their way through.
struct Work {
    bytes: Vec<u8>,
    input: Buffer,
    scores: Buffer,
    row: Vec<f32>,
}

impl Shape {
    fn new(width: usize, classes: usize) -> Shape {
        Shape { width, classes, blocks: width.div_ceil(PANEL), panels: classes.div_ceil(PANEL) }
    }

    fn weights(self) -> usize {
        self.panels * self.blocks * PANEL * PANEL
    }

    fn parameters(self) -> usize {
        self.weights() + self.panels * PANEL
    }

    /// Where the weight of a byte for a class lies.
    fn weight_at(self, class: usize, byte: usize) -> usize {
        (class / PANEL * self.blocks * PANEL + byte) * PANEL + class % PANEL
    }

    fn work(self) -> Work {
        Work {
            bytes: Vec::new(),
            input: Buffer::zeros(self.blocks * TOGETHER * PANEL),
            scores: Buffer::zeros(self.panels * TOGETHER * PANEL),
            row: vec![0.0; self.classes],
        }
    }

    /// Scores of up to [`TOGETHER`] samples.
    fn scores(self, parameters: &[f32], rows: Rows<'_>, work: &mut Work) {
        rows.bytes(self.width, &mut work.bytes);
        for (row, sample) in work.bytes.chunks(self.width).enumerate() {
            for (block, bytes) in sample.chunks(PANEL).enumerate() {
                let to = &mut work.input[(block * TOGETHER + row) * PANEL..][..PANEL];
                math::shares(bytes, to);
            }
        }
        let jump = TOGETHER * PANEL;
        let left = Left { row: PANEL, step: 1, run: PANEL, runs: self.blocks, jump };
        let bias = &parameters[self.weights()..];
        for (panel, scores) in work.scores.chunks_mut(jump).enumerate() {
            let weights = &parameters[panel * self.blocks * PANEL * PANEL..];
            let start = Start::Row(&bias[panel * PANEL..]);
            product(&work.input, left, weights, start, &mut scores[..rows.len() * PANEL]);
        }
    }

    fn row(scores: &[f32], row: usize, to: &mut [f32]) {
        for (class, to) in to.iter_mut().enumerate() {
            *to = scores[(class / PANEL * TOGETHER + row) * PANEL + class % PANEL];
        }
    }

    /// Loss of some samples; their slope is added to `slope`.
    fn learn(
        self,
        parameters: &[f32],
        rows: Rows<'_>,
        weights: &[f32],
        slope: &mut [f32],
        work: &mut Work,
    ) -> Tally {
        self.scores(parameters, rows, work);
        let mut tally = Tally::default();
        let (slopes, bias) = slope.split_at_mut(self.weights());
        for (row, label) in rows.labels().enumerate() {
            Self::row(&work.scores, row, &mut work.row);
            let label = usize::from(label);
            cross_entropy(&mut work.row, label, weights[label], &mut tally);
            for panel in 0..self.panels {
                let to = &mut work.scores[(panel * TOGETHER + row) * PANEL..][..PANEL];
                to.fill(0.0);
                let from = &work.row[panel * PANEL..];
                to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            }
        }
        let left = Left { row: 1, step: PANEL, run: rows.len(), runs: 1, jump: 0 };
        for panel in 0..self.panels {
            let scores = &work.scores[panel * TOGETHER * PANEL..][..rows.len() * PANEL];
            math::add_rows(&mut bias[panel * PANEL..(panel + 1) * PANEL], scores);
            for block in 0..self.blocks {
                let to = (panel * self.blocks + block) * PANEL * PANEL;
                let to = &mut slopes[to..to + PANEL * PANEL];
                product(&work.input[block * TOGETHER * PANEL..], left, scores, Start::Keep, to);
            }
        }
        tally
    }
}

/// The loss as a function of the parameters.
struct Loss<'a> {
    shape: Shape,
    train: Rows<'a>,
    weights: Vec<f32>,
    threads: usize,
    parts: Vec<(Buffer, Tally)>,
}

impl Loss<'_> {
    /// Mean cross-entropy with the penalty, its slope, and what was right.
    fn at(&mut self, parameters: &[f32], slope: &mut [f32]) -> (f64, usize) {
        let (shape, train) = (self.shape, self.train);
        let each = train.len().div_ceil(PARTS);
        let pieces = train.rows.chunks(each).zip(&mut self.parts);
        let weights = &self.weights;
        share(
            self.threads,
            pieces,
            || shape.work(),
            |work, (rows, (slope, tally))| {
                slope.fill(0.0);
                *tally = Tally::default();
                for rows in rows.chunks(TOGETHER) {
                    let rows = Rows { data: train.data, rows };
                    let some = shape.learn(parameters, rows, weights, slope, work);
                    tally.loss += some.loss;
                    tally.right += some.right;
                }
            },
        );
        // scikit-learn: half the sum of squared weights against the sum of losses. Two classes
        // have one set of weights there, the difference of ours, whose square is twice as large.
        let (weights, _) = parameters.split_at(shape.weights());
        let strength = if shape.classes == 2 { 2.0 } else { 1.0 };
        let penalty = 0.5 * f64::from(strength) * dot(weights, weights);
        let (mut loss, mut right) = (penalty, 0);
        slope.fill(0.0);
        slope.iter_mut().zip(weights).for_each(|(slope, weight)| *slope = strength * weight);
        for (part, tally) in &self.parts[..train.len().div_ceil(each)] {
            math::add(slope, part);
            loss += tally.loss;
            right += tally.right;
        }
        let len = train.len() as f32;
        slope.iter_mut().for_each(|slope| *slope /= len);
        (loss / f64::from(len), right)
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// The last steps and how the slope changed along them.
#[derive(Default)]
struct Past {
    steps: Vec<(Vec<f32>, Vec<f32>, f64)>,
}

impl Past {
    /// The way down: the slope bent by what is known of its change (two loops).
    fn direction(&self, slope: &[f32]) -> Vec<f32> {
        let mut way: Vec<f32> = slope.iter().map(|slope| -slope).collect();
        let mut shares = Vec::with_capacity(self.steps.len());
        for (step, change, along) in self.steps.iter().rev() {
            let share = dot(step, &way) / along;
            way.iter_mut().zip(change).for_each(|(way, c)| *way -= share as f32 * c);
            shares.push(share);
        }
        if let Some((_, change, along)) = self.steps.last() {
            let scale = (along / dot(change, change)) as f32;
            way.iter_mut().for_each(|way| *way *= scale);
        }
        for ((step, change, along), share) in self.steps.iter().zip(shares.into_iter().rev()) {
            let rest = (share - dot(change, &way) / along) as f32;
            way.iter_mut().zip(step).for_each(|(way, step)| *way += rest * step);
        }
        way
    }

    fn remember(&mut self, step: Vec<f32>, change: Vec<f32>) {
        let along = dot(&step, &change);
        // A slope that does not grow along a step says nothing of the curve.
        if along > 1e-10 * dot(&change, &change) {
            if self.steps.len() == MEMORY {
                self.steps.remove(0);
            }
            self.steps.push((step, change, along));
        }
    }
}

impl Classifier for Logistic {
    fn name(&self) -> &'static str {
        NAME
    }

    fn fit(
        &mut self,
        train: Rows<'_>,
        validation: Rows<'_>,
        how: &Fit,
        watch: &mut dyn FnMut(&Epoch) -> Control,
    ) -> Result<Vec<Epoch>, LearnError> {
        two_classes(train)?;
        let shape = Shape::new(train.data.width, train.data.classes.len());
        let len = shape.parameters();
        enough((PARTS + 2 * MEMORY + 8) * len * size_of::<f32>(), how)?;
        let mut loss = Loss {
            shape,
            train,
            weights: class_weights(train, how.balance),
            threads: how.threads,
            parts: (0..PARTS).map(|_| (Buffer::zeros(len), Tally::default())).collect(),
        };
        let mut parameters = Buffer::zeros(len);
        let mut slope = vec![0.0; len];
        let (mut now, _) = loss.at(&parameters, &mut slope);
        let (mut past, mut epochs) = (Past::default(), Vec::new());
        let (mut tried, mut tried_slope) = (Buffer::zeros(len), vec![0.0; len]);
        while epochs.len() < how.epochs as usize {
            let way = past.direction(&slope);
            let downhill = dot(&way, &slope);
            // The first step goes no further than 1, later ones as far as the curve says.
            let mut far = match past.steps.is_empty() {
                true => 1.0f64.min(1.0 / dot(&slope, &slope).sqrt()),
                false => 1.0,
            };
            let mut better = None;
            for _ in 0..30 {
                for ((tried, from), way) in tried.iter_mut().zip(&*parameters).zip(&way) {
                    *tried = from + far as f32 * way;
                }
                let (there, right) = loss.at(&tried, &mut tried_slope);
                if there <= now + 1e-4 * far * downhill {
                    better = Some((there, right));
                    break;
                }
                far *= 0.5;
            }
            if !now.is_finite() {
                return Err(LearnError::Diverged { epoch: epochs.len() as u32 });
            }
            let Some((there, right)) = better else { break };
            let step = tried.iter().zip(&*parameters).map(|(to, from)| to - from).collect();
            let change = tried_slope.iter().zip(&slope).map(|(to, from)| to - from).collect();
            past.remember(step, change);
            std::mem::swap(&mut parameters, &mut tried);
            std::mem::swap(&mut slope, &mut tried_slope);
            now = there;
            let number = epochs.len() as u32 + 1;
            let accuracy = right as f32 / train.len() as f32;
            let epoch = Epoch { number, loss: now as f32, accuracy, validation: None };
            epochs.push(epoch);
            let steepest = slope.iter().fold(0.0f32, |most, slope| most.max(slope.abs()));
            if watch(&epoch) == Control::Stop || steepest < FLAT {
                break;
            }
        }
        *self = Logistic { width: shape.width, classes: shape.classes, parameters };
        if let Some(last) = epochs.last_mut()
            && !validation.is_empty()
        {
            last.validation = Some(judge(&self.predict(validation, how.threads), validation));
        }
        Ok(epochs)
    }

    fn predict(&self, rows: Rows<'_>, threads: usize) -> Vec<f32> {
        let mut probabilities = vec![0.0; rows.len() * self.classes];
        if self.classes == 0 {
            return probabilities;
        }
        let shape = Shape::new(self.width, self.classes);
        let pieces = probabilities.chunks_mut(TOGETHER * self.classes);
        let pieces = rows.rows.chunks(TOGETHER).zip(pieces);
        share(
            threads,
            pieces,
            || shape.work(),
            |work, (some, probabilities)| {
                shape.scores(&self.parameters, Rows { data: rows.data, rows: some }, work);
                for (row, to) in probabilities.chunks_mut(self.classes).enumerate() {
                    Shape::row(&work.scores, row, to);
                    softmax(to);
                }
            },
        );
        probabilities
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn save(&self, path: &Path) -> Result<(), LearnError> {
        let (weights, bias) = self.tensors();
        let tensors = [
            Stored::floats("weight", &[self.classes, self.width], &weights),
            Stored::floats("bias", &[self.classes], &bias),
        ];
        self.head().save(path, &tensors)
    }

    fn load(&mut self, path: &Path) -> Result<(), LearnError> {
        let (archive, Head { width, classes, .. }) = Head::read(path, NAME)?;
        let weights = archive.floats("weight", &[classes, width])?;
        let bias = archive.floats("bias", &[classes])?;
        let shape = Shape::new(width, classes);
        let mut parameters = Buffer::zeros(shape.parameters());
        for (class, weights) in weights.chunks(width).enumerate() {
            for (byte, weight) in weights.iter().enumerate() {
                parameters[shape.weight_at(class, byte)] = *weight;
            }
        }
        parameters[shape.weights()..][..classes].copy_from_slice(&bias);
        *self = Logistic { width, classes, parameters };
        Ok(())
    }

    fn size(&self) -> usize {
        self.classes * (self.width + 1) * size_of::<f32>()
    }

    fn onnx(&self) -> Option<Vec<u8>> {
        if self.classes == 0 {
            return None;
        }
        let (weights, bias) = self.tensors();
        let mut graph = Graph::default();
        graph.floats("linear.weight", &[self.classes, self.width], &weights);
        graph.floats("linear.bias", &[self.classes], &bias);
        graph.dense(BYTES, "linear", "scores");
        graph.softmax("scores");
        Some(graph.model(self.head(), &[(BYTES, self.width)]))
    }
}

impl Logistic {
    fn head(&self) -> Head {
        Head { name: NAME, width: self.width, classes: self.classes }
    }

    /// Weights by class and byte, and biases.
    fn tensors(&self) -> (Vec<f32>, Vec<f32>) {
        let shape = Shape::new(self.width, self.classes);
        let weights = (0..self.classes * self.width)
            .map(|at| self.parameters[shape.weight_at(at / self.width, at % self.width)])
            .collect();
        (weights, self.parameters[shape.weights()..][..self.classes].to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dataset;

    /// Of samples that are 0 or 255, nine of ten each of their own class, the weight `w` of
    /// scikit-learn's one set solves `w = 9 - 10 / (1 + exp(-w / 2))`, and the bias is `-w / 2`.
    #[test]
    fn two_classes_are_held_back_as_one_set_of_weights_is() {
        let bytes: Vec<u8> = (0..20).map(|at| if at < 10 { 0 } else { 255 }).collect();
        let labels = (0..20).map(|at| u16::from((at >= 10) != (at % 10 == 0))).collect();
        let classes = vec!["low".to_owned(), "high".to_owned()];
        let data = Dataset::new(bytes, 1, labels, classes).unwrap();
        let rows: Vec<u32> = (0..20).collect();
        let (train, none) = (Rows { data: &data, rows: &rows }, Rows { data: &data, rows: &[] });
        let mut model = Logistic::default();
        model.fit(train, none, &Fit::default(), &mut |_| Control::Continue).unwrap();
        let (weights, biases) = model.tensors();
        let (weight, bias) = (weights[1] - weights[0], biases[1] - biases[0]);
        assert!((weight - 1.845).abs() < 2e-3, "{weight}");
        assert!((bias + weight / 2.0).abs() < 2e-3, "{bias}");
    }
}
