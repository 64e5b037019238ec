//! Entropies of counted values.

/// Entropy in bits of values that occur so often.
pub(super) fn entropy(counts: impl IntoIterator<Item = u32>) -> f64 {
    let (mut total, mut sum) = (0.0, 0.0);
    for count in counts {
        if count > 0 {
            let count = f64::from(count);
            total += count;
            sum += count * count.log2();
        }
    }
    if total == 0.0 { 0.0 } else { (f64::log2(total) - sum / total).max(0.0) }
}

/// Entropy with the correction of Miller and Madow for few samples.
pub(super) fn corrected(counts: &[u32]) -> f64 {
    let total: u32 = counts.iter().sum();
    let distinct = counts.iter().filter(|count| **count > 0).count();
    if total == 0 {
        return 0.0;
    }
    let bias =
        distinct.saturating_sub(1) as f64 / (2.0 * f64::from(total) * std::f64::consts::LN_2);
    entropy(counts.iter().copied()) + bias
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_shares() {
        assert!((entropy([5, 5, 5, 5]) - 2.0).abs() < 1e-9);
        assert_eq!(entropy([7]), 0.0);
        assert_eq!(entropy([]), 0.0);
        assert!(corrected(&[1, 1, 1, 1]) > 2.0);
    }
}
