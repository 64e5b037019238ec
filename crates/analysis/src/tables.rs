//! The store's tables as queries see them, and batches made to fit.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray, new_null_array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Field, Schema, SchemaRef, TimeUnit, TimestampNanosecondType,
};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::temporal_conversions::timestamp_ns_to_datetime;
use ottoscope_store::{Partition, TableInfo};

/// Columns that a row has from the folders it lies in, both text: `2013-11-01`, `08`.
pub(crate) const PARTITIONS: [&str; 2] = ["date", "hour"];

/// The schema as queries see it.
pub(crate) fn schema(table: &TableInfo) -> SchemaRef {
    let schema = table.schema();
    if table.time.is_none() {
        return schema;
    }
    let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
    fields.extend(PARTITIONS.map(|name| Arc::new(Field::new(name, DataType::Utf8, false))));
    Arc::new(Schema::new(fields))
}

/// The folders of a time, `2013-11-01` and `08`; those of no sane time are the store's
/// [`Partition::ODD`].
pub(crate) fn partition_of(ns: i64) -> [String; 2] {
    let parsed = timestamp_ns_to_datetime(ns)
        .map(|at| [at.format("%Y-%m-%d").to_string(), at.format("%H").to_string()]);
    let known = |[date, hour]: &[String; 2]| {
        Partition::parse(&format!("date={date}"), &format!("hour={hour}")).is_some()
    };
    parsed.filter(known).unwrap_or_else(|| ["1970-01-01".to_owned(), "00".to_owned()])
}

/// A batch as the reader of a study would see it: columns in `schema`'s order, those missing
/// null (or empty, zero and false where null is not allowed), partition columns by its time.
pub(crate) fn fit(batch: &RecordBatch, table: &TableInfo) -> Result<RecordBatch, ArrowError> {
    let schema = schema(table);
    let rows = batch.num_rows();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let folder = PARTITIONS.iter().position(|name| name == field.name());
        columns.push(match (batch.column_by_name(field.name()), folder) {
            (Some(given), _) => cast(given, field.data_type())?,
            (None, Some(folder)) => folders(batch, table, folder)?,
            (None, None) if field.is_nullable() => new_null_array(field.data_type(), rows),
            (None, None) => zeros(field.data_type(), rows)?,
        });
    }
    RecordBatch::try_new(schema, columns)
}

fn folders(batch: &RecordBatch, table: &TableInfo, folder: usize) -> Result<ArrayRef, ArrowError> {
    let nanos = DataType::Timestamp(TimeUnit::Nanosecond, None);
    let times = match table.time.and_then(|name| batch.column_by_name(name)) {
        Some(times) => cast(times, &nanos)?,
        None => new_null_array(&nanos, batch.num_rows()),
    };
    let times = times.as_primitive::<TimestampNanosecondType>();
    let values = times.iter().map(|at| {
        let [date, hour] = partition_of(at.unwrap_or_default());
        if folder == 0 { date } else { hour }
    });
    Ok(Arc::new(StringArray::from_iter_values(values)))
}

fn zeros(kind: &DataType, rows: usize) -> Result<ArrayRef, ArrowError> {
    match kind {
        DataType::Utf8 => Ok(Arc::new(StringArray::from_iter_values(vec![""; rows]))),
        DataType::Boolean => Ok(Arc::new(BooleanArray::from(vec![false; rows]))),
        _ => cast(&Int64Array::from(vec![0; rows]), kind),
    }
}
