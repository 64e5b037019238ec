//! Takes numbers about few users out of an answer.
//!
//! Rows that count fewer than k users lose all their numbers. Where that leaves one row of a
//! group alone, its numbers could be had back from the group's total, so the next smallest row
//! loses its own as well. Tables that count no users lose all rows, since nobody can say how
//! few stand behind them.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::compute::{cast, concat_batches, nullif};
use datafusion::arrow::datatypes::{DataType, Field, Schema, UInt64Type};
use datafusion::arrow::error::ArrowError;

use crate::answer::NamedTable;
use crate::session::Rows;

/// The name of rows that sum up the others.
const TOTAL: &str = "total";

/// Suppresses what counts fewer than `k` users. Returns how many rows lost their numbers.
pub(crate) fn table(table: &mut NamedTable, k: u64) -> Result<usize, ArrowError> {
    let rows = concat_batches(&table.rows.schema, &table.rows.batches)?;
    let users: Vec<ArrayRef> = rows
        .schema()
        .fields()
        .iter()
        .zip(rows.columns())
        .filter(|(field, _)| field.name() == "users" || field.name().ends_with("_users"))
        .map(|(_, column)| cast(column, &DataType::UInt64))
        .collect::<Result<_, _>>()?;
    if users.is_empty() {
        let lost = rows.num_rows();
        table.rows.batches.clear();
        return Ok(lost);
    }
    let fewest: Vec<u64> = (0..rows.num_rows()).map(|i| least(&users, i)).collect();
    let (group, total) = groups(&rows);
    let mut lost: Vec<bool> = fewest.iter().map(|n| *n < k).collect();
    for name in group.iter().collect::<std::collections::BTreeSet<_>>() {
        let members: Vec<usize> =
            (0..lost.len()).filter(|i| group[*i] == *name && !total[*i]).collect();
        let next = members.iter().copied().filter(|i| !lost[*i]).min_by_key(|i| fewest[*i]);
        if let (1, Some(next)) = (members.iter().filter(|i| lost[**i]).count(), next) {
            lost[next] = true;
        }
    }
    table.rows = blank(&rows, &BooleanArray::from(lost.clone()))?;
    Ok(lost.into_iter().filter(|lost| *lost).count())
}

/// The smallest count of users in a row; a count of none is no count.
fn least(users: &[ArrayRef], row: usize) -> u64 {
    let counts = users.iter().map(|column| column.as_primitive::<UInt64Type>());
    counts
        .filter(|c| c.is_valid(row))
        .map(|c| c.value(row))
        .filter(|n| *n > 0)
        .min()
        .unwrap_or(u64::MAX)
}

/// What each row is summed up with, and whether it is a sum itself: the first text column names
/// the group where there are several, and a total says so in its last.
fn groups(rows: &RecordBatch) -> (Vec<String>, Vec<bool>) {
    let texts: Vec<&ArrayRef> =
        rows.columns().iter().filter(|c| c.data_type() == &DataType::Utf8).collect();
    let value = |column: &ArrayRef, i: usize| {
        let column = column.as_string::<i32>();
        if column.is_valid(i) { column.value(i).to_owned() } else { String::new() }
    };
    (0..rows.num_rows())
        .map(|i| {
            let group = if texts.len() > 1 { value(texts[0], i) } else { String::new() };
            (group, texts.iter().any(|column| value(column, i) == TOTAL))
        })
        .unzip()
}

fn blank(rows: &RecordBatch, lost: &BooleanArray) -> Result<Rows, ArrowError> {
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        let number = column.data_type().is_numeric();
        columns.push(if number { nullif(column, lost)? } else { Arc::clone(column) });
        let field = Field::clone(field);
        fields.push(if number { field.with_nullable(true) } else { field });
    }
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    Ok(Rows { schema, batches: vec![batch] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyses::columns::Columns;
    use crate::grid::Cell;

    fn check(rows: &[(&str, &str, u64)], k: u64, expected: &[bool]) {
        let mut table = NamedTable {
            name: "t".to_owned(),
            title: String::new(),
            denominator: String::new(),
            rows: Columns::new()
                .text("app", rows.iter().map(|r| Some(r.0.to_owned())))
                .text("service", rows.iter().map(|r| Some(r.1.to_owned())))
                .count("users", rows.iter().map(|r| Some(r.2)))
                .rows()
                .unwrap(),
        };
        super::table(&mut table, k).unwrap();
        let lost: Vec<bool> = table.grid().rows.iter().map(|r| r[2] == Cell::Null).collect();
        assert_eq!(lost, expected, "{rows:?}");
    }

    #[test]
    fn few_users_lose_their_numbers() {
        check(&[("a", "x", 3), ("a", "y", 2), ("a", "z", 20)], 10, &[true, true, false]);
        check(&[("a", "x", 12), ("a", "y", 20)], 10, &[false, false]);
    }

    #[test]
    fn one_row_cannot_be_had_back_from_the_total() {
        let rows =
            [("a", "x", 3), ("a", "y", 30), ("a", "z", 20), ("a", "total", 40), ("b", "x", 11)];
        check(&rows, 10, &[true, false, true, false, false]);
    }
}
