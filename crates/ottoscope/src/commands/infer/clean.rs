//! `infer clean`: which flows are the app's, and what was dropped.

use std::borrow::Cow;
use std::collections::BTreeMap;

use ottoscope_infer::FlowType;
use ottoscope_infer::flow_type::flow_types;

use crate::account::{Step, Table, count as grouped, heads};
use crate::infer::survey::Survey;

/// Rows of lists that grow with the traffic.
const ROWS: usize = 20;

/// Tells what stayed and what went.
pub(crate) fn step(survey: &Survey, chosen: bool) -> Step {
    let mut step = Step::new("clean", "Whose traffic it is");
    if !chosen {
        step.say(
            "nothing says which servers are the app's, so all flows stay: --server or --app \
             narrow them",
        );
    }
    let verdicts = survey.by_verdict.iter().map(|(verdict, count)| {
        let numbers = [count.flows, count.packets, count.payload].map(grouped);
        [verdict.words().to_owned()].into_iter().chain(numbers).collect()
    });
    step.tables.push(Table {
        caption: String::new(),
        columns: heads(["flows that are", "flows", "packets", "payload bytes"]),
        rows: verdicts.collect(),
    });
    if survey.by_verdict.is_empty() {
        step.say("there is no flow in these captures");
    }
    let mut kept: BTreeMap<(String, &str), u64> = BTreeMap::new();
    for flow in &survey.kept {
        let (address, port) = flow.server;
        let server = flow.name.clone().unwrap_or_else(|| address.to_string());
        let server = format!("{server}:{port}/{}", flow.transport);
        let protocol = if flow.protocol.is_empty() { "to be inferred" } else { flow.protocol };
        *kept.entry((server, protocol)).or_default() += 1;
    }
    let mut kept: Vec<_> = kept.into_iter().collect();
    kept.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    list(&mut step, "servers of flows that stay", kept.len(), || {
        let rows = kept.iter().take(ROWS);
        let columns = heads(["server", "protocol", "flows"]);
        (columns, rows.map(|((s, p), n)| vec![s.clone(), (*p).to_owned(), grouped(*n)]).collect())
    });
    let mut dropped: Vec<_> = survey.dropped.iter().collect();
    dropped.sort_by(|a, b| b.1.payload.cmp(&a.1.payload).then_with(|| a.0.cmp(b.0)));
    list(&mut step, "servers of flows that were dropped", dropped.len(), || {
        let rows = dropped.iter().take(ROWS).map(|(server, count)| {
            vec![(*server).clone(), grouped(count.flows), grouped(count.payload)]
        });
        (heads(["server", "flows", "payload bytes"]), rows.collect())
    });
    if !survey.intervals.is_empty() {
        step.tables.push(tasks(survey));
    }
    step
}

fn list(
    step: &mut Step,
    what: &str,
    all: usize,
    rows: impl FnOnce() -> (Vec<Cow<'static, str>>, Vec<Vec<String>>),
) {
    if all == 0 {
        return;
    }
    let (columns, rows) = rows();
    let caption = if all > rows.len() {
        format!("{what}, the first {} of {}", rows.len(), grouped(all as u64))
    } else {
        what.to_owned()
    };
    step.tables.push(Table { caption, columns, rows });
}

/// Table I of the ChatDissect paper.
fn tasks(survey: &Survey) -> Table {
    let tasks = survey.intervals.iter().map(|interval| interval.task.as_str());
    let table = flow_types(tasks, survey.during.iter().copied());
    let rows = table.into_iter().map(|(task, row)| {
        let mut cells = vec![task, grouped(row.times)];
        for (kind, _) in FlowType::ALL.iter().enumerate() {
            cells.push(match row.seen[kind] {
                0 => String::new(),
                n => format!("{} of {}, {} bytes", n, row.times, grouped(row.bytes[kind])),
            });
        }
        cells
    });
    Table {
        caption: "types of flows with payload while a task was done (the ChatDissect paper, \
                  Table I)"
            .to_owned(),
        columns: heads(["task", "times", "HTTP", "UDP", "TCP", "DNS"]),
        rows: rows.collect(),
    }
}
