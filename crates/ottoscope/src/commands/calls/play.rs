//! `calls play`: video out of captures onto pages of a browser.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;
use ottoscope_media::{extract, strip};

use super::args::PlayArgs;
use super::extract::{note, nothing};
use crate::calls::recover::{Found, recover};
use crate::clock;
use crate::progress::say;
use crate::report::results::private;

/// The page, but for its data.
const PLAYER: &str = include_str!("../../calls/player.html");

/// Runs the verb.
pub(super) fn run(args: &PlayArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let folder = match &args.output {
        Some(folder) => folder.clone(),
        None => own_folder()?,
    };
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let wanted = extract::Options { webm: true, ..extract::Options::default() };
    let (mut found, stopped) = recover(&args.video, &folder, &wanted)?;
    if found.is_empty() {
        return Err(nothing());
    }
    // The stream with most to see first.
    found.sort_by_key(|found| std::cmp::Reverse(found.stream.intact));
    let mut pages = Vec::with_capacity(found.len());
    for one in &found {
        pages.push(page(&folder, one)?);
    }
    note(&args.video, &found, true)?;
    for page in &pages {
        writeln!(out, "{}", page.display())?;
    }
    out.flush()?;
    if args.output.is_none()
        && let Some(first) = pages.first()
        && !open(first)
    {
        say(format_args!("no browser could be started: open the page yourself"));
    }
    if stopped {
        say(format_args!("stopped early: what was read until then is on the pages"));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a stream's page beside its video.
fn page(folder: &Path, found: &Found) -> anyhow::Result<PathBuf> {
    let report = found.report.as_ref();
    let video = report.and_then(|report| report.files.first());
    let name = video.and_then(|file| Some(file.path.file_name()?.to_string_lossy().into_owned()));
    let start = report.and_then(|report| report.start);
    let (flow, stream) = (&found.flow, &found.stream);
    let title = format!(
        "{} {} {}, flow {}, source {:08x}",
        flow.client,
        if stream.direction == ottoscope_flow::Direction::Up { "to" } else { "from" },
        flow.server,
        flow.id.0,
        stream.ssrc
    );
    let data = found.strip.json(&title, name.as_deref(), start);
    let path = folder.join(format!("{}.html", found.stem()));
    private(&path, strip::page(PLAYER, &data).as_bytes())?;
    Ok(path)
}

/// A folder among the temporary ones that nobody else may look into.
fn own_folder() -> anyhow::Result<PathBuf> {
    let name = format!("ottoscope-{}-{}", std::process::id(), clock::now().0);
    let folder = std::env::temp_dir().join(name);
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// Starts a browser, where there is one.
fn open(page: &Path) -> bool {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let start = Command::new(opener)
        .arg(page)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    start.is_ok_and(|status| status.success())
}
