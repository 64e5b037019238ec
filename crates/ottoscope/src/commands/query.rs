//! `ottoscope query`: any question over a study's tables.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::process::ExitCode;

use ottoscope_analysis::{Error, Session, format};

use crate::cli::{Format, QueryArgs};
use crate::hint::hinted;

/// Runs the verb.
pub(crate) fn run(args: &QueryArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let sql = if args.sql == "-" {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text)?;
        text
    } else {
        args.sql.clone()
    };
    let session = open(&args.study)?;
    if args.format == Format::Parquet && args.output.is_none() && io::stdout().is_terminal() {
        return Err(hinted("Parquet is not for a terminal", "write it to a file: -o rows.parquet"));
    }
    let batches = session.stream(&sql).map_err(question)?;
    match &args.output {
        None => {
            format::write(batches, chosen(args.format, false), out).map_err(question)?;
        }
        Some(path) => {
            let file = File::create(path).map_err(|e| {
                hinted(format!("cannot write {}: {e}", path.display()), "is the folder there?")
            })?;
            let mut file = BufWriter::new(file);
            format::write(batches, chosen(args.format, true), &mut file).map_err(question)?;
            file.flush()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Opens a study for questions.
pub(crate) fn open(study: &std::path::Path) -> anyhow::Result<Session> {
    Session::open(study, &ottoscope_analysis::Options::default()).map_err(question)
}

/// An analysis error with its hint.
pub(crate) fn question(error: Error) -> anyhow::Error {
    match error.hint() {
        Some(hint) => hinted(error.to_string(), hint),
        None => error.into(),
    }
}

/// The format for standard output or a file.
pub(crate) fn chosen(format: Format, to_file: bool) -> ottoscope_analysis::Format {
    match format {
        Format::Table => {
            ottoscope_analysis::Format::Table { width: (!to_file).then(terminal_width).flatten() }
        }
        Format::Csv => ottoscope_analysis::Format::Csv,
        Format::Json => ottoscope_analysis::Format::Json,
        Format::Parquet => ottoscope_analysis::Format::Parquet,
    }
}

/// Characters of a line, where a person looks at standard output.
pub(crate) fn terminal_width() -> Option<usize> {
    let terminal = console::Term::stdout();
    terminal.is_term().then(|| usize::from(terminal.size().1))
}
