//! Our own: boosted trees over the bytes, over what can be counted in them, and over packet
//! sizes, directions and gaps where samples have them.
//!
//! Which bytes may be looked at is decided before, by masks. A count survives what a single byte
//! does not: a field that moves by a few places, a payload of another length.

use std::path::Path;

use crate::classifier::{Control, Epoch, Fit};
use crate::engine::columns::Columns;
use crate::engine::math::softmax;
use crate::engine::store::{Archive, Stored, said, write};
use crate::engine::threads::share;
use crate::engine::trees::{LEAF, Trees};
use crate::model::boosted::{Running, boost, need};
use crate::model::neural::{enough, two_classes};
use crate::{Classifier, LearnError, Rows};

/// Its name in files and on the command line.
const NAME: &str = "ours";
/// What is counted: length, zeros, printable bytes, entropy of the whole and of both halves, and
/// each high nibble.
const COUNTED: usize = 6 + 16;
/// Borders between the values of a feature, at most.
const BORDERS: usize = 255;
/// Samples predicted together.
const TOGETHER: usize = 256;

/// Trees over a table of bytes, counts and features.
#[derive(Debug, Default)]
pub(crate) struct Ours {
    width: usize,
    /// Of each feature, the borders between what are taken for one value.
    borders: Vec<Vec<f32>>,
    trees: Trees,
}

/// Entropy in 32nds of a bit.
fn entropy(bytes: &[u8]) -> u8 {
    let mut counts = [0u32; 256];
    bytes.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
    let len = bytes.len().max(1) as f32;
    let bits: f32 = counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| -(count as f32 / len) * (count as f32 / len).log2())
        .sum();
    (bits * 31.9) as u8
}

/// What is counted in a sample. Shares are of its length without the zeros at its end.
fn counted(sample: &[u8], to: &mut [u8]) {
    let len = sample.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1);
    let used = &sample[..len];
    let share = |count: usize| (count * 255 / len.max(1)) as u8;
    to[0] = (len * 255 / sample.len().max(1)) as u8;
    let zeros: usize = used.iter().map(|&byte| usize::from(byte == 0)).sum();
    to[1] = share(zeros);
    to[2] = share(used.iter().filter(|byte| (0x20..0x7f).contains(*byte)).count());
    to[3] = entropy(used);
    let (front, back) = used.split_at(len / 2);
    (to[4], to[5]) = (entropy(front), entropy(back));
    let mut nibbles = [0usize; 16];
    used.iter().for_each(|byte| nibbles[usize::from(byte >> 4)] += 1);
    to[6..].iter_mut().zip(nibbles).for_each(|(to, count)| *to = share(count));
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
        let classes = train.data.classes.len();
        let tables = (train.len() + validation.len()) * row;
        enough(tables + need(train.len(), row, classes, how.threads), how)?;
        let mut values = Vec::new();
        let borders = (0..have).map(|feature| {
            let all = train.rows.iter().map(|&row| row as usize * train.data.feature_width());
            values.clear();
            values.extend(all.map(|from| train.data.features[from + feature]));
            borders_of(&mut values)
        });
        let learned = Ours { width, borders: borders.collect(), trees: Trees::default() };
        let mut table = Vec::new();
        learned.table(train, &mut table);
        let columns = Columns::of_table(&table, row);
        learned.table(validation, &mut table);
        let mut running = Running::new(table, row);
        let mut validated = |trees: &Trees| running.judge(trees, validation);
        let (trees, epochs) = boost((&columns, have), train, how, &mut validated, watch)?;
        *self = Ours { trees, ..learned };
        Ok(epochs)
    }

    fn predict(&self, rows: Rows<'_>, threads: usize) -> Vec<f32> {
        let classes = self.trees.classes;
        let mut probabilities = vec![0.0; rows.len() * classes];
        if classes == 0 {
            return probabilities;
        }
        let pieces = rows.rows.chunks(TOGETHER).zip(probabilities.chunks_mut(TOGETHER * classes));
        share(threads, pieces, Vec::new, |table, (some, probabilities)| {
            self.table(Rows { data: rows.data, rows: some }, table);
            self.trees.add(table, self.row(), probabilities);
            probabilities.chunks_mut(classes).for_each(softmax);
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
        let counts: Vec<u32> = self.borders.iter().map(|borders| borders.len() as u32).collect();
        let borders = self.borders.concat();
        let mut tensors = self.trees.stored();
        tensors.push(Stored::whole("border_counts", &counts));
        tensors.push(Stored::floats("borders", &[borders.len()], &borders));
        write(path, said(NAME, self.width, self.trees.classes), &tensors)
    }

    fn load(&mut self, path: &Path) -> Result<(), LearnError> {
        let archive = Archive::read(path, NAME)?;
        let (width, classes) = archive.shape()?;
        let counts = archive.whole("border_counts")?;
        let all = archive.floats("borders", &[archive.rows("borders")?])?;
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
        let mut learned = Ours { width, borders, trees: Trees::default() };
        learned.trees = Trees::restored(&archive, learned.row(), classes)?;
        *self = learned;
        Ok(())
    }

    fn size(&self) -> usize {
        let borders: usize = self.borders.iter().map(|borders| borders.len()).sum();
        self.trees.size() + borders * size_of::<f32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted() {
        let mut to = [0; COUNTED];
        counted(&[0x41, 0x00, 0x41, 0xff, 0, 0, 0, 0], &mut to);
        assert_eq!(to[..3], [127, 63, 127]);
        assert_eq!((to[6], to[6 + 4], to[6 + 15]), (63, 127, 63));
        assert_eq!(entropy(&[7; 99]), 0);
        assert_eq!(entropy(&(0..=255).collect::<Vec<u8>>()), 255);
    }

    #[test]
    fn borders_part_what_was_seen() {
        assert_eq!(borders_of(&mut vec![3.0, 1.0, 2.0, 1.0, f32::NAN]), [2.0, 3.0]);
        assert_eq!(borders_of(&mut vec![5.0; 10]), Vec::<f32>::new());
        let many = borders_of(&mut (0..10_000).map(|at| at as f32).collect());
        assert_eq!(many.len(), BORDERS);
        assert!(many.is_sorted());
    }
}
