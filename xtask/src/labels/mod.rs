//! Our labels beside nDPI's, flow by flow, on nDPI's own test captures.
//!
//! nDPI is a rival and not the truth, so a disagreement is neither's fault until a person has
//! looked: `xtask/judgements.tsv` keeps what they found, and `--strict` fails on what nobody
//! has looked at and on judgements that no longer apply.

mod apps;
mod csv;
mod flow;
mod judgements;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use apps::{Claim, claim, is_named};
use flow::{Key, Ours, Theirs};
use judgements::Judgements;

use crate::shell::{Result, option, root};

/// Folders of other captures on which no messaging app was used.
const BACKGROUND: &[&str] = &["background", "inference-truth", "os-trap", "gtp", "rtp"];

/// How a flow came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// Both name the same app.
    Agree,
    /// nDPI names an app, we none.
    Missed,
    /// nDPI names an app, we another.
    Other,
    /// nDPI names an app, and we have no such flow.
    Absent,
    /// We name an app, nDPI something that is none.
    Against,
    /// We name an app, and nDPI has no opinion.
    More,
}

/// One flow that is worth a line.
#[derive(Debug)]
struct Case {
    capture: String,
    ends: String,
    outcome: Outcome,
    /// The app that it counts for.
    app: String,
    ours: String,
    why: String,
    ndpi: String,
    confidence: String,
}

impl Case {
    /// Where nDPI has no opinion there is nothing to disagree about, but a chat label on
    /// background traffic is an error until shown otherwise.
    fn needs_judgement(&self) -> bool {
        self.outcome != Outcome::More || self.capture.starts_with("other/")
    }
}

pub(crate) fn run(args: &[String]) -> Result {
    let corpus =
        std::env::var_os("OTTOSCOPE_CORPUS").map_or(root().join("../shared"), PathBuf::from);
    let captures = corpus.join("captures");
    let Ok(table) = fs::read_to_string(captures.join("ndpi-labels.tsv")) else {
        println!("no captures/ndpi-labels.tsv in {}: nothing to compare", corpus.display());
        return Ok(());
    };
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root().join("target"), PathBuf::from);
    let binary = option(args, "--bin")?.map_or(target.join("release/ottoscope"), PathBuf::from);
    let only = option(args, "--capture")?.unwrap_or_default();
    let mut theirs = flow::theirs(&table)?;
    let folder = captures.join("ndpi");
    theirs.retain(|capture, _| {
        let there = folder.join(capture).exists();
        if !there {
            println!("{capture} has labels but is not in the corpus");
        }
        there && capture.contains(only)
    });

    let files: Vec<PathBuf> = theirs.keys().map(|c| folder.join(c)).collect();
    let background = background(&captures, only);
    let ours = label(&binary, &files)?;
    let quiet = label(&binary, &background)?;

    let known = catalogue()?;
    let mut cases = Vec::new();
    let mut failed = Vec::new();
    for ((capture, theirs), ours) in theirs.iter().zip(&ours) {
        match ours {
            Ok(ours) => compare(capture, theirs, ours, &known, &mut cases),
            Err(error) => failed.push(format!("{capture}: {error}")),
        }
    }
    for (file, ours) in background.iter().zip(&quiet) {
        let capture = file.strip_prefix(&captures).unwrap_or(file).display().to_string();
        match ours {
            Ok(ours) => compare(&capture, &[], ours, &known, &mut cases),
            Err(error) => failed.push(format!("{capture}: {error}")),
        }
    }
    report(&cases, &failed, background.len(), only.is_empty(), args.iter().any(|a| a == "--strict"))
}

type Labelled = std::result::Result<BTreeMap<Key, Vec<Ours>>, String>;

/// Runs the binary over each capture, two at a time, in the captures' order.
fn label(binary: &Path, captures: &[PathBuf]) -> Result<Vec<Labelled>> {
    let scratch = std::env::temp_dir().join(format!("ottoscope-labels-{}", std::process::id()));
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let worker = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(capture) = captures.get(at) else { return };
            let study = scratch.join(at.to_string());
            let labelled = label_one(binary, capture, &study);
            let _ = fs::remove_dir_all(&study);
            if let Ok(mut done) = done.lock() {
                done.push((at, labelled));
            }
        }
    };
    fs::create_dir_all(&scratch)?;
    std::thread::scope(|scope| {
        scope.spawn(worker);
        scope.spawn(worker);
    });
    fs::remove_dir_all(&scratch)?;
    let mut done = done.into_inner().map_err(|_| "a worker failed")?;
    done.sort_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(_, labelled)| labelled).collect())
}

fn label_one(binary: &Path, capture: &Path, study: &Path) -> Labelled {
    let mut run = Command::new(binary);
    run.arg("run").arg(capture).arg("-o").arg(study);
    run.args(["--client-addresses", "keep", "--workers", "1", "--no-report"]);
    answer(&mut run)?;
    let mut query = Command::new(binary);
    query.arg("query").arg("-s").arg(study).args(["--format", "csv", flow::QUERY]);
    Ok(flow::ours(&answer(&mut query)?))
}

fn answer(command: &mut Command) -> std::result::Result<String, String> {
    let output =
        command.output().map_err(|e| format!("{}: {e}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}: {}", output.status, words.lines().next().unwrap_or("no words")))
}

/// Captures without messaging, where there are any.
fn background(captures: &Path, only: &str) -> Vec<PathBuf> {
    let folders = BACKGROUND.iter().map(|f| captures.join("other").join(f));
    let entries = folders.filter_map(|f| fs::read_dir(f).ok()).flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|e| e.path())
        .filter(|p| p.to_string_lossy().contains(only) && p.is_file())
        .collect();
    files.sort();
    files
}

/// Ids of the shipped messaging and calling apps: not of platforms, which apps run on, nor of
/// what is in the catalogue only to be told apart.
fn catalogue() -> Result<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    for entry in fs::read_dir(root().join("catalog"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "toml") {
            let text = fs::read_to_string(&path)?;
            let id = text.lines().find_map(|l| l.strip_prefix("id = \"")?.strip_suffix('"'));
            let others = ["kind = \"platform\"", "kind = \"social\"", "kind = \"live\""];
            let other = text.lines().any(|l| others.contains(&l));
            ids.extend(id.filter(|id| !other || is_named(id)).map(str::to_owned));
        }
    }
    Ok(ids)
}

fn compare(
    capture: &str,
    theirs: &[Theirs],
    ours: &BTreeMap<Key, Vec<Ours>>,
    known: &BTreeSet<String>,
    cases: &mut Vec<Case>,
) {
    let labels = |key: &Key| {
        let flows = ours.get(key).into_iter().flatten();
        flows.filter_map(|o| Some((o.app.as_deref().filter(|app| known.contains(*app))?, o)))
    };
    let mut seen = BTreeSet::new();
    for flow in theirs {
        seen.insert(&flow.key);
        let mine: Vec<(&str, &Ours)> = labels(&flow.key).collect();
        let first = mine.first().copied();
        let (outcome, app) = match claim(&flow.protocol) {
            Claim::Lookup(_) if first.is_none() => continue,
            Claim::App(ids) | Claim::Lookup(ids) => {
                let Some(app) = ids.iter().find(|id| known.contains(**id)) else { continue };
                let agreed = mine.iter().find(|(app, _)| ids.contains(app)).map(|(app, _)| *app);
                match (agreed, first) {
                    (Some(agreed), _) => (Outcome::Agree, agreed),
                    (None, Some(_)) => (Outcome::Other, *app),
                    (None, None) if ours.contains_key(&flow.key) => (Outcome::Missed, *app),
                    (None, None) => (Outcome::Absent, *app),
                }
            }
            Claim::Another => match first {
                Some((app, _)) => (Outcome::Against, app),
                None => continue,
            },
            Claim::Silent => match first {
                Some((app, _)) => (Outcome::More, app),
                None => continue,
            },
        };
        let unlabelled = || ours.get(&flow.key).and_then(|o| o.first());
        cases.push(Case {
            capture: capture.to_owned(),
            ends: flow.key.to_string(),
            outcome,
            app: app.to_owned(),
            ours: first.map_or("-", |(app, _)| app).to_owned(),
            why: first.map(|(_, o)| o).or_else(unlabelled).map_or("", |o| &o.why).to_owned(),
            ndpi: flow.protocol.clone(),
            confidence: format!("{} {}", flow.confidence, flow.host).trim().to_owned(),
        });
    }
    for key in ours.keys().filter(|key| !seen.contains(key)) {
        if let Some((app, label)) = labels(key).next() {
            cases.push(Case {
                capture: capture.to_owned(),
                ends: key.to_string(),
                outcome: Outcome::More,
                app: app.to_owned(),
                ours: app.to_owned(),
                why: label.why.clone(),
                ndpi: "-".to_owned(),
                confidence: String::new(),
            });
        }
    }
}

fn report(
    cases: &[Case],
    failed: &[String],
    background: usize,
    whole: bool,
    strict: bool,
) -> Result {
    let mut judgements = Judgements::load()?;
    println!("# Flows that nDPI gives to a messaging app, and ours beside them\n");
    println!(
        "| app | nDPI | agree | missed | other app | no such flow | ours alone | ours against |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    let apps: BTreeSet<&str> = cases.iter().map(|c| c.app.as_str()).collect();
    for app in apps {
        let count = |outcome| cases.iter().filter(|c| c.app == app && c.outcome == outcome).count();
        let [agree, missed, other, absent] =
            [Outcome::Agree, Outcome::Missed, Outcome::Other, Outcome::Absent].map(count);
        println!(
            "| {app} | {} | {agree} | {missed} | {other} | {absent} | {} | {} |",
            agree + missed + other + absent,
            count(Outcome::More),
            count(Outcome::Against),
        );
    }
    let on_background = cases.iter().filter(|c| c.capture.starts_with("other/")).count();
    println!("\n{on_background} chat labels on {background} background captures\n");

    let (mut judged, mut open) = (0, 0);
    for case in cases.iter().filter(|c| c.outcome != Outcome::Agree) {
        let words = match judgements.find([&case.capture, &case.ends, &case.ours, &case.ndpi]) {
            Some(j) => {
                judged += 1;
                format!("{}: {}", j.verdict, j.why)
            }
            None if case.needs_judgement() => {
                open += 1;
                "UNJUDGED".to_owned()
            }
            None => String::new(),
        };
        println!(
            "{:?}\t{}\t{}\tours {} ({})\tnDPI {} ({})\t{words}",
            case.outcome, case.capture, case.ends, case.ours, case.why, case.ndpi, case.confidence,
        );
    }
    let stale = if whole { judgements.stale() } else { Vec::new() };
    for line in &stale {
        println!("{}:{line}: nothing needs this judgement any more - remove it", judgements::FILE);
    }
    for failure in failed {
        println!("could not run {failure}");
    }
    println!(
        "\n{judged} disagreements judged, {open} not; {} stale judgements; {} captures failed",
        stale.len(),
        failed.len(),
    );
    if strict && (open > 0 || !stale.is_empty() || !failed.is_empty()) {
        return Err("not all of it is settled".into());
    }
    Ok(())
}
