//! Running the program, and captures to run it on.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ottoscope_synth::{JsonLines, Scenario, Totals, generate};

/// A capture whose truth is known, in a folder of its own.
pub(crate) struct Cell {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) capture: PathBuf,
    pub(crate) truth: Vec<serde_json::Value>,
    pub(crate) totals: Totals,
}

/// A few minutes of a small cell.
pub(crate) fn cell(seed: u64) -> Cell {
    let folder = tempfile::tempdir().unwrap();
    let mut scenario = Scenario::builtin("cell-minute").unwrap();
    scenario.users = scenario.users.min(60);
    let mut bytes = Vec::new();
    let mut truth = Vec::new();
    let totals = generate(&scenario, seed, &mut bytes, &mut JsonLines(&mut truth)).unwrap();
    let capture = folder.path().join("cell.pcap");
    std::fs::write(&capture, bytes).unwrap();
    let truth = String::from_utf8(truth).unwrap();
    let truth = truth.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    Cell { folder, capture, truth, totals }
}

/// The program's answer to some arguments.
pub(crate) fn ottoscope<A: AsRef<std::ffi::OsStr>>(arguments: &[A]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ottoscope")).args(arguments).output().unwrap()
}

/// Standard output of a call that must succeed.
#[track_caller]
pub(crate) fn succeeds<A: AsRef<std::ffi::OsStr>>(arguments: &[A]) -> String {
    let output = ottoscope(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Standard error of a call that must fail with exit code 1, a clear error and a hint.
#[track_caller]
pub(crate) fn fails<A: AsRef<std::ffi::OsStr>>(arguments: &[A]) -> String {
    let output = ottoscope(arguments);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("error: ") && errors.contains("\nhint: "), "{errors}");
    assert!(!errors.contains("panicked"), "{errors}");
    errors
}

/// Rows of a query as CSV lines, without the header.
#[track_caller]
pub(crate) fn query(study: &Path, sql: &str) -> Vec<String> {
    let study = study.to_str().unwrap();
    let csv = succeeds(&["query", "-s", study, "--format", "csv", sql]);
    csv.lines().skip(1).map(str::to_owned).collect()
}

/// The one number that a query answers.
#[track_caller]
pub(crate) fn number(study: &Path, sql: &str) -> u64 {
    let rows = query(study, sql);
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows[0].parse().unwrap()
}
