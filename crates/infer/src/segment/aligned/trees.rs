//! Boosted trees read from a text.
//!
//! One line a tree: its nodes separated by spaces. An inner node is `FEATURE:THRESHOLD:LEFT:RIGHT`
//! with indices of nodes in the same line, a leaf is its value. Values up to the threshold go left.

use std::fmt;

/// A sum of trees.
#[derive(Debug, Clone, Default)]
pub(super) struct Trees {
    nodes: Vec<Node>,
    roots: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
enum Node {
    Inner { feature: u16, threshold: f32, left: u32, right: u32 },
    Leaf(f32),
}

/// Why a text is no sum of trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelError {
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} is no tree", self.line)
    }
}

impl std::error::Error for ModelError {}

impl Trees {
    /// Reads trees over `features` numbers.
    pub(super) fn parse<'a>(
        lines: impl Iterator<Item = (usize, &'a str)>,
        features: usize,
    ) -> Result<Self, ModelError> {
        let mut out = Trees::default();
        for (line, text) in lines {
            let base = out.nodes.len() as u32;
            let count = text.split_ascii_whitespace().count();
            for (at, node) in text.split_ascii_whitespace().enumerate() {
                let node = read(node, base, at, count, features).ok_or(ModelError { line })?;
                out.nodes.push(node);
            }
            if count > 0 {
                out.roots.push(base);
            }
        }
        Ok(out)
    }

    /// The sum for one row of numbers.
    pub(super) fn sum(&self, row: &[f32]) -> f32 {
        self.roots.iter().map(|root| self.value(*root, row)).sum()
    }

    fn value(&self, root: u32, row: &[f32]) -> f32 {
        let mut at = root;
        loop {
            match self.nodes[at as usize] {
                Node::Leaf(value) => return value,
                Node::Inner { feature, threshold, left, right } => {
                    at = if row[usize::from(feature)] <= threshold { left } else { right };
                }
            }
        }
    }
}

/// A node's children must come after it, so that no text makes an endless walk.
fn read(text: &str, base: u32, at: usize, count: usize, features: usize) -> Option<Node> {
    if !text.contains(':') {
        return text.parse().ok().filter(|value: &f32| value.is_finite()).map(Node::Leaf);
    }
    let mut parts = text.split(':');
    let feature: u16 = parts.next()?.parse().ok()?;
    let threshold: f32 = parts.next()?.parse().ok()?;
    let mut child = || {
        let child: usize = parts.next()?.parse().ok()?;
        (at < child && child < count).then(|| base + child as u32)
    };
    let (left, right) = (child()?, child()?);
    (usize::from(feature) < features && threshold.is_finite() && parts.next().is_none())
        .then_some(Node::Inner { feature, threshold, left, right })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trees(text: &str) -> Result<Trees, ModelError> {
        Trees::parse(text.lines().enumerate().map(|(line, text)| (line + 1, text)), 2)
    }

    #[test]
    fn trees_add_up() {
        let trees = trees("0:0.5:1:2 -1 1:2:3:4 10 20\n0.25\n").unwrap();
        assert_eq!(trees.sum(&[0.5, 0.0]), -0.75);
        assert_eq!(trees.sum(&[0.6, 2.0]), 10.25);
        assert_eq!(trees.sum(&[0.6, 2.1]), 20.25);
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        for text in [
            "0:1:0:1 2",
            "0:1:1:9 2 3",
            "7:1:1:2 2 3",
            "0:1:1:2:3 2 3",
            "x",
            "NaN",
            "0:inf:1:2 1 1",
        ] {
            assert_eq!(trees(text).unwrap_err(), ModelError { line: 1 }, "{text}");
        }
        assert_eq!(trees("1\nx").unwrap_err(), ModelError { line: 2 });
    }
}
