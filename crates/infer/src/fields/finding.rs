//! One reading of a field with what speaks for it.

use std::ops::Range;

use ottoscope_flow::Direction;

use super::{Field, Kind};

/// One reading of a field.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    pub kind: Kind,
    pub little: bool,
    pub direction: Option<Direction>,
    /// Observations that chance would not have made, in bits.
    pub bits: f64,
    /// Share of the rows that agree.
    pub share: f64,
    pub evidence: String,
}

impl Finding {
    pub(crate) fn new(kind: Kind, bits: f64, share: f64, evidence: String) -> Self {
        Finding { kind, little: false, direction: None, bits, share, evidence }
    }

    #[must_use]
    pub(crate) fn little(mut self, little: bool) -> Self {
        self.little = little;
        self
    }

    #[must_use]
    pub(crate) fn one_way(mut self, direction: Option<Direction>) -> Self {
        self.direction = direction;
        self
    }

    /// Half at four bits, never quite one.
    pub(crate) fn confidence(&self) -> f32 {
        let sure = 1.0 - (-self.bits.max(0.0) / 4.0).exp2();
        (self.share * sure).clamp(0.0, 0.99) as f32
    }

    pub(crate) fn field(self, span: Range<usize>) -> Field {
        Field {
            span,
            kind: self.kind,
            little: self.little,
            direction: self.direction,
            confidence: self.confidence(),
            evidence: self.evidence,
        }
    }
}

/// A share as people read it.
pub(crate) fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}
