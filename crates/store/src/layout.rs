//! Where things lie in a study folder.

use std::fmt;
use std::path::{Path, PathBuf};

use ottoscope_flow::Timestamp;

/// Seconds in an hour.
const HOUR: i64 = 3_600;
/// 2200-01-01, in days since the epoch.
const END_DAYS: i64 = 84_006;

/// An hour of a table, in hours since the epoch.
///
/// Hostile captures hold any time; folders do not: only hours from 1970-01-01 to 2199-12-31
/// exist, and rows from elsewhere are filed under the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(u32);

impl Partition {
    /// Where rows without a sane hour are filed.
    pub const ODD: Partition = Partition(0);

    /// The hour of `at`.
    pub fn of(at: Timestamp) -> Self {
        let hour = at.seconds().div_euclid(HOUR);
        if (0..END_DAYS * 24).contains(&hour) { Partition(hour as u32) } else { Self::ODD }
    }

    /// Reads `date=YYYY-MM-DD` and `hour=HH`.
    pub fn parse(date: &str, hour: &str) -> Option<Self> {
        let mut parts = date.strip_prefix("date=")?.splitn(3, '-');
        let (y, m, d) = (parts.next()?, parts.next()?, parts.next()?);
        let (y, m, d): (i64, i64, i64) = (y.parse().ok()?, m.parse().ok()?, d.parse().ok()?);
        let hour: i64 = hour.strip_prefix("hour=")?.parse().ok()?;
        let in_range = (1970..2200).contains(&y)
            && (1..=12).contains(&m)
            && (1..=31).contains(&d)
            && (0..24).contains(&hour);
        in_range.then(|| Partition((days_from_civil(y, m, d) * 24 + hour) as u32))
    }

    /// The first instant of the hour.
    pub fn start(self) -> Timestamp {
        Timestamp::from_parts(i64::from(self.0) * HOUR, 0)
    }

    /// The folder below the table's: `date=YYYY-MM-DD/hour=HH`.
    pub fn folder(self) -> PathBuf {
        PathBuf::from(self.to_string())
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (y, m, d) = civil_from_days(i64::from(self.0) / 24);
        write!(f, "date={y:04}-{m:02}-{d:02}/hour={:02}", self.0 % 24)
    }
}

/// Howard Hinnant, "chrono-compatible low-level date algorithms": proleptic Gregorian, days
/// since 1970-01-01.
fn days_from_civil(y: i64, m: i64, d: i64) -> i64 {
    let y = if m <= 2 { y - 1 } else { y };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * (if m > 2 { m - 3 } else { m + 9 }) + 2) / 5 + d - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let m = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(m <= 2), m, doy - (153 * mp + 2) / 5 + 1)
}

/// `YYYYMMDDThhmmssZ`, as run ids begin.
pub(crate) fn compact_utc(at: Timestamp) -> String {
    let seconds = at.seconds();
    let (y, m, d) = civil_from_days(seconds.div_euclid(86_400));
    let s = seconds.rem_euclid(86_400);
    format!("{y:04}{m:02}{d:02}T{:02}{:02}{:02}Z", s / 3_600, s / 60 % 60, s % 60)
}

/// Text reduced to what may be in a file name: letters, digits, `.` and `_`; anything else,
/// also `-`, which separates the pieces of a part's name, becomes `_`. At most 40 characters.
pub(crate) fn file_word(text: &str) -> String {
    let fold = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' };
    let word: String = text.chars().take(40).map(fold).collect();
    let word = word.trim_start_matches('.');
    if word.is_empty() { "_".to_owned() } else { word.to_owned() }
}

/// Who writes a part: `<host>-<run>-<worker>` begins its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartNames {
    stem: String,
    worker: u32,
}

impl PartNames {
    /// Names for one worker of one run on one host. `host` and `run` may be any text.
    pub fn new(host: &str, run: &str, worker: u32) -> Self {
        PartNames { stem: format!("{}-{}", file_word(host), file_word(run)), worker }
    }

    /// Names for another worker of the same run.
    pub(crate) fn of_worker(&self, worker: u32) -> Self {
        PartNames { worker, ..self.clone() }
    }

    /// The name of the part number `n`.
    pub(crate) fn part(&self, n: u64) -> String {
        format!("{}-{}-{n}.parquet", self.stem, self.worker)
    }
}

/// The run that wrote a part, by its file name.
pub(crate) fn run_of_part(path: &Path) -> Option<&str> {
    path.file_stem()?.to_str()?.split('-').nth(1)
}

/// Folder of all tables below a study.
pub const TABLES: &str = "tables";
/// What the name of an unfinished file ends in.
pub(crate) const UNFINISHED: &str = "tmp";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_have_folders() {
        let check = |seconds: i64, expected: &str| {
            let partition = Partition::of(Timestamp::from_parts(seconds, 999_999_999));
            assert_eq!(partition.to_string(), expected);
            let (date, hour) = expected.split_once('/').unwrap();
            assert_eq!(Partition::parse(date, hour), Some(partition));
        };
        check(0, "date=1970-01-01/hour=00");
        check(1_383_264_000, "date=2013-11-01/hour=00");
        check(1_383_264_000 + 8 * 3600 + 3599, "date=2013-11-01/hour=08");
        check(951_782_400, "date=2000-02-29/hour=00");
        check(951_868_800, "date=2000-03-01/hour=00");
        check(7_258_118_399, "date=2199-12-31/hour=23");
        check(7_258_118_400, "date=1970-01-01/hour=00");
        check(-1, "date=1970-01-01/hour=00");
        check(i64::MAX / 1_000_000_000, "date=1970-01-01/hour=00");
        check(i64::MIN / 1_000_000_000, "date=1970-01-01/hour=00");
        assert_eq!(Partition::parse("date=2200-01-01", "hour=00"), None);
        assert_eq!(Partition::parse("date=2013-13-01", "hour=00"), None);
        assert_eq!(Partition::parse("day=2013-11-01", "hour=00"), None);
        assert_eq!(Partition::parse("date=2013-11-01", "hour=24"), None);
    }

    #[test]
    fn every_day_survives_the_round_trip() {
        for day in 0..END_DAYS {
            let (y, m, d) = civil_from_days(day);
            assert_eq!(days_from_civil(y, m, d), day);
        }
    }

    #[test]
    fn names_tell_their_run() {
        let names = PartNames::new("host-7.lan/..", "20131101T080000Z", 3);
        let part = names.part(12);
        assert_eq!(part, "host_7.lan_..-20131101T080000Z-3-12.parquet");
        assert_eq!(run_of_part(Path::new(&part)), Some("20131101T080000Z"));
        assert_eq!(file_word("../x"), "_x");
        assert_eq!(file_word(""), "_");
        assert_eq!(compact_utc(Timestamp::from_parts(1_383_264_000, 5)), "20131101T000000Z");
    }
}
