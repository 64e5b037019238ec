//! `ottoscope calls`: media streams of calls, down to their pictures.

pub(crate) mod args;
mod extract;
mod list;
mod play;
mod show;

use std::io::Write;
use std::process::ExitCode;

use args::{CallsAction, CallsArgs};

/// Runs the verb.
pub(crate) fn run(args: &CallsArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match &args.action {
        CallsAction::List(args) => list::run(args, out),
        CallsAction::Show(args) => show::run(args, out),
        CallsAction::Extract(args) => extract::run(args, out),
        CallsAction::Play(args) => play::run(args, out),
    }
}
