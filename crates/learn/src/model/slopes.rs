//! Holds the slopes of every network against finite differences and against PyTorch's.

use serde::Deserialize;

use crate::engine::network::{Network, Step};
use crate::engine::simd::Buffer;
use crate::model::convnet::Convnet;
use crate::model::{cnn1d, cnn2d, lstm};
use crate::{Dataset, Rows};

/// The same numbers as `benchsuite/learning/freeze.py` makes, in -0.5..0.5.
fn number(tensor: usize, at: usize) -> f32 {
    let mixed = (at as u64 * 2_654_435_761 + (tensor as u64 + 1) * 40_503_001) % (1 << 32);
    let mixed = (mixed ^ (mixed >> 15)) * 2_246_822_519 % (1 << 32);
    (mixed as f64 / f64::from(u32::MAX) - 0.5) as f32
}

fn samples(len: usize, width: usize, classes: usize) -> Dataset {
    let byte = |at: usize| ((number(99, at) + 0.5) * 255.0) as u8;
    let bytes = (0..len * width).map(byte).collect();
    let labels = (0..len).map(|at| (at * 7 % classes) as u16).collect();
    let names = (0..classes).map(|class| class.to_string()).collect();
    Dataset::new(bytes, width, labels, names).unwrap()
}

/// Parameters that are neither small nor symmetric.
fn parameters<N: Network>(network: &N) -> Buffer {
    let mut parameters = Buffer::zeros(network.parameters());
    for (number_of, tensor) in network.tensors().iter().enumerate() {
        let inner: usize = tensor.shape.iter().skip(1).product();
        let scale = 2.0 / (inner as f32).sqrt();
        for at in 0..tensor.len() {
            parameters[(tensor.place)(at)] = scale * number(number_of, at);
        }
    }
    parameters
}

fn learn<N: Network>(network: &N, at: &[f32], data: &Dataset, seed: Option<u64>) -> (f64, Buffer) {
    let rows: Vec<u32> = (0..data.len() as u32).collect();
    let rows = Rows { data, rows: &rows };
    let weights: Vec<f32> = (0..data.classes.len()).map(|at| 0.5 + at as f32 / 10.0).collect();
    let mut slope = Buffer::zeros(network.parameters());
    let mut work = network.work(rows.len(), true);
    let step = Step { weights: &weights, seed, threads: 2 };
    let tally = network.learn(at, rows, &step, &mut slope, &mut work);
    (tally.loss / rows.len() as f64, slope)
}

/// Along a tensor's slope, and along a way that is random, the loss changes as it says.
fn finite<N: Network>(width: usize, seed: Option<u64>) {
    let network = N::new(width, 3);
    let data = samples(9, width, 3);
    let at = parameters(&network);
    let (_, slope) = learn(&network, &at, &data, seed);
    let tensors = network.tensors();
    let covered: usize = tensors.iter().map(|tensor| tensor.len()).sum();
    let nonzero = slope.iter().filter(|slope| **slope != 0.0).count();
    assert!(nonzero <= covered, "slopes where there is no parameter");
    for (number_of, tensor) in tensors.iter().enumerate() {
        let own: Vec<f32> = tensor.values(&slope);
        let length = own.iter().map(|slope| slope * slope).sum::<f32>().sqrt();
        assert!(length > 1e-6, "{} {}: no slope", N::NAME, tensor.name);
        let random: Vec<f32> = (0..own.len()).map(|at| number(50 + number_of, at)).collect();
        let random_length = random.iter().map(|x| x * x).sum::<f32>().sqrt();
        let steepest: Vec<f32> = own.iter().map(|slope| slope / length).collect();
        let mixed: Vec<f32> = steepest
            .iter()
            .zip(&random)
            .map(|(steep, random)| 0.5 * steep + 0.5 * random / random_length)
            .collect();
        for way in [steepest, mixed] {
            let expected: f32 = way.iter().zip(&own).map(|(way, slope)| way * slope).sum();
            let far = 2e-3f32;
            let moved = |far: f32| {
                let mut to = at.clone();
                for (index, way) in way.iter().enumerate() {
                    to[(tensor.place)(index)] += far * way;
                }
                learn(&network, &to, &data, seed).0
            };
            let found = (moved(far) - moved(-far)) / (2.0 * f64::from(far));
            let error = (found - f64::from(expected)).abs() / f64::from(expected.abs());
            assert!(error < 0.02, "{} {}: {found} not {expected}", N::NAME, tensor.name);
        }
    }
}

#[test]
fn slopes_are_those_of_the_loss() {
    finite::<lstm::Lstm>(84, None);
    finite::<lstm::Lstm>(70, None);
    finite::<Convnet<cnn1d::Line>>(70, None);
    finite::<Convnet<cnn2d::Image>>(90, None);
}

#[test]
fn what_is_dropped_has_no_slope() {
    finite::<Convnet<cnn1d::Line>>(50, Some(3));
    let network = <Convnet<cnn1d::Line>>::new(50, 3);
    let (data, at) = (samples(9, 50, 3), parameters(&network));
    let (once, again) =
        (learn(&network, &at, &data, Some(1)), learn(&network, &at, &data, Some(1)));
    assert_eq!(once.0, again.0);
    assert_ne!(once.0, learn(&network, &at, &data, Some(2)).0);
}

/// What `freeze.py` wrote.
#[derive(Deserialize)]
struct Frozen {
    model: String,
    classes: usize,
    samples: usize,
    loss: f64,
    tensors: Vec<FrozenTensor>,
}

#[derive(Deserialize)]
struct FrozenTensor {
    name: String,
    shape: Vec<usize>,
    /// Length of the slope.
    length: f64,
    /// Some of its values, by index.
    at: Vec<usize>,
    slopes: Vec<f64>,
}

fn thawed<N: Network>(frozen: &Frozen) {
    let network = N::new(784, frozen.classes);
    let data = samples(frozen.samples, 784, frozen.classes);
    let (loss, slope) = learn(&network, &parameters(&network), &data, None);
    assert!((loss / frozen.loss - 1.0).abs() < 1e-5, "{}: {loss} {}", N::NAME, frozen.loss);
    let tensors = network.tensors();
    assert_eq!(tensors.len(), frozen.tensors.len());
    for (tensor, frozen) in tensors.iter().zip(&frozen.tensors) {
        assert_eq!((tensor.name, &tensor.shape), (frozen.name.as_str(), &frozen.shape));
        let own = tensor.values(&slope);
        let length = own.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
        assert!((length / frozen.length - 1.0).abs() < 1e-4, "{}: {length}", tensor.name);
        let tolerance = 1e-3 * length / (own.len() as f64).sqrt();
        for (&at, &want) in frozen.at.iter().zip(&frozen.slopes) {
            let got = f64::from(own[at]);
            let error = (got - want).abs();
            assert!(error < tolerance + 1e-3 * want.abs(), "{} {at}: {got} {want}", tensor.name);
        }
    }
}

#[test]
fn slopes_are_those_of_pytorch() {
    let all: Vec<Frozen> = serde_json::from_str(include_str!("slopes.json")).unwrap();
    assert_eq!(all.len(), 3);
    for frozen in &all {
        match frozen.model.as_str() {
            "lstm" => thawed::<lstm::Lstm>(frozen),
            "cnn1d" => thawed::<Convnet<cnn1d::Line>>(frozen),
            "cnn2d" => thawed::<Convnet<cnn2d::Image>>(frozen),
            other => panic!("{other}"),
        }
    }
}
