//! `ottoscope synth`: a capture whose truth is known.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use ottoscope_synth::lab::{self, LABS, Lab, Layout, to_toml};
use ottoscope_synth::qq::{self, CALLS, Call};
use ottoscope_synth::scenario::{BUILTIN, Duration, Encapsulation};
use ottoscope_synth::voice::{SETS, Voice};
use ottoscope_synth::{
    DnsTruth, FlowTruth, JsonLines, MessageTruth, Scenario, SynthError, Totals, TruthSink, generate,
};

use crate::hint::hinted;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ottoscope synth --list                                  the scenarios that come with it
  ottoscope synth cell-minute -o cell.pcap                a small capture to try things on
  ottoscope synth cell-day -o day.pcap --truth day.jsonl  and what is really in it
  ottoscope synth w-tcp -o lab.pcap --lab lab.toml        controlled experiments for `infer`
  ottoscope synth qq-video -o call.pcap                   a video call for `calls extract`
  ottoscope synth voice-c -o apps --sessions 300          a folder a class, for `learn samples`
  ottoscope synth mine.toml --users 5000 --gtp -o -       your own, to standard output")]
pub(crate) struct SynthArgs {
    /// A shipped scenario's name, or a scenario file
    #[arg(value_name = "SCENARIO", required_unless_present = "list")]
    scenario: Option<String>,
    /// The capture to write, `-` for standard output; of a set of classes the folder
    #[arg(short, long, value_name = "PCAP", required_unless_present = "list")]
    output: Option<PathBuf>,
    /// Also write the truth, as JSON lines
    #[arg(long, value_name = "JSONL")]
    truth: Option<PathBuf>,
    /// Also write the notes of a laboratory's controlled experiments, for `infer --lab`
    #[arg(long, value_name = "TOML", conflicts_with_all = ["users", "duration", "flows", "gtp"])]
    lab: Option<PathBuf>,
    /// Random seed; the scenario's own if not given
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Number of users instead of the scenario's
    #[arg(long, value_name = "N")]
    users: Option<u32>,
    /// Length of the capture instead of the scenario's, as in 90s, 10m, 1h30m
    #[arg(long, value_name = "TIME")]
    duration: Option<Duration>,
    /// Short flows to add instead of the scenario's
    #[arg(long, value_name = "N")]
    flows: Option<u64>,
    /// Sessions of a class of a set, at most, instead of the paper's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    sessions: Option<u32>,
    /// Put users' packets into GTP-U tunnels
    #[arg(long)]
    gtp: bool,
    /// List the shipped scenarios
    #[arg(long)]
    list: bool,
}

/// Runs the verb.
pub(crate) fn run(args: &SynthArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    if args.list {
        for (name, text) in BUILTIN {
            writeln!(out, "{name:14} {}", Scenario::from_toml(text)?.about)?;
        }
        for (name, about) in LABS {
            writeln!(out, "{name:14} {about}")?;
        }
        for (name, about) in CALLS.iter().chain(SETS) {
            writeln!(out, "{name:14} {about}")?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let (Some(name), Some(output)) = (&args.scenario, &args.output) else {
        return Ok(ExitCode::FAILURE); // clap asks for both unless --list is given
    };
    if let Ok(lab) = Lab::builtin(name) {
        no_shape(args, name)?;
        return laboratory(args, &lab, output);
    }
    let seed = args.seed.unwrap_or(1);
    if let Ok(voice) = Voice::builtin(name, seed) {
        no_shape(args, name)?;
        return classes(args, voice, output);
    }
    if args.sessions.is_some() {
        return Err(hinted(
            format!("--sessions does not go with `{name}`"),
            "it goes with the sets of classes at the end of `ottoscope synth --list`",
        ));
    }
    if let Ok(call) = Call::builtin(name, seed) {
        no_shape(args, name)?;
        return video_call(args, &call, seed, output);
    }
    let mut scenario = load(name)?;
    scenario.users = args.users.unwrap_or(scenario.users);
    scenario.duration = args.duration.unwrap_or(scenario.duration);
    scenario.load.flows = args.flows.unwrap_or(scenario.load.flows);
    if args.gtp {
        scenario.capture.encapsulation = Encapsulation::GtpU;
    }
    scenario.check()?;
    let seed = args.seed.unwrap_or(scenario.seed);
    let truth = args.truth.as_deref().map(create).transpose()?;
    let mut sink = Progress { truth: truth.map(|f| JsonLines(BufWriter::new(f))), bar: bar() };
    let made = if output.as_os_str() == "-" {
        generate(&scenario, seed, &mut io::stdout().lock(), &mut sink)
    } else {
        generate(&scenario, seed, &mut create(output)?, &mut sink)
    };
    sink.bar.finish_and_clear();
    let totals = match made {
        Ok(totals) => totals,
        // `| head` is a normal way to end.
        Err(SynthError::Capture(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => return Err(error).with_context(|| format!("cannot make `{name}`")),
    };
    if args.lab.is_some() {
        return Err(hinted(
            format!("`{name}` holds no controlled experiments"),
            "--lab goes with the labs at the end of `ottoscope synth --list`",
        ));
    }
    if let Some(truth) = &mut sink.truth {
        truth.0.flush().context("cannot write the truth")?;
    }
    let mut words = io::stderr().lock();
    writeln!(
        words,
        "{} packets, {} bytes, {} flows of {} users; seed {seed}",
        grouped(totals.packets),
        grouped(totals.file),
        grouped(totals.flows),
        grouped(totals.users),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Refuses what labs and calls have no use for.
fn no_shape(args: &SynthArgs, name: &str) -> anyhow::Result<()> {
    let shape = [
        ("--users", args.users.is_some()),
        ("--duration", args.duration.is_some()),
        ("--flows", args.flows.is_some()),
        ("--gtp", args.gtp),
    ];
    match shape.iter().find(|(_, given)| *given) {
        Some((option, _)) => Err(hinted(
            format!("{option} does not go with `{name}`: it has the size that it has"),
            "--seed makes another of its kind",
        )),
        None => Ok(()),
    }
}

/// Makes a folder for each class of a set, with a capture a day.
fn classes(args: &SynthArgs, mut voice: Voice, output: &Path) -> anyhow::Result<ExitCode> {
    if output.as_os_str() == "-" || args.truth.is_some() || args.lab.is_some() {
        return Err(hinted(
            "a set of classes is a folder of captures, and its truth are the folders' names",
            "give -o a folder, and leave --truth and --lab out",
        ));
    }
    voice.most = args.sessions.unwrap_or(u32::MAX);
    let recordings = voice.recordings();
    let bar = bar();
    let (mut sessions, mut packets, mut bytes) = (0, 0, 0);
    for (number, recording) in recordings.iter().enumerate() {
        let path = output.join(recording.file());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let mut out = BufWriter::new(create(&path)?);
        let made = recording
            .write(&mut out)
            .and_then(|made| out.flush().map(|()| made).map_err(SynthError::Capture))
            .with_context(|| format!("cannot write {}", path.display()))?;
        sessions += made.sessions;
        packets += made.packets;
        bytes += made.bytes;
        bar.set_position((number as u64 + 1) * 1000 / recordings.len() as u64);
    }
    bar.finish_and_clear();
    writeln!(
        io::stderr(),
        "{} captures, {} packets, {} bytes, {} sessions; seed {}",
        grouped(recordings.len() as u64),
        grouped(packets),
        grouped(bytes),
        grouped(sessions),
        voice.seed,
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Makes a video call's capture.
fn video_call(args: &SynthArgs, call: &Call, seed: u64, output: &Path) -> anyhow::Result<ExitCode> {
    let made = if output.as_os_str() == "-" {
        qq::generate(call, seed, &mut io::stdout().lock())
    } else {
        let mut out = BufWriter::new(create(output)?);
        qq::generate(call, seed, &mut out).and_then(|truth| {
            out.flush().map_err(SynthError::Capture)?;
            Ok(truth)
        })
    };
    let truth = match made {
        Ok(truth) => truth,
        // `| head` is a normal way to end.
        Err(SynthError::Capture(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => return Err(error).context("cannot make the call"),
    };
    if let Some(path) = &args.truth {
        let mut out = BufWriter::new(create(path)?);
        truth.write(&mut out).and_then(|()| out.flush()).context("cannot write the truth")?;
    }
    writeln!(
        io::stderr(),
        "{} packets, {} video streams, {} frames; seed {seed}",
        grouped(truth.packets),
        truth.streams.len(),
        grouped(truth.frames.len() as u64),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Makes a laboratory's capture, with its notes where they are asked for.
fn laboratory(args: &SynthArgs, lab: &Lab, output: &Path) -> anyhow::Result<ExitCode> {
    let seed = args.seed.unwrap_or(1);
    let truth = args.truth.as_deref().map(create).transpose()?;
    let mut sink = Progress { truth: truth.map(|f| JsonLines(BufWriter::new(f))), bar: bar() };
    let made = if output.as_os_str() == "-" {
        lab::generate(lab, seed, &mut io::stdout().lock(), &mut sink)
    } else {
        lab::generate(lab, seed, &mut create(output)?, &mut sink)
    };
    sink.bar.finish_and_clear();
    let made = match made {
        Ok(made) => made,
        // `| head` is a normal way to end.
        Err(SynthError::Capture(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => return Err(error).context("cannot make the lab"),
    };
    if let Some(truth) = &mut sink.truth {
        truth.0.flush().context("cannot write the truth")?;
    }
    if let Some(path) = &args.lab {
        let mut experiments = made.experiments;
        if let Some(file) = output.file_name().and_then(|name| name.to_str()) {
            for experiment in &mut experiments {
                file.clone_into(&mut experiment.capture);
            }
        }
        std::fs::write(path, to_toml(&experiments))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    writeln!(
        io::stderr(),
        "{} packets, {} bytes, {} flows; seed {seed}",
        grouped(made.totals.packets),
        grouped(made.totals.file),
        grouped(made.totals.flows),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// A file where one of that name exists, else a shipped scenario.
fn load(name: &str) -> anyhow::Result<Scenario> {
    let path = Path::new(name);
    if path.is_file() {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the scenario {name}"))?;
        return Scenario::from_toml(&text).with_context(|| format!("in the scenario {name}"));
    }
    Scenario::builtin(name).map_err(|error| {
        hinted(
            format!("{error}; nor is there a file of that name"),
            "`ottoscope synth --list` says what each shipped scenario makes",
        )
    })
}

fn create(path: &Path) -> anyhow::Result<File> {
    File::create(path).with_context(|| format!("cannot write {}", path.display()))
}

fn bar() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {percent} %  {eta}");
    ProgressBar::new(1000).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Writes the truth where asked, and shows how far it is.
struct Progress {
    truth: Option<JsonLines<BufWriter<File>>>,
    bar: ProgressBar,
}

impl TruthSink for Progress {
    fn flow(&mut self, flow: &FlowTruth) -> io::Result<()> {
        self.truth.as_mut().map_or(Ok(()), |truth| truth.flow(flow))
    }
    fn message(&mut self, message: &MessageTruth) -> io::Result<()> {
        self.truth.as_mut().map_or(Ok(()), |truth| truth.message(message))
    }
    fn dns(&mut self, dns: &DnsTruth) -> io::Result<()> {
        self.truth.as_mut().map_or(Ok(()), |truth| truth.dns(dns))
    }
    fn layout(&mut self, layout: &Layout) -> io::Result<()> {
        self.truth.as_mut().map_or(Ok(()), |truth| truth.layout(layout))
    }
    fn experiment(&mut self, experiment: &lab::Experiment) -> io::Result<()> {
        self.truth.as_mut().map_or(Ok(()), |truth| truth.experiment(experiment))
    }
    fn totals(&mut self, totals: &Totals) -> io::Result<()> {
        self.truth.as_mut().map_or(Ok(()), |truth| truth.totals(totals))
    }
    fn progress(&mut self, done: f64) {
        self.bar.set_position((done * 1000.0) as u64);
    }
}
