//! Values of a column chunk as pages, before they are compressed.

use std::ops::Range;

use parquet::basic::Encoding;
use parquet::file::statistics::Statistics;

use super::bits;
use super::dictionary::Dictionary;
use super::stats;
use crate::cells::{Gathered, Texts};
use crate::column::Kind;

/// Most rows of a page.
const PAGE_ROWS: usize = 20_000;
/// Bytes after which a page of texts ends.
const PAGE_BYTES: usize = 1 << 20;

/// A column chunk and how its values are written.
pub(super) struct Chunk<'a> {
    pub(super) kind: Kind,
    pub(super) encoding: Encoding,
    pub(super) column: &'a Gathered,
    pub(super) dictionary: &'a Dictionary,
    pub(super) texts: Option<&'a Texts>,
    /// Highest definition and repetition level.
    pub(super) most: (u32, u32),
}

/// A page before it is compressed.
pub(super) struct RawPage {
    pub(super) bytes: Vec<u8>,
    pub(super) entries: usize,
    pub(super) rows: usize,
    /// Which of the column's values it holds.
    pub(super) values: Range<usize>,
}

impl Chunk<'_> {
    /// The different values, as far as they are known.
    fn distinct(&self) -> &[u64] {
        match self.encoding {
            Encoding::RLE_DICTIONARY => &self.dictionary.values,
            _ => &self.column.values,
        }
    }

    /// What bounds all values; nothing where they do not compare.
    pub(super) fn statistics(&self) -> Option<Statistics> {
        let column = self.column;
        let elements = column.levels.iter().filter(|&&level| level == self.most.0).count();
        let there = if column.levels.is_empty() { column.values.len() } else { elements };
        let missing = (column.entries - there) as u64;
        match (self.kind, self.texts) {
            (Kind::Binary, _) => None,
            (_, None) => Some(stats::numbers(self.kind, self.distinct(), missing)),
            (_, Some(texts)) => {
                let distinct = self.distinct().iter().map(|&number| texts.get(number as u32));
                Some(stats::texts(distinct, missing))
            }
        }
    }

    /// The page of different values, where there is a dictionary.
    pub(super) fn dictionary_page(&self) -> Option<RawPage> {
        if self.encoding != Encoding::RLE_DICTIONARY {
            return None;
        }
        let mut bytes = Vec::new();
        self.plain(&self.dictionary.values, &mut bytes);
        Some(RawPage { bytes, entries: self.dictionary.values.len(), rows: 0, values: 0..0 })
    }

    /// The pages of values.
    pub(super) fn pages(&self) -> Vec<RawPage> {
        let mut pages = Vec::new();
        let (mut entries, mut values) = (0..0, 0..0);
        while entries.end < self.column.entries {
            let (start, first) = (entries.end, values.end);
            let rows;
            (entries, values, rows) = self.next_page(start, first);
            let mut bytes = Vec::new();
            self.levels(&self.column.repeats, self.most.1, entries.clone(), &mut bytes);
            self.levels(&self.column.levels, self.most.0, entries.clone(), &mut bytes);
            self.values(values.clone(), &mut bytes);
            pages.push(RawPage { bytes, entries: entries.len(), rows, values: values.clone() });
        }
        pages
    }

    /// Entries and values of the page that begins with these, and how many rows it has.
    fn next_page(&self, start: usize, first: usize) -> (Range<usize>, Range<usize>, usize) {
        let Gathered { values, levels, repeats, entries } = self.column;
        let long = self.texts.filter(|_| self.encoding == Encoding::PLAIN);
        if repeats.is_empty() && long.is_none() {
            let end = (start + PAGE_ROWS).min(*entries);
            let there = match levels.get(start..end) {
                Some(levels) => levels.iter().filter(|&&level| level == self.most.0).count(),
                None if values.is_empty() => 0,
                None => end - start,
            };
            return (start..end, first..first + there, end - start);
        }
        let (mut end, mut next, mut rows, mut bytes) = (start, first, 0, 0);
        while end < *entries {
            if repeats.get(end).is_none_or(|&level| level == 0) {
                if rows == PAGE_ROWS || bytes >= PAGE_BYTES {
                    break;
                }
                rows += 1;
            }
            let there = match levels.get(end) {
                Some(&level) => level == self.most.0,
                None => !values.is_empty(),
            };
            if there {
                bytes += long.map_or(4, |texts| 4 + texts.len_of(values[next] as u32));
                next += 1;
            }
            end += 1;
        }
        (start..end, first..next, rows)
    }

    /// Levels of some entries, of which the highest is `most`.
    fn levels(&self, levels: &[u32], most: u32, entries: Range<usize>, out: &mut Vec<u8>) {
        if most == 0 {
            return;
        }
        let width = bits::width(u64::from(most));
        let at = out.len();
        out.extend_from_slice(&[0; 4]);
        match levels.get(entries.clone()) {
            Some(levels) if !levels.is_empty() => bits::hybrid(levels, width, out),
            // All alike: all there, or none.
            _ if self.column.values.is_empty() => bits::run(0, entries.len(), width, out),
            _ => bits::run(most, entries.len(), width, out),
        }
        let len = (out.len() - at - 4) as u32;
        out[at..at + 4].copy_from_slice(&len.to_le_bytes());
    }

    fn values(&self, range: Range<usize>, out: &mut Vec<u8>) {
        match self.encoding {
            Encoding::RLE_DICTIONARY => {
                let highest = self.dictionary.values.len().saturating_sub(1);
                let width = bits::width(highest as u64);
                out.push(width as u8);
                bits::hybrid(&self.dictionary.codes[range], width, out);
            }
            Encoding::DELTA_BINARY_PACKED => {
                let narrow = !matches!(self.kind, Kind::UInt64 | Kind::Timestamp);
                bits::differences(&self.column.values[range], narrow, out);
            }
            _ => self.plain(&self.column.values[range], out),
        }
    }

    fn plain(&self, values: &[u64], out: &mut Vec<u8>) {
        match (self.kind, self.texts) {
            (_, Some(texts)) => {
                for &number in values {
                    let text = texts.get(number as u32);
                    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
                    out.extend_from_slice(text);
                }
            }
            (Kind::Boolean, _) => bits::booleans(values, out),
            (Kind::UInt64 | Kind::Timestamp | Kind::Float64, _) => {
                out.reserve(8 * values.len());
                values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
            }
            _ => {
                out.reserve(4 * values.len());
                let narrow = values.iter().map(|&value| value as u32);
                narrow.for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
            }
        }
    }
}
