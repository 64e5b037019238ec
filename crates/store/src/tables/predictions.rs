//! `predictions`: what a trained model says of flows.

use ottoscope_flow::Timestamp;

use crate::column::Text;
use crate::table::table;

table! {
    /// What one model says of one flow, by its first bytes and packets. Made by `learn predict`,
    /// which replaces what was there; labels take it as the least of all evidence.
    pub Predictions(PredictionRow, PredictionBuilder, PredictionColumns) = "predictions"
        by first, flow {
        /// The flow.
        flow: u64,
        /// The flow's first packet.
        first: Timestamp,
        /// The most probable class.
        class: Text,
        /// Its probability by the model, 0 to 1.
        probability: f64,
        /// Whether that reaches the model's reject threshold. Otherwise the flow is probably of
        /// no class that the model knows.
        accepted: bool,
        /// The model.
        model: Text,
        /// First twelve digits of the SHA-256 of its weights.
        version: Text,
    }
}
