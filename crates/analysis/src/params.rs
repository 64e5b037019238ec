//! What a question can be narrowed by.

use serde::{Deserialize, Serialize};

/// Parameters of the analyses. All of them have a default, and every answer repeats them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Params {
    /// Only this application (its catalogue id), where the question is about applications.
    pub app: Option<String>,
    /// Start of the time window, nanoseconds since the epoch, inclusive: flows that start, and
    /// messages and bins that lie, at or after it.
    pub from: Option<i64>,
    /// End of the time window, exclusive.
    pub to: Option<i64>,
    /// Suppress numbers about fewer than this many users.
    pub suppress: Option<u64>,
    /// Smallest payload of a flow, in one direction, whose throughput is counted, in bytes
    /// (the WhatsApp measurement paper takes 1 MB).
    pub min_bytes: u64,
    /// Services and tasks below this share of their application's volume become `other`.
    pub other: f64,
    /// Rows of lists that grow with the traffic (addresses, names).
    pub top: u64,
    /// Users are client addresses until silent for this long, seconds; capture windows this far
    /// apart are counted apart.
    pub user_idle: u32,
}

impl Default for Params {
    fn default() -> Self {
        Params {
            app: None,
            from: None,
            to: None,
            suppress: None,
            min_bytes: 1_000_000,
            other: 0.0,
            top: 500,
            user_idle: 3600,
        }
    }
}
