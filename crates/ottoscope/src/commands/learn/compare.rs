//! `learn compare`: evaluations side by side.

use std::fs;
use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use ottoscope_learn::report::Report;

use super::args::CompareArgs;
use crate::account::{Step, Table, heads, print};
use crate::learn::account::{interval, share};

/// Runs the verb.
pub(super) fn run(args: &CompareArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let mut step = Step::new("compare", "Evaluations side by side");
    let mut rows = Vec::new();
    for named in &args.reports {
        let shown = named.path.display();
        let text =
            fs::read_to_string(&named.path).with_context(|| format!("cannot read {shown}"))?;
        let report: Report = serde_json::from_str(&text)
            .with_context(|| format!("{shown} is no report of `learn evaluate`"))?;
        let best = report.rivals.iter().max_by(|a, b| a.accuracy.mean.total_cmp(&b.accuracy.mean));
        let leak = report.leaks.first();
        for model in &report.models {
            rows.push(vec![
                named.name.clone(),
                model.model.clone(),
                interval(&model.accuracy),
                interval(&model.f1[0]),
                interval(&model.f1[1]),
                interval(&model.f1[2]),
                report.rung.name().to_owned(),
                best.map_or_else(String::new, |r| {
                    format!("{} {}", share(r.accuracy.mean), r.model)
                }),
                leak.map_or_else(String::new, |p| format!("{} {}", share(p.accuracy), p.name)),
            ]);
        }
        for warning in &report.warnings {
            step.say(format!("{}: {warning}", named.name));
        }
    }
    step.tables.push(Table {
        caption: String::new(),
        columns: heads([
            "data",
            "model",
            "accuracy",
            "F1 micro",
            "F1 macro",
            "F1 weighted",
            "split by",
            "best rival",
            "best field alone",
        ]),
        rows,
    });
    print::step(out, &step, false)?;
    Ok(ExitCode::SUCCESS)
}
