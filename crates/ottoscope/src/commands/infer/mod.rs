//! `ottoscope infer`: from packets of a protocol that nobody has documented to its format.

mod accept;
pub(crate) mod args;
mod clean;
mod export;
mod feedback;
mod formats;
mod keywords;
mod opcodes;
mod propose;
mod steps;

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use ottoscope_flow::Transport;
use ottoscope_infer::{Lab, Params};
use ottoscope_store::Study;

use self::args::{Carrier, InferAction, InferArgs, ProposeArgs, StepArgs, TrafficArgs};
use self::steps::Walk;
use crate::account::Step;
use crate::account::{page, print};
use crate::clock;
use crate::hint::{hinted, stored};
use crate::infer::select::Rules;
use crate::progress::say;
use crate::report::results::write_whole;

/// Runs the verb.
pub(crate) fn run(args: &InferArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let (upto, args) = match &args.action {
        InferAction::All(args) => ("all", args),
        InferAction::Clean(args) => ("clean", args),
        InferAction::Keywords(args) => ("keywords", args),
        InferAction::Segment(args) => ("segment", args),
        InferAction::Messages(args) => ("messages", args),
        InferAction::Fields(args) => ("fields", args),
        InferAction::Opcodes(args) => ("opcodes", args),
        InferAction::Propose(args) => return proposed(args, out),
        InferAction::Accept(args) => return accept::run(args, out),
        InferAction::Feedback(args) => return feedback::run(args, out),
        InferAction::Export(args) => return export::run(args, out),
    };
    let walked = Walk::through(args, upto, None)?;
    tell(args, upto, &walked.steps, out)?;
    Ok(if walked.structured { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes a proposal.
fn proposed(args: &ProposeArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let walked = Walk::through(&args.step, "all", Some(&args.name))?;
    let file = walked.proposal.filter(|file| !file.signatures.is_empty());
    for step in walked.steps.iter().filter(|step| matches!(step.id, "fields" | "propose")) {
        for words in &step.words {
            say(format_args!("{words}"));
        }
    }
    let Some(file) = file else {
        return Err(hinted(
            "there is nothing to propose",
            "`ottoscope infer all` with the same arguments shows what each step found",
        ));
    };
    let text = propose::text(&file)?;
    let path = match (&args.step.traffic.study, &args.output) {
        (Some(study), None) => {
            let study = Study::open(study).map_err(stored)?;
            let day = clock::now().to_string();
            let day = day.get(..10).unwrap_or("undated");
            let name = format!("{day}-{}.toml", file.app.id);
            Some(study.root().join("catalog").join("proposed").join(name))
        }
        (_, output) => output.clone(),
    };
    match path {
        Some(path) => {
            write_whole(&path, &text)?;
            writeln!(out, "{}", path.display())?;
            say(format_args!(
                "read and edit it; `ottoscope infer accept {}` with --study STUDY or --into FILE \
                 takes it into a catalogue",
                path.display()
            ));
        }
        None => out.write_all(text.as_bytes())?,
    }
    if let Some(html) = &args.step.html {
        page_of(&args.step, &walked.steps, html)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the account in the form asked for.
fn tell(args: &StepArgs, upto: &str, steps: &[Step], out: &mut dyn Write) -> anyhow::Result<()> {
    let wanted: Vec<&Step> = steps.iter().filter(|s| upto == "all" || s.id == upto).collect();
    if args.json {
        let all: Vec<_> = wanted.iter().map(|step| step.to_json()).collect();
        serde_json::to_writer_pretty(&mut *out, &all)?;
        writeln!(out)?;
    } else {
        let coloured = std::io::stdout().is_terminal() && console::colors_enabled();
        for step in wanted {
            print::step(out, step, coloured)?;
        }
    }
    if let Some(path) = &args.html {
        page_of(args, steps, path)?;
    }
    Ok(())
}

fn page_of(args: &StepArgs, steps: &[Step], path: &Path) -> anyhow::Result<()> {
    let title = format!("Inference from {}", args.traffic.names());
    write_whole(path, &page::page("Protocol inference", &title, steps))
}

fn rules(traffic: &TrafficArgs) -> anyhow::Result<Rules> {
    let mut rules = Rules::new(&traffic.server)?;
    rules.app.clone_from(&traffic.app);
    rules.ports.clone_from(&traffic.port);
    rules.known = traffic.known;
    rules.transport = traffic.transport.map(|carrier| match carrier {
        Carrier::Tcp => Transport::Tcp,
        Carrier::Udp => Transport::Udp,
    });
    Ok(rules)
}

fn lab(traffic: &TrafficArgs) -> anyhow::Result<Option<Lab>> {
    let Some(path) = &traffic.lab else { return Ok(None) };
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the lab file {}", path.display()))?;
    let lab = Lab::parse(&text).map_err(|error| {
        hinted(
            format!("the lab file {}: {error}", path.display()),
            "write one [[experiment]] a task with `task`, `start` and `end`, or a CSV with these \
             columns",
        )
    })?;
    Ok(Some(lab))
}

/// The paper's thresholds, then the study's, then `NAME=VALUE` on top.
pub(super) fn params(study: Option<&Study>, set: &[String]) -> anyhow::Result<Params> {
    let mut values = serde_json::to_value(Params::default())?;
    let study = study.into_iter().flat_map(|study| &study.config().infer);
    let study = study.map(|(name, value)| ("[infer] in study.toml", name.clone(), value.clone()));
    let mut all: Vec<(&str, String, String)> = study.collect();
    for text in set {
        let (name, value) = text.split_once('=').ok_or_else(|| {
            hinted(format!("`--set {text}` is not NAME=VALUE"), "as in opcode-entropy=0.4")
        })?;
        all.push(("--set", name.trim().to_owned(), value.trim().to_owned()));
    }
    for (from, name, value) in all {
        let number: f64 = value.parse().map_err(|_| {
            hinted(format!("{from}: `{value}` is no number"), "as in opcode-entropy=0.4")
        })?;
        let Some(place) = values.get_mut(&name) else {
            let names = values.as_object().map(|all| all.keys().cloned().collect::<Vec<_>>());
            return Err(hinted(
                format!("{from}: no threshold is named `{name}`"),
                format!("there are: {}", names.unwrap_or_default().join(", ")),
            ));
        };
        let whole = place.is_u64() && number >= 0.0 && number.fract() == 0.0;
        *place = if whole { serde_json::json!(number as u64) } else { serde_json::json!(number) };
        // One by one, so that the one that is wrong can be named.
        let read: Result<Params, _> = serde_json::from_value(values.clone());
        read.map_err(|error| error.to_string())
            .and_then(|params| params.check().map(|()| params).map_err(str::to_owned))
            .map_err(|error| {
                hinted(
                    format!("{from}: `{name}` cannot be {value}: {error}"),
                    "docs/reference/inference.md lists thresholds with their ranges",
                )
            })?;
    }
    Ok(serde_json::from_value(values)?)
}
