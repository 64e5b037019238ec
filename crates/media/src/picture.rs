//! A decoded picture: luma in full, chroma in half width and height (I420).

/// One picture. Rows follow each other without gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Pixels in a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// `width` times `height` samples.
    pub y: Vec<u8>,
    /// Blue against luma: half the width and height, rounded up.
    pub u: Vec<u8>,
    /// Red against luma, as `u`.
    pub v: Vec<u8>,
}

impl Picture {
    /// Samples in a row of `u` and `v`.
    pub fn chroma_width(&self) -> usize {
        usize::from(self.width).div_ceil(2)
    }

    /// Rows of `u` and `v`.
    pub fn chroma_height(&self) -> usize {
        usize::from(self.height).div_ceil(2)
    }

    /// The three planes in their order in files.
    pub fn planes(&self) -> [&[u8]; 3] {
        [&self.y, &self.u, &self.v]
    }
}
