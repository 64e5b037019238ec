//! Our own: boosted trees and a forest over the bytes, over what can be counted in them, and over
//! packet sizes, directions and gaps where samples have them; the answer is the mean of both.
//!
//! Which bytes may be looked at is decided before, by masks.

use std::path::Path;

use crate::classifier::{Control, Epoch, Fit};
use crate::engine::columns::Columns;
use crate::engine::math::softmax;
use crate::engine::onnx::{Attribute, BYTES, FEATURES, Graph, PROBABILITIES, TO_FLOAT};
use crate::engine::store::{Head, Stored};
use crate::engine::trees::{LEAF, Trees};
use crate::model::boosted::{self, Running, boost};
use crate::model::counted::{self, COUNTED, counted};
use crate::model::forest::{self, plant};
use crate::model::neural::{enough, two_classes};
use crate::{Classifier, LearnError, Rows};

/// Its name in files and on the command line.
const NAME: &str = "ours";
/// Borders between the values of a feature, at most.
const BORDERS: usize = 255;
/// What the names of a forest's tensors begin with.
const FOREST: &str = "forest.";

/// Trees over a table of bytes, counts and features.
#[derive(Debug, Default)]
pub(crate) struct Ours {
    width: usize,
    /// Of each feature, the borders between what are taken for one value.
    borders: Vec<Vec<f32>>,
    boosted: Trees,
    forest: Trees,
}

/// Borders that part the values seen into equally full values.
fn borders_of(values: &mut Vec<f32>) -> Vec<f32> {
    values.retain(|value| value.is_finite());
    values.sort_unstable_by(f32::total_cmp);
    let mut borders: Vec<f32> = Vec::new();
    let mut distinct = values.clone();
    distinct.dedup();
    let from = if distinct.len() <= BORDERS + 1 { &distinct } else { &*values };
    let wanted = (BORDERS + 1).min(from.len());
    for at in 1..wanted {
        let upper = from[at * from.len() / wanted];
        if borders.last().is_none_or(|last| *last < upper) && upper > from[0] {
            borders.push(upper);
        }
    }
    borders
}

impl Ours {
    fn head(&self) -> Head {
        Head { name: NAME, width: self.width, classes: self.boosted.classes }
    }

    fn row(&self) -> usize {
        self.width + COUNTED + self.borders.len()
    }

    /// The table of some samples, row by row.
    fn table(&self, rows: Rows<'_>, to: &mut Vec<u8>) {
        let have = rows.data.feature_width();
        to.clear();
        to.resize(rows.len() * self.row(), 0);
        let each = to.chunks_exact_mut(self.row()).zip(rows.samples()).zip(rows.rows);
        for ((to, sample), &row) in each {
            let len = sample.len().min(self.width);
            let (bytes, rest) = to.split_at_mut(self.width);
            bytes[..len].copy_from_slice(&sample[..len]);
            let (counts, features) = rest.split_at_mut(COUNTED);
            counted(bytes, counts);
            let from = &rows.data.features[row as usize * have..][..have];
            for ((to, borders), value) in features.iter_mut().zip(&self.borders).zip(from) {
                *to = borders.partition_point(|border| border <= value) as u8;
            }
        }
    }
}

impl Classifier for Ours {
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
        let have = train.data.feature_width().min(usize::from(LEAF) / 2);
        let width = train.data.width.min(usize::from(LEAF) / 2 - COUNTED);
        let row = width + COUNTED + have;
        let (classes, threads) = (train.data.classes.len(), how.threads);
        let tables = (2 * train.len() + validation.len()) * row;
        let growing = boosted::need(train.len(), classes, threads).max(forest::need(
            train.len(),
            classes,
            threads,
        ));
        enough(tables + growing, how)?;
        let mut values = Vec::new();
        let borders = (0..have).map(|feature| {
            let all = train.rows.iter().map(|&row| row as usize * train.data.feature_width());
            values.clear();
            values.extend(all.map(|from| train.data.features[from + feature]));
            borders_of(&mut values)
        });
        let mut learned = Ours { width, borders: borders.collect(), ..Ours::default() };
        let mut table = Vec::new();
        learned.table(train, &mut table);
        let columns = Columns::of_table(&table, row);
        learned.table(validation, &mut table);
        let mut running = Running::new(table, row);
        let mut validated = |trees: &Trees| running.judge(trees, validation);
        let (boosted, epochs) = boost((&columns, have), train, how, &mut validated, watch)?;
        (learned.boosted, learned.forest) = (boosted, plant(&columns, train, how));
        *self = learned;
        Ok(epochs)
    }

    fn predict(&self, rows: Rows<'_>, threads: usize) -> Vec<f32> {
        let table = |rows: Rows<'_>, to: &mut Vec<u8>| self.table(rows, to);
        let mut chances = self.boosted.predict(rows, threads, self.row(), table, softmax);
        let share = 1.0 / self.forest.roots.len() as f32;
        let mean = |sums: &mut [f32]| sums.iter_mut().for_each(|sum| *sum *= share);
        let others = self.forest.predict(rows, threads, self.row(), table, mean);
        chances
            .iter_mut()
            .zip(others)
            .for_each(|(chance, other)| *chance = 0.5 * (*chance + other));
        chances
    }

    fn classes(&self) -> usize {
        self.boosted.classes
    }

    fn save(&self, path: &Path) -> Result<(), LearnError> {
        let counts: Vec<u32> = self.borders.iter().map(|borders| borders.len() as u32).collect();
        let borders = self.borders.concat();
        let mut tensors = self.boosted.stored("");
        tensors.extend(self.forest.stored(FOREST));
        tensors.push(Stored::whole("border_counts", &counts));
        tensors.push(Stored::floats("borders", &[borders.len()], &borders));
        self.head().save(path, &tensors)
    }

    fn load(&mut self, path: &Path) -> Result<(), LearnError> {
        let (archive, Head { width, classes, .. }) = Head::read(path, NAME)?;
        let counts = archive.whole("border_counts")?;
        let all = archive.floats("borders", &[archive.shape("borders")?[0]])?;
        let mut rest = &all[..];
        let mut borders = Vec::with_capacity(counts.len());
        for count in counts {
            let split = rest.split_at_checked(count as usize).filter(|_| count as usize <= BORDERS);
            let Some((some, after)) = split else {
                return Err(archive.wrong("its borders are not as many as it says".to_owned()));
            };
            borders.push(some.to_vec());
            rest = after;
        }
        let mut learned = Ours { width, borders, ..Ours::default() };
        let row = learned.row();
        learned.boosted = Trees::restored(&archive, "", row, classes)?;
        learned.forest = Trees::restored(&archive, FOREST, row, classes)?;
        *self = learned;
        Ok(())
    }

    fn size(&self) -> usize {
        let borders: usize = self.borders.iter().map(|borders| borders.len()).sum();
        self.boosted.size() + self.forest.size() + borders * size_of::<f32>()
    }

    fn onnx(&self) -> Option<Vec<u8>> {
        if self.boosted.roots.is_empty() {
            return None;
        }
        let mut graph = Graph::default();
        counted::graph(&mut graph, self.width);
        let (mut parts, mut inputs) = (vec!["bytes", "counted"], vec![(BYTES, self.width)]);
        if !self.borders.is_empty() {
            // Borders that a feature lacks are never reached.
            let mut borders = vec![f32::INFINITY; self.borders.len() * BORDERS];
            for (to, from) in borders.chunks_mut(BORDERS).zip(&self.borders) {
                to[..from.len()].copy_from_slice(from);
            }
            graph.floats("borders", &[self.borders.len(), BORDERS], &borders);
            graph.node("Unsqueeze", &[FEATURES, "third"], &["by_border"], &[]);
            graph.node("GreaterOrEqual", &["by_border", "borders"], &["is_above"], &[]);
            graph.node("Cast", &["is_above"], &["above"], &[("to", TO_FLOAT)]);
            let summed = [("keepdims", Attribute::Int(0))];
            graph.node("ReduceSum", &["above", "third"], &["parted"], &summed);
            parts.push("parted");
            inputs.push((FEATURES, self.borders.len()));
        }
        graph.node("Concat", &parts, &["table"], &[("axis", Attribute::Int(1))]);
        self.boosted.operator(&mut graph, ("table", 1.0), ("scores", 1.0));
        graph.node("Softmax", &["scores"], &["boosted"], &[("axis", Attribute::Int(1))]);
        let share = 1.0 / self.forest.roots.len() as f32;
        self.forest.operator(&mut graph, ("table", 1.0), ("forest", share));
        graph.node("Mean", &["boosted", "forest"], &[PROBABILITIES], &[]);
        Some(graph.model(self.head(), &inputs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_part_what_was_seen() {
        assert_eq!(borders_of(&mut vec![3.0, 1.0, 2.0, 1.0, f32::NAN]), [2.0, 3.0]);
        assert_eq!(borders_of(&mut vec![5.0; 10]), Vec::<f32>::new());
        let many = borders_of(&mut (0..10_000).map(|at| at as f32).collect());
        assert_eq!(many.len(), BORDERS);
        assert!(many.is_sorted());
    }
}
