//! What a viewer got: frame rate and freezes.

use std::collections::VecDeque;

use ottoscope_flow::Span;

/// Intervals that the mean is of (W3C webrtc-stats, `freezeCount`).
const INTERVALS: usize = 30;
/// A freeze is longer than the mean interval and this together, and than [`TIMES`] means.
const AT_LEAST: Span = Span(150_000_000);
/// See [`AT_LEAST`].
const TIMES: i64 = 3;

/// Counts pictures as they are shown, in order of their times.
#[derive(Debug, Clone, Default)]
pub struct Quality {
    first: Option<i64>,
    last: i64,
    shown: u64,
    recent: VecDeque<i64>,
    sum: i64,
    freezes: u64,
    frozen: i64,
}

impl Quality {
    /// A picture is shown at `at` since the stream's first frame.
    pub fn picture(&mut self, at: Span) {
        self.shown += 1;
        if self.first.is_none() {
            self.first = Some(at.0);
            self.last = at.0;
            return;
        }
        let interval = at.0.saturating_sub(self.last).max(0);
        self.last = self.last.max(at.0);
        if let Some(mean) = self.sum.checked_div(self.recent.len() as i64) {
            let limit = (mean.saturating_mul(TIMES)).max(mean.saturating_add(AT_LEAST.0));
            if interval > limit {
                self.freezes += 1;
                self.frozen = self.frozen.saturating_add(interval);
                // What stood still says nothing of how pictures follow one another.
                return;
            }
        }
        self.recent.push_back(interval);
        self.sum = self.sum.saturating_add(interval);
        if self.recent.len() > INTERVALS {
            self.sum -= self.recent.pop_front().unwrap_or_default();
        }
    }

    /// Pictures shown.
    pub fn shown(&self) -> u64 {
        self.shown
    }

    /// Pictures a second, from the first to the last; nothing where no time passed.
    pub fn frame_rate(&self) -> Option<f64> {
        let passed = Span(self.last - self.first?).as_seconds();
        (passed > 0.0).then(|| (self.shown - 1) as f64 / passed)
    }

    /// How often the picture stood still, and how long in all.
    pub fn freezes(&self) -> (u64, Span) {
        (self.freezes, Span(self.frozen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    fn check(times: impl IntoIterator<Item = i64>) -> Quality {
        let mut quality = Quality::default();
        times.into_iter().for_each(|ms| quality.picture(Span(ms * MS)));
        quality
    }

    #[test]
    fn a_steady_stream_never_freezes() {
        let quality = check((0..300).map(|i| i * 67));
        assert_eq!(quality.freezes(), (0, Span(0)));
        assert!((quality.frame_rate().unwrap() - 1000.0 / 67.0).abs() < 1e-9);
        assert_eq!(quality.shown(), 300);
    }

    #[test]
    fn a_hole_is_a_freeze_once() {
        // At 15 frames a second a freeze is longer than 217 ms.
        let with = |gap: i64| check((0..30).map(|i| i * 67 + if i < 15 { 0 } else { gap }));
        assert_eq!(with(149).freezes().0, 0);
        assert_eq!(with(151).freezes(), (1, Span((67 + 151) * MS)));
        // Slow streams: three means.
        let slow = |gap: i64| check((0..30).map(|i| i * 200 + if i < 15 { 0 } else { gap }));
        assert_eq!(slow(390).freezes().0, 0);
        assert_eq!(slow(410).freezes().0, 1);
    }

    #[test]
    fn too_few_and_hostile_times() {
        assert_eq!(check([]).frame_rate(), None);
        assert_eq!(check([5]).frame_rate(), None);
        let wild = check([0, i64::MAX / MS, 0, i64::MIN / MS, 7]);
        assert_eq!(wild.shown(), 5);
    }
}
