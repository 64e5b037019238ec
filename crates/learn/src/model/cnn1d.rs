//! The 1D-CNN of Wang et al. (2017): bytes as a line, kernels of 25, pools of 3.

use crate::engine::convolution::Convolution;
use crate::model::convnet::Plan;

/// Kernels of 25 with 32 and 64 channels, pools of 3.
pub(crate) struct Line;

impl Plan for Line {
    const NAME: &'static str = "cnn1d";

    fn convolutions(width: usize) -> [Convolution; 2] {
        let first =
            Convolution { size: (1, width), kernel: (1, 25), pool: (1, 3), inputs: 1, outputs: 32 };
        let second = Convolution { size: first.pooled(), inputs: 32, outputs: 64, ..first };
        [first, second]
    }

    fn sides((_, columns): (usize, usize)) -> Vec<usize> {
        vec![columns]
    }
}
