//! `learn samples`: captures cut into samples.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ottoscope_analysis::grid::Cell;
use ottoscope_flow::FlowId;
use ottoscope_flow::capture::{Input, Options, Progress};
use ottoscope_flow::sample::{self, Config, Depth, Kind, Naming, Protocol as From, Unit as Cut};
use ottoscope_learn::clean::{clean, counts};
use ottoscope_learn::file::{self, Made};
use ottoscope_learn::layers::Layout;
use ottoscope_learn::samples::Origin;
use ottoscope_learn::{Dataset, Samples};
use ottoscope_store::Study;

use super::args::{ClassBy, Depth as Bytes, Protocol, SamplesArgs, Unit};
use super::predict::layout;
use crate::account::{Step, Table, count, heads, print};
use crate::commands::query;
use crate::hint::{hinted, stored};
use crate::input;
use crate::learn::data::{ENDING, learned};
use crate::progress::ReadingBar;

/// Runs the verb.
pub(super) fn run(args: &SamplesArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    if args.output.extension().is_none_or(|ending| ending != ENDING) {
        return Err(hinted(
            format!("{} is no name for a file of samples", args.output.display()),
            format!("let it end in .{ENDING}; `learn idx` makes IDX of it"),
        ));
    }
    if args.captures.iter().any(|name| name == "-") {
        return Err(hinted("a capture's name is its class", "save it to a file and name that"));
    }
    let names = match (&args.study, args.class_by) {
        (Some(study), ClassBy::App) => Some(Apps::of(study)?),
        _ => None,
    };
    let mut step = Step::new("samples", "Samples");
    let mut taken = Taken::new(args, names);
    let config = Config {
        kind: match args.unit {
            Unit::Session => Kind::Session,
            Unit::Flow => Kind::Flow,
        },
        depth: match args.layers {
            Bytes::All => Depth::All,
            Bytes::L7 => Depth::Payload,
        },
        protocol: match args.protocol {
            Protocol::Honest => From::Honest,
            Protocol::Paper => From::Paper,
        },
        width: args.width as usize,
        packets: args.packets as usize,
        ..Config::default()
    };
    let inputs = input::inputs(&args.captures)?;
    let options = Options { stop: input::stop_flag(), progress: Arc::new(Progress::default()) };
    let bar = ReadingBar::show(Arc::clone(&options.progress));
    let summary =
        sample::run(&inputs, &options, &config, &mut |input, unit| taken.unit(input, &unit))
            .map_err(input::capture_error)?;
    drop(bar);
    if options.stop.load(Ordering::Relaxed) {
        return Err(anyhow::anyhow!("stopped before all captures were read"));
    }
    for (path, reason) in &summary.skipped {
        step.say(format!("{} is not read: {reason}", path.display()));
    }
    for capture in summary.captures.iter().filter(|capture| capture.truncated) {
        step.say(format!("{} ends inside a record", capture.path.display()));
    }
    let cut = summary.count;
    step.say(format!(
        "{} packets gave {} samples; {} packets belong to none, {} could not be read",
        count(cut.packets),
        count(cut.units),
        count(cut.outside),
        count(cut.unreadable)
    ));
    for (n, what) in [
        (cut.empty, "units without a byte"),
        (cut.duplicates, "units whose files equal another one's"),
        (taken.nameless, "units of flows that the study does not label"),
        (taken.beyond, "samples beyond --most"),
    ] {
        if n > 0 {
            step.say(format!("dropped: {} {what}", count(n)));
        }
    }
    if cut.evicted > 0 {
        step.say(format!(
            "{} units were handed over early, since too many were open",
            count(cut.evicted)
        ));
    }
    let mut samples = taken.samples(config.width)?;
    if !args.keep_duplicates && args.protocol == Protocol::Honest {
        let (rows, cleaned) = clean(&samples.data);
        step.say(format!(
            "dropped: {} of zeros alone, {} that equal another of their class, {} of another class",
            count(cleaned.empty as u64),
            count(cleaned.duplicates as u64),
            count(cleaned.conflicts as u64)
        ));
        samples = samples.only(&rows);
    }
    if samples.is_empty() {
        return Err(hinted(
            "no samples came of it",
            "a sample needs TCP, UDP or SCTP over IP, and payload with --layers l7",
        ));
    }
    let made = Made {
        kind: if args.unit == Unit::Session { "session" } else { "flow" }.to_owned(),
        depth: if args.layers == Bytes::All { "all" } else { "payload" }.to_owned(),
        protocol: if args.protocol == Protocol::Honest { "honest" } else { "paper" }.to_owned(),
        packets: args.packets as usize,
    };
    file::save(&samples, &made, &args.output).map_err(learned)?;
    let counts = counts(&samples.data);
    let mut rows: Vec<Vec<String>> = counts
        .classes
        .iter()
        .enumerate()
        .map(|(number, (class, n))| vec![number.to_string(), class.clone(), count(*n as u64)])
        .collect();
    rows.push(vec![String::new(), "sum".to_owned(), count(counts.sum as u64)]);
    step.tables.push(Table {
        caption: format!("{} (the OTT voice paper's tables 1 to 3)", args.output.display()),
        columns: heads(["number", "class", "samples"]),
        rows,
    });
    print::step(out, &step, false)?;
    Ok(ExitCode::SUCCESS)
}

/// Apps of a study's flows.
struct Apps {
    key: [u64; 2],
    of: HashMap<u64, String>,
}

impl Apps {
    fn of(study: &Path) -> anyhow::Result<Self> {
        let key = Study::open(study).map_err(stored)?.secret().map_err(stored)?.0.flow_key();
        let session = query::open(study)?;
        let rows = session
            .sql("SELECT flow, app FROM labelled_flows WHERE app IS NOT NULL")
            .map_err(query::question)?;
        let grid = rows.grid();
        let of = grid.rows.iter().filter_map(|row| match row.as_slice() {
            [Cell::Int(flow), app] => Some((u64::try_from(*flow).ok()?, app.text()?.to_owned())),
            _ => None,
        });
        Ok(Apps { key, of: of.collect() })
    }

    fn name(&self, unit: &Cut) -> Option<&str> {
        let FlowId(id) = unit.flow_id(self.key);
        self.of.get(&id).map(String::as_str)
    }
}

/// Samples so far.
struct Taken<'a> {
    args: &'a SamplesArgs,
    apps: Option<Apps>,
    data: Dataset,
    layouts: Vec<Layout>,
    origins: Vec<Origin>,
    number: HashMap<String, u16>,
    per_class: Vec<usize>,
    nameless: u64,
    beyond: u64,
    classes_full: bool,
}

impl<'a> Taken<'a> {
    fn new(args: &'a SamplesArgs, apps: Option<Apps>) -> Self {
        Taken {
            args,
            apps,
            data: Dataset::default(),
            layouts: Vec::new(),
            origins: Vec::new(),
            number: HashMap::new(),
            per_class: Vec::new(),
            nameless: 0,
            beyond: 0,
            classes_full: false,
        }
    }

    fn unit(&mut self, input: &Input, unit: &Cut) {
        let name = match (&self.apps, input) {
            (Some(apps), _) => apps.name(unit).map(str::to_owned),
            (None, Input::Path(path)) => Some(sample::label(
                path,
                match self.args.class_by {
                    ClassBy::Folder => Naming::Folder,
                    _ => Naming::Capture,
                },
            )),
            (None, _) => None,
        };
        let Some(name) = name else {
            self.nameless += 1;
            return;
        };
        let label = match self.number.get(&name) {
            Some(label) => *label,
            None => {
                let Ok(label) = u16::try_from(self.data.classes.len()) else {
                    self.classes_full = true;
                    return;
                };
                self.number.insert(name.clone(), label);
                self.data.classes.push(name);
                self.per_class.push(0);
                label
            }
        };
        let so_far = &mut self.per_class[usize::from(label)];
        if self.args.most.is_some_and(|most| *so_far >= most) {
            self.beyond += 1;
            return;
        }
        *so_far += 1;
        self.data.features.append(&mut unit.features(self.args.packets as usize));
        self.data.bytes.extend_from_slice(&unit.bytes);
        self.data.labels.push(label);
        self.layouts.push(layout(unit, self.args.protocol == Protocol::Paper));
        self.origins.push(Origin {
            capture: Some(unit.groups.capture),
            at: Some(unit.first.0 as f64 / 1e9),
            tuple: Some(unit.groups.tuple),
            hosts: Some(unit.groups.hosts),
            tunnel: (unit.groups.tunnel != 0).then_some(unit.groups.tunnel),
        });
    }

    fn samples(mut self, width: usize) -> anyhow::Result<Samples> {
        if self.classes_full {
            return Err(hinted(
                "more classes than labels have numbers for",
                "--class-by folder puts captures together",
            ));
        }
        self.data.width = width;
        Samples::new(self.data, self.layouts, self.origins).map_err(learned)
    }
}
