//! A large dense layer, rectified, some of it dropped: forward and backward.
//!
//! Shared out to threads by its units and not by samples, so that its weights are read once a
//! step, by one thread each, and no thread has slopes of its own for them. What goes in lies by
//! shard, block of [`PANEL`] inputs and sample, units by panel and sample.

use crate::engine::math;
use crate::engine::network::SHARD;
use crate::engine::random::mix;
use crate::engine::simd::{Left, PANEL, Start, product};
use crate::engine::threads::share;

/// Values of a panel of a shard.
const BLOCK: usize = SHARD * PANEL;
/// Blocks of inputs that are taken in one go: their weights stay in the second cache.
const AT_ONCE: usize = 32;

/// Its shape, in whole panels. Weights lie by panel of units and input, biases behind them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dense {
    pub(crate) inputs: usize,
    pub(crate) units: usize,
}

impl Dense {
    /// Number of weights.
    pub(crate) fn weights(self) -> usize {
        self.inputs * self.units
    }

    /// Number of parameters.
    pub(crate) fn parameters(self) -> usize {
        self.weights() + self.units
    }

    /// Where the weight of a unit and input lies.
    pub(crate) fn weight_at(self, unit: usize, input: usize) -> usize {
        (unit / PANEL * self.inputs + input) * PANEL + unit % PANEL
    }

    /// Panels of units that are a piece of work: all of them on one thread, else a quarter of what
    /// a thread has to do, so that none waits for long.
    fn together(self, threads: usize) -> usize {
        let pieces = if threads > 1 { 4 * threads } else { 1 };
        (self.units / PANEL).div_ceil(pieces)
    }

    /// Units of what goes in; half of them, drawn from `dropped`, are dropped.
    pub(crate) fn forward(
        self,
        parameters: &[f32],
        flat: &[f32],
        (shards, threads): (usize, usize),
        dropped: Option<u64>,
        units: &mut [f32],
    ) {
        let (weights, bias) = parameters.split_at(self.weights());
        let (blocks, together) = (self.inputs / PANEL, self.together(threads));
        let units = &mut units[..self.units * shards * SHARD];
        let pieces = units.chunks_mut(together * shards * BLOCK).enumerate();
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
                        let weights = &weights[(panel * self.inputs + from * PANEL) * PANEL..];
                        for (shard, units) in units.chunks_mut(BLOCK).enumerate() {
                            let start = match from {
                                0 => Start::Row(&bias[panel * PANEL..]),
                                _ => Start::Keep,
                            };
                            let flat = &flat[shard * SHARD * self.inputs + from * BLOCK..];
                            product(flat, left, weights, start, units);
                        }
                    }
                }
                for (row, units) in units.chunks_mut(PANEL).enumerate() {
                    let row = (group * together * shards * SHARD + row) as u64;
                    math::rectify(units, dropped.map(|seed| mix(seed ^ row) as u32));
                }
            },
        );
    }

    /// The slope by what goes in, by block and sample of all shards, from that by the units, which
    /// lies by shard, unit and sample.
    pub(crate) fn back(
        self,
        parameters: &[f32],
        units_back: &[f32],
        (shards, threads): (usize, usize),
        to: &mut [f32],
    ) {
        let (jump, runs) = (self.inputs * PANEL, self.units / PANEL);
        let left = Left { row: PANEL, step: 1, run: PANEL, runs, jump };
        let pieces = to[..self.inputs * shards * SHARD].chunks_mut(shards * BLOCK).enumerate();
        share(
            threads,
            pieces,
            || [0.0; BLOCK],
            |turned, (block, to)| {
                for (shard, to) in to.chunks_mut(BLOCK).enumerate() {
                    product(
                        &parameters[block * PANEL * PANEL..],
                        left,
                        &units_back[shard * self.units * SHARD..],
                        Start::Zero,
                        turned,
                    );
                    math::transpose(turned, to);
                }
            },
        );
    }

    /// Slopes by the parameters, which replace what is there, from that by the units, which lies
    /// by panel and sample.
    pub(crate) fn slopes(
        self,
        flat: &[f32],
        units_slope: &[f32],
        (shards, threads): (usize, usize),
        slope: &mut [f32],
    ) {
        let (jump, together) = (shards * BLOCK, self.together(threads));
        let (weights, bias) = slope.split_at_mut(self.weights());
        for (panel, bias) in bias.chunks_mut(PANEL).enumerate() {
            bias.fill(0.0);
            math::add_rows(bias, &units_slope[panel * jump..(panel + 1) * jump]);
        }
        let pieces = weights.chunks_mut(together * self.inputs * PANEL).enumerate();
        let left =
            Left { row: 1, step: PANEL, run: SHARD, runs: shards, jump: SHARD * self.inputs };
        share(
            threads,
            pieces,
            || (),
            |(), (group, weights)| {
                for block in 0..self.inputs / PANEL {
                    for (panel, weights) in weights.chunks_mut(self.inputs * PANEL).enumerate() {
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
}
