//! Opcodes found in an app's own code.
//!
//! An app that asks a URL over HTTP on one platform and sends an opcode on another often names
//! both in one place (ChatDissect, III-A4). Each known URL is looked for in a decompiled source
//! tree or in the app's package itself, and the integer constants near it are its candidates:
//! nearest in the same statement, then in the same method, then in the same class, where a
//! number that is all that a method returns weighs most. A number that is as near to many URLs,
//! or that stands in many classes, tells little.
//!
//! Nothing is opened here: texts and bytes come from whoever reads files. What cannot be read is
//! kept as a [`Fault`], and memory and work are bounded on any input.

mod clike;
mod code;
mod dex;
mod package;
mod rank;
mod registers;
mod smali;
mod unit;
mod urls;
mod xml;

use std::collections::BTreeSet;

pub use rank::{Candidate, Evidence, Finding, Tie};

use unit::Corpus;
use urls::Urls;

/// Faults kept.
const MOST_FAULTS: usize = 1000;

/// What is known of the app before its code is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// URLs or their paths, as seen in HTTP requests.
    pub urls: Vec<String>,
    /// Opcodes seen in traffic; where there are any, others weigh a sixteenth of them.
    pub opcodes: BTreeSet<u64>,
    /// What responses add to a request's opcode, 0 where nothing: a class that holds the sum too
    /// weighs twice.
    pub response_offset: u64,
    /// Largest number that fits the opcode's field.
    pub largest: u64,
}

impl Default for Known {
    fn default() -> Self {
        let largest = u64::from(u32::MAX);
        Known { urls: Vec::new(), opcodes: BTreeSet::new(), response_offset: 0, largest }
    }
}

/// A file that could not be read, or not to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What the code says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Findings {
    /// Each URL asked for, in the order asked.
    pub urls: Vec<Finding>,
    /// Files read, those of a package counted one by one.
    pub files: usize,
    /// Files of no known language.
    pub skipped: usize,
    /// Classes (or files without classes) looked at.
    pub classes: usize,
    /// What could not be read, the first thousand.
    pub faults: Vec<Fault>,
}

impl Findings {
    /// Whether no URL has a candidate.
    pub fn is_empty(&self) -> bool {
        self.urls.iter().all(|url| url.candidates.is_empty())
    }

    /// What came out, in one sentence.
    pub fn summary(&self) -> String {
        let found = self.urls.iter().filter(|url| url.places > 0).count();
        let named = self.urls.iter().filter(|url| !url.candidates.is_empty()).count();
        format!(
            "{found} of {} URLs occur in {} classes of {} files, {named} of them with numbers \
             nearby; {} files are in no known language, {} could not be read in full",
            self.urls.len(),
            self.classes,
            self.files,
            self.skipped,
            self.faults.len()
        )
    }
}

/// A search under way: files go in one by one.
#[derive(Debug)]
pub struct Search {
    known: Known,
    urls: Urls,
    corpus: Corpus,
    found: Findings,
}

impl Search {
    /// Nothing read yet.
    pub fn new(known: Known) -> Self {
        let urls = Urls::new(&known.urls);
        Search { known, urls, corpus: Corpus::default(), found: Findings::default() }
    }

    /// Reads a source file; its extension tells the language. False where that is none known.
    pub fn text(&mut self, path: &str, text: &str) -> bool {
        let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
        let extension = extension.to_ascii_lowercase();
        match extension.as_str() {
            "smali" => smali::read(path, text, &self.urls, &mut self.corpus),
            "xml" | "plist" | "html" => xml::read(path, text, &self.urls, &mut self.corpus),
            other => {
                let Some(language) = clike::Language::of(other) else {
                    self.found.skipped += 1;
                    return false;
                };
                clike::read(path, text, language, &self.urls, &mut self.corpus);
            }
        }
        self.found.files += 1;
        true
    }

    /// Reads an app's package (a zip archive with `classes*.dex`) or one dex file. Scripts and
    /// texts within are read too.
    pub fn package(&mut self, path: &str, bytes: &[u8]) {
        if bytes.starts_with(b"dex\n") {
            self.dex(path, bytes);
        } else {
            package::read(path, bytes, self);
        }
    }

    fn dex(&mut self, path: &str, bytes: &[u8]) {
        self.found.files += 1;
        if let Err(reason) = dex::read(path, bytes, &self.urls, &mut self.corpus) {
            self.fault(path, reason);
        }
    }

    fn fault(&mut self, path: &str, reason: impl Into<String>) {
        if self.found.faults.len() < MOST_FAULTS {
            self.found.faults.push(Fault { path: path.to_owned(), reason: reason.into() });
        }
    }

    /// Ranks what was found.
    pub fn finish(mut self) -> Findings {
        if self.corpus.is_full() {
            self.fault("", "more code lies near URLs than is kept; what came last is left out");
        }
        self.found.classes = self.corpus.units();
        self.found.urls = rank::rank(&self.known, self.corpus);
        self.found
    }
}

#[cfg(test)]
mod tests;
