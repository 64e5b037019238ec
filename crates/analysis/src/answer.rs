//! What an analysis says: tables with their denominators, figures, notes.

use std::io::Write;

use datafusion::arrow::array::RecordBatch;

use crate::error::Error;
use crate::figure::Figure;
use crate::format::{self, Format};
use crate::grid::Grid;
use crate::params::Params;
use crate::session::Rows;

/// What an analysis says of a study.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The analysis.
    pub id: &'static str,
    /// The question in a few words.
    pub title: &'static str,
    /// What is computed and how, where it comes from (Markdown).
    pub about: &'static str,
    /// The parameters it was asked with.
    pub params: Params,
    /// The tables, the most important first.
    pub tables: Vec<NamedTable>,
    /// The figures.
    pub figures: Vec<Figure>,
    /// What a reader must know beside the numbers.
    pub notes: Vec<String>,
}

/// One table of an answer.
#[derive(Debug, Clone)]
pub struct NamedTable {
    /// Unique within the answer.
    pub name: String,
    /// What the rows are.
    pub title: String,
    /// What shares are shares of, and what is counted at all.
    pub denominator: String,
    /// The rows.
    pub rows: Rows,
}

impl NamedTable {
    /// As plain values.
    pub fn grid(&self) -> Grid {
        self.rows.grid()
    }

    /// Writes the rows in one of the formats of queries.
    ///
    /// # Errors
    /// When the output fails.
    pub fn write(&self, format: Format, out: &mut dyn Write) -> Result<(), Error> {
        let batches = self.rows.batches.iter().cloned().map(Ok::<RecordBatch, Error>);
        format::write_batches(&self.rows.schema, batches, format, out)
    }
}

impl Answer {
    /// The table of this name.
    pub fn table(&self, name: &str) -> Option<&NamedTable> {
        self.tables.iter().find(|table| table.name == name)
    }
}
