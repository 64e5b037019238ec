//! The loop filter (RFC 6386 15), over a whole picture once it is reconstructed.

use super::header::{Filter, Segments};
use super::motion::{Block, Blocks};
use super::surface::{Plane, Surface};
use super::tables::mode;

/// How strongly the edges of one macroblock are filtered.
#[derive(Debug, Clone, Copy)]
struct Strength {
    /// Limits of the difference across an edge: of macroblocks, of blocks within.
    outer: i32,
    inner: i32,
    /// Limit of differences beside an edge.
    interior: i32,
    /// From where on an edge is thought to be in the picture.
    high: i32,
}

impl Strength {
    fn new(level: i32, sharpness: u8, key: bool) -> Self {
        let mut interior = level >> (i32::from(sharpness > 0) + i32::from(sharpness > 4));
        if sharpness > 0 {
            interior = interior.min(9 - i32::from(sharpness));
        }
        let interior = interior.max(1);
        let high = match level {
            40.. => 3 - i32::from(key),
            20..40 => 2 - i32::from(key),
            15..20 => 1,
            _ => 0,
        };
        let inner = 2 * level + interior;
        Strength { outer: inner + 4, inner, interior, high }
    }
}

fn level(filter: &Filter, segments: &Segments, block: &Block) -> i32 {
    let mut level = segments.filter(filter.level, block.segment);
    if filter.deltas {
        level += i32::from(filter.by_reference[usize::from(block.reference & 3)]);
        level += match block.luma {
            mode::SUBBLOCKS => i32::from(filter.by_mode[0]),
            mode::ZERO => i32::from(filter.by_mode[1]),
            mode::SPLIT => i32::from(filter.by_mode[3]),
            mode::NEAREST | mode::NEAR | mode::NEW => i32::from(filter.by_mode[2]),
            _ => 0,
        };
    }
    level.clamp(0, 63)
}

/// Filters every macroblock in reading order; `columns` and `rows` count them.
pub(super) fn run(
    surface: &mut Surface,
    blocks: &Blocks,
    (columns, rows): (usize, usize),
    filter: &Filter,
    segments: &Segments,
    key: bool,
) {
    for row in 0..rows {
        for column in 0..columns {
            let block = blocks.at(column, row);
            let level = level(filter, segments, block);
            if level == 0 {
                continue;
            }
            let strength = Strength::new(level, filter.sharpness, key);
            let inside = !block.skip || !block.has_second();
            let planes = if filter.simple { 1 } else { 3 };
            for (index, plane) in surface.planes[..planes].iter_mut().enumerate() {
                let side = if index == 0 { 16 } else { 8 };
                let edges = Edges { side, simple: filter.simple, strength };
                edges.macroblock(plane, column, row, inside);
            }
        }
    }
}

struct Edges {
    side: usize,
    simple: bool,
    strength: Strength,
}

impl Edges {
    fn macroblock(&self, plane: &mut Plane, column: usize, row: usize, inside: bool) {
        let (at, stride) = (plane.at(self.side * column, self.side * row), plane.stride);
        // Edges from top to bottom first: along them steps a row, across them a sample.
        for (first, across, along) in [(column == 0, 1, stride), (row == 0, stride, 1)] {
            if !first {
                self.edge::<true>(&mut plane.samples, at, across, along);
            }
            if inside {
                for offset in (4..self.side).step_by(4) {
                    self.edge::<false>(&mut plane.samples, at + offset * across, across, along);
                }
            }
        }
    }

    /// One edge; the first sample behind it is at `at`.
    fn edge<const OUTER: bool>(&self, s: &mut [u8], at: usize, across: usize, along: usize) {
        let Strength { outer, inner, interior, high } = self.strength;
        let limit = if OUTER { outer } else { inner };
        for step in 0..self.side {
            let at = at + step * along;
            if self.simple {
                simple(s, at, across, limit);
            } else {
                normal::<OUTER>(s, at, across, limit, interior, high);
            }
        }
    }
}

fn signed(value: u8) -> i32 {
    i32::from(value) - 128
}

fn unsigned(value: i32) -> u8 {
    (narrow(value) + 128) as u8
}

fn narrow(value: i32) -> i32 {
    value.clamp(-128, 127)
}

fn apart(a: u8, b: u8) -> i32 {
    i32::from(a.abs_diff(b))
}

fn simple(s: &mut [u8], at: usize, across: usize, limit: i32) {
    let (p1, p0) = (s[at - 2 * across], s[at - across]);
    let (q0, q1) = (s[at], s[at + across]);
    if 2 * apart(p0, q0) + apart(p1, q1) / 2 > limit {
        return;
    }
    let add = narrow(narrow(signed(p1) - signed(q1)) + 3 * (signed(q0) - signed(p0)));
    s[at] = unsigned(signed(q0) - (narrow(add + 4) >> 3));
    s[at - across] = unsigned(signed(p0) + (narrow(add + 3) >> 3));
}

#[inline]
fn normal<const OUTER: bool>(
    s: &mut [u8],
    at: usize,
    across: usize,
    limit: i32,
    interior: i32,
    high: i32,
) {
    let start = at - 4 * across;
    let s = &mut s[start..=start + 7 * across];
    let [p3, p2, p1, p0, q0, q1, q2, q3] = std::array::from_fn(|i| s[i * across]);
    let flat = 2 * apart(p0, q0) + apart(p1, q1) / 2 <= limit
        && [(p3, p2), (p2, p1), (p1, p0), (q1, q0), (q2, q1), (q3, q2)]
            .iter()
            .all(|(a, b)| apart(*a, *b) <= interior);
    if !flat {
        return;
    }
    let sharp = apart(p1, p0) > high || apart(q1, q0) > high;
    let outer = narrow(signed(p1) - signed(q1));
    let across_it = 3 * (signed(q0) - signed(p0));
    let mut set = |i: usize, value: i32| s[i * across] = unsigned(value);
    if sharp || !OUTER {
        let add = narrow(if sharp || OUTER { outer } else { 0 } + across_it);
        let (down, up) = (narrow(add + 4) >> 3, narrow(add + 3) >> 3);
        set(4, signed(q0) - down);
        set(3, signed(p0) + up);
        if !sharp {
            let half = (down + 1) >> 1;
            set(5, signed(q1) - half);
            set(2, signed(p1) + half);
        }
    } else {
        let add = narrow(outer + across_it);
        for (i, weight, p, q) in [(0, 27, p0, q0), (1, 18, p1, q1), (2, 9, p2, q2)] {
            let part = narrow((63 + add * weight) >> 7);
            set(4 + i, signed(q) - part);
            set(3 - i, signed(p) + part);
        }
    }
}
