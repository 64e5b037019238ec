//! `ottoscope infer`: from packets of a protocol that nobody has documented to its format.

pub(crate) mod args;
mod clean;
mod formats;
mod keywords;

use std::fs;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use ottoscope_flow::Transport;
use ottoscope_flow::capture::Options;
use ottoscope_infer::{Lab, Params, segment, walk};

use self::args::{Carrier, InferAction, InferArgs, StepArgs, TrafficArgs, Types};
use crate::hint::hinted;
use crate::infer::gather::{Source, Survey};
use crate::infer::select::{Rules, Verdict};
use crate::infer::story::{self, Step};
use crate::infer::{page, print};
use crate::input;

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
    };
    let params = params(&args.set)?;
    let lab = lab(&args.traffic)?;
    let rules = rules(&args.traffic)?;
    let catalog = Arc::new(input::catalog(&args.traffic.catalog)?);
    if let Some(app) = &args.traffic.app {
        input::known_app(&catalog, app)?;
    }
    let source = Source {
        captures: &args.traffic.captures,
        catalog,
        options: Options { stop: input::stop_flag(), ..Options::default() },
    };
    let survey = source.survey(&rules, lab.as_ref())?;
    let mut steps = vec![clean::step(&survey, rules.chooses_servers())];
    if matches!(upto, "all" | "keywords") {
        steps.push(keywords::step(&survey, &params));
    }
    if matches!(upto, "clean" | "keywords") {
        tell(args, upto, &steps, out)?;
        return Ok(ExitCode::SUCCESS);
    }
    let method = segment::method(&args.method).ok_or_else(|| {
        let known: Vec<&str> = segment::METHODS.iter().map(|m| m.name()).collect();
        hinted(
            format!("no method is named `{}`", args.method),
            format!("there are: {}", known.join(", ")),
        )
    })?;
    let rules = match args.types {
        Types::Ours => walk::Rules::Typed,
        Types::Paper => walk::Rules::Paper,
    };
    let mut structured = false;
    for transport in transports(&survey) {
        let gathered = source.packets(&survey, transport, args.traffic.packets)?;
        if gathered.left_out > 0 {
            steps[0].say(format!(
                "{} packets beyond --packets {} are not looked at",
                story::count(gathered.left_out),
                args.traffic.packets
            ));
        }
        let packets = gathered.samples;
        match walk::infer(&packets, &params, method, rules) {
            Ok(found) => {
                structured |= found.formats.iter().any(|format| format.says_something());
                steps.push(formats::segment(&packets, &found, transport, method.name(), &params));
                steps.push(formats::messages(&packets, &found, transport));
                steps.push(formats::fields(&found, transport));
            }
            Err(error) => {
                let id = if upto == "all" { "fields" } else { upto_step(upto) };
                let mut step = Step::new(id, format!("{transport}: nothing inferred"));
                step.say(error.to_string());
                steps.push(step);
            }
        }
    }
    tell(args, upto, &steps, out)?;
    Ok(if structured { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn upto_step(upto: &str) -> &'static str {
    ["segment", "messages", "fields"].into_iter().find(|id| *id == upto).unwrap_or("fields")
}

/// Over what there are flows to be inferred, those with more payload first.
fn transports(survey: &Survey) -> Vec<Transport> {
    let payload = |transport| {
        let kept = survey.kept.iter().filter(|k| k.verdict == Verdict::Unknown);
        kept.filter(|k| k.transport == transport).map(|k| k.payload).sum::<u64>()
    };
    let mut found: Vec<(u64, Transport)> =
        [Transport::Tcp, Transport::Udp].map(|t| (payload(t), t)).into();
    found.retain(|(payload, _)| *payload > 0);
    found.sort_by_key(|(payload, _)| std::cmp::Reverse(*payload));
    found.into_iter().map(|(_, transport)| transport).collect()
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
        let title = format!("Inference from {}", args.traffic.captures.join(", "));
        fs::write(path, page::page(&title, steps))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
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

/// The paper's thresholds with `NAME=VALUE` on top.
fn params(set: &[String]) -> anyhow::Result<Params> {
    let mut values = serde_json::to_value(Params::default())?;
    for text in set {
        let known = || {
            let names = values.as_object().map(|all| all.keys().cloned().collect::<Vec<_>>());
            format!("there are: {}", names.unwrap_or_default().join(", "))
        };
        let wrong = || format!("`--set {text}` is not NAME=VALUE");
        let (name, value) = text.split_once('=').ok_or_else(|| hinted(wrong(), known()))?;
        let number: f64 = value.trim().parse().map_err(|_| {
            hinted(format!("`--set {text}`: `{value}` is no number"), "as in opcode-entropy=0.4")
        })?;
        let Some(place) = values.get(name.trim()) else {
            return Err(hinted(format!("no threshold is named `{name}`"), known()));
        };
        let new = if place.is_u64() && number >= 0.0 && number.fract() == 0.0 {
            serde_json::json!(number as u64)
        } else {
            serde_json::json!(number)
        };
        values[name.trim()] = new;
    }
    serde_json::from_value(values)
        .map_err(|error| hinted(format!("--set: {error}"), "counts are whole and not negative"))
}
