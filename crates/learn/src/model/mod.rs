//! Every model, one file each.

mod boosted;
mod cnn1d;
mod cnn2d;
mod convnet;
mod counted;
mod forest;
mod logistic;
mod lstm;
mod nearest;
mod neural;
#[cfg(test)]
#[cfg(feature = "gpu")]
mod on_card;
mod ours;
#[cfg(test)]
mod slopes;

use crate::Classifier;

/// A model that can be asked for by name.
#[derive(Debug)]
pub struct Model {
    /// Its name on the command line and in tables.
    pub name: &'static str,
    /// One line on it.
    pub about: &'static str,
    /// Whether it looks at packet sizes and gaps, too.
    pub features: bool,
    /// Makes one that has learned nothing.
    pub make: fn() -> Box<dyn Classifier>,
}

/// All of them, the paper's first.
pub static MODELS: &[Model] = &[
    Model {
        name: "lstm",
        about: "128 cells that read rows of 28 bytes",
        features: false,
        make: || Box::new(neural::Neural::<lstm::Lstm>::new()),
    },
    Model {
        name: "cnn1d",
        about: "convolutions over the line of bytes, after Wang et al. 2017",
        features: false,
        make: || Box::new(neural::Neural::<convnet::Convnet<cnn1d::Line>>::new()),
    },
    Model {
        name: "cnn2d",
        about: "convolutions over the bytes as an image, LeNet-like",
        features: false,
        make: || Box::new(neural::Neural::<convnet::Convnet<cnn2d::Image>>::new()),
    },
    Model {
        name: "forest",
        about: "100 trees on redrawn samples, splits of single bytes",
        features: false,
        make: || Box::new(forest::Forest::default()),
    },
    Model {
        name: "logistic",
        about: "logistic regression over bytes",
        features: false,
        make: || Box::new(logistic::Logistic::default()),
    },
    Model {
        name: "boosted",
        about: "gradient-boosted trees over bytes",
        features: false,
        make: || Box::new(boosted::Boosted::default()),
    },
    Model {
        name: "ours",
        about: "boosted trees and a forest over bytes, what can be counted in them, packet sizes and gaps",
        features: true,
        make: || Box::new(ours::Ours::default()),
    },
    Model {
        name: "nearest",
        about: "the nearest neighbour by packet sizes and directions, else by bytes",
        features: true,
        make: || Box::new(nearest::Nearest::default()),
    },
];

/// The model of that name.
pub fn named(name: &str) -> Option<&'static Model> {
    MODELS.iter().find(|model| model.name == name)
}
