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

/// A threshold as the reference page tells it: name, smallest and largest value, what it decides.
type About = (&'static str, f64, f64, &'static str);

/// Every threshold.
static ABOUT: &[About] = &[
    ("keyword-length", 1.0, 1024.0, "Shortest common substring that can be a keyword, bytes"),
    ("keyword-coverage", 0.0, 1.0, "Smallest share of strings that a keyword covers"),
    ("few-values", 0.0, 1e6, "Fields of at most so many values: each value is a keyword"),
    ("payload-bytes", 2.0, 64.0, "Bytes looked at from the start of a payload"),
    ("window", 2.0, 64.0, "Voting Experts: length of the sliding window, bytes"),
    ("votes", 1.0, 1000.0, "Voting Experts: votes that make a boundary"),
    ("field-length", 1.0, 64.0, "Longest field that is not segmented again, bytes"),
    (
        "segmentation-coverage",
        0.0,
        1.0,
        "Smallest share of packets with one segmentation, for them to begin messages",
    ),
    ("request-response-run", 1.0, 1e6, "Longest run of one value in a request/response field"),
    ("length-correlation", 0.0, 1.0, "Smallest correlation of a length field with bytes"),
    ("opcode-entropy", 0.0, 1.0, "Largest normalised entropy of an opcode field"),
    ("periodic-cv", 0.0, 100.0, "Largest coefficient of variation of a periodic opcode's times"),
    ("trigger-gap", 0.0, 86_400.0, "Longest time from a task to what it triggers, seconds"),
    (
        "trigger-ratio",
        0.0,
        1e12,
        "Smallest ratio of the probability of being triggered to the mean arrival rate",
    ),
];

impl Params {
    /// Values by name.
    fn values(&self) -> [f64; 14] {
        [
            self.keyword_length as f64,
            self.keyword_coverage,
            self.few_values as f64,
            self.payload_bytes as f64,
            self.window as f64,
            f64::from(self.votes),
            self.field_length as f64,
            self.segmentation_coverage,
            self.request_response_run as f64,
            self.length_correlation,
            self.opcode_entropy,
            self.periodic_cv,
            self.trigger_gap,
            self.trigger_ratio,
        ]
    }

    /// Whether every value lies in its range.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), &'static str> {
        let inside = |((_, low, high, _), value): (&About, f64)| (*low..=*high).contains(&value);
        if ABOUT.iter().zip(self.values()).all(inside) { Ok(()) } else { Err("it is out of range") }
    }

    /// The reference page of thresholds, as Markdown.
    pub fn reference() -> String {
        use std::fmt::Write as _;
        let mut page = String::from(
            "# Thresholds of protocol inference\n\nSet one by `--set NAME=VALUE` on the command \
             line, or in `[infer]` of study.toml. Defaults are the values of the ChatDissect \
             paper's Table II, as far as it names one.\n\n| name | default | range | what it \
             decides |\n|---|---:|---|---|\n",
        );
        for ((name, low, high, about), value) in ABOUT.iter().zip(Params::default().values()) {
            // Writing to a string cannot fail.
            let _ = writeln!(page, "| `{name}` | {value} | {low} to {high} | {about} |");
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_threshold_is_told() {
        let values = serde_json::to_value(Params::default()).unwrap();
        let values = values.as_object().unwrap();
        assert_eq!(values.len(), ABOUT.len());
        for ((name, ..), value) in ABOUT.iter().zip(Params::default().values()) {
            assert_eq!(values[*name].as_f64(), Some(value), "{name}");
        }
        assert!(Params::default().check().is_ok());
        assert!(Params { opcode_entropy: 1.5, ..Params::default() }.check().is_err());
        assert!(Params { payload_bytes: 65, ..Params::default() }.check().is_err());
        assert!(Params { trigger_gap: f64::NAN, ..Params::default() }.check().is_err());
    }
}
