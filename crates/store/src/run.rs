//! What was done to a study: one JSON file a run in `runs/`, never changed once the run has
//! ended. The caller says what time it is.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use ottoscope_flow::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Result, StoreError};
use crate::layout::{PartNames, compact_utc, file_word};
use crate::secret::hex;
use crate::study::{STUDY_FILE, Study, StudyLock, write_whole};
use crate::tables;
use crate::writer::Written;

const RUNS: &str = "runs";
/// Bytes hashed at each end of an input.
const ENDS: u64 = 1 << 20;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It has not: it is running, or its process was killed.
    Running,
    /// All was done.
    Done,
    /// The user ended it; what was read is in the tables.
    Interrupted,
    /// It failed, with this message; parts written before stay.
    Failed(String),
}

/// A file that a run read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRecord {
    /// Path as given.
    pub path: String,
    /// Bytes; 0 for what is no file.
    pub size: u64,
    /// Time of last change, seconds since the epoch, where the file system tells.
    pub modified: Option<u64>,
    /// SHA-256 of size, first and last MiB, hexadecimal; missing for what is no file.
    pub digest: Option<String>,
}

impl InputRecord {
    /// Looks at a file. Interfaces, pipes and `-` have a path only.
    pub fn of(path: &Path) -> Result<Self> {
        let mut record = InputRecord {
            path: path.to_string_lossy().into_owned(),
            size: 0,
            modified: None,
            digest: None,
        };
        let Ok(metadata) = fs::metadata(path) else { return Ok(record) };
        if !metadata.is_file() {
            return Ok(record);
        }
        record.size = metadata.len();
        record.modified = metadata
            .modified()
            .ok()
            .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok())
            .map(|since| since.as_secs());
        record.digest =
            Some(digest_of_ends(path, record.size).map_err(StoreError::io("read", path))?);
        Ok(record)
    }
}

fn digest_of_ends(path: &Path, size: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    hash.update(size.to_le_bytes());
    let mut bytes = Vec::new();
    file.by_ref().take(ENDS).read_to_end(&mut bytes)?;
    if size > ENDS {
        file.seek(SeekFrom::Start((size - ENDS).max(ENDS)))?;
        file.take(ENDS).read_to_end(&mut bytes)?;
    }
    hash.update(&bytes);
    Ok(hex(&hash.finalize()))
}

/// What was written to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TableRecord {
    /// Rows.
    pub rows: u64,
    /// Parts.
    pub parts: u64,
    /// See [`Written::misfiled`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub misfiled: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks so
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// One run, as its file tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The run's id, part of the names of its parts.
    pub run: String,
    /// What was done: `ingest`, `label` ...
    pub verb: String,
    /// Machine.
    pub host: String,
    /// Version of the program.
    pub version: String,
    /// Command line.
    pub arguments: Vec<String>,
    /// When it began, RFC 3339.
    pub started: String,
    /// How long it took.
    pub seconds: Option<f64>,
    /// How it ended.
    pub outcome: Outcome,
    /// SHA-256 of `study.toml`.
    pub study: String,
    /// Digest of the catalogue, where one was used.
    pub catalogue: Option<String>,
    /// What was read.
    pub inputs: Vec<InputRecord>,
    /// What was written.
    pub tables: BTreeMap<String, TableRecord>,
    /// Counts that are no table's: packets, anomalies dropped, kernel drops ...
    pub counts: BTreeMap<String, u64>,
    /// Most memory the process held, bytes, where the system tells.
    pub peak_memory: Option<u64>,
}

/// A run that goes on. It holds no lock; begin it with one and end it before letting go.
#[derive(Debug)]
pub struct Run {
    file: PathBuf,
    started: Timestamp,
    record: RunRecord,
}

impl Run {
    /// Begins a run of `verb` at the time `now`. Leaves a file that says it is running.
    pub fn begin(
        study: &Study,
        _lock: &StudyLock,
        verb: &str,
        host: &str,
        arguments: Vec<String>,
        now: Timestamp,
    ) -> Result<Self> {
        let folder = study.root().join(RUNS);
        fs::create_dir_all(&folder).map_err(StoreError::io("create folder", &folder))?;
        let config = study.root().join(STUDY_FILE);
        let text = fs::read(&config).map_err(StoreError::io("read", &config))?;
        let taken: Vec<String> = study.runs()?.into_iter().map(|record| record.run).collect();
        let utc = compact_utc(now);
        let again = (2..=taken.len() + 1).map(|n| format!("{utc}.{n}"));
        let id =
            std::iter::once(utc.clone()).chain(again).find(|id| !taken.contains(id)).unwrap_or(utc); // never: one of n + 1 is none of n
        let run = Run {
            file: folder.join(format!("{id}-{}.json", file_word(verb))),
            started: now,
            record: RunRecord {
                run: id,
                verb: verb.to_owned(),
                host: host.to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                arguments,
                started: now.to_string(),
                seconds: None,
                outcome: Outcome::Running,
                study: hex(&Sha256::digest(&text)),
                catalogue: None,
                inputs: Vec::new(),
                tables: BTreeMap::new(),
                counts: BTreeMap::new(),
                peak_memory: None,
            },
        };
        run.write()?;
        Ok(run)
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.record.run
    }

    /// Names of the parts that one of its workers writes.
    pub fn part_names(&self, worker: u32) -> PartNames {
        PartNames::new(&self.record.host, &self.record.run, worker)
    }

    /// Remembers an input.
    pub fn input(&mut self, input: InputRecord) {
        self.record.inputs.push(input);
    }

    /// Remembers the catalogue by its digest.
    pub fn catalogue(&mut self, digest: &str) {
        self.record.catalogue = Some(digest.to_owned());
    }

    /// Adds what a writer wrote to a table.
    pub fn wrote(&mut self, table: &str, written: Written) {
        let record = self.record.tables.entry(table.to_owned()).or_default();
        record.rows += written.rows;
        record.parts += written.parts;
        record.misfiled += written.misfiled;
    }

    /// Adds to a count.
    pub fn count(&mut self, name: &str, n: u64) {
        *self.record.counts.entry(name.to_owned()).or_default() += n;
    }

    /// Ends it at the time `now` and writes its file for good.
    pub fn finish(mut self, outcome: Outcome, now: Timestamp) -> Result<RunRecord> {
        let Span(nanos) = now - self.started;
        self.record.seconds = Some(nanos.max(0) as f64 / 1e9);
        self.record.outcome = outcome;
        self.record.peak_memory = peak_memory();
        self.write()?;
        Ok(self.record)
    }

    fn write(&self) -> Result<()> {
        // A record has a JSON form whatever it holds.
        let mut json = serde_json::to_vec_pretty(&self.record).unwrap_or_default();
        json.push(b'\n');
        write_whole(&self.file, &json)
    }
}

impl Study {
    /// All runs, the earliest first. A file that is no record is left out.
    pub fn runs(&self) -> Result<Vec<RunRecord>> {
        let folder = self.root().join(RUNS);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(StoreError::io("read", &folder)(e)),
        };
        let mut runs: Vec<RunRecord> = Vec::new();
        for entry in entries {
            let path = entry.map_err(StoreError::io("read", &folder))?.path();
            if path.extension().is_some_and(|e| e == "json") {
                let text = fs::read(&path).map_err(StoreError::io("read", &path))?;
                runs.extend(serde_json::from_slice::<RunRecord>(&text).ok());
            }
        }
        runs.sort_by(|a, b| a.started.cmp(&b.started).then_with(|| a.run.cmp(&b.run)));
        Ok(runs)
    }

    /// The run that read this very input to its end before, so that nobody counts it twice.
    pub fn ingested(&self, input: &InputRecord) -> Result<Option<String>> {
        let Some(digest) = &input.digest else { return Ok(None) };
        let same = |record: &RunRecord| {
            record.outcome == Outcome::Done
                && record.inputs.iter().any(|i| i.digest.as_ref() == Some(digest))
        };
        Ok(self.runs()?.into_iter().find(same).map(|record| record.run))
    }

    /// Removes every part that a run wrote, as after one that was killed; says how many.
    pub fn remove_run(&self, _lock: &StudyLock, run: &str) -> Result<u64> {
        let mut removed = 0;
        for info in tables::ALL {
            for part in self.parts(info.name)? {
                if part.run() == Some(&file_word(run)) {
                    fs::remove_file(&part.path).map_err(StoreError::io("remove", &part.path))?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }
}

/// Most memory that this process held so far, bytes. Linux tells it in `/proc/self/status`.
pub fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_parts(1_383_264_000 + seconds, 0)
    }

    #[test]
    fn runs_are_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let study = Study::create(&dir.path().join("s"), &[]).unwrap();
        assert_eq!(study.runs().unwrap(), []);
        let lock = study.lock().unwrap();
        let capture = dir.path().join("a.pcap");
        fs::write(&capture, vec![7; 3 << 20]).unwrap();
        let input = InputRecord::of(&capture).unwrap();
        assert_eq!(study.ingested(&input).unwrap(), None);

        let args = vec!["run".to_owned(), "a.pcap".to_owned()];
        let mut run = Run::begin(&study, &lock, "ingest", "host", args, at(0)).unwrap();
        assert_eq!(study.runs().unwrap()[0].outcome, Outcome::Running);
        run.input(input.clone());
        run.wrote("flows", Written { rows: 3, parts: 1, misfiled: 0 });
        run.wrote("flows", Written { rows: 4, parts: 1, misfiled: 0 });
        run.count("packets", 100);
        assert_eq!(study.ingested(&input).unwrap(), None);
        let record = run.finish(Outcome::Done, at(2)).unwrap();
        assert_eq!(record.tables["flows"].rows, 7);
        assert_eq!(record.seconds, Some(2.0));
        assert_eq!(record.started, "2013-11-01T00:00:00.000000000Z");
        assert_eq!(study.runs().unwrap(), [record]);
        assert_eq!(study.ingested(&input).unwrap().as_deref(), Some("20131101T000000Z"));

        // Another in the same second has another id.
        let run = Run::begin(&study, &lock, "label", "host", Vec::new(), at(0)).unwrap();
        assert_eq!(run.id(), "20131101T000000Z.2");
        run.finish(Outcome::Failed("disk full".to_owned()), at(1)).unwrap();
        assert_eq!(study.runs().unwrap().len(), 2);
    }

    #[test]
    fn inputs_are_told_by_size_and_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let digest = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            InputRecord::of(&path).unwrap().digest.unwrap()
        };
        let mut bytes = vec![0; 3_000_000];
        let whole = digest(&bytes);
        assert_ne!(digest(&bytes[1..]), whole);
        bytes[2_999_999] = 1;
        assert_ne!(digest(&bytes), whole);
        bytes[2_999_999] = 0;
        bytes[0] = 1;
        assert_ne!(digest(&bytes), whole);
        assert_ne!(digest(b""), whole);
        // Between one and two MiB, the ends overlap and every byte counts.
        let mut middle = vec![0; 1_500_000];
        let before = digest(&middle);
        middle[1_200_000] = 1;
        assert_ne!(digest(&middle), before);
        assert_eq!(InputRecord::of(Path::new("eth0-is-no-file")).unwrap().digest, None);
    }

    #[test]
    fn memory_is_told_on_linux() {
        if cfg!(target_os = "linux") {
            assert!(peak_memory().unwrap() > 1 << 20);
        }
    }
}
