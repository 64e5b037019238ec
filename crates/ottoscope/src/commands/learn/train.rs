//! `learn train`: one model from samples, with its card.

use std::io::Write;
use std::process::ExitCode;

use ottoscope_learn::card::{Card, data_digest};
use ottoscope_learn::evaluate::certainty;
use ottoscope_learn::leaks;
use ottoscope_learn::score::{reject_threshold, score};
use ottoscope_learn::split::{Plan, Rung, split};
use ottoscope_learn::{Control, Epoch, Fit, Rows};

use super::args::TrainArgs;
use crate::account::{Step, count, page, print};
use crate::hint::hinted;
use crate::learn::account;
use crate::learn::data::{ENDING, learned, rung};
use crate::learn::model::{card_of, digest_of, named, recipe};
use crate::learn::work::Work;
use crate::report::results::write_whole;

/// Certainties kept for drift.
const CERTAINTIES: usize = 1000;

/// Runs the verb.
pub(super) fn run(args: &TrainArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    if args.output.extension().is_none_or(|ending| ending != ENDING) {
        return Err(hinted(
            format!("{} is no name for weights", args.output.display()),
            format!("let it end in .{ENDING}; the card lies beside it as JSON"),
        ));
    }
    let kind = named(&args.model)?;
    let (raw, made) = args.data.open()?;
    let masks = args.masks.masks();
    let (samples, left) = raw.masked(&masks);
    let plan = Plan {
        rung: rung(args.split.rung, &samples),
        seed: args.fit.seed,
        most: args.split.most,
        ..Plan::default()
    };
    let parts = split(&samples, &plan).map_err(learned)?;
    let mut work = Work::begin();
    let checkpoint = args.output.with_extension("checkpoint");
    let fit = Fit { checkpoint: Some(checkpoint.clone()), ..args.fit.fit() };
    let rows = |rows| Rows { data: &samples.data, rows };
    let mut model = (kind.make)();
    let clock = Work::clock(&work);
    let epochs = model
        .fit(rows(&parts.train), rows(&parts.validation), &fit, &mut |epoch: &Epoch| {
            work.pass(kind.name, 0, epoch)
        })
        .map_err(learned)?;
    let seconds = clock();
    work.end();
    if work.stopped() {
        return Err(hinted(
            format!("stopped after {} passes", epochs.len()),
            format!("the same command goes on from {}", checkpoint.display()),
        ));
    }
    let answers = model.predict(rows(&parts.test), fit.threads);
    let labels: Vec<u16> = rows(&parts.test).labels().collect();
    let scores = score(&answers, &labels, &samples.data.classes).map_err(learned)?;
    let classes = samples.data.classes.len();
    let mut sure = certainty(&model.predict(rows(&parts.validation), fit.threads), classes);
    sure.sort_by(f32::total_cmp);
    let threshold = reject_threshold(&sure, 0.95);
    let every = sure.len().div_ceil(CERTAINTIES).max(1);

    let mut warnings = Vec::new();
    if plan.rung == Rung::Random {
        warnings.push("the split is random: what belongs together is on both sides".to_owned());
    }
    if masks.names().is_empty() {
        warnings.push("nothing is masked: the model sees addresses, ports and times".to_owned());
    }
    if !args.no_probes {
        let forest: ottoscope_learn::evaluate::Make<'_> = &|| (forest().make)();
        let mut quiet = |_: &str, _: usize, _: &Epoch| Control::Continue;
        let mut bench = ottoscope_learn::evaluate::Bench {
            fit: &args.fit.fit(),
            plan: &plan,
            seeds: &[args.fit.seed],
            clock: &|| 0.0,
            watch: &mut quiet,
        };
        let probes = leaks::leaks(&raw, &parts, forest, &mut bench).map_err(learned)?;
        warnings.extend(leaks::verdict(&probes, scores.accuracy));
    }
    model.save(&args.output).map_err(learned)?;
    let card = Card {
        format: Card::format(),
        model: kind.name.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        weights: digest_of(&args.output)?,
        classes: samples.data.classes.clone(),
        recipe: recipe(&made, &samples, &masks, left),
        rung: plan.rung,
        data: data_digest(&samples.data),
        threshold,
        certainty: sure.iter().step_by(every).copied().collect(),
        scores: scores.clone(),
        summary: None,
        warnings: warnings.clone(),
    };
    card.save(&card_of(&args.output)).map_err(learned)?;
    if let Some(onnx) = &args.onnx {
        let bytes = model.onnx().ok_or_else(|| {
            hinted(
                format!("{} has no ONNX form for samples of this width", kind.name),
                "lstm needs a multiple of 28 bytes, cnn2d a square number of them",
            )
        })?;
        crate::report::results::replace(onnx, &bytes)?;
    }
    // Whole as it is now, it is not gone on with.
    let _ = std::fs::remove_file(&checkpoint);

    let mut step = Step::new("train", format!("{}: {}", kind.name, kind.about));
    step.say(format!(
        "{} samples to learn from, {} to validate, {} to test, split by {}",
        count(parts.train.len() as u64),
        count(parts.validation.len() as u64),
        count(parts.test.len() as u64),
        plan.rung.name()
    ));
    step.say(format!(
        "{} passes in {seconds:.1} s, {} bytes",
        epochs.len(),
        count(model.size() as u64)
    ));
    step.say(format!("{:.4} of the test samples are right", scores.accuracy));
    for warning in &warnings {
        step.say(format!("note: {warning}"));
    }
    step.tables.push(account::classes("Test samples", &scores));
    step.tables.push(account::confusion("Test samples", &scores));
    account::curves(&mut step, "train", kind.name, &epochs);
    account::reliability(&mut step, "train", kind.name, &scores);
    print::step(out, &step, false)?;
    if let Some(html) = &args.html {
        write_whole(html, &page::page("Trained model", kind.name, &[step]))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The model that looks for leaks.
pub(super) fn forest() -> &'static ottoscope_learn::model::Model {
    ottoscope_learn::model::named("forest").unwrap_or(&ottoscope_learn::model::MODELS[0])
}
