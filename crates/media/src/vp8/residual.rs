//! Coefficients and what they add to a prediction (RFC 6386 13, 14).

use super::bool::BoolReader;
use super::header::{Quantizers, Segments};
use super::motion::Block;
use super::tables;

/// Steps of each kind of coefficient, first and others (14.1).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Steps {
    luma: [i16; 2],
    second: [i16; 2],
    chroma: [i16; 2],
}

impl Steps {
    pub(super) fn new(quantizers: Quantizers, segments: &Segments, segment: u8) -> Self {
        let base = segments.quantizer(quantizers.base, segment);
        let at = |delta: i8| (base + i32::from(delta)).clamp(0, 127) as usize;
        let second = i32::from(tables::AC[at(quantizers.second)]) * 155 / 100;
        Steps {
            luma: [tables::DC[at(quantizers.luma_first)], tables::AC[at(0)]],
            second: [tables::DC[at(quantizers.second_first)] * 2, second.max(8) as i16],
            chroma: [
                tables::DC[at(quantizers.chroma_first)].min(132),
                tables::AC[at(quantizers.chroma)],
            ],
        }
    }
}

/// Whether blocks above or left of the one that is read had coefficients: four of luma, two of
/// each chroma, the second one (13.3).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Around {
    luma: [bool; 4],
    chroma: [[bool; 2]; 2],
    second: bool,
}

impl Around {
    fn clear(&mut self, second: bool) {
        *self = Around { second: self.second && !second, ..Around::default() };
    }
}

/// What a macroblock's 4x4 blocks add: sixteen of luma, then four of each chroma.
#[derive(Debug)]
pub(super) struct Residual {
    pub(super) blocks: [[i16; 16]; 24],
    /// Which of them are not all zero.
    pub(super) some: [Extent; 24],
}

/// Which coefficients of a 4x4 block may be other than zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// None.
    Nothing,
    /// The first.
    First,
    /// Any.
    All,
}

impl Residual {
    pub(super) fn new() -> Self {
        Residual { blocks: [[0; 16]; 24], some: [Extent::Nothing; 24] }
    }

    /// Reads a macroblock's coefficients; says whether there are any.
    pub(super) fn read(
        &mut self,
        bits: &mut BoolReader<'_>,
        block: &Block,
        probabilities: &[[[[u8; 11]; 3]; 8]; 4],
        steps: &Steps,
        above: &mut Around,
        left: &mut Around,
    ) -> bool {
        let second = block.has_second();
        if block.skip {
            above.clear(second);
            left.clear(second);
            return false;
        }
        self.blocks = [[0; 16]; 24];
        let mut any = false;
        let (mut luma, mut first) = (3, 0);
        let mut spread = None;
        if second {
            let mut values = [0; 16];
            let near = usize::from(above.second) + usize::from(left.second);
            let end = read_block(bits, &probabilities[1], near, 0, steps.second, &mut values);
            (above.second, left.second) = (end > 0, end > 0);
            any |= end > 0;
            (luma, first) = (0, 1);
            spread = (end > 0).then(|| walsh(&values));
        }
        for at in 0..16 {
            let (over, beside) = (&mut above.luma[at % 4], &mut left.luma[at / 4]);
            let near = usize::from(*over) + usize::from(*beside);
            let values = &mut self.blocks[at];
            let end = read_block(bits, &probabilities[luma], near, first, steps.luma, values);
            (*over, *beside) = (end > first, end > first);
            any |= end > first;
            if let Some(spread) = &spread {
                values[0] = spread[at];
            }
            self.some[at] = match (end > 1, values[0] != 0) {
                (true, _) => Extent::All,
                (false, true) => Extent::First,
                (false, false) => Extent::Nothing,
            };
        }
        for plane in 0..2 {
            for at in 0..4 {
                let over = &mut above.chroma[plane][at % 2];
                let beside = &mut left.chroma[plane][at / 2];
                let near = usize::from(*over) + usize::from(*beside);
                let index = 16 + 4 * plane + at;
                let values = &mut self.blocks[index];
                let end = read_block(bits, &probabilities[2], near, 0, steps.chroma, values);
                (*over, *beside) = (end > 0, end > 0);
                any |= end > 0;
                self.some[index] = match end {
                    0 => Extent::Nothing,
                    1 => Extent::First,
                    _ => Extent::All,
                };
            }
        }
        any
    }

    /// Adds the block of this number to its prediction, which begins at `at`.
    pub(super) fn add(&self, number: usize, plane: &mut [u8], at: usize, stride: usize) {
        let values = &self.blocks[number];
        match self.some[number] {
            Extent::Nothing => {}
            Extent::First => {
                let value = (i32::from(values[0]) + 4) >> 3;
                for row in 0..4 {
                    for sample in &mut plane[at + row * stride..][..4] {
                        *sample = (i32::from(*sample) + value).clamp(0, 255) as u8;
                    }
                }
            }
            Extent::All => cosine(values, plane, at, stride),
        }
    }
}

/// Reads one block's tokens (13.2); says where they end.
fn read_block(
    bits: &mut BoolReader<'_>,
    probabilities: &[[[u8; 11]; 3]; 8],
    near: usize,
    first: usize,
    steps: [i16; 2],
    values: &mut [i16; 16],
) -> usize {
    let mut at = first;
    let mut p = &probabilities[usize::from(tables::BANDS[at])][near];
    while bits.bit(p[0]) {
        while !bits.bit(p[1]) {
            at += 1;
            if at == 16 {
                return 16;
            }
            p = &probabilities[usize::from(tables::BANDS[at])][0];
        }
        let (value, near) = if bits.bit(p[2]) { (read_large(bits, p), 2) } else { (1, 1) };
        let value = if bits.flag() { -value } else { value };
        let step = i32::from(steps[usize::from(at > 0)]);
        values[usize::from(tables::ZIGZAG[at])] = (value * step) as i16;
        at += 1;
        if at == 16 {
            return 16;
        }
        p = &probabilities[usize::from(tables::BANDS[at])][near];
    }
    at
}

fn read_large(bits: &mut BoolReader<'_>, p: &[u8; 11]) -> i32 {
    if !bits.bit(p[3]) {
        return if bits.bit(p[4]) { 3 + i32::from(bits.bit(p[5])) } else { 2 };
    }
    if !bits.bit(p[6]) {
        return if bits.bit(p[7]) {
            7 + 2 * i32::from(bits.bit(165)) + i32::from(bits.bit(145))
        } else {
            5 + i32::from(bits.bit(159))
        };
    }
    let high = usize::from(bits.bit(p[8]));
    let kind = 2 * high + usize::from(bits.bit(p[9 + high]));
    let more = tables::LARGE[kind].iter().fold(0, |n, &p| n << 1 | i32::from(bits.bit(p)));
    3 + (8 << kind) + more
}

/// The inverse Walsh-Hadamard transform (14.3): first coefficients of the sixteen luma blocks.
#[allow(clippy::many_single_char_names)] // the names of the RFC
fn walsh(values: &[i16; 16]) -> [i16; 16] {
    let mut half = [0i32; 16];
    let v = values.map(i32::from);
    for i in 0..4 {
        let (a, b) = (v[i] + v[12 + i], v[4 + i] + v[8 + i]);
        let (c, d) = (v[4 + i] - v[8 + i], v[i] - v[12 + i]);
        half[i] = wrap(a + b);
        half[4 + i] = wrap(c + d);
        half[8 + i] = wrap(a - b);
        half[12 + i] = wrap(d - c);
    }
    let mut out = [0; 16];
    for (row, h) in out.as_chunks_mut::<4>().0.iter_mut().zip(half.as_chunks::<4>().0) {
        let (a, b) = (h[0] + h[3], h[1] + h[2]);
        let (c, d) = (h[1] - h[2], h[0] - h[3]);
        *row = [a + b, c + d, a - b, d - c].map(|x| ((x + 3) >> 3) as i16);
    }
    out
}

/// Sixteen bits is what the reference decoder keeps between the two passes.
fn wrap(value: i32) -> i32 {
    i32::from(value as i16)
}

/// The inverse cosine transform (14.3), added to the prediction.
#[allow(clippy::many_single_char_names)] // the names of the RFC
fn cosine(values: &[i16; 16], plane: &mut [u8], at: usize, stride: usize) {
    let wide = |x: i32| x + ((x * 20091) >> 16);
    let narrow = |x: i32| (x * 35468) >> 16;
    let v = values.map(i32::from);
    let mut half = [0i32; 16];
    for i in 0..4 {
        let (a, b) = (v[i] + v[8 + i], v[i] - v[8 + i]);
        let c = narrow(v[4 + i]) - wide(v[12 + i]);
        let d = wide(v[4 + i]) + narrow(v[12 + i]);
        half[i] = wrap(a + d);
        half[4 + i] = wrap(b + c);
        half[8 + i] = wrap(b - c);
        half[12 + i] = wrap(a - d);
    }
    for (row, h) in half.as_chunks::<4>().0.iter().enumerate() {
        let (a, b) = (h[0] + h[2], h[0] - h[2]);
        let c = narrow(h[1]) - wide(h[3]);
        let d = wide(h[1]) + narrow(h[3]);
        let add = [a + d, b + c, b - c, a - d];
        for (sample, add) in plane[at + row * stride..][..4].iter_mut().zip(add) {
            *sample = (i32::from(*sample) + ((add + 4) >> 3)).clamp(0, 255) as u8;
        }
    }
}
