//! Answers named questions over the tables of a study.
//!
//! For the command, the report and whoever asks in SQL. In flow a study's Parquet files (read
//! only, never written here) and the parameters of a question; out flow record batches, and
//! [`Answer`]s: tables with their denominators, figures as plain numbers, notes. This crate
//! draws nothing and formats for no page; it is the only one that knows DataFusion, and no type
//! of DataFusion appears in what the report needs ([`grid::Grid`], [`figure::Figure`]).

pub mod error;
mod functions;
pub mod session;
mod tables;

pub mod format;

pub mod answer;
pub mod figure;
pub mod grid;

pub mod params;
mod scope;

mod analyses;
mod plot;
mod query;
pub mod registry;
mod suppress;

pub use answer::{Answer, NamedTable};
pub use error::Error;
pub use format::Format;
pub use params::Params;
pub use registry::{ALL, Analysis};
pub use scope::Scope;
pub use session::{Options, Rows, Session};
