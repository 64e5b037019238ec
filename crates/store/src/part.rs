//! One part: a Parquet file written whole under a temporary name and then renamed, so that a
//! reader sees all of it or nothing.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{SchemaRef, TimestampNanosecondType, UInt64Type};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use crate::column::Kind;
use crate::error::{Result, StoreError};
use crate::layout::UNFINISHED;
use crate::table::TableInfo;
use crate::tables::SCHEMA_VERSION;

/// Key of the schema version in a part's metadata.
pub(crate) const SCHEMA_KEY: &str = "ottoscope.schema";
/// Key of the table's name in a part's metadata.
pub(crate) const TABLE_KEY: &str = "ottoscope.table";

/// What writing needs of a file system; tests put one in its place that runs full.
pub(crate) trait Disk: Send + Sync {
    /// Makes the folder and its parents.
    fn make_folder(&self, path: &Path) -> io::Result<()>;
    /// Creates a file that must not exist.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Write + Send>>;
    /// Whether something has this name.
    fn exists(&self, path: &Path) -> bool;
    /// Gives a file its final name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The real file system.
#[derive(Debug)]
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn Write + Send>> {
        Ok(Box::new(fs::File::create_new(path)?))
    }
    fn exists(&self, path: &Path) -> bool {
        path.symlink_metadata().is_ok()
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

/// How one table's parts are encoded.
pub(crate) struct PartFormat {
    info: &'static TableInfo,
    schema: SchemaRef,
    properties: WriterProperties,
}

impl PartFormat {
    /// zstd at `level` (1 to 22), row groups of `group_rows`.
    pub(crate) fn new(info: &'static TableInfo, level: i32, group_rows: usize) -> Self {
        let level = ZstdLevel::try_new(level.clamp(1, 22)).unwrap_or_default();
        let pair = |k: &str, v: String| KeyValue { key: k.to_owned(), value: Some(v) };
        let mut builder = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_max_row_group_row_count(Some(group_rows.max(1)))
            .set_created_by(concat!("ottoscope ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_key_value_metadata(Some(vec![
                pair(SCHEMA_KEY, SCHEMA_VERSION.to_string()),
                pair(TABLE_KEY, info.name.to_owned()),
            ]));
        let sorting: Vec<SortingColumn> = [info.time, info.key]
            .into_iter()
            .flatten()
            .filter_map(|name| info.position(name))
            .map(|i| SortingColumn { column_idx: i as i32, descending: false, nulls_first: true })
            .collect();
        if !sorting.is_empty() {
            builder = builder.set_sorting_columns(Some(sorting));
        }
        for column in info.columns {
            let path = ColumnPath::from(column.name);
            let plain = |b: WriterPropertiesBuilder, p| b.set_column_dictionary_enabled(p, false);
            builder = match column.kind {
                // Times hardly repeat but rise; they are what queries skip pages by.
                Kind::Timestamp => plain(builder, path.clone())
                    .set_column_statistics_enabled(path.clone(), EnabledStatistics::Page)
                    .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
                // Hashes neither repeat nor shrink.
                Kind::UInt64 if column.name == "flow" => plain(builder, path.clone())
                    .set_column_compression(path, Compression::UNCOMPRESSED),
                // Heads and samples neither repeat nor compare.
                Kind::Binary => plain(builder, path.clone())
                    .set_column_statistics_enabled(path, EnabledStatistics::None),
                _ => builder,
            };
        }
        PartFormat { info, schema: info.schema(), properties: builder.build() }
    }

    /// Sorts `columns` and writes them to `path`, which must not exist. Nothing is left behind
    /// on failure.
    pub(crate) fn write(&self, disk: &dyn Disk, path: &Path, columns: Vec<ArrayRef>) -> Result<()> {
        let unfinished = unfinished(path);
        let result = self.encode(disk, &unfinished, columns).and_then(|()| {
            disk.rename(&unfinished, path).map_err(StoreError::io("rename", &unfinished))
        });
        if result.is_err() {
            // The first error is the one to tell.
            let _ = disk.remove(&unfinished);
        }
        result
    }

    fn encode(&self, disk: &dyn Disk, path: &Path, columns: Vec<ArrayRef>) -> Result<()> {
        let encode = StoreError::encode(path);
        let columns = sort(self.info, columns).map_err(|e| encode(e.into()))?;
        let batch =
            RecordBatch::try_new(self.schema.clone(), columns).map_err(|e| encode(e.into()))?;
        let file = disk.create(path).map_err(StoreError::io("create", path))?;
        let file = BufWriter::with_capacity(1 << 18, file);
        let properties = self.properties.clone();
        let mut writer =
            ArrowWriter::try_new(file, self.schema.clone(), Some(properties)).map_err(&encode)?;
        writer.write(&batch).map_err(&encode)?;
        let mut file = writer.into_inner().map_err(&encode)?;
        file.flush().map_err(StoreError::io("write", path))
    }
}

/// The temporary name of `path`.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(UNFINISHED);
    name.into()
}

/// Rows by time, then key, then order of arrival.
fn sort(
    info: &TableInfo,
    columns: Vec<ArrayRef>,
) -> std::result::Result<Vec<ArrayRef>, ArrowError> {
    let Some(time) = info.time.and_then(|t| info.position(t)) else { return Ok(columns) };
    let times = columns[time].as_primitive::<TimestampNanosecondType>().values();
    let keys = info
        .key
        .and_then(|k| info.position(k))
        .map(|k| columns[k].as_primitive::<UInt64Type>().values());
    let order = |i: u32| {
        let i = i as usize;
        (times[i], keys.map_or(0, |k| k[i]), i)
    };
    let count = times.len() as u32;
    if (1..count).all(|i| order(i - 1) <= order(i)) {
        return Ok(columns);
    }
    let mut rows: Vec<u32> = (0..count).collect();
    rows.sort_unstable_by_key(|&i| order(i));
    let rows = UInt32Array::from(rows);
    let sorted = |column: ArrayRef| {
        // What is missing everywhere is in order as it is; what was copied goes at once.
        if column.null_count() == column.len() { Ok(column) } else { take(&column, &rows, None) }
    };
    columns.into_iter().map(sorted).collect()
}

/// The schema version and table in a part's metadata.
pub(crate) fn provenance(pairs: Option<&Vec<KeyValue>>) -> (Option<u32>, Option<&str>) {
    let find = |key: &str| {
        pairs.into_iter().flatten().find(|kv| kv.key == key).and_then(|kv| kv.value.as_deref())
    };
    (find(SCHEMA_KEY).and_then(|v| v.parse().ok()), find(TABLE_KEY))
}
