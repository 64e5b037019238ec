//! `learn forge`: the same traffic with other addresses, ports and times.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use ottoscope_flow::Span;
use ottoscope_flow::capture::{Input, Options, Progress, RewriteError, rewrite};
use ottoscope_flow::wire::rewrite::Names;
use ottoscope_learn::forge::Forge;
use ottoscope_learn::score::score;
use ottoscope_learn::{Rows, Samples, file};

use super::args::ForgeArgs;
use crate::account::{Step, Table, count, heads, print};
use crate::hint::hinted;
use crate::input;
use crate::learn::account::share;
use crate::learn::data::learned;
use crate::learn::model::{Trained, open};
use crate::progress::ReadingBar;

/// Runs the verb.
pub(super) fn run(args: &ForgeArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let forge = Forge::all(args.seed);
    match &args.output {
        Some(path) if path.extension().is_some_and(|ending| ending == "pcap") => {
            capture(args, &forge, path, out)
        }
        _ => samples(args, &forge, out),
    }
}

/// A capture with other names in every header.
fn capture(
    args: &ForgeArgs,
    forge: &Forge,
    output: &Path,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    if args.model.is_some() || !args.data.classes.is_empty() {
        return Err(hinted(
            "a capture is forged without a model",
            format!("ask the model afterwards: `learn predict --model MODEL {}`", output.display()),
        ));
    }
    let options = Options { stop: input::stop_flag(), progress: Arc::new(Progress::default()) };
    let bar = ReadingBar::show(Arc::clone(&options.progress));
    let shift = Span::from_seconds(forge.shift().into());
    let input = Input::Path(args.data.data.clone());
    let written = rewrite(&input, &options, &Others(*forge), shift, output);
    drop(bar);
    let written = written.map_err(|error| match error {
        RewriteError::Capture(error) => input::capture_error(error),
        RewriteError::LinkTypes { .. } => {
            hinted(error.to_string(), "pcap holds one: forge what each interface captured alone")
        }
        error => error.into(),
    })?;
    let mut step = Step::new("forge", "The same traffic with other addresses, ports and times");
    step.say(format!(
        "{} packets written, {} IP headers with other addresses, times {} days later",
        count(written.packets),
        count(written.headers),
        forge.shift() / 86_400
    ));
    if written.untouched > 0 {
        step.say(format!("{} packets have no IP header that was read", count(written.untouched)));
    }
    step.say("what applications write of addresses into their payload is as it was");
    print::step(out, &step, false)?;
    Ok(ExitCode::SUCCESS)
}

/// Samples, and what a model has right before and after.
fn samples(args: &ForgeArgs, forge: &Forge, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let trained = args.model.as_deref().map(open).transpose()?;
    let (raw, made) = args.data.open()?;
    let forged = forge.samples(&raw);
    if let Some(path) = &args.output {
        file::save(&forged, &made, path).map_err(learned)?;
    }
    let mut step = Step::new("forge", "The same traffic with other addresses, ports and times");
    if let Some(trained) = &trained {
        let before = accuracy(trained, &raw)?;
        let after = accuracy(trained, &forged)?;
        step.say("what is lost was known of hosts and times, and not of traffic");
        step.say("samples that the model has learned from are scored too well, forged or not");
        step.tables.push(Table {
            caption: String::new(),
            columns: heads(["model", "samples", "accuracy", "forged", "lost"]),
            rows: vec![vec![
                trained.card.model.clone(),
                count(raw.len() as u64),
                share(before),
                share(after),
                share(before - after),
            ]],
        });
    } else {
        step.say(format!("{} samples forged", count(raw.len() as u64)));
    }
    print::step(out, &step, false)?;
    Ok(ExitCode::SUCCESS)
}

/// The names that a forge gives.
struct Others(Forge);

impl Names for Others {
    fn v4(&self, address: [u8; 4]) -> [u8; 4] {
        self.0.v4(u32::from_be_bytes(address)).to_be_bytes()
    }
    fn v6(&self, address: [u8; 16]) -> [u8; 16] {
        self.0.v6(address)
    }
    fn port(&self, port: u16) -> u16 {
        self.0.port(port)
    }
    fn ethernet(&self, address: [u8; 6]) -> [u8; 6] {
        self.0.ethernet(address)
    }
}

/// Share of samples that the model has right, classes by their names.
fn accuracy(trained: &Trained, samples: &Samples) -> anyhow::Result<f64> {
    let known = &trained.card.classes;
    let places: Vec<Option<u16>> = samples
        .data
        .classes
        .iter()
        .map(|class| known.iter().position(|name| name == class).map(|place| place as u16))
        .collect();
    if let Some(unknown) = places.iter().position(Option::is_none) {
        return Err(hinted(
            format!("the model knows no class `{}`", samples.data.classes[unknown]),
            format!("it knows: {}", known.join(", ")),
        ));
    }
    let prepared = trained.prepared(samples)?;
    let rows: Vec<u32> = (0..prepared.len() as u32).collect();
    let answers = trained.model.predict(Rows { data: &prepared.data, rows: &rows }, 1);
    let labels: Vec<u16> =
        prepared.data.labels.iter().filter_map(|label| places[usize::from(*label)]).collect();
    Ok(score(&answers, &labels, known).map_err(learned)?.accuracy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottoscope_flow::wire::rewrite::is_tunnel;

    #[test]
    fn ports_of_tunnels_stay_and_no_other_becomes_one() {
        let others = Others(Forge::all(3));
        for port in 0..=u16::MAX {
            let other = others.port(port);
            assert_eq!(is_tunnel(port), is_tunnel(other), "{port} {other}");
            assert!(!is_tunnel(port) || other == port, "{port} {other}");
        }
    }
}
