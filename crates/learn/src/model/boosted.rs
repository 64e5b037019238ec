//! Gradient-boosted trees (Friedman 2001) for softmax, on 256-valued features.
//!
//! One tree a round gives a value for every class at once, so that counting costs one vector
//! addition a sample and feature however many classes there are, and a round is one tree and not
//! one a class. Every tree sees all samples: many are nearly the same, and a tree that misses some
//! of them was worse. Splits are exact: a byte has no more values than are counted.
//!
//! Depth, rate, features, leaves and damping are of 20 settings those that had nearly the least
//! log-loss in threefold cross-validation on training samples alone: six classes of ISCX, all
//! layers (0.024; at first 0.072) and layer 7 (0.504; 0.580), 500 samples each. USTC-TFC2016 had
//! 0.998 right or more with each of the 12 that were tried there. Leaves of 16 were a little better still, but lose
//! classes of a dozen samples.

use std::path::Path;

use crate::classifier::{Control, Epoch, Fit};
use crate::engine::columns::{Columns, VALUES};
use crate::engine::math::{likeliest, softmax};
use crate::engine::onnx::{BYTES, Graph};
use crate::engine::random::Random;
use crate::engine::simd::{Wide, wide};
use crate::engine::store::Head;
use crate::engine::threads::share;
use crate::engine::trees::{LEAF, Node, Trees, partition};
use crate::model::neural::{class_weights, enough, judge, two_classes};
use crate::{Classifier, LearnError, Rows};

/// Its name in files and on the command line.
const NAME: &str = "boosted";
/// Splits from root to leaf, at most.
const DEPTH: u32 = 8;
/// Share of a leaf's step that is taken.
const RATE: f32 = 0.07;
/// Share of the features that a tree may ask for.
const FEATURES: f64 = 0.3;
/// Samples of a leaf, at least.
const FEWEST: usize = 8;
/// What holds small leaves back.
const DAMPING: f32 = 5.0;
/// Classes are padded to whole vectors of this many.
const LANES: usize = 8;

/// Trees over bytes.
#[derive(Debug, Default)]
pub(crate) struct Boosted {
    width: usize,
    trees: Trees,
}

/// What growing one tree after the other needs.
struct Grower<'a> {
    columns: &'a Columns,
    /// Classes with padding.
    lanes: usize,
    /// Slopes of the loss by sample and class, and how curved it is there.
    slopes: Vec<f32>,
    curves: Vec<f32>,
    threads: usize,
}

/// The best split of a node by one feature.
#[derive(Debug, Clone, Copy)]
struct Split {
    gain: f32,
    feature: u16,
    threshold: u8,
}

/// A node that is to be split.
struct Open {
    node: usize,
    from: usize,
    to: usize,
    depth: u32,
}

/// Counts by value: slopes by class, and samples.
struct Counts {
    slopes: Vec<f32>,
    samples: [u32; VALUES],
}

/// Looks for the best split of a node by one feature.
struct Weigh<'a> {
    column: &'a [u8],
    feature: u16,
    rows: &'a [u32],
    slopes: &'a [f32],
    lanes: usize,
    totals: &'a [f32],
    counts: &'a mut Counts,
}

impl Wide for Weigh<'_> {
    type Out = Option<Split>;

    #[inline(always)]
    fn run<const FUSED: bool>(self) -> Option<Split> {
        match self.lanes {
            8 => self.count::<8>(),
            16 => self.count::<16>(),
            32 => self.count::<32>(),
            _ => self.count_any(),
        }
    }
}

impl Weigh<'_> {
    #[inline(always)]
    fn count<const N: usize>(self) -> Option<Split> {
        let Weigh { column, feature, rows, slopes, totals, counts, .. } = self;
        let (slopes, _) = slopes.as_chunks::<N>();
        let (sums, _) = counts.slopes.as_chunks_mut::<N>();
        let mut present = [0u64; VALUES / 64];
        for &row in rows {
            let value = usize::from(column[row as usize]);
            present[value / 64] |= 1 << (value % 64);
            counts.samples[value] += 1;
            let from = &slopes[row as usize];
            let to = &mut sums[value];
            for lane in 0..N {
                to[lane] += from[lane];
            }
        }
        let mut left = [0.0f32; N];
        let mut total = [0.0f32; N];
        total.copy_from_slice(&totals[..N]);
        let mut seen = 0usize;
        let mut best: Option<Split> = None;
        let mut before: Option<usize> = None;
        for (part, mut bits) in present.into_iter().enumerate() {
            while bits != 0 {
                let value = part * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let after = rows.len() - seen;
                if let Some(before) = before
                    && seen >= FEWEST
                    && after >= FEWEST
                {
                    let (mut squares, mut others) = (0.0f32, 0.0f32);
                    for lane in 0..N {
                        let right = total[lane] - left[lane];
                        squares += left[lane] * left[lane];
                        others += right * right;
                    }
                    let gain =
                        squares / (seen as f32 + DAMPING) + others / (after as f32 + DAMPING);
                    if best.is_none_or(|best| gain > best.gain) {
                        let threshold = ((before + value) / 2) as u8;
                        best = Some(Split { gain, feature, threshold });
                    }
                }
                before = Some(value);
                seen += counts.samples[value] as usize;
                counts.samples[value] = 0;
                let sums = &mut sums[value];
                for lane in 0..N {
                    left[lane] += sums[lane];
                    sums[lane] = 0.0;
                }
            }
        }
        best
    }

    /// The same for any number of classes.
    fn count_any(self) -> Option<Split> {
        let Weigh { column, feature, rows, slopes, lanes, totals, counts } = self;
        for &row in rows {
            let value = usize::from(column[row as usize]);
            counts.samples[value] += 1;
            let from = &slopes[row as usize * lanes..][..lanes];
            let to = &mut counts.slopes[value * lanes..][..lanes];
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        }
        let mut left = vec![0.0f32; lanes];
        let (mut seen, mut best, mut before) = (0, None::<Split>, None::<usize>);
        for value in 0..VALUES {
            if counts.samples[value] == 0 {
                continue;
            }
            let after = rows.len() - seen;
            if let Some(before) = before
                && seen >= FEWEST
                && after >= FEWEST
            {
                let squares: f32 = left.iter().map(|left| left * left).sum();
                let others: f32 = left.iter().zip(totals).map(|(l, t)| (t - l) * (t - l)).sum();
                let gain = squares / (seen as f32 + DAMPING) + others / (after as f32 + DAMPING);
                if best.is_none_or(|best| gain > best.gain) {
                    best = Some(Split { gain, feature, threshold: ((before + value) / 2) as u8 });
                }
            }
            before = Some(value);
            seen += counts.samples[value] as usize;
            counts.samples[value] = 0;
            let sums = &mut counts.slopes[value * lanes..][..lanes];
            left.iter_mut().zip(sums).for_each(|(left, sum)| *left += std::mem::take(sum));
        }
        best
    }
}

impl Grower<'_> {
    fn counts(&self) -> Counts {
        Counts { slopes: vec![0.0; VALUES * self.lanes], samples: [0; VALUES] }
    }

    /// One tree on `rows` that may ask for `features`, and the values of its leaves.
    fn grow(&self, rows: &mut [u32], features: &[u16], classes: usize) -> (Vec<Node>, Vec<f32>) {
        let (mut nodes, mut values) = (vec![Node::leaf(0)], Vec::new());
        let mut open = vec![Open { node: 0, from: 0, to: rows.len(), depth: 0 }];
        let mut counts: Vec<Counts> = (0..self.threads.max(1)).map(|_| self.counts()).collect();
        while let Some(at) = open.pop() {
            let mine = &rows[at.from..at.to];
            let mut totals = vec![0.0f32; self.lanes];
            for &row in mine {
                let slopes = &self.slopes[row as usize * self.lanes..][..self.lanes];
                totals.iter_mut().zip(slopes).for_each(|(total, slope)| *total += slope);
            }
            let split = (at.depth < DEPTH && mine.len() >= 2 * FEWEST)
                .then(|| self.split(mine, features, &totals, &mut counts))
                .flatten();
            let Some(split) = split else {
                nodes[at.node].next = (values.len() / classes) as u32;
                values.extend((0..classes).map(|class| {
                    let curve: f32 = mine
                        .iter()
                        .map(|&row| self.curves[row as usize * self.lanes + class])
                        .sum();
                    // A step of Newton's, bounded where the loss is nearly straight.
                    (-RATE * totals[class] / (curve + 0.1 * DAMPING)).clamp(-4.0, 4.0)
                }));
                continue;
            };
            let column = self.columns.column(usize::from(split.feature));
            let middle =
                partition(&mut rows[at.from..at.to], |row| column[row as usize] <= split.threshold);
            let (middle, next) = (at.from + middle, nodes.len());
            nodes[at.node] =
                Node { feature: split.feature, threshold: split.threshold, next: next as u32 };
            nodes.extend([Node::leaf(0); 2]);
            let depth = at.depth + 1;
            open.push(Open { node: next + 1, from: middle, to: at.to, depth });
            open.push(Open { node: next, from: at.from, to: middle, depth });
        }
        (nodes, values)
    }

    /// The best split by any of `features`, where one is better than none.
    fn split(
        &self,
        rows: &[u32],
        features: &[u16],
        totals: &[f32],
        counts: &mut [Counts],
    ) -> Option<Split> {
        let whole: f32 =
            totals.iter().map(|total| total * total).sum::<f32>() / (rows.len() as f32 + DAMPING);
        // Small nodes are done before a thread has begun.
        let threads = if rows.len() * features.len() < 1 << 19 { 1 } else { self.threads.max(1) };
        let each = features.len().div_ceil(threads);
        let mut found = vec![None::<Split>; threads];
        let pieces = features.chunks(each).zip(counts).zip(&mut found);
        share(
            threads,
            pieces,
            || (),
            |(), ((features, counts), best)| {
                for &feature in features {
                    let split = wide(Weigh {
                        column: self.columns.column(usize::from(feature)),
                        feature,
                        rows,
                        slopes: &self.slopes,
                        lanes: self.lanes,
                        totals,
                        counts,
                    });
                    if let Some(split) = split
                        && best.is_none_or(|best| split.gain > best.gain)
                    {
                        *best = Some(split);
                    }
                }
            },
        );
        // The first of equals, so that the number of threads changes nothing.
        let mut best: Option<Split> = None;
        for split in found.into_iter().flatten() {
            if best.is_none_or(|best| split.gain > best.gain) {
                best = Some(split);
            }
        }
        best.filter(|best| best.gain > whole * 1.000_001 + 1e-6)
    }
}

/// Boosts trees over columns, of which each tree may ask the last `always` and some of the rest.
/// `validated` gives loss and accuracy of what there is so far.
pub(crate) fn boost(
    (columns, always): (&Columns, usize),
    train: Rows<'_>,
    how: &Fit,
    validated: &mut dyn FnMut(&Trees) -> Option<(f32, f32)>,
    watch: &mut dyn FnMut(&Epoch) -> Control,
) -> Result<(Trees, Vec<Epoch>), LearnError> {
    let classes = train.data.classes.len();
    let lanes = match classes {
        0..=8 => 8,
        9..=16 => 16,
        17..=32 => 32,
        _ => classes.next_multiple_of(LANES),
    };
    let labels: Vec<u16> = train.labels().collect();
    let weights = class_weights(train, how.balance);
    let mut grower = Grower {
        columns,
        lanes,
        slopes: vec![0.0; labels.len() * lanes],
        curves: vec![0.0; labels.len() * lanes],
        threads: how.threads,
    };
    let mut trees = Trees::new(classes);
    // Before the first tree every sample is as likely as its class.
    let mut counts = vec![0.0f32; classes];
    labels.iter().for_each(|&label| counts[usize::from(label)] += weights[usize::from(label)]);
    let prior: Vec<f32> =
        counts.iter().map(|count| ((count + 0.5) / labels.len() as f32).ln()).collect();
    trees.push(&[Node::leaf(0)], &prior, 0);
    let mut scores: Vec<f32> = labels.iter().flat_map(|_| prior.iter().copied()).collect();
    let mut epochs: Vec<Epoch> = Vec::new();
    let (mut best, mut best_loss, mut stale) = (1, f32::INFINITY, 0);
    while epochs.len() < how.epochs as usize {
        let (mut loss, mut right) = (0.0f64, 0usize);
        let mut chances = vec![0.0; classes];
        for (row, &label) in labels.iter().enumerate() {
            let (label, weight) = (usize::from(label), weights[usize::from(label)]);
            chances.copy_from_slice(&scores[row * classes..(row + 1) * classes]);
            right += usize::from(likeliest(&chances) == label);
            softmax(&mut chances);
            loss -= f64::from(weight) * f64::from(chances[label].max(1e-37)).ln();
            for (class, &chance) in chances.iter().enumerate() {
                let hit = f32::from(class == label);
                grower.slopes[row * lanes + class] = weight * (chance - hit);
                grower.curves[row * lanes + class] = weight * chance * (1.0 - chance);
            }
        }
        if !loss.is_finite() {
            return Err(LearnError::Diverged { epoch: epochs.len() as u32 });
        }
        let number = epochs.len() as u32 + 1;
        let mut random = Random::part(how.seed, u64::from(number));
        let drawn = columns.width - always;
        let mut features: Vec<u16> = (0..drawn as u16).collect();
        random.shuffle(&mut features);
        features.truncate(((drawn as f64 * FEATURES).ceil() as usize).max(24));
        features.extend(drawn as u16..columns.width as u16);
        let mut rows: Vec<u32> = (0..labels.len() as u32).collect();
        let (nodes, values) = grower.grow(&mut rows, &features, classes);
        for (row, scores) in scores.chunks_mut(classes).enumerate() {
            let mut node = nodes[0];
            while node.feature != LEAF {
                let value = columns.column(usize::from(node.feature))[row];
                node = nodes[node.next as usize + usize::from(value > node.threshold)];
            }
            let values = &values[node.next as usize * classes..][..classes];
            scores.iter_mut().zip(values).for_each(|(score, value)| *score += value);
        }
        trees.push(&nodes, &values, 0);
        let len = labels.len() as f64;
        let (loss, accuracy) = ((loss / len) as f32, (right as f64 / len) as f32);
        let validation = validated(&trees);
        let epoch = Epoch { number, loss, accuracy, validation };
        epochs.push(epoch);
        if let Some((loss, _)) = validation {
            stale += 1;
            if loss < best_loss {
                (best, best_loss, stale) = (trees.roots.len(), loss, 0);
            }
        } else {
            best = trees.roots.len();
        }
        if watch(&epoch) == Control::Stop || (how.patience > 0 && stale >= how.patience) {
            break;
        }
    }
    trees.truncate(best);
    Ok((trees, epochs))
}

/// Keeps scores of samples as trees are added, so that each tree is asked once.
pub(crate) struct Running {
    samples: Vec<u8>,
    width: usize,
    scores: Vec<f32>,
    trees: usize,
}

impl Running {
    /// For samples of `width` bytes each.
    pub(crate) fn new(samples: Vec<u8>, width: usize) -> Running {
        Running { samples, width, scores: Vec::new(), trees: 0 }
    }

    /// Loss and accuracy after all of `trees`.
    pub(crate) fn judge(&mut self, trees: &Trees, rows: Rows<'_>) -> Option<(f32, f32)> {
        if rows.is_empty() {
            return None;
        }
        self.scores.resize(rows.len() * trees.classes, 0.0);
        trees.add_from(self.trees, &self.samples, self.width, &mut self.scores);
        self.trees = trees.roots.len();
        let mut chances = self.scores.clone();
        chances.chunks_mut(trees.classes).for_each(softmax);
        Some(judge(&chances, rows))
    }
}

/// Bytes that boosting needs beside columns.
pub(crate) fn need(samples: usize, classes: usize, threads: usize) -> usize {
    let lanes = classes.next_multiple_of(LANES).max(LANES);
    samples * (3 * lanes * 4 + 8) + threads.max(1) * VALUES * (lanes + 1) * 4
}

impl Boosted {
    fn head(&self) -> Head {
        Head { name: NAME, width: self.width, classes: self.trees.classes }
    }
}

impl Classifier for Boosted {
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
        let width = train.data.width.min(usize::from(LEAF));
        let need = need(train.len(), train.data.classes.len(), how.threads);
        enough(train.len() * width + need, how)?;
        let columns = Columns::of_bytes(train, width);
        let mut held = Vec::new();
        validation.bytes(width, &mut held);
        let mut running = Running::new(held, width);
        let mut validated = |trees: &Trees| running.judge(trees, validation);
        let (trees, epochs) = boost((&columns, 0), train, how, &mut validated, watch)?;
        *self = Boosted { width, trees };
        Ok(epochs)
    }

    fn predict(&self, rows: Rows<'_>, threads: usize) -> Vec<f32> {
        let table = |rows: Rows<'_>, to: &mut Vec<u8>| rows.bytes(self.width, to);
        self.trees.predict(rows, threads, self.width, table, softmax)
    }

    fn classes(&self) -> usize {
        self.trees.classes
    }

    fn save(&self, path: &Path) -> Result<(), LearnError> {
        self.head().save(path, &self.trees.stored(""))
    }

    fn load(&mut self, path: &Path) -> Result<(), LearnError> {
        let (archive, Head { width, classes, .. }) = Head::read(path, NAME)?;
        *self = Boosted { width, trees: Trees::restored(&archive, "", width, classes)? };
        Ok(())
    }

    fn size(&self) -> usize {
        self.trees.size()
    }

    fn onnx(&self) -> Option<Vec<u8>> {
        if self.trees.roots.is_empty() {
            return None;
        }
        let mut graph = Graph::default();
        self.trees.operator(&mut graph, (BYTES, 255.0), ("scores", 1.0));
        graph.softmax("scores");
        Some(graph.model(self.head(), &[(BYTES, self.width)]))
    }
}
