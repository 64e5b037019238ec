//! What a column can hold: one trait that ties a Rust value to the cells it is collected in and
//! the Arrow array it is read back from, so that a table's declaration says each thing once.

use arrow::array::{
    Array, BinaryArray, BooleanArray, ListArray, PrimitiveArray, StringArray,
    TimestampNanosecondArray,
};
use arrow::datatypes::{
    DataType, Field, Float64Type, Int32Type, TimeUnit, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use ottoscope_flow::Timestamp;

use crate::cells::{Cells, Lists, Numbers, Words};

/// The kinds of columns, as they are named in the reference page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// Unsigned, 8 bits.
    UInt8,
    /// Unsigned, 16 bits.
    UInt16,
    /// Unsigned, 32 bits.
    UInt32,
    /// Unsigned, 64 bits.
    UInt64,
    /// Double precision.
    Float64,
    /// Nanoseconds since the epoch, UTC.
    Timestamp,
    /// UTF-8. Never an Arrow dictionary: distributed engines stumble on those, and Parquet
    /// makes dictionaries by itself.
    Text,
    /// Bytes.
    Binary,
    /// A list of signed 32-bit integers.
    Int32List,
}

impl Kind {
    /// The Arrow type.
    pub fn data_type(self) -> DataType {
        match self {
            Kind::Boolean => DataType::Boolean,
            Kind::UInt8 => DataType::UInt8,
            Kind::UInt16 => DataType::UInt16,
            Kind::UInt32 => DataType::UInt32,
            Kind::UInt64 => DataType::UInt64,
            Kind::Float64 => DataType::Float64,
            Kind::Timestamp => DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into())),
            Kind::Text => DataType::Utf8,
            Kind::Binary => DataType::Binary,
            Kind::Int32List => DataType::List(Field::new_list_field(DataType::Int32, true).into()),
        }
    }

    /// The name used in the reference page and by `study schema`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Boolean => "boolean",
            Kind::UInt8 => "uint8",
            Kind::UInt16 => "uint16",
            Kind::UInt32 => "uint32",
            Kind::UInt64 => "uint64",
            Kind::Float64 => "float64",
            Kind::Timestamp => "timestamp",
            Kind::Text => "text",
            Kind::Binary => "binary",
            Kind::Int32List => "int32 list",
        }
    }
}

const UTC: &str = "UTC";

/// The type of a column in a table's declaration.
pub trait Column: 'static {
    /// What a row holds: borrowed, so that a row costs no allocation.
    type Value<'a>: Copy;
    /// Collects values.
    type Cells: Cells + Default + 'static;
    /// Holds values that were read.
    type Array: Array + Clone + 'static;
    /// See [`Kind`].
    const KIND: Kind;
    /// Whether a value may be missing.
    const NULLABLE: bool = false;
    /// Adds one value; about how many bytes it takes is returned.
    fn append(cells: &mut Self::Cells, value: Self::Value<'_>) -> usize;
    /// Adds a missing value.
    fn append_missing(cells: &mut Self::Cells);
    /// The value of row `i`.
    fn get(array: &Self::Array, i: usize) -> Self::Value<'_>;
}

macro_rules! numbers {
    ($($native:ty, $array:ty, $kind:ident, |$value:ident| $get:expr;)*) => { $(
        impl Column for $native {
            type Value<'a> = $native;
            type Cells = Numbers<$native>;
            type Array = $array;
            const KIND: Kind = Kind::$kind;
            #[inline]
            fn append(cells: &mut Self::Cells, value: $native) -> usize {
                cells.push(value)
            }
            #[inline]
            fn append_missing(cells: &mut Self::Cells) {
                cells.push_missing();
            }
            #[inline]
            fn get(array: &Self::Array, i: usize) -> $native {
                let $value = array.value(i);
                $get
            }
        }
    )* };
}

numbers! {
    bool, BooleanArray, Boolean, |value| value;
    u8, PrimitiveArray<UInt8Type>, UInt8, |value| value;
    u16, PrimitiveArray<UInt16Type>, UInt16, |value| value;
    u32, PrimitiveArray<UInt32Type>, UInt32, |value| value;
    u64, PrimitiveArray<UInt64Type>, UInt64, |value| value;
    f64, PrimitiveArray<Float64Type>, Float64, |value| value;
    Timestamp, TimestampNanosecondArray, Timestamp, |value| Timestamp(value);
}

/// Text in a table's declaration: a `&str` in its rows.
#[derive(Debug)]
pub enum Text {}

impl Column for Text {
    type Value<'a> = &'a str;
    type Cells = Words;
    type Array = StringArray;
    const KIND: Kind = Kind::Text;
    fn append(cells: &mut Words, value: &str) -> usize {
        cells.push(value.as_bytes())
    }
    fn append_missing(cells: &mut Words) {
        cells.push_missing();
    }
    #[inline]
    fn get(array: &StringArray, i: usize) -> &str {
        array.value(i)
    }
}

/// Bytes in a table's declaration: a `&[u8]` in its rows.
#[derive(Debug)]
pub enum Bytes {}

impl Column for Bytes {
    type Value<'a> = &'a [u8];
    type Cells = Words;
    type Array = BinaryArray;
    const KIND: Kind = Kind::Binary;
    fn append(cells: &mut Words, value: &[u8]) -> usize {
        cells.push(value)
    }
    fn append_missing(cells: &mut Words) {
        cells.push_missing();
    }
    fn get(array: &BinaryArray, i: usize) -> &[u8] {
        array.value(i)
    }
}

/// A list of integers in a table's declaration: a `&[i32]` in its rows.
#[derive(Debug)]
pub enum Integers {}

impl Column for Integers {
    type Value<'a> = &'a [i32];
    type Cells = Lists;
    type Array = ListArray;
    const KIND: Kind = Kind::Int32List;
    fn append(cells: &mut Lists, value: &[i32]) -> usize {
        cells.push(value)
    }
    fn append_missing(cells: &mut Lists) {
        cells.push_missing();
    }
    fn get(array: &ListArray, i: usize) -> &[i32] {
        let offsets = array.value_offsets();
        let values = array.values().as_any().downcast_ref::<PrimitiveArray<Int32Type>>();
        values.map_or(&[], |v| &v.values()[offsets[i] as usize..offsets[i + 1] as usize])
    }
}

impl<C: Column> Column for Option<C> {
    type Value<'a> = Option<C::Value<'a>>;
    type Cells = C::Cells;
    type Array = C::Array;
    const KIND: Kind = C::KIND;
    const NULLABLE: bool = true;
    #[inline]
    fn append(cells: &mut C::Cells, value: Option<C::Value<'_>>) -> usize {
        match value {
            Some(value) => C::append(cells, value),
            None => {
                C::append_missing(cells);
                0
            }
        }
    }
    fn append_missing(cells: &mut C::Cells) {
        C::append_missing(cells);
    }
    #[inline]
    fn get(array: &C::Array, i: usize) -> Option<C::Value<'_>> {
        array.is_valid(i).then(|| C::get(array, i))
    }
}
