//! Random forest (Breiman 2001): 100 trees on redrawn samples, each split the best of a few
//! random bytes by Gini's impurity, leaves pure.
//!
//! A byte has 256 values, so every split there can be is looked at by counting: exact, without
//! sorting. Probabilities are the mean of the leaves' shares, as scikit-learn has it.

use std::path::Path;

use crate::classifier::{Control, Epoch, Fit};
use crate::engine::columns::{Columns, VALUES};
use crate::engine::random::Random;
use crate::engine::store::{Archive, said, write};
use crate::engine::threads::share;
use crate::engine::trees::{LEAF, Node, Trees, partition};
use crate::model::neural::{enough, judge, two_classes};
use crate::{Classifier, LearnError, Rows};

/// Its name in files and on the command line.
const NAME: &str = "forest";
/// Trees.
const TREES: usize = 100;
/// Samples that a tree is asked about before the next tree is.
const TOGETHER: usize = 256;

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

/// What growing needs, used again for every tree.
struct Grower<'a> {
    columns: &'a Columns,
    labels: &'a [u16],
    classes: usize,
    /// How often each sample was drawn.
    drawn: Vec<u32>,
    rows: Vec<u32>,
    /// Features in random order; those known to be constant stand first.
    features: Vec<u16>,
    /// Counts by value and class, zero between uses.
    counts: Vec<f32>,
    left: Vec<f32>,
    right: Vec<f32>,
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
    fn new(columns: &'a Columns, labels: &'a [u16], classes: usize) -> Self {
        Grower {
            columns,
            labels,
            classes,
            drawn: vec![0; labels.len()],
            rows: Vec::with_capacity(labels.len()),
            features: (0..columns.width as u16).collect(),
            counts: vec![0.0; VALUES * classes],
            left: vec![0.0; classes],
            right: vec![0.0; classes],
        }
    }

    fn grow(&mut self, random: &mut Random) -> Tree {
        self.drawn.fill(0);
        for _ in 0..self.labels.len() {
            self.drawn[random.below(self.labels.len())] += 1;
        }
        self.rows.clear();
        self.rows.extend((0..self.labels.len() as u32).filter(|&row| self.drawn[row as usize] > 0));
        self.features.iter_mut().zip(0..).for_each(|(feature, at)| *feature = at);

        let mut tree = Tree::default();
        tree.nodes.push(Node::leaf(0));
        let mut open = vec![Open { node: 0, from: 0, to: self.rows.len(), constant: 0 }];
        while let Some(at) = open.pop() {
            let mut totals = vec![0.0; self.classes];
            for &row in &self.rows[at.from..at.to] {
                totals[usize::from(self.labels[row as usize])] += self.drawn[row as usize] as f32;
            }
            let mut constant = at.constant;
            let present = totals.iter().filter(|&&count| count > 0.0).count();
            let split =
                (present > 1).then(|| self.split(&at, &totals, &mut constant, random)).flatten();
            let Some(split) = split else {
                tree.nodes[at.node].next = self.leaf(&mut tree, &totals);
                continue;
            };
            let column = self.columns.column(usize::from(split.feature));
            let middle = partition(&mut self.rows[at.from..at.to], |row| {
                column[row as usize] <= split.threshold
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
        let classes = self.classes;
        let rows = &self.rows[at.from..at.to];
        let first = column[rows[0] as usize];
        if rows.iter().all(|&row| column[row as usize] == first) {
            return None;
        }
        let mut present = [0u64; VALUES / 64];
        for &row in rows {
            let row = row as usize;
            let value = usize::from(column[row]);
            present[value / 64] |= 1 << (value % 64);
            self.counts[value * classes + usize::from(self.labels[row])] += self.drawn[row] as f32;
        }
        self.left.fill(0.0);
        self.right.copy_from_slice(totals);
        let (mut weight_left, mut weight_right) = (0.0f32, totals.iter().sum::<f32>());
        let mut best = Split { score: f32::NEG_INFINITY, feature, threshold: 0 };
        let mut before: Option<usize> = None;
        let mut squares = (0.0f32, 0.0f32);
        for (part, mut bits) in present.into_iter().enumerate() {
            while bits != 0 {
                let value = part * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                if let Some(before) = before {
                    let score = squares.0 / weight_left + squares.1 / weight_right;
                    if score > best.score {
                        best.score = score;
                        best.threshold = ((before + value) / 2) as u8;
                    }
                }
                before = Some(value);
                let counts = &mut self.counts[value * classes..(value + 1) * classes];
                let (left, right) = (&mut self.left[..classes], &mut self.right[..classes]);
                let mut moved = 0.0;
                squares = (0.0, 0.0);
                for class in 0..classes {
                    let count = counts[class];
                    counts[class] = 0.0;
                    moved += count;
                    left[class] += count;
                    right[class] -= count;
                    squares.0 += left[class] * left[class];
                    squares.1 += right[class] * right[class];
                }
                weight_left += moved;
                weight_right -= moved;
            }
        }
        Some(best)
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
        // Columns, and nodes: twice as many as samples in the worst case.
        let nodes = 2 * TREES * train.len() * size_of::<Node>();
        enough(train.len() * width + nodes + how.threads * VALUES * classes * 4, how)?;
        let columns = Columns::of_bytes(train, width);
        let labels: Vec<u16> = train.labels().collect();
        let mut trees: Vec<Tree> = (0..TREES).map(|_| Tree::default()).collect();
        let pieces = trees.iter_mut().enumerate();
        share(
            how.threads,
            pieces,
            || Grower::new(&columns, &labels, classes),
            |grower, piece| {
                let (number, tree) = piece;
                *tree = grower.grow(&mut Random::part(how.seed, number as u64));
            },
        );
        let mut all = Trees::new(classes);
        for class in 0..classes {
            all.values.extend((0..classes).map(|other| f32::from(other == class)));
        }
        trees.iter().for_each(|tree| all.push(&tree.nodes, &tree.shares, classes as u32));
        *self = Forest { width, trees: all };
        let (loss, accuracy) = judge(&self.predict(train, how.threads), train);
        let validation = (!validation.is_empty())
            .then(|| judge(&self.predict(validation, how.threads), validation));
        let epoch = Epoch { number: 1, loss, accuracy, validation };
        watch(&epoch);
        Ok(vec![epoch])
    }

    fn predict(&self, rows: Rows<'_>, threads: usize) -> Vec<f32> {
        let mut probabilities = vec![0.0; rows.len() * self.trees.classes];
        if self.trees.classes == 0 {
            return probabilities;
        }
        let pieces = probabilities.chunks_mut(TOGETHER * self.trees.classes);
        let pieces = rows.rows.chunks(TOGETHER).zip(pieces);
        share(threads, pieces, Vec::new, |samples, (some, probabilities)| {
            Rows { data: rows.data, rows: some }.bytes(self.width, samples);
            self.trees.add(samples, self.width, probabilities);
            let trees = self.trees.roots.len() as f32;
            probabilities.iter_mut().for_each(|chance| *chance /= trees);
        });
        probabilities
    }

    fn classes(&self) -> usize {
        self.trees.classes
    }

    fn save(&self, path: &Path) -> Result<(), LearnError> {
        if self.trees.roots.is_empty() {
            return Err(LearnError::Untrained { name: NAME });
        }
        let said = said(NAME, self.width, self.trees.classes);
        write(path, said, &self.trees.stored())
    }

    fn load(&mut self, path: &Path) -> Result<(), LearnError> {
        let archive = Archive::read(path, NAME)?;
        let (width, classes) = archive.shape()?;
        *self = Forest { width, trees: Trees::restored(&archive, width, classes)? };
        Ok(())
    }

    fn size(&self) -> usize {
        self.trees.size()
    }
}
