//! What bytes look like when nothing ties them to anything: text or noise.

use super::Kind;
use super::finding::{Finding, percent};
use super::table::{Column, Spread, Table};

/// Rows whose bytes are looked at, evenly over all: shares within a per cent.
const LOOKED: usize = 8192;

/// Fewest messages in which a single byte that is always a digit is a digit.
const DIGITS: usize = 20;
/// Smallest share of messages that agree.
const NEARLY_ALL: f64 = 0.98;

/// Looks for numbers written in digits, as texts do: read as binary they count or run with lengths
/// by accident. A binary number does not keep to digits for long.
pub(crate) fn digits(table: &Table<'_>, column: &Column, spread: &Spread) -> Option<Finding> {
    let (mut rows, mut told) = (0, 0);
    for head in heads(table, column) {
        let mut bytes = head[column.span.clone()].iter();
        rows += 1;
        told += usize::from(bytes.all(|byte| byte.is_ascii_digit() || b" .:-/\r\n".contains(byte)));
    }
    let share = told as f64 / rows.max(1) as f64;
    if spread.distinct < 3 || rows * column.width() < DIGITS || share < NEARLY_ALL {
        return None;
    }
    let evidence = format!(
        "digits in {:.1} % of {} messages, {} values",
        percent(told, rows),
        column.len(),
        spread.distinct
    );
    let bits = 4.0 * (rows * column.width()) as f64;
    Some(Finding::new(Kind::Text, bits, share, evidence))
}

/// Looks for printable text. Few words without anything else are a code.
pub(crate) fn text(table: &Table<'_>, column: &Column, spread: &Spread) -> Option<Finding> {
    let (mut rows, mut plain, mut words) = (0, 0, 0);
    let (mut bytes, mut printable, mut letters) = (0, 0, 0);
    for head in heads(table, column) {
        let head = &head[column.span.clone()];
        let body = head.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let good = head[..body].iter().filter(|byte| matches!(byte, 0x20..=0x7e)).count();
        rows += 1;
        bytes += body;
        printable += good;
        letters += head[..body].iter().filter(|byte| byte.is_ascii_alphabetic()).count();
        plain += usize::from(body >= 2 && good == body);
        words += usize::from(body >= 2 && head[..body].iter().all(u8::is_ascii_alphanumeric));
    }
    let letters_share = letters as f64 / bytes.max(1) as f64;
    if column.width() < 2
        || rows < 2
        || 2 * rows > bytes
        || letters_share < 0.4
        || 10 * printable < 6 * bytes
    {
        return None;
    }
    if 10 * words >= 9 * rows && spread.distinct <= 64 && 4 * spread.distinct <= spread.total {
        let evidence = format!("{} words in {} messages", spread.distinct, spread.total);
        let bits = (spread.total as f64 / spread.distinct as f64).log2() * 4.0;
        return Some(Finding::new(Kind::Opcode, bits, 0.9, evidence));
    }
    // A byte that counts the text often stands before it.
    let share = (plain as f64 / rows as f64).max(0.7 * printable as f64 / bytes as f64);
    let evidence = format!(
        "printable in {:.1} % of messages, {:.0} % of bytes are letters",
        percent(plain, rows),
        100.0 * letters_share
    );
    let bits = 1.4 * printable as f64;
    (share >= 0.5).then(|| Finding::new(Kind::Text, bits, share, evidence))
}

/// Looks for bytes without order: as many different values as there can be.
pub(crate) fn payload(table: &Table<'_>, column: &Column, spread: &Spread) -> Option<Finding> {
    let mut counts = [0usize; 256];
    let mut total = 0;
    for head in heads(table, column) {
        for byte in &head[column.span.clone()] {
            counts[usize::from(*byte)] += 1;
            total += 1;
        }
    }
    let used = counts.iter().filter(|count| **count > 0);
    let entropy: f64 = used
        .map(|count| {
            let share = *count as f64 / total as f64;
            -share * share.log2()
        })
        .sum();
    let most = (total.max(2) as f64).log2().min(8.0);
    let noise = entropy / most;
    if total < 16 || noise < 0.85 || spread.entropy < 0.8 || column.width() < 4 {
        return None;
    }
    let evidence = format!(
        "{} values in {} messages, entropy of bytes {:.2} of {most:.1} bits",
        spread.distinct, spread.total, entropy
    );
    Some(Finding::new(Kind::Payload, (total as f64).log2(), noise * 0.7, evidence))
}

fn heads<'a>(table: &'a Table<'_>, column: &'a Column) -> impl Iterator<Item = &'a [u8]> {
    let step = column.len().div_ceil(LOOKED).max(1);
    column.rows.iter().step_by(step).map(|row| table.head(*row as usize))
}
