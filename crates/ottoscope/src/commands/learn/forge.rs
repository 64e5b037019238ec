//! `learn forge`: the same traffic with other addresses, ports and times.

use std::io::Write;
use std::process::ExitCode;

use ottoscope_learn::forge::Forge;
use ottoscope_learn::score::score;
use ottoscope_learn::{Rows, Samples, file};

use super::args::ForgeArgs;
use crate::account::{Step, Table, count, heads, print};
use crate::hint::hinted;
use crate::learn::account::share;
use crate::learn::data::learned;
use crate::learn::model::{Trained, open};

/// Runs the verb.
pub(super) fn run(args: &ForgeArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let trained = open(&args.model)?;
    let (raw, made) = args.data.open()?;
    let forged = Forge::all(args.seed).samples(&raw);
    if let Some(path) = &args.output {
        file::save(&forged, &made, path).map_err(learned)?;
    }
    let before = accuracy(&trained, &raw)?;
    let after = accuracy(&trained, &forged)?;
    let mut step = Step::new("forge", "The same traffic with other addresses, ports and times");
    step.say("what is lost was known of hosts and times, and not of traffic");
    step.say("samples that the model has learned from are scored too well, forged or not");
    step.tables.push(Table {
        caption: String::new(),
        columns: heads(["model", "samples", "accuracy", "forged", "lost"]),
        rows: vec![vec![
            trained.card.model.clone(),
            count(raw.len() as u64),
            share(before),
            share(after),
            share(before - after),
        ]],
    });
    print::step(out, &step, false)?;
    Ok(ExitCode::SUCCESS)
}

/// Share of samples that the model has right, classes by their names.
fn accuracy(trained: &Trained, samples: &Samples) -> anyhow::Result<f64> {
    let known = &trained.card.classes;
    let places: Vec<Option<u16>> = samples
        .data
        .classes
        .iter()
        .map(|class| known.iter().position(|name| name == class).map(|place| place as u16))
        .collect();
    if let Some(unknown) = places.iter().position(Option::is_none) {
        return Err(hinted(
            format!("the model knows no class `{}`", samples.data.classes[unknown]),
            format!("it knows: {}", known.join(", ")),
        ));
    }
    let prepared = trained.prepared(samples)?;
    let rows: Vec<u32> = (0..prepared.len() as u32).collect();
    let answers = trained.model.predict(Rows { data: &prepared.data, rows: &rows }, 1);
    let labels: Vec<u16> =
        prepared.data.labels.iter().filter_map(|label| places[usize::from(*label)]).collect();
    Ok(score(&answers, &labels, known).map_err(learned)?.accuracy)
}
