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

mod engine;

pub use classifier::{Classifier, Control, Epoch, Fit};
pub use dataset::{Dataset, Rows};
pub use error::LearnError;
pub use model::{MODELS, Model};
