//! `learn experiment`: the OTT voice paper's six.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use ottoscope_analysis::figure::{Axis, Bars, Chart, Figure, Scale};
use ottoscope_analysis::grid::Unit;
use ottoscope_learn::evaluate::{Bench, Make};
use ottoscope_learn::experiment::{self, Outcome};
use ottoscope_learn::split::Plan;
use ottoscope_learn::{Classifier, Epoch};

use super::args::{DataArgs, ExperimentArgs};
use crate::account::{Step, Table, count, heads, page, print};
use crate::learn::account::{self, interval, share};
use crate::learn::data::{learned, rung};
use crate::learn::model::named;
use crate::learn::work::Work;
use crate::report::results::write_whole;

/// Runs the verb.
pub(super) fn run(args: &ExperimentArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let experiment = args.experiment;
    let names: Vec<String> = if args.models.is_empty() {
        experiment.models().iter().map(|name| (*name).to_owned()).collect()
    } else {
        args.models.clone()
    };
    let kinds = names.iter().map(|name| named(name)).collect::<anyhow::Result<Vec<_>>>()?;
    let masks = args.masks.masks();
    let mut data = Vec::with_capacity(args.data.len());
    for one in &args.data {
        let source = DataArgs { data: one.path.clone(), classes: args.classes.clone() };
        data.push((one.name.clone(), source.open()?.0.masked(&masks).0));
    }
    let weakest = data.iter().map(|(_, samples)| rung(args.rung, samples)).min();
    let plan = Plan { rung: weakest.unwrap_or(Plan::default().rung), ..Plan::default() };
    let groups: Option<BTreeMap<String, String>> = (!args.voice.is_empty()).then(|| {
        let classes = data.iter().flat_map(|(_, samples)| &samples.data.classes);
        let group = |class: &String| if args.voice.contains(class) { "OTT" } else { "non-OTT" };
        classes.map(|class| (class.clone(), group(class).to_owned())).collect()
    });
    let fit = args.fit.fit();
    let seeds: Vec<u64> = (0..u64::from(args.seeds)).map(|n| args.fit.seed + n).collect();
    let makes: Vec<fn() -> Box<dyn Classifier>> = kinds.iter().map(|kind| kind.make).collect();
    let models: Vec<(&str, Make<'_>)> =
        kinds.iter().zip(&makes).map(|(kind, make)| (kind.name, make as Make<'_>)).collect();
    let mut work = Work::begin();
    let clock = Work::clock(&work);
    let mut watch = |name: &str, run: usize, epoch: &Epoch| work.pass(name, run, epoch);
    let mut bench =
        Bench { fit: &fit, plan: &plan, seeds: &seeds, clock: &clock, watch: &mut watch };
    let outcome = experiment::run(experiment, &data, groups.as_ref(), &models, &mut bench)
        .map_err(learned)?;
    work.end();
    if work.stopped() {
        return Err(anyhow::anyhow!("stopped: what part of the passes says is not what all say"));
    }
    let steps = steps(&outcome, &masks.names(), plan.rung.name(), args.seeds);
    for step in &steps {
        print::step(out, step, false)?;
    }
    if let Some(folder) = &args.output {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let title = format!("Experiment {experiment}: {}", outcome.title);
        write_whole(&folder.join("index.html"), &page::page("Experiment", &title, &steps))?;
        write_whole(&folder.join("outcome.json"), &serde_json::to_string_pretty(&outcome)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn steps(outcome: &Outcome, masks: &[String], rung: &str, seeds: u16) -> Vec<Step> {
    let mut first =
        Step::new("experiment", format!("Experiment {}: {}", outcome.experiment, outcome.title));
    first.say(if masks.is_empty() {
        "nothing is hidden, as in the paper: capture times and addresses are among the bytes"
            .to_owned()
    } else {
        format!("hidden: {}", masks.join(", "))
    });
    first.say(format!("split by {rung}; mean and 95 % interval over {seeds} seeds"));
    if !outcome.missing.is_empty() {
        first.say(format!("the paper also ran {}", outcome.missing.join(", ")));
    }
    if outcome.rows.iter().all(|row| row.paper.is_none()) {
        first.say("the classes are not the paper's: its figures are no measure of these");
    }
    let rows = outcome.rows.iter().map(|row| {
        vec![
            row.representation.clone(),
            row.most.map_or_else(|| "all".to_owned(), |most| count(most as u64)),
            row.summary.model.clone(),
            interval(&row.summary.accuracy),
            interval(&row.summary.f1[0]),
            interval(&row.summary.f1[1]),
            interval(&row.summary.f1[2]),
            row.paper.map_or_else(String::new, share),
        ]
    });
    first.tables.push(Table {
        caption: "Test samples".to_owned(),
        columns: heads([
            "representation",
            "samples a class",
            "model",
            "accuracy",
            "F1 micro",
            "F1 macro",
            "F1 weighted",
            "the paper",
        ]),
        rows: rows.collect(),
    });
    first.figures.push(figure(outcome));
    for (name, counts) in &outcome.counts {
        let rows = counts.classes.iter().map(|(class, n)| vec![class.clone(), count(*n as u64)]);
        first.tables.push(Table {
            caption: format!("Samples of {name}"),
            columns: heads(["class", "samples"]),
            rows: rows.collect(),
        });
    }
    let mut steps = vec![first];
    for row in &outcome.rows {
        let Some(run) = row.summary.runs.first() else { continue };
        let most = row.most.map_or_else(String::new, |most| format!(", {most} a class"));
        let title = format!("{} on {}{most}", row.summary.model, row.representation);
        let mut step = Step::new("model", title.clone());
        step.tables.push(account::classes("Test samples of the first seed", &run.scores));
        step.tables.push(account::confusion("Test samples of the first seed", &run.scores));
        let id = format!("{}-{}", row.summary.model, steps.len());
        account::curves(&mut step, &id, &title, &run.epochs);
        account::reliability(&mut step, &id, &title, &run.scores);
        steps.push(step);
    }
    steps
}

/// Accuracy of every row, as the paper's figures 6 to 9 have it.
fn figure(outcome: &Outcome) -> Figure {
    let name = |row: &experiment::Row| {
        let most = row.most.map_or_else(String::new, |most| format!(" {most}"));
        format!("{} {}{most}", row.summary.model, row.representation)
    };
    let ours = outcome.rows.iter().map(|row| Some(row.summary.accuracy.mean)).collect();
    Figure {
        id: "accuracy".to_owned(),
        title: "Share of test samples right".to_owned(),
        caption: "Mean over seeds".to_owned(),
        chart: Chart::Bars {
            axis: Axis { label: "accuracy".to_owned(), unit: Unit::Share, scale: Scale::Linear },
            categories: outcome.rows.iter().map(name).collect(),
            series: vec![Bars { name: "accuracy".to_owned(), values: ours }],
        },
    }
}
