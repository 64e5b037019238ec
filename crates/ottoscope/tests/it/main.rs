//! The program as people run it. One binary, so that the query engine is linked once.

mod cli;
mod errors;
mod laws;
mod support;
mod truth;
