//! Whether a stated probability is the share of answers that are right (Guo et al. 2017).

use serde::{Deserialize, Serialize};

/// Bins of stated probability.
const BINS: usize = 15;

/// Answers whose stated probability lies in one range.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Bin {
    /// Least probability of the range.
    pub from: f64,
    /// Largest probability of the range.
    pub to: f64,
    /// Answers in it.
    pub answers: u64,
    /// Mean probability that they state; 0 where there are none.
    pub stated: f64,
    /// Share of them that is right; 0 where there are none.
    pub right: f64,
}

/// Expected calibration error over bins of equal width, and the bins.
pub fn calibration(answers: &[(f32, bool)]) -> (f64, Vec<Bin>) {
    let mut bins: Vec<Bin> = (0..BINS)
        .map(|bin| Bin {
            from: bin as f64 / BINS as f64,
            to: (bin + 1) as f64 / BINS as f64,
            ..Bin::default()
        })
        .collect();
    for (stated, right) in answers {
        let stated = f64::from(*stated).clamp(0.0, 1.0);
        let bin = &mut bins[((stated * BINS as f64) as usize).min(BINS - 1)];
        bin.answers += 1;
        bin.stated += stated;
        bin.right += f64::from(u8::from(*right));
    }
    let mut error = 0.0;
    for bin in &mut bins {
        if bin.answers > 0 {
            let count = bin.answers as f64;
            bin.stated /= count;
            bin.right /= count;
            error += count / answers.len() as f64 * (bin.stated - bin.right).abs();
        }
    }
    (error, bins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_weighed_by_answers() {
        let (error, bins) = calibration(&[(0.9, true), (0.9, false), (0.3, false), (1.0, true)]);
        // Two at 0.9 of which half is right, one at 0.3 that is wrong, one sure and right.
        assert!((error - (0.5 * 0.4 + 0.25 * 0.3)).abs() < 1e-6, "{error}");
        assert_eq!(bins.iter().map(|bin| bin.answers).sum::<u64>(), 4);
        assert_eq!((bins[13].answers, bins[13].right), (2, 0.5));
        assert_eq!(calibration(&[]).0, 0.0);
    }
}
