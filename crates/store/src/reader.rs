//! Parts read back: as Arrow batches, as rows, or counted.

use std::fs::{self, File};
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use arrow::record_batch::RecordBatch;
use ottoscope_flow::Timestamp;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;

use crate::error::{Result, StoreError};
use crate::layout::{Partition, run_of_part};
use crate::part::provenance;
use crate::study::Study;
use crate::table::{Table, TableInfo};
use crate::tables::{self, SCHEMA_VERSION};

/// Rows of a batch as it is read.
const BATCH_ROWS: usize = 8_192;

/// One Parquet file of a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// The hour it belongs to; an unpartitioned table's parts have none.
    pub partition: Option<Partition>,
    /// The file.
    pub path: PathBuf,
}

impl Part {
    /// The run that wrote it.
    pub fn run(&self) -> Option<&str> {
        run_of_part(&self.path)
    }

    /// What the part's footer says.
    pub(crate) fn footer(&self, info: &TableInfo) -> Result<Footer> {
        let path = &self.path;
        let file = File::open(path).map_err(StoreError::io("read", path))?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
            .map_err(StoreError::part(path))?;
        let pairs = metadata.metadata().file_metadata().key_value_metadata();
        let wrong = |reason: String| StoreError::Part { path: path.clone(), reason };
        match provenance(pairs) {
            (Some(found), _) if found > SCHEMA_VERSION => {
                let (path, known) = (path.clone(), SCHEMA_VERSION);
                return Err(StoreError::Newer { path, found, known });
            }
            (Some(_), Some(table)) if table == info.name => {}
            (Some(_), Some(table)) => return Err(wrong(format!("it is a part of `{table}`"))),
            _ => return Err(wrong("it was not written by this program".to_owned())),
        }
        Ok(Footer { part: self.clone(), metadata })
    }

    /// Rows in the part, by its footer.
    pub fn rows(&self, info: &TableInfo) -> Result<u64> {
        Ok(self.footer(info)?.rows())
    }

    /// Batches of the part; only `columns`, or all of `info` where `None`.
    pub fn batches(&self, info: &TableInfo, columns: Option<&[&str]>) -> Result<Batches> {
        self.footer(info)?.batches(info, columns, BATCH_ROWS)
    }
}

/// A part whose footer was read; its file is not held open.
#[derive(Clone)]
pub(crate) struct Footer {
    pub(crate) part: Part,
    metadata: ArrowReaderMetadata,
}

impl Footer {
    /// Rows in the part.
    pub(crate) fn rows(&self) -> u64 {
        u64::try_from(self.metadata.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// The earliest time in the part; `None` where its footer does not tell.
    pub(crate) fn first(&self, info: &TableInfo) -> Option<Timestamp> {
        let metadata = self.metadata.metadata();
        let columns = metadata.file_metadata().schema_descr().columns();
        let column = columns.iter().position(|column| Some(column.name()) == info.time)?;
        let earliest = |group: &RowGroupMetaData| match group.column(column).statistics() {
            Some(Statistics::Int64(statistics)) => statistics.min_opt().copied(),
            _ => None,
        };
        let groups: Option<Vec<i64>> = metadata.row_groups().iter().map(earliest).collect();
        groups?.into_iter().min().map(Timestamp)
    }

    /// Batches of so many rows; only `columns`, or all of `info` where `None`.
    pub(crate) fn batches(
        self,
        info: &TableInfo,
        columns: Option<&[&str]>,
        rows: usize,
    ) -> Result<Batches> {
        let Footer { part, metadata } = self;
        let file = File::open(&part.path).map_err(StoreError::io("read", &part.path))?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
        let schema = builder.parquet_schema();
        let mask = match columns {
            Some(columns) => ProjectionMask::columns(schema, columns.iter().copied()),
            None => ProjectionMask::columns(schema, info.columns.iter().map(|c| c.name)),
        };
        let builder = builder.with_projection(mask).with_batch_size(rows);
        let reader = builder.build().map_err(StoreError::part(&part.path))?;
        Ok(Batches { reader, path: part.path })
    }
}

/// Batches of one part.
pub struct Batches {
    reader: ParquetRecordBatchReader,
    path: PathBuf,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let error = StoreError::part(&self.path);
        self.reader.next().map(|batch| batch.map_err(|e| error(e.into())))
    }
}

impl Study {
    /// Parts of a table, by hour and name. Unfinished files are no parts.
    pub fn parts(&self, table: &str) -> Result<Vec<Part>> {
        parts_below(&self.table(table))
    }

    /// Rows of a table, by the parts' footers.
    pub fn count(&self, info: &TableInfo) -> Result<u64> {
        self.parts(info.name)?.iter().map(|part| part.rows(info)).sum()
    }

    /// All batches of a table, hour by hour; only `columns`, or all where `None`.
    pub fn batches(
        &self,
        info: &'static TableInfo,
        columns: Option<&'static [&'static str]>,
    ) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<>> {
        let parts = self.parts(info.name)?;
        Ok(parts.into_iter().flat_map(move |part| {
            let (batches, error) = match part.batches(info, columns) {
                Ok(batches) => (Some(batches), None),
                Err(error) => (None, Some(Err(error))),
            };
            error.into_iter().chain(batches.into_iter().flatten())
        }))
    }

    /// All rows of a table, batch by batch.
    pub fn rows<T: Table>(&self) -> Result<impl Iterator<Item = Result<Rows<T>>> + use<T>> {
        let parts = self.parts(T::INFO.name)?;
        Ok(parts.into_iter().flat_map(|part| {
            let (batches, error) = match part.batches(&T::INFO, None) {
                Ok(batches) => (Some(batches), None),
                Err(error) => (None, Some(Err(error))),
            };
            let rows = batches.into_iter().flatten().map(move |batch| Rows::of(&batch?, &part));
            error.into_iter().chain(rows)
        }))
    }

    /// Reads every part of every table to its end; what is wrong with a part is told beside
    /// it. Tables of runs that left no record are told, too.
    pub fn check(&self) -> Result<Check> {
        let mut check = Check::default();
        for info in tables::ALL {
            for part in self.parts(info.name)? {
                check.parts += 1;
                match check_part(info, &part) {
                    Ok(rows) => check.rows += rows,
                    Err(error) => check.faults.push((part.path, error)),
                }
            }
        }
        Ok(check)
    }
}

fn check_part(info: &TableInfo, part: &Part) -> Result<u64> {
    let mut rows = 0;
    for batch in part.batches(info, None)? {
        let batch = batch?;
        if batch.schema().fields() != info.schema().fields() {
            return Err(StoreError::Part {
                path: part.path.clone(),
                reason: format!("its columns are not those of `{}`", info.name),
            });
        }
        rows += batch.num_rows() as u64;
    }
    Ok(rows)
}

/// What [`Study::check`] found.
#[derive(Debug, Default)]
pub struct Check {
    /// Parts looked at.
    pub parts: u64,
    /// Rows read.
    pub rows: u64,
    /// Parts that cannot be used, and why.
    pub faults: Vec<(PathBuf, StoreError)>,
}

/// Rows of one batch.
pub struct Rows<T: Table> {
    columns: T::Columns,
    len: usize,
    table: PhantomData<fn() -> T>,
}

impl<T: Table> Rows<T> {
    pub(crate) fn of(batch: &RecordBatch, part: &Part) -> Result<Self> {
        let columns = T::columns(batch)
            .map_err(|e| StoreError::Part { path: part.path.clone(), reason: e.to_string() })?;
        Ok(Rows { columns, len: batch.num_rows(), table: PhantomData })
    }

    /// Their columns.
    pub(crate) fn columns(&self) -> &T::Columns {
        &self.columns
    }

    /// The rows.
    pub fn iter(&self) -> impl Iterator<Item = T::Row<'_>> {
        (0..self.len).map(|i| T::row(&self.columns, i))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Time and key of the row `i`.
    pub(crate) fn place(&self, i: usize) -> (Timestamp, u64) {
        T::place(&self.columns, i)
    }

    /// The row `i`.
    pub(crate) fn get(&self, i: usize) -> T::Row<'_> {
        T::row(&self.columns, i)
    }
}

/// Parts in a table's folder, which need not exist.
pub(crate) fn parts_below(folder: &Path) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for (date, path) in entries(folder)? {
        if is_part(&path) {
            parts.push(Part { partition: None, path });
            continue;
        }
        if !date.starts_with("date=") {
            continue;
        }
        for (hour, path) in entries(&path)? {
            let Some(partition) = Partition::parse(&date, &hour) else { continue };
            let files = entries(&path)?.into_iter().map(|(_, path)| path);
            parts.extend(
                files
                    .filter(|path| is_part(path))
                    .map(|path| Part { partition: Some(partition), path }),
            );
        }
    }
    parts.sort();
    Ok(parts)
}

fn is_part(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "parquet")
}

/// Names and paths in a folder; none where it does not exist or is a file.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(e) => return Err(StoreError::io("read", folder)(e)),
    };
    entries
        .map(|entry| {
            let entry = entry.map_err(StoreError::io("read", folder))?;
            Ok((entry.file_name().to_string_lossy().into_owned(), entry.path()))
        })
        .collect()
}
