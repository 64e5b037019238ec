//! The 2D-CNN (LeNet-like, Wang et al. 2017): bytes as an image, kernels of 5 by 5, pools of 2.

use crate::engine::convolution::Convolution;
use crate::model::convnet::Plan;

/// Kernels of 5 by 5 with 32 and 64 channels, pools of 2 by 2.
pub(crate) struct Image;

impl Plan for Image {
    const NAME: &'static str = "cnn2d";

    /// The image is the smallest square that holds the bytes; 784 fill 28 by 28.
    fn convolutions(width: usize) -> [Convolution; 2] {
        let side = width.isqrt() + usize::from(width.isqrt().pow(2) < width);
        let first = Convolution {
            size: (side, side),
            kernel: (5, 5),
            pool: (2, 2),
            inputs: 1,
            outputs: 32,
        };
        let second = Convolution { size: first.pooled(), inputs: 32, outputs: 64, ..first };
        [first, second]
    }

    fn sides((rows, columns): (usize, usize)) -> Vec<usize> {
        vec![rows, columns]
    }
}
