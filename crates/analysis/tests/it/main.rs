//! One binary, since linking the query engine takes long.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod analyses;
mod fixture;
mod formats;
mod session;
