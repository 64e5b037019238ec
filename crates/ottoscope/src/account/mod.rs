//! What a step of long work found, told in words, tables, coloured packets and figures: one
//! account that is printed, made a page of, or written as JSON.

pub(crate) mod page;
pub(crate) mod print;

use std::borrow::Cow;
use std::ops::Range;

use ottoscope_analysis::figure::Figure;
use ottoscope_infer::fields::Kind;
use serde_json::{Value as Json, json};

use crate::report::number;

/// One step's account.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// The step's verb: `segment`.
    pub(crate) id: &'static str,
    pub(crate) title: String,
    /// Sentences without full stops at their end.
    pub(crate) words: Vec<String>,
    pub(crate) tables: Vec<Table>,
    pub(crate) views: Vec<HexView>,
    pub(crate) figures: Vec<Figure>,
}

/// A table of words.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) caption: String,
    pub(crate) columns: Vec<Cow<'static, str>>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// Names of columns.
pub(crate) fn heads<const N: usize>(names: [&'static str; N]) -> Vec<Cow<'static, str>> {
    names.map(Cow::Borrowed).into()
}

/// Packets in hex, one below the other, coloured by field.
#[derive(Debug, Default)]
pub(crate) struct HexView {
    pub(crate) caption: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<HexRow>,
}

/// One field of a view.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) span: Range<usize>,
    pub(crate) kind: Kind,
}

/// One packet of a view.
#[derive(Debug)]
pub(crate) struct HexRow {
    /// `up 340`: direction and length.
    pub(crate) note: String,
    pub(crate) bytes: Vec<u8>,
}

impl Step {
    pub(crate) fn new(id: &'static str, title: impl Into<String>) -> Self {
        Step { id, title: title.into(), ..Step::default() }
    }

    /// Adds a sentence.
    pub(crate) fn say(&mut self, words: impl Into<String>) {
        self.words.push(words.into());
    }

    /// For programs: what the page and the terminal show, without colours and drawings.
    pub(crate) fn to_json(&self) -> Json {
        let tables: Vec<Json> = self
            .tables
            .iter()
            .map(|table| {
                let rows: Vec<Json> = table
                    .rows
                    .iter()
                    .map(|row| {
                        let cells = table.columns.iter().zip(row);
                        cells
                            .map(|(c, v)| (c.clone().into_owned(), json!(v)))
                            .collect::<serde_json::Map<_, _>>()
                            .into()
                    })
                    .collect();
                json!({ "caption": table.caption, "rows": rows })
            })
            .collect();
        let views: Vec<Json> = self
            .views
            .iter()
            .map(|view| {
                let fields: Vec<Json> = view
                    .columns
                    .iter()
                    .map(|c| json!({ "at": c.span.start, "len": c.span.len(), "kind": c.kind.name() }))
                    .collect();
                let rows: Vec<Json> =
                    view.rows.iter().map(|r| json!({ "note": r.note, "hex": hex(&r.bytes) })).collect();
                json!({ "caption": view.caption, "fields": fields, "packets": rows })
            })
            .collect();
        json!({
            "step": self.id,
            "title": self.title,
            "words": self.words,
            "tables": tables,
            "packets": views,
            "figures": self.figures,
        })
    }
}

/// Bytes as hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A number with its digits in groups.
pub(crate) fn count(n: u64) -> String {
    number::grouped(n.into())
}
