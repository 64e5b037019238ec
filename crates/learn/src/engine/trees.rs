//! Trees that are grown: what forests and boosted trees have in common once they stand.

use crate::engine::onnx::{Attribute, Graph};
use crate::engine::store::{Archive, Stored};
use crate::engine::threads::share;
use crate::{LearnError, Rows};

/// Samples that a tree is asked about before the next tree is.
const TOGETHER: usize = 256;

/// Marks a leaf where a feature would stand.
pub(crate) const LEAF: u16 = u16::MAX;

/// A split, or a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Node {
    /// The byte that is looked at, or [`LEAF`].
    pub(crate) feature: u16,
    /// Up to this value the first child is next, above it the second.
    pub(crate) threshold: u8,
    /// The first child, the second behind it; of a leaf its row of values.
    pub(crate) next: u32,
}

impl Node {
    /// A leaf.
    pub(crate) fn leaf(row: u32) -> Node {
        Node { feature: LEAF, threshold: 0, next: row }
    }
}

/// Many trees whose leaves hold a value for each class.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trees {
    /// All trees, one after the other.
    pub(crate) nodes: Vec<Node>,
    /// Where each begins.
    pub(crate) roots: Vec<u32>,
    /// Values of leaves, a row of `classes` each.
    pub(crate) values: Vec<f32>,
    /// Classes.
    pub(crate) classes: usize,
}

impl Trees {
    /// None yet.
    pub(crate) fn new(classes: usize) -> Trees {
        Trees { classes, ..Trees::default() }
    }

    /// Appends a tree with values of its own; leaves below `shared` keep their row.
    pub(crate) fn push(&mut self, nodes: &[Node], values: &[f32], shared: u32) {
        let (base, row) = (self.nodes.len() as u32, (self.values.len() / self.classes) as u32);
        self.roots.push(base);
        self.nodes.extend(nodes.iter().map(|&node| {
            let next = match node.feature {
                LEAF if node.next < shared => node.next,
                LEAF => node.next - shared + row,
                _ => node.next + base,
            };
            Node { next, ..node }
        }));
        self.values.extend_from_slice(values);
    }

    /// Adds the values of every tree's leaf for each sample: rows of bytes `width` wide.
    pub(crate) fn add(&self, samples: &[u8], width: usize, to: &mut [f32]) {
        self.add_from(0, samples, width, to);
    }

    /// The same of the trees from the `first` on.
    pub(crate) fn add_from(&self, first: usize, samples: &[u8], width: usize, to: &mut [f32]) {
        // A few samples walk side by side, since each step waits for memory.
        const ABREAST: usize = 8;
        let classes = self.classes;
        let samples = samples.chunks(ABREAST * width).zip(to.chunks_mut(ABREAST * classes));
        for (samples, to) in samples {
            let len = samples.len() / width;
            for &root in &self.roots[first..] {
                let mut nodes = [self.nodes[root as usize]; ABREAST];
                loop {
                    let mut walking = false;
                    for (at, node) in nodes[..len].iter_mut().enumerate() {
                        if node.feature != LEAF {
                            let value = samples[at * width + usize::from(node.feature)];
                            let next = node.next as usize + usize::from(value > node.threshold);
                            *node = self.nodes[next];
                            walking = true;
                        }
                    }
                    if !walking {
                        break;
                    }
                }
                for (node, to) in nodes.iter().zip(to.chunks_mut(classes)) {
                    let values = &self.values[node.next as usize * classes..][..classes];
                    to.iter_mut().zip(values).for_each(|(to, value)| *to += value);
                }
            }
        }
    }

    /// What the trees say of samples, on several threads: `table` writes each as `width` bytes,
    /// `end` makes probabilities of a sample's sums. Nothing before there are trees.
    pub(crate) fn predict(
        &self,
        rows: Rows<'_>,
        threads: usize,
        width: usize,
        table: impl Fn(Rows<'_>, &mut Vec<u8>) + Sync,
        end: impl Fn(&mut [f32]) + Sync,
    ) -> Vec<f32> {
        let classes = self.classes;
        let mut probabilities = vec![0.0; rows.len() * classes];
        if classes == 0 {
            return probabilities;
        }
        let pieces = rows.rows.chunks(TOGETHER).zip(probabilities.chunks_mut(TOGETHER * classes));
        share(threads, pieces, Vec::new, |samples, (some, probabilities)| {
            table(Rows { data: rows.data, rows: some }, samples);
            self.add(samples, width, probabilities);
            probabilities.chunks_mut(classes).for_each(&end);
        });
        probabilities
    }

    /// Keeps the first `len` trees.
    pub(crate) fn truncate(&mut self, len: usize) {
        if let Some(&end) = self.roots.get(len) {
            self.nodes.truncate(end as usize);
            self.roots.truncate(len);
            let rows = self.nodes.iter().filter(|node| node.feature == LEAF);
            let rows = rows.map(|node| node.next as usize + 1).max().unwrap_or(0);
            self.values.truncate(rows * self.classes);
        }
    }

    /// Bytes of what was learned.
    pub(crate) fn size(&self) -> usize {
        self.nodes.len() * size_of::<Node>() + self.values.len() * size_of::<f32>()
    }

    /// As tensors, whose names begin with `prefix`.
    pub(crate) fn stored(&self, prefix: &str) -> Vec<Stored> {
        let name = |name: &str| format!("{prefix}{name}");
        let features: Vec<u32> = self.nodes.iter().map(|node| u32::from(node.feature)).collect();
        let thresholds: Vec<u8> = self.nodes.iter().map(|node| node.threshold).collect();
        let next: Vec<u32> = self.nodes.iter().map(|node| node.next).collect();
        let rows = self.values.len() / self.classes.max(1);
        vec![
            Stored::whole(&name("feature"), &features),
            Stored::bytes(&name("threshold"), &[thresholds.len()], &thresholds),
            Stored::whole(&name("next"), &next),
            Stored::whole(&name("roots"), &self.roots),
            Stored::floats(&name("values"), &[rows, self.classes], &self.values),
        ]
    }

    /// As an operator that adds up leaves, their values times `scale`, from bytes over `unit`.
    pub(crate) fn operator(
        &self,
        graph: &mut Graph,
        (input, unit): (&str, f32),
        (output, scale): (&str, f32),
    ) {
        let mut ids: [Vec<i64>; 5] = Default::default();
        let [trees, numbers, features, less, more] = &mut ids;
        let (mut thresholds, mut modes) = (Vec::new(), Vec::new());
        let mut leaves: [Vec<i64>; 3] = Default::default();
        let mut values = Vec::new();
        for (tree, &root) in self.roots.iter().enumerate() {
            let end = self.roots.get(tree + 1).map_or(self.nodes.len(), |&end| end as usize);
            for (number, node) in self.nodes[root as usize..end].iter().enumerate() {
                trees.push(tree as i64);
                numbers.push(number as i64);
                if node.feature == LEAF {
                    features.push(0);
                    less.push(0);
                    more.push(0);
                    thresholds.push(0.0);
                    modes.push("LEAF");
                    for class in 0..self.classes {
                        leaves[0].push(tree as i64);
                        leaves[1].push(number as i64);
                        leaves[2].push(class as i64);
                        values.push(scale * self.values[node.next as usize * self.classes + class]);
                    }
                } else {
                    let next = i64::from(node.next - root);
                    features.push(i64::from(node.feature));
                    less.push(next);
                    more.push(next + 1);
                    thresholds.push((f32::from(node.threshold) + 0.5) / unit);
                    modes.push("BRANCH_LEQ");
                }
            }
        }
        let [trees, numbers, features, less, more] = ids;
        let [leaf_trees, leaf_numbers, leaf_classes] = leaves;
        graph.node(
            "TreeEnsembleRegressor",
            &[input],
            &[output],
            &[
                ("n_targets", Attribute::Int(self.classes as i64)),
                ("aggregate_function", Attribute::Text("SUM")),
                ("nodes_treeids", Attribute::Ints(trees)),
                ("nodes_nodeids", Attribute::Ints(numbers)),
                ("nodes_featureids", Attribute::Ints(features)),
                ("nodes_values", Attribute::Floats(thresholds)),
                ("nodes_modes", Attribute::Texts(modes)),
                ("nodes_truenodeids", Attribute::Ints(less)),
                ("nodes_falsenodeids", Attribute::Ints(more)),
                ("target_treeids", Attribute::Ints(leaf_trees)),
                ("target_nodeids", Attribute::Ints(leaf_numbers)),
                ("target_ids", Attribute::Ints(leaf_classes)),
                ("target_weights", Attribute::Floats(values)),
            ],
        );
    }

    /// From tensors. Every walk over samples of `width` bytes stays within them and ends.
    pub(crate) fn restored(
        archive: &Archive<'_>,
        prefix: &str,
        width: usize,
        classes: usize,
    ) -> Result<Trees, LearnError> {
        let name = |name: &str| format!("{prefix}{name}");
        let rows = archive.shape(&name("values"))?[0];
        let values = archive.floats(&name("values"), &[rows, classes])?;
        let (features, next) = (archive.whole(&name("feature"))?, archive.whole(&name("next"))?);
        let thresholds = archive.bytes(&name("threshold"), &[features.len()])?;
        let roots = archive.whole(&name("roots"))?;
        let wrong = || archive.wrong("its trees do not hang together".to_owned());
        if features.len() != next.len() || roots.is_empty() {
            return Err(wrong());
        }
        let mut nodes = Vec::with_capacity(next.len());
        let all = next.len();
        let each = features.into_iter().zip(thresholds).zip(next).enumerate();
        for (at, ((feature, threshold), next)) in each {
            let feature = u16::try_from(feature).map_err(|_| wrong())?;
            let to = next as usize;
            // A child behind its parent: no walk goes round in a circle.
            let fits = match feature {
                LEAF => to < rows,
                _ => usize::from(feature) < width && to > at && to < all - 1,
            };
            if !fits {
                return Err(wrong());
            }
            nodes.push(Node { feature, threshold, next });
        }
        if roots.iter().any(|&root| root as usize >= all) {
            return Err(wrong());
        }
        Ok(Trees { nodes, roots, values, classes })
    }
}

/// Brings those for which `first` holds to the front, and says how many they are.
pub(crate) fn partition<T: Copy>(rows: &mut [T], first: impl Fn(T) -> bool) -> usize {
    let mut middle = 0;
    for at in 0..rows.len() {
        rows.swap(at, middle);
        middle += usize::from(first(rows[middle]));
    }
    middle
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_walk_to_their_leaves() {
        let mut trees = Trees::new(2);
        trees.values.extend([1.0, 0.0, 0.0, 1.0]);
        let split = Node { feature: 1, threshold: 7, next: 1 };
        trees.push(&[split, Node::leaf(0), Node::leaf(1)], &[], 2);
        trees.push(&[split, Node::leaf(2), Node::leaf(0)], &[0.5, 0.5], 2);
        let samples: Vec<u8> = (0..20).flat_map(|at| [99, at]).collect();
        let mut to = vec![0.0; 40];
        trees.add(&samples, 2, &mut to);
        for (at, to) in to.chunks(2).enumerate() {
            assert_eq!(to, if at <= 7 { [1.5, 0.5] } else { [1.0, 1.0] }, "sample {at}");
        }
    }

    #[test]
    fn parts_are_whole() {
        let mut rows: Vec<u32> = (0..50).collect();
        let middle = partition(&mut rows, |row| row % 3 == 0);
        assert_eq!(middle, 17);
        assert!(rows[..middle].iter().all(|row| row % 3 == 0));
        assert!(rows[middle..].iter().all(|row| row % 3 != 0));
    }
}
