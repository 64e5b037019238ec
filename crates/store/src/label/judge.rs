//! Labels for the flows of one worker's clients: first by what they say themselves and what else
//! their clients did, then, where that says nothing, by what was learnt of their servers.

use std::sync::Arc;

use ottoscope_catalog::{Catalog, Feedback, FlowEvidence, Label, Labeler, LabelerConfig};

use super::deal::{Chunk, Hand, Item};
use super::predicted;
use super::views::{FlowView, PlaceView};
use super::walk::{self, Judged, Walker};
use super::{FEEDBACK_WINDOW, LabelSummary};
use crate::error::Result;
use crate::tables::{LabelRow, Labels};
use crate::writer::TableWriter;

/// One worker's first pass.
pub(super) struct Judge {
    walker: Option<Walker>,
    with_feedback: bool,
    feedback: Feedback,
    writer: LabelWriter,
}

/// What passes share.
pub(super) struct LabelWriter {
    worker: u16,
    catalog: Arc<Catalog>,
    labels: TableWriter<Labels>,
    /// Flows that may be labelled by feedback.
    without: Bits,
    summary: LabelSummary,
    found: Vec<Label>,
}

impl Judge {
    /// One of `workers`, who together remember as much as `config` and `places` say.
    pub(super) fn new(
        (worker, workers): (u16, u16),
        catalog: &Arc<Catalog>,
        config: &LabelerConfig,
        places: usize,
        labels: TableWriter<Labels>,
    ) -> Self {
        let share = usize::from(workers);
        let mine = LabelerConfig { max_names: config.max_names.div_ceil(share), ..config.clone() };
        let labeler = Labeler::new(Arc::clone(catalog), mine);
        Judge {
            walker: Some(Walker::new(worker, workers, labeler)),
            with_feedback: config.feedback,
            feedback: Feedback::new(FEEDBACK_WINDOW, places.div_ceil(share)),
            writer: LabelWriter {
                worker,
                catalog: Arc::clone(catalog),
                labels,
                without: Bits::default(),
                summary: LabelSummary::default(),
                found: Vec::new(),
            },
        }
    }

    /// What was learnt, and who goes on with that.
    pub(super) fn into_parts(self) -> (Feedback, LabelWriter) {
        (self.feedback, self.writer)
    }

    /// Runs `walk` with what is called for every flow.
    fn with(
        &mut self,
        walk: impl FnOnce(
            &mut Walker,
            &mut dyn FnMut(&mut Labeler, &Judged<'_>) -> Result<()>,
        ) -> Result<()>,
    ) -> Result<()> {
        let Judge { walker, with_feedback, feedback, writer } = self;
        let Some(walker) = walker else { return Ok(()) };
        walk(walker, &mut |labeler, judged| {
            labeler.flow(&judged.flow, &mut writer.found);
            if *with_feedback {
                feedback.learn(&judged.flow, &writer.found);
            }
            if writer.found.is_empty() && Feedback::may_label(&judged.flow) {
                // What a model says is worth less than what other flows of the server tell.
                writer.without.set(judged.index);
                return Ok(());
            }
            if let Some(row) = &judged.predicted {
                predicted::add(&writer.catalog, row, &mut writer.found);
            }
            writer.write(&judged.flow)
        })
    }
}

impl Hand<FlowView> for Judge {
    fn take(&mut self, chunk: &Chunk<FlowView>) -> Result<()> {
        self.with(|walker, each| walker.take(chunk, each))
    }

    fn end(&mut self) -> Result<()> {
        self.with(|walker, each| walker.end(each))?;
        self.walker = None;
        Ok(())
    }
}

impl LabelWriter {
    /// Writes the labels found for a flow.
    fn write(&mut self, flow: &FlowEvidence<'_>) -> Result<()> {
        self.summary.add(&self.found);
        for (i, label) in self.found.iter().enumerate() {
            self.labels.append(&LabelRow {
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

    /// Whether some flow has no label yet.
    pub(super) fn lacks_some(&self) -> bool {
        !self.without.0.is_empty()
    }

    /// Ends the last part; what was labelled is returned.
    pub(super) fn finish(self) -> Result<LabelSummary> {
        self.labels.finish()?;
        Ok(self.summary)
    }
}

/// One worker's second pass, over the flows that the first left without labels.
pub(super) struct Second<'a> {
    /// What the worker learnt of its own clients' servers.
    pub(super) own: &'a Feedback,
    /// What all workers learnt of servers.
    pub(super) servers: &'a Feedback,
    /// Where labels go.
    pub(super) writer: &'a mut LabelWriter,
    /// Flows seen.
    pub(super) index: u64,
}

impl Hand<PlaceView> for Second<'_> {
    fn take(&mut self, chunk: &Chunk<PlaceView>) -> Result<()> {
        let writer = &mut *self.writer;
        for item in chunk.of(writer.worker) {
            let Item::Flow(dealt) = item else { continue };
            let index = self.index;
            self.index += 1;
            if !writer.without.get(index) {
                continue;
            }
            let flow = walk::place(&dealt.row());
            writer.found.clear();
            writer.found.extend(self.own.label_beside(self.servers, &flow));
            if let Some(row) = &dealt.predicted {
                predicted::add(&writer.catalog, row, &mut writer.found);
            }
            writer.write(&flow)?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.writer.labels.flush_all()
    }
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
