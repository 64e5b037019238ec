//! Prediction from samples of the same picture (RFC 6386 12).

use super::motion::Block;
use super::residual::Residual;
use super::surface::{Plane, Surface};
use super::tables::{mode, submode};

/// Predicts a macroblock and adds what remains.
pub(super) fn reconstruct(
    surface: &mut Surface,
    column: usize,
    row: usize,
    block: &Block,
    residual: Option<&Residual>,
) {
    let [luma, chroma @ ..] = &mut surface.planes;
    if block.luma == mode::SUBBLOCKS {
        subblocks(luma, column, row, block, residual);
    } else {
        whole::<16>(luma, column, row, block.luma);
        if let Some(residual) = residual {
            for number in 0..16 {
                let at = luma.at(16 * column + 4 * (number % 4), 16 * row + 4 * (number / 4));
                residual.add(number, &mut luma.samples, at, luma.stride);
            }
        }
    }
    for plane in chroma.iter_mut() {
        whole::<8>(plane, column, row, block.chroma);
    }
    if let Some(residual) = residual {
        add_chroma(chroma, column, row, residual);
    }
}

/// Adds what remains of both chroma planes.
pub(super) fn add_chroma(chroma: &mut [Plane], column: usize, row: usize, residual: &Residual) {
    for (index, plane) in chroma.iter_mut().enumerate() {
        for number in 0..4 {
            let at = plane.at(8 * column + 4 * (number % 2), 8 * row + 4 * (number / 2));
            residual.add(16 + 4 * index + number, &mut plane.samples, at, plane.stride);
        }
    }
}

/// A whole block of `SIDE` by `SIDE` samples.
fn whole<const SIDE: usize>(plane: &mut Plane, column: usize, row: usize, mode: u8) {
    let (at, stride) = (plane.at(SIDE * column, SIDE * row), plane.stride);
    let samples = &mut plane.samples;
    let mut above = [0; SIDE];
    above.copy_from_slice(&samples[at - stride..][..SIDE]);
    let left: [u8; SIDE] = std::array::from_fn(|y| samples[at + y * stride - 1]);
    match mode {
        mode::VERTICAL => {
            for y in 0..SIDE {
                samples[at + y * stride..][..SIDE].copy_from_slice(&above);
            }
        }
        mode::HORIZONTAL => {
            for (y, value) in left.iter().enumerate() {
                samples[at + y * stride..][..SIDE].fill(*value);
            }
        }
        mode::TRUE_MOTION => {
            let corner = i16::from(samples[at - stride - 1]);
            for (y, value) in left.iter().enumerate() {
                let add = i16::from(*value) - corner;
                for (sample, over) in samples[at + y * stride..][..SIDE].iter_mut().zip(above) {
                    *sample = (i16::from(over) + add).clamp(0, 255) as u8;
                }
            }
        }
        _ => {
            let sum = |side: &[u8]| side.iter().map(|v| u32::from(*v)).sum::<u32>();
            let side = SIDE as u32;
            let mean = match (row > 0, column > 0) {
                (true, true) => (sum(&above) + sum(&left) + side) / (2 * side),
                (true, false) => (sum(&above) + side / 2) / side,
                (false, true) => (sum(&left) + side / 2) / side,
                (false, false) => 128,
            };
            for y in 0..SIDE {
                samples[at + y * stride..][..SIDE].fill(mean as u8);
            }
        }
    }
}

/// Sixteen blocks, each predicted from those before it.
fn subblocks(
    plane: &mut Plane,
    column: usize,
    row: usize,
    block: &Block,
    residual: Option<&Residual>,
) {
    let (origin, stride) = (plane.at(16 * column, 16 * row), plane.stride);
    // What lies above and right of the macroblock serves all four blocks of the last column; right
    // of the picture the last sample above goes on.
    let above = origin - stride;
    let mut corner = [0; 4];
    if row > 0 && 16 * (column + 1) >= plane.width {
        corner.fill(plane.samples[above + 15]);
    } else {
        corner.copy_from_slice(&plane.samples[above + 16..][..4]);
    }
    for (number, submode) in block.submodes.iter().enumerate() {
        let at = origin + 4 * (number / 4) * stride + 4 * (number % 4);
        // Left from the bottom up, corner, above from the left.
        let mut edge = [0; 13];
        for (y, value) in edge[..4].iter_mut().rev().enumerate() {
            *value = plane.samples[at + y * stride - 1];
        }
        edge[4..9].copy_from_slice(&plane.samples[at - stride - 1..][..5]);
        if number % 4 == 3 {
            edge[9..].copy_from_slice(&corner);
        } else {
            edge[9..].copy_from_slice(&plane.samples[at - stride + 4..][..4]);
        }
        for (y, line) in four(*submode, &edge).iter().enumerate() {
            plane.samples[at + y * stride..][..4].copy_from_slice(line);
        }
        if let Some(residual) = residual {
            residual.add(number, &mut plane.samples, at, stride);
        }
    }
}

/// Four by four samples by their thirteen neighbours (12.3).
fn four(mode: u8, e: &[u8; 13]) -> [[u8; 4]; 4] {
    let wide = |i: usize| u16::from(e[i]);
    let two = |i: usize| ((wide(i) + wide(i + 1) + 1) >> 1) as u8;
    // The mean around `i`.
    let three = |i: usize| ((wide(i - 1) + 2 * wide(i) + wide(i + 1) + 2) >> 2) as u8;
    let last = |a: usize, b: usize| ((wide(a) + 3 * wide(b) + 2) >> 2) as u8;
    match mode {
        submode::TRUE_MOTION => std::array::from_fn(|y| {
            let add = i16::from(e[3 - y]) - i16::from(e[4]);
            std::array::from_fn(|x| (i16::from(e[5 + x]) + add).clamp(0, 255) as u8)
        }),
        submode::VERTICAL => [[three(5), three(6), three(7), three(8)]; 4],
        submode::HORIZONTAL => [[three(3); 4], [three(2); 4], [three(1); 4], [last(1, 0); 4]],
        submode::LEFT_DOWN => std::array::from_fn(|y| {
            std::array::from_fn(|x| if x + y == 6 { last(11, 12) } else { three(6 + x + y) })
        }),
        submode::RIGHT_DOWN => std::array::from_fn(|y| std::array::from_fn(|x| three(4 + x - y))),
        submode::VERTICAL_RIGHT => [
            [two(4), two(5), two(6), two(7)],
            [three(4), three(5), three(6), three(7)],
            [three(3), two(4), two(5), two(6)],
            [three(2), three(4), three(5), three(6)],
        ],
        submode::VERTICAL_LEFT => [
            [two(5), two(6), two(7), two(8)],
            [three(6), three(7), three(8), three(9)],
            [two(6), two(7), two(8), three(10)],
            [three(7), three(8), three(9), three(11)],
        ],
        submode::HORIZONTAL_DOWN => [
            [two(3), three(4), three(5), three(6)],
            [two(2), three(3), two(3), three(4)],
            [two(1), three(2), two(2), three(3)],
            [two(0), three(1), two(1), three(2)],
        ],
        submode::HORIZONTAL_UP => {
            let end = e[0];
            [
                [two(2), three(2), two(1), three(1)],
                [two(1), three(1), two(0), last(1, 0)],
                [two(0), last(1, 0), end, end],
                [end; 4],
            ]
        }
        _ => {
            let sum: u16 = e[..4].iter().chain(&e[5..9]).map(|v| u16::from(*v)).sum();
            [[((sum + 4) >> 3) as u8; 4]; 4]
        }
    }
}
