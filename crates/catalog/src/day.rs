//! Days and durations as the catalogue writes them.

use ottoscope_flow::{Span, Timestamp};

const DAY: i64 = 86_400;

/// When an entry held; both ends may be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Validity {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Validity {
    /// From `since` and `until`, the latter up to its last nanosecond.
    pub(crate) fn parse(since: Option<&str>, until: Option<&str>) -> Result<Self, String> {
        let read = |text: &str| {
            days(text)
                .ok_or_else(|| format!("`{text}` is not a day: write 2014, 2014-02 or 2014-02-22"))
        };
        let since =
            since.map(read).transpose()?.map(|(first, _)| Timestamp::from_parts(first * DAY, 0));
        let until = until
            .map(read)
            .transpose()?
            .map(|(_, after)| Timestamp(Timestamp::from_parts(after * DAY, 0).0.saturating_sub(1)));
        Ok(Validity { since, until })
    }

    pub(crate) fn holds(self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at <= until)
    }
}

/// First day and day after the last of a year, month or day, counted from 1970-01-01.
fn days(text: &str) -> Option<(i64, i64)> {
    let mut parts = text.split('-').map(|part| {
        part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<i64>().ok()).flatten()
    });
    let year = parts.next()??;
    let month = parts.next();
    let day = parts.next();
    if parts.next().is_some() || !(1970..=2200).contains(&year) {
        return None;
    }
    let Some(month) = month else {
        return Some((civil(year, 1, 1), civil(year + 1, 1, 1)));
    };
    let month = month.filter(|m| (1..=12).contains(m))?;
    let next_month = if month == 12 { civil(year + 1, 1, 1) } else { civil(year, month + 1, 1) };
    let Some(day) = day else {
        return Some((civil(year, month, 1), next_month));
    };
    let start = civil(year, month, day.filter(|d| *d >= 1)?);
    (start < next_month).then_some((start, start + 1))
}

/// Days from 1970-01-01 in the Gregorian calendar, years counted from March so that the leap
/// day comes last.
fn civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let shifted = (month + 9) % 12;
    365 * year + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (153 * shifted + 2) / 5
        + day
        - 1
        - 719_468
}

/// `90s`, `24m`, `3h`, `2d`.
///
/// # Errors
/// A sentence that says how to write one.
pub(crate) fn span(text: &str) -> Result<Span, String> {
    let error = || format!("`{text}` is not a duration: write 90s, 24m, 3h or 2d");
    let unit = match text.bytes().last() {
        Some(b's') => 1,
        Some(b'm') => 60,
        Some(b'h') => 3_600,
        Some(b'd') => DAY,
        _ => return Err(error()),
    };
    let digits = &text[..text.len() - 1];
    let count = digits
        .parse::<u32>()
        .ok()
        .filter(|_| digits.bytes().all(|b| b.is_ascii_digit()))
        .ok_or_else(error)?;
    i64::from(count)
        .checked_mul(unit)
        .and_then(|seconds| seconds.checked_mul(1_000_000_000))
        .map(Span)
        .ok_or_else(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_the_calendar_s() {
        let check = |text: &str, expected: Option<(i64, i64)>| {
            assert_eq!(days(text), expected, "{text}");
        };
        check("1970", Some((0, 365)));
        check("1970-01-01", Some((0, 1)));
        check("2000-02", Some((10_988, 11_017)));
        check("2014-02-22", Some((16_123, 16_124)));
        check("2016-12", Some((17_136, 17_167)));
        check("2015-02-29", None);
        check("2016-02-29", Some((16_860, 16_861)));
        check("2014-13", None);
        check("14", None);
        check("2014-2-2-2", None);
        check("+2014", None);
        check("", None);
    }

    #[test]
    fn an_open_end_always_holds() {
        let v = Validity::parse(Some("2014-02"), None).unwrap();
        assert!(!v.holds(Timestamp::from_parts(16_101 * DAY, 0)));
        assert!(v.holds(Timestamp::from_parts(16_102 * DAY, 0)));
        let v = Validity::parse(None, Some("2014-02-22")).unwrap();
        assert!(v.holds(Timestamp::from_parts(16_124 * DAY - 1, 999_999_999)));
        assert!(!v.holds(Timestamp::from_parts(16_124 * DAY, 0)));
    }

    #[test]
    fn durations() {
        assert_eq!(span("24m").unwrap(), Span::from_seconds(1_440));
        assert_eq!(span("3h").unwrap(), Span::from_seconds(10_800));
        for bad in ["", "m", "24", "-3m", "+3m", "3 m", "4294967296s", "3µ"] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }
}
