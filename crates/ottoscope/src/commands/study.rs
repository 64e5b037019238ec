//! `ottoscope study`: look at a study, or make one.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use ottoscope_store::{Study, TableInfo, tables};

use crate::cli::{StudyAction, StudyArgs};
use crate::hint::{hinted, stored};

/// Runs the verb.
pub(crate) fn run(args: &StudyArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match &args.action {
        StudyAction::New { path } => {
            let study = Study::create(path, &[]).map_err(stored)?;
            let file = study.root().join("study.toml");
            writeln!(out, "{}", file.display())?;
        }
        StudyAction::Info(study) => info(&study.study, out)?,
        StudyAction::Check(study) => return check(&study.study, out),
        StudyAction::Schema { table } => schema(table.as_deref(), out)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn info(path: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let study = Study::open(path).map_err(stored)?;
    let about = &study.config().study;
    writeln!(out, "{}", if about.name.is_empty() { "(no name)" } else { &about.name })?;
    if !about.about.is_empty() {
        writeln!(out, "{}", about.about)?;
    }
    for table in tables::ALL {
        let parts = study.parts(table.name).map_err(stored)?.len();
        let rows = study.count(table).map_err(stored)?;
        writeln!(out, "{:>12}  {rows:>12} rows in {parts} files", table.name)?;
    }
    for run in study.runs().map_err(stored)? {
        let seconds = run.seconds.map_or("?".to_owned(), |s| format!("{s:.1}"));
        writeln!(out, "{} {} in {seconds} s: {:?}", run.started, run.verb, run.outcome)?;
    }
    Ok(())
}

fn check(path: &Path, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let study = Study::open(path).map_err(stored)?;
    let check = study.check().map_err(stored)?;
    for (part, error) in &check.faults {
        writeln!(out, "{}: {error}", part.display())?;
    }
    writeln!(out, "{} files, {} rows, {} broken", check.parts, check.rows, check.faults.len())?;
    Ok(if check.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn schema(only: Option<&str>, out: &mut dyn Write) -> anyhow::Result<()> {
    let wanted: &[TableInfo] = match only {
        None => tables::ALL,
        Some(name) => match tables::ALL.iter().find(|table| table.name == name) {
            Some(table) => std::slice::from_ref(table),
            None => {
                let known: Vec<&str> = tables::ALL.iter().map(|table| table.name).collect();
                let hint = format!("there are: {}", known.join(", "));
                return Err(hinted(format!("no table named `{name}`"), hint));
            }
        },
    };
    for table in wanted {
        writeln!(out, "{}: {}", table.name, table.about)?;
        for column in table.columns {
            let kind = format!("{:?}{}", column.kind, if column.nullable { "?" } else { "" });
            writeln!(out, "  {:<20} {:<12} {}", column.name, kind, column.about)?;
        }
        writeln!(out)?;
    }
    Ok(())
}
