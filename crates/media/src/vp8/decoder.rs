//! The decoder: a header, macroblocks row by row, the filter, and what is kept for later.

use super::bool::BoolReader;
use super::header::{Context, Header};
use super::inter::{self, Taps};
use super::motion::Blocks;
use super::residual::{Around, Residual, Steps};
use super::surface::Surface;
use super::{DecodeError, FrameDecoder, Limits, filter, intra};
use crate::picture::Picture;
use ottoscope_wire::vp8::{self, Tag};

/// Last, golden and alternate frame, and the one that is being decoded.
const SURFACES: usize = 4;

/// Decodes VP8 in Rust alone.
#[derive(Debug, Default)]
pub struct Decoder {
    limits: Limits,
    context: Context,
    blocks: Blocks,
    surfaces: [Surface; SURFACES],
    /// Which surface is last, golden and alternate frame; none before a key frame.
    references: Option<[usize; 3]>,
    size: (u16, u16),
}

impl Decoder {
    /// A decoder that takes pictures up to `limits`.
    pub fn new(limits: Limits) -> Self {
        Decoder { limits, ..Decoder::default() }
    }

    /// Makes room for pictures of a key frame's size.
    fn resize(&mut self, (width, height): (u16, u16)) -> Result<(), DecodeError> {
        self.limits.check(width, height)?;
        if self.size != (width, height) {
            self.size = (width, height);
            let (columns, rows) = self.counts();
            self.blocks = Blocks::new(columns, rows);
            self.surfaces = std::array::from_fn(|_| Surface::new(columns, rows));
        }
        Ok(())
    }

    /// Macroblocks in a row and rows of them.
    fn counts(&self) -> (usize, usize) {
        (usize::from(self.size.0).div_ceil(16), usize::from(self.size.1).div_ceil(16))
    }

    fn try_decode(&mut self, frame: &[u8]) -> Result<Option<Picture>, DecodeError> {
        let head = vp8::Header::parse(frame)?;
        if let Some((width, height)) = head.size {
            self.resize((width.pixels, height.pixels))?;
        } else if self.references.is_none() {
            return Err(DecodeError::NoKey);
        }
        let (tag, rest) = (head.tag, &frame[head.size()..]);
        let first = tag.first_partition as usize;
        let (first, rest) = rest.split_at_checked(first).ok_or(DecodeError::Truncated)?;
        let mut bits = BoolReader::new(first);
        let header = Header::read(&mut bits, tag.key, &mut self.context);
        let mut partitions = partitions(rest, header.partitions)?;

        let references = self.references.unwrap_or_default();
        // There is one more surface than references.
        let new = (0..SURFACES).find(|at| !references.contains(at)).unwrap_or_default();
        let mut surface = std::mem::take(&mut self.surfaces[new]);
        self.macroblocks(tag, &header, &mut bits, &mut partitions, &mut surface);
        let counts = self.counts();
        let Context { filter, segments, .. } = &self.context;
        if filter.level > 0 {
            filter::run(&mut surface, &self.blocks, counts, filter, segments, tag.key);
        }
        let picture = tag.shown.then(|| self.picture(&surface));
        self.surfaces[new] = surface;
        self.references = Some(update(references, new, &header));
        if let Some(kept) = header.kept {
            self.context.probabilities = *kept;
        }
        Ok(picture)
    }

    fn macroblocks(
        &mut self,
        tag: Tag,
        header: &Header,
        bits: &mut BoolReader<'_>,
        partitions: &mut [BoolReader<'_>],
        surface: &mut Surface,
    ) {
        let (columns, rows) = self.counts();
        let segments = &self.context.segments;
        let steps: [Steps; 4] =
            std::array::from_fn(|at| Steps::new(header.quantizers, segments, at as u8));
        let taps = Taps::new(tag.version);
        let references = self.references.unwrap_or_default();
        let mut residual = Residual::new();
        let mut above = vec![Around::default(); columns];
        let count = partitions.len();
        for row in 0..rows {
            let coefficients = &mut partitions[row % count];
            let mut left = Around::default();
            for (column, above) in above.iter_mut().enumerate() {
                self.blocks.read(column, row, bits, tag.key, header, &self.context);
                let block = self.blocks.at_mut(column, row);
                let steps = &steps[usize::from(block.segment & 3)];
                let probabilities = &self.context.probabilities.coefficients;
                let any =
                    residual.read(coefficients, block, probabilities, steps, above, &mut left);
                block.skip = !any;
                let residual = any.then_some(&residual);
                if block.reference == 0 {
                    intra::reconstruct(surface, column, row, block, residual);
                } else {
                    let from = references[usize::from(block.reference - 1)];
                    let from = &self.surfaces[from];
                    inter::reconstruct(surface, column, row, block, from, taps, residual);
                }
            }
        }
    }

    fn picture(&self, surface: &Surface) -> Picture {
        let (width, height) = (usize::from(self.size.0), usize::from(self.size.1));
        let [y, u, v] = &surface.planes;
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        Picture {
            width: self.size.0,
            height: self.size.1,
            y: y.crop(width, height),
            u: u.crop(half_width, half_height),
            v: v.crop(half_width, half_height),
        }
    }
}

/// The partitions of coefficients (9.5): the length of each but the last, then all of them.
fn partitions(rest: &[u8], logarithm: u32) -> Result<Vec<BoolReader<'_>>, DecodeError> {
    let count = 1 << logarithm;
    let (lengths, mut rest) =
        rest.split_at_checked(3 * (count - 1)).ok_or(DecodeError::Truncated)?;
    let mut out = Vec::with_capacity(count);
    for &[a, b, c] in lengths.as_chunks::<3>().0 {
        let length = u32::from_le_bytes([a, b, c, 0]) as usize;
        let (part, after) = rest.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        out.push(BoolReader::new(part));
        rest = after;
    }
    out.push(BoolReader::new(rest));
    Ok(out)
}

/// Which surfaces are kept (9.7); the alternate frame is copied before the golden one, as in
/// libvpx.
fn update(
    [mut last, mut golden, mut alternate]: [usize; 3],
    new: usize,
    header: &Header,
) -> [usize; 3] {
    match header.copy_to_alternate {
        1 => alternate = last,
        2 => alternate = golden,
        _ => {}
    }
    match header.copy_to_golden {
        1 => golden = last,
        2 => golden = alternate,
        _ => {}
    }
    if header.refresh_golden {
        golden = new;
    }
    if header.refresh_alternate {
        alternate = new;
    }
    if header.refresh_last {
        last = new;
    }
    [last, golden, alternate]
}

impl FrameDecoder for Decoder {
    fn decode(&mut self, frame: &[u8]) -> Result<Option<Picture>, DecodeError> {
        let result = self.try_decode(frame);
        if result.is_err() {
            self.reset();
        }
        result
    }

    fn reset(&mut self) {
        self.references = None;
    }
}
