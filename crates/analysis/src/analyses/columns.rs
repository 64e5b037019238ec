//! Makes rows of an answer from columns computed in Rust.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, UInt64Array};
use datafusion::arrow::datatypes::{Field, Schema};

use crate::error::Error;
use crate::session::Rows;

/// Columns of equal length.
#[derive(Default)]
pub(crate) struct Columns {
    fields: Vec<Field>,
    arrays: Vec<ArrayRef>,
}

impl Columns {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn push(mut self, name: &str, array: ArrayRef) -> Self {
        self.fields.push(Field::new(name, array.data_type().clone(), true));
        self.arrays.push(array);
        self
    }

    pub(crate) fn text(self, name: &str, values: impl IntoIterator<Item = Option<String>>) -> Self {
        self.push(name, Arc::new(values.into_iter().collect::<StringArray>()))
    }

    pub(crate) fn count(self, name: &str, values: impl IntoIterator<Item = Option<u64>>) -> Self {
        self.push(name, Arc::new(values.into_iter().collect::<UInt64Array>()))
    }

    pub(crate) fn real(self, name: &str, values: impl IntoIterator<Item = Option<f64>>) -> Self {
        self.push(name, Arc::new(values.into_iter().collect::<Float64Array>()))
    }

    /// The rows.
    pub(crate) fn rows(self) -> Result<Rows, Error> {
        let schema = Arc::new(Schema::new(self.fields));
        let batch = RecordBatch::try_new(Arc::clone(&schema), self.arrays)
            .map_err(|e| Error::Engine(e.to_string()))?;
        Ok(Rows { schema, batches: vec![batch] })
    }
}
