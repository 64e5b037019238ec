//! Tables of the page.

use std::fmt::Write as _;

use ottoscope_analysis::grid::{Cell, Grid, Unit};

use super::number;
use super::text::{escape, heading, visible};

/// Most rows of a table on the page; all of them are among the results.
pub(crate) const ROWS: usize = 60;

/// A table with its caption. Numbers stand right, shares have a bar behind them, rows that sum
/// up others stand out, and a name that repeats the one above is dimmed.
pub(crate) fn element(grid: &Grid, caption: &str) -> String {
    let mut out = String::new();
    if !caption.is_empty() {
        let _ = write!(out, "<p class=\"cap\">{}</p>", escape(caption));
    }
    out.push_str("<div class=\"scroll\" tabindex=\"0\"><table>");
    out.push_str("<thead><tr>");
    for column in &grid.columns {
        let class = if column.unit == Unit::Text { "" } else { " class=\"n\"" };
        let _ = write!(out, "<th scope=\"col\"{class}>{}</th>", escape(&heading(&column.name)));
    }
    out.push_str("</tr></thead><tbody>");
    let group = grid.columns.iter().position(|c| c.unit == Unit::Text);
    let texts = grid.columns.iter().filter(|c| c.unit == Unit::Text).count();
    let mut above: Option<&str> = None;
    for row in grid.rows.iter().take(ROWS) {
        let total = row.iter().any(|cell| cell.text() == Some("total"));
        out.push_str(if total { "<tr class=\"total\">" } else { "<tr>" });
        let first = group.and_then(|i| row[i].text());
        let same = texts > 1 && first.is_some() && first == above;
        above = first;
        for (i, (cell, column)) in row.iter().zip(&grid.columns).enumerate() {
            element_cell(&mut out, cell, column.unit, same && Some(i) == group);
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
    if grid.rows.len() > ROWS {
        let _ = write!(
            out,
            "<p class=\"more\">The first {ROWS} of {} rows; the study's <code>results</code> folder has all.</p>",
            number::grouped(grid.rows.len() as i128)
        );
    }
    out
}

fn element_cell(out: &mut String, cell: &Cell, unit: Unit, same: bool) {
    let words = escape(&number::cell(cell, unit));
    let _ = match (unit, cell.number()) {
        (Unit::Text, _) if same => write!(out, "<td class=\"same\">{words}</td>"),
        (Unit::Text, _) => {
            let long = words.chars().count() > 48;
            write!(out, "<td{}>{words}</td>", if long { " class=\"long\"" } else { "" })
        }
        (Unit::Share, Some(x)) => {
            let width = (x.clamp(0.0, 1.0) * 100.0 * 10.0).round() / 10.0;
            write!(out, "<td class=\"n share\" style=\"--v:{width}%\" data-v=\"{x}\">{words}</td>")
        }
        (_, Some(x)) => write!(out, "<td class=\"n\" data-v=\"{x}\">{words}</td>"),
        (_, None) => write!(out, "<td class=\"n\">{words}</td>"),
    };
}

/// Two columns of words and values.
pub(crate) fn pairs(rows: &[(&str, String)]) -> String {
    let mut out = String::from("<dl class=\"pairs\">");
    for (name, value) in rows {
        let _ =
            write!(out, "<div><dt>{}</dt><dd>{}</dd></div>", escape(name), escape(&visible(value)));
    }
    out.push_str("</dl>");
    out
}
