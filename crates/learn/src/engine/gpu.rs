//! One pass of training on a graphics card, by burn through wgpu.
//!
//! Parameters go to the card before a pass and come back after it, so that validation, early stop,
//! checkpoints and files are those of the processor, and a model does not tell where it learned.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::module::{conv2d, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};

use crate::engine::convolution::Convolution;
use crate::engine::math::{Adam, Tally};
use crate::engine::network::Network;
use crate::{LearnError, Rows};

/// A tensor of parameters, or one value a sample.
pub(crate) type Flat = Tensor<1>;
/// Values by sample.
pub(crate) type Matrix = Tensor<2>;
/// Samples, channels, rows, columns.
pub(crate) type Images = Tensor<4>;

/// What a pass changes.
pub(crate) struct State<'a> {
    pub(crate) parameters: &'a mut [f32],
    pub(crate) mean: &'a mut [f32],
    pub(crate) square: &'a mut [f32],
    pub(crate) steps: &'a mut u64,
}

/// How a pass is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How<'a> {
    /// Weight of each class.
    pub(crate) weights: &'a [f32],
    /// Adam's step size.
    pub(crate) rate: f32,
    /// Samples a step.
    pub(crate) batch: usize,
    /// What is dropped is drawn from it; without, nothing is.
    pub(crate) seed: Option<u64>,
}

/// The card that the system names first, opened once.
pub(crate) fn card() -> Result<&'static Device, LearnError> {
    static CARD: OnceLock<Result<Device, String>> = OnceLock::new();
    let open = || match catch_unwind(|| Device::wgpu_options().init()) {
        Ok(Ok(device)) => Ok(device),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the system has none that works".to_owned()),
    };
    CARD.get_or_init(open).as_ref().map_err(|why| LearnError::Gpu { why: why.clone() })
}

/// Takes one pass over `train` in the order of its rows.
///
/// # Errors
/// Without a card, or when it gives up: it has too little memory, most often.
pub(crate) fn pass<N: Network>(
    network: &N,
    state: State<'_>,
    train: Rows<'_>,
    how: How<'_>,
) -> Result<Tally, LearnError> {
    let card = card()?;
    let why = "it gave up, most often for lack of memory: try a smaller --batch".to_owned();
    catch_unwind(AssertUnwindSafe(|| steps(network, card, state, train, how)))
        .map_err(|_| LearnError::Gpu { why })
}

fn steps<N: Network>(
    network: &N,
    card: &Device,
    state: State<'_>,
    train: Rows<'_>,
    how: How<'_>,
) -> Tally {
    let tensors = network.tensors();
    let sent = |values: &[f32]| -> Vec<Flat> {
        let flat = |tensor: &super::network::Tensor| tensor.values(values);
        tensors.iter().map(|tensor| Flat::from_data(flat(tensor).as_slice(), card)).collect()
    };
    let mut parameters = sent(state.parameters);
    let (mut mean, mut square) = (sent(state.mean), sent(state.square));
    if let Some(seed) = how.seed {
        card.seed(seed);
    }
    let classes = Flat::from_data(how.weights, card);
    let mut loss = Flat::zeros([1], card);
    let mut right = Flat::zeros([1], card);
    for rows in train.rows.chunks(how.batch.max(1)) {
        let rows = Rows { data: train.data, rows };
        let tracked: Vec<Flat> =
            parameters.iter().map(|flat| flat.clone().autodiff().require_grad()).collect();
        let scores = network.scores(&tracked, bytes(rows, card), how.seed.is_some());
        let labels: Vec<i32> = rows.labels().map(i32::from).collect();
        let labels = Tensor::<1, Int>::from_data(labels.as_slice(), card);
        right = right + hits(scores.clone().inner(), labels.clone());
        let weights = classes.clone().select(0, labels.clone());
        let chosen = log_softmax(scores, 1).gather(1, labels.autodiff().reshape([-1, 1]));
        let sum = -(chosen.reshape([-1]) * weights.autodiff()).sum();
        loss = loss + sum.clone().inner();
        let mut slopes = (sum / rows.len() as f32).backward();
        *state.steps += 1;
        let Adam { rate, scale } = Adam::new(how.rate, *state.steps);
        for (at, tracked) in tracked.iter().enumerate() {
            // What no score depends on has no slope.
            let Some(slope) = tracked.grad_remove(&mut slopes) else { continue };
            let m = mean[at].clone() * 0.9 + slope.clone() * 0.1;
            let v = square[at].clone() * 0.999 + slope.square() * 0.001;
            let step = m.clone() * rate / (v.clone().sqrt() * scale + 1e-8);
            parameters[at] = parameters[at].clone() - step;
            (mean[at], square[at]) = (m, v);
        }
    }
    for (tensors_of, values) in
        [(parameters, state.parameters), (mean, state.mean), (square, state.square)]
    {
        for (tensor, flat) in tensors.iter().zip(tensors_of) {
            for (at, value) in fetched(flat).into_iter().enumerate() {
                values[(tensor.place)(at)] = value;
            }
        }
    }
    let one = |flat: Flat| f64::from(fetched(flat).first().copied().unwrap_or(f32::NAN));
    Tally { loss: one(loss), right: one(right) as usize }
}

/// Bytes of samples, 0 to 1.
fn bytes(rows: Rows<'_>, card: &Device) -> Matrix {
    let width = rows.data.width;
    let mut values = vec![0.0; rows.len() * width];
    for (row, sample) in rows.samples().enumerate() {
        for (to, &byte) in values[row * width..(row + 1) * width].iter_mut().zip(sample) {
            *to = f32::from(byte) / 255.0;
        }
    }
    Matrix::from_data(TensorData::new(values, [rows.len(), width]), card).autodiff()
}

/// How many samples have their own class first.
fn hits(scores: Matrix, labels: Tensor<1, Int>) -> Flat {
    scores.argmax(1).reshape([-1]).equal(labels).float().sum()
}

fn fetched(flat: Flat) -> Vec<f32> {
    flat.into_data().convert::<f32>().try_to_vec().unwrap_or_default()
}

/// Rows made longer by zeros.
pub(crate) fn widened(rows: Matrix, width: usize) -> Matrix {
    let [count, have] = rows.dims();
    if have >= width {
        return rows;
    }
    let zeros = Matrix::zeros([count, width - have], &rows.device());
    Matrix::cat(vec![rows, zeros], 1)
}

/// `inputs` by a matrix of units by inputs, and a bias.
pub(crate) fn dense(inputs: Matrix, weights: &Flat, bias: &Flat) -> Matrix {
    let units = bias.dims()[0];
    let width = inputs.dims()[1];
    let weights = weights.clone().reshape([units, width]);
    inputs.matmul(weights.transpose()) + bias.clone().reshape([1, units])
}

/// Convolves, rectifies and pools, as [`Convolution::forward`] does.
pub(crate) fn convolved(images: Images, weights: &Flat, bias: &Flat, shape: Convolution) -> Images {
    let Convolution { size, kernel, pool, inputs, outputs } = shape;
    let weights = weights.clone().reshape([outputs, inputs, kernel.0, kernel.1]);
    let around = [kernel.0 / 2, kernel.1 / 2];
    let options = ConvOptions::new([1, 1], around, [1, 1], 1);
    let images = relu(conv2d(images, weights, Some(bias.clone()), options));
    let (rows, columns) = shape.pooled();
    let lacks = [rows * pool.0 - size.0, columns * pool.1 - size.1];
    let mut options = MaxPoolOptions::new([pool.0, pool.1]);
    options.padding = lacks.map(|lack| (lack / 2, lack - lack / 2));
    max_pool2d(images, options)
}

/// Rectified; half of it dropped at random, the rest twice as large, where `drops`.
pub(crate) fn rectified(units: Matrix, drops: bool) -> Matrix {
    let units = relu(units);
    if !drops {
        return units;
    }
    let kept = units.clone().inner().random_like(Distribution::Bernoulli(0.5));
    units * (kept * 2.0).autodiff()
}
