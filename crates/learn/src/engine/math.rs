//! What happens to values one by one: gates, pools, probabilities, Adam.
//!
//! Written as plain loops over equally long slices, which [`wide`] turns into vectors.

use crate::engine::simd::{PANEL, wide};

/// `e^x` to two units in the last place, within `-87..=88`; beyond, the value at the end.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding and taking away 1.5 * 2^23 rounds to the nearest whole number, which then stands in
    // the low bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, the first with so few bits that its products are exact (Cephes).
    const HIGH: f32 = 0.693_359_4;
    const LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = (x - n * HIGH) - n * LOW;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_2e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let p = p * r * r + r + 1.0;
    p * f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23))
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[inline(always)]
fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (1.0 + exp(2.0 * x))
}

/// One step of an LSTM's cells: gates go in as sums and come out as what they let through.
pub(crate) struct Gates<'a> {
    /// Input gate.
    pub(crate) input: &'a mut [f32],
    /// Forget gate.
    pub(crate) forget: &'a mut [f32],
    /// What is new.
    pub(crate) new: &'a mut [f32],
    /// Output gate.
    pub(crate) output: &'a mut [f32],
}

impl Gates<'_> {
    /// Forward: `cell` changes in place, `squashed` becomes its tanh, `hidden` what comes out.
    pub(crate) fn forward(self, cell: &mut [f32], squashed: &mut [f32], hidden: &mut [f32]) {
        let len = cell.len();
        let (input, forget) = (&mut self.input[..len], &mut self.forget[..len]);
        let (new, output) = (&mut self.new[..len], &mut self.output[..len]);
        let (squashed, hidden) = (&mut squashed[..len], &mut hidden[..len]);
        wide(|| {
            for at in 0..len {
                input[at] = sigmoid(input[at]);
                forget[at] = sigmoid(forget[at]);
                new[at] = tanh(new[at]);
                output[at] = sigmoid(output[at]);
                cell[at] = forget[at] * cell[at] + input[at] * new[at];
                squashed[at] = tanh(cell[at]);
                hidden[at] = output[at] * squashed[at];
            }
        });
    }

    /// Backward: gates go in as what they let through and come out as the loss's slope by their
    /// sums; `slope` is the loss's by the cell and goes one step back.
    pub(crate) fn backward(
        self,
        before: &[f32],
        squashed: &[f32],
        hidden_slope: &[f32],
        slope: &mut [f32],
    ) {
        let len = slope.len();
        let (input, forget) = (&mut self.input[..len], &mut self.forget[..len]);
        let (new, output) = (&mut self.new[..len], &mut self.output[..len]);
        let (before, squashed) = (&before[..len], &squashed[..len]);
        let hidden_slope = &hidden_slope[..len];
        wide(|| {
            for at in 0..len {
                let (i, f, n, o) = (input[at], forget[at], new[at], output[at]);
                let (s, h) = (squashed[at], hidden_slope[at]);
                let c = slope[at] + h * o * (1.0 - s * s);
                input[at] = c * n * i * (1.0 - i);
                forget[at] = c * before[at] * f * (1.0 - f);
                new[at] = c * i * (1.0 - n * n);
                output[at] = h * s * o * (1.0 - o);
                slope[at] = c * f;
            }
        });
    }
}

/// Adam (Kingma and Ba 2015) as PyTorch has it: 0.9, 0.999, 1e-8, no decay.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Adam {
    rate: f32,
    scale: f32,
}

impl Adam {
    /// The `step`-th step, from 1.
    pub(crate) fn new(rate: f32, step: u64) -> Adam {
        let step = step.min(1 << 30) as i32;
        let first = 1.0 - 0.9f64.powi(step);
        let second = 1.0 - 0.999f64.powi(step);
        Adam { rate: (f64::from(rate) / first) as f32, scale: (1.0 / second.sqrt()) as f32 }
    }

    /// Moves `values` down the `slope`.
    pub(crate) fn apply(
        self,
        values: &mut [f32],
        mean: &mut [f32],
        square: &mut [f32],
        slope: &[f32],
    ) {
        let len = values.len();
        let (mean, square, slope) = (&mut mean[..len], &mut square[..len], &slope[..len]);
        wide(|| {
            for at in 0..len {
                let g = slope[at];
                let m = 0.9 * mean[at] + 0.1 * g;
                let v = 0.999 * square[at] + 0.001 * (g * g);
                mean[at] = m;
                square[at] = v;
                values[at] -= self.rate * m / (v.sqrt() * self.scale + 1e-8);
            }
        });
    }
}

/// `sum += part`.
pub(crate) fn add(sum: &mut [f32], part: &[f32]) {
    let part = &part[..sum.len()];
    wide(|| sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part));
}

/// Turns a block of 32 by 32 around.
pub(crate) fn transpose(from: &[f32], to: &mut [f32]) {
    let from = &from[..PANEL * PANEL];
    for (column, to) in to[..PANEL * PANEL].chunks_exact_mut(PANEL).enumerate() {
        for (row, to) in to.iter_mut().enumerate() {
            *to = from[row * PANEL + column];
        }
    }
}

/// What a batch of predictions was worth.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Tally {
    /// Weighted cross-entropy, summed, nats.
    pub(crate) loss: f64,
    /// Samples whose likeliest class is theirs.
    pub(crate) right: usize,
}

/// Probabilities of scores, in place. The largest is taken away first, so nothing overflows.
pub(crate) fn softmax(scores: &mut [f32]) {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for score in &mut *scores {
        *score = exp(*score - most);
        sum += *score;
    }
    scores.iter_mut().for_each(|score| *score /= sum);
}

/// The likeliest class, the first where several are.
pub(crate) fn likeliest(scores: &[f32]) -> usize {
    let mut best = 0;
    for (at, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = at;
        }
    }
    best
}

/// Softmax cross-entropy of one sample: `scores` become the slope of `weight * loss`.
pub(crate) fn cross_entropy(scores: &mut [f32], label: usize, weight: f32, tally: &mut Tally) {
    tally.right += usize::from(likeliest(scores) == label);
    softmax(scores);
    // Not below the smallest normal number: a probability of 0 would be an infinite loss, and
    // NaN must stay NaN.
    let chance = if scores[label] < f32::MIN_POSITIVE { f32::MIN_POSITIVE } else { scores[label] };
    tally.loss -= f64::from(weight) * f64::from(chance).ln();
    scores[label] -= 1.0;
    scores.iter_mut().for_each(|score| *score *= weight);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_close() {
        for at in -870..=880 {
            let x = at as f32 / 10.0;
            let (got, want) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((got / want - 1.0).abs() < 3e-7, "e^{x}: {got} {want}");
        }
        assert!(exp(f32::NAN).is_nan());
        assert!((tanh(0.3) - 0.3f32.tanh()).abs() < 2e-7);
        assert_eq!((tanh(50.0), tanh(-50.0)), (1.0, -1.0));
    }

    #[test]
    fn probabilities_sum_to_one() {
        let mut scores = [1000.0, 999.0, -1000.0];
        softmax(&mut scores);
        assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((scores[0] / scores[1] - std::f32::consts::E).abs() < 1e-4);
    }

    #[test]
    fn adam_steps_as_pytorch_does() {
        // torch.optim.Adam(lr=0.001) on values 1 and -2 with slopes 0.5 and -0.25, then 1 and 1.
        let (mut values, mut mean, mut square) = ([1.0f32, -2.0], [0.0; 2], [0.0; 2]);
        Adam::new(0.001, 1).apply(&mut values, &mut mean, &mut square, &[0.5, -0.25]);
        assert!((values[0] - 0.999).abs() < 1e-7 && (values[1] + 1.999).abs() < 1e-7);
        Adam::new(0.001, 2).apply(&mut values, &mut mean, &mut square, &[1.0, 1.0]);
        assert!((values[0] - 0.998_034_1).abs() < 2e-7, "{values:?}");
        assert!((values[1] + 1.999_558_2).abs() < 2e-7, "{values:?}");
    }
}
