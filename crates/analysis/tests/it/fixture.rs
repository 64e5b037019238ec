//! Studies from CSV: one file a table, with the columns that matter; the others are null, zero
//! or empty.

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::csv::ReaderBuilder;
use datafusion::arrow::datatypes::Schema;
use ottoscope_analysis::{Options, Session};
use ottoscope_store::tables;

/// The rows of one table.
pub(crate) fn table(name: &str, csv: &str) -> RecordBatch {
    let info = tables::find(name).unwrap_or_else(|| panic!("no table {name}"));
    let schema = info.schema();
    let header = csv.lines().next().unwrap();
    let fields: Vec<_> = header
        .split(',')
        .map(|column| {
            schema.field_with_name(column).unwrap_or_else(|e| panic!("{name}: {e}")).clone()
        })
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let mut reader = ReaderBuilder::new(schema)
        .with_header(true)
        .with_batch_size(1 << 20)
        .build(Cursor::new(csv.as_bytes()))
        .unwrap();
    reader.next().unwrap_or_else(|| panic!("{name}: no row")).unwrap()
}

/// A study in memory of `(table, CSV)`.
pub(crate) fn study(given: &[(&str, &str)]) -> Session {
    let batches: Vec<_> = given.iter().map(|(name, csv)| (*name, table(name, csv))).collect();
    Session::in_memory(&batches, &options()).unwrap()
}

/// A study in memory of a folder's `<table>.csv`.
pub(crate) fn folder(path: &Path) -> Session {
    let mut batches = Vec::new();
    for info in tables::ALL {
        let file = path.join(format!("{}.csv", info.name));
        if let Ok(csv) = fs::read_to_string(&file) {
            batches.push((info.name, table(info.name, &csv)));
        }
    }
    assert!(!batches.is_empty(), "{} holds no table", path.display());
    Session::in_memory(&batches, &options()).unwrap()
}

pub(crate) fn options() -> Options {
    Options { threads: Some(2), memory: None }
}
