//! Two convolutions and two dense layers: the network behind both CNNs.
//!
//! Convolutions are shared out to threads by samples, the large dense layer by its units.

use std::marker::PhantomData;

use crate::Rows;
use crate::engine::convolution::{Convolution, Kept, Place};
use crate::engine::dense::Dense;
#[cfg(feature = "gpu")]
use crate::engine::gpu;
use crate::engine::last::Last;
use crate::engine::math::{self, Tally, transpose};
use crate::engine::network::{Network, SHARD, Step, Tensor};
use crate::engine::onnx::{Attribute, BYTES, Graph};
use crate::engine::random::Random;
use crate::engine::simd::{Buffer, PANEL};
use crate::engine::store::Head;
use crate::engine::threads::share;

/// Units of the first dense layer (Wang et al. 2017).
const UNITS: usize = 1024;
const UNIT_PANELS: usize = UNITS / PANEL;
/// Values of a panel of a shard, and of a square block of weights.
const BLOCK: usize = SHARD * PANEL;

/// What makes a CNN this one.
pub(crate) trait Plan: Send + Sync {
    /// Its name.
    const NAME: &'static str;

    /// Its convolutions for samples of `width` bytes. The first has one channel in.
    fn convolutions(width: usize) -> [Convolution; 2];

    /// The dimensions of an image that such a kernel is moved along: columns, or both.
    fn sides(of: (usize, usize)) -> Vec<usize>;
}

/// Where each tensor begins among the parameters.
#[derive(Debug, Clone, Copy)]
struct Offsets {
    weights: [usize; 2],
    biases: [usize; 2],
    dense: usize,
    last: usize,
    end: usize,
}

/// A network of fixed shape.
pub(crate) struct Convnet<P> {
    pub(crate) width: usize,
    pub(crate) classes: usize,
    pub(crate) convolutions: [Convolution; 2],
    at: Offsets,
    plan: PhantomData<P>,
}

/// A shard on its way through the convolutions.
struct Shard {
    kept: [Kept; 2],
    full: Buffer,
    bordered: Buffer,
    input_slope: Buffer,
    /// By the parameters of the convolutions.
    slope: Buffer,
}

/// Everything that a batch needs.
pub(crate) struct Work {
    shards: Vec<Shard>,
    /// By shard, block of inputs, sample: what the dense layer reads.
    flat: Buffer,
    /// By panel of units, sample.
    units: Buffer,
    units_slope: Buffer,
    /// By shard, unit, sample.
    units_back: Buffer,
    /// By block of inputs, shard, sample.
    flat_slope: Buffer,
    /// By panel of classes, sample.
    scores: Buffer,
    scores_back: Buffer,
    mirrored: Buffer,
}

impl<P: Plan> Convnet<P> {
    fn dense(&self) -> Dense {
        Dense { inputs: self.convolutions[1].pooled_len(), units: UNITS }
    }

    fn last(&self) -> Last {
        Last { units: UNITS, classes: self.classes }
    }

    /// Scores of a batch, into `work.scores`. `dropped` is what is dropped at random.
    fn forward(
        &self,
        parameters: &[f32],
        rows: Rows<'_>,
        work: &mut Work,
        dropped: Option<u64>,
        threads: usize,
    ) {
        let flat_len = self.dense().inputs;
        let pieces = rows.rows.chunks(SHARD).zip(&mut work.shards);
        let pieces = pieces.zip(work.flat.chunks_mut(SHARD * flat_len));
        share(
            threads,
            pieces,
            || (),
            |(), ((some, shard), flat)| {
                let some = Rows { data: rows.data, rows: some };
                for (number, sample) in some.samples().enumerate() {
                    self.convolve(parameters, number, sample, shard, flat);
                }
            },
        );
        let shards = rows.len().div_ceil(SHARD);
        let dense = &parameters[self.at.dense..self.at.last];
        self.dense().forward(dense, &work.flat, (shards, threads), dropped, &mut work.units);
        let last = &parameters[self.at.last..];
        self.last().forward(last, &work.units, shards * SHARD, &mut work.scores);
    }

    /// One sample through both convolutions.
    fn convolve(
        &self,
        parameters: &[f32],
        number: usize,
        sample: &[u8],
        shard: &mut Shard,
        flat: &mut [f32],
    ) {
        let [first, second] = &self.convolutions;
        let [kept, next] = &mut shard.kept;
        let input = &mut kept.input[number * first.input_len()..][..first.input_len()];
        let sample = &sample[..sample.len().min(self.width)];
        for row in 0..first.size.0 {
            let to = first.input_at(row, 0);
            let to = &mut input[to..to + first.size.1];
            to.fill(0.0);
            let from = (row * first.size.1).min(sample.len());
            math::shares(&sample[from..], to);
        }
        let base = number * second.input_len();
        let inputs = &mut next.input[base..base + second.input_len()];
        let row = second.input_at(1, 0) - second.input_at(0, 0);
        let place = Place { base: second.input_at(0, 0), panel: PANEL, row, column: second.inputs };
        first.forward(
            input,
            &parameters[self.at.weights[0]..],
            &parameters[self.at.biases[0]..],
            &mut shard.full,
            &mut kept.chosen[number * first.pooled_len()..][..first.pooled_len()],
            (&mut *inputs, place),
        );
        second.forward(
            inputs,
            &parameters[self.at.weights[1]..],
            &parameters[self.at.biases[1]..],
            &mut shard.full,
            &mut next.chosen[number * second.pooled_len()..][..second.pooled_len()],
            (flat, self.flat_place(number * PANEL, BLOCK)),
        );
    }

    /// Where a sample's pooled values lie among blocks that are `apart`.
    fn flat_place(&self, base: usize, apart: usize) -> Place {
        let (rows, columns) = self.convolutions[1].pooled();
        Place { base, panel: rows * columns * apart, row: columns * apart, column: apart }
    }

    /// From the slope by the scores to that by the units. What came through was scaled by `scale`
    /// for what was dropped.
    fn units_back(&self, shards: usize, scale: f32, work: &mut Work) {
        let jump = shards * BLOCK;
        self.last().back(&work.scores, &work.scores_back, shards * SHARD, &mut work.units_slope);
        for (unit, slope) in work.units_slope.chunks_mut(jump).take(UNIT_PANELS).enumerate() {
            for (slope, unit) in slope.iter_mut().zip(&work.units[unit * jump..]) {
                *slope = if *unit > 0.0 { *slope * scale } else { 0.0 };
            }
            for (shard, slope) in slope.chunks(BLOCK).enumerate() {
                transpose(slope, &mut work.units_back[(shard * UNIT_PANELS + unit) * BLOCK..]);
            }
        }
    }

    /// The convolutions' slopes for one shard.
    fn convolutions_back(
        &self,
        shard: &mut Shard,
        samples: usize,
        (flat_slope, base, apart): (&[f32], usize, usize),
        mirrored: &[f32],
    ) {
        let [first, second] = &self.convolutions;
        shard.slope.fill(0.0);
        let Shard { kept: [kept, next], full, bordered, input_slope, slope } = shard;
        let (first_slope, second_slope) = slope.split_at_mut(self.at.weights[1]);
        let (first_weights, first_bias) = first_slope.split_at_mut(first.weights());
        let (second_weights, second_bias) = second_slope.split_at_mut(second.weights());
        let (rows, columns) = first.pooled();
        let inner =
            Place { base: 0, panel: rows * columns * PANEL, row: columns * PANEL, column: PANEL };
        for number in 0..samples {
            let place = self.flat_place(base + number * PANEL, apart);
            let chosen = &next.chosen[number * second.pooled_len()..];
            second.unpool(flat_slope, place, chosen, full);
            let input = &next.input[number * second.input_len()..][..second.input_len()];
            second.slopes(input, full, second_weights, second_bias);
            second.back(full, mirrored, bordered, input_slope);
            let chosen = &kept.chosen[number * first.pooled_len()..];
            first.unpool(input_slope, inner, chosen, full);
            let input = &kept.input[number * first.input_len()..][..first.input_len()];
            first.slopes(input, full, first_weights, first_bias);
        }
    }
}

impl<P: Plan> Network for Convnet<P> {
    const NAME: &'static str = P::NAME;

    type Work = Work;

    fn new(width: usize, classes: usize) -> Self {
        let convolutions = P::convolutions(width);
        let [first, second] = &convolutions;
        let lens = [
            first.weights(),
            first.outputs,
            second.weights(),
            second.outputs,
            Dense { inputs: second.pooled_len(), units: UNITS }.parameters(),
            Last { units: UNITS, classes }.parameters(),
        ];
        let mut begins = [0; 7];
        for (at, len) in lens.into_iter().enumerate() {
            begins[at + 1] = begins[at] + len;
        }
        let [w1, b1, w2, b2, dense, last, end] = begins;
        let at = Offsets { weights: [w1, w2], biases: [b1, b2], dense, last, end };
        Convnet { width, classes, convolutions, at, plan: PhantomData }
    }

    fn parameters(&self) -> usize {
        self.at.end
    }

    fn tensors(&self) -> Vec<Tensor> {
        let (at, dense) = (self.at, self.dense());
        let mut tensors = Vec::new();
        for (number, name) in
            [("conv1.weight", "conv1.bias"), ("conv2.weight", "conv2.bias")].into_iter().enumerate()
        {
            let shape = self.convolutions[number];
            let (weights, bias) = (at.weights[number], at.biases[number]);
            let taps = shape.kernel.0 * shape.kernel.1;
            tensors.push(Tensor {
                name: name.0,
                shape: [vec![shape.outputs, shape.inputs], P::sides(shape.kernel)].concat(),
                place: Box::new(move |at| {
                    let (output, input) = (at / taps / shape.inputs, at / taps % shape.inputs);
                    let (row, column) = (at % taps / shape.kernel.1, at % shape.kernel.1);
                    weights + shape.weight_at(output, input, row, column)
                }),
            });
            tensors.push(Tensor {
                name: name.1,
                shape: vec![shape.outputs],
                place: Box::new(move |at| bias + at),
            });
        }
        let (rows, columns) = self.convolutions[1].pooled();
        let positions = rows * columns;
        tensors.push(Tensor {
            name: "dense1.weight",
            shape: vec![UNITS, dense.inputs],
            place: Box::new(move |index| {
                let (unit, input) = (index / dense.inputs, index % dense.inputs);
                // Others have all places of a channel together.
                let (channel, position) = (input / positions, input % positions);
                let block = channel / PANEL * positions + position;
                at.dense + dense.weight_at(unit, block * PANEL + channel % PANEL)
            }),
        });
        tensors.push(Tensor {
            name: "dense1.bias",
            shape: vec![UNITS],
            place: Box::new(move |index| at.dense + dense.weights() + index),
        });
        tensors.extend(self.last().tensors(["dense2.weight", "dense2.bias"], at.last));
        tensors
    }

    /// As PyTorch does it: uniform up to one over the root of what goes into a unit.
    fn start(&self, parameters: &mut [f32], random: &mut Random) {
        let mut limit = 0.0;
        for tensor in self.tensors() {
            if let [_, inner @ ..] = &tensor.shape[..]
                && !inner.is_empty()
            {
                limit = 1.0 / (inner.iter().product::<usize>() as f32).sqrt();
            }
            for at in 0..tensor.len() {
                parameters[(tensor.place)(at)] = random.spread(limit);
            }
        }
    }

    fn work(&self, batch: usize, learns: bool) -> Work {
        let [first, second] = &self.convolutions;
        let shards = batch.div_ceil(SHARD);
        let if_learns = |len: usize| Buffer::zeros(if learns { len } else { 0 });
        Work {
            shards: (0..shards)
                .map(|_| Shard {
                    kept: [Kept::new(first, SHARD), Kept::new(second, SHARD)],
                    full: Buffer::zeros(first.full_len().max(second.full_len())),
                    bordered: if_learns(second.back_len()),
                    input_slope: if_learns(second.size.0 * second.size.1 * second.inputs),
                    slope: if_learns(self.at.dense),
                })
                .collect(),
            flat: Buffer::zeros(shards * SHARD * self.dense().inputs),
            units: Buffer::zeros(shards * UNITS * SHARD),
            units_slope: if_learns(shards * UNITS * SHARD),
            units_back: if_learns(shards * UNITS * SHARD),
            flat_slope: if_learns(shards * SHARD * self.dense().inputs),
            scores: Buffer::zeros(self.last().scores(shards * SHARD)),
            scores_back: if_learns(self.last().weights()),
            mirrored: if_learns(second.weights()),
        }
    }

    fn work_size(&self, batch: usize, learns: bool) -> usize {
        let [first, second] = &self.convolutions;
        let shards = batch.div_ceil(SHARD);
        let ways = if learns { 2 } else { 1 };
        let sample =
            first.input_len() + second.input_len() + ways * self.dense().inputs + 3 * UNITS;
        let pooled = (first.pooled_len() + second.pooled_len()) / size_of::<f32>();
        let shard = SHARD * (sample + pooled)
            + self.last().scores(SHARD)
            + first.full_len().max(second.full_len())
            + if learns { second.back_len() + first.pooled_len() + self.at.dense } else { 0 };
        let once = if learns { second.weights() + self.last().weights() } else { 0 };
        (shards * shard + once) * size_of::<f32>()
    }

    fn learn(
        &self,
        parameters: &[f32],
        rows: Rows<'_>,
        step: &Step<'_>,
        slope: &mut [f32],
        work: &mut Work,
    ) -> Tally {
        self.forward(parameters, rows, work, step.seed, step.threads);
        let (at, shards) = (self.at, rows.len().div_ceil(SHARD));
        let (padded, mean) = (shards * SHARD, 1.0 / rows.len() as f32);
        let last = self.last();
        let tally = last.losses(rows, step.weights, mean, padded, &mut work.scores);
        last.slopes(&work.units, &work.scores, padded, &mut slope[at.last..]);
        last.turned(&parameters[at.last..], &mut work.scores_back);
        self.units_back(shards, if step.seed.is_some() { 2.0 } else { 1.0 }, work);
        let (dense, shared) = (at.dense..at.last, (shards, step.threads));
        let weights = &parameters[dense.clone()];
        self.dense().back(weights, &work.units_back, shared, &mut work.flat_slope);
        self.dense().slopes(&work.flat, &work.units_slope, shared, &mut slope[dense]);
        let second = &self.convolutions[1];
        second.mirrored(&parameters[self.at.weights[1]..], &mut work.mirrored);
        let (flat_slope, mirrored) = (&work.flat_slope, &work.mirrored);
        let pieces = rows.rows.chunks(SHARD).zip(&mut work.shards).enumerate();
        share(
            step.threads,
            pieces,
            || (),
            |(), (number, (some, shard))| {
                let slopes = (&flat_slope[..], number * BLOCK, shards * BLOCK);
                self.convolutions_back(shard, some.len(), slopes, mirrored);
            },
        );
        slope[..self.at.dense].fill(0.0);
        for shard in &work.shards[..shards] {
            math::add(&mut slope[..self.at.dense], &shard.slope);
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
        self.forward(parameters, rows, work, None, 1);
        let padded = rows.len().div_ceil(SHARD) * SHARD;
        self.last().probabilities(&work.scores, padded, probabilities);
    }

    fn onnx(&self, parameters: &[f32]) -> Option<Vec<u8>> {
        let size = self.convolutions[0].size;
        if size.0 * size.1 != self.width {
            return None;
        }
        let mut graph = Graph::default();
        for tensor in self.tensors() {
            graph.floats(tensor.name, &tensor.shape, &tensor.values(parameters));
        }
        let whole = |sides: (usize, usize)| P::sides(sides).into_iter().map(|side| side as i64);
        graph.whole("image", &[-1, 1].into_iter().chain(whole(size)).collect::<Vec<_>>());
        graph.node("Reshape", &[BYTES, "image"], &["pooled0"], &[]);
        for (number, shape) in (1..).zip(&self.convolutions) {
            let name = |what: &str| format!("{what}{number}");
            let border = whole((shape.kernel.0 / 2, shape.kernel.1 / 2));
            let border: Vec<i64> = border.clone().chain(border).collect();
            graph.node(
                "Conv",
                &[
                    &format!("pooled{}", number - 1),
                    &format!("conv{number}.weight"),
                    &format!("conv{number}.bias"),
                ],
                &[&name("full")],
                &[("pads", Attribute::Ints(border))],
            );
            graph.node("Relu", &[&name("full")], &[&name("rectified")], &[]);
            let pooled = shape.pooled();
            let lacks =
                (pooled.0 * shape.pool.0 - shape.size.0, pooled.1 * shape.pool.1 - shape.size.1);
            let before = (lacks.0 / 2, lacks.1 / 2);
            let after = (lacks.0 - before.0, lacks.1 - before.1);
            graph.node(
                "MaxPool",
                &[&name("rectified")],
                &[&name("pooled")],
                &[
                    ("kernel_shape", Attribute::Ints(whole(shape.pool).collect())),
                    ("strides", Attribute::Ints(whole(shape.pool).collect())),
                    ("pads", Attribute::Ints(whole(before).chain(whole(after)).collect())),
                ],
            );
        }
        graph.node("Flatten", &["pooled2"], &["flat"], &[]);
        graph.dense("flat", "dense1", "sums");
        graph.node("Relu", &["sums"], &["units"], &[]);
        graph.dense("units", "dense2", "scores");
        graph.softmax("scores");
        let head = Head { name: Self::NAME, width: self.width, classes: self.classes };
        Some(graph.model(head, &[(BYTES, self.width)]))
    }

    #[cfg(feature = "gpu")]
    fn scores(&self, tensors: &[gpu::Flat], bytes: gpu::Matrix, drops: bool) -> gpu::Matrix {
        let batch = bytes.dims()[0];
        let [first, second] = self.convolutions;
        let (rows, columns) = first.size;
        let images = gpu::widened(bytes, rows * columns).reshape([batch, 1, rows, columns]);
        let images = gpu::convolved(images, &tensors[0], &tensors[1], first);
        let images = gpu::convolved(images, &tensors[2], &tensors[3], second);
        let units =
            gpu::dense(images.reshape([batch, second.pooled_len()]), &tensors[4], &tensors[5]);
        gpu::dense(gpu::rectified(units, drops), &tensors[6], &tensors[7])
    }
}
