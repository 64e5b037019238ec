//! `ottoscope learn`: from captures to samples, models, and what their scores are worth.

pub(crate) mod args;
mod idx;
mod images;
mod samples;

use std::io::Write;
use std::process::ExitCode;

use args::{LearnAction, LearnArgs};

/// Runs the verb.
pub(crate) fn run(args: &LearnArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match &args.action {
        LearnAction::Samples(args) => samples::run(args, out),
        LearnAction::Idx(args) => idx::run(args, out),
        LearnAction::Images(args) => images::run(args, out),
    }
}
