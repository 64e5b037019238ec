//! `learn evaluate`: models beside their rivals, over seeds, with what gives answers away.

use std::fs;
use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use ottoscope_learn::evaluate::{Bench, Make};
use ottoscope_learn::forge::Forge;
use ottoscope_learn::report::{Extra, Report, evaluate};
use ottoscope_learn::rivals::Makers;
use ottoscope_learn::split::Plan;
use ottoscope_learn::{Classifier, Epoch, Samples};

use super::args::EvaluateArgs;
use crate::account::{Step, Table, count, heads, page, print};
use crate::hint::hinted;
use crate::learn::account::{self, share};
use crate::learn::data::{learned, rung};
use crate::learn::model::named;
use crate::learn::work::Work;
use crate::report::results::write_whole;

/// Runs the verb.
pub(super) fn run(args: &EvaluateArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let kinds = args.models.iter().map(|name| named(name)).collect::<anyhow::Result<Vec<_>>>()?;
    let (raw, _) = args.data.open()?;
    let masks = args.masks.masks();
    let plan = Plan {
        rung: rung(args.split.rung, &raw.masked(&masks).0),
        most: args.split.most,
        ..Plan::default()
    };
    let held = held(&raw, &args.hold_out)?;
    let fit = args.fit.fit();
    let seeds: Vec<u64> = (0..u64::from(args.seeds)).map(|n| args.fit.seed + n).collect();
    let makes: Vec<fn() -> Box<dyn Classifier>> = kinds.iter().map(|kind| kind.make).collect();
    let models: Vec<(&str, Make<'_>)> =
        kinds.iter().zip(&makes).map(|(kind, make)| (kind.name, make as Make<'_>)).collect();
    let by_name = |name: &str| named(name).map(|kind| kind.make);
    let (forest, boosted, nearest) = (by_name("forest")?, by_name("boosted")?, by_name("nearest")?);
    let makers = Makers { forest: &forest, boosted: &boosted, nearest: &nearest };
    let forge = (!args.no_forge).then(|| Forge::all(args.fit.seed));
    let mut work = Work::begin();
    let clock = Work::clock(&work);
    let mut watch = |name: &str, run: usize, epoch: &Epoch| work.pass(name, run, epoch);
    let mut bench =
        Bench { fit: &fit, plan: &plan, seeds: &seeds, clock: &clock, watch: &mut watch };
    let report =
        evaluate(&raw, &masks, &models, &makers, &Extra { held: &held, forge }, &mut bench)
            .map_err(learned)?;
    work.end();
    if work.stopped() {
        return Err(anyhow::anyhow!("stopped: what part of the passes says is not what all say"));
    }
    let steps = steps(&report, &raw, args);
    for step in &steps {
        print::step(out, step, false)?;
    }
    if let Some(folder) = &args.output {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let title = args.data.data.display().to_string();
        write_whole(&folder.join("index.html"), &page::page("Evaluation", &title, &steps))?;
        write_whole(&folder.join("report.json"), &serde_json::to_string_pretty(&report)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Numbers of the classes that are held out.
fn held(samples: &Samples, names: &[String]) -> anyhow::Result<Vec<u16>> {
    let classes = &samples.data.classes;
    names
        .iter()
        .map(|name| match classes.iter().position(|class| class == name) {
            Some(class) => Ok(class as u16),
            None => Err(hinted(
                format!("no class is named `{name}`"),
                format!("there are: {}", classes.join(", ")),
            )),
        })
        .collect()
}

/// The report, told.
fn steps(report: &Report, raw: &Samples, args: &EvaluateArgs) -> Vec<Step> {
    let mut first = Step::new("evaluate", "What the scores are worth");
    for warning in &report.warnings {
        first.say(format!("note: {warning}"));
    }
    let cleaned = report.cleaned;
    first.say(format!(
        "{} samples; dropped before the split: {} empty, {} equal to another of their class, {} to one of another class",
        count(cleaned.samples as u64),
        count(cleaned.empty as u64),
        count(cleaned.duplicates as u64),
        count(cleaned.conflicts as u64)
    ));
    first.say(match report.masks.as_slice() {
        [] => "nothing is hidden".to_owned(),
        masks => format!(
            "hidden: {}; {} of {} bytes are left",
            masks.join(", "),
            report.left,
            raw.data.width
        ),
    });
    first.say(format!(
        "split by {}; mean and 95 % interval over {} seeds",
        report.rung.name(),
        args.seeds
    ));
    let mut rungs = Vec::new();
    for state in &report.rungs {
        let why = state.refused.clone().unwrap_or_else(|| "yes".to_owned());
        rungs.push(vec![state.rung.name().to_owned(), why]);
    }
    first.tables.push(account::models("Models", &report.models));
    first
        .tables
        .push(account::models("Rivals, which see what is hidden from the models", &report.rivals));
    first.tables.push(Table {
        caption: "What the data allow to be kept apart".to_owned(),
        columns: heads(["rung", "can be split"]),
        rows: rungs,
    });
    let counts =
        report.counts.classes.iter().map(|(class, n)| vec![class.clone(), count(*n as u64)]);
    first.tables.push(Table {
        caption: "Samples".to_owned(),
        columns: heads(["class", "samples"]),
        rows: counts.collect(),
    });

    let mut leaks = Step::new("leaks", "What gives the answer away");
    leaks.say("a forest on each header field alone, and nothing else");
    leaks.tables.push(Table {
        caption: String::new(),
        columns: heads(["field", "bytes", "accuracy", "F1 macro"]),
        rows: report
            .leaks
            .iter()
            .map(|p| {
                vec![p.name.clone(), p.bytes.to_string(), share(p.accuracy), share(p.macro_f1)]
            })
            .collect(),
    });
    if !report.forged.is_empty() {
        leaks.tables.push(Table {
            caption: "The same traffic with other addresses, ports and times".to_owned(),
            columns: heads(["model", "accuracy", "forged", "lost"]),
            rows: report
                .forged
                .iter()
                .map(|f| {
                    vec![
                        f.model.clone(),
                        share(f.before),
                        share(f.after),
                        share(f.before - f.after),
                    ]
                })
                .collect(),
        });
    }
    let mut steps = vec![first, leaks];
    for summary in &report.models {
        let Some(run) = summary.runs.first() else { continue };
        let mut step = Step::new("model", format!("{}, class by class", summary.model));
        step.tables.push(account::classes("Test samples of the first seed", &run.scores));
        step.tables.push(account::confusion("Test samples of the first seed", &run.scores));
        account::curves(&mut step, &summary.model, &summary.model, &run.epochs);
        account::reliability(&mut step, &summary.model, &summary.model, &run.scores);
        steps.push(step);
    }
    if let Some(open) = &report.open {
        let mut step = Step::new("open", "Traffic of no known class");
        step.say(format!("held out of training: {}", open.held.join(", ")));
        step.say(format!(
            "AUROC {:.4}, false positives at 95 % found {:.4}",
            open.curve.area, open.curve.fpr95
        ));
        step.say(format!(
            "below a certainty of {:.4} an answer is rejected: {:.4} of known samples are kept, {:.4} of these right; {:.4} of unknown ones rejected",
            open.threshold, open.kept, open.right, open.rejected
        ));
        step.say(format!(
            "what was rejected makes {} groups (silhouette {:.2}{})",
            open.clusters.len(),
            open.silhouette,
            open.purity.map_or_else(String::new, |p| format!(", {p:.2} of each of one true class"))
        ));
        step.tables.push(Table {
            caption: "Groups offered as classes".to_owned(),
            columns: heads(["name", "samples", "example"]),
            rows: open
                .clusters
                .iter()
                .map(|c| vec![c.name.clone(), count(c.rows.len() as u64), c.example.to_string()])
                .collect(),
        });
        steps.push(step);
    }
    steps
}
