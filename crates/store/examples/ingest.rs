//! Captures to labelled tables without the command around it: what a profiler should look at.
//!
//! `cargo run --release -p ottoscope-store --example ingest -- STUDY WORKERS CAPTURE...`
//!
//! STUDY must not exist.

use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use ottoscope_catalog::{Catalog, LabelerConfig};
use ottoscope_flow::capture::{Captures, Input, Options, Packets};
use ottoscope_flow::dissector::signature::SignatureSet;
use ottoscope_flow::run::run;
use ottoscope_store::{Outcome, Run, StoreSink, Study, label, peak_memory};

#[allow(clippy::print_stdout, clippy::disallowed_methods)] // what an example may do
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [study, workers, captures @ ..] = &arguments[..] else {
        return Err("STUDY WORKERS CAPTURE... are missing".into());
    };
    let inputs: Vec<Input> = captures.iter().map(|path| Input::from(Path::new(path))).collect();
    let mut captures = Captures::open(&inputs, Options::default())?;
    let workers = workers.parse()?;
    let mut study = Study::open_or_create(Path::new(study), &[])?;
    study.share_out(workers, None)?;
    let lock = study.lock()?;
    let (secret, _) = study.secret()?;
    let catalog = Arc::new(Catalog::load(true, &[])?);
    let signatures = Arc::new(SignatureSet::new(catalog.signatures())?);
    let now = || i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos());
    let now = || ottoscope_flow::Timestamp(now().unwrap_or(i64::MAX));
    let record = Run::begin(&study, &lock, "run", "", vec![], now())?;
    let pseudonyms = study.pseudonyms(&secret);
    let paths: Arc<[String]> =
        captures.infos().iter().map(|info| info.path.display().to_string()).collect();

    let started = Instant::now();
    let outcome = run(&mut captures, &study.engine(&secret), &signatures, workers, |index| {
        StoreSink::new(&study, &record.part_names(index as u32), &pseudonyms, Arc::clone(&paths))
    })?;
    for (sink, summary) in outcome.workers {
        let written = sink.finish()?;
        println!("{summary:?} {written:?}");
    }
    let (finished, peak) = (started.elapsed(), peak_memory());
    let names = record.part_names(0);
    ottoscope_flow::memory::give_back();
    let summary = label(&study, &lock, &catalog, LabelerConfig::default(), &names)?;
    println!(
        "tables in {:.2} s and {} MB, {} labels in {:.2} s and {} MB",
        finished.as_secs_f64(),
        peak.unwrap_or(0) >> 20,
        summary.labels,
        started.elapsed().saturating_sub(finished).as_secs_f64(),
        peak_memory().unwrap_or(0) >> 20
    );
    record.finish(Outcome::Done, now())?;
    Ok(())
}
