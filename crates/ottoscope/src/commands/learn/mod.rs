//! `ottoscope learn`: from captures to samples, models, and what their scores are worth.

pub(crate) mod args;
mod compare;
mod evaluate;
mod experiment;
mod forge;
mod idx;
mod images;
pub(crate) mod predict;
mod samples;
mod train;

use std::io::Write;
use std::process::ExitCode;

use args::{LearnAction, LearnArgs};

/// Runs the verb.
pub(crate) fn run(args: &LearnArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match &args.action {
        LearnAction::Samples(args) => samples::run(args, out),
        LearnAction::Idx(args) => idx::run(args, out),
        LearnAction::Images(args) => images::run(args, out),
        LearnAction::Train(args) => train::run(args, out),
        LearnAction::Evaluate(args) => evaluate::run(args, out),
        LearnAction::Experiment(args) => experiment::run(args, out),
        LearnAction::Compare(args) => compare::run(args, out),
        LearnAction::Forge(args) => forge::run(args, out),
        LearnAction::Predict(args) => predict::run(args, out),
    }
}
