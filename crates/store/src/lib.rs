//! Keeps a study's tables on disk.
//!
//! For whoever ingests captures, asks questions or adds a table. Flows, messages, bins and
//! anomalies flow in through [`StoreSink`]; typed rows and Arrow batches flow out through the
//! readers. Only this crate knows Arrow schemas and file names; it asks no questions of its
//! own, and it looks at no clock: times come from packets or from the caller.

mod ahead;
mod background;
mod cells;
mod column;
mod cryptopan;
mod encode;
mod error;
mod label;
mod layout;
mod merge;
mod part;
mod predict;
mod pseudonym;
mod reader;
mod replace;
mod run;
mod secret;
mod sink;
mod table;
mod users;
mod writer;

pub mod study;
pub mod tables;

pub use column::{Bytes, Column, Integers, Kind, Text};
pub use error::{Result, StoreError};
pub use label::{LabelSummary, explain, label};
pub use layout::{PartNames, Partition, TABLES};
pub use predict::{Predicted, Said, Sampled, predict};
pub use pseudonym::{AddressText, ClientAddresses, Pseudonyms, address_key};
pub use reader::{Batches, Check, Part, Rows};
pub use run::{InputRecord, Outcome, Run, RunRecord, TableRecord, peak_memory};
pub use secret::{SECRET_FILE, Secret};
pub use sink::StoreSink;
pub use study::{Size, Study, StudyConfig, StudyLock, least_memory};
pub use table::{ColumnInfo, Table, TableInfo, typed};
pub use writer::{TableWriter, WriteOptions, Written};

/// Mining of naming schemes, for `analysis`, which may depend on no other crate below.
pub use ottoscope_catalog::naming;
