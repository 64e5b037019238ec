//! The study's page, and its results as files.
//!
//! Answers flow in as plain tables and figures; one self-contained HTML page flows out, and for
//! every analysis a folder of CSV, Parquet and SVG. Nothing on the page is fetched, and nothing
//! that came from traffic gets onto it unescaped.

mod facts;
mod html;
pub(crate) mod number;
pub(crate) mod results;
pub(crate) mod svg;
mod table;
pub(crate) mod text;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use ottoscope_analysis::{Answer, Session};
use ottoscope_store::{ClientAddresses, RunRecord, Study};

pub(crate) use facts::Facts;
pub(crate) use html::STYLE;

/// What the page is made of.
pub(crate) struct ReportData<'a> {
    /// Name of the study.
    pub(crate) title: String,
    /// What its owner says about it.
    pub(crate) about: String,
    /// Totals of the tables.
    pub(crate) facts: Facts,
    /// The answers, in the order they are shown.
    pub(crate) answers: &'a [Answer],
    /// How clients' addresses are kept.
    pub(crate) addresses: ClientAddresses,
    /// What was done to the study.
    pub(crate) runs: Vec<RunRecord>,
    /// Version of this program.
    pub(crate) version: &'static str,
}

/// Renders the page.
pub(crate) fn render(data: &ReportData<'_>) -> String {
    html::page(data)
}

/// Writes the study's page to `output`, or to `report/index.html` of the study; says where.
///
/// # Errors
/// When the study cannot be read, or the page not written.
pub(crate) fn write(
    study: &Path,
    session: &Session,
    answers: &[Answer],
    output: Option<&Path>,
) -> anyhow::Result<PathBuf> {
    let kept = Study::open(study)?;
    let config = kept.config();
    let folder = study.canonicalize().unwrap_or_else(|_| study.to_owned());
    let named = folder.file_name().map(|name| name.to_string_lossy().into_owned());
    let data = ReportData {
        title: Some(config.study.name.clone())
            .filter(|name| !name.is_empty())
            .or(named)
            .unwrap_or_default(),
        about: config.study.about.clone(),
        facts: Facts::gather(session)?,
        answers,
        addresses: config.keep.client_addresses,
        runs: kept.runs()?,
        version: env!("CARGO_PKG_VERSION"),
    };
    let page = output.map_or_else(|| study.join("report/index.html"), Path::to_owned);
    if let Some(folder) = page.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    results::replace(&page, render(&data).as_bytes())?;
    Ok(page)
}
