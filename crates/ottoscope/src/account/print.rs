//! A step's account on a terminal or in a pipe. Colours say nothing that words do not.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, presets};
use console::Style;
use ottoscope_infer::fields::Kind;

use super::{HexView, Step, Table, hex};
use crate::report::text::visible;

/// Writes the account.
pub(crate) fn step(out: &mut dyn Write, step: &Step, coloured: bool) -> io::Result<()> {
    let title = Style::new().bold().force_styling(coloured);
    writeln!(out, "{}", title.apply_to(&step.title))?;
    for words in &step.words {
        writeln!(out, "  {}", visible(words))?;
    }
    for table in &step.tables {
        writeln!(out)?;
        write_table(out, table)?;
    }
    for view in &step.views {
        writeln!(out)?;
        write_view(out, view, coloured)?;
    }
    writeln!(out)
}

fn write_table(out: &mut dyn Write, table: &Table) -> io::Result<()> {
    if !table.caption.is_empty() {
        writeln!(out, "  {}", table.caption)?;
    }
    let mut shown = comfy_table::Table::new();
    shown.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    shown.set_header(table.columns.iter().map(|name| visible(name)));
    for row in &table.rows {
        shown.add_row(row.iter().map(|cell| visible(cell)).collect::<Vec<_>>());
    }
    for line in shown.lines() {
        writeln!(out, "  {}", line.trim_end())?;
    }
    Ok(())
}

fn write_view(out: &mut dyn Write, view: &HexView, coloured: bool) -> io::Result<()> {
    if !view.caption.is_empty() {
        writeln!(out, "  {}", view.caption)?;
    }
    let note = view.rows.iter().map(|row| row.note.chars().count()).max().unwrap_or(0);
    let names: Vec<&str> = view.columns.iter().map(|c| c.kind.name()).collect();
    let wide: Vec<usize> = view
        .columns
        .iter()
        .zip(&names)
        .map(|(c, name)| (2 * c.span.len()).max(name.len().min(8)))
        .collect();
    let mut line = |cells: Vec<(String, Option<Kind>)>, lead: &str| -> io::Result<()> {
        write!(out, "  {lead:note$}")?;
        for ((text, kind), wide) in cells.into_iter().zip(&wide) {
            let gap = " ".repeat(wide.saturating_sub(text.chars().count()));
            let style = kind.map_or_else(Style::new, style).force_styling(coloured);
            write!(out, "  {}{gap}", style.apply_to(text))?;
        }
        writeln!(out)
    };
    line(view.columns.iter().map(|c| (c.span.start.to_string(), None)).collect(), "")?;
    let named = view.columns.iter().zip(&names);
    line(named.map(|(c, name)| (name.chars().take(8).collect(), Some(c.kind))).collect(), "")?;
    for row in &view.rows {
        let cells = view.columns.iter().map(|c| {
            let end = c.span.end.min(row.bytes.len());
            let bytes = row.bytes.get(c.span.start..end).unwrap_or(&[]);
            (hex(bytes), Some(c.kind))
        });
        line(cells.collect(), &row.note)?;
    }
    Ok(())
}

/// How a kind of field looks on a terminal.
fn style(kind: Kind) -> Style {
    let style = Style::new();
    match kind {
        Kind::Constant => style.white().dim(),
        Kind::Sequence => style.green(),
        Kind::RequestResponse => style.yellow(),
        Kind::Length { .. } => style.cyan(),
        Kind::Opcode => style.magenta().bold(),
        Kind::Transaction => style.blue(),
        Kind::Timestamp => style.green().dim(),
        Kind::Session | Kind::Address => style.blue().dim(),
        Kind::Flags | Kind::Count | Kind::Checksum => style.red(),
        _ => style,
    }
}
