//! Durations, sizes and prefixes as people write them.

use std::fmt;
use std::str::FromStr;

use ottoscope_flow::{Prefix, Span};
use serde::{Deserialize, Serialize};

/// A positive time, written as `30m`, `1h30m`, `90s` or `250ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Period(pub Span);

/// A number of bytes, written as `16MiB`, `64KiB`, `1GiB` or `784`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Number", into = "String")]
pub struct Size(pub u64);

/// An address prefix, as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientPrefix {
    text: String,
    /// The prefix.
    pub prefix: Prefix,
}

/// Text that is none of the above.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}")]
pub struct UnitError {
    text: String,
    what: &'static str,
}

impl Period {
    /// Of whole seconds.
    pub const fn from_seconds(seconds: i64) -> Self {
        Period(Span::from_seconds(seconds))
    }
}

/// Largest first; the one that divides a value is what it is written in.
const PERIODS: &[(&str, i64)] = &[
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

impl FromStr for Period {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let what = "a time such as 30m, 1h30m, 90s or 250ms";
        let error = || UnitError { text: text.to_owned(), what };
        let (mut rest, mut total) = (text.trim(), 0i64);
        while !rest.is_empty() {
            let (digits, tail) = split(rest, |c| c.is_ascii_digit());
            let (unit, tail) = split(tail, |c| c.is_ascii_alphabetic());
            let count: i64 = digits.parse().map_err(|_| error())?;
            let (_, nanos) = PERIODS.iter().find(|(u, _)| *u == unit).ok_or_else(error)?;
            let part = count.checked_mul(*nanos).ok_or_else(error)?;
            total = total.checked_add(part).ok_or_else(error)?;
            rest = tail.trim_start();
        }
        if total > 0 { Ok(Period(Span(total))) } else { Err(error()) }
    }
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.0;
        let (unit, size) = PERIODS.iter().find(|(_, size)| nanos % size == 0).unwrap_or(&("ns", 1));
        write!(f, "{}{unit}", nanos / size)
    }
}

const SIZES: &[(&str, u64)] = &[("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("", 1)];

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let what = "a size in bytes such as 784, 64KiB or 1GiB";
        let error = || UnitError { text: text.to_owned(), what };
        let (digits, unit) = split(text.trim(), |c| c.is_ascii_digit());
        let count: u64 = digits.parse().map_err(|_| error())?;
        let unit = unit.trim();
        let (_, size) = SIZES.iter().find(|(u, _)| *u == unit).ok_or_else(error)?;
        count.checked_mul(*size).map(Size).ok_or_else(error)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |size: u64| self.0 > 0 && self.0.is_multiple_of(size);
        let (unit, size) = SIZES.iter().find(|(_, size)| fits(*size)).unwrap_or(&("", 1));
        write!(f, "{}{unit}", self.0 / size)
    }
}

/// A size may be a bare number in TOML.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a size in bytes such as 784, \"64KiB\" or \"1GiB\"")]
pub(super) enum Number {
    Bytes(u64),
    Text(String),
}

impl TryFrom<Number> for Size {
    type Error = UnitError;
    fn try_from(number: Number) -> Result<Self, UnitError> {
        match number {
            Number::Bytes(bytes) => Ok(Size(bytes)),
            Number::Text(text) => text.parse(),
        }
    }
}

impl From<Size> for String {
    fn from(size: Size) -> String {
        size.to_string()
    }
}

impl TryFrom<String> for Period {
    type Error = UnitError;
    fn try_from(text: String) -> Result<Self, UnitError> {
        text.parse()
    }
}

impl From<Period> for String {
    fn from(period: Period) -> String {
        period.to_string()
    }
}

impl TryFrom<String> for ClientPrefix {
    type Error = ottoscope_flow::config::PrefixError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let prefix = text.parse()?;
        Ok(ClientPrefix { text, prefix })
    }
}

impl From<ClientPrefix> for String {
    fn from(prefix: ClientPrefix) -> String {
        prefix.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods() {
        let check = |text: &str, nanos: i64, shown: &str| {
            let period: Period = text.parse().unwrap();
            assert_eq!(period.0, Span(nanos), "{text}");
            assert_eq!(period.to_string(), shown);
            assert_eq!(shown.parse::<Period>().unwrap(), period);
        };
        check("30m", 1_800_000_000_000, "30m");
        check("1h30m", 5_400_000_000_000, "90m");
        check(" 1h 30m ", 5_400_000_000_000, "90m");
        check("60s", 60_000_000_000, "1m");
        check("250ms", 250_000_000, "250ms");
        check("1s1ns", 1_000_000_001, "1000000001ns");
        for bad in ["", "0s", "30", "m", "-5m", "5 minutes", "1.5h", "99999999999999d", "1d é"] {
            assert!(bad.parse::<Period>().is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        let check = |text: &str, bytes: u64, shown: &str| {
            let size: Size = text.parse().unwrap();
            assert_eq!((size.0, size.to_string().as_str()), (bytes, shown));
        };
        check("784", 784, "784");
        check("0", 0, "0");
        check("64KiB", 65_536, "64KiB");
        check("1024 MiB", 1 << 30, "1GiB");
        for bad in ["", "KiB", "5MB", "-1", "99999999999GiB"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }
}
