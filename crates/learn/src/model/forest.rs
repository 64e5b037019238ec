//! Random forest (Breiman 2001): 100 trees on redrawn samples, each split the best of a few
//! random bytes by Gini's impurity, leaves pure.
//!
//! A byte has 256 values, so every split there can be is looked at by counting: exact, without
//! sorting. Probabilities are the mean of the leaves' shares, as scikit-learn has it.

use std::collections::HashMap;
use std::path::Path;

use crate::classifier::{Control, Epoch, Fit};
use crate::engine::columns::{Columns, VALUES};
use crate::engine::random::Random;
use crate::engine::store::{Archive, Stored, write};
use crate::engine::threads::share;
use crate::model::neural::{enough, judge, two_classes};
use crate::{Classifier, LearnError, Rows};

/// Its name in files and on the command line.
const NAME: &str = "forest";
/// Trees.
const TREES: usize = 100;
/// Marks a leaf where a feature would stand.
const LEAF: u16 = u16::MAX;
/// Samples that a tree is asked about before the next tree is.
const TOGETHER: usize = 256;

/// A split, or a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Node {
    /// The byte that is looked at, or [`LEAF`].
    feature: u16,
    /// Up to this value the first child is next, above it the second.
    threshold: u8,
    /// The first child, the second behind it; of a leaf its row of shares.
    next: u32,
}

/// A tree as it grows: its nodes and the shares of leaves that are not pure.
#[derive(Debug, Default)]
struct Tree {
    nodes: Vec<Node>,
    shares: Vec<f32>,
}

/// Many trees.
#[derive(Debug, Default)]
pub(crate) struct Forest {
    width: usize,
    classes: usize,
    /// All trees, one after the other.
    nodes: Vec<Node>,
    /// Where each begins.
    roots: Vec<u32>,
    /// Shares of classes in leaves; the first `classes` rows are those of pure leaves.
    shares: Vec<f32>,
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
        tree.nodes.push(Node { feature: LEAF, threshold: 0, next: 0 });
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
            tree.nodes.extend([Node { feature: LEAF, threshold: 0, next: 0 }; 2]);
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

/// Brings those for which `first` holds to the front, and says how many they are.
fn partition(rows: &mut [u32], first: impl Fn(u32) -> bool) -> usize {
    let mut middle = 0;
    for at in 0..rows.len() {
        let row = rows[at];
        rows[at] = rows[middle];
        rows[middle] = row;
        middle += usize::from(first(row));
    }
    middle
}

impl Forest {
    /// Adds the shares of every tree's leaf for some samples.
    fn add(&self, rows: Rows<'_>, probabilities: &mut [f32]) {
        let classes = self.classes;
        let mut padded = Vec::new();
        for &root in &self.roots {
            for (sample, to) in rows.samples().zip(probabilities.chunks_exact_mut(classes)) {
                let sample = if sample.len() < self.width {
                    padded.clear();
                    padded.extend_from_slice(sample);
                    padded.resize(self.width, 0);
                    &padded
                } else {
                    sample
                };
                let mut node = self.nodes[root as usize];
                while node.feature != LEAF {
                    let above = sample[usize::from(node.feature)] > node.threshold;
                    node = self.nodes[node.next as usize + usize::from(above)];
                }
                let from = node.next as usize * classes;
                for (to, share) in to.iter_mut().zip(&self.shares[from..from + classes]) {
                    *to += share;
                }
            }
        }
        let trees = self.roots.len().max(1) as f32;
        probabilities.iter_mut().for_each(|chance| *chance /= trees);
    }

    fn node_columns(&self) -> [Vec<u32>; 3] {
        [
            self.nodes.iter().map(|node| u32::from(node.feature)).collect(),
            self.nodes.iter().map(|node| u32::from(node.threshold)).collect(),
            self.nodes.iter().map(|node| node.next).collect(),
        ]
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
        *self = Forest { width, classes, ..Forest::default() };
        for class in 0..classes {
            self.shares.extend((0..classes).map(|other| f32::from(other == class)));
        }
        for tree in trees {
            let (base, row) = (self.nodes.len() as u32, (self.shares.len() / classes) as u32);
            self.roots.push(base);
            self.nodes.extend(tree.nodes.into_iter().map(|node| {
                let next = match node.feature {
                    LEAF if node.next < classes as u32 => node.next,
                    LEAF => node.next - classes as u32 + row,
                    _ => node.next + base,
                };
                Node { next, ..node }
            }));
            self.shares.extend(tree.shares);
        }
        let (loss, accuracy) = judge(&self.predict(train, how.threads), train);
        let validation = (!validation.is_empty())
            .then(|| judge(&self.predict(validation, how.threads), validation));
        let epoch = Epoch { number: 1, loss, accuracy, validation };
        watch(&epoch);
        Ok(vec![epoch])
    }

    fn predict(&self, rows: Rows<'_>, threads: usize) -> Vec<f32> {
        let mut probabilities = vec![0.0; rows.len() * self.classes];
        if self.classes > 0 {
            let pieces = probabilities.chunks_mut(TOGETHER * self.classes);
            let pieces = rows.rows.chunks(TOGETHER).zip(pieces);
            share(
                threads,
                pieces,
                || (),
                |(), (some, probabilities)| {
                    self.add(Rows { data: rows.data, rows: some }, probabilities);
                },
            );
        }
        probabilities
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn save(&self, path: &Path) -> Result<(), LearnError> {
        if self.roots.is_empty() {
            return Err(LearnError::Untrained { name: NAME });
        }
        let said = HashMap::from([
            ("model".to_owned(), NAME.to_owned()),
            ("width".to_owned(), self.width.to_string()),
            ("classes".to_owned(), self.classes.to_string()),
        ]);
        let [features, thresholds, next] = self.node_columns();
        let rows = self.shares.len() / self.classes;
        let tensors = [
            Stored::whole("feature", &features),
            Stored::whole("threshold", &thresholds),
            Stored::whole("next", &next),
            Stored::whole("roots", &self.roots),
            Stored::floats("shares", &[rows, self.classes], &self.shares),
        ];
        write(path, said, &tensors)
    }

    fn load(&mut self, path: &Path) -> Result<(), LearnError> {
        let archive = Archive::read(path, NAME)?;
        let width = archive.number("width", 1..=usize::from(LEAF))?;
        let classes = archive.number("classes", 2..=usize::from(u16::MAX))?;
        let rows = archive.rows("shares")?;
        let shares = archive.floats("shares", &[rows, classes])?;
        let (features, thresholds) = (archive.whole("feature")?, archive.whole("threshold")?);
        let (next, roots) = (archive.whole("next")?, archive.whole("roots")?);
        let wrong = || archive.wrong("its trees do not hang together".to_owned());
        if features.len() != next.len() || thresholds.len() != next.len() || roots.is_empty() {
            return Err(wrong());
        }
        let mut nodes = Vec::with_capacity(next.len());
        for (at, ((feature, threshold), next)) in
            features.into_iter().zip(thresholds).zip(next.iter().copied()).enumerate()
        {
            let feature = u16::try_from(feature).map_err(|_| wrong())?;
            let threshold = u8::try_from(threshold).map_err(|_| wrong())?;
            // A child behind its parent: no walk can go round in a circle.
            let fits = if feature == LEAF {
                (next as usize) < rows
            } else {
                usize::from(feature) < width
                    && next as usize > at
                    && (next as usize) + 1 < nodes.capacity()
            };
            if !fits {
                return Err(wrong());
            }
            nodes.push(Node { feature, threshold, next });
        }
        if roots.iter().any(|&root| root as usize >= nodes.len()) {
            return Err(wrong());
        }
        *self = Forest { width, classes, nodes, roots, shares };
        Ok(())
    }

    fn size(&self) -> usize {
        self.nodes.len() * size_of::<Node>() + self.shares.len() * size_of::<f32>()
    }
}
