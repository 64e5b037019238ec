//! Predictions of a model for the flows of a study: samples in, one table out.

use ottoscope_flow::Timestamp;

use crate::column::{Bytes, Integers};
use crate::error::Result;
use crate::layout::{PartNames, TABLES};
use crate::merge::Merged;
use crate::replace;
use crate::study::{Study, StudyLock};
use crate::table::{Table, table};
use crate::tables::{PredictionRow, Predictions};
use crate::writer::TableWriter;

/// Flows that a model is asked about at once.
const BATCH: usize = 1024;

table! {
    /// What a model looks at.
    SampleView(SampleViewRow, SampleViewBuilder, SampleViewColumns) = "flows" by first, flow {
        /// As in `flows`.
        flow: u64,
        /// As in `flows`.
        first: Timestamp,
        /// As in `flows`.
        sample: Option<Bytes>,
        /// As in `flows`.
        sizes: Option<Integers>,
        /// As in `flows`.
        gaps_us: Option<Integers>,
    }
}

/// A flow as a model sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sampled {
    /// First payload bytes of both directions as they came.
    pub bytes: Vec<u8>,
    /// Payload bytes of the first packets, negative from the server.
    pub sizes: Vec<i32>,
    /// Microseconds between each of these packets and the one before; empty where the study has
    /// none.
    pub gaps_us: Vec<i32>,
    flow: u64,
    first: Timestamp,
}

/// What a model says of one flow.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// The most probable class.
    pub class: String,
    /// Its probability.
    pub probability: f64,
    /// Whether that is enough.
    pub accepted: bool,
}

/// What predicting gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Predicted {
    /// Flows of the study.
    pub flows: u64,
    /// Flows with a sample.
    pub asked: u64,
    /// Answers that reach the model's threshold.
    pub accepted: u64,
}

/// Asks a model about every flow that has a sample, in order of their first packets, and replaces
/// `predictions` by its answers: one for each of what `ask` is given.
pub fn predict(
    study: &Study,
    _lock: &StudyLock,
    names: &PartNames,
    [model, version]: [&str; 2],
    ask: &mut dyn FnMut(&[Sampled]) -> Vec<Said>,
) -> Result<Predicted> {
    let tables = study.root().join(TABLES);
    let folder = replace::begin(&tables, Predictions::INFO.name)?;
    let options = study.write_options();
    let mut table = TableWriter::<Predictions>::new(&folder, names.clone(), options);
    let mut counts = Predicted::default();
    let mut batch: Vec<Sampled> = Vec::with_capacity(BATCH);
    let mut write = |batch: &mut Vec<Sampled>, counts: &mut Predicted| -> Result<()> {
        for (asked, said) in batch.iter().zip(ask(batch)) {
            counts.asked += 1;
            counts.accepted += u64::from(said.accepted);
            table.append(&PredictionRow {
                flow: asked.flow,
                first: asked.first,
                class: &said.class,
                probability: said.probability,
                accepted: said.accepted,
                model,
                version,
            })?;
        }
        batch.clear();
        Ok(())
    };
    let mut flows = Merged::<SampleView>::open(&study.table("flows"))?;
    while let Some(row) = flows.row() {
        counts.flows += 1;
        if let Some(bytes) = row.sample {
            batch.push(Sampled {
                bytes: bytes.to_vec(),
                sizes: row.sizes.map(<[i32]>::to_vec).unwrap_or_default(),
                gaps_us: row.gaps_us.map(<[i32]>::to_vec).unwrap_or_default(),
                flow: row.flow,
                first: row.first,
            });
        }
        if batch.len() == BATCH {
            write(&mut batch, &mut counts)?;
        }
        flows.advance()?;
    }
    write(&mut batch, &mut counts)?;
    table.finish()?;
    replace::commit(&tables, Predictions::INFO.name)?;
    Ok(counts)
}
