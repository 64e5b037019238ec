//! Knows the apps, and says whose a flow is.
//!
//! For everything that asks "whose is it?": labelling tables, `dissect`, the engine's signatures.
//! TOML files flow in through [`Catalog`]; names, answers and flows flow in through [`Labeler`];
//! labels with their evidence flow out. It reads no packets, keeps no rows, and holds no app's
//! name in Rust: an app nobody wrote code for works from TOML alone.

mod aged;
mod check;
mod compile;
mod day;
mod dns_map;
mod error;
mod evidence;
mod explain;
mod feedback;
mod labeler;
pub mod learned;
mod names;
pub mod naming;
pub mod pattern;
mod payload;
mod prefixes;
mod reference;
pub mod schema;

pub use check::{Finding, Severity, TestReport};
pub use compile::{AgentRule, App, Catalog, SignatureRule, TaskRule, to_toml};
pub use dns_map::{AllNames, Heard, NameLearned};
pub use error::CatalogError;
pub use evidence::{Client, Evidence, FlowEvidence, Label, Names};
pub use explain::{Explanation, Step};
pub use feedback::Feedback;
pub use labeler::{Labeler, LabelerConfig};
pub use names::NameRule;
pub use pattern::HostPattern;
pub use payload::matches;
pub use prefixes::PrefixRule;
pub use reference::reference;
