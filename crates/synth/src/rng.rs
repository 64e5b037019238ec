//! Random numbers that are the same on every machine.
//!
//! xoshiro256++ seeded by SplitMix64 (Blackman, Vigna). Logarithm and exponential are computed
//! here from additions, multiplications and divisions, which IEEE 754 fixes to the last bit; the
//! platform's `ln` and `exp` may differ there, and one bit would change every later packet.

/// One step of SplitMix64's output function: a good mix of 64 bits.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Rng([u64; 4]);

impl Rng {
    /// The stream of `seed`; different seeds give unrelated streams.
    pub(crate) fn new(seed: u64) -> Self {
        let mut state = seed;
        Rng(std::array::from_fn(|_| {
            let word = mix(state);
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            word
        }))
    }

    /// A stream of its own for one part of the work.
    pub(crate) fn fork(&mut self) -> Self {
        Rng::new(self.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let out = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        out
    }

    /// Uniform in `0..n`; 0 where `n` is 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    /// Uniform in `from..=to`.
    pub(crate) fn range(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to.saturating_sub(from).saturating_add(1))
    }

    /// Uniform in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with probability `p`.
    pub(crate) fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// Exponential with the given mean.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * ln(1.0 - self.unit())
    }

    /// Near normal with mean 0 and deviation 1: the sum of twelve uniforms less six.
    pub(crate) fn normal(&mut self) -> f64 {
        let mut sum = 0.0;
        for _ in 0..6 {
            let word = self.next();
            sum += (word >> 32) as f64 + (word & 0xffff_ffff) as f64;
        }
        sum / 4_294_967_296.0 - 6.0
    }

    /// Log-normal with the given mean (not median) and shape.
    pub(crate) fn log_normal(&mut self, mean: f64, sigma: f64) -> f64 {
        mean * exp(sigma * self.normal() - sigma * sigma / 2.0)
    }

    /// A rank in `0..n`, low ranks more often: about Zipf's law with exponent 1.
    pub(crate) fn rank(&mut self, n: usize) -> usize {
        let rank = exp(self.unit() * ln(n as f64 + 1.0)) as usize;
        rank.saturating_sub(1).min(n.saturating_sub(1))
    }

    /// An index drawn by weight; 0 where all weights are 0.
    pub(crate) fn weighted(&mut self, weights: impl Iterator<Item = f64> + Clone) -> usize {
        let mut left = self.unit() * weights.clone().sum::<f64>();
        let mut last = 0;
        for (index, weight) in weights.enumerate() {
            if weight > 0.0 {
                last = index;
                if left < weight {
                    break;
                }
                left -= weight;
            }
        }
        last
    }
}

/// Fills `out` with the pseudo-random bytes of stream `key` from `offset` on, so that a
/// retransmission repeats the bytes that nobody stored.
pub(crate) fn fill(key: u64, offset: u64, out: &mut [u8]) {
    let mut word = offset / 8;
    let skip = (offset % 8) as usize;
    let mut rest = out;
    if skip > 0 {
        let bytes = mix(key.wrapping_add(word.wrapping_mul(0x9e37_79b9_7f4a_7c15))).to_le_bytes();
        let n = rest.len().min(8 - skip);
        let (head, tail) = rest.split_at_mut(n);
        head.copy_from_slice(&bytes[skip..skip + n]);
        rest = tail;
        word += 1;
    }
    let mut chunks = rest.chunks_exact_mut(8);
    for chunk in &mut chunks {
        chunk.copy_from_slice(
            &mix(key.wrapping_add(word.wrapping_mul(0x9e37_79b9_7f4a_7c15))).to_le_bytes(),
        );
        word += 1;
    }
    let tail = chunks.into_remainder();
    let bytes = mix(key.wrapping_add(word.wrapping_mul(0x9e37_79b9_7f4a_7c15))).to_le_bytes();
    let n = tail.len();
    tail.copy_from_slice(&bytes[..n]);
}

/// Natural logarithm of a positive number; of anything else, of the smallest positive one.
pub(crate) fn ln(x: f64) -> f64 {
    const LN_2: f64 = std::f64::consts::LN_2;
    let x = if x > f64::MIN_POSITIVE { x } else { f64::MIN_POSITIVE };
    let bits = x.to_bits();
    let mut exponent = ((bits >> 52) & 0x7ff) as i64 - 1023;
    let mut m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | (1023 << 52));
    if m > std::f64::consts::SQRT_2 {
        m /= 2.0;
        exponent += 1;
    }
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    let mut term = s;
    let mut sum = 0.0;
    for k in 0..10 {
        sum += term / f64::from(2 * k + 1);
        term *= square;
    }
    2.0 * sum + exponent as f64 * LN_2
}

/// Exponential, clamped to what an `f64` holds.
pub(crate) fn exp(x: f64) -> f64 {
    const LN_2: f64 = std::f64::consts::LN_2;
    let x = x.clamp(-700.0, 700.0);
    let k = (x / LN_2).round();
    let r = x - k * LN_2;
    let mut term = 1.0;
    let mut sum = 1.0;
    for n in 1..14 {
        term *= r / f64::from(n);
        sum += term;
    }
    sum * f64::from_bits(((k as i64 + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithm_and_exponential_agree_with_the_platform() {
        for x in [1e-300, 1e-9, 0.1, 0.5, 1.0, 1.5, 2.0, 10.0, 12345.678, 1e200] {
            assert!((ln(x) - f64::ln(x)).abs() <= 1e-12 * f64::ln(x).abs().max(1.0), "ln {x}");
        }
        for x in [-700.0, -20.0, -1.0, -1e-9, 0.0, 0.3, 1.0, 5.5, 100.0, 700.0] {
            assert!((exp(x) / f64::exp(x) - 1.0).abs() < 1e-12, "exp {x}");
        }
    }

    #[test]
    fn the_stream_never_changes() {
        // The published outputs of SplitMix64 for seed 1234567.
        assert_eq!(mix(1234567), 6457827717110365317);
        // Those of xoshiro256++ from the state 1, 2, 3, 4.
        let mut rng = Rng([1, 2, 3, 4]);
        let first: Vec<u64> = (0..4).map(|_| rng.next()).collect();
        assert_eq!(first, [41943041, 58720359, 3588806011781223, 3591011842654386]);
    }

    #[test]
    fn means_are_as_asked() {
        let mut rng = Rng::new(7);
        let mean = |draw: &mut dyn FnMut() -> f64| (0..40_000).map(|_| draw()).sum::<f64>() / 4e4;
        assert!((mean(&mut || rng.exponential(3.0)) - 3.0).abs() < 0.1);
        assert!((mean(&mut || rng.log_normal(100.0, 1.0)) - 100.0).abs() < 4.0);
        assert!(mean(&mut || rng.normal()).abs() < 0.03);
        assert!((mean(&mut || f64::from(u8::from(rng.chance(0.25)))) - 0.25).abs() < 0.01);
    }

    #[test]
    fn filling_in_pieces_is_filling_at_once() {
        let mut whole = [0; 100];
        fill(9, 3, &mut whole);
        for cut in 0..100 {
            let mut pieces = [0; 100];
            let (a, b) = pieces.split_at_mut(cut);
            fill(9, 3, a);
            fill(9, 3 + cut as u64, b);
            assert_eq!(whole, pieces, "cut at {cut}");
        }
    }
}
