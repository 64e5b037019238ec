//! Steps' accounts as one HTML page that stands alone: no script, nothing fetched.

use std::fmt::Write as _;

use super::{HexView, Step, Table, hex};
use crate::report::svg::{self, Room};
use crate::report::text::{escape, visible};

const STYLE: &str = include_str!("page.css");

/// The page.
pub(crate) fn page(kind: &str, title: &str, steps: &[Step]) -> String {
    let mut out = String::with_capacity(1 << 16);
    let title = escape(&visible(title));
    // Writing to a string cannot fail; so below.
    let _ = write!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><meta name=\"referrer\" content=\"no-referrer\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\
         <title>{title}</title><style>{}{}{}{STYLE}</style></head><body>\
         <header><p class=\"kind\">{kind}</p><h1>{title}</h1></header>\
         <nav aria-label=\"Contents\"><ul>",
        svg::THEME,
        svg::RULES,
        crate::report::STYLE,
    );
    for (number, step) in steps.iter().enumerate() {
        let _ = write!(out, "<li><a href=\"#s{number}\">{}</a></li>", escape(step.id));
    }
    out.push_str("</ul></nav><main>");
    for (number, step) in steps.iter().enumerate() {
        section(&mut out, number, step);
    }
    out.push_str("</main></body></html>\n");
    out
}

fn section(out: &mut String, number: usize, step: &Step) {
    let _ = write!(out, "<section id=\"s{number}\"><h2>{}</h2>", escape(&visible(&step.title)));
    for words in &step.words {
        let _ = write!(out, "<p class=\"said\">{}</p>", escape(&visible(words)));
    }
    for view in &step.views {
        packets(out, view);
    }
    for (index, figure) in step.figures.iter().filter(|f| !f.is_empty()).enumerate() {
        let id = format!("s{number}f{index}");
        let _ = write!(
            out,
            "<figure class=\"wide\"><h3>{}</h3><div class=\"room-page\">{}</div>\
             <div class=\"room-column\">{}</div><figcaption>{}</figcaption></figure>",
            escape(&visible(&figure.title)),
            svg::element(figure, &id, Room::Page),
            svg::element(figure, &format!("{id}c"), Room::Column),
            escape(&visible(&figure.caption)),
        );
    }
    for table in &step.tables {
        rows(out, table);
    }
    out.push_str("</section>");
}

fn rows(out: &mut String, table: &Table) {
    if !table.caption.is_empty() {
        let _ = write!(out, "<p class=\"cap\">{}</p>", escape(&visible(&table.caption)));
    }
    out.push_str("<div class=\"scroll\" tabindex=\"0\"><table><thead><tr>");
    for column in &table.columns {
        let _ = write!(out, "<th>{}</th>", escape(&visible(column)));
    }
    out.push_str("</tr></thead><tbody>");
    for row in &table.rows {
        out.push_str("<tr>");
        for cell in row {
            let class = if cell.chars().count() > 48 { " class=\"long\"" } else { "" };
            let _ = write!(out, "<td{class}>{}</td>", escape(&visible(cell)));
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
}

fn packets(out: &mut String, view: &HexView) {
    if !view.caption.is_empty() {
        let _ = write!(out, "<p class=\"cap\">{}</p>", escape(&visible(&view.caption)));
    }
    out.push_str("<div class=\"scroll\" tabindex=\"0\"><table class=\"hex\"><thead><tr><th></th>");
    for column in &view.columns {
        let _ = write!(
            out,
            "<th class=\"k-{0}\"><span>{1}</span>{0}</th>",
            column.kind.name(),
            column.span.start
        );
    }
    out.push_str("</tr></thead><tbody>");
    for row in &view.rows {
        let _ = write!(out, "<tr><td>{}</td>", escape(&visible(&row.note)));
        for column in &view.columns {
            let end = column.span.end.min(row.bytes.len());
            let bytes = row.bytes.get(column.span.start..end).unwrap_or(&[]);
            let _ = write!(out, "<td class=\"k-{}\">{}</td>", column.kind.name(), hex(bytes));
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
}
