//! Exports run by the tools that they are for; skipped with a line where one is not installed.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)] // tests

mod kaitai;
mod made;
mod suricata;
mod tshark;
