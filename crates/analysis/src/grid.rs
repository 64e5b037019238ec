//! A table as plain values, for whoever draws it and must not know Arrow.

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, SchemaRef,
    TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use serde::{Deserialize, Serialize};

/// What a column counts. Told by the column's name, see [`Unit::of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// A word or a name.
    Text,
    /// A number of things.
    Count,
    /// Bytes.
    Bytes,
    /// A fraction of a stated whole, 0 to 1.
    Share,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Bits a second.
    BitRate,
    /// Nanoseconds since the epoch, UTC.
    Time,
}

impl Unit {
    /// The unit of a numeric column by its name: `*_share`, `bytes*` or `*_bytes`, `*_s`,
    /// `*_ms`, `*_bps`; anything else counts things.
    pub fn of(column: &str) -> Self {
        if column == "share" || column.ends_with("_share") {
            Unit::Share
        } else if column == "bytes" || column.starts_with("bytes_") || column.ends_with("_bytes") {
            Unit::Bytes
        } else if column.ends_with("_ms") {
            Unit::Milliseconds
        } else if column.ends_with("_bps") {
            Unit::BitRate
        } else if column.ends_with("_s") {
            Unit::Seconds
        } else {
            Unit::Count
        }
    }
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// No value.
    Null,
    /// Text, as hostile as the traffic it may come from.
    Text(String),
    /// A whole number.
    Int(i128),
    /// Any other number.
    Real(f64),
    /// True or false.
    Bool(bool),
    /// Nanoseconds since the epoch, UTC.
    Time(i64),
}

impl Cell {
    /// The value as a number, where it is one (times in seconds).
    pub fn number(&self) -> Option<f64> {
        match self {
            Cell::Int(n) => Some(*n as f64),
            Cell::Real(x) => Some(*x),
            Cell::Time(ns) => Some(*ns as f64 / 1e9),
            Cell::Null | Cell::Text(_) | Cell::Bool(_) => None,
        }
    }

    /// The value as text, where it is text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Cell::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// One column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// As in SQL and CSV.
    pub name: String,
    /// What it counts.
    pub unit: Unit,
}

/// Rows of cells under columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// The columns, in order.
    pub columns: Vec<Column>,
    /// The rows; each has one cell a column.
    pub rows: Vec<Vec<Cell>>,
}

impl Grid {
    /// From record batches that share `schema`.
    pub fn new(schema: &SchemaRef, batches: &[RecordBatch]) -> Self {
        let columns = schema
            .fields()
            .iter()
            .map(|field| Column {
                name: field.name().clone(),
                unit: unit(field.name(), field.data_type()),
            })
            .collect();
        let mut rows = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
        for batch in batches {
            let start = rows.len();
            rows.resize_with(start + batch.num_rows(), || Vec::with_capacity(batch.num_columns()));
            for column in batch.columns() {
                cells(column, &mut rows[start..]);
            }
        }
        Grid { columns, rows }
    }

    /// Where a column is.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

fn unit(name: &str, kind: &DataType) -> Unit {
    match kind {
        DataType::Timestamp(..) => Unit::Time,
        kind if kind.is_numeric() => Unit::of(name),
        _ => Unit::Text,
    }
}

macro_rules! push {
    ($array:expr, $kind:ty, $rows:expr, $cell:expr) => {
        for (row, value) in $rows.iter_mut().zip($array.as_primitive::<$kind>().iter()) {
            row.push(value.map_or(Cell::Null, $cell));
        }
    };
}

fn cells(array: &dyn Array, rows: &mut [Vec<Cell>]) {
    let int = |n: i64| Cell::Int(i128::from(n));
    match array.data_type() {
        DataType::Int8 => push!(array, Int8Type, rows, |n| int(n.into())),
        DataType::Int16 => push!(array, Int16Type, rows, |n| int(n.into())),
        DataType::Int32 => push!(array, Int32Type, rows, |n| int(n.into())),
        DataType::Int64 => push!(array, Int64Type, rows, int),
        DataType::UInt8 => push!(array, UInt8Type, rows, |n| int(n.into())),
        DataType::UInt16 => push!(array, UInt16Type, rows, |n| int(n.into())),
        DataType::UInt32 => push!(array, UInt32Type, rows, |n| int(n.into())),
        DataType::UInt64 => push!(array, UInt64Type, rows, |n| Cell::Int(n.into())),
        DataType::Float32 => push!(array, Float32Type, rows, |x| Cell::Real(x.into())),
        DataType::Float64 => push!(array, Float64Type, rows, Cell::Real),
        DataType::Timestamp(TimeUnit::Second, _) => {
            push!(array, TimestampSecondType, rows, |t| Cell::Time(
                t.saturating_mul(1_000_000_000)
            ));
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            push!(array, TimestampMillisecondType, rows, |t| Cell::Time(
                t.saturating_mul(1_000_000)
            ));
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            push!(array, TimestampMicrosecondType, rows, |t| Cell::Time(t.saturating_mul(1000)));
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            push!(array, TimestampNanosecondType, rows, Cell::Time);
        }
        DataType::Boolean => {
            for (row, value) in rows.iter_mut().zip(array.as_boolean().iter()) {
                row.push(value.map_or(Cell::Null, Cell::Bool));
            }
        }
        _ => texts(array, rows),
    }
}

/// Everything else is shown as the engine shows it.
fn texts(array: &dyn Array, rows: &mut [Vec<Cell>]) {
    let formatter = ArrayFormatter::try_new(array, &FormatOptions::default());
    for (i, row) in rows.iter_mut().enumerate() {
        row.push(match &formatter {
            Ok(formatter) if array.is_valid(i) => {
                formatter.value(i).try_to_string().map_or(Cell::Null, Cell::Text)
            }
            _ => Cell::Null,
        });
    }
}
