//! Looks into over-the-top messaging and voice traffic.

mod account;
mod calls;
mod cli;
mod clock;
mod commands;
mod hint;
mod infer;
mod inline;
mod input;
mod learn;
mod progress;
mod report;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let result = match &cli.command {
        Command::Run(args) => commands::run::run(args, &mut out),
        Command::Query(args) => commands::query::run(args, &mut out),
        Command::Shell(args) => commands::shell::run(&args.study).map(|()| ExitCode::SUCCESS),
        Command::Analyse(args) => commands::analyse::run(args, &mut out),
        Command::Report(args) => commands::report::run(args, &mut out),
        Command::Label(args) => commands::label::run(args, &mut out),
        Command::Dissect(args) => commands::dissect::run(args, &mut out),
        Command::Infer(args) => commands::infer::run(args, &mut out),
        Command::Calls(args) => commands::calls::run(args, &mut out),
        Command::Learn(args) => commands::learn::run(args, &mut out),
        Command::Catalog(args) => commands::catalog::run(args, &mut out),
        Command::Study(args) => commands::study::run(args, &mut out),
        Command::Synth(args) => commands::synth::run(args, &mut out),
    };
    match result.and_then(|code| Ok(out.flush().map(|()| code)?)) {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{}", hint::render(&error));
            ExitCode::FAILURE
        }
    }
}

/// Whether nobody reads what we print any more, as in `| head`: a normal way to end.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    })
}
