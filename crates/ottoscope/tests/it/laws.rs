//! The same answer however it ran.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{cell, query, succeeds};

/// Makes a study with the secret of another, so that pseudonyms and ids are the same, and runs.
fn study(folder: &Path, name: &str, secret_of: Option<&Path>, arguments: &[&str]) -> PathBuf {
    let path = folder.join(name);
    succeeds(&["study", "new", path.to_str().unwrap()]);
    if let Some(other) = secret_of {
        fs::copy(other.join("secret.key"), path.join("secret.key")).unwrap();
    }
    let mut all = vec!["run", "--no-report", "-o", path.to_str().unwrap()];
    all.extend_from_slice(arguments);
    succeeds(&all);
    path
}

/// Every row of every table but `captures`, which tells how it ran.
fn rows(study: &Path) -> Vec<(String, Vec<String>)> {
    let tables = ["flows", "messages", "dns", "rtp", "bins", "labels", "users"];
    let mut all: Vec<(String, Vec<String>)> = tables
        .iter()
        .map(|table| {
            let mut rows = query(study, &format!("SELECT * FROM {table}"));
            rows.sort();
            ((*table).to_owned(), rows)
        })
        .collect();
    let sql = "SELECT at, flow, layer, \"offset\", reason FROM anomalies";
    let mut anomalies = query(study, sql);
    anomalies.sort();
    all.push(("anomalies".to_owned(), anomalies));
    all
}

fn assert_same(one: &[(String, Vec<String>)], other: &[(String, Vec<String>)]) {
    for ((table, a), (_, b)) in one.iter().zip(other) {
        let odd = a.iter().zip(b).find(|(x, y)| x != y);
        assert!(
            odd.is_none() && a.len() == b.len(),
            "{table}: {} and {} rows, {odd:?}",
            a.len(),
            b.len()
        );
    }
}

/// Cuts a classic little-endian capture into ten of about as many packets.
fn split(capture: &Path, folder: &Path) -> Vec<PathBuf> {
    let bytes = fs::read(capture).unwrap();
    let (header, mut rest) = bytes.split_at(24);
    let mut records = Vec::new();
    while rest.len() >= 16 {
        let len = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        let (record, tail) = rest.split_at(16 + len);
        records.push(record);
        rest = tail;
    }
    fs::create_dir_all(folder).unwrap();
    records
        .chunks(records.len().div_ceil(10))
        .enumerate()
        .map(|(i, chunk)| {
            // Names against the order of time: packets tell the order, not names.
            let path = folder.join(format!("part-{}.pcap", 9 - i));
            let mut part = header.to_vec();
            chunk.iter().for_each(|record| part.extend_from_slice(record));
            fs::write(&path, part).unwrap();
            path
        })
        .collect()
}

#[test]
fn workers_and_the_split_of_captures_change_no_table() {
    let cell = cell(11);
    let folder = cell.folder.path();
    let capture = cell.capture.to_str().unwrap();
    let one = study(folder, "one", None, &[capture, "--workers", "1"]);
    let expected = rows(&one);
    for (table, rows) in &expected {
        assert!(!rows.is_empty() || table == "anomalies" || table == "rtp", "{table} is empty");
    }
    let two = study(folder, "two", Some(&one), &[capture, "--workers", "2"]);
    assert_same(&expected, &rows(&two));
    let parts = split(&cell.capture, &folder.join("parts"));
    assert_eq!(parts.len(), 10);
    let parts_folder = folder.join("parts");
    let ten = study(folder, "ten", Some(&one), &[parts_folder.to_str().unwrap(), "--workers", "2"]);
    assert_same(&expected, &rows(&ten));
    // Labelling again finds what ingest found.
    succeeds(&["label", "-s", ten.to_str().unwrap()]);
    assert_same(&expected, &rows(&ten));
}
