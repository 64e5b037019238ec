//! Files written whole or not at all.

use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;

use crate::LearnError;

/// Writes a file under a temporary name beside it and renames it, so that a reader sees all of
/// it or what was there before.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn write(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), LearnError> {
    let failed = |error| LearnError::Io { path: path.to_owned(), error };
    let name = path.file_name().ok_or_else(|| failed(ErrorKind::InvalidFilename.into()))?;
    let mut part = name.to_owned();
    part.push(".part");
    let part = path.with_file_name(part);
    let written = File::create(&part).and_then(|file| {
        let mut out = BufWriter::new(file);
        fill(&mut out)?;
        // On the disk before it has its name, or a loss of power leaves an empty file behind it.
        out.into_inner()?.sync_all()
    });
    written.and_then(|()| fs::rename(&part, path)).map_err(|error| {
        let _ = fs::remove_file(&part); // what is half written helps nobody
        failed(error)
    })
}
