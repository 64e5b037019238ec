//! CSV.

use std::io::Write;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::csv::WriterBuilder;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

use super::arrow;
use crate::error::Error;

pub(super) fn write(
    schema: &SchemaRef,
    batches: impl Iterator<Item = Result<RecordBatch, Error>>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let flat = Arc::new(Schema::new(
        schema
            .fields()
            .iter()
            .map(|f| match f.data_type().is_nested() {
                true => Arc::new(Field::new(f.name(), DataType::Utf8, true)),
                false => Arc::clone(f),
            })
            .collect::<Vec<_>>(),
    ));
    let mut writer = WriterBuilder::new().with_header(true).build(out);
    // A header even when no row follows.
    writer.write(&RecordBatch::new_empty(Arc::clone(&flat))).map_err(arrow)?;
    for batch in batches {
        let columns = batch?.columns().iter().map(spell).collect::<Result<Vec<_>, _>>();
        let batch =
            columns.and_then(|c| RecordBatch::try_new(Arc::clone(&flat), c)).map_err(arrow)?;
        writer.write(&batch).map_err(arrow)?;
    }
    writer.into_inner().flush().map_err(super::output)
}

/// Lists and structs become the text they are shown as: CSV has only flat cells.
fn spell(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if !column.data_type().is_nested() {
        return Ok(Arc::clone(column));
    }
    let formatter = ArrayFormatter::try_new(column, &FormatOptions::default())?;
    let texts = (0..column.len())
        .map(|i| column.is_valid(i).then(|| formatter.value(i).try_to_string()).transpose())
        .collect::<Result<StringArray, _>>()?;
    Ok(Arc::new(texts))
}
