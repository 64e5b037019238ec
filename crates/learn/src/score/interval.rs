//! A mean over repeated runs and how sure it is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Half of Student's t interval at 95 % by degrees of freedom, from 1; 1.96 beyond.
const T: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
];

/// Mean and 95 % confidence interval over runs that differ in their seed.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Interval {
    /// Mean.
    pub mean: f64,
    /// Half the interval's width; none of a single run.
    pub half: Option<f64>,
    /// Least value.
    pub least: f64,
    /// Largest value: what "best of five" would have reported.
    pub most: f64,
    /// Runs.
    pub runs: usize,
}

impl Interval {
    /// Of these values.
    pub fn of(values: &[f64]) -> Interval {
        let runs = values.len();
        if runs == 0 {
            return Interval::default();
        }
        let mean = values.iter().sum::<f64>() / runs as f64;
        let half = (runs > 1).then(|| {
            let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
            let error = (squares / (runs - 1) as f64 / runs as f64).sqrt();
            T.get(runs - 2).copied().unwrap_or(1.96) * error
        });
        let fold = |pick: fn(f64, f64) -> f64| values.iter().copied().reduce(pick).unwrap_or(mean);
        Interval { mean, half, least: fold(f64::min), most: fold(f64::max), runs }
    }
}

impl fmt::Display for Interval {
    /// `0.9831 ± 0.0012`, without the second where there was one run.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.4}", self.mean)?;
        self.half.map_or(Ok(()), |half| write!(f, " ± {half:.4}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_runs_have_four_degrees_of_freedom() {
        let interval = Interval::of(&[0.9, 0.92, 0.94, 0.96, 0.98]);
        // Standard deviation 0.0316, over the root of five, times 2.776.
        assert_eq!(interval.to_string(), "0.9400 ± 0.0393");
        assert_eq!((interval.least, interval.most), (0.9, 0.98));
        assert_eq!(Interval::of(&[0.5]).to_string(), "0.5000");
        assert_eq!(Interval::of(&[]).runs, 0);
    }
}
