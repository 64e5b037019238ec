//! `infer opcodes`: which opcodes there are, and what lets each be sent (the ChatDissect paper,
//! III-A4).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use ottoscope_flow::Direction;
use ottoscope_infer::opcodes::{
    Assignment, Event, Experiment, Origin, Reading, labelled, periodic, triggered,
};
use ottoscope_infer::source::{Findings, Known, Search};
use ottoscope_infer::walk::{Format, Inference};
use ottoscope_infer::{Params, Samples};

use crate::account::{Step, Table, count, heads};
use crate::hint::hinted;
use crate::infer::survey::Survey;
use crate::report::number::value;
use ottoscope_analysis::grid::Unit;

/// Rows of the list of opcodes.
const ROWS: usize = 200;
/// Largest file of a source tree, and largest package, that is read.
const MOST_BYTES: u64 = 1 << 30;
/// Most files of a source tree.
const MOST_FILES: usize = 1_000_000;

/// An opcode with the task that is most likely behind it.
#[derive(Debug, Clone)]
pub(super) struct Assigned {
    pub(super) opcode: u64,
    pub(super) name: String,
    pub(super) evidence: String,
}

/// What one opcode carries.
#[derive(Debug, Clone, Copy, Default)]
struct Use {
    requests: u64,
    responses: u64,
    bytes: u64,
}

/// Where an app's own code lies, and which URLs to look for beside those seen.
pub(super) struct Code<'a> {
    pub(super) sources: &'a [PathBuf],
    pub(super) urls: &'a [String],
}

/// Finds opcodes and their tasks in the format that has most messages of those with an opcode.
pub(super) fn step(
    found: &Inference,
    survey: &Survey,
    code: &Code<'_>,
    params: &Params,
) -> anyhow::Result<(Step, Vec<Assigned>)> {
    let mut step = Step::new("opcodes", "Opcodes and their tasks");
    let samples = &found.messages;
    let read =
        found.formats.iter().filter(|format| format.says_something()).find_map(|format| {
            Some((format, Reading::new(samples, &format.members, &format.fields)?))
        });
    let Some((format, reading)) = read else {
        step.say(
            "no field holds opcodes: few values, near the start, that are not always the same",
        );
        return Ok((step, Vec::new()));
    };
    let (uses, events) = uses(samples, format, &reading);
    step.say(format!(
        "{}{}: {} opcodes in {} messages",
        match reading.opcode.len() {
            1 => format!("byte {}", reading.opcode.start),
            _ => format!("bytes {} to {}", reading.opcode.start, reading.opcode.end - 1),
        },
        match reading.response_offset {
            0 => String::new(),
            offset => format!(", responses are requests + {offset}"),
        },
        count(uses.len() as u64),
        count(events.len() as u64)
    ));
    let mut assignments = periodic(&events, params);
    assignments.extend(triggered(&events, params));
    let experiments = experiments(survey, samples);
    if !experiments.is_empty() {
        assignments.extend(labelled(&events, &experiments));
    }
    let from_code = from_code(&mut step, survey, code, &uses, &reading)?;
    let assigned = best(&assignments, from_code.as_ref());
    let mut rows: Vec<(&u64, &Use)> = uses.iter().collect();
    rows.sort_by_key(|(code, using)| (std::cmp::Reverse(using.requests + using.responses), **code));
    let shown = rows.iter().take(ROWS).map(|(opcode, using)| {
        let all = using.requests + using.responses;
        let task = assigned.iter().find(|a| a.opcode == **opcode);
        vec![
            opcode.to_string(),
            format!("{opcode:#x}"),
            count(using.requests),
            count(using.responses),
            count(using.bytes / all.max(1)),
            task.map(|t| t.name.clone()).unwrap_or_default(),
            task.map(|t| t.evidence.clone()).unwrap_or_default(),
        ]
    });
    step.tables.push(Table {
        caption: match rows.len().saturating_sub(ROWS) {
            0 => String::new(),
            more => format!("{more} rarer opcodes are not shown"),
        },
        columns: heads(["opcode", "hex", "requests", "responses", "mean bytes", "task", "why"]),
        rows: shown.collect(),
    });
    let told = assigned.len();
    step.say(format!("{told} of {} opcodes have a task", uses.len()));
    Ok((step, assigned))
}

fn uses(samples: &Samples, format: &Format, reading: &Reading) -> (BTreeMap<u64, Use>, Vec<Event>) {
    let (mut uses, mut events) = (BTreeMap::<u64, Use>::new(), Vec::new());
    for &index in &format.members {
        let sample = samples.get(index);
        let Some((opcode, response)) = reading.read(sample.head) else { continue };
        let using = uses.entry(opcode).or_default();
        using.requests += u64::from(!response);
        using.responses += u64::from(response);
        using.bytes += sample.len;
        let (at, flow, direction) = (sample.at, sample.flow, sample.direction);
        // Without a mark, what the server sends is taken for answers only where a client asked.
        events.push(Event { at, flow, direction, opcode, response });
    }
    if reading.response_offset == 0 && reading.mark.is_none() {
        let asked: BTreeSet<u64> = (events.iter())
            .filter(|event| event.direction == Direction::Up)
            .map(|event| event.opcode)
            .collect();
        for event in &mut events {
            if event.direction == Direction::Down && asked.contains(&event.opcode) {
                event.response = true;
                if let Some(using) = uses.get_mut(&event.opcode) {
                    using.requests -= 1;
                    using.responses += 1;
                }
            }
        }
    }
    (uses, events)
}

/// The laboratory's notes as the algorithm takes them: flows in place of phones.
fn experiments(survey: &Survey, samples: &Samples) -> Vec<Experiment> {
    let of = |client| {
        let flows = samples.flows().iter().enumerate();
        flows.filter(|(_, flow)| flow.client.0 == client).map(|(index, _)| index).collect()
    };
    let intervals = survey.intervals.iter().map(|interval| Experiment {
        task: interval.task.clone(),
        start: interval.start,
        end: interval.end,
        flows: interval.client.map(of).unwrap_or_default(),
    });
    intervals.collect()
}

/// The best of what is known of each opcode: what a person did, then what code says, then clocks
/// and triggers.
fn best(assignments: &[Assignment], code: Option<&Findings>) -> Vec<Assigned> {
    let mut all: BTreeMap<u64, (u8, f32, Assigned)> = BTreeMap::new();
    let mut offer = |rank: u8, sure: f32, new: Assigned| {
        let place = all.entry(new.opcode);
        let held = place.or_insert((u8::MAX, 0.0, new.clone()));
        let other = held.2.evidence != new.evidence;
        if (rank, -sure) < (held.0, -held.1) {
            let before = std::mem::replace(held, (rank, sure, new));
            if before.0 != u8::MAX {
                held.2.evidence.push_str("; also: ");
                held.2.evidence.push_str(&before.2.evidence);
            }
        } else if other {
            held.2.evidence.push_str("; also: ");
            held.2.evidence.push_str(&new.evidence);
        }
    };
    let done: BTreeMap<u64, &str> = assignments
        .iter()
        .filter_map(|a| match &a.origin {
            Origin::Task(task) => Some((a.opcode, task.as_str())),
            _ => None,
        })
        .collect();
    // What always follows another opcode of the same task is not what the person did.
    let follows = |opcode: u64| {
        assignments.iter().any(|a| match a.origin {
            Origin::Triggered { by } => {
                a.opcode == opcode && by != opcode && done.get(&by) == done.get(&opcode)
            }
            _ => false,
        })
    };
    for assignment in assignments {
        let (rank, name) = match &assignment.origin {
            Origin::Task(task) if follows(assignment.opcode) => (4, task.clone()),
            Origin::Task(task) => (0, task.clone()),
            Origin::Periodic { period } => (2, format!("periodic, every {period:.0} s")),
            Origin::Triggered { by } => (3, format!("triggered by {by}")),
            #[allow(unreachable_patterns)] // origins may be added
            _ => continue,
        };
        let evidence = assignment.evidence.clone();
        let assigned = Assigned { opcode: assignment.opcode, name, evidence };
        offer(rank, assignment.confidence, assigned);
    }
    for url in code.into_iter().flat_map(|code| &code.urls) {
        let Some(first) = url.candidates.first() else { continue };
        let clear = url.candidates.get(1).is_none_or(|next| first.score > 1.5 * next.score);
        if first.seen == Some(false) || !clear {
            continue;
        }
        let place = first.evidence.first();
        let place = place.map(|e| format!(" in {}", e.file)).unwrap_or_default();
        let name = url.url.rsplit('/').next().unwrap_or(&url.url).to_owned();
        let share = value(first.share, Unit::Share);
        let evidence =
            format!("the app's code ties it to {}{place}, {share} of what it says", url.url);
        offer(1, first.share as f32, Assigned { opcode: first.opcode, name, evidence });
    }
    all.into_values().map(|(_, _, assigned)| assigned).collect()
}

/// What the app's own code says of opcodes, where it is given.
fn from_code(
    step: &mut Step,
    survey: &Survey,
    code: &Code<'_>,
    uses: &BTreeMap<u64, Use>,
    reading: &Reading,
) -> anyhow::Result<Option<Findings>> {
    if code.sources.is_empty() {
        return Ok(None);
    }
    let mut urls: Vec<String> = code.urls.to_vec();
    urls.extend(survey.texts[5].seen.keys().map(|url| url.to_string()));
    urls.sort_unstable();
    urls.dedup();
    if urls.is_empty() {
        return Err(hinted(
            "the code is given, but no URL to look for in it",
            "capture the app's HTTP requests too, or name URLs with --url",
        ));
    }
    let bits = 8 * reading.opcode.len().min(8) as u32;
    let mut search = Search::new(Known {
        urls,
        opcodes: uses.keys().copied().collect(),
        response_offset: reading.response_offset,
        largest: u64::MAX >> (64 - bits),
    });
    let mut left = MOST_FILES;
    for source in code.sources {
        read(&mut search, source, &mut left)?;
    }
    let findings = search.finish();
    step.say(findings.summary());
    let rows = findings.urls.iter().filter(|url| !url.candidates.is_empty()).take(ROWS);
    let rows = rows.map(|url| {
        let said = url.candidates.iter().take(3).map(|c| {
            let seen = if c.seen == Some(true) { ", seen" } else { "" };
            format!("{} ({}{seen})", c.opcode, value(c.share, Unit::Share))
        });
        let place = url.candidates.first().and_then(|c| c.evidence.first());
        let place = place.map(|e| format!("{} {}", e.file, e.snippet)).unwrap_or_default();
        vec![url.url.clone(), said.collect::<Vec<_>>().join(", "), place]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    if rows.is_empty() {
        step.say("the code has none of these URLs beside a number: is it the same app's?");
    } else {
        step.tables.push(Table {
            caption: "numbers beside URLs in the app's code".to_owned(),
            columns: heads(["URL", "numbers", "where"]),
            rows,
        });
    }
    for fault in findings.faults.iter().take(5) {
        step.say(format!("{}: {}", fault.path, fault.reason));
    }
    Ok(Some(findings))
}

/// Reads a package, or every file below a folder.
fn read(search: &mut Search, path: &Path, left: &mut usize) -> anyhow::Result<()> {
    let what = || format!("cannot read {}", path.display());
    let kind = fs::metadata(path).with_context(what)?;
    let name = path.display().to_string();
    if kind.is_dir() {
        let mut entries: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(path).with_context(what)? {
            let entry = entry.with_context(what)?;
            if !entry.file_type().with_context(what)?.is_symlink() {
                entries.push(entry.path());
            }
        }
        entries.sort();
        for entry in entries {
            read(search, &entry, left)?;
        }
        return Ok(());
    }
    if *left == 0 {
        return Ok(());
    }
    *left -= 1;
    if kind.len() > MOST_BYTES {
        return Err(hinted(
            format!("{name} is larger than {} MiB", MOST_BYTES >> 20),
            "give the package or folder of one app",
        ));
    }
    let bytes = fs::read(path).with_context(what)?;
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"dex\n") {
        search.package(&name, &bytes);
    } else {
        search.text(&name, &String::from_utf8_lossy(&bytes));
    }
    Ok(())
}
