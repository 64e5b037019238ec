//! What happens to values one by one: gates, pools, probabilities, Adam.
//!
//! Written as plain loops over equally long slices, which [`wide`] turns into vectors.

use crate::engine::simd::{PANEL, Wide, fused, wide};

/// Adding and taking away 1.5 * 2^23 rounds to the nearest whole number, which then stands in the
/// low bits.
const ROUND: f32 = 12_582_912.0;

/// `e^x` to two units in the last place, within `-87..=88`; beyond, the value at the end.
#[inline(always)]
fn exp<const FUSED: bool>(x: f32) -> f32 {
    // ln 2 in two parts, the first with so few bits that its products are exact (Cephes).
    const HIGH: f32 = 0.693_359_4;
    const LOW: f32 = -2.121_944_4e-4;
    let x = within(x, -87.0, 88.0);
    let rounded = fused::<FUSED>(x, std::f32::consts::LOG2_E, ROUND);
    let n = rounded - ROUND;
    let r = fused::<FUSED>(-n, LOW, fused::<FUSED>(-n, HIGH, x));
    let mut p = 1.987_569_1e-4;
    p = fused::<FUSED>(p, r, 1.398_2e-3);
    p = fused::<FUSED>(p, r, 8.333_452e-3);
    p = fused::<FUSED>(p, r, 4.166_579_6e-2);
    p = fused::<FUSED>(p, r, 1.666_666_5e-1);
    p = fused::<FUSED>(p, r, 0.5);
    let p = fused::<FUSED>(p, r * r, r) + 1.0;
    p * f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23))
}

/// `x` between two bounds, as two instructions; what is no number stays so.
#[inline(always)]
fn within(x: f32, low: f32, high: f32) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// A bound of what goes in, and how often 2 is multiplied with itself for each 1 of it.
#[derive(Clone, Copy)]
struct Curve(f32, f32);

/// `e^-x`, for a sigmoid.
const SIGMOID: Curve = Curve(20.0, -std::f32::consts::LOG2_E);
/// `e^-2x`, for a tanh.
const TANH: Curve = Curve(10.0, -2.0 * std::f32::consts::LOG2_E);

/// `1 + e^-x` or `1 + e^-2x`, whose inverse is the sigmoid of `x` or of twice that; not above 5e8,
/// so that four have a product. The power is within 2e-7 of itself, and exactly 1 of 0.
#[allow(clippy::approx_constant)] // a coefficient that is near ln 2 and not it
#[inline(always)]
fn below_sigmoid<const FUSED: bool>(x: f32, Curve(bound, scale): Curve) -> f32 {
    let x = within(x, -bound, bound);
    let rounded = fused::<FUSED>(x, scale, ROUND);
    let r = fused::<FUSED>(x, scale, -(rounded - ROUND));
    // 2^r on -0.5..=0.5: of all polynomials of this degree that are 1 at 0 the one whose largest
    // relative error is least, 9e-8 before it is rounded.
    let mut p = 1.326_472_7e-3;
    p = fused::<FUSED>(p, r, 9.671_513e-3);
    p = fused::<FUSED>(p, r, 5.550_733_6e-2);
    p = fused::<FUSED>(p, r, 2.402_224_2e-1);
    p = fused::<FUSED>(p, r, 6.931_47e-1);
    p = fused::<FUSED>(p, r, 1.0);
    // The whole part goes straight into the exponent. What is no number has no bits that get
    // there, and stays so.
    1.0 + f32::from_bits(p.to_bits().wrapping_add(rounded.to_bits() << 23))
}

/// Tanh from the inverse of [`below_sigmoid`] of twice the value.
#[inline(always)]
fn tanh_of<const FUSED: bool>(inverse: f32) -> f32 {
    fused::<FUSED>(2.0, inverse, -1.0)
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

impl<'a> Gates<'a> {
    /// Forward: `cell` changes in place, `squashed` becomes its tanh, `hidden` what comes out.
    pub(crate) fn forward(
        self,
        cell: &'a mut [f32],
        squashed: &'a mut [f32],
        hidden: &'a mut [f32],
    ) {
        wide(Forward { gates: self, cell, squashed, hidden });
    }

    /// Forward where nothing goes back: gates stay sums, and a cell costs two divisions.
    pub(crate) fn through(self, cell: &'a mut [f32], hidden: &'a mut [f32]) {
        wide(Through { gates: self, cell, hidden });
    }

    /// Backward: gates go in as what they let through and come out as the loss's slope by their
    /// sums; `slope` is the loss's by the cell and goes one step back.
    pub(crate) fn backward(
        self,
        before: &'a [f32],
        squashed: &'a [f32],
        hidden_slope: &'a [f32],
        slope: &'a mut [f32],
    ) {
        wide(Backward { gates: self, before, squashed, hidden_slope, slope });
    }
}

struct Forward<'a> {
    gates: Gates<'a>,
    cell: &'a mut [f32],
    squashed: &'a mut [f32],
    hidden: &'a mut [f32],
}

impl Wide for Forward<'_> {
    type Out = ();

    #[allow(clippy::many_single_char_names)] // as the literature has them
    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let len = self.cell.len();
        let Gates { input, forget, new, output } = self.gates;
        let (input, forget) = (&mut input[..len], &mut forget[..len]);
        let (new, output) = (&mut new[..len], &mut output[..len]);
        let (cell, squashed) = (self.cell, &mut self.squashed[..len]);
        let hidden = &mut self.hidden[..len];
        for at in 0..len {
            let i = below_sigmoid::<FUSED>(input[at], SIGMOID);
            let f = below_sigmoid::<FUSED>(forget[at], SIGMOID);
            let n = below_sigmoid::<FUSED>(new[at], TANH);
            let o = below_sigmoid::<FUSED>(output[at], SIGMOID);
            // Four inverses for one division, which costs as much as ten products.
            let (first, second) = (i * f, n * o);
            let inverse = 1.0 / (first * second);
            let (first, second) = (inverse * second, inverse * first);
            let (i, f) = (first * f, first * i);
            let (n, o) = (tanh_of::<FUSED>(second * o), second * n);
            (input[at], forget[at], new[at], output[at]) = (i, f, n, o);
            cell[at] = fused::<FUSED>(f, cell[at], i * n);
        }
        // A loop of its own: half as much waits for what comes before it.
        for at in 0..len {
            let s = tanh_of::<FUSED>(1.0 / below_sigmoid::<FUSED>(cell[at], TANH));
            squashed[at] = s;
            hidden[at] = output[at] * s;
        }
    }
}

struct Through<'a> {
    gates: Gates<'a>,
    cell: &'a mut [f32],
    hidden: &'a mut [f32],
}

impl Wide for Through<'_> {
    type Out = ();

    #[allow(clippy::many_single_char_names)] // as the literature has them
    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let len = self.cell.len();
        let Gates { input, forget, new, output } = self.gates;
        let (input, forget) = (&input[..len], &forget[..len]);
        let (new, output) = (&new[..len], &output[..len]);
        let (cell, hidden) = (self.cell, &mut self.hidden[..len]);
        for at in 0..len {
            let i = below_sigmoid::<FUSED>(input[at], SIGMOID);
            let f = below_sigmoid::<FUSED>(forget[at], SIGMOID);
            let n = below_sigmoid::<FUSED>(new[at], TANH);
            // cell / f + (2 - n) / (i * n), over one denominator; a tanh is 2 / n - 1.
            let both = i * n;
            cell[at] = fused::<FUSED>(cell[at], both, (2.0 - n) * f) / (both * f);
        }
        // A loop of its own, as above.
        for at in 0..len {
            let o = below_sigmoid::<FUSED>(output[at], SIGMOID);
            let s = below_sigmoid::<FUSED>(cell[at], TANH);
            hidden[at] = (2.0 - s) / (s * o);
        }
    }
}

struct Backward<'a> {
    gates: Gates<'a>,
    before: &'a [f32],
    squashed: &'a [f32],
    hidden_slope: &'a [f32],
    slope: &'a mut [f32],
}

impl Wide for Backward<'_> {
    type Out = ();

    #[allow(clippy::many_single_char_names)] // as the literature has them
    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let len = self.slope.len();
        let Gates { input, forget, new, output } = self.gates;
        let (input, forget) = (&mut input[..len], &mut forget[..len]);
        let (new, output) = (&mut new[..len], &mut output[..len]);
        let (before, squashed) = (&self.before[..len], &self.squashed[..len]);
        let (hidden_slope, slope) = (&self.hidden_slope[..len], self.slope);
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
    }
}

/// Adam (Kingma and Ba 2015) as PyTorch has it: 0.9, 0.999, 1e-8, no decay.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Adam {
    /// Step size, corrected for the step.
    pub(crate) rate: f32,
    /// What the root is multiplied by, likewise.
    pub(crate) scale: f32,
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
        wide(Move { adam: self, values, mean, square, slope });
    }
}

struct Move<'a> {
    adam: Adam,
    values: &'a mut [f32],
    mean: &'a mut [f32],
    square: &'a mut [f32],
    slope: &'a [f32],
}

impl Wide for Move<'_> {
    type Out = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let len = self.values.len();
        let (mean, square) = (&mut self.mean[..len], &mut self.square[..len]);
        let slope = &self.slope[..len];
        let Adam { rate, scale } = self.adam;
        for at in 0..len {
            let g = slope[at];
            let m = 0.9 * mean[at] + 0.1 * g;
            let v = 0.999 * square[at] + 0.001 * (g * g);
            mean[at] = m;
            square[at] = v;
            self.values[at] -= rate * m / (v.sqrt() * scale + 1e-8);
        }
    }
}

/// `sum += part`.
pub(crate) fn add(sum: &mut [f32], part: &[f32]) {
    wide(Add { sum, part });
}

struct Add<'a> {
    sum: &'a mut [f32],
    part: &'a [f32],
}

impl Wide for Add<'_> {
    type Out = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let part = &self.part[..self.sum.len()];
        self.sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
}

/// Bytes as shares of 255.
pub(crate) fn shares(bytes: &[u8], to: &mut [f32]) {
    wide(Shares { bytes, to });
}

struct Shares<'a> {
    bytes: &'a [u8],
    to: &'a mut [f32],
}

impl Wide for Shares<'_> {
    type Out = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        self.to.iter_mut().zip(self.bytes).for_each(|(to, &byte)| *to = f32::from(byte) / 255.0);
    }
}

/// Cuts off what is below zero in a panel's row; where `kept` has a bit for each column, the rest
/// is doubled or dropped by it.
pub(crate) fn rectify(row: &mut [f32], kept: Option<u32>) {
    wide(Rectify { row, kept });
}

struct Rectify<'a> {
    row: &'a mut [f32],
    kept: Option<u32>,
}

impl Wide for Rectify<'_> {
    type Out = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let row = &mut self.row[..PANEL];
        match self.kept {
            None => row.iter_mut().for_each(|x| *x = if *x < 0.0 { 0.0 } else { *x }),
            Some(kept) => {
                for (lane, x) in row.iter_mut().enumerate() {
                    let factor = if kept >> lane & 1 == 1 { 2.0 } else { 0.0 };
                    *x = if *x < 0.0 { 0.0 } else { *x * factor };
                }
            }
        }
    }
}

/// Adds the rows of a panel to one row.
pub(crate) fn add_rows(sum: &mut [f32], panel: &[f32]) {
    let mut sums = [0.0; PANEL];
    sums.copy_from_slice(sum);
    for row in panel.as_chunks::<PANEL>().0 {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    sum.copy_from_slice(&sums);
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
        *score = exp::<false>(*score - most);
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
            let (got, want) = (f64::from(exp::<false>(x)), f64::from(x).exp());
            assert!((got / want - 1.0).abs() < 3e-7, "e^{x}: {got} {want}");
        }
        assert!(exp::<true>(f32::NAN).is_nan());
        let tanh = |x: f32| tanh_of::<true>(1.0 / below_sigmoid::<true>(x, TANH));
        assert!((tanh(0.3) - 0.3f32.tanh()).abs() < 2e-7);
        assert_eq!((tanh(50.0), tanh(-50.0)), (1.0, -1.0));
        assert!(tanh(f32::NAN).is_nan());
    }

    #[test]
    fn cells_are_the_same_whether_or_not_anything_goes_back() {
        let sums = |from: f32| -> Vec<f32> { (0..999).map(|at| from + at as f32 / 40.0).collect() };
        let all = || [sums(-12.0), sums(-3.0), sums(-20.0), sums(-15.0)];
        let held: Vec<f32> = (0..999).map(|at| (at % 41) as f32 / 10.0 - 2.0).collect();
        let (mut kept, mut hidden, mut squashed) = (held.clone(), [0.0; 999], [0.0; 999]);
        let [input, forget, new, output] = &mut all();
        Gates { input, forget, new, output }.forward(&mut kept, &mut squashed, &mut hidden);
        let (mut through, mut out) = (held.clone(), [0.0; 999]);
        let [input, forget, new, output] = &mut all();
        Gates { input, forget, new, output }.through(&mut through, &mut out);
        let [input, forget, new, output] = all().map(|sums| sums.into_iter().map(f64::from));
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let sums = input.zip(forget).zip(new.zip(output)).zip(held).enumerate();
        for (at, (((input, forget), (new, output)), held)) in sums {
            let cell = sigmoid(forget) * f64::from(held) + sigmoid(input) * new.tanh();
            let wanted = (cell, sigmoid(output) * cell.tanh());
            for (cell, hidden) in [(kept[at], hidden[at]), (through[at], out[at])] {
                let apart = (f64::from(cell) - wanted.0, f64::from(hidden) - wanted.1);
                assert!(apart.0.abs() < 1e-6 && apart.1.abs() < 5e-7, "{at}: {apart:?}");
            }
        }
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
        assert!((values[0] - 0.998_034_83).abs() < 2e-7, "{values:?}");
        assert!((values[1] + 1.999_559_4).abs() < 2e-7, "{values:?}");
    }
}
