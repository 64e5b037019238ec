//! One part: a Parquet file written whole under a temporary name and then renamed, so that a
//! reader sees all of it or nothing.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::arrow::{ARROW_SCHEMA_META_KEY, ArrowSchemaConverter, encode_arrow_schema};
use parquet::basic::ZstdLevel;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescriptor;

use crate::cells::Cells;
use crate::column::Kind;
use crate::encode::{Encoder, Shape};
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
    schema: SchemaDescriptor,
    level: ZstdLevel,
    group_rows: usize,
    properties: Arc<WriterProperties>,
}

impl PartFormat {
    /// zstd at `level` (1 to 22), row groups of `group_rows`.
    pub(crate) fn new(info: &'static TableInfo, level: i32, group_rows: usize) -> Self {
        let pair = |k: &str, v: String| KeyValue { key: k.to_owned(), value: Some(v) };
        let sorting: Vec<SortingColumn> = [info.time, info.key]
            .into_iter()
            .flatten()
            .filter_map(|name| info.position(name))
            .map(|i| SortingColumn { column_idx: i as i32, descending: false, nulls_first: true })
            .collect();
        let schema = info.schema();
        let properties = WriterProperties::builder()
            .set_created_by(concat!("ottoscope ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_sorting_columns(Some(sorting).filter(|columns| !columns.is_empty()))
            .set_key_value_metadata(Some(vec![
                pair(SCHEMA_KEY, SCHEMA_VERSION.to_string()),
                pair(TABLE_KEY, info.name.to_owned()),
                pair(ARROW_SCHEMA_META_KEY, encode_arrow_schema(&schema)),
            ]))
            .build();
        PartFormat {
            info,
            // Every kind of column has a Parquet type: a test writes all tables.
            schema: ArrowSchemaConverter::new().convert(&schema).expect("known types"),
            level: ZstdLevel::try_new(level.clamp(1, 22)).unwrap_or_default(),
            group_rows: group_rows.max(1),
            properties: properties.into(),
        }
    }

    /// Writes the rows `order` of `columns` to `path`, which must not exist. Nothing is left
    /// behind on failure.
    pub(crate) fn write(
        &self,
        disk: &dyn Disk,
        path: &Path,
        columns: &[&dyn Cells],
        order: &[u32],
    ) -> Result<()> {
        let unfinished = unfinished(path);
        let result = self.encode(disk, &unfinished, columns, order).and_then(|()| {
            disk.rename(&unfinished, path).map_err(StoreError::io("rename", &unfinished))
        });
        if result.is_err() {
            // The first error is the one to tell.
            let _ = disk.remove(&unfinished);
        }
        result
    }

    fn encode(
        &self,
        disk: &dyn Disk,
        path: &Path,
        columns: &[&dyn Cells],
        order: &[u32],
    ) -> Result<()> {
        let encode = StoreError::encode(path);
        let file = disk.create(path).map_err(StoreError::io("create", path))?;
        let file = BufWriter::with_capacity(1 << 18, file);
        let root = self.schema.root_schema_ptr();
        let mut writer =
            SerializedFileWriter::new(file, root, self.properties.clone()).map_err(&encode)?;
        let mut encoder = Encoder::new(self.level).map_err(&encode)?;
        for rows in order.chunks(self.group_rows) {
            self.group(&mut writer, &mut encoder, columns, rows).map_err(&encode)?;
        }
        let mut file = writer.into_inner().map_err(&encode)?;
        file.flush().map_err(StoreError::io("write", path))
    }

    /// Writes a row group.
    fn group<W: Write + Send>(
        &self,
        writer: &mut SerializedFileWriter<W>,
        encoder: &mut Encoder,
        columns: &[&dyn Cells],
        rows: &[u32],
    ) -> parquet::errors::Result<()> {
        let mut group = writer.next_row_group()?;
        // A list is one column in Parquet, too.
        for ((info, cells), descr) in
            self.info.columns.iter().zip(columns).zip(self.schema.columns())
        {
            let unique = info.kind == Kind::UInt64 && info.name == "flow";
            let shape = Shape { kind: info.kind, unique, descr };
            let (bytes, close) = encoder.column(*cells, rows, &shape)?;
            group.append_column(&bytes, close)?;
        }
        group.close()?;
        Ok(())
    }
}

/// The temporary name of `path`.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(UNFINISHED);
    name.into()
}

/// The schema version and table in a part's metadata.
pub(crate) fn provenance(pairs: Option<&Vec<KeyValue>>) -> (Option<u32>, Option<&str>) {
    let find = |key: &str| {
        pairs.into_iter().flatten().find(|kv| kv.key == key).and_then(|kv| kv.value.as_deref())
    };
    (find(SCHEMA_KEY).and_then(|v| v.parse().ok()), find(TABLE_KEY))
}
