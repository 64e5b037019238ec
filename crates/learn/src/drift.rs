//! Tells when what a model is asked about is no longer what it learned from.
//!
//! The certainty of answers is compared window by window with that on validation samples, by the
//! two-sample Kolmogorov-Smirnov test. One strange window is chance or an event; the alarm is
//! two in a row.

use serde::{Deserialize, Serialize};

/// Probability of a distance at least as large in a window without drift.
const CHANCE: f64 = 0.001;

/// One window of answers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Its number, from 0.
    pub number: usize,
    /// Answers in it.
    pub answers: usize,
    /// Mean certainty.
    pub certainty: f64,
    /// Share of answers below the reject threshold.
    pub rejected: f64,
    /// Largest distance between the distributions of certainty, 0 to 1.
    pub distance: f64,
    /// The distance that is reached by chance once in a thousand windows.
    pub limit: f64,
    /// Whether this and the window before are beyond it.
    pub alarm: bool,
}

/// Watches the certainty of answers.
#[derive(Debug, Clone)]
pub struct Drift {
    reference: Vec<f32>,
    threshold: f32,
    size: usize,
    window: Vec<f32>,
    number: usize,
    strange: bool,
}

impl Drift {
    /// Compares windows of `size` answers with `reference`, the certainty on validation samples,
    /// and counts those below `threshold`.
    pub fn new(mut reference: Vec<f32>, threshold: f32, size: usize) -> Self {
        reference.sort_by(f32::total_cmp);
        Drift {
            reference,
            threshold,
            size: size.max(1),
            window: Vec::new(),
            number: 0,
            strange: false,
        }
    }

    /// Takes the certainty of one answer; a window when it is full.
    pub fn push(&mut self, certainty: f32) -> Option<Window> {
        self.window.push(certainty);
        (self.window.len() == self.size).then(|| self.close())
    }

    /// The window that is not full, if it has answers.
    pub fn finish(&mut self) -> Option<Window> {
        (!self.window.is_empty()).then(|| self.close())
    }

    fn close(&mut self) -> Window {
        let mut window = std::mem::take(&mut self.window);
        window.sort_by(f32::total_cmp);
        let answers = window.len();
        let distance = distance(&self.reference, &window);
        let (n, m) = (self.reference.len() as f64, answers as f64);
        let limit = (-(CHANCE / 2.0).ln() / 2.0).sqrt() * ((n + m) / (n * m)).sqrt();
        let strange = distance > limit;
        let alarm = strange && self.strange;
        self.strange = strange;
        let number = self.number;
        self.number += 1;
        let below = window.iter().filter(|value| **value < self.threshold).count();
        Window {
            number,
            answers,
            certainty: window.iter().map(|value| f64::from(*value)).sum::<f64>() / m,
            rejected: below as f64 / m,
            distance,
            limit,
            alarm,
        }
    }
}

/// Largest distance between two distribution functions; both sorted.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let (mut i, mut j, mut most) = (0, 0, 0.0_f64);
    while i < a.len() && j < b.len() {
        let value = a[i].min(b[j]);
        while i < a.len() && a[i] <= value {
            i += 1;
        }
        while j < b.len() && b[j] <= value {
            j += 1;
        }
        most = most.max((i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs());
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::random::Random;

    #[test]
    fn other_traffic_raises_the_alarm_and_the_same_does_not() {
        let mut random = Random::new(9);
        let mut known = || 1.0 - random.unit().powi(3) * 0.5;
        let reference: Vec<f32> = (0..1000).map(|_| known()).collect();
        let mut drift = Drift::new(reference, 0.6, 100);
        let same: Vec<Window> = (0..2000).filter_map(|_| drift.push(known())).collect();
        assert_eq!(same.len(), 20);
        assert!(same.iter().all(|window| !window.alarm), "{same:?}");
        let other: Vec<Window> = (0..300).filter_map(|_| drift.push(0.5)).collect();
        let alarms: Vec<bool> = other.iter().map(|window| window.alarm).collect();
        assert_eq!(alarms, [false, true, true]);
        assert_eq!((other[0].rejected, other[0].distance), (1.0, 1.0));
        assert_eq!(drift.finish(), None);
        drift.push(0.9);
        assert_eq!(drift.finish().map(|window| window.answers), Some(1));
    }

    #[test]
    fn distances_are_between_distribution_functions() {
        assert_eq!(distance(&[1.0, 2.0, 3.0, 4.0], &[1.0, 2.0, 3.0, 4.0]), 0.0);
        assert_eq!(distance(&[1.0, 2.0], &[2.0, 3.0]), 0.5);
        assert_eq!(distance(&[1.0, 1.0], &[1.0]), 0.0);
    }
}
