//! What a model said of flows, as the least of all labels.

use ottoscope_catalog::{Catalog, Evidence, Label};
use ottoscope_flow::Timestamp;

use crate::column::Text;
use crate::error::Result;
use crate::merge::Merged;
use crate::study::Study;
use crate::table::table;

table! {
    /// What labels take of predictions.
    pub(super) PredictionView(PredictionViewRow, PredictionViewBuilder, PredictionViewColumns) = "predictions"
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

    /// Goes to the prediction of a flow, given by its first packet and id; `None` where there is
    /// none. Flows must be asked about in this order.
    pub(super) fn find(
        &mut self,
        flow: (Timestamp, u64),
    ) -> Result<Option<&Merged<PredictionView>>> {
        let place = |all: &Merged<PredictionView>| all.row().map(|row| (row.first, row.flow));
        while place(&self.0).is_some_and(|place| place < flow) {
            self.0.advance()?;
        }
        Ok(Some(&self.0).filter(|all| place(all) == Some(flow)))
    }
}

/// Adds what a model says of a flow behind all its other labels, where it names an app of the
/// catalogue that has no label yet.
pub(super) fn add(catalog: &Catalog, row: &PredictionViewRow<'_>, labels: &mut Vec<Label>) {
    if !row.accepted {
        return;
    }
    let is_it = |id: &str, name: &str| {
        row.class.eq_ignore_ascii_case(id) || row.class.eq_ignore_ascii_case(name)
    };
    let Some(app) = catalog.apps().iter().find(|app| is_it(&app.id, &app.name)) else { return };
    if labels.iter().any(|label| label.app == app.id) {
        return;
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
}
