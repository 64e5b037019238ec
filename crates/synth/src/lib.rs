//! Makes traffic whose truth is known.
//!
//! For people who want to try the pipeline without a capture of their own, and for every test
//! that needs one. A [`Scenario`], a [`lab`], a call ([`qq`]) or a set of classes ([`voice`]), and a seed flow in; a capture, and the truth
//! about each of its flows, flow out ([`generate`]). It looks at no clock, and makes no traffic on any network.

mod apps;
mod cell;
mod content;
mod context;
pub mod corpus;
mod device;
pub mod fixtures;
mod flow;
mod frame;
pub mod lab;
pub mod qq;
mod rng;
pub mod scenario;
mod tcp;
pub mod truth;
pub mod video;
pub mod voice;
mod world;

pub use cell::generate;
pub use fixtures::fixture;
pub use scenario::Scenario;
pub use truth::{
    Collected, DnsTruth, FlowTruth, JsonLines, MessageTruth, SegmentTruth, Totals, TruthSink,
};

/// Why no capture, or not all of it, was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SynthError {
    /// The scenario is not valid; the text says where.
    #[error("{0}")]
    Scenario(String),
    /// The capture could not be written.
    #[error("the capture could not be written")]
    Capture(#[source] std::io::Error),
    /// The truth could not be written.
    #[error("the truth could not be written")]
    Truth(#[source] std::io::Error),
}
