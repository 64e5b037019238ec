//! A table declared once: its row, its Arrow schema, a sentence on every column, the builder
//! that rows are appended to and the view that reads them back.

use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use ottoscope_flow::Timestamp;

use crate::cells::Cells;
use crate::column::{Column, Kind};

/// A column as the reference page tells it.
#[derive(Debug, Clone, Copy)]
pub struct ColumnInfo {
    /// Name in SQL.
    pub name: &'static str,
    /// What it holds, with its unit.
    pub about: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Whether it may be missing.
    pub nullable: bool,
}

/// A table as the reference page tells it.
#[derive(Debug, Clone, Copy)]
pub struct TableInfo {
    /// Name in SQL and folder under `tables/`.
    pub name: &'static str,
    /// What one row is.
    pub about: &'static str,
    /// The timestamp column that rows are partitioned and sorted by; an unpartitioned table
    /// has none.
    pub time: Option<&'static str>,
    /// The `uint64` column that breaks ties of `time`, so that parts merge the same way
    /// whichever worker wrote them.
    pub key: Option<&'static str>,
    /// Its columns, in order.
    pub columns: &'static [ColumnInfo],
}

impl TableInfo {
    /// The Arrow schema, without the partition columns `date` and `hour`, which are in the
    /// folder names.
    pub fn schema(&self) -> SchemaRef {
        let field = |c: &ColumnInfo| Field::new(c.name, c.kind.data_type(), c.nullable);
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }

    /// The position of a column.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }
}

/// A table, at compile time.
pub trait Table: Send + 'static {
    /// Its name, columns and words.
    const INFO: TableInfo;
    /// A row, borrowed.
    type Row<'a>: Copy + std::fmt::Debug + PartialEq;
    /// Collects rows by column.
    type Builder: Default + Send + 'static;
    /// Columns of one batch, typed.
    type Columns: Send + Sync + 'static;
    /// The time of a row, where the table has one.
    fn time(row: &Self::Row<'_>) -> Option<Timestamp>;
    /// Adds a row; about how many bytes it took is returned.
    fn append(builder: &mut Self::Builder, row: &Self::Row<'_>) -> usize;
    /// Time and key of the row that was added as number `i`.
    fn held_place(builder: &Self::Builder, i: usize) -> (Timestamp, u64);
    /// The columns so far, in order.
    fn cells(builder: &Self::Builder) -> Vec<&dyn Cells>;
    /// Views a batch that has all columns of the table.
    fn columns(batch: &RecordBatch) -> Result<Self::Columns, ArrowError>;
    /// Time and key of row `i` of a view: its place in the table's order.
    fn place(columns: &Self::Columns, i: usize) -> (Timestamp, u64);
    /// The row `i` of a view.
    fn row(columns: &Self::Columns, i: usize) -> Self::Row<'_>;
}

/// The typed column `name` of a batch.
pub fn typed<C: Column>(batch: &RecordBatch, name: &str) -> Result<C::Array, ArrowError> {
    let column = batch
        .column_by_name(name)
        .ok_or_else(|| ArrowError::SchemaError(format!("column `{name}` is missing")))?;
    if !C::NULLABLE && column.null_count() > 0 {
        return Err(ArrowError::SchemaError(format!("column `{name}` has missing values")));
    }
    if *column.data_type() != C::KIND.data_type() {
        return Err(ArrowError::SchemaError(format!(
            "column `{name}` is {}, not {}",
            column.data_type(),
            C::KIND.data_type()
        )));
    }
    column.as_any().downcast_ref::<C::Array>().cloned().ok_or_else(|| {
        ArrowError::SchemaError(format!("column `{name}` is {}", column.data_type()))
    })
}

/// Declares a table. Columns are `name: type` where the type is a [`Column`]: `u64`,
/// `Timestamp`, `Text`, `Option<Bytes>` ...
macro_rules! table {
    (
        $(#[doc = $about:literal])+
        $vis:vis $table:ident($row:ident, $builder:ident, $columns:ident) = $name:literal
            $(by $time:ident $(, $key:ident)?)? {
            $( $(#[doc = $doc:literal])+ $column:ident: $type:ty, )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy)]
        $vis enum $table {}

        #[doc = concat!("A row of `", $name, "`.")]
        #[derive(Debug, Clone, Copy, PartialEq)]
        $vis struct $row<'a> {
            $( $(#[doc = $doc])+ pub $column: <$type as $crate::column::Column>::Value<'a>, )+
        }

        #[doc = concat!("Collects rows of `", $name, "` by column.")]
        #[derive(Default)]
        $vis struct $builder {
            $( $column: <$type as $crate::column::Column>::Cells, )+
        }

        #[doc = concat!("One batch of `", $name, "`, typed.")]
        $vis struct $columns {
            $( $column: <$type as $crate::column::Column>::Array, )+
        }

        impl $crate::table::Table for $table {
            const INFO: $crate::table::TableInfo = $crate::table::TableInfo {
                name: $name,
                about: concat!($($about),+),
                time: table!(@first $(Some(stringify!($time)),)? None),
                key: table!(@first $($(Some(stringify!($key)),)?)? None),
                columns: &[ $( $crate::table::ColumnInfo {
                    name: stringify!($column),
                    about: concat!($($doc),+),
                    kind: <$type as $crate::column::Column>::KIND,
                    nullable: <$type as $crate::column::Column>::NULLABLE,
                }, )+ ],
            };
            type Row<'a> = $row<'a>;
            type Builder = $builder;
            type Columns = $columns;

            fn time(_row: &$row<'_>) -> Option<ottoscope_flow::Timestamp> {
                table!(@first $(Some(_row.$time),)? None)
            }

            fn append(builder: &mut $builder, row: &$row<'_>) -> usize {
                0 $( + <$type as $crate::column::Column>::append(
                    &mut builder.$column, row.$column) )+
            }

            fn held_place(_builder: &$builder, _i: usize) -> (ottoscope_flow::Timestamp, u64) {
                (
                    table!(@first $(_builder.$time.get(_i),)? ottoscope_flow::Timestamp::default()),
                    table!(@first $($(_builder.$key.get(_i),)?)? 0),
                )
            }

            fn cells(builder: &$builder) -> Vec<&dyn $crate::cells::Cells> {
                vec![ $( &builder.$column, )+ ]
            }

            fn columns(
                batch: &arrow::record_batch::RecordBatch,
            ) -> std::result::Result<$columns, arrow::error::ArrowError> {
                Ok($columns { $(
                    $column: $crate::table::typed::<$type>(batch, stringify!($column))?,
                )+ })
            }

            fn place(_columns: &$columns, _i: usize) -> (ottoscope_flow::Timestamp, u64) {
                (
                    table!(@first
                        $(<ottoscope_flow::Timestamp as $crate::column::Column>::get(&_columns.$time, _i),)?
                        ottoscope_flow::Timestamp::default()),
                    table!(@first
                        $($(<u64 as $crate::column::Column>::get(&_columns.$key, _i),)?)? 0),
                )
            }

            fn row(columns: &$columns, i: usize) -> $row<'_> {
                $row {
                    $( $column: <$type as $crate::column::Column>::get(&columns.$column, i), )+
                }
            }
        }
    };
    (@first $first:expr $(, $rest:expr)*) => { $first };
}

pub(crate) use table;
