//! What verbs share on their way in: captures, catalogue, signatures.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ottoscope_catalog::Catalog;
use ottoscope_flow::capture::{CaptureError, Captures, Input, Options};
use ottoscope_flow::dissector::signature::SignatureSet;
use ottoscope_store::Study;

use crate::hint::hinted;

/// A flag that Ctrl-C and SIGTERM set. The first signal asks for an orderly end, the second
/// ends at once.
pub(crate) fn stop_flag() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&flag);
    let set = ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::SeqCst) {
            #[allow(clippy::exit)] // asked for twice: nothing is left to tidy
            std::process::exit(130);
        }
    });
    if set.is_err() {
        // No handler, no orderly end; everything else works.
    }
    flag
}

/// The inputs behind the arguments: globs that the shell left alone are expanded.
pub(crate) fn inputs(arguments: &[String]) -> anyhow::Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for argument in arguments {
        let path = Path::new(argument);
        let pattern = argument.contains(['*', '?', '[']) && !path.exists();
        if !pattern {
            inputs.push(Input::from(path));
            continue;
        }
        let matches = glob::glob(argument)
            .map_err(|e| hinted(format!("`{argument}` is not a pattern: {e}"), "quote the path"))?;
        let before = inputs.len();
        for path in matches {
            inputs.push(Input::Path(path?));
        }
        if inputs.len() == before {
            return Err(hinted(
                format!("no file matches `{argument}`"),
                "is the pattern right, from this folder?",
            ));
        }
    }
    Ok(inputs)
}

/// Opens captures as one time line.
pub(crate) fn captures(arguments: &[String], options: Options) -> anyhow::Result<Captures> {
    Captures::open(&inputs(arguments)?, options).map_err(capture_error)
}

/// A capture error with its hint.
pub(crate) fn capture_error(error: CaptureError) -> anyhow::Error {
    match error.hint() {
        Some(hint) => hinted(error.to_string(), hint),
        None => error.into(),
    }
}

/// The shipped catalogue with `files` on top.
pub(crate) fn catalog(files: &[PathBuf]) -> anyhow::Result<Catalog> {
    Ok(Catalog::load(true, files)?)
}

/// The catalogue's signatures as the engine runs them.
pub(crate) fn signatures(catalog: &Catalog) -> anyhow::Result<Arc<SignatureSet>> {
    Ok(Arc::new(SignatureSet::new(catalog.signatures())?))
}

/// Fails when the catalogue has no app of this id, naming those that sound alike.
pub(crate) fn known_app(catalog: &Catalog, id: &str) -> anyhow::Result<()> {
    if catalog.app(id).is_some() {
        return Ok(());
    }
    let mut known: Vec<&str> = catalog.apps().iter().map(|app| app.id.as_ref()).collect();
    known.sort_unstable();
    Err(hinted(format!("no app named `{id}`"), format!("there are: {}", known.join(", "))))
}

/// The catalogue as the study wants it, with `files` on top.
pub(crate) fn study_catalog(study: &Study, files: &[PathBuf]) -> anyhow::Result<Catalog> {
    let (builtin, paths) = study_files(study, files)?;
    Ok(Catalog::load(builtin, &paths)?)
}

/// Whether a study wants the shipped apps, and the files that it adds to them, with `files` last.
/// A pattern that matches nothing is fine: the template names folders that may not exist yet.
pub(crate) fn study_files(
    study: &Study,
    files: &[PathBuf],
) -> anyhow::Result<(bool, Vec<PathBuf>)> {
    let wanted = &study.config().catalog;
    let mut paths = Vec::new();
    let mut builtin = false;
    for source in wanted.sources.iter().chain([&wanted.accepted]) {
        if source == "builtin" {
            builtin = true;
            continue;
        }
        let pattern = study.root().join(source);
        for path in glob::glob(&pattern.to_string_lossy())? {
            let path = path?;
            if path.is_file() && !paths.contains(&path) {
                paths.push(path);
            }
        }
    }
    paths.extend_from_slice(files);
    Ok((builtin, paths))
}

/// The interface that the arguments name, when they are one word that is no file and the
/// system has an interface of that name.
pub(crate) fn interface(arguments: &[String]) -> Option<String> {
    let [name] = arguments else { return None };
    let exists = Path::new(name).exists();
    let known = Path::new("/sys/class/net").join(name).exists() && !name.contains('/');
    (!exists && known).then(|| name.clone())
}

/// Starts to capture on an interface.
#[cfg(target_os = "linux")]
pub(crate) fn live(
    name: &str,
    promiscuous: bool,
    duration: Option<std::time::Duration>,
    options: Options,
) -> anyhow::Result<Box<dyn ottoscope_flow::capture::Packets>> {
    use ottoscope_flow::capture::live::{Live, LiveOptions};
    let duration =
        duration.map(|d| ottoscope_flow::Span(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)));
    let options = LiveOptions { promiscuous, duration, options };
    Ok(Box::new(Live::open(name, options).map_err(capture_error)?))
}

/// Live capture is for Linux.
#[cfg(not(target_os = "linux"))]
pub(crate) fn live(
    name: &str,
    _promiscuous: bool,
    _duration: Option<std::time::Duration>,
    _options: Options,
) -> anyhow::Result<Box<dyn ottoscope_flow::capture::Packets>> {
    Err(hinted(
        format!("cannot capture on {name}: live capture is for Linux"),
        "capture with tcpdump and give ottoscope the file, or `-` behind a pipe",
    ))
}
