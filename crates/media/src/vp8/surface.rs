//! A picture while it is decoded: whole macroblocks, and the samples that stand for what lies
//! outside (RFC 6386 12.2).

/// Samples left of a plane's first column; a multiple of 16 keeps rows aligned.
const LEFT: usize = 16;
/// Samples right of its last column.
const RIGHT: usize = 16;

/// One plane.
#[derive(Debug, Clone, Default)]
pub(super) struct Plane {
    pub(super) samples: Vec<u8>,
    pub(super) stride: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

impl Plane {
    /// A plane of whole blocks, with a row of 127 above and columns of 129 left.
    fn new(width: usize, height: usize) -> Self {
        let stride = LEFT + width + RIGHT;
        let mut plane = Plane { samples: vec![0; stride * (height + 1)], stride, width, height };
        plane.samples[..stride].fill(127);
        for row in 0..height {
            let at = plane.at(0, row);
            plane.samples[at - 1] = 129;
        }
        plane
    }

    /// Where the sample of this column and row lies.
    #[inline]
    pub(super) fn at(&self, x: usize, y: usize) -> usize {
        (y + 1) * self.stride + LEFT + x
    }

    /// The top left `width` by `height` samples, without what surrounds them.
    pub(super) fn crop(&self, width: usize, height: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(width * height);
        for row in 0..height {
            out.extend_from_slice(&self.samples[self.at(0, row)..][..width]);
        }
        out
    }
}

/// Luma and both chroma planes.
#[derive(Debug, Clone, Default)]
pub(super) struct Surface {
    pub(super) planes: [Plane; 3],
}

impl Surface {
    pub(super) fn new(columns: usize, rows: usize) -> Self {
        let plane = |side: usize| Plane::new(side * columns, side * rows);
        Surface { planes: [plane(16), plane(8), plane(8)] }
    }
}
