//! Two convolutions and two dense layers: the network behind both CNNs.
//!
//! Convolutions are shared out by samples, the large dense layer by its units, so that its
//! weights are read once a step, by one thread each, and no thread has slopes of its own for
//! them.

use std::marker::PhantomData;

use crate::Rows;
use crate::engine::convolution::{Convolution, Kept, Place};
#[cfg(feature = "gpu")]
use crate::engine::gpu;
use crate::engine::math::{self, Tally, cross_entropy, softmax, transpose};
use crate::engine::network::{Network, SHARD, Step, Tensor};
use crate::engine::onnx::{Attribute, Graph};
use crate::engine::random::{Random, mix};
use crate::engine::simd::{Buffer, Left, PANEL, Start, product};
use crate::engine::threads::share;

/// Units of the first dense layer (Wang et al. 2017).
const UNITS: usize = 1024;
const UNIT_PANELS: usize = UNITS / PANEL;
/// Values of a panel of a shard, and of a square block of weights.
const BLOCK: usize = SHARD * PANEL;
/// Blocks of inputs that the dense layer takes in one go: weights stay in the second cache.
const AT_ONCE: usize = 32;

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
    dense_bias: usize,
    scores: usize,
    scores_bias: usize,
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
    fn panels(&self) -> usize {
        self.classes.div_ceil(PANEL)
    }

    /// Values that the dense layer reads of each sample.
    pub(crate) fn flat_len(&self) -> usize {
        self.convolutions[1].pooled_len()
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
        let at = self.at;
        let flat_len = self.flat_len();
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
        let blocks = flat_len / PANEL;
        let flat = &work.flat;
        let bias = &parameters[at.dense_bias..at.scores];
        let together = UNIT_PANELS.div_ceil(threads.max(1));
        let pieces = work.units[..UNIT_PANELS * shards * BLOCK]
            .chunks_mut(together * shards * BLOCK)
            .enumerate();
        share(
            threads,
            pieces,
            || (),
            |(), (group, units)| {
                for from in (0..blocks).step_by(AT_ONCE) {
                    let runs = AT_ONCE.min(blocks - from);
                    let left = Left { row: PANEL, step: 1, run: PANEL, runs, jump: BLOCK };
                    for (panel, units) in units.chunks_mut(shards * BLOCK).enumerate() {
                        let panel = group * together + panel;
                        let weights = at.dense + (panel * flat_len + from * PANEL) * PANEL;
                        for (shard, units) in units.chunks_mut(BLOCK).enumerate() {
                            let start = match from {
                                0 => Start::Row(&bias[panel * PANEL..]),
                                _ => Start::Keep,
                            };
                            let flat = &flat[shard * SHARD * flat_len + from * BLOCK..];
                            product(flat, left, &parameters[weights..], start, units);
                        }
                    }
                }
                for (row, units) in units.chunks_mut(PANEL).enumerate() {
                    let row = (group * together * shards * SHARD + row) as u64;
                    math::rectify(units, dropped.map(|seed| mix(seed ^ row) as u32));
                }
            },
        );

        let jump = shards * BLOCK;
        let left = Left { row: PANEL, step: 1, run: PANEL, runs: UNIT_PANELS, jump };
        for (panel, scores) in work.scores.chunks_mut(jump).take(self.panels()).enumerate() {
            product(
                &work.units,
                left,
                &parameters[at.scores + panel * UNITS * PANEL..],
                Start::Row(&parameters[at.scores_bias + panel * PANEL..]),
                scores,
            );
        }
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
            for (to, &byte) in to.iter_mut().zip(&sample[from..]) {
                *to = f32::from(byte) / 255.0;
            }
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

    /// Losses of a batch; scores become their mean's slope.
    fn losses(&self, rows: Rows<'_>, step: &Step<'_>, work: &mut Work) -> Tally {
        let jump = rows.len().div_ceil(SHARD) * BLOCK;
        let mut tally = Tally::default();
        let mut buffer = vec![0.0; self.classes];
        let share = 1.0 / rows.len() as f32;
        for (row, label) in rows.labels().enumerate() {
            let at = |class: usize| class / PANEL * jump + row * PANEL + class % PANEL;
            let mut scores = std::mem::take(&mut buffer);
            scores.iter_mut().enumerate().for_each(|(class, to)| *to = work.scores[at(class)]);
            let weight = step.weights[usize::from(label)];
            cross_entropy(&mut scores, usize::from(label), weight, &mut tally);
            let each = scores.iter().enumerate();
            each.for_each(|(class, slope)| work.scores[at(class)] = slope * share);
            buffer = scores;
        }
        // Rows without a sample, and columns without a class, pull at nothing.
        for (panel, scores) in work.scores.chunks_mut(jump).take(self.panels()).enumerate() {
            scores[rows.len() * PANEL..].fill(0.0);
            let used = (self.classes - panel * PANEL).min(PANEL);
            scores.chunks_exact_mut(PANEL).for_each(|row| row[used..].fill(0.0));
        }
        tally
    }

    /// From the slope by the scores to that by the units and the last layer.
    fn scores_back(
        &self,
        parameters: &[f32],
        (shards, scale): (usize, f32),
        slope: &mut [f32],
        work: &mut Work,
    ) {
        let (at, panels, jump) = (self.at, self.panels(), shards * BLOCK);
        let (weights, bias) = slope[at.scores..].split_at_mut(panels * UNITS * PANEL);
        bias.fill(0.0);
        for panel in 0..panels {
            let scores = &work.scores[panel * jump..(panel + 1) * jump];
            math::add_rows(&mut bias[panel * PANEL..(panel + 1) * PANEL], scores);
            for unit in 0..UNIT_PANELS {
                let block = (panel * UNIT_PANELS + unit) * PANEL * PANEL;
                product(
                    &work.units[unit * jump..],
                    Left { row: 1, step: PANEL, run: shards * SHARD, runs: 1, jump: 0 },
                    scores,
                    Start::Zero,
                    &mut weights[block..block + PANEL * PANEL],
                );
                transpose(
                    &parameters[at.scores + block..],
                    &mut work.scores_back[(unit * panels + panel) * PANEL * PANEL..],
                );
            }
        }
        for unit in 0..UNIT_PANELS {
            let to = &mut work.units_slope[unit * jump..(unit + 1) * jump];
            product(
                &work.scores,
                Left { row: PANEL, step: 1, run: PANEL, runs: panels, jump },
                &work.scores_back[unit * panels * PANEL * PANEL..],
                Start::Zero,
                to,
            );
            // What came through was scaled for what was dropped.
            for (slope, unit) in to.iter_mut().zip(&work.units[unit * jump..]) {
                *slope = if *unit > 0.0 { *slope * scale } else { 0.0 };
            }
            for (shard, to) in to.chunks(BLOCK).enumerate() {
                let back = &mut work.units_back[(shard * UNIT_PANELS + unit) * BLOCK..];
                transpose(to, back);
            }
        }
    }

    /// The dense layer's slopes, by its inputs and by its weights.
    fn dense_back(
        &self,
        parameters: &[f32],
        shards: usize,
        threads: usize,
        slope: &mut [f32],
        work: &mut Work,
    ) {
        let (at, flat_len, jump) = (self.at, self.flat_len(), shards * BLOCK);
        let blocks = flat_len / PANEL;
        let (flat, units_slope, units_back) = (&work.flat, &work.units_slope, &work.units_back);
        let pieces = work.flat_slope[..blocks * jump].chunks_mut(jump).enumerate();
        share(
            threads,
            pieces,
            || [0.0; BLOCK],
            |turned, (block, to)| {
                let left = Left {
                    row: PANEL,
                    step: 1,
                    run: PANEL,
                    runs: UNIT_PANELS,
                    jump: flat_len * PANEL,
                };
                for (shard, to) in to.chunks_mut(BLOCK).enumerate() {
                    product(
                        &parameters[at.dense + block * PANEL * PANEL..],
                        left,
                        &units_back[shard * UNITS * SHARD..],
                        Start::Zero,
                        turned,
                    );
                    transpose(turned, to);
                }
            },
        );
        let (weights, bias) = slope[at.dense..at.scores].split_at_mut(UNITS * flat_len);
        for (panel, bias) in bias.chunks_mut(PANEL).enumerate() {
            bias.fill(0.0);
            math::add_rows(bias, &units_slope[panel * jump..(panel + 1) * jump]);
        }
        let together = UNIT_PANELS.div_ceil(threads.max(1));
        let pieces = weights.chunks_mut(together * flat_len * PANEL).enumerate();
        let left = Left { row: 1, step: PANEL, run: SHARD, runs: shards, jump: SHARD * flat_len };
        share(
            threads,
            pieces,
            || (),
            |(), (group, weights)| {
                for block in 0..blocks {
                    for (panel, weights) in weights.chunks_mut(flat_len * PANEL).enumerate() {
                        product(
                            &flat[block * BLOCK..],
                            left,
                            &units_slope[(group * together + panel) * jump..],
                            Start::Zero,
                            &mut weights[block * PANEL * PANEL..(block + 1) * PANEL * PANEL],
                        );
                    }
                }
            },
        );
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
        let panels = classes.div_ceil(PANEL);
        let lens = [
            first.weights(),
            first.outputs,
            second.weights(),
            second.outputs,
            UNITS * second.pooled_len(),
            UNITS,
            panels * UNITS * PANEL,
            panels * PANEL,
        ];
        let mut begins = [0; 9];
        for (at, len) in lens.into_iter().enumerate() {
            begins[at + 1] = begins[at] + len;
        }
        let [w1, b1, w2, b2, dense, dense_bias, scores, scores_bias, end] = begins;
        let at = Offsets {
            weights: [w1, w2],
            biases: [b1, b2],
            dense,
            dense_bias,
            scores,
            scores_bias,
            end,
        };
        Convnet { width, classes, convolutions, at, plan: PhantomData }
    }

    fn parameters(&self) -> usize {
        self.at.end
    }

    fn tensors(&self) -> Vec<Tensor> {
        let (at, flat_len) = (self.at, self.flat_len());
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
            shape: vec![UNITS, flat_len],
            place: Box::new(move |index| {
                let (unit, input) = (index / flat_len, index % flat_len);
                // Others have all places of a channel together.
                let (channel, position) = (input / positions, input % positions);
                let block = channel / PANEL * positions + position;
                let row = block * PANEL + channel % PANEL;
                at.dense + (unit / PANEL * flat_len + row) * PANEL + unit % PANEL
            }),
        });
        tensors.push(Tensor {
            name: "dense1.bias",
            shape: vec![UNITS],
            place: Box::new(move |index| at.dense_bias + index),
        });
        tensors.push(Tensor {
            name: "dense2.weight",
            shape: vec![self.classes, UNITS],
            place: Box::new(move |index| {
                let (class, unit) = (index / UNITS, index % UNITS);
                at.scores + (class / PANEL * UNITS + unit) * PANEL + class % PANEL
            }),
        });
        tensors.push(Tensor {
            name: "dense2.bias",
            shape: vec![self.classes],
            place: Box::new(move |index| at.scores_bias + index),
        });
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
            flat: Buffer::zeros(shards * SHARD * self.flat_len()),
            units: Buffer::zeros(shards * UNITS * SHARD),
            units_slope: if_learns(shards * UNITS * SHARD),
            units_back: if_learns(shards * UNITS * SHARD),
            flat_slope: if_learns(shards * SHARD * self.flat_len()),
            scores: Buffer::zeros(shards * self.panels() * BLOCK),
            scores_back: if_learns(self.panels() * UNITS * PANEL),
            mirrored: if_learns(second.weights()),
        }
    }

    fn work_size(&self, batch: usize, learns: bool) -> usize {
        let [first, second] = &self.convolutions;
        let shards = batch.div_ceil(SHARD);
        let ways = if learns { 2 } else { 1 };
        let sample = first.input_len() + second.input_len() + ways * self.flat_len() + 3 * UNITS;
        let pooled = (first.pooled_len() + second.pooled_len()) / size_of::<f32>();
        let shard = SHARD * (sample + pooled)
            + self.panels() * BLOCK
            + first.full_len().max(second.full_len())
            + if learns { second.back_len() + first.pooled_len() + self.at.dense } else { 0 };
        let once = if learns { second.weights() + self.panels() * UNITS * PANEL } else { 0 };
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
        let tally = self.losses(rows, step, work);
        let shards = rows.len().div_ceil(SHARD);
        let scale = if step.seed.is_some() { 2.0 } else { 1.0 };
        self.scores_back(parameters, (shards, scale), slope, work);
        self.dense_back(parameters, shards, step.threads, slope, work);
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
        let jump = rows.len().div_ceil(SHARD) * BLOCK;
        for (row, to) in probabilities.chunks_mut(self.classes).enumerate() {
            for (class, to) in to.iter_mut().enumerate() {
                *to = work.scores[class / PANEL * jump + row * PANEL + class % PANEL];
            }
            softmax(to);
        }
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
        graph.node("Reshape", &["input", "image"], &["pooled0"], &[]);
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
        Some(graph.model(Self::NAME, self.width, self.classes))
    }

    #[cfg(feature = "gpu")]
    fn scores(&self, tensors: &[gpu::Flat], bytes: gpu::Matrix, drops: bool) -> gpu::Matrix {
        let batch = bytes.dims()[0];
        let [first, second] = self.convolutions;
        let (rows, columns) = first.size;
        let images = gpu::widened(bytes, rows * columns).reshape([batch, 1, rows, columns]);
        let images = gpu::convolved(images, &tensors[0], &tensors[1], first);
        let images = gpu::convolved(images, &tensors[2], &tensors[3], second);
        let units = gpu::dense(images.reshape([batch, self.flat_len()]), &tensors[4], &tensors[5]);
        gpu::dense(gpu::rectified(units, drops), &tensors[6], &tensors[7])
    }
}
