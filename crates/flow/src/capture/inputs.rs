//! From what the user named to the files to read.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::CaptureError;

/// Where packets come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A capture, or a folder of captures.
    Path(PathBuf),
    /// Standard input.
    Stdin,
}

impl From<&Path> for Input {
    /// `-` is standard input.
    fn from(path: &Path) -> Self {
        if path == Path::new("-") { Input::Stdin } else { Input::Path(path.to_owned()) }
    }
}

/// Folders below one that is searched are followed this deep.
const MAX_FOLDERS: usize = 16;

/// A file to read, and whether the user named it: one that was only found in a folder is
/// passed over when it is no capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) input: Input,
    pub(super) found: bool,
}

/// The files behind `inputs`: each as it is named, folders by their files in order of name.
pub(super) fn expand(inputs: &[Input]) -> Result<Vec<Named>, CaptureError> {
    let mut files = Vec::new();
    for input in inputs {
        match input {
            Input::Path(path) if path.is_dir() => {
                folder(path, MAX_FOLDERS, &mut |path| {
                    files.push(Named { input: Input::Path(path), found: true });
                })?;
            }
            _ => files.push(Named { input: input.clone(), found: false }),
        }
    }
    Ok(files)
}

fn folder(path: &Path, depth: usize, each: &mut dyn FnMut(PathBuf)) -> Result<(), CaptureError> {
    let failed = |source| CaptureError::Open { path: path.to_owned(), source };
    let mut entries = fs::read_dir(path)
        .map_err(failed)?
        .map(|entry| entry.and_then(|entry| Ok((entry.path(), entry.file_type()?))))
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    for (path, kind) in entries {
        // Links to folders are not followed: they may lead back here. Links to files are.
        if kind.is_dir() {
            if depth > 0 {
                folder(&path, depth - 1, each)?;
            }
        } else if path.is_file() {
            each(path);
        }
    }
    Ok(())
}
