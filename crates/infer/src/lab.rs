//! Controlled experiments as data: who did what, when, in which capture (the ChatDissect paper,
//! II-B).
//!
//! As TOML, one `[[experiment]]` each, or as CSV with the same words as its header. Times are
//! RFC 3339, seconds since 1970, or `+12.5`: seconds since the first packet of the experiment's
//! capture.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ottoscope_flow::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// A laboratory's notes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lab {
    /// What was done, in any order.
    #[serde(default, rename = "experiment")]
    pub experiments: Vec<Experiment>,
}

/// One task done once.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// The capture's file name, with or without folders; any where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture: Option<String>,
    /// The phone, in any words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The phone's address, where captures hold several; any where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<IpAddr>,
    /// Version of the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What was done: `send picture`.
    pub task: String,
    /// When it began.
    #[serde(deserialize_with = "words")]
    pub start: String,
    /// When it was over.
    #[serde(deserialize_with = "words")]
    pub end: String,
}

/// TOML's dates and numbers as they are written.
fn words<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let wrong = "a time is a date, a number of seconds, or text";
    match toml::Value::deserialize(deserializer)? {
        toml::Value::String(text) => Ok(text),
        toml::Value::Datetime(at) if at.time.is_some() && at.offset.is_none() => {
            Ok(format!("{at}Z"))
        }
        toml::Value::Datetime(at) => Ok(at.to_string()),
        toml::Value::Integer(seconds) => Ok(seconds.to_string()),
        toml::Value::Float(seconds) => Ok(seconds.to_string()),
        _ => Err(serde::de::Error::custom(wrong)),
    }
}

/// Why notes can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// Nothing was done.
    #[error("there is no experiment in it")]
    Empty,
    /// It is not the TOML that was expected.
    #[error("{0}")]
    Toml(String),
    /// A line of the CSV can't be read.
    #[error("line {line}: {what}")]
    Csv {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A time can't be read, or an experiment ends before it begins.
    #[error("experiment {number} (`{task}`): {what}")]
    Time {
        /// Counted from 1.
        number: usize,
        /// Its task.
        task: String,
        /// What is wrong.
        what: String,
    },
    /// An experiment names a capture that is not among those read.
    #[error("experiment {number} (`{task}`) is in `{capture}`, which is not among the captures")]
    Capture {
        /// Counted from 1.
        number: usize,
        /// Its task.
        task: String,
        /// What it names.
        capture: String,
    },
}

/// An experiment on the time line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interval {
    /// What was done.
    pub task: String,
    /// The phone.
    pub device: Option<String>,
    /// The app's version.
    pub version: Option<String>,
    /// Only this client's packets.
    pub client: Option<IpAddr>,
    /// Its first moment.
    pub start: Timestamp,
    /// The moment after its last.
    pub end: Timestamp,
}

impl Interval {
    /// Whether a packet of `client` at `at` belongs to it.
    pub fn holds(&self, client: IpAddr, at: Timestamp) -> bool {
        self.start <= at && at < self.end && self.client.is_none_or(|c| c == client)
    }
}

const COLUMNS: [&str; 7] = ["capture", "device", "client", "version", "task", "start", "end"];

impl Lab {
    /// Reads TOML, or CSV where the first line names columns.
    ///
    /// # Errors
    /// See [`LabError`]; notes without any experiment are one.
    pub fn parse(text: &str) -> Result<Self, LabError> {
        // Spreadsheets mark their UTF-8.
        let text = text.trim_start_matches('\u{feff}');
        let first =
            text.lines().find(|l| !l.trim().is_empty() && !l.starts_with('#')).unwrap_or_default();
        let lab = if first.contains(',') && !first.contains('=') && !first.starts_with('[') {
            Lab { experiments: csv(text)? }
        } else {
            toml::from_str(text).map_err(|e| LabError::Toml(e.to_string()))?
        };
        if lab.experiments.is_empty() { Err(LabError::Empty) } else { Ok(lab) }
    }

    /// Whether notes name captures or count from their first packets, so that
    /// [`Lab::intervals`] must be told of them.
    pub fn needs_captures(&self) -> bool {
        let counts = |time: &str| time.trim_start().starts_with('+');
        self.experiments.iter().any(|e| e.capture.is_some() || counts(&e.start) || counts(&e.end))
    }

    /// The experiments on the time line, by their start. `captures` are the files that were read,
    /// each with the time of its first packet.
    ///
    /// # Errors
    /// See [`LabError`].
    pub fn intervals(&self, captures: &[(String, Timestamp)]) -> Result<Vec<Interval>, LabError> {
        let mut intervals = Vec::with_capacity(self.experiments.len());
        for (index, experiment) in self.experiments.iter().enumerate() {
            let (number, task) = (index + 1, experiment.task.clone());
            let base = match &experiment.capture {
                None => captures.iter().map(|(_, first)| *first).min(),
                Some(name) => match captures.iter().find(|(path, _)| is_file(path, name)) {
                    Some((_, first)) => Some(*first),
                    None => {
                        return Err(LabError::Capture { number, task, capture: name.clone() });
                    }
                },
            };
            let time = |text: &str| {
                time(text, base).map_err(|what| LabError::Time { number, task: task.clone(), what })
            };
            let (start, end) = (time(&experiment.start)?, time(&experiment.end)?);
            if end <= start {
                let what = "it ends before it begins".to_owned();
                return Err(LabError::Time { number, task, what });
            }
            intervals.push(Interval {
                task,
                device: experiment.device.clone(),
                version: experiment.version.clone(),
                client: experiment.client,
                start,
                end,
            });
        }
        intervals.sort_by_key(|interval| (interval.start, interval.end));
        Ok(intervals)
    }
}

/// Whether `path` is the file that `name` means: the same, or with folders before it.
fn is_file(path: &str, name: &str) -> bool {
    path.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with(['/', '\\']))
}

fn time(text: &str, base: Option<Timestamp>) -> Result<Timestamp, String> {
    let text = text.trim();
    let wrong = || format!("`{text}` is no time such as 2013-11-01T08:00:00Z, 1383292800 or +12.5");
    let nanoseconds = |text: &str| {
        let seconds: f64 = text.trim_end_matches('s').parse().map_err(|_| wrong())?;
        if seconds.is_finite() && seconds.abs() < 9e9 {
            Ok((seconds * 1e9).round() as i64)
        } else {
            Err(wrong())
        }
    };
    if let Some(after) = text.strip_prefix('+') {
        let base = base.ok_or_else(|| format!("`{text}` counts from a capture without packets"))?;
        return Ok(base + Span(nanoseconds(after)?));
    }
    if text.parse::<f64>().is_ok() {
        return nanoseconds(text).map(Timestamp);
    }
    let at = chrono::DateTime::parse_from_rfc3339(text).map_err(|_| wrong())?;
    at.timestamp_nanos_opt().map(Timestamp).ok_or_else(wrong)
}

/// RFC 4180 as far as notes need it: quotes, and quotes within them doubled, on one line.
fn csv(text: &str) -> Result<Vec<Experiment>, LabError> {
    let mut header: Option<Vec<String>> = None;
    let mut experiments = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        let wrong = |what: String| LabError::Csv { line: line_number, what };
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let cells = cells(line).ok_or_else(|| wrong("a quote is not closed".to_owned()))?;
        let Some(names) = &header else {
            if let Some(name) = cells.iter().find(|name| !COLUMNS.contains(&name.as_str())) {
                let known = COLUMNS.join(", ");
                return Err(wrong(format!("there is no column `{name}`; there are {known}")));
            }
            header = Some(cells);
            continue;
        };
        if cells.len() != names.len() {
            let (have, need) = (cells.len(), names.len());
            return Err(wrong(format!("{have} cells under {need} columns")));
        }
        let mut row: BTreeMap<&str, &str> =
            names.iter().map(String::as_str).zip(cells.iter().map(String::as_str)).collect();
        row.retain(|_, cell| !cell.is_empty());
        let optional = |name: &str| row.get(name).map(|cell| (*cell).to_owned());
        let needed = |name: &str| optional(name).ok_or_else(|| wrong(format!("has no `{name}`")));
        let client = match row.get("client") {
            Some(text) => Some(text.parse().map_err(|_| wrong(format!("`{text}` is no address")))?),
            None => None,
        };
        experiments.push(Experiment {
            capture: optional("capture"),
            device: optional("device"),
            client,
            version: optional("version"),
            task: needed("task")?,
            start: needed("start")?,
            end: needed("end")?,
        });
    }
    Ok(experiments)
}

fn cells(line: &str) -> Option<Vec<String>> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell).trim().to_owned()),
            c => cell.push(c),
        }
    }
    cells.push(cell.trim().to_owned());
    (!quoted).then_some(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captures() -> Vec<(String, Timestamp)> {
        vec![
            ("lab/a.pcap".to_owned(), Timestamp::from_parts(1000, 0)),
            ("lab/b.pcap".to_owned(), Timestamp::from_parts(5000, 0)),
        ]
    }

    fn starts(text: &str) -> Result<Vec<(String, i64)>, LabError> {
        let intervals = Lab::parse(text)?.intervals(&captures())?;
        Ok(intervals.into_iter().map(|i| (i.task, i.start.0 / 1_000_000)).collect())
    }

    #[test]
    fn toml_and_csv_say_the_same() {
        let toml = "[[experiment]]\ncapture = 'b.pcap'\ntask = 'send text'\nstart = '+1.5'\n\
                    end = '+3'\n[[experiment]]\ndevice = 'a, b'\ntask = 'call'\n\
                    start = 1970-01-01T00:16:41Z\nend = 1002\n";
        let csv = "# lab\ncapture,device,task,start,end\nb.pcap,,send text,+1.5,+3\n\
                   ,\"a, b\",call,1970-01-01T00:16:41Z,1002\n";
        let expected = vec![("call".to_owned(), 1_001_000), ("send text".to_owned(), 5_001_500)];
        assert_eq!(starts(toml), Ok(expected.clone()));
        assert_eq!(starts(&format!("\u{feff}{csv}")), Ok(expected.clone()));
        assert_eq!(starts(csv), Ok(expected));
        assert_eq!(Lab::parse(csv).unwrap().experiments[1].device.as_deref(), Some("a, b"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let check = |text: &str, expected: &str| {
            let error = starts(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("", "no experiment");
        check("task,start,end\n", "no experiment");
        check("task,begin\n", "no column `begin`");
        check("task,start,end\ncall,1\n", "line 2: 2 cells under 3 columns");
        check("task,start,end\n,1,2\n", "has no `task`");
        check("task,start,end\ncall,\"1,2\n", "quote");
        check("[[experiment]]\ntask = 'call'\nstart = 'noon'\nend = '2'\n", "`noon` is no time");
        check("[[experiment]]\ntask = 'call'\nstart = '3'\nend = '2'\n", "before it begins");
        check("[[experiment]]\ntask = 'call'\nstart = '3'\n", "end");
        check(
            "[[experiment]]\ncapture = 'c.pcap'\ntask = 'x'\nstart = '3'\nend = '4'\n",
            "not among the captures",
        );
    }

    #[test]
    fn an_interval_holds_its_clients_packets() {
        let lab = Lab::parse("client,task,start,end\n10.0.0.1,x,1,2\n").unwrap();
        let interval = &lab.intervals(&captures()).unwrap()[0];
        let [phone, other] = ["10.0.0.1", "10.0.0.2"].map(|a| a.parse::<IpAddr>().unwrap());
        assert!(interval.holds(phone, Timestamp::from_parts(1, 0)));
        assert!(!interval.holds(phone, Timestamp::from_parts(2, 0)));
        assert!(!interval.holds(other, Timestamp::from_parts(1, 0)));
    }
}
