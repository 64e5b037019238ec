//! Trains a model on IDX files and prints its scores and what it costs:
//! `train MODEL EPOCHS IMAGES LABELS ...`.
//!
//! From the environment: THREADS (1), BATCH (128), SEED (1), and TRAIN, how many samples are
//! trained on, the rest being tests; without it every fifth sample tests.

#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::time::Instant;

use flate2::read::GzDecoder;
use ottoscope_learn::score::score;
use ottoscope_learn::{Control, Dataset, Fit, Rows, model};

/// Times that the test samples are predicted; the median counts.
const PREDICTIONS: usize = 5;

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn idx(path: &str, header: usize) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut bytes = Vec::new();
    GzDecoder::new(File::open(path)?).read_to_end(&mut bytes)?;
    Ok(bytes.split_off(header))
}

/// Time of this process's main thread so far, seconds; of all its threads where there are several.
fn cpu() -> f64 {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    // Nanoseconds, where the kernel counts them.
    let main = read("/proc/self/schedstat");
    let main = main.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0) / 1e9;
    let stat = read("/proc/self/stat");
    let ticks = stat.rsplit(')').next().unwrap_or_default().split(' ').skip(12);
    let all = ticks.take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0;
    if all > main + 0.05 { all } else { main }
}

fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

fn number(name: &str) -> Result<Option<usize>, Box<dyn Error>> {
    Ok(env::var(name).ok().map(|text| text.parse()).transpose()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [name, epochs, files @ ..] = &arguments[..] else { return Err("too few words".into()) };
    let (mut bytes, mut labels) = (Vec::new(), Vec::new());
    for pair in files.chunks(2) {
        bytes.extend(idx(&pair[0], 16)?);
        labels.extend(idx(&pair[1], 8)?.into_iter().map(u16::from));
    }
    let classes = labels.iter().max().map_or(0, |&label| usize::from(label) + 1);
    let data = Dataset::new(bytes, 784, labels, (0..classes).map(|c| c.to_string()).collect())?;
    // As in benchsuite/learning.
    let first = number("TRAIN")?;
    let tests = |row: &u32| first.map_or(row.is_multiple_of(5), |first| *row as usize >= first);
    let (test, train): (Vec<u32>, Vec<u32>) = (0..data.len() as u32).partition(tests);
    let (train, test) = (Rows { data: &data, rows: &train }, Rows { data: &data, rows: &test });
    let none = Rows { data: &data, rows: &[] };
    let made = model::named(name).ok_or("no such model")?;
    let mut classifier = (made.make)();
    let threads = number("THREADS")?.unwrap_or(1);
    let batch = number("BATCH")?.unwrap_or(128);
    let seed = number("SEED")?.unwrap_or(1) as u64;
    let how = Fit { epochs: epochs.parse()?, patience: 0, threads, batch, seed, ..Fit::default() };
    println!("{} samples, {} for training, {classes} classes", data.len(), train.len());
    let (mut wall, mut spent) = (Instant::now(), cpu());
    classifier.fit(train, none, &how, &mut |epoch| {
        let (now, used) = (wall.elapsed().as_secs_f64(), cpu() - spent);
        println!(
            "epoch {} loss {:.4} accuracy {:.4} wall {now:.3} cpu {used:.4}",
            epoch.number, epoch.loss, epoch.accuracy
        );
        (wall, spent) = (Instant::now(), cpu());
        Control::Continue
    })?;
    // The first prediction finds memory cold.
    let mut chances = classifier.predict(test, threads);
    let mut times: Vec<(f64, f64)> = Vec::new();
    for _ in 0..PREDICTIONS {
        let (wall, spent) = (Instant::now(), cpu());
        chances = classifier.predict(test, threads);
        times.push((wall.elapsed().as_secs_f64(), cpu() - spent));
    }
    let now = median(times.iter().map(|time| time.0).collect());
    let used = median(times.iter().map(|time| time.1).collect());
    let labels: Vec<u16> = test.labels().collect();
    let scores = score(&chances, &labels, &data.classes)?;
    println!(
        "test accuracy {:.6} predict wall {now:.4} cpu {used:.4} ({:.0}/s) size {} peak {:.0} MB",
        scores.accuracy,
        test.len() as f64 / now,
        classifier.size(),
        peak()
    );
    println!(
        "f1 micro {:.6} macro {:.6} weighted {:.6}",
        scores.micro.f1, scores.macro_.f1, scores.weighted.f1
    );
    Ok(())
}
