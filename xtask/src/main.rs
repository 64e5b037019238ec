//! Runs the checks.
//!
//! For whoever is about to send or merge a change: one command for everything a reviewer
//! would run. Files of the repository flow in; findings, each with what to do about it, flow
//! out. It depends on nothing, so that it builds in seconds.
#![allow(clippy::print_stdout, clippy::print_stderr)] // words are what this program is for

mod bench;
mod check;
mod fuzz;
mod inference;
mod labels;
mod map;
mod new;
mod shell;
mod tidy;

use std::process::ExitCode;

use shell::Result;

const HELP: &str = "\
cargo xtask VERB

  check [--ci]                lint, then test; with --ci also fuzz, for a cold machine
  lint                        fmt, tidy, clippy, rustdoc, licences (cargo-deny, if installed)
  test [ARGS]                 every test, by nextest when it is installed
  tidy                        the architecture and the house rules, in seconds
  bless [map]                 rewrite what is generated: the map in ARCHITECTURE.md, the
                              reference pages, the snapshots; or the map alone, in seconds.
                              Read the diff before committing
  fuzz [TARGET] [--seconds N] replay the seeds, then fuzz each target for N seconds (10)
  fuzz-build                  build the fuzz targets only
  compare-labels [--bin PATH] [--strict] [--capture TEXT]
                              our labels beside nDPI's, flow by flow
  bench [ARGS]                speed beside other tools, see benchsuite/README.md
  inference [ARGS]            how well fields are found, into docs/concepts/inference-methods.md
  new protocol|analysis|app NAME
                              copy the living template and say which line to add
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (verb, rest) = match args.split_first() {
        Some((verb, rest)) => (verb.as_str(), rest),
        None => ("help", &[][..]),
    };
    match run(verb, rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {verb}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: &str, rest: &[String]) -> Result {
    match verb {
        "check" => check::check(rest.iter().any(|a| a == "--ci")),
        "lint" => check::lint(),
        "test" => check::test(rest),
        "tidy" => tidy::run(),
        "bless" => check::bless(rest.iter().any(|a| a == "map")),
        "fuzz" => fuzz::run(rest),
        "fuzz-build" => fuzz::build(),
        "compare-labels" => labels::run(rest),
        "bench" => bench::run(rest),
        "inference" => inference::run(rest),
        "new" => new::run(rest),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        _ => Err(format!("no such verb; there are:\n\n{HELP}").into()),
    }
}
