//! `labels`: whose a flow is, and why.

use ottoscope_flow::Timestamp;

use crate::column::Text;
use crate::table::table;

table! {
    /// One piece of evidence that a flow belongs to an app. A flow has several rows where
    /// several sources speak, also when they disagree; `best` marks the one to use.
    pub Labels(LabelRow, LabelBuilder, LabelColumns) = "labels" by first, flow {
        /// The flow.
        flow: u64,
        /// The flow's first packet.
        first: Timestamp,
        /// App's id in the catalogue.
        app: Text,
        /// Service of the app.
        service: Option<Text>,
        /// Task of the service.
        task: Option<Text>,
        /// What kind of evidence: `signature`, `sni`, `certificate`, `host`, `dns` ...
        evidence: Text,
        /// How far the evidence is trusted, 0 to 1.
        confidence: f64,
        /// The evidence itself: the name, prefix or signature that matched.
        detail: Text,
        /// Whether this is the flow's most trusted label; exactly one row of a flow is.
        best: bool,
    }
}
