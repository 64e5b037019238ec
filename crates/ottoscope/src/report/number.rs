//! Numbers as people read them.

use ottoscope_analysis::grid::{Cell, Unit};

use super::text::visible;

/// Between the groups of a long number and before units: narrow, never broken at.
const THIN: char = '\u{202f}';

/// A cell in its unit; nothing for null.
pub(crate) fn cell(cell: &Cell, unit: Unit) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Text(text) => visible(text),
        Cell::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Cell::Time(ns) => time(*ns as f64 / 1e9),
        Cell::Int(n) if unit == Unit::Count => grouped(*n),
        Cell::Int(n) => value(*n as f64, unit),
        Cell::Real(x) => value(*x, unit),
    }
}

/// A number in its unit.
pub(crate) fn value(x: f64, unit: Unit) -> String {
    if !x.is_finite() {
        return String::new();
    }
    match unit {
        Unit::Bytes => scaled(x, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB"]),
        Unit::BitRate => scaled(x, 1000.0, &["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"]),
        Unit::Share => share(x),
        Unit::Seconds => duration(x),
        Unit::Milliseconds => format!("{}{THIN}ms", digits(x)),
        Unit::Time => time(x),
        Unit::Count | Unit::Text if x.fract() == 0.0 && x.abs() < 1e15 => grouped(x as i128),
        Unit::Count | Unit::Text => digits(x),
    }
}

/// A whole number in groups of three; four digits stay together.
pub(crate) fn grouped(n: i128) -> String {
    let plain = n.unsigned_abs().to_string();
    let mut text = String::with_capacity(plain.len() * 2);
    if n < 0 {
        text.push('−');
    }
    for (i, digit) in plain.chars().enumerate() {
        if i > 0 && plain.len() > 4 && (plain.len() - i).is_multiple_of(3) {
            text.push(THIN);
        }
        text.push(digit);
    }
    text
}

/// Three significant digits, without an exponent between a thousandth and a billion.
fn digits(x: f64) -> String {
    let size = x.abs();
    if size == 0.0 {
        "0".to_owned()
    } else if !(1e-3..1e9).contains(&size) {
        format!("{x:.2e}")
    } else if size >= 99.95 {
        grouped(x.round() as i128)
    } else if size >= 9.995 {
        trim(format!("{x:.1}"))
    } else if size >= 0.9995 {
        trim(format!("{x:.2}"))
    } else {
        trim(format!("{x:.3}"))
    }
}

/// Drops zeros after the point.
fn trim(text: String) -> String {
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn scaled(x: f64, step: f64, units: &[&str]) -> String {
    let mut x = x;
    let mut unit = 0;
    // 999.5 would be written as 1000.
    while x.abs() >= step * 0.9995 && unit + 1 < units.len() {
        x /= step;
        unit += 1;
    }
    let number = if unit == 0 { trim(format!("{x:.0}")) } else { digits(x) };
    format!("{number}{THIN}{}", units[unit])
}

/// A number beside a tick: as short as it can be.
pub(crate) fn tick(x: f64, unit: Unit) -> String {
    match unit {
        Unit::Share => format!("{}{THIN}%", digits((x * 1e6).round() / 1e4)),
        _ => value(x, unit),
    }
}

/// A large number in three digits, for a headline.
pub(crate) fn headline(x: f64) -> String {
    if x.abs() < 1e6 {
        return grouped(x.round() as i128);
    }
    scaled(x, 1000.0, &["", "k", "M", "G", "T"])
}

fn share(x: f64) -> String {
    let percent = x * 100.0;
    if percent == 0.0 {
        format!("0{THIN}%")
    } else if percent < 0.1 {
        format!("<{THIN}0.1{THIN}%")
    } else if (99.95..100.0).contains(&percent) {
        format!(">{THIN}99.9{THIN}%")
    } else if percent >= 99.95 {
        format!("{percent:.0}{THIN}%")
    } else {
        format!("{percent:.1}{THIN}%")
    }
}

/// A span of time, in the two largest units that say something.
pub(crate) fn duration(seconds: f64) -> String {
    let size = seconds.abs();
    if size == 0.0 {
        return format!("0{THIN}s");
    }
    if size < 0.9995 {
        return match size {
            s if s < 0.9995e-3 => format!("{}{THIN}µs", digits(seconds * 1e6)),
            _ => format!("{}{THIN}ms", digits(seconds * 1e3)),
        };
    }
    if size < 59.95 {
        return format!("{}{THIN}s", digits(seconds));
    }
    let whole = seconds.round() as i64;
    let (days, hours) = (whole / 86_400, whole / 3600 % 24);
    let (minutes, rest) = (whole / 60 % 60, whole % 60);
    let pair = |a: i64, x: &str, b: i64, y: &str| match b {
        0 => format!("{a}{THIN}{x}"),
        _ => format!("{a}{THIN}{x} {b}{THIN}{y}"),
    };
    if days > 0 {
        pair(days, "d", hours, "h")
    } else if hours > 0 {
        pair(hours, "h", minutes, "min")
    } else {
        pair(minutes, "min", rest, "s")
    }
}

/// Year, month, day, hour, minute, second in UTC of seconds since the epoch.
pub(crate) fn civil(seconds: f64) -> [i64; 6] {
    let whole = seconds.floor().clamp(-9.3e9, 9.3e9) as i64;
    let (days, second) = (whole.div_euclid(86_400), whole.rem_euclid(86_400));
    // Days to a Gregorian date, counted in 400-year eras that begin on the first of March, as
    // Howard Hinnant derives it ("chrono-compatible low-level date algorithms").
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    [
        year + era * 400 + i64::from(month <= 2),
        month,
        day,
        second / 3600,
        second / 60 % 60,
        second % 60,
    ]
}

/// Seconds since the epoch at the start of a month in UTC; months count on from January of year
/// 0, so that adding to them steps through the calendar.
pub(crate) fn month_start(months: i64) -> f64 {
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
    // The inverse of the above.
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    days as f64 * 86_400.0
}

/// A moment in UTC, to the second.
pub(crate) fn time(seconds: f64) -> String {
    let [year, month, day, hour, minute, second] = civil(seconds);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(x: f64, unit: Unit) -> String {
        value(x, unit).replace(THIN, " ")
    }

    #[test]
    fn values_read_as_people_write_them() {
        for (x, unit, expected) in [
            (0.0, Unit::Bytes, "0 B"),
            (999.0, Unit::Bytes, "999 B"),
            (999.7, Unit::Bytes, "1 kB"),
            (6700.0, Unit::Bytes, "6.7 kB"),
            (225_400.0, Unit::Bytes, "225 kB"),
            (184.84e9, Unit::Bytes, "185 GB"),
            (1.5e6, Unit::BitRate, "1.5 Mbit/s"),
            (0.4946, Unit::Share, "49.5 %"),
            (0.0, Unit::Share, "0 %"),
            (0.0004, Unit::Share, "< 0.1 %"),
            (0.9999, Unit::Share, "> 99.9 %"),
            (1.0, Unit::Share, "100 %"),
            (1020.0, Unit::Seconds, "17 min"),
            (0.25, Unit::Seconds, "250 ms"),
            (0.000_25, Unit::Seconds, "250 µs"),
            (59.0, Unit::Seconds, "59 s"),
            (90_000.0, Unit::Seconds, "1 d 1 h"),
            (106.4, Unit::Milliseconds, "106 ms"),
            (1234.0, Unit::Count, "1234"),
            (154_916.0, Unit::Count, "154 916"),
            (12.345, Unit::Count, "12.3"),
            (f64::NAN, Unit::Count, ""),
            (1_383_292_800.0, Unit::Time, "2013-11-01 08:00:00"),
            (-1.0, Unit::Time, "1969-12-31 23:59:59"),
            (1_709_164_800.0, Unit::Time, "2024-02-29 00:00:00"),
        ] {
            assert_eq!(plain(x, unit), expected, "{x}");
        }
        assert_eq!(tick(0.2, Unit::Share).replace(THIN, " "), "20 %");
        assert_eq!(headline(29_902_270.0).replace(THIN, " "), "29.9 M");
        assert_eq!(headline(50_000.0).replace(THIN, " "), "50 000");
        for (year, month) in [(1970, 1), (2014, 2), (2000, 3), (1969, 12), (2200, 2)] {
            let start = month_start(year * 12 + month - 1);
            assert_eq!(civil(start), [year, month, 1, 0, 0, 0]);
        }
        assert_eq!(grouped(-1_234_567).replace(THIN, " "), "−1 234 567");
    }

    #[test]
    fn any_number_has_a_text() {
        for unit in
            [Unit::Count, Unit::Bytes, Unit::Share, Unit::Seconds, Unit::BitRate, Unit::Time]
        {
            for x in [f64::MAX, f64::MIN, f64::MIN_POSITIVE, f64::INFINITY, -0.0, 1e18] {
                let _ = value(x, unit);
            }
        }
        assert!(!cell(&Cell::Int(i128::MAX), Unit::Bytes).is_empty());
    }
}
