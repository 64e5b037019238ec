//! Timestamps: values that run with the capture's clock.

use super::Kind;
use super::finding::{Finding, percent};
use super::table::{Column, Spread, Table};

/// Units that are counted since 1970, with units per second.
const UNIX: &[(&str, f64)] =
    &[("seconds", 1.0), ("milliseconds", 1e3), ("microseconds", 1e6), ("nanoseconds", 1e9)];
/// NTP counts from 1900 (RFC 5905, section 6).
const NTP_EPOCH: f64 = 2_208_988_800.0;
/// Clocks of media (RFC 3551) and of computers, per second.
const RATES: &[f64] = &[
    1.0,
    10.0,
    50.0,
    60.0,
    100.0,
    250.0,
    1000.0,
    8000.0,
    11_025.0,
    12_000.0,
    16_000.0,
    22_050.0,
    24_000.0,
    32_000.0,
    44_100.0,
    48_000.0,
    65_536.0,
    90_000.0,
    1e6,
    1e7,
    1e9,
    4_294_967_296.0,
];
/// Earliest capture whose date can be told from small numbers, seconds (1979).
const EARLIEST: f64 = 3e8;
/// How far a sender's clock may be off the capture's, seconds.
const OFF: f64 = 2.0 * 86_400.0;

/// Looks for the date of the capture.
pub(crate) fn dated(
    table: &Table<'_>,
    column: &Column,
    swapped: Option<&Column>,
    spread: &Spread,
) -> Option<Finding> {
    if spread.distinct < 3 || !column.is_numeric() {
        return None;
    }
    let orders = [(Some(column), false), (swapped, true)];
    orders.into_iter().find_map(|(numbers, little)| Some(date(table, numbers?)?.little(little)))
}

/// Looks for a value that runs at a steady rate.
pub(crate) fn steady(
    table: &Table<'_>,
    column: &Column,
    swapped: Option<&Column>,
    spread: &Spread,
) -> Option<Finding> {
    if spread.distinct < 4 || !column.is_numeric() || column.width() < 2 {
        return None;
    }
    let orders = [(Some(column), false), (swapped, true)];
    orders
        .into_iter()
        .filter_map(|(numbers, little)| Some(running(table, numbers?)?.little(little)))
        .max_by(|a, b| a.confidence().total_cmp(&b.confidence()))
}

fn date(table: &Table<'_>, column: &Column) -> Option<Finding> {
    if column.width() < 4 {
        return None;
    }
    let seconds = |at: usize| table.rows[column.rows[at] as usize].at as f64 / 1e9;
    let set = column.values.iter().filter(|value| **value != 0).count();
    let dated = |per_second: f64, epoch: f64| {
        let near = |at: &usize| {
            let value = column.values[*at];
            // In the first years of a clock any small number is near.
            value != 0
                && seconds(*at) > EARLIEST
                && (value as f64 / per_second - epoch - seconds(*at)).abs() < OFF
        };
        (0..column.len()).filter(near).count()
    };
    let ntp = if column.width() == 8 { 4_294_967_296.0 } else { 1.0 };
    let unix = UNIX.iter().map(|(name, per_second)| (*name, *per_second, 0.0));
    let clocks = unix.chain(std::iter::once(("NTP time", ntp, NTP_EPOCH)));
    let (name, near) = clocks
        .map(|(name, per_second, epoch)| (name, dated(per_second, epoch)))
        .max_by_key(|(_, near)| *near)?;
    if near < 3 || 10 * near < 9 * set || 10 * near < 3 * column.len() {
        return None;
    }
    let evidence =
        format!("{:.1} % are the date of the capture in {name}", percent(near, column.len()));
    let share = near as f64 / set.max(1) as f64;
    Some(Finding::new(Kind::Timestamp, 4.0 * near as f64, share, evidence))
}

/// Sums over the steps of one flow and direction.
#[derive(Default)]
struct Run {
    /// Seconds and unwrapped values since the first.
    points: Vec<(f64, f64)>,
    last: Option<(i64, u64)>,
}

/// Points per run that are fitted.
const POINTS: usize = 4096;

fn running(table: &Table<'_>, column: &Column) -> Option<Finding> {
    let mask = column.mask();
    // Steps of 256 are a small number read from the wrong end.
    let low = column.values.first().map(|value| value & 0xff);
    if column.values.iter().all(|value| Some(value & 0xff) == low) {
        return None;
    }
    let mut tally = Tally::default();
    let mut runs = [Run::default(), Run::default()];
    let mut flow = u32::MAX;
    for (row, value) in column.rows.iter().zip(&column.values) {
        let row = table.rows[*row as usize];
        if row.flow != flow {
            flow = row.flow;
            for run in &mut runs {
                tally.close(run);
            }
            // Too many are no line already.
            if 10 * (tally.points - tally.lined) > 3 * column.len() {
                return None;
            }
        }
        let run = &mut runs[row.side()];
        if run.points.len() >= POINTS {
            continue;
        }
        let (at, before) = *run.last.get_or_insert((row.at, *value));
        let step = value.wrapping_sub(before) & mask;
        // A falling value goes back by less than half of the range.
        let step = if step > mask / 2 { -((mask - step) as f64 + 1.0) } else { step as f64 };
        let (time, sum) = run.points.last().copied().unwrap_or((0.0, 0.0));
        run.points.push((time + (row.at - at) as f64 / 1e9, sum + step));
        run.last = Some((row.at, *value));
    }
    for run in &mut runs {
        tally.close(run);
    }
    tally.finding()
}

#[derive(Default)]
struct Tally {
    /// Rate, points and steps of each run that is a line.
    lines: Vec<(f64, usize)>,
    lined: usize,
    points: usize,
    steady: usize,
    steps: usize,
}

impl Tally {
    fn close(&mut self, run: &mut Run) {
        let points = std::mem::take(&mut run.points);
        run.last = None;
        if points.len() < 6 {
            return;
        }
        self.points += points.len();
        let n = points.len() as f64;
        let (mx, my) = (
            points.iter().map(|p| p.0).sum::<f64>() / n,
            points.iter().map(|p| p.1).sum::<f64>() / n,
        );
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for (x, y) in &points {
            xx += (x - mx) * (x - mx);
            xy += (x - mx) * (y - my);
            yy += (y - my) * (y - my);
        }
        let steps: Vec<f64> = points.windows(2).map(|pair| pair[1].1 - pair[0].1).collect();
        let mut sorted: Vec<f64> = steps.iter().copied().filter(|step| *step != 0.0).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let common = sorted.chunk_by(|a, b| a == b).map(<[f64]>::len).max().unwrap_or(0);
        let ones = steps.iter().filter(|step| **step == 1.0).count();
        if xx <= 0.0 || yy <= 0.0 || sorted.len() < 3 {
            return;
        }
        let r2 = xy * xy / (xx * yy);
        // A message counter of steady messages is a line as well.
        if r2 < 0.995 || 2 * ones > sorted.len() && 10 * ones > 3 * steps.len() {
            return;
        }
        self.lined += points.len();
        self.lines.push((xy / xx, points.len()));
        self.steps += sorted.len();
        self.steady += common;
    }

    fn finding(mut self) -> Option<Finding> {
        if self.lined < 6 || 10 * self.lined < 7 * self.points {
            return None;
        }
        self.lines.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let rate = self.lines[self.lines.len() / 2].0;
        if rate < 0.2 {
            return None;
        }
        let near = |known: &&f64| (rate / **known - 1.0).abs() < 0.02;
        let known = RATES.iter().find(near);
        let agree = self.lines.iter().filter(|line| (line.0 / rate - 1.0).abs() < 0.05);
        let agree: usize = agree.map(|line| line.1).sum();
        let steady = self.steady as f64 / self.steps.max(1) as f64;
        if 10 * agree < 8 * self.lined || known.is_none() && steady > 0.6 {
            return None;
        }
        let share = self.lined as f64 / self.points as f64;
        let unit = known.map_or(String::new(), |known| format!(", the clock of {known} Hz"));
        let evidence = format!(
            "runs with the capture's clock at {rate:.1} a second{unit}, in {:.0} % of messages of \
             flows with six or more",
            100.0 * share
        );
        let bits = self.lined as f64 / if known.is_some() { 1.0 } else { 3.0 };
        Some(Finding::new(Kind::Timestamp, bits, share, evidence))
    }
}
