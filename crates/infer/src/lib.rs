//! Infers formats and opcodes of unknown protocols.
//!
//! For whoever has packets of an app that nobody has documented (the ChatDissect paper, section
//! III). The first bytes of packets flow in as [`Samples`]; fields with types, messages, opcodes
//! with tasks, keywords, and in the end a proposal that a person can read flow out.
//! It opens no files and knows no tables, and what it isn't sure of it does not name.
//!
//! Every threshold is in [`Params`], with the paper's value as default, and the paper's own
//! method stands beside ours wherever they differ.

pub mod flow_type;
pub mod lab;
pub mod params;
pub mod samples;

pub mod export;
pub mod fields;
pub mod keywords;
pub mod kinds;
pub mod messages;
pub mod opcodes;
pub mod propose;
pub mod segment;
pub mod source;
pub mod walk;

pub use flow_type::FlowType;
pub use lab::Lab;
pub use params::Params;
pub use samples::{Cuts, FlowInfo, Sample, Samples};
