//! What the experiments, the open set and drift give on samples of traffic.
//!
//! - `traffic experiment NUMBER NAME=SAMPLES... [key=value]...`: one of the paper's six; names are
//!   `S_A` and so on. `balance=1` lets classes weigh the same.
//! - `traffic open SAMPLES CLASS,CLASS... [key=value]...`: classes held out.
//! - `traffic drift SAMPLES CAPTURES [key=value]...`: learns from the captures numbered below
//!   CAPTURES among each class's, and watches windows of the others' samples, in order of time.
//!
//! SAMPLES are files of `ottoscope learn samples`; keys are `models`, `seeds`, `epochs`, `threads`,
//! `rung`, `most`, `mask` (`none`, else the honest ones), `out` (outcome as JSON).
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::path::Path;
use std::time::Instant;

use ottoscope_learn::drift::Drift;
use ottoscope_learn::evaluate::{Bench, Make, Summary, certainty};
use ottoscope_learn::experiment::{self, Experiment};
use ottoscope_learn::masks::Masks;
use ottoscope_learn::model::{self, Model};
use ottoscope_learn::openset::open_set;
use ottoscope_learn::score::{best, reject_threshold};
use ottoscope_learn::split::{Plan, Rung, split, strongest};
use ottoscope_learn::{Control, Epoch, Fit, Rows, Samples, file};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What the command line asks for.
struct Asked<'a> {
    words: Vec<&'a str>,
    keys: HashMap<&'a str, &'a str>,
}

impl<'a> Asked<'a> {
    fn new(arguments: &'a [String]) -> Self {
        const KEYS: [&str; 10] = [
            "models", "seeds", "epochs", "threads", "rung", "most", "mask", "out", "balance",
            "window",
        ];
        let mut asked = Asked { words: Vec::new(), keys: HashMap::new() };
        for argument in arguments {
            match argument.split_once('=') {
                Some((key, value)) if KEYS.contains(&key) => {
                    asked.keys.insert(key, value);
                }
                _ => asked.words.push(argument),
            }
        }
        asked
    }

    fn number(&self, key: &str, default: u64) -> Result<u64> {
        Ok(self.keys.get(key).map_or(Ok(default), |value| value.parse())?)
    }

    fn samples(&self, path: &str) -> Result<Samples> {
        let masks =
            if self.keys.get("mask") == Some(&"none") { Masks::none() } else { Masks::honest() };
        let (samples, _) = file::load(Path::new(path))?;
        let (masked, left) = samples.masked(&masks);
        eprintln!("{path}: {} samples, {left} bytes left", masked.len());
        Ok(masked)
    }

    fn fit(&self) -> Result<Fit> {
        Ok(Fit {
            epochs: self.number("epochs", 10)? as u32,
            threads: self.number("threads", 1)? as usize,
            balance: self.number("balance", 0)? == 1,
            ..Fit::default()
        })
    }

    fn plan(&self, samples: &Samples) -> Result<Plan> {
        let rung: Rung = match self.keys.get("rung") {
            Some(rung) => rung.parse()?,
            None => strongest(samples),
        };
        let most = self.keys.get("most").map(|most| most.parse()).transpose()?;
        Ok(Plan { rung, most, distinct: true, ..Plan::default() })
    }

    fn models(&self) -> Result<Vec<&'static Model>> {
        let names = self.keys.get("models").copied().unwrap_or("forest");
        names.split(',').map(|name| Ok(model::named(name).ok_or("no such model")?)).collect()
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let asked = Asked::new(&arguments);
    match asked.words.as_slice() {
        ["experiment", number, data @ ..] => experiments(&asked, number.parse()?, data),
        ["open", path, held] => open(&asked, path, held),
        ["drift", path, captures] => drift(&asked, path, captures.parse()?),
        _ => Err("traffic experiment|open|drift ...: see the head of the example".into()),
    }
}

fn experiments(asked: &Asked<'_>, number: Experiment, data: &[&str]) -> Result<()> {
    let data: Vec<(String, Samples)> = data
        .iter()
        .map(|named| {
            let (name, path) = named.split_once('=').ok_or("NAME=SAMPLES")?;
            Ok((name.to_owned(), asked.samples(path)?))
        })
        .collect::<Result<_>>()?;
    let (fit, plan) = (asked.fit()?, asked.plan(&data.first().ok_or("no samples")?.1)?);
    let seeds: Vec<u64> = (1..=asked.number("seeds", 1)?).collect();
    let chosen = asked.models()?;
    let models: Vec<(&str, Make<'_>)> =
        chosen.iter().map(|model| (model.name, &model.make as Make<'_>)).collect();
    let start = Instant::now();
    let clock = || start.elapsed().as_secs_f64();
    let mut watch = |model: &str, run: usize, epoch: &Epoch| {
        eprintln!("{:8.1} s {model} {run} {epoch:?}", start.elapsed().as_secs_f64());
        Control::Continue
    };
    let mut bench =
        Bench { fit: &fit, plan: &plan, seeds: &seeds, clock: &clock, watch: &mut watch };
    let outcome = experiment::run(number, &data, None, &models, &mut bench)?;
    let took = start.elapsed().as_secs_f64();
    println!(
        "## {number}: {}; by {}, {} passes at most, balance {}, {} seeds, {took:.0} s",
        outcome.title,
        plan.rung.name(),
        fit.epochs,
        fit.balance,
        seeds.len(),
    );
    println!("| samples | a class | model | accuracy | F1 macro | F1 weighted | fit s | passes |");
    for row in &outcome.rows {
        let cost = row.summary.runs[0].cost;
        println!(
            "| {} | {} | {} | {} | {} | {} | {:.1} | {} |",
            row.representation,
            row.most.map_or_else(|| "all".to_owned(), |most| most.to_string()),
            row.summary.model,
            row.summary.accuracy,
            row.summary.f1[1],
            row.summary.f1[2],
            cost.fit_seconds,
            cost.epochs,
        );
    }
    let summaries: Vec<&Summary> = outcome.rows.iter().map(|row| &row.summary).collect();
    by_class(&summaries);
    if let Some(out) = asked.keys.get("out") {
        std::fs::write(out, serde_json::to_string_pretty(&outcome)?)?;
    }
    Ok(())
}

/// Samples to test and F1 of each class on the first seed, a column a model; then the curves.
fn by_class(summaries: &[&Summary]) {
    let Some(first) = summaries.first() else { return };
    let same = |s: &&&Summary| s.runs[0].scores.classes.len() == first.runs[0].scores.classes.len();
    let summaries: Vec<&&Summary> = summaries.iter().filter(same).collect();
    println!("| class | tested | {} |", names(&summaries).join(" | "));
    for (number, class) in first.runs[0].scores.classes.iter().enumerate() {
        let f1: Vec<String> = summaries
            .iter()
            .map(|s| format!("{:.4}", s.runs[0].scores.classes[number].rates.f1))
            .collect();
        println!("| {} | {} | {} |", class.class, class.samples, f1.join(" | "));
    }
    for summary in summaries {
        for epoch in &summary.runs[0].epochs {
            let (loss, accuracy) = epoch.validation.unwrap_or_default();
            println!(
                "  curve {} {} {:.4} {:.4} {loss:.4} {accuracy:.4}",
                summary.model, epoch.number, epoch.loss, epoch.accuracy
            );
        }
    }
}

fn names(summaries: &[&&Summary]) -> Vec<String> {
    summaries.iter().map(|summary| summary.model.clone()).collect()
}

fn open(asked: &Asked<'_>, path: &str, held: &str) -> Result<()> {
    let samples = asked.samples(path)?;
    let (fit, plan) = (asked.fit()?, asked.plan(&samples)?);
    let held: Vec<u16> = held
        .split(',')
        .map(|name| {
            let place = samples.data.classes.iter().position(|class| class == name);
            Ok(place.ok_or_else(|| format!("no class {name}"))? as u16)
        })
        .collect::<Result<_>>()?;
    println!("## open set of {}, by {}", held.len(), plan.rung.name());
    println!(
        "| model | seed | known | unknown | AUROC | FPR95 | kept | right | rejected | groups | purity |"
    );
    for model in asked.models()? {
        for seed in 1..=asked.number("seeds", 1)? {
            let mut watch = |_: &str, _: usize, _: &Epoch| Control::Continue;
            let seeds = [seed];
            let mut bench =
                Bench { fit: &fit, plan: &plan, seeds: &seeds, clock: &|| 0.0, watch: &mut watch };
            let found = open_set(&model.make, &samples, &held, &mut bench)?;
            println!(
                "| {} | {seed} | {} | {} | {:.4} | {:.4} | {:.4} | {:.4} | {:.4} | {} | {:.2} |",
                model.name,
                found.samples[0],
                found.samples[1],
                found.curve.area,
                found.curve.fpr95,
                found.kept,
                found.right,
                found.rejected,
                found.clusters.len(),
                found.purity.unwrap_or(0.0)
            );
        }
    }
    Ok(())
}

/// Windows of what came later, beside windows of what was held back of the same captures.
fn drift(asked: &Asked<'_>, path: &str, captures: usize) -> Result<()> {
    let samples = asked.samples(path)?;
    let (fit, size) = (asked.fit()?, asked.number("window", 200)? as usize);
    // Captures of each class in order of their first samples.
    let mut of: BTreeMap<u16, BTreeMap<u32, f64>> = BTreeMap::new();
    for (label, origin) in samples.data.labels.iter().zip(&samples.origins) {
        let capture = origin.capture.ok_or("samples do not tell their captures")?;
        let at = origin.at.unwrap_or_default();
        let first = of.entry(*label).or_default().entry(capture).or_insert(at);
        *first = first.min(at);
    }
    let mut early = BTreeSet::new();
    for found in of.values() {
        let mut found: Vec<(u32, f64)> = found.iter().map(|(c, at)| (*c, *at)).collect();
        found.sort_by(|a, b| a.1.total_cmp(&b.1));
        early.extend(found.into_iter().take(captures).map(|(capture, _)| capture));
    }
    let rows = |is_early: bool| -> Vec<u32> {
        let is = |row: &u32| {
            let capture = samples.origins[*row as usize].capture;
            capture.is_some_and(|capture| early.contains(&capture)) == is_early
        };
        (0..samples.len() as u32).filter(is).collect()
    };
    let known = samples.only(&rows(true));
    let mut later = rows(false);
    let at = |row: &u32| samples.origins[*row as usize].at.unwrap_or_default();
    later.sort_by(|a, b| at(a).total_cmp(&at(b)));
    // The split is random: drift is what differs from what was learned, not from other hosts.
    let parts = split(&known, &Plan { rung: Rung::Random, ..Plan::default() })?;
    let all = |data, rows| Rows { data, rows };
    println!("## drift: {} to learn from, {} later, windows of {size}", known.len(), later.len());
    for model in asked.models()? {
        let mut model = (model.make)();
        model.fit(
            all(&known.data, &parts.train),
            all(&known.data, &parts.validation),
            &fit,
            &mut |_| Control::Continue,
        )?;
        let width = model.classes();
        let sure = |rows: Rows<'_>| {
            let answers = model.predict(rows, fit.threads);
            let right = answers
                .chunks_exact(width)
                .zip(rows.labels())
                .filter(|(answer, label)| best(answer) == usize::from(*label))
                .count();
            (certainty(&answers, width), right as f64 / rows.rows.len().max(1) as f64)
        };
        let (reference, _) = sure(all(&known.data, &parts.validation));
        let threshold = reject_threshold(&reference, 0.95);
        for (what, rows) in [
            ("same captures", all(&known.data, &parts.test)),
            ("other captures", all(&samples.data, &later)),
        ] {
            let (certainty, right) = sure(rows);
            let mut drift = Drift::new(reference.clone(), threshold, size);
            let windows: Vec<_> = certainty.into_iter().filter_map(|s| drift.push(s)).collect();
            let mean = |of: &dyn Fn(&ottoscope_learn::drift::Window) -> f64| {
                windows.iter().map(of).sum::<f64>() / windows.len().max(1) as f64
            };
            println!(
                "| {} | {what} | {right:.4} | {} | {} | {} | {:.3} | {:.3} | {:.3} |",
                model.name(),
                windows.len(),
                windows.iter().filter(|window| window.distance > window.limit).count(),
                windows.iter().filter(|window| window.alarm).count(),
                mean(&|window| window.distance),
                mean(&|window| window.limit),
                mean(&|window| window.rejected),
            );
        }
    }
    Ok(())
}
