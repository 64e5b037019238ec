//! Fields of one width all along: what any method must beat.

use super::{Segmentation, Segmenter};
use crate::params::Params;
use crate::samples::{Cuts, Samples};

/// Cuts every so many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fixed {
    /// Every byte.
    One,
    /// Every two bytes.
    Two,
    /// Every four bytes.
    Four,
}

impl Segmenter for Fixed {
    fn name(&self) -> &'static str {
        match self {
            Fixed::One => "fixed-1",
            Fixed::Two => "fixed-2",
            Fixed::Four => "fixed-4",
        }
    }

    fn segment(&self, samples: &Samples, params: &Params) -> Segmentation {
        let width = match self {
            Fixed::One => 1,
            Fixed::Two => 2,
            Fixed::Four => 4,
        };
        let all = Cuts::at((width..params.payload_bytes).step_by(width));
        Segmentation { cuts: samples.iter().map(|sample| all.within(sample.head.len())).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::tests::samples;

    #[test]
    fn ends_with_the_payload_and_with_the_bytes_looked_at() {
        let samples = samples(&[&[0; 3], &[0; 20], &[]]);
        let cut = Fixed::Two.segment(&samples, &Params { payload_bytes: 7, ..Params::default() });
        assert_eq!(cut.cuts, [Cuts::at([2]), Cuts::at([2, 4, 6]), Cuts::none()]);
    }
}
