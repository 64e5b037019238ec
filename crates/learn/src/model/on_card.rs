//! A graphics card takes the steps that the processor takes.

use super::cnn1d::Line;
use super::cnn2d::Image;
use super::convnet::Convnet;
use super::lstm::Lstm;
use crate::engine::gpu::{How, State, card, pass};
use crate::engine::math::{Adam, Tally};
use crate::engine::network::{Network, Step};
use crate::engine::random::Random;
use crate::engine::simd::Buffer;
use crate::{Dataset, Rows};

/// Steps taken on the card are those of the processor, but for rounding.
fn agree<N: Network>(width: usize) {
    if let Err(error) = card() {
        println!("{}: skipped: {error}", N::NAME);
        return;
    }
    let mut random = Random::part(7, 0);
    let data: Vec<u8> = (0..40 * width).map(|_| (random.spread(1.0) * 255.0) as u8).collect();
    let labels: Vec<u16> = (0..40).map(|at| at % 3).collect();
    let classes = ["a", "b", "c"].map(str::to_owned).to_vec();
    let data = Dataset::new(data, width, labels, classes).unwrap();
    let rows: Vec<u32> = (0..40).collect();
    let train = Rows { data: &data, rows: &rows };
    let network = N::new(width, 3);
    let mut start = Buffer::zeros(network.parameters());
    network.start(&mut start, &mut random);
    let (weights, batch, rate) = ([1.0, 0.5, 2.0], 16, 0.001);

    let mut expected = start.clone();
    let (mut mean, mut square) = (Buffer::zeros(start.len()), Buffer::zeros(start.len()));
    let (mut slope, mut work) = (mean.clone(), network.work(batch, true));
    let mut sum = Tally::default();
    for (number, rows) in rows.chunks(batch).enumerate() {
        let step = Step { weights: &weights, seed: None, threads: 1 };
        let some = Rows { data: &data, rows };
        let tally = network.learn(&expected, some, &step, &mut slope, &mut work);
        sum.loss += tally.loss;
        sum.right += tally.right;
        let adam = Adam::new(rate, number as u64 + 1);
        adam.apply(&mut expected, &mut mean, &mut square, &slope);
    }

    let (mut parameters, mut steps) = (start.clone(), 0);
    let (mut card_mean, mut card_square) = (Buffer::zeros(start.len()), Buffer::zeros(start.len()));
    let state = State {
        parameters: &mut parameters,
        mean: &mut card_mean,
        square: &mut card_square,
        steps: &mut steps,
    };
    let how = How { weights: &weights, rate, batch, seed: None };
    let told = pass(&network, state, train, how).unwrap();
    assert_eq!((told.right, steps), (sum.right, 3));
    assert!((told.loss / sum.loss - 1.0).abs() < 1e-3, "{} {}", told.loss, sum.loss);
    for tensor in network.tensors() {
        let moved = |of: &[f32]| tensor.values(of);
        let far: f32 = moved(&start).iter().zip(moved(&expected)).map(|(a, b)| (a - b).abs()).sum();
        let off: f32 =
            moved(&parameters).iter().zip(moved(&expected)).map(|(a, b)| (a - b).abs()).sum();
        assert!(off <= 0.02 * far, "{}: {off} of {far}", tensor.name);
    }
}

#[test]
fn the_card_takes_the_steps_of_the_processor() {
    agree::<Lstm>(100);
    agree::<Convnet<Image>>(100);
    agree::<Convnet<Line>>(100);
}
