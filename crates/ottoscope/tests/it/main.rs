//! The program as people run it. One binary, so that the query engine is linked once.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)] // failing and speaking is a test's work

mod calls;
mod cli;
mod errors;
mod infer;
mod laws;
mod learn;
mod support;
mod truth;
