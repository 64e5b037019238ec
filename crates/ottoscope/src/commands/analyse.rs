//! `ottoscope analyse`: the study questions this program knows.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use ottoscope_analysis::{ALL, Analysis, Answer, Format, Params, Session, registry};

use crate::cli::{AnalyseAction, AnalyseArgs, Narrow};
use crate::commands::query::{open, question, terminal_width};
use crate::progress::say;

/// Runs the verb.
pub(crate) fn run(args: &AnalyseArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match &args.action {
        AnalyseAction::List => {
            for analysis in ALL {
                writeln!(out, "{:16} {}", analysis.id, analysis.title)?;
            }
        }
        AnalyseAction::Show { id } => {
            writeln!(out, "{}", registry::find(id).map_err(question)?.about)?;
        }
        AnalyseAction::Run { study, ids, narrow } => {
            let chosen: Vec<&Analysis> = if ids.is_empty() {
                ALL.iter().collect()
            } else {
                ids.iter()
                    .map(|id| registry::find(id).map_err(question))
                    .collect::<anyhow::Result<_>>()?
            };
            let session = open(study)?;
            for answer in answers(&session, &chosen, &params(narrow))? {
                print(&answer, out)?;
                keep(study, &answer)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks the chosen questions of a study.
pub(crate) fn answers(
    session: &Session,
    chosen: &[&Analysis],
    params: &Params,
) -> anyhow::Result<Vec<Answer>> {
    chosen.iter().map(|analysis| analysis.run(session, params).map_err(question)).collect()
}

fn params(narrow: &Narrow) -> Params {
    let default = Params::default();
    Params {
        app: narrow.app.clone(),
        from: narrow.from,
        to: narrow.to,
        suppress: narrow.suppress,
        top: narrow.top.unwrap_or(default.top),
        ..default
    }
}

/// Keeps an answer among the study's results.
pub(crate) fn keep(study: &Path, answer: &Answer) -> anyhow::Result<()> {
    crate::report::results::write(study, answer)
}

fn print(answer: &Answer, out: &mut dyn Write) -> anyhow::Result<()> {
    for table in &answer.tables {
        writeln!(out, "{} · {} ({})", answer.title, table.title, table.denominator)?;
        table.write(Format::Table { width: terminal_width() }, out).map_err(question)?;
        writeln!(out)?;
    }
    for note in &answer.notes {
        say(format_args!("{}: {note}", answer.id));
    }
    Ok(())
}
