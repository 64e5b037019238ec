//! The architecture and the house rules as a check: what the compiler and clippy can't see.
//!
//! Each rule is a function from a path and its text to findings, so that its tests need no
//! repository. A finding says what to do, not only what is wrong.

mod edges;
mod files;
mod licences;
mod links;
mod rust;
mod sources;

use std::fmt;
use std::fs;

use crate::map;
use crate::shell::{Result, command, is, output, root};

pub(crate) use edges::{CRATES, DOORS};

/// One thing to mend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// Path from the root.
    pub(crate) path: String,
    /// Line from 1; 0 where the whole file is meant.
    pub(crate) line: usize,
    /// What is wrong, and after the dash what to do.
    pub(crate) what: String,
}

impl Finding {
    pub(crate) fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Finding { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// Checks the whole repository; an error when there is any finding.
pub(crate) fn run() -> Result {
    let mut findings = Vec::new();
    for path in tracked()? {
        let Ok(bytes) = fs::read(root().join(&path)) else { continue }; // deleted, not yet staged
        files::check(&path, &bytes, &mut findings);
        if let Ok(text) = std::str::from_utf8(&bytes) {
            files::check_text(&path, text, &mut findings);
            if is(&path, "md") {
                links::check(&path, text, |p| root().join(p).exists(), &mut findings);
            }
            if is(&path, "rs") {
                sources::check(&path, text, &mut findings);
            }
        }
    }
    edges::run(&mut findings)?;
    licences::run(&mut findings)?;
    map::check(&mut findings)?;
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        n => Err(format!("{n} findings").into()),
    }
}

/// Every file that is, or would be, committed.
pub(crate) fn tracked() -> Result<Vec<String>> {
    let args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let list = output(&mut command("git", &args))?;
    Ok(list.split('\0').filter(|p| !p.is_empty()).map(str::to_owned).collect())
}
