//! Every threshold of the inference, with the paper's values as defaults.

use serde::{Deserialize, Serialize};

/// Parameters of the ChatDissect paper, Table II, under the paper's names as far as it has one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Params {
    /// Shortest common substring that can be a keyword, bytes (Table II: 4).
    pub keyword_length: usize,
    /// Smallest share of the observed strings that a keyword covers (Table II: 5 %).
    pub keyword_coverage: f64,
    /// A field of at most this many distinct values: each value is a keyword (the paper: "a few").
    pub few_values: usize,
    /// Bytes looked at from the start of a payload, at most 64 (the paper, III-A2: 16).
    pub payload_bytes: usize,
    /// Voting Experts: length of the sliding window (Table II: 10).
    pub window: usize,
    /// Voting Experts: votes that make a boundary (Table II: 6).
    pub votes: u32,
    /// Longest field that is not segmented again, bytes (Table II: 4).
    pub field_length: usize,
    /// Smallest share of packets with one segmentation, for them to be protocol packets
    /// (Table II: 10 %).
    pub segmentation_coverage: f64,
    /// Longest run of one value in a request/response field (Table II: 3).
    pub request_response_run: usize,
    /// Smallest correlation with the number of bytes of a length field (Table II: 0.99).
    pub length_correlation: f64,
    /// Largest normalised entropy of an opcode field (Table II: 0.5).
    pub opcode_entropy: f64,
    /// Largest coefficient of variation of a periodic opcode's inter-arrival times (Table II: 0.2).
    pub periodic_cv: f64,
    /// Longest time from a task to an opcode that it triggers, seconds (Table II: 1).
    pub trigger_gap: f64,
    /// Smallest ratio of the probability of being triggered to the task's mean arrival rate
    /// (Table II: 100).
    pub trigger_ratio: f64,
}

impl Default for Params {
    fn default() -> Self {
        Params {
            keyword_length: 4,
            keyword_coverage: 0.05,
            few_values: 8,
            payload_bytes: 16,
            window: 10,
            votes: 6,
            field_length: 4,
            segmentation_coverage: 0.1,
            request_response_run: 3,
            length_correlation: 0.99,
            opcode_entropy: 0.5,
            periodic_cv: 0.2,
            trigger_gap: 1.0,
            trigger_ratio: 100.0,
        }
    }
}
