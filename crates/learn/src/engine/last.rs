//! The last layer of a network: from units to scores, to what they lose, and back.
//!
//! Units and scores lie in panels, a row for each of `rows` places for samples.

use crate::Rows;
use crate::engine::math::{self, Tally, cross_entropy, softmax, transpose};
use crate::engine::network::Tensor;
use crate::engine::simd::{Left, PANEL, Start, product};

/// Its shape: units in whole panels. Weights lie by panel of classes and unit, biases behind them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Last {
    pub(crate) units: usize,
    pub(crate) classes: usize,
}

impl Last {
    /// Panels of classes.
    fn panels(self) -> usize {
        self.classes.div_ceil(PANEL)
    }

    /// Panels of units.
    fn blocks(self) -> usize {
        self.units / PANEL
    }

    /// Number of weights, with those of classes that there are not.
    pub(crate) fn weights(self) -> usize {
        self.panels() * self.units * PANEL
    }

    /// Number of parameters.
    pub(crate) fn parameters(self) -> usize {
        self.weights() + self.panels() * PANEL
    }

    /// Values of the scores of so many rows.
    pub(crate) fn scores(self, rows: usize) -> usize {
        self.panels() * rows * PANEL
    }

    /// Weight and bias, where the parameters begin at `base`.
    pub(crate) fn tensors(self, [weight, bias]: [&'static str; 2], base: usize) -> [Tensor; 2] {
        let Last { units, classes } = self;
        let biases = base + self.weights();
        [
            Tensor {
                name: weight,
                shape: vec![classes, units],
                place: Box::new(move |at| {
                    let (class, unit) = (at / units, at % units);
                    base + (class / PANEL * units + unit) * PANEL + class % PANEL
                }),
            },
            Tensor { name: bias, shape: vec![classes], place: Box::new(move |at| biases + at) },
        ]
    }

    /// Scores of units.
    pub(crate) fn forward(
        self,
        parameters: &[f32],
        units: &[f32],
        rows: usize,
        scores: &mut [f32],
    ) {
        let (jump, bias) = (rows * PANEL, &parameters[self.weights()..]);
        let left = Left { row: PANEL, step: 1, run: PANEL, runs: self.blocks(), jump };
        for (panel, scores) in scores.chunks_mut(jump).take(self.panels()).enumerate() {
            let weights = &parameters[panel * self.units * PANEL..];
            product(units, left, weights, Start::Row(&bias[panel * PANEL..]), scores);
        }
    }

    /// Where the score of a row and class lies.
    fn at(rows: usize, row: usize, class: usize) -> usize {
        (class / PANEL * rows + row) * PANEL + class % PANEL
    }

    /// Probabilities of samples, row-major, of their scores.
    pub(crate) fn probabilities(self, scores: &[f32], rows: usize, to: &mut [f32]) {
        for (row, to) in to.chunks_mut(self.classes).enumerate() {
            for (class, to) in to.iter_mut().enumerate() {
                *to = scores[Self::at(rows, row, class)];
            }
            softmax(to);
        }
    }

    /// Losses of samples; scores become the slope of `share` of their sum.
    pub(crate) fn losses(
        self,
        samples: Rows<'_>,
        weights: &[f32],
        share: f32,
        rows: usize,
        scores: &mut [f32],
    ) -> Tally {
        let mut tally = Tally::default();
        let mut some = vec![0.0; self.classes];
        for (row, label) in samples.labels().enumerate() {
            for (class, to) in some.iter_mut().enumerate() {
                *to = scores[Self::at(rows, row, class)];
            }
            let label = usize::from(label);
            cross_entropy(&mut some, label, weights[label], &mut tally);
            for (class, slope) in some.iter().enumerate() {
                scores[Self::at(rows, row, class)] = slope * share;
            }
        }
        // Rows without a sample, and columns without a class, pull at nothing.
        for (panel, scores) in scores.chunks_mut(rows * PANEL).take(self.panels()).enumerate() {
            scores[samples.len() * PANEL..].fill(0.0);
            let used = (self.classes - panel * PANEL).min(PANEL);
            scores.chunks_exact_mut(PANEL).for_each(|row| row[used..].fill(0.0));
        }
        tally
    }

    /// Slopes by the parameters, which replace what is there.
    pub(crate) fn slopes(self, units: &[f32], scores: &[f32], rows: usize, slope: &mut [f32]) {
        let (jump, blocks) = (rows * PANEL, self.blocks());
        let (weights, bias) = slope.split_at_mut(self.weights());
        let left = Left { row: 1, step: PANEL, run: rows, runs: 1, jump: 0 };
        for (panel, bias) in bias.chunks_mut(PANEL).take(self.panels()).enumerate() {
            let scores = &scores[panel * jump..(panel + 1) * jump];
            bias.fill(0.0);
            math::add_rows(bias, scores);
            for block in 0..blocks {
                let to = (panel * blocks + block) * PANEL * PANEL;
                let to = &mut weights[to..to + PANEL * PANEL];
                product(&units[block * jump..], left, scores, Start::Zero, to);
            }
        }
    }

    /// Weights as [`Last::back`] wants them: turned around.
    pub(crate) fn turned(self, parameters: &[f32], to: &mut [f32]) {
        for block in 0..self.blocks() {
            for panel in 0..self.panels() {
                let from = (panel * self.blocks() + block) * PANEL * PANEL;
                let at = (block * self.panels() + panel) * PANEL * PANEL;
                transpose(&parameters[from..], &mut to[at..]);
            }
        }
    }

    /// The slope by the units.
    pub(crate) fn back(self, scores: &[f32], turned: &[f32], rows: usize, to: &mut [f32]) {
        let (jump, runs) = (rows * PANEL, self.panels());
        let left = Left { row: PANEL, step: 1, run: PANEL, runs, jump };
        for (block, to) in to.chunks_mut(jump).take(self.blocks()).enumerate() {
            product(scores, left, &turned[block * runs * PANEL * PANEL..], Start::Zero, to);
        }
    }
}
