//! The nearest neighbour: whatever the most similar training sample was.
//!
//! Compares packet sizes, directions and gaps where samples have them, else bytes, by the sum of
//! squared differences. A rival that needs no training and remembers everything.

use std::path::Path;

use crate::classifier::{Control, Epoch, Fit};
use crate::engine::onnx::{Attribute, BYTES, FEATURES, Graph, PROBABILITIES, TO_DOUBLE};
use crate::engine::simd::{Wide, wide};
use crate::engine::store::{Head, Stored};
use crate::engine::threads::share;
use crate::model::neural::{enough, judge, two_classes};
use crate::{Classifier, LearnError, Rows};

/// Its name in files and on the command line.
const NAME: &str = "nearest";
/// Samples that look at the same neighbours together.
const TOGETHER: usize = 32;
/// Neighbours that are looked at together: they stay in the second cache.
const NEAR: usize = 512;

/// All training samples.
#[derive(Debug, Default)]
pub(crate) struct Nearest {
    width: usize,
    classes: usize,
    /// Features of a sample; with none, bytes are compared.
    feature_width: usize,
    bytes: Vec<u8>,
    features: Vec<f32>,
    labels: Vec<u16>,
}

struct Bytes<'a>(&'a [u8], &'a [u8]);

impl Wide for Bytes<'_> {
    type Out = f64;

    #[inline(always)]
    fn run<const FUSED: bool>(self) -> f64 {
        // 33 thousand squares of a byte fill 31 bits.
        let parts = self.0.chunks(1 << 15).zip(self.1.chunks(1 << 15));
        let parts = parts.map(|(a, b)| {
            a.iter().zip(b).fold(0i32, |sum, (a, b)| {
                let apart = i16::from(*a) - i16::from(*b);
                sum + i32::from(apart) * i32::from(apart)
            })
        });
        parts.map(f64::from).sum()
    }
}

struct Numbers<'a>(&'a [f32], &'a [f32]);

impl Wide for Numbers<'_> {
    type Out = f64;

    #[inline(always)]
    fn run<const FUSED: bool>(self) -> f64 {
        let mut sums = [0.0f32; 16];
        for (a, b) in self.0.chunks(16).zip(self.1.chunks(16)) {
            for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                *sum += (a - b) * (a - b);
            }
        }
        f64::from(sums.iter().sum::<f32>())
    }
}

impl Nearest {
    fn head(&self) -> Head {
        Head { name: NAME, width: self.width, classes: self.classes }
    }

    /// The features of some samples, cut or zero-filled.
    fn features_of(rows: Rows<'_>, width: usize) -> Vec<f32> {
        let have = rows.data.feature_width();
        let mut features = vec![0.0; rows.len() * width];
        for (to, &row) in features.chunks_mut(width.max(1)).zip(rows.rows) {
            let from = &rows.data.features[row as usize * have..][..have.min(width)];
            to[..from.len()].copy_from_slice(from);
        }
        features
    }

    /// The nearest training sample of each; the first where several are.
    fn nearest(&self, rows: Rows<'_>) -> Vec<usize> {
        let mut bytes = Vec::new();
        rows.bytes(self.width, &mut bytes);
        let features = Self::features_of(rows, self.feature_width);
        let mut best = vec![(f64::INFINITY, 0); rows.len()];
        for from in (0..self.labels.len()).step_by(NEAR) {
            for (at, best) in best.iter_mut().enumerate() {
                for other in from..(from + NEAR).min(self.labels.len()) {
                    let apart = if self.feature_width > 0 {
                        let width = self.feature_width;
                        let (a, b) = (&features[at * width..], &self.features[other * width..]);
                        wide(Numbers(&a[..width], &b[..width]))
                    } else {
                        let width = self.width;
                        let (a, b) = (&bytes[at * width..], &self.bytes[other * width..]);
                        wide(Bytes(&a[..width], &b[..width]))
                    };
                    if apart < best.0 {
                        *best = (apart, other);
                    }
                }
            }
        }
        best.into_iter().map(|(_, other)| other).collect()
    }
}

impl Classifier for Nearest {
    fn name(&self) -> &'static str {
        NAME
    }

    /// Remembers. Training samples are not looked up again, since each would find itself.
    fn fit(
        &mut self,
        train: Rows<'_>,
        validation: Rows<'_>,
        how: &Fit,
        watch: &mut dyn FnMut(&Epoch) -> Control,
    ) -> Result<Vec<Epoch>, LearnError> {
        two_classes(train)?;
        let feature_width = train.data.feature_width();
        let width = train.data.width;
        enough(train.len() * if feature_width > 0 { 4 * feature_width } else { width }, how)?;
        let mut bytes = Vec::new();
        if feature_width == 0 {
            train.bytes(width, &mut bytes);
        }
        *self = Nearest {
            width,
            classes: train.data.classes.len(),
            feature_width,
            bytes,
            features: Self::features_of(train, feature_width),
            labels: train.labels().collect(),
        };
        let validation = (!validation.is_empty())
            .then(|| judge(&self.predict(validation, how.threads), validation));
        let epoch = Epoch { number: 1, loss: 0.0, accuracy: 1.0, validation };
        watch(&epoch);
        Ok(vec![epoch])
    }

    fn predict(&self, rows: Rows<'_>, threads: usize) -> Vec<f32> {
        let mut probabilities = vec![0.0; rows.len() * self.classes];
        if self.labels.is_empty() {
            return probabilities;
        }
        let pieces = probabilities.chunks_mut(TOGETHER * self.classes);
        let pieces = rows.rows.chunks(TOGETHER).zip(pieces);
        share(
            threads,
            pieces,
            || (),
            |(), (some, probabilities)| {
                let nearest = self.nearest(Rows { data: rows.data, rows: some });
                for (to, other) in probabilities.chunks_mut(self.classes).zip(nearest) {
                    to[usize::from(self.labels[other])] = 1.0;
                }
            },
        );
        probabilities
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn save(&self, path: &Path) -> Result<(), LearnError> {
        let labels: Vec<u32> = self.labels.iter().map(|&label| u32::from(label)).collect();
        let len = labels.len();
        let samples = if self.feature_width > 0 {
            Stored::floats("features", &[len, self.feature_width], &self.features)
        } else {
            Stored::bytes("bytes", &[len, self.width], &self.bytes)
        };
        self.head().save(path, &[samples, Stored::whole("labels", &labels)])
    }

    fn load(&mut self, path: &Path) -> Result<(), LearnError> {
        let (archive, Head { width, classes, .. }) = Head::read(path, NAME)?;
        let labels: Vec<u16> = archive
            .whole("labels")?
            .into_iter()
            .map(|label| {
                let label = u16::try_from(label).ok().filter(|&l| usize::from(l) < classes);
                label.ok_or_else(|| archive.wrong("a label beyond its classes".to_owned()))
            })
            .collect::<Result<_, _>>()?;
        let (mut bytes, mut features, mut feature_width) = (Vec::new(), Vec::new(), 0);
        if let Ok(shape) = archive.shape("features") {
            feature_width = shape.iter().skip(1).product();
            features = archive.floats("features", &[labels.len(), feature_width])?;
        } else {
            bytes = archive.bytes("bytes", &[labels.len(), width])?;
        }
        *self = Nearest { width, classes, feature_width, bytes, features, labels };
        Ok(())
    }

    fn size(&self) -> usize {
        self.bytes.len() + self.features.len() * size_of::<f32>() + self.labels.len() * 2
    }
    /// All samples are in the graph. Distances there are products in double precision, which of
    /// bytes are exact, so that the first of equally near samples is the same one.
    fn onnx(&self) -> Option<Vec<u8>> {
        if self.labels.is_empty() {
            return None;
        }
        let mut graph = Graph::default();
        let len = self.labels.len();
        let (name, width, squares): (_, _, Vec<f64>) = if self.feature_width > 0 {
            graph.floats("samples", &[len, self.feature_width], &self.features);
            graph.node("Cast", &[FEATURES], &["exact"], &[("to", TO_DOUBLE)]);
            let samples = self.features.chunks(self.feature_width);
            let square = |sample: &[f32]| sample.iter().map(|&x| f64::from(x).powi(2)).sum();
            (FEATURES, self.feature_width, samples.map(square).collect())
        } else {
            graph.bytes("samples", &[len, self.width], &self.bytes);
            graph.floats("unit", &[1], &[255.0]);
            graph.node("Mul", &[BYTES, "unit"], &["near"], &[]);
            graph.node("Round", &["near"], &["whole"], &[]);
            graph.node("Cast", &["whole"], &["exact"], &[("to", TO_DOUBLE)]);
            let samples = self.bytes.chunks(self.width);
            let square = |sample: &[u8]| sample.iter().map(|&x| f64::from(x).powi(2)).sum();
            (BYTES, self.width, samples.map(square).collect())
        };
        // |a - b|^2 - |a|^2, of which the smallest is wanted.
        graph.node("Cast", &["samples"], &["known"], &[("to", TO_DOUBLE)]);
        graph.doubles("squares", &squares);
        graph.doubles("twice", &[-2.0]);
        let order = [("perm", Attribute::Ints(vec![1, 0]))];
        graph.node("Transpose", &["known"], &["columns"], &order);
        graph.node("MatMul", &["exact", "columns"], &["products"], &[]);
        graph.node("Mul", &["products", "twice"], &["crossed"], &[]);
        graph.node("Add", &["crossed", "squares"], &["apart"], &[]);
        let across = [("axis", Attribute::Int(1)), ("keepdims", Attribute::Int(0))];
        graph.node("ArgMin", &["apart"], &["nearest"], &across);
        let mut answers = vec![0.0; len * self.classes];
        for (answer, &label) in answers.chunks_mut(self.classes).zip(&self.labels) {
            answer[usize::from(label)] = 1.0;
        }
        graph.floats("answers", &[len, self.classes], &answers);
        graph.node("Gather", &["answers", "nearest"], &[PROBABILITIES], &[]);
        Some(graph.model(self.head(), &[(name, width)]))
    }
}
