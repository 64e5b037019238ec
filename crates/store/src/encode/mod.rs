//! A column of some rows as a Parquet column chunk: which encoding, which pages, what bounds
//! them.
//!
//! Values come from [`Cells`] and not from Arrow arrays: texts are numbered already, rows are
//! gathered in their order, and nothing is copied in between. Headers and footers are written
//! by the `parquet` crate.

mod bits;
mod dictionary;
mod pages;
mod stats;

use bytes::Bytes;
use parquet::basic::{BoundaryOrder, Compression, Encoding, EncodingMask, Type, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

use crate::cells::{Cells, Gathered};
use crate::column::Kind;
use dictionary::Dictionary;
use pages::{Chunk, RawPage};

/// Most bytes of a dictionary of texts.
const DICTIONARY_BYTES: usize = 1 << 20;

/// What a column is, as far as its encoding hangs on it.
pub(crate) struct Shape<'a> {
    pub(crate) kind: Kind,
    /// Its values neither repeat nor shrink.
    pub(crate) unique: bool,
    pub(crate) descr: &'a ColumnDescPtr,
}

/// Encodes columns, one after the other.
pub(crate) struct Encoder {
    level: ZstdLevel,
    compressor: Compressor<'static>,
    gathered: Gathered,
    dictionary: Dictionary,
}

impl Encoder {
    /// zstd at this level, where it pays.
    pub(crate) fn new(level: ZstdLevel) -> Result<Self> {
        Ok(Encoder {
            level,
            compressor: Compressor::new(level.compression_level())?,
            gathered: Gathered::default(),
            dictionary: Dictionary::default(),
        })
    }

    /// The column chunk of the rows `order`, its offsets counted from its first byte.
    pub(crate) fn column(
        &mut self,
        cells: &dyn Cells,
        order: &[u32],
        shape: &Shape<'_>,
    ) -> Result<(Bytes, ColumnCloseResult)> {
        let Encoder { gathered: column, dictionary, compressor, level } = self;
        let Shape { kind, unique, descr } = *shape;
        column.clear();
        let texts = cells.gather(order, column);
        let repeats = match (texts, kind) {
            (Some(texts), _) => dictionary.fill_texts(texts, &column.values, DICTIONARY_BYTES),
            // Times hardly repeat but rise.
            (None, Kind::Boolean | Kind::Timestamp) => false,
            _ => !unique && dictionary.fill(&column.values),
        };
        let encoding = match kind {
            _ if repeats => Encoding::RLE_DICTIONARY,
            _ if unique || texts.is_some() || column.values.is_empty() => Encoding::PLAIN,
            Kind::Boolean | Kind::Float64 => Encoding::PLAIN,
            _ => Encoding::DELTA_BINARY_PACKED,
        };
        let most = (descr.max_def_level() as u32, descr.max_rep_level() as u32);
        let chunk = Chunk { kind, encoding, column, dictionary, texts, most };

        let mut metadata = ColumnChunkMetaData::builder(descr.clone());
        if let Some(statistics) = chunk.statistics() {
            metadata = metadata.set_statistics(statistics);
        }
        let mut pages: Vec<RawPage> = chunk.dictionary_page().into_iter().collect();
        pages.extend(chunk.pages());
        let column_index = match kind {
            // What queries skip pages by.
            Kind::Timestamp => Some(column_index(&pages, &column.values)?),
            _ => None,
        };
        let compressed = if unique { None } else { compress(compressor, &pages)? };
        let codec = match compressed {
            Some(_) => Compression::ZSTD(*level),
            None => Compression::UNCOMPRESSED,
        };

        let mut sink = TrackedWrite::new(Vec::new());
        let mut writer = SerializedPageWriter::new(&mut sink);
        let mut offsets = OffsetIndexBuilder::new();
        let (mut whole, mut first_data) = (0, 0);
        let mut compressed = compressed.map(Vec::into_iter);
        for (i, raw) in pages.into_iter().enumerate() {
            let (len, num_values) = (raw.bytes.len(), raw.entries as u32);
            let bytes = compressed.as_mut().and_then(Iterator::next).unwrap_or(raw.bytes);
            let buf = Bytes::from(bytes);
            let is_dictionary = repeats && i == 0;
            let page = if is_dictionary {
                let encoding = Encoding::PLAIN;
                Page::DictionaryPage { buf, num_values, encoding, is_sorted: false }
            } else {
                Page::DataPage {
                    buf,
                    num_values,
                    encoding,
                    def_level_encoding: Encoding::RLE,
                    rep_level_encoding: Encoding::RLE,
                    statistics: None,
                }
            };
            let written = writer.write_page(CompressedPage::new(page, len))?;
            whole += written.uncompressed_size;
            if is_dictionary {
                first_data = written.bytes_written;
            } else {
                offsets.append_row_count(raw.rows as i64);
                offsets
                    .append_offset_and_size(written.offset as i64, written.compressed_size as i32);
            }
        }
        let bytes = sink.into_inner()?;
        let encodings = [Encoding::PLAIN, Encoding::RLE, encoding];
        let encodings = if repeats { &encodings[..] } else { &encodings[1..] };
        let metadata = metadata
            .set_compression(codec)
            .set_encodings_mask(EncodingMask::new_from_encodings(encodings.iter()))
            .set_total_compressed_size(bytes.len() as i64)
            .set_total_uncompressed_size(whole as i64)
            .set_num_values(column.entries as i64)
            .set_data_page_offset(first_data as i64)
            .set_dictionary_page_offset(repeats.then_some(0))
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: order.len() as u64,
            metadata,
            bloom_filter: None,
            column_index,
            offset_index: Some(offsets.build()),
        };
        Ok((bytes.into(), close))
    }
}

/// The pages compressed, if that saves an eighth of the largest.
fn compress(compressor: &mut Compressor<'_>, pages: &[RawPage]) -> Result<Option<Vec<Vec<u8>>>> {
    let largest = pages.iter().enumerate().max_by_key(|(_, page)| page.bytes.len());
    let Some((at, largest)) = largest else { return Ok(None) };
    let sample = compressor.compress(&largest.bytes)?;
    if sample.len() > largest.bytes.len() - largest.bytes.len() / 8 {
        return Ok(None);
    }
    let mut compressed = Vec::with_capacity(pages.len());
    for page in &pages[..at] {
        compressed.push(compressor.compress(&page.bytes)?);
    }
    compressed.push(sample);
    for page in &pages[at + 1..] {
        compressed.push(compressor.compress(&page.bytes)?);
    }
    Ok(Some(compressed))
}

/// The least and the greatest time of each page.
fn column_index(pages: &[RawPage], values: &[u64]) -> Result<ColumnIndexMetaData> {
    let mut index = ColumnIndexBuilder::new(Type::INT64);
    let mut last = None;
    let mut rises = true;
    for page in pages {
        let missing = (page.entries - page.values.len()) as i64;
        let bounds = stats::bounds(Kind::Timestamp, &values[page.values.clone()]);
        let Some((least, most)) = bounds else {
            index.append(true, Vec::new(), Vec::new(), missing);
            continue;
        };
        let now = (least.cast_signed(), most.cast_signed());
        rises &= last.is_none_or(|(least, most)| least <= now.0 && most <= now.1);
        last = Some(now);
        index.append(false, least.to_le_bytes().into(), most.to_le_bytes().into(), missing);
    }
    if rises {
        index.set_boundary_order(BoundaryOrder::ASCENDING);
    }
    index.build()
}
