//! Real captures for tests: in the folder that `OTTOSCOPE_CORPUS` names, or `shared` beside the
//! project. Where it is not there a test says so in one line and passes.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// A file or folder of the corpus. Where it is missing, a printed line tells how to have it.
#[allow(clippy::print_stdout)] // it speaks for a test
pub fn find(path: &str) -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let root = env::var_os("OTTOSCOPE_CORPUS").map_or(PathBuf::from(default), PathBuf::from);
    let found = root.join(path);
    if found.exists() {
        return Some(found);
    }
    println!("skipped: no {path}; set OTTOSCOPE_CORPUS to a folder that has it");
    None
}

/// All files below a folder but archives and tables, in order of their paths.
pub fn captures(folder: &Path) -> Vec<PathBuf> {
    fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_none_or(|e| e != "xz" && e != "tsv" && e != "txt") {
                out.push(path);
            }
        }
    }
    let mut files = Vec::new();
    walk(folder, &mut files);
    files.sort();
    files
}
