//! `ottoscope run`: captures or an interface to tables, labels, answers and a page.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::Context;
use ottoscope_catalog::LabelerConfig;
use ottoscope_flow::Summary;
use ottoscope_flow::capture::{CaptureError, CaptureInfo, Captures, Options, Packets, Progress};
use ottoscope_flow::dissector::signature::SignatureSet;
use ottoscope_flow::memory;
use ottoscope_flow::run::{RunError, run as run_engines};
use ottoscope_learn::samples::PACKETS;
use ottoscope_store::tables::{CaptureRow, Captures as CapturesTable};
use ottoscope_store::{
    InputRecord, Outcome, Run, Secret, Size, StoreError, StoreSink, Study, StudyLock, Table, label,
    least_memory,
};

use crate::cli::{ClientAddresses, RunArgs};
use crate::clock;
use crate::commands::label::labelled;
use crate::commands::learn::predict::{WINDOW, ask_study, keeps_enough, may_ask_studies};
use crate::hint::{hinted, stored};
use crate::input;
use crate::learn::model::{self, Trained};
use crate::progress::{ReadingBar, say};

/// Runs the verb.
pub(crate) fn run(args: &RunArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    if args.flows_only {
        return flows_only(args, out);
    }
    let stop = input::stop_flag();
    let options = Options { stop: Arc::clone(&stop), ..Options::default() };
    let progress = Arc::clone(&options.progress);
    // Captures first: a wrong path must not leave an empty study behind.
    let mut source = open_source(args, options)?;
    enough_memory(args)?;
    let model = args.model.as_deref().map(model::open).transpose()?;
    if let Some(model) = &model {
        may_ask_studies(model)?;
        for warning in &model.card.warnings {
            say(format_args!("note on the model: {warning}"));
        }
    }
    let mut study = open_study(args, model.as_ref())?;
    study.share_out(workers(args.workers), args.memory).map_err(stored)?;
    let lock = study.lock().map_err(stored)?;
    prepare(args, &study, &lock)?;
    let (secret, warning) = study.secret().map_err(stored)?;
    if let Some(warning) = warning {
        say(format_args!("warning: {warning}"));
    }
    if let Some(model) = &model {
        keeps_enough(&study, model)?;
    }
    let catalog = Arc::new(input::study_catalog(&study, &args.catalog)?);
    let signatures = input::signatures(&catalog)?;

    let mut record =
        Run::begin(&study, &lock, "run", &clock::host(), clock::arguments(), clock::now())
            .map_err(stored)?;
    let done = ingest(args, &study, &secret, &mut *source, &signatures, progress, &mut record)
        .and_then(|stopped_by| {
            // What flows and rows took is nobody's now, and threads of others come.
            memory::give_back();
            let config = LabelerConfig::default();
            let names = record.part_names(0);
            if let Some(model) = &model {
                let asked = ask_study(&study, &lock, &names, model, workers(args.workers), WINDOW)?;
                record.count("flows predicted", asked.asked);
            }
            let summary = label(&study, &lock, &catalog, config, &names).map_err(stored)?;
            labelled(&mut record, &catalog, &summary);
            match stopped_by {
                None => Ok(()),
                Some(error) => Err(input::capture_error(error)
                    .context("reading ended early; the tables hold what was read until then")),
            }
        });
    let outcome = match &done {
        Err(error) => Outcome::Failed(format!("{error:#}")),
        Ok(()) if stop.load(Ordering::SeqCst) => Outcome::Interrupted,
        Ok(()) => Outcome::Done,
    };
    record.finish(outcome, clock::now()).map_err(stored)?;
    done?;
    drop(lock);
    if !args.no_report {
        let page = super::report::write(study.root(), None)?;
        writeln!(out, "{}", page.display())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads the source into the study's tables. Returns the error that ended reading early, if
/// one did.
fn ingest(
    args: &RunArgs,
    study: &Study,
    secret: &Secret,
    source: &mut dyn Packets,
    signatures: &Arc<SignatureSet>,
    progress: Arc<Progress>,
    record: &mut Run,
) -> anyhow::Result<Option<CaptureError>> {
    let started = Instant::now();
    let paths: Arc<[String]> =
        source.infos().iter().map(|info| info.path.display().to_string()).collect();
    for path in paths.iter() {
        record.input(InputRecord::of(Path::new(path)).map_err(stored)?);
    }
    let pseudonyms = study.pseudonyms(secret);
    let config = study.engine(secret);
    let bar = ReadingBar::show(progress);
    let outcome = run_engines(source, &config, signatures, workers(args.workers), |index| {
        StoreSink::new(study, &record.part_names(index as u32), &pseudonyms, Arc::clone(&paths))
    });
    drop(bar);
    let outcome = outcome.map_err(|error| match error {
        RunError::Capture(error) => input::capture_error(error),
        RunError::Sink(error) => stored(error),
        error => anyhow::anyhow!("{error}"),
    })?;
    let mut summaries = Vec::new();
    for (sink, summary) in outcome.workers {
        for (table, written) in sink.finish().map_err(stored)? {
            record.wrote(table, written);
        }
        summaries.push(summary);
    }
    let infos = source.infos();
    write_captures(study, &infos, &summaries, record)?;
    count(&infos, &summaries, record);
    summarise(&infos, &summaries, started.elapsed());
    Ok(outcome.stopped_by)
}

/// Notes in the run's record what is no table's row.
fn count(infos: &[CaptureInfo], summaries: &[Summary], record: &mut Run) {
    let sum = |each: fn(&Summary) -> u64| summaries.iter().map(each).sum::<u64>();
    record.count("packets", infos.iter().map(|info| info.packets).sum());
    record.count("packets dropped by the capturing system", infos.iter().map(|i| i.dropped).sum());
    record.count("workers", summaries.len() as u64);
    record.count("flows", sum(|s| s.flows));
    record.count("messages", sum(|s| s.messages));
    record.count("anomalies", sum(|s| s.anomalies));
    record.count("anomalies beyond the limit", sum(|s| s.anomalies_dropped));
    record.count("flows evicted", sum(|s| s.evicted));
    record.count("most flows at once", sum(|s| s.peak_flows));
    record.count("most bytes of flows at once", sum(|s| s.peak_bytes));
    let bytes = summaries.first().map_or(0, |s| s.bytes_per_flow);
    record.count("bytes of an idle flow", bytes);
}

/// The captures or the interface that the arguments name.
fn open_source(args: &RunArgs, options: Options) -> anyhow::Result<Box<dyn Packets>> {
    let interface = args.live.clone().or_else(|| input::interface(&args.captures));
    if let Some(name) = interface {
        return input::live(&name, args.promiscuous, args.duration, options);
    }
    if args.duration.is_some() {
        return Err(hinted(
            "--for is for live capture",
            "name an interface, as in `--live eth0 --for 60s`; `dissect --from --to` picks a time \
             from captures",
        ));
    }
    Ok(Box::new(
        Captures::open(&input::inputs(&args.captures)?, options).map_err(input::capture_error)?,
    ))
}

fn enough_memory(args: &RunArgs) -> anyhow::Result<()> {
    let least = least_memory(workers(args.workers));
    match args.memory {
        Some(bytes) if bytes < least => Err(hinted(
            format!("--memory {} is too little", Size(bytes)),
            format!("{} workers need {}, fewer need less", workers(args.workers), Size(least)),
        )),
        _ => Ok(()),
    }
}

fn open_study(args: &RunArgs, model: Option<&Trained>) -> anyhow::Result<Study> {
    let mut overrides: Vec<(&str, String)> = Vec::new();
    if let Some(how) = args.client_addresses {
        let how = match how {
            ClientAddresses::Pseudonym => "pseudonym",
            ClientAddresses::Hash => "hash",
            ClientAddresses::Keep => "keep",
        };
        overrides.push(("keep.client-addresses", how.to_owned()));
    }
    if !args.clients.is_empty() {
        crate::cli::parse_prefixes(&args.clients)?;
        let list: Vec<String> = args.clients.iter().map(|c| format!("{c:?}")).collect();
        overrides.push(("input.clients", format!("[{}]", list.join(", "))));
    }
    // A model must see as much of a flow as it learned from.
    let asked = model.map(|model| model.card.recipe.width);
    if let Some(bytes) = args.sample_bytes.max(asked) {
        overrides.push(("keep.sample-bytes", bytes.to_string()));
        // Sizes and gaps go with bytes, but a study that is there already has its own number.
        let packets = model.map_or(0, |model| model.card.recipe.packets).max(PACKETS);
        if bytes > 0 && matches!(Study::open(&args.study), Err(StoreError::NotAStudy(_))) {
            overrides.push(("keep.sizes", packets.to_string()));
        }
    }
    let overrides: Vec<(&str, &str)> = overrides.iter().map(|(k, v)| (*k, v.as_str())).collect();
    Study::open_or_create(&args.study, &overrides).map_err(stored)
}

/// Makes room for the run's tables, or refuses to mix them with others.
fn prepare(args: &RunArgs, study: &Study, lock: &StudyLock) -> anyhow::Result<()> {
    if args.fresh {
        return study.clear(lock).map_err(stored);
    }
    let used = !study.parts("captures").map_err(stored)?.is_empty();
    if used && !args.append {
        return Err(hinted(
            format!("{} has tables already", args.study.display()),
            "--append adds these captures to them, --fresh drops them first",
        ));
    }
    Ok(())
}

/// As many workers as are asked for, else as there are cores, up to eight.
pub(crate) fn workers(asked: Option<u16>) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    asked.map_or_else(|| cores.min(8), usize::from)
}

fn write_captures(
    study: &Study,
    infos: &[CaptureInfo],
    summaries: &[Summary],
    record: &mut Run,
) -> anyhow::Result<()> {
    let mut writer = study.writer::<CapturesTable>(record.part_names(0));
    for (i, info) in infos.iter().enumerate() {
        // Every worker sees every packet, so the first one's counts are everybody's.
        let tally = summaries.first().and_then(|s| s.captures.get(i)).copied().unwrap_or_default();
        let links: Vec<&str> = info.link_types.iter().map(|link| link.name()).collect();
        writer
            .append(&CaptureRow {
                path: &info.path.display().to_string(),
                format: info.format,
                compression: info.compression,
                link_types: &links.join(","),
                packets: info.packets,
                bytes: info.bytes,
                captured_bytes: info.captured_bytes,
                file_size: info.file_size,
                first: info.first,
                last: info.last,
                truncated: info.truncated,
                not_ip: tally.not_ip,
                undecoded: tally.undecoded,
                dropped: (info.dropped > 0).then_some(info.dropped),
            })
            .map_err(stored)?;
    }
    record.wrote(CapturesTable::INFO.name, writer.finish().map_err(stored)?);
    Ok(())
}

/// Says in one line what was done.
fn summarise(infos: &[CaptureInfo], summaries: &[Summary], took: std::time::Duration) {
    let packets: u64 = infos.iter().map(|info| info.packets).sum();
    let flows: u64 = summaries.iter().map(|s| s.flows).sum();
    let cut = infos.iter().filter(|info| info.truncated).count();
    let dropped: u64 = infos.iter().map(|info| info.dropped).sum();
    let evicted: u64 = summaries.iter().map(|s| s.evicted).sum();
    let seconds = took.as_secs_f64();
    let mut text = format!("{packets} packets, {flows} flows in {seconds:.1} s");
    if cut > 0 {
        text += &format!("; {cut} captures are cut or damaged, see the table anomalies");
    }
    if evicted > 0 {
        text += &format!("; {evicted} flows were ended early to stay within the memory allowed");
    }
    if dropped > 0 {
        text += &format!("; the capturing system dropped {dropped} packets");
    }
    say(format_args!("{text}"));
}

/// Counts flows and writes nothing: what reading, decoding and the flow table cost alone.
fn flows_only(args: &RunArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let stop = input::stop_flag();
    let mut source = open_source(args, Options { stop, ..Options::default() })?;
    let config = ottoscope_flow::Config {
        bins: false,
        dissect: false,
        head_bytes: 0,
        ..ottoscope_flow::Config::default()
    };
    let signatures = input::signatures(&input::catalog(&args.catalog)?)?;
    let outcome =
        run_engines(&mut *source, &config, &signatures, workers(args.workers), |_| Nothing)
            .map_err(|e| anyhow::anyhow!("{e}"))
            .context("cannot count flows")?;
    let flows: u64 = outcome.workers.iter().map(|(_, s)| s.flows).sum();
    let peak: u64 = outcome.workers.iter().map(|(_, s)| s.peak_flows).sum();
    writeln!(out, "FLOWS={flows} PEAK={peak}")?;
    Ok(ExitCode::SUCCESS)
}

struct Nothing;

impl ottoscope_flow::Sink for Nothing {
    type Error = std::convert::Infallible;

    fn flow(&mut self, _flow: &ottoscope_flow::Flow) -> Result<(), Self::Error> {
        Ok(())
    }
}
