//! Why a catalogue could not be loaded: file, line, what is wrong and what to do.

use std::path::PathBuf;

use thiserror::Error;

/// A catalogue that could not be loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// The file could not be read from disk.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is not TOML, or has a key or a type that the catalogue does not know.
    #[error("{file}: {message}")]
    Toml {
        /// The file.
        file: String,
        /// Line, column, the text at fault and what was expected.
        message: String,
    },
    /// It is TOML, but an entry makes no sense.
    #[error("{file}:{line}: [[{table}]] {message}")]
    Entry {
        /// The file.
        file: String,
        /// Line of the entry, 1 being the first.
        line: usize,
        /// The kind of entry.
        table: &'static str,
        /// What is wrong and how to mend it.
        message: String,
    },
}
