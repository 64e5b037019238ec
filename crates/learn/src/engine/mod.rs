//! The few kinds of layers that the models have, forward and backward.
//!
//! No graph and no automatic derivative: each network is written out by hand, and its slopes are
//! held against finite differences and against PyTorch's.

pub(crate) mod columns;
pub(crate) mod convolution;
pub(crate) mod dense;
#[cfg(feature = "gpu")]
pub(crate) mod gpu;
pub(crate) mod last;
pub(crate) mod math;
pub(crate) mod network;
pub(crate) mod onnx;
pub(crate) mod random;
pub(crate) mod simd;
pub(crate) mod store;
pub(crate) mod threads;
pub(crate) mod trees;
