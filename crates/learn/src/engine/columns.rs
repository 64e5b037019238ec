//! Samples turned around: a column for each feature, so that a tree reads what it asks for in a
//! row.

use crate::Rows;

/// Values of a feature.
pub(crate) const VALUES: usize = 256;

/// Features of samples, one byte each, by feature.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    values: Vec<u8>,
    /// Samples.
    pub(crate) len: usize,
    /// Features.
    pub(crate) width: usize,
}

impl Columns {
    /// Of the bytes of some samples, cut or zero-filled to `width`.
    pub(crate) fn of_bytes(rows: Rows<'_>, width: usize) -> Columns {
        let mut columns = Columns { values: vec![0; rows.len() * width], len: rows.len(), width };
        // In blocks, so that what is written stays near.
        for from in (0..width).step_by(64) {
            for (row, sample) in rows.samples().enumerate() {
                let values = sample.iter().enumerate().take(width.min(from + 64)).skip(from);
                for (at, &value) in values {
                    columns.values[at * columns.len + row] = value;
                }
            }
        }
        columns
    }

    /// Of rows that are `width` wide.
    pub(crate) fn of_table(table: &[u8], width: usize) -> Columns {
        let len = table.len() / width.max(1);
        let mut columns = Columns { values: vec![0; table.len()], len, width };
        for from in (0..width).step_by(64) {
            for (row, values) in table.chunks_exact(width).enumerate() {
                for (at, &value) in values.iter().enumerate().take(from + 64).skip(from) {
                    columns.values[at * len + row] = value;
                }
            }
        }
        columns
    }

    /// Values of one feature.
    pub(crate) fn column(&self, feature: usize) -> &[u8] {
        &self.values[feature * self.len..(feature + 1) * self.len]
    }
}
