//! `learn predict`: what a model says of captures, or of a study's flows.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ottoscope_catalog::LabelerConfig;
use ottoscope_flow::capture::{Options, Progress};
use ottoscope_flow::sample::{self, Config, Depth, Kind, Protocol, Unit};
use ottoscope_learn::card::Recipe;
use ottoscope_learn::drift::{Drift, Window};
use ottoscope_learn::layers::{Layers, Layout};
use ottoscope_learn::samples::Origin;
use ottoscope_learn::score::best;
use ottoscope_learn::{Dataset, Rows, Samples};
use ottoscope_store::{
    Outcome, PartNames, Predicted, Run, Said, Sampled, Study, StudyLock, label, predict,
};

use super::args::PredictArgs;
use crate::clock;
use crate::commands::label::labelled;
use crate::hint::{hinted, stored};
use crate::input;
use crate::learn::data::learned;
use crate::learn::model::{Trained, named, open};
use crate::progress::{ReadingBar, say};

/// Units of captures that the model is asked about at once.
const BATCH: usize = 1024;
/// Answers a window of drift, where nobody says.
pub(crate) const WINDOW: usize = 1000;

/// Runs the verb.
pub(super) fn run(args: &PredictArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let trained = open(&args.model)?;
    for warning in &trained.card.warnings {
        say(format_args!("note on the model: {warning}"));
    }
    match &args.study {
        Some(study) => of_study(args, study, &trained, out),
        None => of_captures(args, &trained, out),
    }
}

/// One line a unit.
fn of_captures(
    args: &PredictArgs,
    trained: &Trained,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let recipe = &trained.card.recipe;
    let config = Config {
        kind: match recipe.kind.as_str() {
            "session" => Kind::Session,
            "flow" => Kind::Flow,
            other => return Err(elsewhere(other)),
        },
        depth: if recipe.depth == "payload" { Depth::Payload } else { Depth::All },
        protocol: if recipe.protocol == "paper" { Protocol::Paper } else { Protocol::Honest },
        width: recipe.width,
        packets: recipe.packets,
        ..Config::default()
    };
    let options = Options { stop: input::stop_flag(), progress: Arc::new(Progress::default()) };
    let inputs = input::inputs(&args.captures)?;
    let bar = ReadingBar::show(Arc::clone(&options.progress));
    let mut asker = Asker::new(trained, args.threads, args.window);
    writeln!(out, "first,end_a,end_b,protocol,packets,class,probability,accepted")?;
    let mut waiting: Vec<Unit> = Vec::with_capacity(BATCH);
    let mut failed = None;
    let mut flush = |waiting: &mut Vec<Unit>, asker: &mut Asker<'_>| -> anyhow::Result<()> {
        let samples = of_units(waiting, recipe)?;
        for (unit, said) in waiting.drain(..).zip(asker.ask(&samples)?) {
            let [(a, a_port), (b, b_port)] = unit.ends;
            writeln!(
                out,
                "{},{a} {a_port},{b} {b_port},{},{},{},{:.4},{}",
                unit.first,
                unit.protocol,
                unit.packets,
                csv(&said.class),
                said.probability,
                said.accepted
            )?;
        }
        Ok(())
    };
    let read = sample::run(&inputs, &options, &config, &mut |_, unit| {
        waiting.push(unit);
        if waiting.len() == BATCH && failed.is_none() {
            failed = flush(&mut waiting, &mut asker).err();
            waiting.clear();
        }
    });
    drop(bar);
    read.map_err(input::capture_error)?;
    if let Some(error) = failed {
        return Err(error);
    }
    flush(&mut waiting, &mut asker)?;
    asker.finish();
    if options.stop.load(Ordering::Relaxed) {
        return Err(anyhow::anyhow!("stopped before all captures were read"));
    }
    Ok(ExitCode::SUCCESS)
}

/// A table and labels.
fn of_study(
    args: &PredictArgs,
    study: &std::path::Path,
    trained: &Trained,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    may_ask_studies(trained)?;
    let mut study = Study::open(study).map_err(stored)?;
    study.share_out_up_to(args.threads);
    keeps_enough(&study, trained)?;
    let catalog = Arc::new(input::study_catalog(&study, &args.catalog)?);
    let lock = study.lock().map_err(stored)?;
    let mut record = Run::begin(
        &study,
        &lock,
        "learn predict",
        &clock::host(),
        clock::arguments(),
        clock::now(),
    )
    .map_err(stored)?;
    let names = record.part_names(0);
    let counts = ask_study(&study, &lock, &names, trained, args.threads, args.window)?;
    writeln!(
        out,
        "{} of {} flows asked about, {} answers reach {:.4}",
        counts.asked, counts.flows, counts.accepted, trained.card.threshold
    )?;
    let summary =
        label(&study, &lock, &catalog, LabelerConfig::default(), &names).map_err(stored)?;
    let by_model = summary.evidence.get("model").copied().unwrap_or_default();
    writeln!(out, "{by_model} flows are labelled by the model alone")?;
    record.count("flows predicted", counts.asked);
    labelled(&mut record, &catalog, &summary);
    record.finish(Outcome::Done, clock::now()).map_err(stored)?;
    Ok(ExitCode::SUCCESS)
}

/// Fails where a model did not learn from what studies keep.
pub(crate) fn may_ask_studies(trained: &Trained) -> anyhow::Result<()> {
    let recipe = &trained.card.recipe;
    let fits = (recipe.kind == "session", recipe.depth == "payload", recipe.protocol == "honest");
    if fits == (true, true, true) {
        return Ok(());
    }
    Err(hinted(
        format!(
            "the model learned from samples of kind {}, depth {}, by the {} protocol",
            recipe.kind, recipe.depth, recipe.protocol
        ),
        "a study keeps sessions of layer 7: train on `learn samples --layers l7`",
    ))
}

/// Fails where a study keeps less of a flow than the model looks at.
pub(crate) fn keeps_enough(study: &Study, trained: &Trained) -> anyhow::Result<()> {
    let keep = &study.config().keep;
    let kept = keep.sample_bytes.0;
    let Recipe { width, packets, .. } = trained.card.recipe;
    if kept < width as u64 {
        return Err(hinted(
            format!("the study keeps {kept} bytes of a flow, and the model looks at {width}"),
            format!("fill a study anew: `ottoscope run --sample-bytes {width}`"),
        ));
    }
    if named(&trained.card.model)?.features && (keep.sizes as usize) < packets {
        return Err(hinted(
            format!(
                "the study keeps sizes and gaps of {} packets of a flow, and the model looks at \
                 {packets}",
                keep.sizes
            ),
            "fill a study anew: `ottoscope run --model MODEL`, or with `sizes` under `[keep]` in \
             study.toml",
        ));
    }
    Ok(())
}

/// Asks a model about every flow of a study, and keeps what it says.
pub(crate) fn ask_study(
    study: &Study,
    lock: &StudyLock,
    names: &PartNames,
    trained: &Trained,
    threads: usize,
    window: usize,
) -> anyhow::Result<Predicted> {
    let recipe = &trained.card.recipe;
    let mut asker = Asker::new(trained, threads, window);
    let mut failed = None;
    let version = &trained.card.weights[..12.min(trained.card.weights.len())];
    let counts = predict(study, lock, names, [&trained.card.model, version], &mut |asked| {
        let answers = of_flows(asked, recipe).and_then(|samples| asker.ask(&samples));
        answers.unwrap_or_else(|error| {
            failed.get_or_insert(error);
            Vec::new()
        })
    })
    .map_err(stored)?;
    if let Some(error) = failed {
        return Err(error);
    }
    asker.finish();
    if counts.asked == 0 && counts.flows > 0 {
        return Err(hinted(
            "no flow of the study has a sample",
            format!("fill it with `ottoscope run --sample-bytes {}`", recipe.width),
        ));
    }
    Ok(counts)
}

/// Asks a model, and watches whether its certainty drifts.
struct Asker<'a> {
    trained: &'a Trained,
    drift: Drift,
    threads: usize,
}

impl<'a> Asker<'a> {
    fn new(trained: &'a Trained, threads: usize, window: usize) -> Self {
        let card = &trained.card;
        let drift = Drift::new(card.certainty.clone(), card.threshold, window.max(1));
        Asker { trained, drift, threads: threads.max(1) }
    }

    fn ask(&mut self, samples: &Samples) -> anyhow::Result<Vec<Said>> {
        let card = &self.trained.card;
        let prepared = self.trained.prepared(samples)?;
        let rows: Vec<u32> = (0..prepared.len() as u32).collect();
        let rows = Rows { data: &prepared.data, rows: &rows };
        let answers = self.trained.model.predict(rows, self.threads);
        let mut said = Vec::with_capacity(prepared.len());
        for answer in answers.chunks_exact(card.classes.len()) {
            let class = best(answer);
            let sure = answer[class];
            self.drift.push(sure).as_ref().map(alarm);
            said.push(Said {
                class: card.classes[class].clone(),
                probability: sure.into(),
                accepted: sure >= card.threshold,
            });
        }
        Ok(said)
    }

    fn finish(&mut self) {
        self.drift.finish().as_ref().map(alarm);
    }
}

/// Says so where two windows in a row are not what the model was validated on.
fn alarm(window: &Window) {
    if window.alarm {
        say(format_args!(
            "drift: answers {} to {} are less like those of validation than chance allows \
             (distance {:.3} over {:.3}; {:.1} % rejected): the traffic has changed, or holds \
             what the model does not know",
            window.number * window.answers,
            (window.number + 1) * window.answers,
            window.distance,
            window.limit,
            100.0 * window.rejected
        ));
    }
}

/// Units as samples without classes.
fn of_units(units: &[Unit], recipe: &Recipe) -> anyhow::Result<Samples> {
    let mut data = unnamed(units.len(), recipe);
    let mut layouts = Vec::with_capacity(units.len());
    for unit in units {
        data.bytes.extend_from_slice(&unit.bytes);
        data.features.append(&mut unit.features(recipe.packets));
        layouts.push(layout(unit, recipe.protocol == "paper"));
    }
    let origins = vec![Origin::default(); units.len()];
    Samples::new(data, layouts, origins).map_err(learned)
}

/// Flows of a study as samples without classes. Their bytes are payload alone.
fn of_flows(flows: &[Sampled], recipe: &Recipe) -> anyhow::Result<Samples> {
    let mut data = unnamed(flows.len(), recipe);
    let mut layouts = Vec::with_capacity(flows.len());
    for flow in flows {
        let kept = flow.bytes.len().min(recipe.width);
        data.bytes.extend_from_slice(&flow.bytes[..kept]);
        data.bytes.resize(data.bytes.len() + recipe.width - kept, 0);
        let sizes = flow.sizes.iter().map(|size| *size as f32).chain(std::iter::repeat(0.0));
        data.features.extend(sizes.take(recipe.packets));
        let gaps = flow.gaps_us.iter().map(|gap| (f64::from(*gap) / 1e6) as f32);
        data.features.extend(gaps.chain(std::iter::repeat(0.0)).take(recipe.packets));
        let end = kept as u32;
        let packet = Layers { trailer: end, end, ..Layers::default() };
        layouts.push(Layout { header: 0, packets: vec![packet] });
    }
    let origins = vec![Origin::default(); flows.len()];
    Samples::new(data, layouts, origins).map_err(learned)
}

fn unnamed(samples: usize, recipe: &Recipe) -> Dataset {
    Dataset {
        width: recipe.width,
        labels: vec![0; samples],
        classes: vec![String::new()],
        ..Dataset::default()
    }
}

/// Where a unit's layers lie.
pub(super) fn layout(unit: &Unit, paper: bool) -> Layout {
    let packets = unit.layers.iter().map(|layers| Layers {
        record: layers.record,
        link: layers.link,
        network: layers.network,
        transport: layers.transport,
        payload: layers.payload,
        trailer: layers.trailer,
        end: layers.end,
        protocol: layers.protocol,
    });
    Layout { header: if paper { FILE_HEADER } else { 0 }, packets: packets.collect() }
}

/// Bytes in front of a capture file's first record.
const FILE_HEADER: u32 = 24;

fn elsewhere(kind: &str) -> anyhow::Error {
    hinted(
        format!("the model learned from samples of {kind} make: captures cannot be cut like them"),
        "train on samples of `learn samples`",
    )
}

/// A class's name as a cell of CSV.
fn csv(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
