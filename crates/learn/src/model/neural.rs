//! Trains any network: passes over shuffled batches by Adam, early stop, checkpoints.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::classifier::{Control, Device, Epoch, Fit};
#[cfg(feature = "gpu")]
use crate::engine::gpu;
use crate::engine::math::{Adam, Tally, likeliest};
use crate::engine::network::{Network, Step};
use crate::engine::random::{Random, mix};
use crate::engine::simd::Buffer;
use crate::engine::store::{Archive, Head, Stored, write};
use crate::engine::threads::share;
use crate::{Classifier, LearnError, Rows};

/// Samples predicted together.
const TOGETHER: usize = 128;

/// A network with what it has learned.
pub(crate) struct Neural<N: Network> {
    network: Option<N>,
    width: usize,
    classes: usize,
    parameters: Buffer,
}

/// How far training is: all that a checkpoint holds.
struct Progress {
    parameters: Buffer,
    mean: Buffer,
    square: Buffer,
    /// Parameters of the best pass so far, empty without validation.
    best: Buffer,
    best_loss: f32,
    steps: u64,
    epochs: Vec<Epoch>,
    /// Passes since the best.
    stale: u32,
    finished: bool,
}

impl<N: Network> Neural<N> {
    /// Nothing learned.
    pub(crate) fn new() -> Self {
        Neural { network: None, width: 0, classes: 0, parameters: Buffer::default() }
    }

    /// The parameters of a tensor as a file has them.
    fn stored(network: &N, parameters: &[f32], prefix: &str) -> Vec<Stored> {
        let tensors = network.tensors();
        let stored = tensors.iter().map(|tensor| {
            let name = format!("{prefix}{}", tensor.name);
            Stored::floats(&name, &tensor.shape, &tensor.values(parameters))
        });
        stored.collect()
    }

    fn restored(network: &N, archive: &Archive<'_>, prefix: &str) -> Result<Buffer, LearnError> {
        // Shapes are compared before anything of that size is asked for.
        let mut all = Vec::new();
        for tensor in network.tensors() {
            let name = format!("{prefix}{}", tensor.name);
            all.push(archive.floats(&name, &tensor.shape)?);
        }
        let mut parameters = Buffer::zeros(network.parameters());
        for (tensor, values) in network.tensors().iter().zip(all) {
            for (at, value) in values.into_iter().enumerate() {
                parameters[(tensor.place)(at)] = value;
            }
        }
        Ok(parameters)
    }

    fn probabilities(
        network: &N,
        classes: usize,
        parameters: &[f32],
        rows: Rows<'_>,
        threads: usize,
    ) -> Vec<f32> {
        let mut probabilities = vec![0.0; rows.len() * classes];
        let pieces = rows.rows.chunks(TOGETHER).zip(probabilities.chunks_mut(TOGETHER * classes));
        let batch = TOGETHER.min(rows.len());
        share(
            threads,
            pieces,
            || network.work(batch, false),
            |work, (some, probabilities)| {
                let some = Rows { data: rows.data, rows: some };
                network.predict(parameters, some, probabilities, work);
            },
        );
        probabilities
    }

    fn checkpoint(network: &N, path: &Path, run: &str, at: &Progress) -> Result<(), LearnError> {
        let epochs = serde_json::to_string(&at.epochs).unwrap_or_default();
        let said = HashMap::from([
            ("model".to_owned(), format!("{}-checkpoint", N::NAME)),
            ("run".to_owned(), run.to_owned()),
            ("steps".to_owned(), at.steps.to_string()),
            ("stale".to_owned(), at.stale.to_string()),
            ("best_loss".to_owned(), at.best_loss.to_bits().to_string()),
            ("finished".to_owned(), u8::from(at.finished).to_string()),
            ("epochs".to_owned(), epochs),
        ]);
        let mut tensors = Self::stored(network, &at.parameters, "");
        tensors.extend(Self::stored(network, &at.mean, "mean."));
        tensors.extend(Self::stored(network, &at.square, "square."));
        if !at.best.is_empty() {
            tensors.extend(Self::stored(network, &at.best, "best."));
        }
        write(path, said, &tensors)
    }

    fn resume(network: &N, path: &Path, run: &str) -> Result<Progress, LearnError> {
        let name = format!("{}-checkpoint", N::NAME);
        let archive = Archive::read(path, &name)?;
        if archive.said("run")? != run {
            let what = "a checkpoint of other samples or another way to train: move it away";
            return Err(archive.wrong(what.to_owned()));
        }
        let epochs: Vec<Epoch> = serde_json::from_str(archive.said("epochs")?)
            .map_err(|error| archive.wrong(format!("its passes: {error}")))?;
        let bits = archive.number("best_loss", 0..=u32::MAX as usize)?;
        let validated = epochs.iter().any(|epoch| epoch.validation.is_some());
        let best =
            if validated { Self::restored(network, &archive, "best.")? } else { Buffer::default() };
        Ok(Progress {
            parameters: Self::restored(network, &archive, "")?,
            mean: Self::restored(network, &archive, "mean.")?,
            square: Self::restored(network, &archive, "square.")?,
            best,
            best_loss: f32::from_bits(bits as u32),
            steps: archive.number("steps", 0..=usize::MAX)? as u64,
            epochs,
            stale: archive.number("stale", 0..=u32::MAX as usize)? as u32,
            finished: archive.number("finished", 0..=1)? == 1,
        })
    }
}

/// Names samples and a way to train, so that a checkpoint is not continued with others.
fn run_of(name: &str, train: Rows<'_>, validation: Rows<'_>, how: &Fit) -> String {
    let mut hash = mix(train.data.width as u64 ^ (train.data.classes.len() as u64) << 32);
    let mut put = |value: u64| hash = mix(hash ^ value);
    for rows in [train, validation] {
        put(rows.len() as u64);
        for &row in rows.rows {
            let sample = rows.data.sample(row as usize);
            put(u64::from(rows.data.labels[row as usize]) << 32 | sample.len() as u64);
            for bytes in sample.chunks(8) {
                let mut word = [0; 8];
                word[..bytes.len()].copy_from_slice(bytes);
                put(u64::from_le_bytes(word));
            }
        }
    }
    // Neither the number of passes nor of threads: those may change when going on.
    put(how.batch as u64);
    put(u64::from(how.rate.to_bits()));
    put(how.seed);
    put(u64::from(how.balance));
    format!("{name} {hash:016x}")
}

/// Weight of each class: 1, or so that every class weighs the same and samples weigh 1 on
/// average.
pub(crate) fn class_weights(rows: Rows<'_>, balance: bool) -> Vec<f32> {
    let mut counts = vec![0usize; rows.data.classes.len()];
    rows.labels().for_each(|label| counts[usize::from(label)] += 1);
    if !balance {
        return vec![1.0; counts.len()];
    }
    let present = counts.iter().filter(|&&count| count > 0).count();
    counts.into_iter().map(|count| rows.len() as f32 / (present * count.max(1)) as f32).collect()
}

/// Fails unless two classes have samples.
pub(crate) fn two_classes(rows: Rows<'_>) -> Result<(), LearnError> {
    let mut seen = vec![false; rows.data.classes.len()];
    rows.labels().for_each(|label| seen[usize::from(label)] = true);
    let found = seen.into_iter().filter(|&seen| seen).count();
    if found < 2 { Err(LearnError::Classes { found }) } else { Ok(()) }
}

/// Fails where `need` bytes are more than allowed.
pub(crate) fn enough(need: usize, how: &Fit) -> Result<(), LearnError> {
    match how.memory {
        Some(limit) if need as u64 > limit => Err(LearnError::Memory { need: need as u64, limit }),
        _ => Ok(()),
    }
}

/// Mean cross-entropy and share of samples right.
pub(crate) fn judge(probabilities: &[f32], rows: Rows<'_>) -> (f32, f32) {
    let classes = rows.data.classes.len();
    let mut loss = 0.0f64;
    let mut right = 0usize;
    for (chances, label) in probabilities.chunks(classes).zip(rows.labels()) {
        let chance = chances[usize::from(label)];
        loss -= if chance.is_nan() { f64::NAN } else { f64::from(chance.max(1e-37)).ln() };
        right += usize::from(likeliest(chances) == usize::from(label));
    }
    let len = rows.len().max(1) as f64;
    ((loss / len) as f32, (right as f64 / len) as f32)
}

impl<N: Network> Neural<N> {
    /// Begins, or goes on where a checkpoint was left.
    fn begin(
        network: &N,
        how: &Fit,
        checkpoint: Option<&(PathBuf, String)>,
    ) -> Result<Progress, LearnError> {
        if let Some((path, run)) = checkpoint
            && path.exists()
        {
            return Self::resume(network, path, run);
        }
        let mut parameters = Buffer::zeros(network.parameters());
        network.start(&mut parameters, &mut Random::part(how.seed, 0));
        Ok(Progress {
            mean: Buffer::zeros(parameters.len()),
            square: Buffer::zeros(parameters.len()),
            parameters,
            best: Buffer::default(),
            best_loss: f32::INFINITY,
            steps: 0,
            epochs: Vec::new(),
            stale: 0,
            finished: false,
        })
    }

    /// One pass over rows that were shuffled for it. What it drops follows from the seed and its
    /// number alone.
    fn pass(
        network: &N,
        at: &mut Progress,
        train: Rows<'_>,
        how: &Fit,
        weights: &[f32],
        slope: &mut Buffer,
        work: &mut N::Work,
    ) -> Tally {
        let number = at.epochs.len() as u64 + 1;
        let mut sum = Tally::default();
        for (batch, rows) in train.rows.chunks(how.batch.max(1)).enumerate() {
            let rows = Rows { data: train.data, rows };
            let seed = Some(mix(mix(how.seed ^ number << 32) ^ batch as u64));
            let step = Step { weights, seed, threads: how.threads };
            let tally = network.learn(&at.parameters, rows, &step, slope, work);
            sum.loss += tally.loss;
            sum.right += tally.right;
            at.steps += 1;
            let adam = Adam::new(how.rate, at.steps);
            let piece = at.parameters.len().div_ceil(how.threads.max(1)).next_multiple_of(16);
            let pieces = at
                .parameters
                .chunks_mut(piece)
                .zip(at.mean.chunks_mut(piece))
                .zip(at.square.chunks_mut(piece).zip(slope.chunks(piece)));
            // Below this a thread costs more than it saves.
            let threads = if piece < 1 << 16 { 1 } else { how.threads };
            share(
                threads,
                pieces,
                || (),
                |(), ((values, mean), (square, slope))| {
                    adam.apply(values, mean, square, slope);
                },
            );
        }
        sum
    }

    /// The same on a graphics card.
    #[cfg(feature = "gpu")]
    fn pass_on_card(
        network: &N,
        at: &mut Progress,
        train: Rows<'_>,
        how: &Fit,
        weights: &[f32],
    ) -> Result<Tally, LearnError> {
        let seed = Some(mix(how.seed ^ (at.epochs.len() as u64 + 1) << 32));
        let state = gpu::State {
            parameters: &mut at.parameters,
            mean: &mut at.mean,
            square: &mut at.square,
            steps: &mut at.steps,
        };
        let how = gpu::How { weights, rate: how.rate, batch: how.batch, seed };
        gpu::pass(network, state, train, how)
    }

    #[cfg(not(feature = "gpu"))]
    fn pass_on_card(
        _: &N,
        _: &mut Progress,
        _: Rows<'_>,
        _: &Fit,
        _: &[f32],
    ) -> Result<Tally, LearnError> {
        let why = "this program was built without `--features gpu`".to_owned();
        Err(LearnError::Gpu { why })
    }
}

impl<N: Network> Classifier for Neural<N> {
    fn name(&self) -> &'static str {
        N::NAME
    }

    fn fit(
        &mut self,
        train: Rows<'_>,
        validation: Rows<'_>,
        how: &Fit,
        watch: &mut dyn FnMut(&Epoch) -> Control,
    ) -> Result<Vec<Epoch>, LearnError> {
        two_classes(train)?;
        let (width, classes) = (train.data.width, train.data.classes.len());
        let network = N::new(width, classes);
        let batch = how.batch.clamp(1, train.len());
        let copies = 5 * network.parameters() * size_of::<f32>();
        let predicting = how.threads.max(1) * network.work_size(TOGETHER, false);
        enough(copies + network.work_size(batch, true) + predicting, how)?;

        let checkpoint =
            how.checkpoint.clone().map(|path| (path, run_of(N::NAME, train, validation, how)));
        let mut at = Self::begin(&network, how, checkpoint.as_ref())?;
        let weights = class_weights(train, how.balance);
        let mut slope = Buffer::zeros(at.parameters.len());
        let mut work = network.work(batch, true);
        while !at.finished && at.epochs.len() < how.epochs as usize {
            let mut order = train.rows.to_vec();
            Random::part(how.seed, at.epochs.len() as u64 + 1).shuffle(&mut order);
            let order = Rows { data: train.data, rows: &order };
            let sum = match how.device {
                Device::Cpu => {
                    Self::pass(&network, &mut at, order, how, &weights, &mut slope, &mut work)
                }
                Device::Gpu => Self::pass_on_card(&network, &mut at, order, how, &weights)?,
            };
            let len = train.len() as f64;
            let (loss, accuracy) = ((sum.loss / len) as f32, (sum.right as f64 / len) as f32);
            let validated = (!validation.is_empty()).then(|| {
                let chances =
                    Self::probabilities(&network, classes, &at.parameters, validation, how.threads);
                judge(&chances, validation)
            });
            if !loss.is_finite() || validated.is_some_and(|(loss, _)| !loss.is_finite()) {
                return Err(LearnError::Diverged { epoch: at.epochs.len() as u32 });
            }
            let number = at.epochs.len() as u32 + 1;
            let epoch = Epoch { number, loss, accuracy, validation: validated };
            at.epochs.push(epoch);
            if let Some((loss, _)) = validated {
                at.stale += 1;
                if loss < at.best_loss {
                    (at.best_loss, at.stale) = (loss, 0);
                    at.best.clone_from(&at.parameters);
                }
            }
            let stop = watch(&epoch) == Control::Stop;
            at.finished = how.patience > 0 && at.stale >= how.patience;
            if let Some((path, run)) = &checkpoint {
                Self::checkpoint(&network, path, run, &at)?;
            }
            if stop {
                break;
            }
        }
        self.parameters = if at.best.is_empty() { at.parameters } else { at.best };
        (self.network, self.width, self.classes) = (Some(network), width, classes);
        Ok(at.epochs)
    }

    fn predict(&self, rows: Rows<'_>, threads: usize) -> Vec<f32> {
        let Some(network) = &self.network else { return Vec::new() };
        Self::probabilities(network, self.classes, &self.parameters, rows, threads)
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn save(&self, path: &Path) -> Result<(), LearnError> {
        let head = Head { name: N::NAME, width: self.width, classes: self.classes };
        let tensors = self.network.as_ref().map(|n| Self::stored(n, &self.parameters, ""));
        head.save(path, &tensors.unwrap_or_default())
    }

    fn load(&mut self, path: &Path) -> Result<(), LearnError> {
        let (archive, Head { width, classes, .. }) = Head::read(path, N::NAME)?;
        let network = N::new(width, classes);
        self.parameters = Self::restored(&network, &archive, "")?;
        (self.network, self.width, self.classes) = (Some(network), width, classes);
        Ok(())
    }

    fn size(&self) -> usize {
        let tensors = self.network.as_ref().map(N::tensors).unwrap_or_default();
        tensors.iter().map(|tensor| tensor.len() * size_of::<f32>()).sum()
    }

    fn onnx(&self) -> Option<Vec<u8>> {
        self.network.as_ref()?.onnx(&self.parameters)
    }
}
