//! `ottoscope report`: the study's page.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ottoscope_analysis::{ALL, Params};

use crate::cli::ReportArgs;
use crate::commands::{analyse, query};
use crate::report;

/// Runs the verb.
pub(crate) fn run(args: &ReportArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let page = write(&args.study, args.output.as_deref())?;
    writeln!(out, "{}", page.display())?;
    Ok(ExitCode::SUCCESS)
}

/// Answers every question, keeps the results and writes the page; says where it is.
pub(crate) fn write(study: &Path, output: Option<&Path>) -> anyhow::Result<PathBuf> {
    let session = query::open(study)?;
    let answers = analyse::answers(&session, &ALL.iter().collect::<Vec<_>>(), &Params::default())?;
    for answer in &answers {
        analyse::keep(study, answer)?;
    }
    report::write(study, &session, &answers, output)
}
