//! What can go wrong with a study on disk. Traffic is never among it.

use std::io;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;

/// A study, table or file that could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried: `read`, `write`, `create`, `rename` ...
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A part is not Parquet, is damaged, or has other columns than its table.
    #[error("cannot read part `{}`: {reason}", path.display())]
    Part {
        /// The part.
        path: PathBuf,
        /// What the Parquet reader says.
        reason: String,
    },
    /// Rows could not be encoded; a bug, not a property of traffic.
    #[error("cannot encode rows for `{}`: {reason}", path.display())]
    Encode {
        /// The part being written.
        path: PathBuf,
        /// What the Parquet writer says.
        reason: String,
    },
    /// A thread of the label pass died, which is a bug.
    #[error("a worker stopped unexpectedly")]
    Worker,
    /// There is no `study.toml`.
    #[error("`{}` is not a study: it has no study.toml", .0.display())]
    NotAStudy(PathBuf),
    /// A study is there already.
    #[error("`{}` is a study already", .0.display())]
    Exists(PathBuf),
    /// The folder for a new study holds other things.
    #[error("`{}` exists and is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// `study.toml` or an override could not be understood.
    #[error("{}: {message}", path.display())]
    Config {
        /// The file, or the words `command line`.
        path: PathBuf,
        /// What is wrong, with line and column where known.
        message: String,
    },
    /// The study or part was written by a newer version.
    #[error("`{}` has schema version {found}, this program knows up to {known}", path.display())]
    Newer {
        /// The study's file or the part.
        path: PathBuf,
        /// Version found.
        found: u32,
        /// Highest version known.
        known: u32,
    },
    /// Another run works in the study.
    #[error("another run is using the study `{}`", .0.display())]
    Locked(PathBuf),
    /// The secret is not what this program writes.
    #[error("`{}` is not a study secret (64 hexadecimal digits)", .0.display())]
    Secret(PathBuf),
    /// The operating system gives no random bytes for the secret.
    #[error("no random bytes for the study's secret: {0}")]
    Random(String),
}

impl StoreError {
    /// What the user can do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            StoreError::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(
                    "free some space; parts already written stay valid, the unfinished one was \
                     removed",
                ),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    Some("check who owns the study folder and whether it is writable")
                }
                io::ErrorKind::NotFound => Some("check the path"),
                _ => None,
            },
            StoreError::Part { .. } => {
                Some("`study check` names every unreadable part; delete them and ingest again")
            }
            StoreError::Encode { .. } | StoreError::Worker => {
                Some("this is a bug, please report it")
            }
            StoreError::NotAStudy(_) => Some("make one with `study new` or `run CAPTURE -o STUDY`"),
            StoreError::Exists(_) => {
                Some("leave out `study new`: `run` and `ingest` add to a study that exists")
            }
            StoreError::NotEmpty(_) => Some("choose a new folder"),
            StoreError::Config { .. } => {
                Some("docs/reference/study.md lists every key with its default")
            }
            StoreError::Newer { .. } => {
                Some("use the program version that wrote it, or a newer one")
            }
            StoreError::Locked(_) => {
                Some("wait until it has ended; the lock goes with the process that holds it")
            }
            StoreError::Secret(_) => {
                Some("restore the file: without it pseudonyms and flow ids cannot be continued")
            }
            StoreError::Random(_) => None,
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| StoreError::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn part(path: &Path) -> impl Fn(ParquetError) -> Self {
        move |error| match into_io(error) {
            Ok(source) => StoreError::Io { action: "read", path: path.to_owned(), source },
            Err(error) => StoreError::Part { path: path.to_owned(), reason: error.to_string() },
        }
    }

    pub(crate) fn encode(path: &Path) -> impl Fn(ParquetError) -> Self {
        move |error| match into_io(error) {
            Ok(source) => StoreError::Io { action: "write", path: path.to_owned(), source },
            Err(error) => StoreError::Encode { path: path.to_owned(), reason: error.to_string() },
        }
    }
}

/// The operating system's error inside Parquet's, if that is what it is.
fn into_io(error: ParquetError) -> std::result::Result<io::Error, ParquetError> {
    match error {
        ParquetError::External(inner) => {
            inner.downcast::<io::Error>().map(|e| *e).map_err(ParquetError::External)
        }
        other => Err(other),
    }
}

/// What this crate's functions return.
pub type Result<T> = std::result::Result<T, StoreError>;
