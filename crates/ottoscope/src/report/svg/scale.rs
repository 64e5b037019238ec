//! Axes: where values lie, and which of them are worth a tick.

use ottoscope_analysis::figure::Scale;
use ottoscope_analysis::grid::Unit;

use crate::report::number;

/// One axis between two pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    scale: Scale,
    unit: Unit,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

/// A value with its word.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub(super) at: f64,
    pub(super) label: String,
}

/// Durations people think in, seconds.
const DURATIONS: [f64; 14] = [
    1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 36_000.0, 86_400.0,
    864_000.0,
];
/// Steps of a time axis, seconds.
const CLOCK: [f64; 19] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0,
    10_800.0, 21_600.0, 43_200.0, 86_400.0, 604_800.0,
];

impl Place {
    /// An axis for `values`, drawn between the pixels `from` and `to`; `zero` makes a linear one
    /// begin there.
    pub(super) fn new(
        scale: Scale,
        unit: Unit,
        values: impl Iterator<Item = f64>,
        zero: bool,
        (from, to): (f64, f64),
    ) -> Self {
        let usable = values.filter(|v| v.is_finite() && (scale == Scale::Linear || *v > 0.0));
        let (mut low, mut high) =
            usable.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        if low > high {
            (low, high) = (1.0, 10.0);
        }
        if zero && scale == Scale::Linear {
            low = low.min(0.0);
        }
        if high <= low {
            (low, high) = match scale {
                Scale::Log => (low / 2.0, high * 2.0),
                Scale::Linear if zero => (low, low + 1.0),
                Scale::Linear => (low - 0.5, high + 0.5),
            };
        }
        Place { scale, unit, low, high, from, to }
    }

    /// The same axis, ending at a round value where it is linear.
    pub(super) fn rounded(mut self, ticks: usize) -> Self {
        if self.scale == Scale::Linear && self.unit != Unit::Time {
            let step = step(self.high - self.low, ticks);
            self.high = (self.high / step - 1e-9).ceil() * step;
        }
        self
    }

    /// Where a value lies; values outside lie on the edge.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log if value <= 0.0 => 0.0,
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// The low end.
    pub(super) fn low(&self) -> f64 {
        self.low
    }

    /// At most about `count` ticks.
    pub(super) fn ticks(&self, count: usize) -> Vec<Tick> {
        match (self.scale, self.unit) {
            (Scale::Log, Unit::Seconds) => {
                let spread = (self.high / self.low).log10();
                if spread < 1.0 { self.log(count) } else { thin(self.inside(&DURATIONS), count) }
            }
            (Scale::Log, _) => self.log(count),
            (Scale::Linear, Unit::Time) => self.clock(count),
            (Scale::Linear, _) => self.linear(count),
        }
    }

    fn tick(&self, at: f64) -> Tick {
        Tick { at, label: number::tick(at, self.unit) }
    }

    fn inside(&self, values: &[f64]) -> Vec<Tick> {
        let within = values.iter().filter(|v| (self.low * 0.999..=self.high * 1.001).contains(*v));
        within.map(|v| self.tick(*v)).collect()
    }

    fn linear(&self, count: usize) -> Vec<Tick> {
        let step = step(self.high - self.low, count);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last.min(first + 50)).map(|i| self.tick(i as f64 * step)).collect()
    }

    fn log(&self, count: usize) -> Vec<Tick> {
        let (low, high) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let powers: Vec<f64> = (low..=high).map(|e| 10_f64.powi(e)).collect();
        let ticks = self.inside(&powers);
        if ticks.len() >= 3 {
            return thin(ticks, count);
        }
        let each = |by: &[f64]| -> Vec<f64> {
            powers.iter().flat_map(|p| by.iter().map(move |b| p * b)).collect()
        };
        let fine = self.inside(&each(&[1.0, 2.0, 5.0]));
        if fine.len() >= 3 {
            return thin(fine, count);
        }
        thin(
            self.inside(&each(&[1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0])),
            count,
        )
    }

    fn clock(&self, count: usize) -> Vec<Tick> {
        let span = self.high - self.low;
        let fits = |step: &&f64| span / **step <= count as f64;
        let Some(step) = CLOCK.iter().find(fits).copied() else { return self.calendar(count) };
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        let tick = |i: i64| {
            let at = i as f64 * step;
            let [_, month, date, hour, minute, second] = number::civil(at);
            let label = if step >= 86_400.0 || (hour, minute, second) == (0, 0, 0) {
                format!("{date} {}", MONTHS[(month as usize - 1) % 12])
            } else if step < 60.0 {
                format!("{hour:02}:{minute:02}:{second:02}")
            } else {
                format!("{hour:02}:{minute:02}")
            };
            Tick { at, label }
        };
        (first..=last.min(first + 50)).map(tick).collect()
    }

    /// Months and years, for what weeks are too short for.
    fn calendar(&self, count: usize) -> Vec<Tick> {
        let month_of = |at: f64| {
            let [year, month, ..] = number::civil(at);
            year * 12 + month - 1
        };
        let (first, last) = (month_of(self.low), month_of(self.high));
        let fits = |step: &&i64| (last - first) / **step < count as i64;
        let step = MONTH_STEPS.iter().find(fits).copied().unwrap_or((last - first).max(1));
        let starts = (first.div_euclid(step)..=last.div_euclid(step)).map(|i| i * step);
        let inside = starts.map(|m| (m, number::month_start(m))).filter(|(_, at)| *at >= self.low);
        let tick = |(month, at): (i64, f64)| {
            let year = month.div_euclid(12);
            let label = if step % 12 == 0 {
                year.to_string()
            } else {
                format!("{} {year}", MONTHS[month.rem_euclid(12) as usize])
            };
            Tick { at, label }
        };
        inside.take(50).map(tick).collect()
    }
}

/// Steps of the calendar, months.
const MONTH_STEPS: [i64; 9] = [1, 2, 3, 6, 12, 24, 60, 120, 240];

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A step of 1, 2 or 5 times a power of ten that cuts `span` into at most `count` pieces.
fn step(span: f64, count: usize) -> f64 {
    let rough = (span / count.max(1) as f64).max(f64::MIN_POSITIVE);
    let power = 10_f64.powf(rough.log10().floor());
    let times = rough / power;
    power
        * if times <= 1.0 {
            1.0
        } else if times <= 2.0 {
            2.0
        } else if times <= 5.0 {
            5.0
        } else {
            10.0
        }
}

/// Every n-th tick, so that at most `count` stay.
fn thin(ticks: Vec<Tick>, count: usize) -> Vec<Tick> {
    let each = ticks.len().div_ceil(count.max(1)).max(1);
    ticks.into_iter().step_by(each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, unit: Unit, low: f64, high: f64, count: usize) -> Vec<String> {
        let place = Place::new(scale, unit, [low, high].into_iter(), false, (0.0, 100.0));
        place.ticks(count).into_iter().map(|t| t.label.replace('\u{202f}', " ")).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(
            labels(Scale::Linear, Unit::Share, 0.0, 1.0, 5),
            ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]
        );
        assert_eq!(
            labels(Scale::Log, Unit::Bytes, 50.0, 2e7, 6),
            ["100 B", "1 kB", "10 kB", "100 kB", "1 MB", "10 MB"]
        );
        assert_eq!(
            labels(Scale::Log, Unit::Seconds, 0.5, 4000.0, 6),
            ["1 s", "10 s", "1 min", "10 min", "1 h"]
        );
        assert_eq!(
            labels(Scale::Log, Unit::Milliseconds, 90.0, 130.0, 6),
            ["90 ms", "100 ms", "120 ms"]
        );
        assert_eq!(
            labels(Scale::Linear, Unit::Time, 1_383_292_800.0, 1_383_303_600.0, 4),
            ["08:00", "09:00", "10:00", "11:00"]
        );
        let years = labels(Scale::Linear, Unit::Time, 1_432_000_000.0, 1_701_000_000.0, 5);
        assert_eq!(years, ["2016", "2018", "2020", "2022"]);
        let months = labels(Scale::Linear, Unit::Time, 1_383_292_800.0, 1_393_292_800.0, 5);
        assert_eq!(months, ["Dec 2013", "Jan 2014", "Feb 2014"]);
    }

    #[test]
    fn odd_ranges_have_an_axis() {
        for scale in [Scale::Linear, Scale::Log] {
            for (low, high) in
                [(0.0, 0.0), (f64::NAN, f64::NAN), (-1.0, -1.0), (1e-300, 1e300), (5.0, 5.0)]
            {
                let place =
                    Place::new(scale, Unit::Count, [low, high].into_iter(), true, (0.0, 100.0));
                let place = place.rounded(5);
                assert!(place.ticks(5).len() <= 60);
                for value in [low, high, 0.0, 1.0] {
                    let at = place.at(value);
                    assert!(
                        at.is_nan() || (0.0..=100.0).contains(&at),
                        "{scale:?} {low} {high} {at}"
                    );
                }
            }
        }
    }
}
