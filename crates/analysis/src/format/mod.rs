//! Writes answers as a table for the eye, CSV, JSON or Parquet.
//!
//! Streams: only the table for the eye needs all rows before the first is written, since its
//! columns are as wide as their widest cell.

mod delimited;
mod text;

use std::fmt;
use std::io::Write;
use std::str::FromStr;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::WriterBuilder;
use datafusion::arrow::json::writer::JsonArray;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::properties::WriterProperties;

use crate::error::Error;
use crate::session::Batches;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns. Cells are cut to `width` characters in all where a width is given (a
    /// terminal's); control characters are escaped, since names come from traffic.
    Table {
        /// Characters a line may have.
        width: Option<usize>,
    },
    /// RFC 4180 with a header, except that lines end in a bare line feed, as Unix tools expect.
    Csv,
    /// One array of objects; whole numbers as numbers, times as RFC 3339, bytes as hex, nothing
    /// as null.
    Json,
    /// Apache Parquet, zstd.
    Parquet,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "table" => Ok(Format::Table { width: None }),
            "csv" => Ok(Format::Csv),
            "json" => Ok(Format::Json),
            "parquet" => Ok(Format::Parquet),
            other => Err(format!("{other:?} is none of table, csv, json, parquet")),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Table { .. } => "table",
            Format::Csv => "csv",
            Format::Json => "json",
            Format::Parquet => "parquet",
        })
    }
}

/// Writes the rows of a statement as they come. Returns how many there were.
///
/// # Errors
/// When the statement fails on its way, or the output does.
pub fn write(batches: Batches, format: Format, out: &mut dyn Write) -> Result<u64, Error> {
    let schema = batches.schema();
    let mut rows = 0_u64;
    let counted = batches.inspect(|batch| {
        if let Ok(batch) = batch {
            rows += batch.num_rows() as u64;
        }
    });
    write_batches(&schema, counted, format, out)?;
    Ok(rows)
}

/// Writes any batches of one schema.
///
/// # Errors
/// The first error among `batches`, or the output's.
pub fn write_batches(
    schema: &SchemaRef,
    batches: impl Iterator<Item = Result<RecordBatch, Error>>,
    format: Format,
    out: &mut dyn Write,
) -> Result<(), Error> {
    match format {
        Format::Table { width } => text::write(schema, batches, width, out),
        Format::Csv => delimited::write(schema, batches, out),
        Format::Json => json(batches, out),
        Format::Parquet => parquet(schema, batches, out),
    }
}

fn json(
    batches: impl Iterator<Item = Result<RecordBatch, Error>>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(out);
    for batch in batches {
        writer.write(&batch?).map_err(arrow)?;
    }
    writer.finish().map_err(arrow)?;
    let out = writer.into_inner();
    out.write_all(b"\n").and_then(|()| out.flush()).map_err(output)
}

fn parquet(
    schema: &SchemaRef,
    batches: impl Iterator<Item = Result<RecordBatch, Error>>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let zstd = ZstdLevel::try_new(3).map_err(|e| parquet_error(&e))?;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(zstd)).build();
    // The writer wants an output it can move between threads; bytes are handed on as they come.
    let mut writer = ArrowWriter::try_new(Vec::new(), SchemaRef::clone(schema), Some(properties))
        .map_err(|e| parquet_error(&e))?;
    for batch in batches {
        writer.write(&batch?).map_err(|e| parquet_error(&e))?;
        out.write_all(&std::mem::take(writer.inner_mut())).map_err(output)?;
    }
    let rest = writer.into_inner().map_err(|e| parquet_error(&e))?;
    out.write_all(&rest).and_then(|()| out.flush()).map_err(output)
}

fn output(source: std::io::Error) -> Error {
    Error::io("cannot write the answer", source)
}

fn arrow(error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(_, source) => output(source),
        other => Error::Engine(other.to_string()),
    }
}

fn parquet_error(error: &ParquetError) -> Error {
    Error::Engine(error.to_string())
}
