//! A convolution that keeps its size, rectified and pooled, forward and backward.
//!
//! Channels come last and the image has its border of zeros around it, so that the inputs of one
//! output lie in a few runs and the product reads them where they are: nothing is copied out.
//! A line of bytes is an image of one row.

use crate::engine::math;
use crate::engine::simd::{Buffer, Left, PANEL, Start, Wide, product, wide};

/// Marks where nothing in a window was above zero.
const NOTHING: u8 = u8::MAX;

/// A convolution's shape. Kernels have odd sides, pools do not overlap, and what they lack at the
/// borders is taken half before and half behind (TensorFlow's SAME).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Convolution {
    /// Rows and columns of what goes in.
    pub(crate) size: (usize, usize),
    /// Rows and columns of a kernel.
    pub(crate) kernel: (usize, usize),
    /// Rows and columns of a pool.
    pub(crate) pool: (usize, usize),
    /// Channels in: 1, or whole panels.
    pub(crate) inputs: usize,
    /// Channels out: whole panels.
    pub(crate) outputs: usize,
}

/// Where pooled values lie: by panel, row and column, [`PANEL`] values each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) base: usize,
    pub(crate) panel: usize,
    pub(crate) row: usize,
    pub(crate) column: usize,
}

impl Convolution {
    /// Rows and columns with the border.
    fn bordered(&self) -> (usize, usize) {
        (self.size.0 + self.kernel.0 - 1, self.size.1 + self.kernel.1 - 1)
    }

    /// Values that go in, border included.
    pub(crate) fn input_len(&self) -> usize {
        self.bordered().0 * self.bordered().1 * self.inputs
    }

    /// Where the input at `row` and `column` begins.
    pub(crate) fn input_at(&self, row: usize, column: usize) -> usize {
        let (up, before) = (self.kernel.0 / 2, self.kernel.1 / 2);
        ((row + up) * self.bordered().1 + column + before) * self.inputs
    }

    /// Rows and columns that come out.
    pub(crate) fn pooled(&self) -> (usize, usize) {
        (self.size.0.div_ceil(self.pool.0), self.size.1.div_ceil(self.pool.1))
    }

    /// Inputs of one output.
    pub(crate) fn inner(&self) -> usize {
        self.kernel.0 * self.kernel.1 * self.inputs
    }

    /// Panels of what comes out.
    fn panels(&self) -> usize {
        self.outputs / PANEL
    }

    /// Number of weights.
    pub(crate) fn weights(&self) -> usize {
        self.inner() * self.outputs
    }

    /// Where weight by output, input, kernel row and column lies.
    pub(crate) fn weight_at(
        &self,
        output: usize,
        input: usize,
        row: usize,
        column: usize,
    ) -> usize {
        let inner = (row * self.kernel.1 + column) * self.inputs + input;
        (output / PANEL * self.inner() + inner) * PANEL + output % PANEL
    }

    /// Values before they are pooled.
    pub(crate) fn full_len(&self) -> usize {
        self.size.0 * self.size.1 * self.outputs
    }

    /// Values of its slope with a border around it.
    pub(crate) fn back_len(&self) -> usize {
        self.bordered().0 * self.bordered().1 * self.outputs
    }

    /// Values that come out.
    pub(crate) fn pooled_len(&self) -> usize {
        self.pooled().0 * self.pooled().1 * self.outputs
    }

    /// Convolves, rectifies and pools one sample. `chosen` remembers what each pool took.
    pub(crate) fn forward(
        &self,
        input: &[f32],
        weights: &[f32],
        bias: &[f32],
        full: &mut [f32],
        chosen: &mut [u8],
        (output, place): (&mut [f32], Place),
    ) {
        let (height, width) = self.size;
        let left = Left {
            row: self.inputs,
            step: 1,
            run: self.kernel.1 * self.inputs,
            runs: self.kernel.0,
            jump: self.bordered().1 * self.inputs,
        };
        for panel in 0..self.panels() {
            for row in 0..height {
                product(
                    &input[row * left.jump..],
                    left,
                    &weights[panel * self.inner() * PANEL..],
                    Start::Row(&bias[panel * PANEL..]),
                    &mut full[(panel * height + row) * width * PANEL..][..width * PANEL],
                );
            }
        }
        wide(Pool { shape: self, full, chosen, output, place });
    }

    /// The slope by the full values, from that by the pooled ones, as panels.
    pub(crate) fn unpool(&self, pooled: &[f32], place: Place, chosen: &[u8], full: &mut [f32]) {
        wide(Unpool { shape: self, full, chosen, pooled, place });
    }

    /// Slopes by weights and bias, added to what is there.
    pub(crate) fn slopes(
        &self,
        input: &[f32],
        full: &[f32],
        weights: &mut [f32],
        bias: &mut [f32],
    ) {
        let (height, width) = self.size;
        let jump = self.bordered().1 * self.inputs;
        let run = self.kernel.1 * self.inputs;
        let left = Left { row: 1, step: self.inputs, run: width, runs: height, jump };
        for panel in 0..self.panels() {
            let full = &full[panel * height * width * PANEL..][..height * width * PANEL];
            for row in 0..self.kernel.0 {
                let to = panel * self.inner() + row * run;
                let to = &mut weights[to * PANEL..(to + run) * PANEL];
                product(&input[row * jump..], left, full, Start::Keep, to);
            }
            math::add_rows(&mut bias[panel * PANEL..(panel + 1) * PANEL], full);
        }
    }

    /// Weights as [`Convolution::back`] wants them: turned around and mirrored.
    pub(crate) fn mirrored(&self, weights: &[f32], to: &mut [f32]) {
        let taps = self.kernel.0 * self.kernel.1;
        for input in 0..self.inputs / PANEL {
            for panel in 0..self.panels() {
                for tap in 0..taps {
                    let from = panel * self.inner() + tap * self.inputs + input * PANEL;
                    let at = ((input * self.panels() + panel) * taps + taps - 1 - tap) * PANEL;
                    math::transpose(&weights[from * PANEL..], &mut to[at * PANEL..]);
                }
            }
        }
    }

    /// The slope by the inputs (whole panels, without border) from that by the full values;
    /// `bordered` is space whose border is zero.
    pub(crate) fn back(
        &self,
        full: &[f32],
        mirrored: &[f32],
        bordered: &mut [f32],
        to: &mut [f32],
    ) {
        let ((height, width), (rows, columns)) = (self.size, self.bordered());
        let (up, before) = (self.kernel.0 / 2, self.kernel.1 / 2);
        for panel in 0..self.panels() {
            for row in 0..height {
                let at = ((panel * rows + row + up) * columns + before) * PANEL;
                let from = (panel * height + row) * width * PANEL;
                bordered[at..at + width * PANEL].copy_from_slice(&full[from..from + width * PANEL]);
            }
        }
        let run = self.kernel.1 * PANEL;
        let jump = columns * PANEL;
        let left = Left { row: PANEL, step: 1, run, runs: self.kernel.0, jump };
        for input in 0..self.inputs / PANEL {
            for panel in 0..self.panels() {
                let weights = (input * self.panels() + panel) * self.kernel.0 * run;
                for row in 0..height {
                    product(
                        &bordered[(panel * rows + row) * jump..],
                        left,
                        &mirrored[weights * PANEL..],
                        if panel == 0 { Start::Zero } else { Start::Keep },
                        &mut to[(input * height + row) * width * PANEL..][..width * PANEL],
                    );
                }
            }
        }
    }

    /// Shows every pooled place and the full places of its window, numbered. Windows at the
    /// border are smaller.
    #[inline(always)]
    fn windows(&self, place: Place, to: &mut impl Look) {
        let ((height, width), (rows, columns)) = (self.size, self.pooled());
        let up = (rows * self.pool.0 - height) / 2;
        let before = (columns * self.pool.1 - width) / 2;
        let mut window = [(0u8, 0usize); 9];
        for panel in 0..self.panels() {
            for row in 0..rows {
                for column in 0..columns {
                    let mut len = 0;
                    for y in 0..self.pool.0 {
                        for x in 0..self.pool.1 {
                            let (y, x) = (row * self.pool.0 + y, column * self.pool.1 + x);
                            if (up..up + height).contains(&y)
                                && (before..before + width).contains(&x)
                            {
                                let at = ((panel * height + y - up) * width + x - before) * PANEL;
                                window[len] = (len as u8, at);
                                len += 1;
                            }
                        }
                    }
                    let pooled = (panel * rows + row) * columns + column;
                    let at =
                        place.base + panel * place.panel + row * place.row + column * place.column;
                    to.look(pooled * PANEL, at, &window[..len]);
                }
            }
        }
    }
}

/// Whoever is shown windows. No closure, since [`Look::look`] must be inlined to be vectors.
trait Look {
    fn look(&mut self, chosen_at: usize, at: usize, window: &[(u8, usize)]);
}

struct Pool<'a> {
    shape: &'a Convolution,
    full: &'a [f32],
    chosen: &'a mut [u8],
    output: &'a mut [f32],
    place: Place,
}

impl Look for Pool<'_> {
    #[inline(always)]
    fn look(&mut self, chosen_at: usize, at: usize, window: &[(u8, usize)]) {
        let mut best = [0.0f32; PANEL];
        let mut from = [u32::from(NOTHING); PANEL];
        for &(number, full_at) in window {
            let full = &self.full[full_at..full_at + PANEL];
            for lane in 0..PANEL {
                let more = full[lane] > best[lane];
                best[lane] = if more { full[lane] } else { best[lane] };
                from[lane] = if more { u32::from(number) } else { from[lane] };
            }
        }
        self.output[at..at + PANEL].copy_from_slice(&best);
        let chosen = &mut self.chosen[chosen_at..chosen_at + PANEL];
        for lane in 0..PANEL {
            chosen[lane] = from[lane] as u8;
        }
    }
}

impl Wide for Pool<'_> {
    type Out = ();

    #[inline(always)]
    fn run<const FUSED: bool>(mut self) {
        let (shape, place) = (*self.shape, self.place);
        shape.windows(place, &mut self);
    }
}

struct Unpool<'a> {
    shape: &'a Convolution,
    full: &'a mut [f32],
    chosen: &'a [u8],
    pooled: &'a [f32],
    place: Place,
}

impl Look for Unpool<'_> {
    #[inline(always)]
    fn look(&mut self, chosen_at: usize, at: usize, window: &[(u8, usize)]) {
        let slope = &self.pooled[at..at + PANEL];
        let chosen = &self.chosen[chosen_at..chosen_at + PANEL];
        for &(number, full_at) in window {
            let full = &mut self.full[full_at..full_at + PANEL];
            for lane in 0..PANEL {
                full[lane] = if chosen[lane] == number { slope[lane] } else { 0.0 };
            }
        }
    }
}

impl Wide for Unpool<'_> {
    type Out = ();

    #[inline(always)]
    fn run<const FUSED: bool>(mut self) {
        let (shape, place) = (*self.shape, self.place);
        shape.windows(place, &mut self);
    }
}

/// What one sample needs on its way back.
pub(crate) struct Kept {
    /// What went in, bordered.
    pub(crate) input: Buffer,
    /// What each pool took.
    pub(crate) chosen: Vec<u8>,
}

impl Kept {
    /// Space for samples of a convolution.
    pub(crate) fn new(shape: &Convolution, samples: usize) -> Kept {
        Kept {
            input: Buffer::zeros(samples * shape.input_len()),
            chosen: vec![NOTHING; samples * shape.pooled_len()],
        }
    }
}
