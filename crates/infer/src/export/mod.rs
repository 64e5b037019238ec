//! Layouts for other tools.
//!
//! A layout with names becomes a Wireshark dissector, a Zeek signature, a Spicy grammar,
//! Suricata rules or a Kaitai Struct file. What a tool cannot say (sequences that must rise,
//! messages that must match before a flow counts) is left to the reader in a comment, and never
//! half said.

mod kaitai;
mod names;
mod shape;
mod spicy;
mod suricata;
mod wireshark;
mod zeek;

use ottoscope_flow::Signature;
use ottoscope_flow::dissector::signature::{SignatureError, SignatureSet};
use shape::Shape;

/// A layout with what a reader of it wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The app, as people write it.
    pub app: String,
    /// Fields, ports, lengths.
    pub signature: Signature,
    /// Names of the fields in their order; fields without one are named after their kind.
    pub names: Vec<String>,
    /// Opcodes of requests, and the tasks they stand for.
    pub opcodes: Vec<(u64, String)>,
    /// What a reader should know; may have several lines.
    pub about: String,
    /// Where the layout comes from.
    pub source: String,
}

/// A tool's language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Dissector in Lua for Wireshark and tshark.
    Wireshark,
    /// Signature for Zeek.
    Zeek,
    /// Grammar for Spicy.
    Spicy,
    /// Rules for Suricata.
    Suricata,
    /// Kaitai Struct.
    Kaitai,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 5] =
        [Format::Wireshark, Format::Zeek, Format::Spicy, Format::Suricata, Format::Kaitai];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Wireshark => "wireshark",
            Format::Zeek => "zeek",
            Format::Spicy => "spicy",
            Format::Suricata => "suricata",
            Format::Kaitai => "kaitai",
        }
    }

    /// What its file names end in, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Wireshark => "lua",
            Format::Zeek => "sig",
            Format::Spicy => "spicy",
            Format::Suricata => "rules",
            Format::Kaitai => "ksy",
        }
    }
}

/// Why a layout can't be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// It can't be run here either.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Fields overlap or are out of order.
    #[error("the field at {0} overlaps the one before: order them by offset")]
    Overlap(usize),
}

/// Appends a layout to `out` in a tool's language. The same layout gives the same text.
///
/// # Errors
/// The layout can't be run: it has no fixed value, a field without length, fields that overlap.
pub fn write(layout: &Layout, format: Format, out: &mut String) -> Result<(), ExportError> {
    SignatureSet::new(vec![layout.signature.clone()])?;
    let shape = Shape::new(layout)?;
    match format {
        Format::Wireshark => wireshark::write(layout, &shape, out),
        Format::Zeek => zeek::write(layout, &shape, out),
        Format::Spicy => spicy::write(layout, &shape, out),
        Format::Suricata => suricata::write(layout, &shape, out),
        Format::Kaitai => kaitai::write(layout, &shape, out),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
