//! The paper's LSTM: rows of 28 bytes read one after the other by 128 cells, then softmax.
//!
//! Input, a constant 1 and what came out of the cells lie side by side, so that a step is one
//! product with one matrix and the bias is a row of it. One bias a gate, as Keras and the paper
//! have it; PyTorch has two, whose sum moves twice as fast under Adam.

use crate::Rows;
#[cfg(feature = "gpu")]
use crate::engine::gpu;
use crate::engine::last::Last;
use crate::engine::math::{self, Gates, Tally, transpose};
use crate::engine::network::{Network, SHARD, Step, Tensor};
use crate::engine::onnx::{Attribute, BYTES, Graph};
use crate::engine::random::Random;
use crate::engine::simd::{Buffer, Left, PANEL, Start, Wide, product, wide};
use crate::engine::store::Head;
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
    fn last(&self) -> Last {
        Last { units: CELLS, classes: self.classes }
    }

    fn gates_len() -> usize {
        GATES * INPUT * PANEL * PANEL
    }

    /// Brings the bytes of step `step` where they are read.
    fn bytes(&self, rows: Rows<'_>, step: usize, to: &mut [f32]) {
        wide(Bytes { rows, from: step * STRIDE, end: self.width, to });
    }

    /// Scores of a shard. What the way back needs is kept where `keep`.
    ///
    /// Sides of the cells one after the other, so that the sums of their gates are still in the
    /// first cache when the cells take them.
    fn forward(&self, parameters: &[f32], rows: Rows<'_>, shard: &mut Shard, keep: bool) {
        let (gates_at, last) = parameters.split_at(Self::gates_len());
        // Where what goes into a step lies: all of it is kept, or it is two steps in turn.
        let slot = |step: usize| if keep { step } else { step % 2 } * INPUT * BLOCK;
        shard.cell.fill(0.0);
        shard.input[BLOCK..INPUT * BLOCK].fill(0.0);
        for step in 0..self.steps {
            let (now, next) = (slot(step), slot(step + 1));
            self.bytes(rows, step, &mut shard.input[now..now + BLOCK]);
            // Nothing has come out of the cells before the first step.
            let runs = if step == 0 { 1 } else { INPUT };
            let left = Left { row: PANEL, step: 1, run: PANEL, runs, jump: BLOCK };
            if keep {
                let before = &mut shard.before[step * SIDE * BLOCK..];
                before[..SIDE * BLOCK].copy_from_slice(&shard.cell);
            }
            for side in 0..SIDE {
                let (first, apart) = match keep {
                    true => ((side * self.steps + step) * BLOCK, SIDE * self.steps * BLOCK),
                    false => (0, BLOCK),
                };
                for gate in 0..4 {
                    product(
                        &shard.input[now..],
                        left,
                        &gates_at[(gate * SIDE + side) * INPUT * PANEL * PANEL..],
                        Start::Zero,
                        &mut shard.gates[first + gate * apart..][..BLOCK],
                    );
                }
                let gates = gates(&mut shard.gates, apart, first);
                let cell = &mut shard.cell[side * BLOCK..(side + 1) * BLOCK];
                let hidden = &mut shard.input[next + (1 + side) * BLOCK..][..BLOCK];
                if keep {
                    let squashed = &mut shard.squashed[(step * SIDE + side) * BLOCK..][..BLOCK];
                    gates.forward(cell, squashed, hidden);
                } else {
                    gates.through(cell, hidden);
                }
            }
        }
        let hidden = &shard.input[slot(self.steps) + BLOCK..];
        self.last().forward(last, hidden, SHARD, &mut shard.scores);
    }

    /// The way back: the scores' slope is there, the parameters' comes out.
    fn backward(&self, shard: &mut Shard, cells_back: &[f32], scores_back: &[f32]) {
        let (gates_slope, last) = shard.slope.split_at_mut(Self::gates_len());
        let hidden = &shard.input[(self.steps * INPUT + 1) * BLOCK..];
        self.last().slopes(hidden, &shard.scores, SHARD, last);
        self.last().back(&shard.scores, scores_back, SHARD, &mut shard.hidden_slope);
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

/// Bytes of one step, zero behind a sample's end, and the constant behind them.
struct Bytes<'a> {
    rows: Rows<'a>,
    from: usize,
    end: usize,
    to: &'a mut [f32],
}

impl Wide for Bytes<'_> {
    type Out = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let (to, _) = self.to.as_chunks_mut::<PANEL>();
        for (sample, to) in self.rows.samples().zip(to) {
            let sample = &sample[..sample.len().min(self.end)];
            let rest = &sample[self.from.min(sample.len())..];
            let mut bytes = [0; STRIDE];
            match rest.first_chunk() {
                Some(whole) => bytes = *whole,
                None => bytes[..rest.len()].copy_from_slice(rest),
            }
            for (to, byte) in to.iter_mut().zip(bytes) {
                *to = f32::from(byte) / 255.0;
            }
            to[STRIDE] = 1.0;
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
        Self::gates_len() + self.last().parameters()
    }

    fn tensors(&self) -> Vec<Tensor> {
        let [weight, bias] = self.last().tensors(["dense.weight", "dense.bias"], Self::gates_len());
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
            weight,
            bias,
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
        let if_learns = |len: usize| Buffer::zeros(if learns { len } else { 0 });
        let steps = self.steps;
        // One shard after the other is predicted, in the same place.
        let shards = (0..if learns { batch.div_ceil(SHARD) } else { 1 }).map(|_| Shard {
            input: Buffer::zeros(if learns { steps + 1 } else { 2 } * INPUT * BLOCK),
            gates: Buffer::zeros(if learns { steps * GATES } else { 4 } * BLOCK),
            before: if_learns(steps * SIDE * BLOCK),
            squashed: if_learns(steps * SIDE * BLOCK),
            cell: Buffer::zeros(SIDE * BLOCK),
            hidden_slope: if_learns(SIDE * BLOCK),
            scores: Buffer::zeros(self.last().scores(SHARD)),
            slope: if_learns(self.parameters()),
            tally: Tally::default(),
        });
        Work {
            shards: shards.collect(),
            cells_back: if_learns(SIDE * GATES * PANEL * PANEL),
            scores_back: if_learns(self.last().weights()),
        }
    }

    fn work_size(&self, batch: usize, learns: bool) -> usize {
        let scores = self.last().scores(SHARD);
        let values = if learns {
            let shard = ((self.steps + 1) * (INPUT + GATES + 2 * SIDE) + 2 * SIDE) * BLOCK + scores;
            let back = SIDE * GATES * PANEL * PANEL + self.last().weights();
            batch.div_ceil(SHARD) * (shard + self.parameters()) + back
        } else {
            (2 * INPUT + 4 + SIDE) * BLOCK + scores
        };
        values * size_of::<f32>()
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
        let (cells, last) = parameters.split_at(Self::gates_len());
        for side in 0..SIDE {
            for panel in 0..GATES {
                let from = (panel * INPUT + 1 + side) * PANEL * PANEL;
                let to = (side * GATES + panel) * PANEL * PANEL;
                transpose(&cells[from..], &mut cells_back[to..]);
            }
        }
        self.last().turned(last, scores_back);
        let (cells_back, scores_back) = (&*cells_back, &*scores_back);
        let mean = 1.0 / rows.len() as f32;
        let pieces = rows.rows.chunks(SHARD).zip(shards.iter_mut());
        share(
            step.threads,
            pieces,
            || (),
            |(), (some, shard)| {
                let some = Rows { data: rows.data, rows: some };
                self.forward(parameters, some, shard, true);
                let scores = &mut shard.scores;
                shard.tally = self.last().losses(some, step.weights, mean, SHARD, scores);
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
        let shard = &mut work.shards[0];
        let some = rows.rows.chunks(SHARD).zip(probabilities.chunks_mut(SHARD * self.classes));
        for (some, probabilities) in some {
            let some = Rows { data: rows.data, rows: some };
            self.forward(parameters, some, shard, false);
            self.last().probabilities(&shard.scores, SHARD, probabilities);
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
        graph.node("Reshape", &[BYTES, "steps"], &["by_sample"], &[]);
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
        let head = Head { name: Self::NAME, width: self.width, classes: self.classes };
        Some(graph.model(head, &[(BYTES, self.width)]))
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
