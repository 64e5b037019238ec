//! The label pass: tables and catalogue in, `labels`, `tasks` and `users` out. It needs no
//! captures and can be run again whenever the catalogue has changed; only its own three tables
//! are replaced.
//!
//! Flows are dealt to workers by client, since all that a label hangs on is of the client or of
//! all. What servers taught is put together before flows without labels are dealt again.

mod deal;
mod judge;
mod predicted;
mod sessions;
#[cfg(test)]
mod tests;
mod views;
mod walk;

use std::collections::BTreeMap;
use std::sync::Arc;

use ottoscope_catalog::{Catalog, Explanation, Feedback, Label, Labeler, LabelerConfig};
use ottoscope_flow::{FlowId, Span, memory};

use crate::error::Result;
use crate::layout::{PartNames, TABLES};
use crate::replace;
use crate::study::{Study, StudyLock};
use crate::table::Table;
use crate::tables::{Flows, Labels, TaskRow, Tasks, Users};
use crate::writer::TableWriter;
use deal::{Dealer, Hand};
use judge::{Judge, LabelWriter, Second};
use predicted::Predictions;
use sessions::Joiner;
use views::FlowView;
use walk::{Judged, Walker};

/// How long before the first and after the last labelled flow at a server others are believed
/// to be the same app's: addresses change hands.
const FEEDBACK_WINDOW: Span = Span::from_seconds(86_400);
/// About what a remembered name or place costs.
const BYTES_PER_NAME: usize = 300;
/// Most servers of users that feedback remembers.
const FEEDBACK_PLACES: usize = 1_000_000;
/// A worker for fewer flows costs more than it saves.
const FLOWS_PER_WORKER: u64 = 20_000;

/// What the label pass did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelSummary {
    /// Flows judged.
    pub flows: u64,
    /// Flows that got a label.
    pub labelled: u64,
    /// Flows with labels of more than one app.
    pub conflicts: u64,
    /// Rows of `labels`.
    pub labels: u64,
    /// Rows of `users`.
    pub sessions: u64,
    /// Flows by the app of their best label.
    pub apps: BTreeMap<Arc<str>, u64>,
    /// Flows by the evidence of their best label.
    pub evidence: BTreeMap<&'static str, u64>,
}

impl LabelSummary {
    /// Counts a flow's labels.
    fn add(&mut self, labels: &[Label]) {
        let Some(best) = labels.first() else { return };
        self.labelled += 1;
        self.conflicts += u64::from(labels.len() > 1);
        self.labels += labels.len() as u64;
        match self.apps.get_mut(&best.app) {
            Some(flows) => *flows += 1,
            None => _ = self.apps.insert(best.app.clone(), 1),
        }
        *self.evidence.entry(best.evidence.name()).or_default() += 1;
    }

    /// Adds what another worker did.
    fn merge(&mut self, other: LabelSummary) {
        self.labelled += other.labelled;
        self.conflicts += other.conflicts;
        self.labels += other.labels;
        for (app, flows) in other.apps {
            *self.apps.entry(app).or_default() += flows;
        }
        for (evidence, flows) in other.evidence {
            *self.evidence.entry(evidence).or_default() += flows;
        }
    }
}

/// Labels every flow of the study and joins flows to users' sessions, by as many workers as share
/// the study's memory ([`Study::share_out`]); how many there are changes no label.
pub fn label(
    study: &Study,
    lock: &StudyLock,
    catalog: &Arc<Catalog>,
    config: LabelerConfig,
    names: &PartNames,
) -> Result<LabelSummary> {
    let useful = study.count(&Flows::INFO)? / FLOWS_PER_WORKER + 1;
    let workers = u16::try_from(useful.min(study.workers() as u64)).unwrap_or(u16::MAX);
    label_by(workers, study, lock, catalog, config, names)
}

fn label_by(
    workers: u16,
    study: &Study,
    _lock: &StudyLock,
    catalog: &Arc<Catalog>,
    config: LabelerConfig,
    names: &PartNames,
) -> Result<LabelSummary> {
    let config = within(study, config);
    let tables = study.root().join(TABLES);
    let options = study.write_options();
    let folder = replace::begin(&tables, Tasks::INFO.name)?;
    tasks(catalog, TableWriter::<Tasks>::new(&folder, names.clone(), options.clone()))?;

    let places = FEEDBACK_PLACES.min(study.shares().names / BYTES_PER_NAME).max(1);
    let folder = replace::begin(&tables, Labels::INFO.name)?;
    let names = |worker: u16| names.of_worker(u32::from(worker));
    let judge = |worker| {
        let labels = TableWriter::new(&folder, names(worker), options.clone());
        Judge::new((worker, workers), catalog, &config, places, labels)
    };
    let mut judges: Vec<Judge> = (0..workers).map(judge).collect();
    let folder = replace::begin(&tables, Users::INFO.name)?;
    let passes = sessions::passes(study)?;
    let joiner = |worker| {
        let users = TableWriter::new(&folder, names(worker), options.clone());
        Joiner::new(study, worker, passes, users)
    };
    let mut joiners: Vec<Joiner<'_>> = (0..workers).map(joiner).collect();

    // Users need nothing of the labels: both at once.
    let mut hands: Vec<&mut dyn Hand<FlowView>> = Vec::new();
    hands.extend(judges.iter_mut().map(|judge| judge as _));
    hands.extend(joiners.iter_mut().map(|joiner| joiner as _));
    let flows = first_pass(study, &config, workers)?.deal_to(hands)?;
    sessions::go_on(study, workers, &mut joiners)?;
    let (feedback, writers) = judges.into_iter().map(Judge::into_parts).unzip();
    let mut summary = second_pass(study, feedback, writers, places)?;
    summary.flows = flows;
    summary.sessions = joiners.iter().map(Joiner::rows).sum();
    replace::commit(&tables, Labels::INFO.name)?;
    replace::commit(&tables, Users::INFO.name)?;
    replace::commit(&tables, Tasks::INFO.name)?;
    Ok(summary)
}

/// As the study's memory allows.
fn within(study: &Study, mut config: LabelerConfig) -> LabelerConfig {
    let room = study.shares().names / BYTES_PER_NAME;
    config.max_names = config.max_names.min(room).max(1);
    config
}

/// All flows and all that was resolved.
fn first_pass(study: &Study, config: &LabelerConfig, workers: u16) -> Result<Dealer<FlowView>> {
    Dealer::new(study, workers)?.with_answers(study, config)?.with_predictions(study)
}

/// Flows that got no label, by what others taught.
fn second_pass(
    study: &Study,
    mut feedback: Vec<Feedback>,
    mut writers: Vec<LabelWriter>,
    places: usize,
) -> Result<LabelSummary> {
    let all = match &mut feedback[..] {
        [_] => None,
        several => {
            let mut all = Feedback::new(FEEDBACK_WINDOW, places);
            several.iter_mut().for_each(|one| all.take_servers(one));
            Some(all)
        }
    };
    let servers = all.as_ref().unwrap_or(&feedback[0]);
    let taught = !servers.is_empty() || !Predictions::open(study)?.is_empty();
    if taught && writers.iter().any(LabelWriter::lacks_some) {
        memory::give_back();
        let dealer = Dealer::new(study, writers.len() as u16)?.with_predictions(study)?;
        let mut second: Vec<Second<'_>> = writers
            .iter_mut()
            .zip(&feedback)
            .map(|(writer, own)| Second { own, servers, writer, index: 0 })
            .collect();
        dealer.deal_to(second.iter_mut().map(|second| second as _).collect())?;
    }
    let mut summary = LabelSummary::default();
    for writer in writers {
        summary.merge(writer.finish()?);
    }
    Ok(summary)
}

/// What the catalogue knows of opcodes, beside the messages that carry them.
fn tasks(catalog: &Catalog, mut table: TableWriter<Tasks>) -> Result<()> {
    for (signature, opcode, task) in catalog.tasks_of_opcodes() {
        table.append(&TaskRow {
            protocol: &signature.layout.id,
            opcode,
            app: &signature.app,
            service: signature.service.as_deref(),
            task: &task.name,
            task_group: task.group.as_deref(),
        })?;
    }
    table.finish()?;
    Ok(())
}

/// Why a flow is labelled as it is: every source that was asked, and what it said. `None` where
/// the study has no such flow. Feedback, which rests on all other flows, is not part of it.
pub fn explain(
    study: &Study,
    catalog: Arc<Catalog>,
    config: LabelerConfig,
    flow: FlowId,
) -> Result<Option<Explanation>> {
    let config = within(study, config);
    let dealer = first_pass(study, &config, 1)?;
    let mut walker = Walker::new(0, 1, Labeler::new(catalog, config));
    let mut explanation = None;
    let mut found = Vec::new();
    let mut each = |labeler: &mut Labeler, judged: &Judged<'_>| {
        if judged.flow.flow == flow && explanation.is_none() {
            explanation = Some(labeler.explain(&judged.flow));
        }
        labeler.flow(&judged.flow, &mut found);
        Ok(())
    };
    dealer.deal(|chunk| walker.take(&chunk, &mut each).map(|()| true))?;
    walker.end(&mut each)?;
    Ok(explanation)
}
