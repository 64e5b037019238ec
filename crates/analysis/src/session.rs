//! A study opened for questions.
//!
//! Reading only: no statement that creates, copies, inserts or sets is let through, and no path
//! can be named in a query, so that what a query can reach is the study's tables and nothing
//! else. Tables are declared with the schema the store writes, so that a table without a single
//! row still answers, and a part written before a column existed reads as null there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::ParamValues;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::MemTable;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt;
use ottoscope_store::TableInfo;
use ottoscope_store::tables::ALL;
use tokio::runtime::Runtime;

use crate::error::{self, Error};
use crate::functions;
use crate::grid::Grid;
use crate::tables;

/// How much of the machine a session may use.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Threads and partitions of a plan; the machine's cores where none is given.
    pub threads: Option<usize>,
    /// Bytes that sorts, joins and groupings may hold before they spill to the system's
    /// temporary folder, or fail where they cannot; unlimited where none is given.
    pub memory: Option<usize>,
}

/// A study opened for questions.
pub struct Session {
    study: PathBuf,
    ctx: SessionContext,
    runtime: Arc<Runtime>,
}

/// An answer in memory.
#[derive(Debug, Clone)]
pub struct Rows {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows, in order.
    pub batches: Vec<RecordBatch>,
}

impl Rows {
    /// As plain values.
    pub fn grid(&self) -> Grid {
        Grid::new(&self.schema, &self.batches)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The flows with their best label; without one, its columns are null.
pub(crate) const LABELLED_FLOWS: &str = "
    SELECT f.*, l.app, l.service, l.task, l.evidence, l.confidence
    FROM flows f LEFT JOIN (SELECT * FROM labels WHERE best) l ON l.flow = f.flow";

impl Session {
    /// Opens a study folder.
    ///
    /// # Errors
    /// When the folder has no `tables`, or the engine's threads cannot be started.
    pub fn open(study: &Path, options: &Options) -> Result<Self, Error> {
        let folder = study.join("tables");
        if !folder.is_dir() {
            return Err(Error::NoStudy { path: study.to_owned() });
        }
        let session = Self::empty(study, options)?;
        for table in ALL {
            let provider = session.listing(&folder, table)?;
            session.register(table.name, provider)?;
        }
        session.views()?;
        Ok(session)
    }

    /// A study in memory: tables by name; those not given are empty. For tests and for tables
    /// that are still being written.
    ///
    /// # Errors
    /// When a batch has not its table's schema.
    pub fn in_memory(given: &[(&str, RecordBatch)], options: &Options) -> Result<Self, Error> {
        let session = Self::empty(Path::new(""), options)?;
        for table in ALL {
            let rows = given.iter().filter(|(name, _)| *name == table.name);
            let batches = rows
                .map(|(_, batch)| tables::fit(batch, table))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|e| session.explain(&e.into()))?;
            let provider = MemTable::try_new(tables::schema(table), vec![batches])
                .map_err(|e| session.explain(&e))?;
            session.register(table.name, Arc::new(provider))?;
        }
        session.views()?;
        Ok(session)
    }

    fn empty(study: &Path, options: &Options) -> Result<Self, Error> {
        let threads = options.threads.unwrap_or_else(|| {
            std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name("query")
            .build()
            .map_err(|e| Error::io("cannot start the query engine's threads", e))?;
        let mut config = SessionConfig::new()
            .with_target_partitions(threads.max(1))
            .with_information_schema(true)
            .with_default_catalog_and_schema("study", "tables");
        let execution = &mut config.options_mut().execution;
        // Filters on addresses, names and apps keep few of a page's rows.
        execution.parquet.pushdown_filters = true;
        execution.parquet.reorder_filters = true;
        let mut env = RuntimeEnvBuilder::new();
        if let Some(bytes) = options.memory {
            env = env.with_memory_limit(bytes, 1.0);
        }
        let env = env.build_arc().map_err(|e| error::explain(&e, &[]))?;
        let ctx = SessionContext::new_with_config_rt(config, env);
        functions::all().into_iter().for_each(|function| ctx.register_udf(function));
        Ok(Session { study: study.to_owned(), ctx, runtime: Arc::new(runtime) })
    }

    fn listing(&self, folder: &Path, table: &TableInfo) -> Result<Arc<dyn TableProvider>, Error> {
        let path = folder.join(table.name);
        if !path.is_dir() {
            let empty = MemTable::try_new(tables::schema(table), vec![vec![]]);
            return Ok(Arc::new(empty.map_err(|e| self.explain(&e))?));
        }
        let path = path
            .canonicalize()
            .map_err(|e| Error::io(format!("cannot open {}", path.display()), e))?;
        let url =
            ListingTableUrl::parse(format!("{}/", path.display())).map_err(|e| self.explain(&e))?;
        let mut options =
            ListingOptions::new(Arc::new(ParquetFormat::new())).with_file_extension(".parquet");
        if table.time.is_some() {
            options = options.with_table_partition_cols(
                tables::PARTITIONS.iter().map(|c| ((*c).to_owned(), DataType::Utf8)).collect(),
            );
        }
        let config =
            ListingTableConfig::new(url).with_listing_options(options).with_schema(table.schema());
        let table = ListingTable::try_new(config).map_err(|e| self.explain(&e))?;
        Ok(Arc::new(table))
    }

    fn register(&self, name: &str, table: Arc<dyn TableProvider>) -> Result<(), Error> {
        self.ctx.register_table(name, table).map(drop).map_err(|e| self.explain(&e))
    }

    fn views(&self) -> Result<(), Error> {
        define(&self.ctx, &self.runtime, "labelled_flows", LABELLED_FLOWS)
            .map_err(|e| self.explain(&e))
    }

    /// The study's folder.
    pub fn study(&self) -> &Path {
        &self.study
    }

    /// Names of tables and views, sorted.
    pub fn names(&self) -> Vec<String> {
        names(&self.ctx)
    }

    /// Runs one statement to its end.
    ///
    /// # Errors
    /// When it is not one read-only statement, or cannot be planned or run.
    pub fn sql(&self, sql: &str) -> Result<Rows, Error> {
        self.stream(sql)?.collect()
    }

    /// Starts one statement, whose rows are taken batch by batch.
    ///
    /// # Errors
    /// See [`Self::sql`].
    pub fn stream(&self, sql: &str) -> Result<Batches, Error> {
        start(&self.ctx, &self.runtime, sql, None)
    }

    pub(crate) fn context(&self) -> &SessionContext {
        &self.ctx
    }

    pub(crate) fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    fn explain(&self, error: &DataFusionError) -> Error {
        error::explain(error, &self.names())
    }
}

fn names(ctx: &SessionContext) -> Vec<String> {
    let schema = ctx.catalog("study").and_then(|catalog| catalog.schema("tables"));
    let mut names = schema.map_or_else(Vec::new, |schema| schema.table_names());
    names.sort();
    names
}

/// Defines a view.
pub(crate) fn define(
    ctx: &SessionContext,
    runtime: &Runtime,
    name: &str,
    sql: &str,
) -> Result<(), DataFusionError> {
    let view = runtime.block_on(ctx.sql(sql))?.into_view();
    ctx.register_table(name, view).map(drop)
}

/// Plans a read-only statement and starts it.
pub(crate) fn start(
    ctx: &SessionContext,
    runtime: &Arc<Runtime>,
    sql: &str,
    params: Option<ParamValues>,
) -> Result<Batches, Error> {
    let read_only =
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let run = async {
        let mut frame: DataFrame = ctx.sql_with_options(sql, read_only).await?;
        if let Some(params) = params {
            frame = frame.with_param_values(params)?;
        }
        frame.execute_stream().await
    };
    match runtime.block_on(run) {
        Ok(stream) => Ok(Batches { stream, runtime: Arc::clone(runtime), known: names(ctx) }),
        Err(e) => Err(error::explain(&e, &names(ctx))),
    }
}

/// The rows of a statement, as they come.
pub struct Batches {
    stream: SendableRecordBatchStream,
    runtime: Arc<Runtime>,
    known: Vec<String>,
}

impl Batches {
    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        self.stream.schema()
    }

    /// All rows.
    ///
    /// # Errors
    /// When the statement fails on its way.
    pub fn collect(self) -> Result<Rows, Error> {
        let schema = self.schema();
        let batches = Iterator::collect::<Result<_, _>>(self)?;
        Ok(Rows { schema, batches })
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.runtime.block_on(self.stream.next())?;
        Some(next.map_err(|e| error::explain(&e, &self.known)))
    }
}
