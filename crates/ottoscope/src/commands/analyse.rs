//! `ottoscope analyse`: the study questions this program knows.

use std::io::Write;
use std::panic::resume_unwind;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

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

/// Questions asked at a time: a question has stretches that one core works on.
const AT_ONCE: usize = 2;

/// Asks the chosen questions of a study.
pub(crate) fn answers(
    session: &Session,
    chosen: &[&Analysis],
    params: &Params,
) -> anyhow::Result<Vec<Answer>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        while let place = next.fetch_add(1, Ordering::Relaxed)
            && let Some(analysis) = chosen.get(place)
        {
            found.push((place, analysis.run(session, params)));
        }
        found
    };
    let mut found: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        let ended = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        ended.flat_map(|found| found.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    found.sort_unstable_by_key(|(place, _)| *place);
    found.into_iter().map(|(_, answer)| answer.map_err(question)).collect()
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
