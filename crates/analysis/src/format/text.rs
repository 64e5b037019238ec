//! Aligned columns for the eye.

use std::fmt::Write as _;
use std::io::Write;

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

use super::{arrow, output};
use crate::error::Error;

/// Narrowest that a column of text is cut to.
const NARROWEST: usize = 8;

pub(super) fn write(
    schema: &SchemaRef,
    batches: impl Iterator<Item = Result<RecordBatch, Error>>,
    width: Option<usize>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let head: Vec<String> = schema.fields().iter().map(|f| escape(f.name())).collect();
    let right: Vec<bool> = schema.fields().iter().map(|f| f.data_type().is_numeric()).collect();
    let mut rows: Vec<Vec<String>> = Vec::new();
    for batch in batches {
        collect(&batch?, &mut rows)?;
    }
    let mut widths: Vec<usize> = head.iter().map(|name| name.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    if let Some(width) = width {
        fit(&mut widths, &right, width);
    }
    let text = |out: &mut dyn Write| -> std::io::Result<()> {
        line(out, &head, &widths, &right)?;
        let rules: Vec<String> = widths.iter().map(|w| "─".repeat(*w)).collect();
        line(out, &rules, &widths, &right)?;
        rows.iter().try_for_each(|row| line(out, row, &widths, &right))?;
        out.flush()
    };
    text(out).map_err(output)
}

fn collect(batch: &RecordBatch, rows: &mut Vec<Vec<String>>) -> Result<(), Error> {
    let options = FormatOptions::default();
    let formatters = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options))
        .collect::<Result<Vec<_>, _>>()
        .map_err(arrow)?;
    for i in 0..batch.num_rows() {
        let cells = formatters.iter().zip(batch.columns()).map(|(formatter, column)| {
            if column.is_null(i) {
                return String::new();
            }
            let text = formatter.value(i).to_string();
            match text.parse() {
                Ok(number) if column.data_type().is_floating() => round(number),
                _ => escape(&text),
            }
        });
        rows.push(cells.collect());
    }
    Ok(())
}

/// A fraction to six significant digits, as far as an eye compares; other formats keep all.
fn round(number: f64) -> String {
    if number == 0.0 || !number.is_finite() {
        return number.to_string();
    }
    let places = (5 - number.abs().log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{number:.places$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Takes from the widest text columns until a line fits; numbers are never cut.
fn fit(widths: &mut [usize], right: &[bool], line: usize) {
    let gaps = widths.len().saturating_sub(1) * 2;
    while widths.iter().sum::<usize>() + gaps > line {
        let widest = (0..widths.len()).filter(|i| !right[*i]).max_by_key(|i| widths[*i]);
        match widest {
            Some(i) if widths[i] > NARROWEST => widths[i] -= 1,
            _ => return,
        }
    }
}

fn line(
    out: &mut dyn Write,
    cells: &[String],
    widths: &[usize],
    right: &[bool],
) -> std::io::Result<()> {
    let mut text = String::new();
    for (i, cell) in cells.iter().enumerate() {
        if i > 0 {
            text.push_str("  ");
        }
        let length = cell.chars().count();
        if length > widths[i] {
            text.extend(cell.chars().take(widths[i].saturating_sub(1)));
            text.push('…');
            continue;
        }
        let pad = widths[i] - length;
        if right[i] {
            text.extend(std::iter::repeat_n(' ', pad));
        }
        text.push_str(cell);
        if !right[i] && i + 1 < cells.len() {
            text.extend(std::iter::repeat_n(' ', pad));
        }
    }
    writeln!(out, "{text}")
}

/// Escapes what would steer a terminal or pass for another line: control characters and those
/// that reorder text.
fn escape(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(steers) {
        return text.to_owned();
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => safe.push_str("\\n"),
            '\t' => safe.push_str("\\t"),
            '\r' => safe.push_str("\\r"),
            c if steers(c) => {
                // Writing to a string cannot fail.
                let _ = write!(safe, "\\u{{{:x}}}", u32::from(c));
            }
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_steer_the_terminal() {
        assert_eq!(escape("a\u{1b}[2Jb\nc"), "a\\u{1b}[2Jb\\nc");
        assert_eq!(escape("mms.whatsapp.net"), "mms.whatsapp.net");
        assert_eq!(escape("\u{202e}gro"), "\\u{202e}gro");
    }

    #[test]
    fn fractions_are_short() {
        let check = |number: f64, expected: &str| assert_eq!(round(number), expected);
        check(0.3464566929133858, "0.346457");
        check(1.0, "1");
        check(39609.333333333336, "39609.3");
        check(1234567.8, "1234568");
        check(-0.000123456789, "-0.000123457");
        check(0.0, "0");
        check(f64::NAN, "NaN");
    }

    #[test]
    fn only_text_is_cut() {
        let mut widths = [40, 12];
        fit(&mut widths, &[false, true], 30);
        assert_eq!(widths, [16, 12]);
        let mut widths = [40, 40];
        fit(&mut widths, &[true, true], 30);
        assert_eq!(widths, [40, 40]);
    }
}
