//! The label pass: tables and catalogue in, `labels`, `tasks` and `users` out. It needs no
//! captures and can be run again whenever the catalogue has changed; only its own three tables
//! are replaced.

mod predicted;
mod views;
mod walk;

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::HashSet;
use foldhash::fast::FixedState;
use ottoscope_catalog::{
    Catalog, Explanation, Feedback, FlowEvidence, Label, Labeler, LabelerConfig,
};
use ottoscope_flow::{FlowId, Span};

use crate::error::{Result, StoreError};
use crate::layout::{PartNames, TABLES};
use crate::merge::Merged;
use crate::replace;
use crate::study::{Study, StudyLock};
use crate::table::Table;
use crate::tables::{Flows, LabelRow, Labels, TaskRow, Tasks, Users};
use crate::users::{Activity, Sessions};
use crate::writer::TableWriter;
use predicted::Predictions;
use views::{ClientView, PlaceView, UseView};

/// How long before the first and after the last labelled flow at a server others are believed
/// to be the same app's: addresses change hands.
const FEEDBACK_WINDOW: Span = Span::from_seconds(86_400);
/// About what a client costs while its sessions are joined.
const BYTES_PER_CLIENT: usize = 128;
/// Most times that flows are read to join sessions, however little memory there is.
const MAX_PASSES: u64 = 64;
/// About what a remembered name or place costs.
const BYTES_PER_NAME: usize = 300;
/// Most servers and users that feedback remembers.
const FEEDBACK_PLACES: usize = 1_000_000;

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
    fn add(&mut self, labels: &[Label]) {
        let Some(best) = labels.first() else { return };
        self.labelled += 1;
        self.conflicts += u64::from(labels.len() > 1);
        self.labels += labels.len() as u64;
        *self.apps.entry(best.app.clone()).or_default() += 1;
        *self.evidence.entry(best.evidence.name()).or_default() += 1;
    }
}

/// Labels every flow of the study and joins flows to users' sessions.
pub fn label(
    study: &Study,
    _lock: &StudyLock,
    catalog: &Arc<Catalog>,
    mut config: LabelerConfig,
    names: &PartNames,
) -> Result<LabelSummary> {
    let room = study.shares().names;
    config.max_names = config.max_names.min(room / BYTES_PER_NAME).max(1);
    let tables = study.root().join(TABLES);
    let options = study.write_options();
    let folder = replace::begin(&tables, Labels::INFO.name)?;
    let labels = TableWriter::<Labels>::new(&folder, names.clone(), options.clone());
    let folder = replace::begin(&tables, Users::INFO.name)?;
    let users = TableWriter::<Users>::new(&folder, names.clone(), options.clone());
    let folder = replace::begin(&tables, Tasks::INFO.name)?;
    tasks(catalog, TableWriter::<Tasks>::new(&folder, names.clone(), options))?;

    // Users need nothing of the labels: both at once.
    let (summary, sessions) = std::thread::scope(|scope| {
        let sessions = scope.spawn(|| sessions(study, users));
        let summary = judge(study, catalog, config, labels);
        (summary, sessions.join().map_err(|_| StoreError::Worker).flatten())
    });
    let mut summary = summary?;
    summary.sessions = sessions?;
    replace::commit(&tables, Labels::INFO.name)?;
    replace::commit(&tables, Users::INFO.name)?;
    replace::commit(&tables, Tasks::INFO.name)?;
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

/// Joins flows to users' sessions; returns how many there are. Where the clients of all flows
/// may be too many to hold, some are taken at a time, by a hash of theirs.
fn sessions(study: &Study, mut users: TableWriter<Users>) -> Result<u64> {
    let room = (study.shares().clients / BYTES_PER_CLIENT).max(1) as u64;
    let passes = match study.count(&Flows::INFO)? {
        flows if flows <= room => 1,
        _ => clients(study)?.div_ceil(room).clamp(1, MAX_PASSES),
    };
    for pass in 0..passes {
        some_sessions(study, &mut users, |client| passes == 1 || place(client) % passes == pass)?;
    }
    Ok(users.finish()?.rows)
}

/// About how many clients there are, by those whose hash falls to one place of many.
fn clients(study: &Study) -> Result<u64> {
    const SAMPLE: u64 = 64;
    let mut seen: HashSet<u64> = HashSet::default();
    let mut flows = Merged::<ClientView>::open(&study.table("flows"))?;
    while let Some(row) = flows.row() {
        let place = place(row.client);
        if place.is_multiple_of(SAMPLE) {
            seen.insert(place);
        }
        flows.advance()?;
    }
    Ok(SAMPLE * seen.len() as u64)
}

/// The same for a client in every pass and on every machine.
fn place(client: &str) -> u64 {
    FixedState::with_seed(0x7573_6572).hash_one(client) >> 16
}

fn some_sessions(
    study: &Study,
    users: &mut TableWriter<Users>,
    is_one: impl Fn(&str) -> bool,
) -> Result<()> {
    let mut sessions = Sessions::new(study.config().flow.user_idle.0);
    let mut flows = Merged::<UseView>::open(&study.table("flows"))?;
    while let Some(row) = flows.row() {
        if !is_one(row.client) {
            flows.advance()?;
            continue;
        }
        let activity = Activity {
            client: row.client,
            first: row.first,
            last: row.last,
            packets: row.packets_up + row.packets_down,
            bytes_up: row.bytes_up,
            bytes_down: row.bytes_down,
        };
        sessions.flow(&activity, &mut |row| users.append(row))?;
        flows.advance()?;
    }
    sessions.finish(&mut |row| users.append(row))
}

/// Labels every flow.
fn judge(
    study: &Study,
    catalog: &Arc<Catalog>,
    config: LabelerConfig,
    mut labels: TableWriter<Labels>,
) -> Result<LabelSummary> {
    let mut summary = LabelSummary::default();
    let with_feedback = config.feedback;
    let places = FEEDBACK_PLACES.min(study.shares().names / BYTES_PER_NAME);
    let mut feedback = Feedback::new(FEEDBACK_WINDOW, places);
    let mut without = Bits::default();
    let mut found = Vec::new();
    let mut predictions = Predictions::open(study)?;
    let predicted = !predictions.is_empty();
    let mut labeler = Labeler::new(Arc::clone(catalog), config);
    summary.flows = walk::walk(study, &mut labeler, |labeler, index, flow| {
        labeler.flow(flow, &mut found);
        if with_feedback {
            feedback.learn(flow, &found);
        }
        if found.is_empty() && Feedback::may_label(flow) {
            // What a model says is worth less than what other flows of the server tell.
            without.set(index);
            return Ok(());
        }
        predictions.add(catalog, flow, &mut found)?;
        write(&mut labels, flow, &found)?;
        summary.add(&found);
        Ok(())
    })?;
    drop(labeler);
    if (with_feedback && !feedback.is_empty()) || predicted {
        let mut predictions = Predictions::open(study)?;
        let mut flows = Merged::<PlaceView>::open(&study.table("flows"))?;
        let mut index = 0;
        while let Some(row) = flows.row() {
            if without.get(index) {
                let flow = walk::place(&row);
                found.clear();
                found.extend(feedback.label(&flow));
                predictions.add(catalog, &flow, &mut found)?;
                write(&mut labels, &flow, &found)?;
                summary.add(&found);
            }
            index += 1;
            flows.advance()?;
        }
    }
    labels.finish()?;
    Ok(summary)
}

/// Why a flow is labelled as it is: every source that was asked, and what it said. `None` where
/// the study has no such flow. Feedback, which rests on all other flows, is not part of it.
pub fn explain(
    study: &Study,
    catalog: Arc<Catalog>,
    config: LabelerConfig,
    flow: FlowId,
) -> Result<Option<Explanation>> {
    let mut labeler = Labeler::new(catalog, config);
    let mut explanation = None;
    let mut found = Vec::new();
    walk::walk(study, &mut labeler, |labeler, _, evidence| {
        if evidence.flow == flow && explanation.is_none() {
            explanation = Some(labeler.explain(evidence));
        }
        labeler.flow(evidence, &mut found);
        Ok(())
    })?;
    Ok(explanation)
}

fn write(table: &mut TableWriter<Labels>, flow: &FlowEvidence<'_>, labels: &[Label]) -> Result<()> {
    for (i, label) in labels.iter().enumerate() {
        table.append(&LabelRow {
            flow: flow.flow.0,
            first: flow.first,
            app: &label.app,
            service: label.service.as_deref(),
            task: label.task.as_deref(),
            evidence: label.evidence.name(),
            // Four decimals: what is beyond them in a single-precision number is noise.
            confidence: (f64::from(label.confidence) * 1e4).round() / 1e4,
            detail: &label.detail,
            best: i == 0,
        })?;
    }
    Ok(())
}

/// A set of flows by their place in the order of first packets.
#[derive(Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn set(&mut self, at: u64) {
        let word = (at / 64) as usize;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (at % 64);
    }

    fn get(&self, at: u64) -> bool {
        self.0.get((at / 64) as usize).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use ottoscope_flow::Timestamp;

    use super::views::UseViewRow;
    use super::*;

    /// However many clients are taken at a time, the sessions are the same.
    #[test]
    fn passes_change_no_session() {
        let dir = tempfile::tempdir().unwrap();
        let study = Study::create(&dir.path().join("study"), &[]).unwrap();
        let names = PartNames::new("host", "run", 0);
        let mut flows = study.writer::<UseView>(names.clone());
        for i in 0..3000u64 {
            let first = Timestamp::from_parts((i * 7) as i64, 0);
            flows
                .append(&UseViewRow {
                    flow: i,
                    first,
                    last: first,
                    client: &format!("~10.0.{}.{}", i % 3, i * 31 % 250),
                    packets_up: i,
                    packets_down: 1,
                    bytes_up: 2,
                    bytes_down: 3,
                })
                .unwrap();
        }
        flows.finish().unwrap();
        let sessions = |passes: u64| {
            let mut users = study.writer::<Users>(names.clone());
            for pass in 0..passes {
                some_sessions(&study, &mut users, |c| place(c) % passes == pass).unwrap();
            }
            users.finish().unwrap();
            let mut rows = Vec::new();
            for batch in study.rows::<Users>().unwrap() {
                rows.extend(batch.unwrap().iter().map(|row| format!("{row:?}")));
            }
            std::fs::remove_dir_all(study.table("users")).unwrap();
            rows.sort();
            rows
        };
        let once = sessions(1);
        assert!(once.len() > 750, "{}", once.len());
        assert_eq!(sessions(3), once);
        assert_eq!(sessions(7), once);
        let about = clients(&study).unwrap();
        assert!((128..3000).contains(&about), "{about} of 750");
    }
}
