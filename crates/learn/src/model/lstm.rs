//! The paper's LSTM: rows of 28 bytes read one after the other by 128 cells, then softmax.
//!
//! Input, a constant 1 and what came out of the cells lie side by side, so that a step is one
//! product with one matrix and the bias is a row of it. One bias a gate, as Keras and the paper
//! have it; PyTorch has two, whose sum moves twice as fast under Adam.

use crate::Rows;
#[cfg(feature = "gpu")]
use crate::engine::gpu;
use crate::engine::math::{self, Gates, Tally, cross_entropy, softmax, transpose};
use crate::engine::network::{Network, SHARD, Step, Tensor};
use crate::engine::onnx::{Attribute, Graph};
use crate::engine::random::Random;
use crate::engine::simd::{Buffer, Left, PANEL, Start, product};
use crate::engine::threads::share;

/// Cells.
const CELLS: usize = 128;
/// Bytes a step.
const STRIDE: usize = 28;
/// Panels of what one gate gives.
const SIDE: usize = CELLS / PANEL;
/// Panels of the sums of all gates: input, forget, new, output.
const GATES: usize = 4 * SIDE;
/// Panels of what goes in: bytes and the constant in the first, cells in the rest.
const INPUT: usize = 1 + SIDE;
/// Values of a panel of a shard.
const BLOCK: usize = SHARD * PANEL;

/// An LSTM of fixed shape. Parameters: gates by input, scores by cells, bias of scores.
pub(crate) struct Lstm {
    width: usize,
    classes: usize,
    steps: usize,
}

/// A shard on its way through.
struct Shard {
    /// By step: what goes in, [`INPUT`] panels.
    input: Buffer,
    /// By panel and step: gates.
    gates: Buffer,
    /// By step: what the cells hold before it, and the tanh of what they hold after it.
    before: Buffer,
    squashed: Buffer,
    cell: Buffer,
    hidden_slope: Buffer,
    scores: Buffer,
    slope: Buffer,
    tally: Tally,
}

/// Shards, and factors turned around for the way back.
pub(crate) struct Work {
    shards: Vec<Shard>,
    cells_back: Buffer,
    scores_back: Buffer,
}

impl Lstm {
    fn score_panels(&self) -> usize {
        self.classes.div_ceil(PANEL)
    }

    fn gates_len() -> usize {
        GATES * INPUT * PANEL * PANEL
    }

    fn scores_len(&self) -> usize {
        self.score_panels() * CELLS * PANEL
    }

    /// Brings the bytes of step `step` where they are read.
    fn bytes(&self, rows: Rows<'_>, step: usize, to: &mut [f32]) {
        for (row, sample) in rows.samples().enumerate() {
            let to = &mut to[row * PANEL..(row + 1) * PANEL];
            let end = sample.len().min(self.width);
            let from = &sample[(step * STRIDE).min(end)..((step + 1) * STRIDE).min(end)];
            to[..STRIDE].fill(0.0);
            for (to, &from) in to.iter_mut().zip(from) {
                *to = f32::from(from) / 255.0;
            }
            to[STRIDE] = 1.0;
        }
    }

    /// Scores of a shard. What the way back needs is kept where `keep`.
    fn forward(&self, parameters: &[f32], rows: Rows<'_>, shard: &mut Shard, keep: bool) {
        let (gates_at, rest) = parameters.split_at(Self::gates_len());
        let (scores_at, bias) = rest.split_at(self.scores_len());
        let slots = if keep { self.steps } else { 1 };
        shard.cell.fill(0.0);
        shard.input[BLOCK..INPUT * BLOCK].fill(0.0);
        for step in 0..self.steps {
            let (slot, next) = if keep { (step, step + 1) } else { (0, 0) };
            // Nothing has come out of the cells before the first step.
            let runs = if step == 0 { 1 } else { INPUT };
            self.bytes(rows, step, &mut shard.input[slot * INPUT * BLOCK..]);
            let left = Left { row: PANEL, step: 1, run: PANEL, runs, jump: BLOCK };
            let at = |panel: usize| (panel * slots + slot) * BLOCK;
            for panel in 0..GATES {
                product(
                    &shard.input[slot * INPUT * BLOCK..],
                    left,
                    &gates_at[panel * INPUT * PANEL * PANEL..],
                    Start::Zero,
                    &mut shard.gates[at(panel)..at(panel) + BLOCK],
                );
            }
            if keep {
                let before = &mut shard.before[step * SIDE * BLOCK..];
                before[..SIDE * BLOCK].copy_from_slice(&shard.cell);
            }
            for side in 0..SIDE {
                let hidden = (next * INPUT + 1 + side) * BLOCK;
                let squashed = (slot * SIDE + side) * BLOCK;
                gates(&mut shard.gates, slots * SIDE * BLOCK, at(side)).forward(
                    &mut shard.cell[side * BLOCK..(side + 1) * BLOCK],
                    &mut shard.squashed[squashed..squashed + BLOCK],
                    &mut shard.input[hidden..hidden + BLOCK],
                );
            }
        }
        let last = if keep { self.steps } else { 0 };
        let left = Left { row: PANEL, step: 1, run: PANEL, runs: SIDE, jump: BLOCK };
        for panel in 0..self.score_panels() {
            product(
                &shard.input[(last * INPUT + 1) * BLOCK..],
                left,
                &scores_at[panel * CELLS * PANEL..],
                Start::Row(&bias[panel * PANEL..]),
                &mut shard.scores[panel * BLOCK..(panel + 1) * BLOCK],
            );
        }
    }

    /// One sample's scores among a shard's.
    fn row<'a>(&self, scores: &[f32], row: usize, to: &'a mut [f32]) -> &'a mut [f32] {
        for (class, to) in to[..self.classes].iter_mut().enumerate() {
            *to = scores[class / PANEL * BLOCK + row * PANEL + class % PANEL];
        }
        &mut to[..self.classes]
    }

    /// The way back: the scores' slope is there, the parameters' comes out.
    fn backward(&self, shard: &mut Shard, cells_back: &[f32], scores_back: &[f32]) {
        let (gates_slope, rest) = shard.slope.split_at_mut(Self::gates_len());
        let (scores_slope, bias_slope) = rest.split_at_mut(self.scores_len());
        let panels = self.score_panels();
        bias_slope.fill(0.0);
        for panel in 0..panels {
            let scores = &shard.scores[panel * BLOCK..(panel + 1) * BLOCK];
            for row in scores.chunks_exact(PANEL) {
                math::add(&mut bias_slope[panel * PANEL..(panel + 1) * PANEL], row);
            }
            for side in 0..SIDE {
                product(
                    &shard.input[(self.steps * INPUT + 1 + side) * BLOCK..],
                    Left { row: 1, step: PANEL, run: SHARD, runs: 1, jump: 0 },
                    scores,
                    Start::Zero,
                    &mut scores_slope[(panel * SIDE + side) * PANEL * PANEL..][..PANEL * PANEL],
                );
            }
        }
        for side in 0..SIDE {
            product(
                &shard.scores,
                Left { row: PANEL, step: 1, run: PANEL, runs: panels, jump: BLOCK },
                &scores_back[side * panels * PANEL * PANEL..],
                Start::Zero,
                &mut shard.hidden_slope[side * BLOCK..(side + 1) * BLOCK],
            );
        }
        shard.cell.fill(0.0);
        for step in (0..self.steps).rev() {
            let at = |panel: usize| (panel * self.steps + step) * BLOCK;
            for side in 0..SIDE {
                let kept = (step * SIDE + side) * BLOCK;
                gates(&mut shard.gates, self.steps * SIDE * BLOCK, at(side)).backward(
                    &shard.before[kept..kept + BLOCK],
                    &shard.squashed[kept..kept + BLOCK],
                    &shard.hidden_slope[side * BLOCK..(side + 1) * BLOCK],
                    &mut shard.cell[side * BLOCK..(side + 1) * BLOCK],
                );
            }
            if step == 0 {
                break;
            }
            let jump = self.steps * BLOCK;
            for side in 0..SIDE {
                product(
                    &shard.gates[step * BLOCK..],
                    Left { row: PANEL, step: 1, run: PANEL, runs: GATES, jump },
                    &cells_back[side * GATES * PANEL * PANEL..],
                    Start::Zero,
                    &mut shard.hidden_slope[side * BLOCK..(side + 1) * BLOCK],
                );
            }
        }
        // One product over all steps for each block of parameters.
        let left = Left { row: 1, step: PANEL, run: SHARD, runs: self.steps, jump: INPUT * BLOCK };
        for panel in 0..GATES {
            for part in 0..INPUT {
                product(
                    &shard.input[part * BLOCK..],
                    left,
                    &shard.gates[panel * self.steps * BLOCK..],
                    Start::Zero,
                    &mut gates_slope[(panel * INPUT + part) * PANEL * PANEL..][..PANEL * PANEL],
                );
            }
        }
    }
}

/// The four gates of one panel of cells.
fn gates(all: &mut [f32], apart: usize, at: usize) -> Gates<'_> {
    let (input, rest) = all.split_at_mut(apart);
    let (forget, rest) = rest.split_at_mut(apart);
    let (new, output) = rest.split_at_mut(apart);
    let part = at..at + BLOCK;
    Gates {
        input: &mut input[part.clone()],
        forget: &mut forget[part.clone()],
        new: &mut new[part.clone()],
        output: &mut output[part],
    }
}

/// Where gate row `row` (gate times cells) by input row `input` lies.
fn gate_at(row: usize, input: usize) -> usize {
    (row / PANEL * INPUT * PANEL + input) * PANEL + row % PANEL
}

impl Network for Lstm {
    const NAME: &'static str = "lstm";

    type Work = Work;

    fn new(width: usize, classes: usize) -> Lstm {
        Lstm { width, classes, steps: width.div_ceil(STRIDE) }
    }

    fn parameters(&self) -> usize {
        Self::gates_len() + self.scores_len() + self.score_panels() * PANEL
    }

    fn tensors(&self) -> Vec<Tensor> {
        let (scores, bias) = (Self::gates_len(), Self::gates_len() + self.scores_len());
        vec![
            Tensor {
                name: "lstm.weight_ih",
                shape: vec![4 * CELLS, STRIDE],
                place: Box::new(|at| gate_at(at / STRIDE, at % STRIDE)),
            },
            Tensor {
                name: "lstm.weight_hh",
                shape: vec![4 * CELLS, CELLS],
                place: Box::new(|at| gate_at(at / CELLS, PANEL + at % CELLS)),
            },
            Tensor {
                name: "lstm.bias",
                shape: vec![4 * CELLS],
                place: Box::new(|at| gate_at(at, STRIDE)),
            },
            Tensor {
                name: "dense.weight",
                shape: vec![self.classes, CELLS],
                place: Box::new(move |at| {
                    let (class, cell) = (at / CELLS, at % CELLS);
                    scores + (class / PANEL * CELLS + cell) * PANEL + class % PANEL
                }),
            },
            Tensor {
                name: "dense.bias",
                shape: vec![self.classes],
                place: Box::new(move |at| bias + at),
            },
        ]
    }

    /// As Keras does it: Glorot for inputs and scores, orthogonal for cells, 1 for what is not
    /// forgotten at first.
    fn start(&self, parameters: &mut [f32], random: &mut Random) {
        for tensor in self.tensors() {
            let glorot = |a: usize, b: usize| (6.0 / (a + b) as f32).sqrt();
            let values: Vec<f32> = match tensor.name {
                "lstm.weight_ih" => {
                    let limit = glorot(STRIDE, 4 * CELLS);
                    (0..tensor.len()).map(|_| random.spread(limit)).collect()
                }
                "lstm.weight_hh" => orthogonal(random),
                "lstm.bias" => (0..4 * CELLS).map(|at| f32::from(at / CELLS == 1)).collect(),
                "dense.weight" => {
                    let limit = glorot(CELLS, self.classes);
                    (0..tensor.len()).map(|_| random.spread(limit)).collect()
                }
                _ => vec![0.0; tensor.len()],
            };
            for (at, value) in values.into_iter().enumerate() {
                parameters[(tensor.place)(at)] = value;
            }
        }
    }

    fn work(&self, batch: usize, learns: bool) -> Work {
        let slots = if learns { self.steps } else { 1 };
        let slope = if learns { self.parameters() } else { 0 };
        let shards = (0..batch.div_ceil(SHARD)).map(|_| Shard {
            input: Buffer::zeros((slots + usize::from(learns)) * INPUT * BLOCK),
            gates: Buffer::zeros(slots * GATES * BLOCK),
            before: Buffer::zeros(if learns { slots * SIDE * BLOCK } else { 0 }),
            squashed: Buffer::zeros(slots * SIDE * BLOCK),
            cell: Buffer::zeros(SIDE * BLOCK),
            hidden_slope: Buffer::zeros(if learns { SIDE * BLOCK } else { 0 }),
            scores: Buffer::zeros(self.score_panels() * BLOCK),
            slope: Buffer::zeros(slope),
            tally: Tally::default(),
        });
        let back = if learns { SIDE * GATES * PANEL * PANEL } else { 0 };
        let scores_back = if learns { SIDE * self.score_panels() * PANEL * PANEL } else { 0 };
        Work {
            shards: shards.collect(),
            cells_back: Buffer::zeros(back),
            scores_back: Buffer::zeros(scores_back),
        }
    }

    fn work_size(&self, batch: usize, learns: bool) -> usize {
        let slots = if learns { self.steps } else { 1 };
        let shard = (slots + 1) * (INPUT + GATES + 2 * SIDE) * BLOCK
            + (2 * SIDE + self.score_panels()) * BLOCK
            + if learns { self.parameters() } else { 0 };
        (batch.div_ceil(SHARD) * shard + 2 * SIDE * GATES * PANEL * PANEL) * size_of::<f32>()
    }

    fn learn(
        &self,
        parameters: &[f32],
        rows: Rows<'_>,
        step: &Step<'_>,
        slope: &mut [f32],
        work: &mut Work,
    ) -> Tally {
        let Work { shards, cells_back, scores_back } = work;
        let (cells, rest) = parameters.split_at(Self::gates_len());
        let panels = self.score_panels();
        for side in 0..SIDE {
            for panel in 0..GATES {
                let from = (panel * INPUT + 1 + side) * PANEL * PANEL;
                let to = (side * GATES + panel) * PANEL * PANEL;
                transpose(&cells[from..], &mut cells_back[to..]);
            }
            for panel in 0..panels {
                let from = (panel * SIDE + side) * PANEL * PANEL;
                let to = (side * panels + panel) * PANEL * PANEL;
                transpose(&rest[from..], &mut scores_back[to..]);
            }
        }
        let (cells_back, scores_back) = (&*cells_back, &*scores_back);
        let pieces = rows.rows.chunks(SHARD).zip(shards.iter_mut());
        share(
            step.threads,
            pieces,
            || vec![0.0; self.classes],
            |buffer, (some, shard)| {
                let some = Rows { data: rows.data, rows: some };
                self.forward(parameters, some, shard, true);
                shard.tally = Tally::default();
                for (row, label) in some.labels().enumerate() {
                    let weight = step.weights[usize::from(label)];
                    let scores = self.row(&shard.scores, row, buffer);
                    cross_entropy(scores, usize::from(label), weight, &mut shard.tally);
                    for (class, &score) in scores.iter().enumerate() {
                        shard.scores[class / PANEL * BLOCK + row * PANEL + class % PANEL] =
                            score / rows.len() as f32;
                    }
                }
                // Rows without a sample, and columns without a class, pull at nothing.
                for panel in 0..panels {
                    let scores = &mut shard.scores[panel * BLOCK..(panel + 1) * BLOCK];
                    scores[some.len() * PANEL..].fill(0.0);
                    let used = (self.classes - panel * PANEL).min(PANEL);
                    scores.chunks_exact_mut(PANEL).for_each(|row| row[used..].fill(0.0));
                }
                self.backward(shard, cells_back, scores_back);
            },
        );
        slope.fill(0.0);
        let mut tally = Tally::default();
        for (_, shard) in rows.rows.chunks(SHARD).zip(shards) {
            math::add(slope, &shard.slope);
            tally.loss += shard.tally.loss;
            tally.right += shard.tally.right;
        }
        tally
    }

    fn predict(
        &self,
        parameters: &[f32],
        rows: Rows<'_>,
        probabilities: &mut [f32],
        work: &mut Work,
    ) {
        let some = rows.rows.chunks(SHARD).zip(probabilities.chunks_mut(SHARD * self.classes));
        for ((some, probabilities), shard) in some.zip(&mut work.shards) {
            let some = Rows { data: rows.data, rows: some };
            self.forward(parameters, some, shard, false);
            for (row, to) in probabilities.chunks_mut(self.classes).enumerate() {
                softmax(self.row(&shard.scores, row, to));
            }
        }
    }

    fn onnx(&self, parameters: &[f32]) -> Option<Vec<u8>> {
        if !self.width.is_multiple_of(STRIDE) {
            return None;
        }
        let mut graph = Graph::default();
        for tensor in self.tensors() {
            let values = tensor.values(parameters);
            match tensor.name {
                "lstm.bias" => {
                    let both = [reordered(&values), vec![0.0; values.len()]].concat();
                    graph.floats("lstm.bias", &[1, 8 * CELLS], &both);
                }
                "dense.weight" | "dense.bias" => graph.floats(tensor.name, &tensor.shape, &values),
                name => {
                    let shape = [1, tensor.shape[0], tensor.shape[1]];
                    graph.floats(name, &shape, &reordered(&values));
                }
            }
        }
        graph.whole("steps", &[-1, self.steps as i64, STRIDE as i64]);
        graph.whole("first", &[0]);
        graph.node("Reshape", &["input", "steps"], &["by_sample"], &[]);
        let order = [("perm", Attribute::Ints(vec![1, 0, 2]))];
        graph.node("Transpose", &["by_sample"], &["by_step"], &order);
        graph.node(
            "LSTM",
            &["by_step", "lstm.weight_ih", "lstm.weight_hh", "lstm.bias"],
            &["", "hidden"],
            &[("hidden_size", Attribute::Int(CELLS as i64))],
        );
        graph.node("Squeeze", &["hidden", "first"], &["last"], &[]);
        graph.dense("last", "dense", "scores");
        graph.softmax("scores");
        Some(graph.model(Self::NAME, self.width, self.classes))
    }

    #[cfg(feature = "gpu")]
    fn scores(&self, tensors: &[gpu::Flat], bytes: gpu::Matrix, _drops: bool) -> gpu::Matrix {
        use burn::tensor::activation::{sigmoid, tanh};

        let batch = bytes.dims()[0];
        let inputs = gpu::widened(bytes, self.steps * STRIDE).reshape([batch * self.steps, STRIDE]);
        let inputs = gpu::dense(inputs, &tensors[0], &tensors[2]);
        let inputs = inputs.reshape([batch, self.steps, 4 * CELLS]);
        let back = tensors[1].clone().reshape([4 * CELLS, CELLS]).transpose();
        let mut cell = gpu::Matrix::zeros([batch, CELLS], &inputs.device());
        let mut hidden = cell.clone();
        for step in 0..self.steps {
            let input = inputs.clone().narrow(1, step, 1).reshape([batch, 4 * CELLS]);
            let sums = input + hidden.matmul(back.clone());
            let gate = |number: usize| sums.clone().narrow(1, number * CELLS, CELLS);
            cell = sigmoid(gate(1)) * cell + sigmoid(gate(0)) * tanh(gate(2));
            hidden = sigmoid(gate(3)) * tanh(cell.clone());
        }
        gpu::dense(hidden, &tensors[3], &tensors[4])
    }
}

/// ONNX has the gates in another order, input, output, forget, new, and two biases.
fn reordered(values: &[f32]) -> Vec<f32> {
    let gate = values.len() / 4;
    [0, 3, 1, 2].iter().flat_map(|at| values[at * gate..(at + 1) * gate].to_vec()).collect()
}

/// Four square blocks of orthonormal columns stacked on each other, each by Gram and Schmidt.
fn orthogonal(random: &mut Random) -> Vec<f32> {
    let mut all = Vec::with_capacity(4 * CELLS * CELLS);
    for _ in 0..4 {
        let mut rows: Vec<Vec<f32>> = Vec::with_capacity(CELLS);
        while rows.len() < CELLS {
            let mut row: Vec<f32> = (0..CELLS).map(|_| random.normal()).collect();
            for other in &rows {
                let along: f32 = row.iter().zip(other).map(|(a, b)| a * b).sum();
                row.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
            }
            let length = row.iter().map(|a| a * a).sum::<f32>().sqrt();
            // A direction that the others nearly span says nothing; draw another.
            if length > 1e-2 {
                row.iter_mut().for_each(|a| *a /= length);
                rows.push(row);
            }
        }
        all.extend(rows.into_iter().flatten());
    }
    all
}
