//! The lab's table: which task was done when, on which device.

use std::fmt::Write as _;

use serde::{Serialize, Serializer};

/// One task of a controlled experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Experiment {
    /// The capture that holds it; whoever writes the capture may put its file name here.
    pub capture: String,
    /// The device.
    pub device: String,
    /// The app's version.
    pub version: String,
    /// What was done.
    pub task: String,
    /// From when, nanoseconds since 1970 UTC; RFC 3339 in files.
    #[serde(serialize_with = "rfc3339")]
    pub start: i64,
    /// Until when.
    #[serde(serialize_with = "rfc3339")]
    pub end: i64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn rfc3339<S: Serializer>(nanos: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&instant(*nanos))
}

/// The table as TOML: one `[[experiment]]` each, times as TOML date-times in UTC.
pub fn to_toml(experiments: &[Experiment]) -> String {
    let mut out = String::new();
    for (index, experiment) in experiments.iter().enumerate() {
        let Experiment { capture, device, version, task, start, end } = experiment;
        let gap = if index == 0 { "" } else { "\n" };
        let texts =
            [("capture", capture), ("device", device), ("version", version), ("task", task)];
        let _ = writeln!(out, "{gap}[[experiment]]"); // a String takes everything
        for (name, text) in texts {
            let _ = writeln!(out, "{name} = {}", toml::Value::String(text.clone()));
        }
        let _ = writeln!(out, "start = {}\nend = {}", instant(*start), instant(*end));
    }
    out
}

/// RFC 3339 in UTC with nine digits of fraction.
fn instant(nanos: i64) -> String {
    let (seconds, fraction) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
    let (days, clock) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // A civil date from days since 1970, years beginning in March.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day = shifted.rem_euclid(146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}.{fraction:09}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_dates() {
        let check = |nanos: i64, expected: &str| assert_eq!(instant(nanos), expected);
        check(0, "1970-01-01T00:00:00.000000000Z");
        check(951_825_600_000_000_001, "2000-02-29T12:00:00.000000001Z");
        check(1_392_750_000_500_000_000, "2014-02-18T19:00:00.500000000Z");
        check(1_383_264_000_000_000_000, "2013-11-01T00:00:00.000000000Z");
        check(-1, "1969-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn the_table_is_toml() {
        let experiment = |task: &str| Experiment {
            capture: "w-tcp.pcap".to_owned(),
            device: "android".to_owned(),
            version: "5.0".to_owned(),
            task: task.to_owned(),
            start: 1_383_264_000_000_000_000,
            end: 1_383_264_015_250_000_000,
        };
        let text = to_toml(&[experiment("send picture"), experiment("a \"quoted\" task")]);
        assert!(text.starts_with(
            "[[experiment]]\ncapture = \"w-tcp.pcap\"\ndevice = \"android\"\nversion = \"5.0\"\n\
             task = \"send picture\"\nstart = 2013-11-01T00:00:00.000000000Z\n\
             end = 2013-11-01T00:00:15.250000000Z\n\n[[experiment]]\n"
        ));
        let table: toml::Table = toml::from_str(&text).unwrap();
        let rows = table["experiment"].as_array().unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[1]["task"].as_str(), Some("a \"quoted\" task"));
        assert!(rows[1]["start"].as_datetime().is_some());
    }
}
