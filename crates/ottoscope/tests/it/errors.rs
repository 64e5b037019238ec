//! Bad input: a clear error with a hint and exit code 1, and nothing lost that was written.

use std::fs;
use std::path::Path;

use crate::support::{cell, fails, number, ottoscope, query, succeeds};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn what_is_no_capture_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("study");
    let check = |name: &str, content: Option<&[u8]>, expected: &str| {
        let path = folder.path().join(name);
        if let Some(content) = content {
            fs::write(&path, content).unwrap();
        }
        for verb in [&["dissect"][..], &["run", "-o", text(&study)]] {
            let errors = fails(&[verb, &[text(&path)]].concat());
            assert!(errors.contains(expected) && errors.contains(name), "{errors}");
        }
        assert!(!study.exists(), "{name} left a study behind");
    };
    check("missing.pcap", None, "cannot open");
    check("empty.pcap", Some(b""), "is empty");
    check("cut.pcap", Some(&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0]), "ends inside the capture header");
    check("page.html", Some(b"<!doctype html><p>not found"), "is not a capture");
    fs::create_dir(folder.path().join("none")).unwrap();
    check("none", None, "no captures in");
}

#[test]
fn a_cut_record_is_an_anomaly() {
    let cell = cell(1);
    let bytes = fs::read(&cell.capture).unwrap();
    let cut = cell.folder.path().join("cut.pcap");
    fs::write(&cut, &bytes[..bytes.len() - 7]).unwrap();
    let study = cell.folder.path().join("study");
    succeeds(&["run", "--no-report", text(&cut), "-o", text(&study)]);
    assert_eq!(
        number(&study, "SELECT packets FROM captures WHERE truncated"),
        cell.totals.packets - 1
    );
    assert_eq!(number(&study, "SELECT count(*) FROM anomalies WHERE layer = 'capture'"), 1);
}

#[test]
fn wrong_studies_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let study = text(folder.path());
    for call in [
        &["query", "-s", study, "SELECT 1"][..],
        &["label", "-s", study],
        &["report", "-s", study],
        &["study", "info", "-s", study],
    ] {
        let errors = fails(call);
        assert!(errors.contains("is not a study"), "{errors}");
    }
    let capture = cell(1);
    let full = folder.path().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("letters.txt"), "dear").unwrap();
    let errors = fails(&["run", text(&capture.capture), "-o", text(&full)]);
    assert!(errors.contains("not empty"), "{errors}");
}

#[test]
fn tables_are_not_mixed_by_accident() {
    let cell = cell(1);
    let study = cell.folder.path().join("study");
    let run = ["run", "--no-report", text(&cell.capture), "-o", text(&study)];
    succeeds(&run);
    let errors = fails(&run);
    assert!(errors.contains("has tables already") && errors.contains("--append"), "{errors}");
    let flows = number(&study, "SELECT count(*) FROM flows");
    succeeds(&[&run[..], &["--fresh"]].concat());
    assert_eq!(number(&study, "SELECT count(*) FROM flows"), flows);
    succeeds(&[&run[..], &["--append"]].concat());
    assert_eq!(number(&study, "SELECT count(*) FROM flows"), 2 * flows);
}

#[test]
fn two_runs_at_once_are_refused() {
    let cell = cell(1);
    let study = cell.folder.path().join("study");
    succeeds(&["study", "new", text(&study)]);
    let lock =
        fs::File::options().write(true).create(true).truncate(false).open(study.join(".lock"));
    let lock = lock.unwrap();
    lock.lock().unwrap();
    let errors = fails(&["run", text(&cell.capture), "-o", text(&study)]);
    assert!(errors.contains("lock") || errors.contains("another run"), "{errors}");
    // Not only closed: a process that another test starts may still hold a copy.
    lock.unlock().unwrap();
    succeeds(&["run", "--no-report", text(&cell.capture), "-o", text(&study)]);
}

#[test]
fn questions_that_write_or_do_not_parse_are_refused() {
    let cell = cell(1);
    let study = cell.folder.path().join("study");
    succeeds(&["run", "--no-report", text(&cell.capture), "-o", text(&study)]);
    let ask = |sql: &str| ottoscope(&["query", "-s", text(&study), sql]);
    for sql in [
        "DROP TABLE flows",
        "COPY flows TO '/tmp/x.parquet'",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "SELEC 1",
        "SELECT nothing FROM flows",
        "SELECT * FROM flowz",
    ] {
        let output = ask(sql);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{sql}: {errors}");
        assert!(errors.starts_with("error: "), "{sql}: {errors}");
    }
    assert_eq!(ottoscope(&["query"]).status.code(), Some(2));
    assert_eq!(ottoscope(&["frobnicate"]).status.code(), Some(2));
}

/// A disk that fills up: what was written stays valid.
#[test]
fn a_full_disk_is_told_and_loses_nothing_written() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=96k", "tmpfs", text(&disk)])
        .output()
        .is_ok_and(|output| output.status.success());
    if !mounted {
        println!("skipped: only root can mount a small disk");
        return;
    }
    let cell = cell(1);
    let study = disk.join("study");
    let errors = fails(&["run", text(&cell.capture), "-o", text(&study)]);
    let left = query(&study, "SELECT count(*) FROM flows");
    let _ = std::process::Command::new("umount").arg(&disk).status();
    assert!(errors.contains("free some space"), "{errors}");
    assert_eq!(left.len(), 1);
}
