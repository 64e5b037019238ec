//! Codes: few values that name something, or bits of their own.

use super::Kind;
use super::finding::Finding;
use super::table::{Column, Spread};
use crate::params::Params;

/// Looks for bits that are set apart from each other: holes between them, many combinations.
pub(crate) fn flags(column: &Column, spread: &Spread) -> Option<Finding> {
    if column.width() > 4 || spread.distinct < 5 || spread.distinct > 256 {
        return None;
    }
    let bits = spread.varying.count_ones();
    let breadth = 64 - spread.varying.leading_zeros() - spread.varying.trailing_zeros();
    let holes = breadth - bits;
    if bits < 3 || 3 * holes < breadth || spread.distinct <= bits as usize + 1 {
        return None;
    }
    // Numbers of several bytes have holes between their bytes; flags have them within.
    let within = (0..8).any(|byte| {
        let byte = (spread.varying >> (8 * byte)) as u8;
        let outer = byte.leading_zeros() + byte.trailing_zeros();
        byte.count_ones() >= 2 && 8 - outer > byte.count_ones()
    });
    if !within {
        return None;
    }
    let evidence = format!(
        "{} combinations of {bits} bits with {holes} bits between them that never change (mask \
         {:#x})",
        spread.distinct, spread.varying
    );
    let gain = f64::from(holes) + spread.distinct.min(16) as f64 / 2.0;
    Some(Finding::new(Kind::Flags, gain, 0.8, evidence))
}

/// Looks for few values of low entropy.
pub(crate) fn opcode(column: &Column, spread: &Spread, params: &Params) -> Option<Finding> {
    let limit = params.opcode_entropy;
    let repeated = spread.total as f64 / spread.distinct as f64;
    if spread.entropy >= limit || repeated < 2.0 || column.width() > 4 {
        return None;
    }
    let evidence = format!("{} values, normalised entropy {:.2}", spread.distinct, spread.entropy);
    let bits = (spread.total as f64 / spread.distinct as f64).log2() * 4.0;
    Some(Finding::new(Kind::Opcode, bits, 0.9, evidence))
}

/// The first code from the left names the task (the paper, III-A3 v); codes behind it say more
/// about it, and are less sure. `place` counts from one.
pub(crate) fn ranked(mut finding: Finding, place: usize, params: &Params) -> Finding {
    let words = if place == 1 { "the first code" } else { "a further code" };
    let limit = params.opcode_entropy;
    finding.evidence = format!("{words} from the left below {limit}: {}", finding.evidence);
    if place > 1 {
        finding.share *= 0.65;
    }
    finding
}
