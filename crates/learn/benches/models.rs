//! One pass of training and a prediction, model by model, on random samples.

use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ottoscope_learn::{Classifier, Control, Dataset, Fit, MODELS, Model, Rows};

const SAMPLES: usize = 512;
const WIDTH: usize = 784;

fn samples() -> Dataset {
    let byte = |at: usize| (at.wrapping_mul(2_654_435_761) >> 11) as u8;
    let bytes: Vec<u8> = (0..SAMPLES * WIDTH).map(byte).collect();
    let labels = (0..SAMPLES).map(|at| u16::from(bytes[at * WIDTH] % 12)).collect();
    let names = (0..12).map(|class| class.to_string()).collect();
    Dataset::new(bytes, WIDTH, labels, names).unwrap_or_default()
}

fn learn(made: &Model, rows: Rows<'_>) -> Box<dyn Classifier> {
    let mut model = (made.make)();
    let how = Fit { epochs: 1, ..Fit::default() };
    let none = Rows { data: rows.data, rows: &[] };
    let _ = model.fit(rows, none, &how, &mut |_| Control::Continue);
    model
}

fn models(criterion: &mut Criterion) {
    let data = samples();
    let rows: Vec<u32> = (0..SAMPLES as u32).collect();
    let rows = Rows { data: &data, rows: &rows };
    for made in MODELS {
        let mut group = criterion.benchmark_group(made.name);
        group.sample_size(10).throughput(Throughput::Elements(SAMPLES as u64));
        group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
        group.bench_function("learn", |bencher| {
            bencher.iter_batched(|| (), |()| learn(made, rows), BatchSize::PerIteration);
        });
        let model = learn(made, rows);
        group.bench_function("predict", |bencher| bencher.iter(|| model.predict(rows, 1)));
        group.finish();
    }
}

criterion_group!(benches, models);
criterion_main!(benches);
