//! Answers as files: `results/<analysis>/`.
//!
//! The first table is `answer.csv` and `answer.parquet`, the first figure `figure.svg`; further
//! ones are called by their own names. `figures.json` holds the numbers of all figures, and
//! `run.json` what the answer was computed from. A folder is replaced as a whole.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use ottoscope_analysis::{Answer, Format};
use ottoscope_store::Study;
use serde_json::json;

use super::svg;

/// Writes an answer among the study's results.
///
/// # Errors
/// When a file cannot be written; the former answer stays then.
pub(crate) fn write(study: &Path, answer: &Answer) -> anyhow::Result<()> {
    let results = study.join("results");
    let [new, old] = ["new", "old"].map(|which| results.join(format!(".{}.{which}", answer.id)));
    let place = results.join(answer.id);
    let what = || format!("cannot write {}", place.display());
    for leftover in [&new, &old] {
        remove(leftover).with_context(what)?;
    }
    fs::create_dir_all(&new).with_context(what)?;
    fill(&new, study, answer).with_context(what)?;
    if place.exists() {
        fs::rename(&place, &old).with_context(what)?;
    }
    fs::rename(&new, &place).with_context(what)?;
    remove(&old).with_context(what)
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn fill(folder: &Path, study: &Path, answer: &Answer) -> anyhow::Result<()> {
    for (i, table) in answer.tables.iter().enumerate() {
        let stem = if i == 0 { "answer" } else { table.name.as_str() };
        for (format, extension) in [(Format::Csv, "csv"), (Format::Parquet, "parquet")] {
            let mut file =
                BufWriter::new(File::create(folder.join(format!("{stem}.{extension}")))?);
            table.write(format, &mut file)?;
            file.flush()?;
        }
    }
    for (i, figure) in answer.figures.iter().enumerate() {
        let stem = if i == 0 { "figure" } else { figure.id.as_str() };
        fs::write(folder.join(format!("{stem}.svg")), svg::file(figure))?;
    }
    if !answer.figures.is_empty() {
        fs::write(folder.join("figures.json"), serde_json::to_vec(&answer.figures)?)?;
    }
    fs::write(folder.join("run.json"), serde_json::to_vec_pretty(&provenance(study, answer)?)?)?;
    Ok(())
}

/// What the answer was computed from.
fn provenance(study: &Path, answer: &Answer) -> anyhow::Result<serde_json::Value> {
    let runs = Study::open(study)?.runs()?;
    let tables: BTreeMap<&str, serde_json::Value> = answer
        .tables
        .iter()
        .map(|table| {
            let about = json!({
                "title": table.title,
                "denominator": table.denominator,
                "rows": table.rows.len(),
            });
            (table.name.as_str(), about)
        })
        .collect();
    let inputs: Vec<serde_json::Value> = runs
        .iter()
        .map(|run| {
            json!({
                "run": run.run,
                "verb": run.verb,
                "version": run.version,
                "study": run.study,
                "catalogue": run.catalogue,
                "inputs": run.inputs,
            })
        })
        .collect();
    Ok(json!({
        "analysis": answer.id,
        "title": answer.title,
        "version": env!("CARGO_PKG_VERSION"),
        "parameters": answer.params,
        "tables": tables,
        "notes": answer.notes,
        "computed-from": inputs,
    }))
}

/// Writes a file beside its place and renames it, so that a reader never sees half of it.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    put(path, bytes, |beside| File::create(beside))
}

/// The same for text, in a folder that is made where it does not exist.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write_whole(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).with_context(|| format!("cannot write {}", path.display()))?;
    }
    replace(path, text.as_bytes())
}

/// As [`replace`], for nobody but its owner to read.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    put(path, bytes, |beside| {
        let mut options = File::options();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(beside)
    })
}

fn put(
    path: &Path,
    bytes: &[u8],
    create: impl FnOnce(&Path) -> io::Result<File>,
) -> anyhow::Result<()> {
    let named = || format!("cannot write {}", path.display());
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        // A pipe or a device has no old content to keep.
        return fs::write(path, bytes).with_context(named);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let beside = path.with_file_name(name);
    let written = create(&beside)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // Best effort: what matters is the error below.
        let _ = fs::remove_file(&beside);
    }
    written.with_context(named)
}
