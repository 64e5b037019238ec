//! Random forest (Breiman 2001): 100 trees on redrawn samples, each split the best of a few
//! random bytes by Gini's impurity, leaves pure.
//!
//! A byte has 256 values, so every split there can be is looked at by counting: exact, without
//! sorting. Probabilities are the mean of the leaves' shares, as scikit-learn has it.

use std::path::Path;

use crate::classifier::{Control, Epoch, Fit};
use crate::engine::columns::{Columns, VALUES};
use crate::engine::onnx::{BYTES, Graph, PROBABILITIES};
use crate::engine::random::Random;
use crate::engine::simd::{Wide, wide};
use crate::engine::store::Head;
use crate::engine::threads::share;
use crate::engine::trees::{LEAF, Node, Trees, partition};
use crate::model::neural::{enough, judge, two_classes};
use crate::{Classifier, LearnError, Rows};

/// Its name in files and on the command line.
const NAME: &str = "forest";
/// Trees.
const TREES: usize = 100;

/// A tree as it grows: its nodes and the shares of leaves that are not pure.
#[derive(Debug, Default)]
struct Tree {
    nodes: Vec<Node>,
    shares: Vec<f32>,
}

/// Trees whose leaves hold shares of classes; the first rows of values are those of pure leaves.
#[derive(Debug, Default)]
pub(crate) struct Forest {
    width: usize,
    trees: Trees,
}

/// A drawn sample: everything about it that a split asks for, side by side.
#[derive(Debug, Clone, Copy)]
struct Drawn {
    row: u32,
    label: u16,
    /// How often it was drawn.
    times: u16,
}

/// What growing needs, used again for every tree.
struct Grower<'a> {
    columns: &'a Columns,
    labels: &'a [u16],
    classes: usize,
    /// Classes with padding.
    lanes: usize,
    times: Vec<u16>,
    samples: Vec<Drawn>,
    /// Features in random order; those known to be constant stand first.
    features: Vec<u16>,
    /// Counts by value and class, zero between uses.
    counts: Vec<f32>,
    /// Rows of each class that has some, where classes are to weigh the same: as many are drawn
    /// of each. Else empty, and rows are drawn from all.
    by_class: Vec<Vec<u32>>,
}

/// A node that is to be split.
struct Open {
    node: usize,
    from: usize,
    to: usize,
    /// How many of the first features are constant here.
    constant: usize,
}

/// The best split found.
#[derive(Clone, Copy)]
struct Split {
    score: f32,
    feature: u16,
    threshold: u8,
}

impl<'a> Grower<'a> {
    fn new(columns: &'a Columns, labels: &'a [u16], classes: usize, balance: bool) -> Self {
        let lanes = match classes {
            0..=8 => 8,
            9..=16 => 16,
            17..=32 => 32,
            _ => classes,
        };
        let mut by_class = vec![Vec::new(); if balance { classes } else { 0 }];
        if balance {
            labels.iter().zip(0..).for_each(|(label, row)| by_class[usize::from(*label)].push(row));
            by_class.retain(|rows: &Vec<u32>| !rows.is_empty());
        }
        Grower {
            by_class,
            columns,
            labels,
            classes,
            lanes,
            times: vec![0; labels.len()],
            samples: Vec::with_capacity(labels.len()),
            features: (0..columns.width as u16).collect(),
            counts: vec![0.0; VALUES * lanes],
        }
    }

    fn grow(&mut self, random: &mut Random) -> Tree {
        self.times.fill(0);
        for _ in 0..self.labels.len() {
            let row = match self.by_class.len() {
                0 => random.below(self.labels.len()),
                classes => {
                    let rows = &self.by_class[random.below(classes)];
                    rows[random.below(rows.len())] as usize
                }
            };
            self.times[row] = self.times[row].saturating_add(1);
        }
        self.samples.clear();
        let drawn = (0..).zip(self.labels).zip(&self.times).filter(|(_, times)| **times > 0);
        self.samples.extend(drawn.map(|((row, &label), &times)| Drawn { row, label, times }));
        self.features.iter_mut().zip(0..).for_each(|(feature, at)| *feature = at);

        let mut tree = Tree::default();
        tree.nodes.push(Node::leaf(0));
        let mut open = vec![Open { node: 0, from: 0, to: self.samples.len(), constant: 0 }];
        let mut totals = vec![0.0; self.lanes];
        while let Some(at) = open.pop() {
            totals.fill(0.0);
            for sample in &self.samples[at.from..at.to] {
                totals[usize::from(sample.label)] += f32::from(sample.times);
            }
            let mut constant = at.constant;
            let present = totals.iter().filter(|&&count| count > 0.0).count();
            let split =
                (present > 1).then(|| self.split(&at, &totals, &mut constant, random)).flatten();
            let Some(split) = split else {
                tree.nodes[at.node].next = self.leaf(&mut tree, &totals[..self.classes]);
                continue;
            };
            let column = self.columns.column(usize::from(split.feature));
            let middle = partition(&mut self.samples[at.from..at.to], |sample| {
                column[sample.row as usize] <= split.threshold
            });
            let middle = at.from + middle;
            let next = tree.nodes.len();
            tree.nodes[at.node] =
                Node { feature: split.feature, threshold: split.threshold, next: next as u32 };
            tree.nodes.extend([Node::leaf(0); 2]);
            open.push(Open { node: next + 1, from: middle, to: at.to, constant });
            open.push(Open { node: next, from: at.from, to: middle, constant });
        }
        tree
    }

    /// The row of a leaf's shares.
    fn leaf(&self, tree: &mut Tree, totals: &[f32]) -> u32 {
        let sum: f32 = totals.iter().sum();
        if let Some(class) = totals.iter().position(|&count| count == sum) {
            return class as u32;
        }
        let row = self.classes + tree.shares.len() / self.classes;
        tree.shares.extend(totals.iter().map(|count| count / sum));
        row as u32
    }

    /// The best of the square root of all features, constant ones aside.
    ///
    /// The features in front are constant in a whole subtree; a node only ever moves what stands
    /// behind those of its parent, and its own are found again by its children since they are
    /// worked on before its sibling is.
    fn split(
        &mut self,
        at: &Open,
        totals: &[f32],
        constant: &mut usize,
        random: &mut Random,
    ) -> Option<Split> {
        let wanted = (self.columns.width as f64).sqrt() as usize;
        let mut best: Option<Split> = None;
        let mut looked = 0;
        // Not constant and already looked at stand at the end.
        let mut end = self.features.len();
        while looked < wanted.max(1) && *constant < end {
            let drawn = *constant + random.below(end - *constant);
            let feature = self.features[drawn];
            match self.weigh(feature, at, totals) {
                None => {
                    self.features.swap(drawn, *constant);
                    *constant += 1;
                }
                Some(split) => {
                    end -= 1;
                    self.features.swap(drawn, end);
                    looked += 1;
                    if best.is_none_or(|best| split.score > best.score) {
                        best = Some(split);
                    }
                }
            }
        }
        best
    }

    /// The best split by one feature, if it is not constant.
    fn weigh(&mut self, feature: u16, at: &Open, totals: &[f32]) -> Option<Split> {
        let column = self.columns.column(usize::from(feature));
        let samples = &self.samples[at.from..at.to];
        let first = column[samples[0].row as usize];
        if samples.iter().all(|sample| column[sample.row as usize] == first) {
            return None;
        }
        let counts = &mut self.counts[..];
        Some(wide(Weigh { column, feature, samples, totals, lanes: self.lanes, counts }))
    }
}

/// Looks for the best split by one feature that is not constant.
struct Weigh<'a> {
    column: &'a [u8],
    feature: u16,
    samples: &'a [Drawn],
    totals: &'a [f32],
    lanes: usize,
    counts: &'a mut [f32],
}

impl Wide for Weigh<'_> {
    type Out = Split;

    #[inline(always)]
    fn run<const FUSED: bool>(self) -> Split {
        match self.lanes {
            8 => self.weigh(&mut [0.0; 8]),
            16 => self.weigh(&mut [0.0; 16]),
            32 => self.weigh(&mut [0.0; 32]),
            lanes => self.weigh(&mut vec![0.0; lanes][..]),
        }
    }
}

/// Counts by class: arrays where there are few, so that they stay in registers.
trait Lanes {
    fn lanes(&mut self) -> &mut [f32];
}

impl<const N: usize> Lanes for [f32; N] {
    #[inline(always)]
    fn lanes(&mut self) -> &mut [f32] {
        self
    }
}

impl Lanes for [f32] {
    #[inline(always)]
    fn lanes(&mut self) -> &mut [f32] {
        self
    }
}

impl Weigh<'_> {
    #[inline(always)]
    fn weigh<L: Lanes + ?Sized>(self, left: &mut L) -> Split {
        let Weigh { column, feature, samples, totals, counts, .. } = self;
        let left = left.lanes();
        let lanes = left.len();
        let totals = &totals[..lanes];
        let mut present = [0u64; VALUES / 64];
        for sample in samples {
            let value = usize::from(column[sample.row as usize]);
            present[value / 64] |= 1 << (value % 64);
            counts[value * lanes + usize::from(sample.label)] += f32::from(sample.times);
        }
        let all: f32 = totals.iter().sum();
        let mut before: Option<usize> = None;
        let mut best = Split { score: f32::NEG_INFINITY, feature, threshold: 0 };
        for (part, mut bits) in present.into_iter().enumerate() {
            while bits != 0 {
                let value = part * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                if let Some(before) = before {
                    let (mut sum, mut squares, mut others) = (0.0, 0.0, 0.0);
                    for lane in 0..lanes {
                        let right = totals[lane] - left[lane];
                        sum += left[lane];
                        squares += left[lane] * left[lane];
                        others += right * right;
                    }
                    let score = squares / sum + others / (all - sum);
                    if score > best.score {
                        best.score = score;
                        best.threshold = ((before + value) / 2) as u8;
                    }
                }
                before = Some(value);
                let counts = &mut counts[value * lanes..(value + 1) * lanes];
                for lane in 0..lanes {
                    left[lane] += counts[lane];
                    counts[lane] = 0.0;
                }
            }
        }
        best
    }
}

/// Grows a forest over columns of training samples.
pub(crate) fn plant(columns: &Columns, train: Rows<'_>, how: &Fit) -> Trees {
    let classes = train.data.classes.len();
    let labels: Vec<u16> = train.labels().collect();
    let mut trees: Vec<Tree> = (0..TREES).map(|_| Tree::default()).collect();
    share(
        how.threads,
        trees.iter_mut().enumerate(),
        || Grower::new(columns, &labels, classes, how.balance),
        |grower, (number, tree)| {
            *tree = grower.grow(&mut Random::part(how.seed, number as u64));
        },
    );
    let mut all = Trees::new(classes);
    for class in 0..classes {
        all.values.extend((0..classes).map(|other| f32::from(other == class)));
    }
    trees.iter().for_each(|tree| all.push(&tree.nodes, &tree.shares, classes as u32));
    all
}

/// Bytes that growing needs beside the columns: nodes are twice as many as samples at worst.
pub(crate) fn need(samples: usize, classes: usize, threads: usize) -> usize {
    2 * TREES * samples * size_of::<Node>() + threads * VALUES * classes * 4
}

impl Forest {
    fn head(&self) -> Head {
        Head { name: NAME, width: self.width, classes: self.trees.classes }
    }
}

impl Classifier for Forest {
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
        let (width, classes) = (train.data.width.min(usize::from(LEAF)), train.data.classes.len());
        enough(train.len() * width + need(train.len(), classes, how.threads), how)?;
        let trees = plant(&Columns::of_bytes(train, width), train, how);
        *self = Forest { width, trees };
        let (loss, accuracy) = judge(&self.predict(train, how.threads), train);
        let validation = (!validation.is_empty())
            .then(|| judge(&self.predict(validation, how.threads), validation));
        let epoch = Epoch { number: 1, loss, accuracy, validation };
        watch(&epoch);
        Ok(vec![epoch])
    }

    fn predict(&self, rows: Rows<'_>, threads: usize) -> Vec<f32> {
        let table = |rows: Rows<'_>, to: &mut Vec<u8>| rows.bytes(self.width, to);
        let trees = self.trees.roots.len() as f32;
        let mean = |sums: &mut [f32]| sums.iter_mut().for_each(|sum| *sum /= trees);
        self.trees.predict(rows, threads, self.width, table, mean)
    }

    fn classes(&self) -> usize {
        self.trees.classes
    }

    fn save(&self, path: &Path) -> Result<(), LearnError> {
        self.head().save(path, &self.trees.stored(""))
    }

    fn load(&mut self, path: &Path) -> Result<(), LearnError> {
        let (archive, Head { width, classes, .. }) = Head::read(path, NAME)?;
        *self = Forest { width, trees: Trees::restored(&archive, "", width, classes)? };
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
        let share = 1.0 / self.trees.roots.len() as f32;
        self.trees.operator(&mut graph, (BYTES, 255.0), (PROBABILITIES, share));
        Some(graph.model(self.head(), &[(BYTES, self.width)]))
    }
}
