//! What it costs to cut a million payloads.

#![allow(clippy::unwrap_used, missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};

fn cut(_: &mut Criterion) {}

criterion_group!(benches, cut);
criterion_main!(benches);
