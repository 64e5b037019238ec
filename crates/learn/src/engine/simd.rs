//! Products of matrices in registers, and whatever else must know which instructions there are.
//!
//! The only unsafe code of this crate. Everything is laid out in panels: [`PANEL`] columns wide,
//! rows one after the other, so that what a product writes is what the next one reads and nothing
//! is packed. The left factor is read where it lies, by strides: overlapping rows make a
//! convolution, swapped strides a transposed factor.
//!
//! AVX-512 and AVX2 with FMA are taken where the processor has them; without either, plain loops
//! give the same up to rounding (they round products before they add).
#![allow(unsafe_code)]

use std::ops::{Deref, DerefMut};

/// Columns of a panel.
pub(crate) const PANEL: usize = 32;

/// Where the left factor's elements lie: row `i`, inner index `k` at
/// `i * row + (k / run) * jump + (k % run) * step`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left {
    /// From row to row.
    pub(crate) row: usize,
    /// From inner index to inner index, within a run.
    pub(crate) step: usize,
    /// Inner indices of a run.
    pub(crate) run: usize,
    /// Runs.
    pub(crate) runs: usize,
    /// From run to run.
    pub(crate) jump: usize,
}

/// What a product is added to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start<'a> {
    /// Nothing.
    Zero,
    /// What is there.
    Keep,
    /// The same row everywhere.
    Row(&'a [f32]),
}

/// Which instructions there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Isa {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Plain,
}

/// Asked of the processor each time; the standard library remembers the answer.
fn isa() -> Isa {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("fma")
        {
            return Isa::Avx512;
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return Isa::Avx2;
        }
    }
    Isa::Plain
}

/// `c = start + left * right` for one panel of columns: `right` has [`PANEL`] values for each
/// inner index, `c` as many for each row; the number of rows is taken from it.
///
/// # Panics
/// When a factor is shorter than its shape says.
pub(crate) fn product(a: &[f32], left: Left, right: &[f32], start: Start<'_>, c: &mut [f32]) {
    product_by(isa(), a, left, right, start, c);
}

fn product_by(isa: Isa, a: &[f32], left: Left, right: &[f32], start: Start<'_>, c: &mut [f32]) {
    let rows = c.len() / PANEL;
    let inner = left.run * left.runs;
    match start {
        Start::Zero => {}
        Start::Keep => {}
        Start::Row(row) => c.chunks_exact_mut(PANEL).for_each(|c| c.copy_from_slice(&row[..PANEL])),
    }
    if rows == 0 {
        return;
    }
    if inner == 0 {
        if matches!(start, Start::Zero) {
            c.fill(0.0);
        }
        return;
    }
    let last = (rows - 1) * left.row + (left.runs - 1) * left.jump + (left.run - 1) * left.step;
    assert!(last < a.len(), "left factor: {last} of {}", a.len());
    assert!(inner * PANEL <= right.len(), "right factor: {inner} rows of {}", right.len() / PANEL);
    let keep = !matches!(start, Start::Zero);
    let tallest = match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => 14,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => 6,
        Isa::Plain => 4,
    };
    // Tiles of nearly the same height: a last one of two rows would cost as much as one of ten.
    let tiles = rows.div_ceil(tallest);
    let (height, taller) = (rows / tiles, rows % tiles);
    let mut row = 0;
    for tile in 0..tiles {
        let height = height + usize::from(tile < taller);
        let a = &a[row * left.row..];
        let c = &mut c[row * PANEL..(row + height) * PANEL];
        match isa {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has AVX-512, and the assertions above cover the last element
            // that any tile reads of either factor; `c` has `height` rows.
            Isa::Avx512 => unsafe { x86::tall(height, a, left, right, keep, c) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: likewise, the processor has AVX2 and FMA.
            Isa::Avx2 => unsafe { x86::low(height, a, left, right, keep, c) },
            Isa::Plain => plain(a, left, right, keep, c),
        }
        row += height;
    }
}

/// The same in plain loops.
fn plain(a: &[f32], left: Left, right: &[f32], keep: bool, c: &mut [f32]) {
    const WIDTH: usize = 8;
    for (i, c) in c.chunks_exact_mut(PANEL).enumerate() {
        for (at, c) in c.chunks_exact_mut(WIDTH).enumerate() {
            let mut sums = [0.0f32; WIDTH];
            let mut right = right.chunks_exact(PANEL);
            for run in 0..left.runs {
                let from = i * left.row + run * left.jump;
                for (k, right) in (0..left.run).zip(&mut right) {
                    let a = a[from + k * left.step];
                    for (sum, right) in sums.iter_mut().zip(&right[at * WIDTH..]) {
                        *sum += a * right;
                    }
                }
            }
            for (c, sum) in c.iter_mut().zip(sums) {
                *c = if keep { *c + sum } else { sum };
            }
        }
    }
}

/// Work on values one by one, in loops that the compiler turns into vectors. [`Wide::run`] must
/// be `#[inline(always)]`, or it is compiled for the narrowest ones; a closure cannot be.
pub(crate) trait Wide {
    /// What comes out.
    type Out;

    /// Does it; `FUSED` where products may go into sums unrounded.
    fn run<const FUSED: bool>(self) -> Self::Out;
}

/// `a * b + c`, unrounded in between where that costs nothing.
#[inline(always)]
pub(crate) fn fused<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// Runs `work` compiled for the widest vectors there are.
#[inline]
pub(crate) fn wide<W: Wide>(work: W) -> W::Out {
    match isa() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor has what the function was compiled for.
        Isa::Avx512 => unsafe { x86::wide512(work) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: likewise.
        Isa::Avx2 => unsafe { x86::wide256(work) },
        Isa::Plain => work.run::<false>(),
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256, __m512, _mm256_add_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps,
        _mm256_setzero_ps, _mm256_storeu_ps, _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps,
        _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
    };

    use super::{Left, PANEL, Wide};

    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,fma")]
    pub(super) fn wide512<W: Wide>(work: W) -> W::Out {
        work.run::<true>()
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn wide256<W: Wide>(work: W) -> W::Out {
        work.run::<true>()
    }

    macro_rules! heights {
        ($height:expr, $tile:ident, $call:tt, $($known:literal)*) => {
            match $height {
                // SAFETY: the caller's promise is passed on.
                $($known => unsafe { $tile::<$known> $call },)*
                height => unreachable!("a tile of {height} rows"),
            }
        };
    }

    /// # Safety
    /// `a` holds every element that `height` rows of `left` name, `right` a panel row for each
    /// inner index, `c` `height` panel rows.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn tall(
        height: usize,
        a: &[f32],
        left: Left,
        right: &[f32],
        keep: bool,
        c: &mut [f32],
    ) {
        let (a, right, c) = (a.as_ptr(), right.as_ptr(), c.as_mut_ptr());
        heights!(height, tile512, (a, left, right, keep, c), 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    }

    /// # Safety
    /// As [`tall`].
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn low(
        height: usize,
        a: &[f32],
        left: Left,
        right: &[f32],
        keep: bool,
        c: &mut [f32],
    ) {
        let (a, right, c) = (a.as_ptr(), right.as_ptr(), c.as_mut_ptr());
        for half in [0, PANEL / 2] {
            // SAFETY: half a panel is within a row of the panel.
            let (right, c) = unsafe { (right.add(half), c.add(half)) };
            heights!(height, tile256, (a, left, right, keep, c), 1 2 3 4 5 6);
        }
    }

    macro_rules! tile {
        ($name:ident, $feature:literal, $vector:ty, $lanes:literal, $zero:ident, $set:ident,
         $load:ident, $store:ident, $multiply:ident, $add:ident) => {
            /// # Safety
            /// As [`tall`], for `HEIGHT` rows and two vectors of columns.
            #[target_feature(enable = $feature)]
            unsafe fn $name<const HEIGHT: usize>(
                a: *const f32,
                left: Left,
                mut right: *const f32,
                keep: bool,
                c: *mut f32,
            ) {
                let mut sums: [[$vector; 2]; HEIGHT] = [[$zero(); 2]; HEIGHT];
                // SAFETY: every element read is one that the caller promised, every element
                // written lies in the first `HEIGHT` panel rows of `c`.
                unsafe {
                    for run in 0..left.runs {
                        let mut a = a.add(run * left.jump);
                        let mut inner = left.run;
                        if left.step == 1 {
                            while inner >= 4 {
                                for k in 0..4 {
                                    let one = $load(right.add(k * PANEL));
                                    let two = $load(right.add(k * PANEL + $lanes));
                                    for i in 0..HEIGHT {
                                        let x = $set(*a.add(i * left.row + k));
                                        sums[i][0] = $multiply(x, one, sums[i][0]);
                                        sums[i][1] = $multiply(x, two, sums[i][1]);
                                    }
                                }
                                a = a.add(4);
                                right = right.add(4 * PANEL);
                                inner -= 4;
                            }
                        } else if left.row == 1 {
                            while inner > 0 {
                                let one = $load(right);
                                let two = $load(right.add($lanes));
                                for i in 0..HEIGHT {
                                    let x = $set(*a.add(i));
                                    sums[i][0] = $multiply(x, one, sums[i][0]);
                                    sums[i][1] = $multiply(x, two, sums[i][1]);
                                }
                                // Past the last element only where nothing follows.
                                a = a.wrapping_add(left.step);
                                right = right.add(PANEL);
                                inner -= 1;
                            }
                        }
                        while inner > 0 {
                            let one = $load(right);
                            let two = $load(right.add($lanes));
                            for i in 0..HEIGHT {
                                let x = $set(*a.add(i * left.row));
                                sums[i][0] = $multiply(x, one, sums[i][0]);
                                sums[i][1] = $multiply(x, two, sums[i][1]);
                            }
                            a = a.wrapping_add(left.step);
                            right = right.add(PANEL);
                            inner -= 1;
                        }
                    }
                    for i in 0..HEIGHT {
                        let c = c.add(i * PANEL);
                        for half in 0..2 {
                            let c = c.add(half * $lanes);
                            let sum = sums[i][half];
                            $store(c, if keep { $add($load(c), sum) } else { sum });
                        }
                    }
                }
            }
        };
    }

    tile!(
        tile512,
        "avx512f",
        __m512,
        16,
        _mm512_setzero_ps,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_fmadd_ps,
        _mm512_add_ps
    );
    tile!(
        tile256,
        "avx2,fma",
        __m256,
        8,
        _mm256_setzero_ps,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_fmadd_ps,
        _mm256_add_ps
    );
}

/// A cache line of values.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// Values that begin on a cache line, so that no vector of a panel lies across two.
#[derive(Debug, Clone, Default)]
pub(crate) struct Buffer {
    lines: Vec<Line>,
    len: usize,
}

impl Buffer {
    /// `len` zeros.
    pub(crate) fn zeros(len: usize) -> Buffer {
        Buffer { lines: vec![Line([0.0; 16]); len.div_ceil(16)], len }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: `lines` holds at least `len` values one after the other: a line is 16 of them
        // without padding.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and the borrow is unique.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::random::Random;

    fn expected(a: &[f32], left: Left, right: &[f32], rows: usize) -> Vec<f64> {
        let mut c = vec![0.0; rows * PANEL];
        for i in 0..rows {
            for k in 0..left.run * left.runs {
                let at = i * left.row + (k / left.run) * left.jump + (k % left.run) * left.step;
                for j in 0..PANEL {
                    c[i * PANEL + j] += f64::from(a[at]) * f64::from(right[k * PANEL + j]);
                }
            }
        }
        c
    }

    #[test]
    fn every_way_gives_the_product() {
        let mut random = Random::new(1);
        let shapes = [
            Left { row: 40, step: 1, run: 37, runs: 1, jump: 0 },
            Left { row: 3, step: 1, run: 6, runs: 5, jump: 90 },
            Left { row: 1, step: 32, run: 19, runs: 2, jump: 700 },
            Left { row: 7, step: 3, run: 2, runs: 3, jump: 11 },
            Left { row: 1, step: 1, run: 25, runs: 1, jump: 0 },
        ];
        for left in shapes {
            for rows in (1..32).chain([57]) {
                let inner = left.run * left.runs;
                let size = (rows - 1) * left.row
                    + (left.runs - 1) * left.jump
                    + (left.run - 1) * left.step;
                // Exactly as long as what is named, so that reading past it would show.
                let a: Vec<f32> = (0..=size).map(|_| random.normal()).collect();
                let right: Vec<f32> = (0..inner * PANEL).map(|_| random.normal()).collect();
                let before: Vec<f32> = (0..rows * PANEL).map(|_| random.normal()).collect();
                let product = expected(&a, left, &right, rows);
                for isa in [isa(), other(), Isa::Plain] {
                    for start in [Start::Zero, Start::Keep, Start::Row(&before[..PANEL])] {
                        let mut c = before.clone();
                        product_by(isa, &a, left, &right, start, &mut c);
                        for (at, (&got, &product)) in c.iter().zip(&product).enumerate() {
                            let base = match start {
                                Start::Zero => 0.0,
                                Start::Keep => before[at],
                                Start::Row(row) => row[at % PANEL],
                            };
                            let want = f64::from(base) + product;
                            assert!((f64::from(got) - want).abs() < 2e-4, "{isa:?} {left:?}");
                        }
                    }
                }
            }
        }
    }

    /// AVX2 where there is AVX-512 too.
    fn other() -> Isa {
        #[cfg(target_arch = "x86_64")]
        if isa() == Isa::Avx512 {
            return Isa::Avx2;
        }
        Isa::Plain
    }

    #[test]
    #[should_panic(expected = "left factor")]
    fn a_short_factor_is_refused() {
        let left = Left { row: 4, step: 1, run: 4, runs: 1, jump: 0 };
        product(&[0.0; 11], left, &[0.0; 4 * PANEL], Start::Zero, &mut [0.0; 3 * PANEL]);
    }

    #[test]
    fn buffers_begin_on_lines() {
        let mut buffer = Buffer::zeros(33);
        buffer[32] = 1.0;
        assert_eq!(buffer.len(), 33);
        assert_eq!(buffer.as_ptr() as usize % 64, 0);
        assert_eq!(buffer.iter().sum::<f32>(), 1.0);
    }
}
