//! Finding one kind among others as the threshold moves.

use serde::{Deserialize, Serialize};

/// The receiver operating characteristic in two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Probability that what is sought scores above what is not; equals count half.
    pub area: f64,
    /// Share of what is not sought that is taken where 95 % of what is are.
    pub fpr95: f64,
}

impl Curve {
    /// From the scores of what is sought and of what is not; none where either is missing.
    pub fn new(sought: &[f32], others: &[f32]) -> Option<Curve> {
        if sought.is_empty() || others.is_empty() {
            return None;
        }
        let mut all: Vec<(f32, bool)> = sought.iter().map(|score| (*score, true)).collect();
        all.extend(others.iter().map(|score| (*score, false)));
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (p, n) = (sought.len() as f64, others.len() as f64);
        let (mut found, mut wrong, mut area) = (0.0, 0.0, 0.0);
        let mut fpr95 = None;
        // Equal scores pass the threshold together.
        for same in all.chunk_by(|a, b| a.0 == b.0) {
            let more = same.iter().filter(|(_, sought)| *sought).count() as f64;
            let less = same.len() as f64 - more;
            area += less * (found + more / 2.0);
            found += more;
            wrong += less;
            if fpr95.is_none() && found >= 0.95 * p {
                fpr95 = Some(wrong / n);
            }
        }
        Some(Curve { area: area / (p * n), fpr95: fpr95.unwrap_or(1.0) })
    }
}

/// The threshold that `keep` (0.95, say) of these scores reach: what is below is rejected.
/// 0 where there are none.
pub fn reject_threshold(scores: &[f32], keep: f64) -> f32 {
    let mut sorted = scores.to_vec();
    sorted.sort_by(f32::total_cmp);
    let at = ((1.0 - keep) * sorted.len() as f64).floor() as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0.0)
}

/// Share of answers "this class" that are right where the class has `prevalence` of all traffic,
/// from the rates at which it is found and mistaken for; none where it is never answered.
pub fn precision_at(prevalence: f64, recall: f64, false_positives: f64) -> Option<f64> {
    let right = recall * prevalence;
    let all = right + false_positives * (1.0 - prevalence);
    (all > 0.0).then(|| right / all)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The area is what counting pairs gives.
        #[test]
        fn area_is_the_share_of_pairs(
            sought in prop::collection::vec(0u8..6, 1..20),
            others in prop::collection::vec(0u8..6, 1..20),
        ) {
            let floats = |values: &[u8]| values.iter().map(|v| f32::from(*v)).collect::<Vec<_>>();
            let curve = Curve::new(&floats(&sought), &floats(&others)).unwrap();
            let mut pairs = 0.0;
            for a in &sought {
                for b in &others {
                    pairs += [0.0, 0.5, 1.0][(a.cmp(b) as i8 + 1) as usize];
                }
            }
            let expected = pairs / (sought.len() * others.len()) as f64;
            prop_assert!((curve.area - expected).abs() < 1e-9);
        }
    }

    #[test]
    fn thresholds_keep_what_they_should() {
        let scores: Vec<f32> = (0..100).map(|at| at as f32).collect();
        assert_eq!(reject_threshold(&scores, 0.95), 5.0);
        assert_eq!(reject_threshold(&[], 0.95), 0.0);
        assert_eq!(Curve::new(&scores, &[50.0]).unwrap().fpr95, 1.0);
        assert_eq!(Curve::new(&scores, &[2.0]).unwrap().fpr95, 0.0);
        assert_eq!(Curve::new(&[], &[1.0]), None);
    }

    #[test]
    fn rare_classes_are_rarely_right() {
        // 99 % found, 1 % mistaken for, one in a thousand: nine in a hundred answers are right.
        let precision = precision_at(0.001, 0.99, 0.01).unwrap();
        assert!((precision - 0.0902).abs() < 1e-3, "{precision}");
        assert_eq!(precision_at(0.5, 0.0, 0.0), None);
    }
}
