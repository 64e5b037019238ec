//! Learns to classify encrypted traffic.
//!
//! For whoever has labelled samples of traffic (the OTT voice paper). First bytes of sessions and
//! flows come in as a [`Dataset`]; trained models, their scores and what those scores are worth
//! go out. It opens no captures and no tables, and it never scores a model on what it was
//! trained on without saying so.

// What `engine::simd::wide` runs must be compiled into it.
#![allow(clippy::inline_always)]

pub mod classifier;
pub mod dataset;
pub mod error;
pub mod model;

pub mod clean;
pub mod file;
pub mod idx;
pub mod image;
pub mod layers;
pub mod masks;
pub mod samples;
pub mod split;

pub mod evaluate;
pub mod score;

pub mod cluster;
pub mod drift;
pub mod forge;
pub mod leaks;
pub mod openset;
pub mod rivals;

pub mod card;
pub mod experiment;
pub mod paper;
pub mod report;

mod engine;
#[cfg(test)]
mod testing;
mod whole;

pub use classifier::{Classifier, Control, Device, Epoch, Fit};
pub use dataset::{Dataset, Rows};
pub use error::LearnError;
pub use model::{MODELS, Model};
pub use samples::Samples;
