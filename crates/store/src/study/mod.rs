//! A study: a folder with assumptions, tables and a secret.

mod config;
mod lock;
mod units;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub use config::{
    About, CatalogUse, FlowRules, Input, KEYS, Keep, KeyInfo, Memory, STUDY_VERSION, Shares,
    StudyConfig, Tables, Vantage, Windows, reference,
};
pub use lock::StudyLock;
pub use units::{ClientPrefix, Period, Size, UnitError};

use crate::error::{Result, StoreError};
use crate::layout::{PartNames, TABLES};
use crate::pseudonym::Pseudonyms;
use crate::secret::Secret;
use crate::table::Table;
use crate::writer::{TableWriter, WriteOptions};

/// Name of the file that makes a folder a study.
pub const STUDY_FILE: &str = "study.toml";

/// What may lie in a folder before it becomes a study: what a study reads.
const MAY_PRECEDE: &[&str] = &["captures", "catalog"];

/// A study that can be read; [`Study::lock`] it to write.
#[derive(Debug, Clone)]
pub struct Study {
    root: PathBuf,
    config: StudyConfig,
    /// Who share its memory, see [`Study::share_out`].
    workers: usize,
}

impl Study {
    /// Makes a study at `root`, which must not exist, be empty, or hold only captures and
    /// catalogues. `overrides` are `("section.key", "value")`, see [`StudyConfig::with`].
    pub fn create(root: &Path, overrides: &[(&str, &str)]) -> Result<Self> {
        let mut config = StudyConfig::default();
        if let Some(name) = root.file_name() {
            config.study.name = name.to_string_lossy().into_owned();
        }
        let config = config.with(overrides)?;
        let file = root.join(STUDY_FILE);
        if file.exists() {
            return Err(StoreError::Exists(root.to_owned()));
        }
        fs::create_dir_all(root).map_err(StoreError::io("create folder", root))?;
        for entry in fs::read_dir(root).map_err(StoreError::io("read", root))? {
            let entry = entry.map_err(StoreError::io("read", root))?;
            if !MAY_PRECEDE.iter().any(|name| entry.file_name() == *name) {
                return Err(StoreError::NotEmpty(root.to_owned()));
            }
        }
        write_whole(&file, config.to_toml().as_bytes())?;
        Ok(Study { root: root.to_owned(), config, workers: 1 })
    }

    /// Opens the study at `root`.
    pub fn open(root: &Path) -> Result<Self> {
        let file = root.join(STUDY_FILE);
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(e)
                if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
            {
                return Err(StoreError::NotAStudy(root.to_owned()));
            }
            Err(e) => return Err(StoreError::io("read", &file)(e)),
        };
        let config = StudyConfig::parse(&text, &file)?;
        Ok(Study { root: root.to_owned(), config, workers: 1 })
    }

    /// Opens the study at `root`, or makes one. An override that contradicts a study that is
    /// there already is an error: its tables were made under other assumptions.
    pub fn open_or_create(root: &Path, overrides: &[(&str, &str)]) -> Result<Self> {
        let study = match Study::open(root) {
            Err(StoreError::NotAStudy(_)) => return Study::create(root, overrides),
            other => other?,
        };
        for pair @ (name, value) in overrides {
            if study.config.with(&[*pair])? != study.config {
                let message = format!(
                    "the study has another `{name}` than the command line's `{value}`; edit the \
                     file or start a new study"
                );
                return Err(StoreError::Config { path: root.join(STUDY_FILE), message });
            }
        }
        Ok(study)
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What `study.toml` says.
    pub fn config(&self) -> &StudyConfig {
        &self.config
    }

    /// The folder of a table, which may not exist yet.
    pub fn table(&self, name: &str) -> PathBuf {
        self.root.join(TABLES).join(name)
    }

    /// A writer of one table. The caller holds the study's lock.
    pub fn writer<T: Table>(&self, names: PartNames) -> TableWriter<T> {
        TableWriter::new(&self.table(T::INFO.name), names, self.write_options())
    }

    /// Takes the study for one run; a second run gets [`StoreError::Locked`]. What an
    /// interrupted run left unfinished is removed.
    pub fn lock(&self) -> Result<StudyLock> {
        StudyLock::take(self)
    }

    /// Drops tables, results and report, so that the study can be filled anew. `study.toml`,
    /// the secret, accepted signatures and the records of runs stay.
    pub fn clear(&self, _lock: &StudyLock) -> Result<()> {
        for folder in [TABLES, "results", "report"] {
            let path = self.root.join(folder);
            match fs::remove_dir_all(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(StoreError::io("remove", &path)(e));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The study's secret, made on first use, and a warning where others can read it.
    pub fn secret(&self) -> Result<(Secret, Option<String>)> {
        Secret::load_or_create(&self.root)
    }

    /// Pseudonyms as the study wants them.
    pub fn pseudonyms(&self, secret: &Secret) -> Pseudonyms {
        let clients = self.config.input.clients.iter().map(|c| c.prefix).collect();
        Pseudonyms::new(secret, self.config.keep.client_addresses, clients)
    }

    /// The flow engine's parameters, with the key of flow ids.
    pub fn engine(&self, secret: &Secret) -> ottoscope_flow::Config {
        ottoscope_flow::Config { flow_key: secret.flow_key(), ..self.config.engine(self.workers) }
    }

    /// How one worker writes tables.
    pub fn write_options(&self) -> WriteOptions {
        self.config.write_options(self.workers)
    }

    /// What one worker may take of the memory that the study allows.
    pub fn shares(&self) -> Shares {
        self.config.shares(self.workers)
    }

    /// How many workers share its memory.
    pub(crate) fn workers(&self) -> usize {
        self.workers
    }

    /// Shares memory out between as many workers as it is enough for, but at most so many.
    pub fn share_out_up_to(&mut self, workers: usize) {
        let total = self.config.memory.total.0;
        let enough = |workers: &usize| total == 0 || total >= least_memory(*workers);
        self.workers = (1..=workers).rev().find(enough).unwrap_or(1);
    }

    /// Shares memory out between so many workers; `memory` stands for `memory.total` in what
    /// this program does from now on, without being written to `study.toml`.
    ///
    /// # Errors
    /// [`StoreError::Config`] where that is too little to work with.
    pub fn share_out(&mut self, workers: usize, memory: Option<u64>) -> Result<()> {
        self.workers = workers.max(1);
        let (path, total) = match memory {
            Some(bytes) => (PathBuf::from("--memory"), bytes),
            None => (self.root.join(STUDY_FILE), self.config.memory.total.0),
        };
        let unlimited = memory.is_none() && total == 0;
        if !unlimited && total < least_memory(self.workers) {
            let least = Size(least_memory(self.workers));
            let message = format!(
                "too little memory: {} workers need {least} (fewer need less)",
                self.workers
            );
            return Err(StoreError::Config { path, message });
        }
        self.config.memory.total = Size(total);
        Ok(())
    }
}

/// Bytes of memory that so many workers need.
pub fn least_memory(workers: usize) -> u64 {
    (128 + 32 * workers.max(1) as u64) << 20
}

/// Writes a small file whole or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".tmp");
    let unfinished = PathBuf::from(unfinished);
    let write = || {
        let mut file = fs::File::create(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    write().map_err(|e| {
        let _ = fs::remove_file(&unfinished);
        StoreError::io("write", path)(e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_study_is_made_once_and_opened_often() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("city-3g");
        assert!(matches!(Study::open(&root), Err(StoreError::NotAStudy(_))));
        let overrides = [("keep.client-addresses", "keep")];
        let study = Study::create(&root, &overrides).unwrap();
        assert_eq!(study.config().study.name, "city-3g");
        assert!(matches!(Study::create(&root, &[]), Err(StoreError::Exists(_))));
        assert_eq!(Study::open(&root).unwrap().config(), study.config());
        assert_eq!(Study::open_or_create(&root, &overrides).unwrap().config(), study.config());
        let error = Study::open_or_create(&root, &[("keep.client-addresses", "hash")]).unwrap_err();
        assert!(error.to_string().contains("keep.client-addresses"), "{error}");
        assert!(error.hint().is_some());
    }

    #[test]
    fn only_captures_and_catalogues_may_precede_a_study() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("captures")).unwrap();
        Study::create(dir.path(), &[]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.tex"), "").unwrap();
        assert!(matches!(Study::create(dir.path(), &[]), Err(StoreError::NotEmpty(_))));
        assert!(!dir.path().join(STUDY_FILE).exists());
    }

    #[test]
    fn memory_is_shared_between_as_many_as_it_is_enough_for() {
        let dir = tempfile::tempdir().unwrap();
        for (total, expected) in [("0", 8), ("200MiB", 2), ("1GiB", 8), ("1MiB", 1)] {
            let root = dir.path().join(total);
            let mut study = Study::create(&root, &[("memory.total", total)]).unwrap();
            study.share_out_up_to(8);
            assert_eq!(study.workers(), expected, "{total}");
        }
    }

    #[test]
    fn a_file_is_not_a_study() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(Study::open(file.path()), Err(StoreError::NotAStudy(_))));
    }

    #[test]
    fn a_broken_study_names_file_and_line() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(STUDY_FILE), "[study]\nname = \n").unwrap();
        let error = Study::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("study.toml") && error.contains("line 2"), "{error}");
    }
}
