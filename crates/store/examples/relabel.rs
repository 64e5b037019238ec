//! Labels a study that is there already, some times over: what a profiler should look at.
//!
//! `cargo run --release -p ottoscope-store --example relabel -- STUDY WORKERS [TIMES]`

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ottoscope_catalog::{Catalog, LabelerConfig};
use ottoscope_store::{PartNames, Study, label, peak_memory};

#[allow(clippy::print_stdout, clippy::disallowed_methods)] // what an example may do
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [study, workers, times @ ..] = &arguments[..] else {
        return Err("STUDY WORKERS [TIMES] are missing".into());
    };
    let mut study = Study::open(Path::new(study))?;
    study.share_out(workers.parse()?, None)?;
    let lock = study.lock()?;
    let catalog = Arc::new(Catalog::load(true, &[])?);
    for _ in 0..times.first().map_or(Ok(1), |times| times.parse())? {
        let started = Instant::now();
        let names = PartNames::new("local", "relabel", 0);
        let summary = label(&study, &lock, &catalog, LabelerConfig::default(), &names)?;
        println!(
            "{} labels of {} flows in {:.3} s and {} MB",
            summary.labels,
            summary.flows,
            started.elapsed().as_secs_f64(),
            peak_memory().unwrap_or(0) >> 20
        );
    }
    Ok(())
}
