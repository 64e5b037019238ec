//! What a model said of flows, as the least of all labels.

use ottoscope_catalog::{Catalog, Evidence, FlowEvidence, Label};
use ottoscope_flow::Timestamp;

use crate::column::Text;
use crate::error::Result;
use crate::merge::Merged;
use crate::study::Study;
use crate::table::table;

table! {
    /// What labels take of predictions.
    PredictionView(PredictionViewRow, PredictionViewBuilder, PredictionViewColumns) = "predictions"
        by first, flow {
        /// As in `predictions`.
        flow: u64,
        /// As in `predictions`.
        first: Timestamp,
        /// As in `predictions`.
        class: Text,
        /// As in `predictions`.
        probability: f64,
        /// As in `predictions`.
        accepted: bool,
        /// As in `predictions`.
        model: Text,
        /// As in `predictions`.
        version: Text,
    }
}

/// Predictions in order of flows' first packets.
pub(super) struct Predictions(Merged<PredictionView>);

impl Predictions {
    pub(super) fn open(study: &Study) -> Result<Self> {
        Ok(Predictions(Merged::open(&study.table("predictions"))?))
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.time().is_none()
    }

    /// Adds what a model says of this flow behind all other labels, where it names an app of the
    /// catalogue that has no label yet. Flows must be asked about in order of first packets;
    /// those of name resolution, which come late, have no need of it.
    pub(super) fn add(
        &mut self,
        catalog: &Catalog,
        flow: &FlowEvidence<'_>,
        labels: &mut Vec<Label>,
    ) -> Result<()> {
        let place = (flow.first, flow.flow.0);
        while self.0.row().is_some_and(|row| (row.first, row.flow) < place) {
            self.0.advance()?;
        }
        let Some(row) = self.0.row().filter(|row| (row.first, row.flow) == place) else {
            return Ok(());
        };
        if !row.accepted {
            return Ok(());
        }
        let is_it = |id: &str, name: &str| {
            row.class.eq_ignore_ascii_case(id) || row.class.eq_ignore_ascii_case(name)
        };
        let Some(app) = catalog.apps().iter().find(|app| is_it(&app.id, &app.name)) else {
            return Ok(());
        };
        if labels.iter().any(|label| label.app == app.id) {
            return Ok(());
        }
        // Who sorts by confidence must not see it before what is better founded.
        let least = labels.last().map_or(1.0, |label| label.confidence);
        labels.push(Label {
            app: app.id.clone(),
            service: None,
            task: None,
            evidence: Evidence::Model,
            confidence: (row.probability as f32).min(least),
            detail: format!(
                "{} {}: {} with a probability of {:.4}",
                row.model, row.version, row.class, row.probability
            ),
        });
        Ok(())
    }
}
