//! What a column can hold: one trait that ties a Rust value to an Arrow builder and array, so
//! that a table's declaration says each thing once.

use arrow::array::{
    Array, BinaryArray, BinaryBuilder, BooleanArray, BooleanBuilder, Int32Builder, ListArray,
    ListBuilder, PrimitiveArray, PrimitiveBuilder, StringArray, StringBuilder,
    TimestampNanosecondArray, TimestampNanosecondBuilder,
};
use arrow::datatypes::{
    DataType, Field, Float64Type, Int32Type, TimeUnit, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use ottoscope_flow::Timestamp;

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
    type Builder: Send + 'static;
    /// Holds values.
    type Array: Array + Clone + 'static;
    /// See [`Kind`].
    const KIND: Kind;
    /// Whether a value may be missing.
    const NULLABLE: bool = false;
    /// An empty builder.
    fn builder() -> Self::Builder;
    /// Adds one value.
    fn append(builder: &mut Self::Builder, value: Self::Value<'_>);
    /// Adds missing values.
    fn append_nulls(builder: &mut Self::Builder, count: usize);
    /// The values so far; the builder is empty then.
    fn finish(builder: &mut Self::Builder) -> Self::Array;
    /// The value of row `i`.
    fn get(array: &Self::Array, i: usize) -> Self::Value<'_>;
    /// About how many bytes the value takes in the builder.
    fn weight(value: Self::Value<'_>) -> usize {
        size_of_val(&value)
    }
}

macro_rules! numbers {
    ($($native:ty, $arrow:ty, $kind:ident;)*) => { $(
        impl Column for $native {
            type Value<'a> = $native;
            type Builder = PrimitiveBuilder<$arrow>;
            type Array = PrimitiveArray<$arrow>;
            const KIND: Kind = Kind::$kind;
            fn builder() -> Self::Builder {
                PrimitiveBuilder::new()
            }
            fn append(builder: &mut Self::Builder, value: $native) {
                builder.append_value(value);
            }
            fn append_nulls(builder: &mut Self::Builder, count: usize) {
                builder.append_nulls(count);
            }
            fn finish(builder: &mut Self::Builder) -> Self::Array {
                builder.finish()
            }
            fn get(array: &Self::Array, i: usize) -> $native {
                array.value(i)
            }
        }
    )* };
}

numbers! {
    u8, UInt8Type, UInt8;
    u16, UInt16Type, UInt16;
    u32, UInt32Type, UInt32;
    u64, UInt64Type, UInt64;
    f64, Float64Type, Float64;
}

impl Column for bool {
    type Value<'a> = bool;
    type Builder = BooleanBuilder;
    type Array = BooleanArray;
    const KIND: Kind = Kind::Boolean;
    fn builder() -> BooleanBuilder {
        BooleanBuilder::new()
    }
    fn append(builder: &mut BooleanBuilder, value: bool) {
        builder.append_value(value);
    }
    fn append_nulls(builder: &mut BooleanBuilder, count: usize) {
        builder.append_nulls(count);
    }
    fn finish(builder: &mut BooleanBuilder) -> BooleanArray {
        builder.finish()
    }
    fn get(array: &BooleanArray, i: usize) -> bool {
        array.value(i)
    }
}

impl Column for Timestamp {
    type Value<'a> = Timestamp;
    type Builder = TimestampNanosecondBuilder;
    type Array = TimestampNanosecondArray;
    const KIND: Kind = Kind::Timestamp;
    fn builder() -> Self::Builder {
        TimestampNanosecondBuilder::new().with_data_type(Kind::Timestamp.data_type())
    }
    fn append(builder: &mut Self::Builder, value: Timestamp) {
        builder.append_value(value.0);
    }
    fn append_nulls(builder: &mut Self::Builder, count: usize) {
        builder.append_nulls(count);
    }
    fn finish(builder: &mut Self::Builder) -> Self::Array {
        builder.finish()
    }
    fn get(array: &Self::Array, i: usize) -> Timestamp {
        Timestamp(array.value(i))
    }
}

/// Text in a table's declaration: a `&str` in its rows.
#[derive(Debug)]
pub enum Text {}

impl Column for Text {
    type Value<'a> = &'a str;
    type Builder = StringBuilder;
    type Array = StringArray;
    const KIND: Kind = Kind::Text;
    fn builder() -> StringBuilder {
        StringBuilder::new()
    }
    fn append(builder: &mut StringBuilder, value: &str) {
        builder.append_value(value);
    }
    fn append_nulls(builder: &mut StringBuilder, count: usize) {
        builder.append_nulls(count);
    }
    fn finish(builder: &mut StringBuilder) -> StringArray {
        builder.finish()
    }
    fn get(array: &StringArray, i: usize) -> &str {
        array.value(i)
    }
    fn weight(value: &str) -> usize {
        4 + value.len()
    }
}

/// Bytes in a table's declaration: a `&[u8]` in its rows.
#[derive(Debug)]
pub enum Bytes {}

impl Column for Bytes {
    type Value<'a> = &'a [u8];
    type Builder = BinaryBuilder;
    type Array = BinaryArray;
    const KIND: Kind = Kind::Binary;
    fn builder() -> BinaryBuilder {
        BinaryBuilder::new()
    }
    fn append(builder: &mut BinaryBuilder, value: &[u8]) {
        builder.append_value(value);
    }
    fn append_nulls(builder: &mut BinaryBuilder, count: usize) {
        builder.append_nulls(count);
    }
    fn finish(builder: &mut BinaryBuilder) -> BinaryArray {
        builder.finish()
    }
    fn get(array: &BinaryArray, i: usize) -> &[u8] {
        array.value(i)
    }
    fn weight(value: &[u8]) -> usize {
        4 + value.len()
    }
}

/// A list of integers in a table's declaration: a `&[i32]` in its rows.
#[derive(Debug)]
pub enum Integers {}

impl Column for Integers {
    type Value<'a> = &'a [i32];
    type Builder = ListBuilder<Int32Builder>;
    type Array = ListArray;
    const KIND: Kind = Kind::Int32List;
    fn builder() -> Self::Builder {
        ListBuilder::new(Int32Builder::new())
    }
    fn append(builder: &mut Self::Builder, value: &[i32]) {
        builder.values().append_slice(value);
        builder.append(true);
    }
    fn append_nulls(builder: &mut Self::Builder, count: usize) {
        builder.append_nulls(count);
    }
    fn finish(builder: &mut Self::Builder) -> ListArray {
        builder.finish()
    }
    fn get(array: &ListArray, i: usize) -> &[i32] {
        let offsets = array.value_offsets();
        let values = array.values().as_any().downcast_ref::<PrimitiveArray<Int32Type>>();
        values.map_or(&[], |v| &v.values()[offsets[i] as usize..offsets[i + 1] as usize])
    }
    fn weight(value: &[i32]) -> usize {
        4 + size_of_val(value)
    }
}

/// Collects values of which many are missing: a run of missing ones is only counted until a
/// value ends it. Half of the columns of a flow are mostly empty.
pub struct Sparse<C: Column> {
    values: C::Builder,
    missing: usize,
}

impl<C: Column> Column for Option<C> {
    type Value<'a> = Option<C::Value<'a>>;
    type Builder = Sparse<C>;
    type Array = C::Array;
    const KIND: Kind = C::KIND;
    const NULLABLE: bool = true;
    fn builder() -> Sparse<C> {
        Sparse { values: C::builder(), missing: 0 }
    }
    #[inline]
    fn append(builder: &mut Sparse<C>, value: Option<C::Value<'_>>) {
        let Some(value) = value else {
            builder.missing += 1;
            return;
        };
        if builder.missing > 0 {
            C::append_nulls(&mut builder.values, builder.missing);
            builder.missing = 0;
        }
        C::append(&mut builder.values, value);
    }
    fn append_nulls(builder: &mut Sparse<C>, count: usize) {
        builder.missing += count;
    }
    fn finish(builder: &mut Sparse<C>) -> C::Array {
        C::append_nulls(&mut builder.values, std::mem::take(&mut builder.missing));
        C::finish(&mut builder.values)
    }
    fn get(array: &C::Array, i: usize) -> Option<C::Value<'_>> {
        array.is_valid(i).then(|| C::get(array, i))
    }
    fn weight(value: Option<C::Value<'_>>) -> usize {
        value.map_or(4, C::weight)
    }
}
