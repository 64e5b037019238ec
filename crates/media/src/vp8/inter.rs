//! Prediction from pictures before (RFC 6386 18).

use super::intra::add_chroma;
use super::motion::{Block, Vector};
use super::residual::Residual;
use super::surface::{Plane, Surface};
use super::tables::{SIX_TAPS, mode};

/// How samples between samples are made (9.1): by the frame's version.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taps {
    /// Two taps instead of six.
    two: bool,
    /// Chroma vectors are whole pixels.
    whole: bool,
}

impl Taps {
    pub(super) fn new(version: u8) -> Self {
        Taps { two: (1..=3).contains(&version), whole: version == 3 }
    }
}

/// Predicts a macroblock and adds what remains.
pub(super) fn reconstruct(
    surface: &mut Surface,
    column: usize,
    row: usize,
    block: &Block,
    from: &Surface,
    taps: Taps,
    residual: Option<&Residual>,
) {
    let [luma, chroma @ ..] = &mut surface.planes;
    let [luma_from, chroma_from @ ..] = &from.planes;
    let (x, y) = (16 * column, 16 * row);
    if block.luma == mode::SPLIT {
        if block.cut < 3 {
            for number in [0, 2, 8, 10] {
                let at = (x + 4 * (number % 4), y + 4 * (number / 4));
                predict::<8>(luma, at, luma_from, block.vectors[number], taps);
            }
        } else {
            for (number, vector) in block.vectors.iter().enumerate() {
                let at = (x + 4 * (number % 4), y + 4 * (number / 4));
                predict::<4>(luma, at, luma_from, *vector, taps);
            }
        }
        for number in 0..4 {
            let vector = split_chroma(block, number, taps);
            let at = (8 * column + 4 * (number % 2), 8 * row + 4 * (number / 2));
            for (plane, from) in chroma.iter_mut().zip(chroma_from) {
                predict::<4>(plane, at, from, vector, taps);
            }
        }
    } else {
        let vector = block.vectors[0];
        predict::<16>(luma, (x, y), luma_from, vector, taps);
        let vector = whole_chroma(vector, taps);
        for (plane, from) in chroma.iter_mut().zip(chroma_from) {
            predict::<8>(plane, (8 * column, 8 * row), from, vector, taps);
        }
    }
    if let Some(residual) = residual {
        for number in 0..16 {
            let at = luma.at(x + 4 * (number % 4), y + 4 * (number / 4));
            residual.add(number, &mut luma.samples, at, luma.stride);
        }
        add_chroma(chroma, column, row, residual);
    }
}

/// A chroma vector in eighths of a chroma sample, of one luma vector: half of it, away from zero.
fn whole_chroma(vector: Vector, taps: Taps) -> Vector {
    let half = |v: i16| {
        let v = i32::from(v);
        mask((v + if v < 0 { -1 } else { 1 }) / 2, taps)
    };
    Vector { x: half(vector.x), y: half(vector.y) }
}

/// Of the four luma vectors of a quarter: their mean.
fn split_chroma(block: &Block, quarter: usize, taps: Taps) -> Vector {
    let first = 8 * (quarter / 2) + 2 * (quarter % 2);
    let mean = |side: fn(&Vector) -> i16| {
        let vectors = [first, first + 1, first + 4, first + 5].map(|at| block.vectors[at]);
        let sum: i32 = vectors.iter().map(|v| i32::from(side(v))).sum();
        mask((sum + if sum < 0 { -4 } else { 4 }) / 8, taps)
    };
    Vector { x: mean(|v| v.x), y: mean(|v| v.y) }
}

fn mask(value: i32, taps: Taps) -> i16 {
    (if taps.whole { value & !7 } else { value }) as i16
}

/// Most samples that one block looks at, in a row and in a column.
const WINDOW: usize = 16 + 5;

/// A block of `SIDE` by `SIDE` samples.
fn predict<const SIDE: usize>(
    to: &mut Plane,
    (x, y): (usize, usize),
    from: &Plane,
    vector: Vector,
    taps: Taps,
) {
    let (dx, dy) = (i32::from(vector.x), i32::from(vector.y));
    let (left, top) = (x as i32 + (dx >> 3) - 2, y as i32 + (dy >> 3) - 2);
    let (fx, fy) = ((dx & 7) as usize, (dy & 7) as usize);
    let side = (SIDE + 5) as i32;
    let inside = left >= 0
        && top >= 0
        && left + side <= from.width as i32
        && top + side <= from.height as i32;
    let mut window = [0; WINDOW * WINDOW];
    let (source, stride) = if inside {
        (&from.samples[from.at(left as usize, top as usize)..], from.stride)
    } else {
        border(from, left, top, SIDE + 5, &mut window);
        (&window[..], WINDOW)
    };
    let (at, to_stride) = (to.at(x, y), to.stride);
    let to = &mut to.samples[at..];
    match (fx, fy, taps.two) {
        (0, 0, _) => {
            for row in 0..SIDE {
                let line = &source[(row + 2) * stride + 2..][..SIDE];
                to[row * to_stride..][..SIDE].copy_from_slice(line);
            }
        }
        (_, _, true) => two_taps::<SIDE>(source, stride, fx, fy, to, to_stride),
        (_, _, false) => six_taps::<SIDE>(source, stride, fx, fy, to, to_stride),
    }
}

/// A window that leaves the picture: its outermost samples go on for ever.
fn border(from: &Plane, left: i32, top: i32, side: usize, window: &mut [u8]) {
    let (right, bottom) = (from.width as i32 - 1, from.height as i32 - 1);
    for (row, line) in window.chunks_exact_mut(WINDOW).take(side).enumerate() {
        let y = (top + row as i32).clamp(0, bottom) as usize;
        let source = &from.samples[from.at(0, y)..][..from.width];
        for (column, sample) in line[..side].iter_mut().enumerate() {
            *sample = source[(left + column as i32).clamp(0, right) as usize];
        }
    }
}

fn six_taps<const SIDE: usize>(
    source: &[u8],
    stride: usize,
    fx: usize,
    fy: usize,
    to: &mut [u8],
    to_stride: usize,
) {
    let mut half = [[0u8; SIDE]; WINDOW];
    let taps = SIX_TAPS[fx];
    for (row, line) in half[..SIDE + 5].iter_mut().enumerate() {
        let source = &source[row * stride..][..SIDE + 5];
        if fx == 0 {
            line.copy_from_slice(&source[2..2 + SIDE]);
            continue;
        }
        for (sample, s) in line.iter_mut().zip(source.windows(6)) {
            *sample = tap(&taps, [s[0], s[1], s[2], s[3], s[4], s[5]]);
        }
    }
    let taps = SIX_TAPS[fy];
    for row in 0..SIDE {
        let line = &mut to[row * to_stride..][..SIDE];
        if fy == 0 {
            line.copy_from_slice(&half[row + 2]);
            continue;
        }
        for (x, sample) in line.iter_mut().enumerate() {
            *sample = tap(&taps, std::array::from_fn(|i| half[row + i][x]));
        }
    }
}

#[inline]
fn tap(taps: &[i32; 6], samples: [u8; 6]) -> u8 {
    let sum: i32 = taps.iter().zip(samples).map(|(tap, s)| tap * i32::from(s)).sum();
    ((sum + 64) >> 7).clamp(0, 255) as u8
}

fn two_taps<const SIDE: usize>(
    source: &[u8],
    stride: usize,
    fx: usize,
    fy: usize,
    to: &mut [u8],
    to_stride: usize,
) {
    let mix = |a: u8, b: u8, f: usize| {
        let f = 16 * f as u32;
        ((u32::from(a) * (128 - f) + u32::from(b) * f + 64) >> 7) as u8
    };
    let mut half = [[0u8; SIDE]; WINDOW];
    for (row, line) in half[..=SIDE].iter_mut().enumerate() {
        let source = &source[(row + 2) * stride + 2..][..=SIDE];
        for (sample, pair) in line.iter_mut().zip(source.windows(2)) {
            *sample = mix(pair[0], pair[1], fx);
        }
    }
    for row in 0..SIDE {
        for (x, sample) in to[row * to_stride..][..SIDE].iter_mut().enumerate() {
            *sample = mix(half[row][x], half[row + 1][x], fy);
        }
    }
}
