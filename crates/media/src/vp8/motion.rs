//! Modes and motion vectors of macroblocks (RFC 6386 8, 10, 11, 16, 17).

use super::bool::BoolReader;
use super::header::{Context, Header};
use super::tables::{self, mode, submode};

/// A motion vector, eighths of a luma pixel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Vector {
    pub(super) x: i16,
    pub(super) y: i16,
}

impl Vector {
    fn is_none(self) -> bool {
        self == Vector::default()
    }

    fn plus(self, other: Vector) -> Vector {
        Vector { x: self.x.wrapping_add(other.x), y: self.y.wrapping_add(other.y) }
    }

    fn turned(self, turn: bool) -> Vector {
        if turn { Vector { x: self.x.wrapping_neg(), y: self.y.wrapping_neg() } } else { self }
    }
}

/// One macroblock: sixteen by sixteen pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    /// One of [`mode`].
    pub(super) luma: u8,
    pub(super) chroma: u8,
    /// 0 this frame, 1 last, 2 golden, 3 alternate.
    pub(super) reference: u8,
    /// Lasts from frame to frame.
    pub(super) segment: u8,
    /// How split motion is cut.
    pub(super) cut: u8,
    /// No coefficients follow.
    pub(super) skip: bool,
    /// Modes of its 4x4 blocks.
    pub(super) submodes: [u8; 16],
    /// Motion of its 4x4 blocks: none where it is predicted from this frame.
    pub(super) vectors: [Vector; 16],
}

/// What lies outside the picture.
pub(super) const OUTSIDE: Block = Block {
    luma: mode::DC,
    chroma: mode::DC,
    reference: 0,
    segment: 0,
    cut: 0,
    skip: false,
    submodes: [submode::DC; 16],
    vectors: [Vector { x: 0, y: 0 }; 16],
};

impl Block {
    /// Whether first luma coefficients are in a block of their own.
    pub(super) fn has_second(&self) -> bool {
        self.luma != mode::SUBBLOCKS && self.luma != mode::SPLIT
    }

    fn vector(&self) -> Vector {
        self.vectors[15]
    }
}

/// How far vectors that are not coded in full may point: sixteen pixels beyond each side.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    left: i32,
    right: i32,
    top: i32,
    bottom: i32,
}

impl Bounds {
    fn clamp(self, vector: Vector) -> Vector {
        Vector {
            x: i32::from(vector.x).clamp(self.left, self.right) as i16,
            y: i32::from(vector.y).clamp(self.top, self.bottom) as i16,
        }
    }
}

/// The macroblocks of a picture, within a border of [`OUTSIDE`] above and left.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    blocks: Vec<Block>,
    columns: usize,
    rows: usize,
}

impl Blocks {
    pub(super) fn new(columns: usize, rows: usize) -> Self {
        Blocks { blocks: vec![OUTSIDE; (columns + 1) * (rows + 1)], columns, rows }
    }

    fn index(&self, column: usize, row: usize) -> usize {
        (row + 1) * (self.columns + 1) + column + 1
    }

    pub(super) fn at(&self, column: usize, row: usize) -> &Block {
        &self.blocks[self.index(column, row)]
    }

    pub(super) fn at_mut(&mut self, column: usize, row: usize) -> &mut Block {
        let index = self.index(column, row);
        &mut self.blocks[index]
    }

    /// Reads one macroblock's modes; those above and left have been read.
    pub(super) fn read(
        &mut self,
        column: usize,
        row: usize,
        bits: &mut BoolReader<'_>,
        key: bool,
        header: &Header,
        context: &Context,
    ) {
        let index = self.index(column, row);
        let above = index - self.columns - 1;
        let mut block = Block { segment: self.blocks[index].segment, ..OUTSIDE };
        if context.segments.update_map {
            block.segment = bits.tree(&tables::SEGMENT_TREE, &context.segments.tree);
        } else if key {
            block.segment = 0;
        }
        block.skip = header.skip.is_some_and(|probability| bits.bit(probability));
        if key {
            self.key_modes(&mut block, index - 1, above, bits);
        } else if bits.bit(header.intra) {
            block.reference = match bits.bit(header.last) {
                false => 1,
                true => 2 + u8::from(bits.bit(header.golden)),
            };
            let bounds = Bounds {
                left: -128 * (column as i32 + 1),
                right: 128 * (self.columns - column) as i32,
                top: -128 * (row as i32 + 1),
                bottom: 128 * (self.rows - row) as i32,
            };
            self.motion(&mut block, index, bounds, bits, context);
        } else {
            let probabilities = &context.probabilities;
            block.luma = bits.tree(&tables::LUMA_TREE, &probabilities.luma);
            if block.luma == mode::SUBBLOCKS {
                for submode in &mut block.submodes {
                    *submode = bits.tree(&tables::SUBMODE_TREE, &tables::SUBMODE);
                }
            }
            block.chroma = bits.tree(&tables::CHROMA_TREE, &probabilities.chroma);
        }
        self.blocks[index] = block;
    }

    fn key_modes(&self, block: &mut Block, left: usize, above: usize, bits: &mut BoolReader<'_>) {
        block.luma = bits.tree(&tables::KEY_LUMA_TREE, &tables::KEY_LUMA);
        match block.luma {
            mode::SUBBLOCKS => {
                for at in 0..16 {
                    let over = match at {
                        0..4 => self.blocks[above].submodes[at + 12],
                        _ => block.submodes[at - 4],
                    };
                    let beside = match at % 4 {
                        0 => self.blocks[left].submodes[at + 3],
                        _ => block.submodes[at - 1],
                    };
                    let probabilities =
                        &tables::KEY_SUBMODE[usize::from(over)][usize::from(beside)];
                    block.submodes[at] = bits.tree(&tables::SUBMODE_TREE, probabilities);
                }
            }
            mode::VERTICAL => block.submodes = [submode::VERTICAL; 16],
            mode::HORIZONTAL => block.submodes = [submode::HORIZONTAL; 16],
            mode::TRUE_MOTION => block.submodes = [submode::TRUE_MOTION; 16],
            _ => block.submodes = [submode::DC; 16],
        }
        block.chroma = bits.tree(&tables::CHROMA_TREE, &tables::KEY_CHROMA);
    }

    fn motion(
        &self,
        block: &mut Block,
        index: usize,
        bounds: Bounds,
        bits: &mut BoolReader<'_>,
        context: &Context,
    ) {
        let above = &self.blocks[index - self.columns - 1];
        let left = &self.blocks[index - 1];
        let corner = &self.blocks[index - self.columns - 2];
        let turn = context.turned[usize::from(block.reference)];
        // 16.3: the vectors of the neighbours, each once, with weights; the first entry is none.
        let mut near = [Vector::default(); 4];
        let mut counts = [0usize; 4];
        let mut last = 0;
        for (neighbour, weight) in [(above, 2), (left, 2), (corner, 1)] {
            if neighbour.reference == 0 {
                continue;
            }
            let vector = neighbour.vector();
            if vector.is_none() {
                counts[0] += weight;
                continue;
            }
            let turned = context.turned[usize::from(neighbour.reference)] != turn;
            let vector = vector.turned(turned);
            if last == 0 || vector != near[last] {
                last += 1;
                near[last] = vector;
            }
            counts[last] += weight;
        }
        if counts[3] > 0 && near[last] == near[1] {
            counts[1] += 1;
        }
        let split = |block: &Block| usize::from(block.luma == mode::SPLIT);
        counts[3] = 2 * (split(above) + split(left)) + split(corner);
        if counts[2] > counts[1] {
            counts.swap(1, 2);
            near.swap(1, 2);
        }
        if counts[1] >= counts[0] {
            near[0] = near[1];
        }
        let best = bounds.clamp(near[0]);
        let probabilities: [u8; 4] = std::array::from_fn(|at| tables::MOTION[counts[at]][at]);
        block.luma = bits.tree(&tables::MOTION_TREE, &probabilities);
        let vectors = &context.probabilities.vectors;
        match block.luma {
            mode::NEAREST => block.vectors = [bounds.clamp(near[1]); 16],
            mode::NEAR => block.vectors = [bounds.clamp(near[2]); 16],
            mode::NEW => block.vectors = [best.plus(read_vector(bits, vectors)); 16],
            mode::SPLIT => split_motion(block, above, left, best, bits, vectors),
            _ => {}
        }
    }
}

fn split_motion(
    block: &mut Block,
    above: &Block,
    left: &Block,
    best: Vector,
    bits: &mut BoolReader<'_>,
    vectors: &[[u8; 19]; 2],
) {
    block.cut = bits.tree(&tables::CUT_TREE, &tables::CUT);
    let parts = &tables::PARTS[usize::from(block.cut & 3)];
    let mut done = 0;
    for at in 0..16 {
        if parts[at] != done {
            continue; // its part has been read
        }
        let over = if at < 4 { above.vectors[at + 12] } else { block.vectors[at - 4] };
        let beside = if at % 4 == 0 { left.vectors[at + 3] } else { block.vectors[at - 1] };
        let near = usize::from(over.is_none()) << 2
            | usize::from(beside.is_none()) << 1
            | usize::from(over == beside);
        let vector = match bits.tree(&tables::PART_TREE, &tables::PART[near]) {
            0 => beside,
            1 => over,
            2 => Vector::default(),
            _ => best.plus(read_vector(bits, vectors)),
        };
        for (to, part) in block.vectors.iter_mut().zip(parts) {
            if *part == done {
                *to = vector;
            }
        }
        done += 1;
    }
}

fn read_vector(bits: &mut BoolReader<'_>, probabilities: &[[u8; 19]; 2]) -> Vector {
    let y = read_length(bits, &probabilities[0]) * 2;
    Vector { y, x: read_length(bits, &probabilities[1]) * 2 }
}

/// 17.2, in quarters of a pixel.
fn read_length(bits: &mut BoolReader<'_>, probabilities: &[u8; 19]) -> i16 {
    let mut length = 0;
    if bits.bit(probabilities[0]) {
        for at in [0, 1, 2, 9, 8, 7, 6, 5, 4] {
            length |= i16::from(bits.bit(probabilities[9 + at])) << at;
        }
        if length & !0xf == 0 || bits.bit(probabilities[12]) {
            length |= 8;
        }
    } else {
        length = bits.tree(&tables::SHORT_TREE, &probabilities[2..9]).into();
    }
    if length > 0 && bits.bit(probabilities[1]) { -length } else { length }
}
