//! The frame header behind the tag (RFC 6386 9.2 on, 19.2), and what of it lasts beyond its frame.

use super::bool::BoolReader;
use super::tables;

/// Probabilities that a frame may change for those after it (9.9 to 9.11).
#[derive(Debug, Clone)]
pub(super) struct Probabilities {
    pub(super) coefficients: [[[[u8; 11]; 3]; 8]; 4],
    pub(super) vectors: [[u8; 19]; 2],
    pub(super) luma: [u8; 4],
    pub(super) chroma: [u8; 3],
}

impl Default for Probabilities {
    fn default() -> Self {
        Probabilities {
            coefficients: tables::COEFFICIENT,
            vectors: tables::VECTOR,
            luma: tables::LUMA,
            chroma: tables::CHROMA,
        }
    }
}

/// Quantizer and filter by segment (9.3, 9.6).
#[derive(Debug, Clone, Default)]
pub(super) struct Segments {
    pub(super) enabled: bool,
    /// Whether the frame says which block is in which segment.
    pub(super) update_map: bool,
    absolute: bool,
    quantizer: [i8; 4],
    filter: [i8; 4],
    pub(super) tree: [u8; 3],
}

impl Segments {
    fn read(&mut self, bits: &mut BoolReader<'_>) {
        self.enabled = bits.flag();
        self.update_map = false;
        if !self.enabled {
            return;
        }
        self.update_map = bits.flag();
        if bits.flag() {
            self.absolute = bits.flag();
            self.quantizer = std::array::from_fn(|_| bits.optional(7).unwrap_or(0));
            self.filter = std::array::from_fn(|_| bits.optional(6).unwrap_or(0));
        }
        if self.update_map {
            self.tree = std::array::from_fn(|_| if bits.flag() { bits.literal(8) } else { 255 });
        }
    }

    fn adjust(&self, base: i32, values: [i8; 4], segment: u8) -> i32 {
        let value = i32::from(values[usize::from(segment & 3)]);
        match (self.enabled, self.absolute) {
            (false, _) => base,
            (true, true) => value,
            (true, false) => base + value,
        }
    }

    /// The quantizer's index in a segment, 0 to 127.
    pub(super) fn quantizer(&self, base: u8, segment: u8) -> i32 {
        self.adjust(base.into(), self.quantizer, segment).clamp(0, 127)
    }

    /// The filter's level in a segment, 0 to 63.
    pub(super) fn filter(&self, base: u8, segment: u8) -> i32 {
        self.adjust(base.into(), self.filter, segment).clamp(0, 63)
    }
}

/// The loop filter's settings (9.6).
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub(super) simple: bool,
    pub(super) level: u8,
    pub(super) sharpness: u8,
    pub(super) deltas: bool,
    /// By reference: this frame, last, golden, alternate.
    pub(super) by_reference: [i8; 4],
    /// By mode: subblocks, zero, other motion, split.
    pub(super) by_mode: [i8; 4],
}

impl Filter {
    fn read(&mut self, bits: &mut BoolReader<'_>) {
        self.simple = bits.flag();
        self.level = bits.literal(6);
        self.sharpness = bits.literal(3);
        self.deltas = bits.flag();
        if self.deltas && bits.flag() {
            for delta in self.by_reference.iter_mut().chain(&mut self.by_mode) {
                if let Some(value) = bits.optional(6) {
                    *delta = value;
                }
            }
        }
    }
}

/// Quantizer indices (9.6): the base, then what is added for each kind of coefficient.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Quantizers {
    pub(super) base: u8,
    pub(super) luma_first: i8,
    pub(super) second_first: i8,
    pub(super) second: i8,
    pub(super) chroma_first: i8,
    pub(super) chroma: i8,
}

impl Quantizers {
    fn read(bits: &mut BoolReader<'_>) -> Self {
        let base = bits.literal(7);
        let mut delta = || bits.optional(4).unwrap_or(0);
        let (luma_first, second_first, second) = (delta(), delta(), delta());
        let (chroma_first, chroma) = (delta(), delta());
        Quantizers { base, luma_first, second_first, second, chroma_first, chroma }
    }
}

/// What lasts from frame to frame.
#[derive(Debug, Clone, Default)]
pub(super) struct Context {
    pub(super) probabilities: Probabilities,
    pub(super) segments: Segments,
    pub(super) filter: Filter,
    /// Whether vectors into golden and alternate frame are turned round, by reference.
    pub(super) turned: [bool; 4],
}

/// What one frame says of itself.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) quantizers: Quantizers,
    /// Logarithm of the number of coefficient partitions.
    pub(super) partitions: u32,
    pub(super) refresh_last: bool,
    pub(super) refresh_golden: bool,
    pub(super) refresh_alternate: bool,
    /// 1: last becomes golden; 2: alternate does.
    pub(super) copy_to_golden: u8,
    /// 1: last becomes alternate; 2: golden does.
    pub(super) copy_to_alternate: u8,
    /// Probabilities to go on with after this frame, where it does not keep its own.
    pub(super) kept: Option<Box<Probabilities>>,
    /// How likely a block has coefficients, where blocks say so.
    pub(super) skip: Option<u8>,
    pub(super) intra: u8,
    pub(super) last: u8,
    pub(super) golden: u8,
}

impl Header {
    /// Reads it off the first partition and brings `context` up to date.
    pub(super) fn read(bits: &mut BoolReader<'_>, key: bool, context: &mut Context) -> Self {
        if key {
            *context = Context::default();
            bits.literal(2); // color space and clamping, which change nothing that is decoded
        }
        context.segments.read(bits);
        context.filter.read(bits);
        let partitions = u32::from(bits.literal(2));
        let quantizers = Quantizers::read(bits);
        let (mut refresh_golden, mut refresh_alternate) = (key, key);
        let (mut copy_to_golden, mut copy_to_alternate) = (0, 0);
        if !key {
            refresh_golden = bits.flag();
            refresh_alternate = bits.flag();
            if !refresh_golden {
                copy_to_golden = bits.literal(2);
            }
            if !refresh_alternate {
                copy_to_alternate = bits.literal(2);
            }
            context.turned = [false, false, bits.flag(), bits.flag()];
        }
        let keep = bits.flag();
        let kept = (!keep).then(|| Box::new(context.probabilities.clone()));
        let refresh_last = key || bits.flag();
        let probabilities = &mut context.probabilities;
        for (kind, kinds) in probabilities.coefficients.iter_mut().enumerate() {
            for (band, bands) in kinds.iter_mut().enumerate() {
                for (before, all) in bands.iter_mut().enumerate() {
                    for (at, value) in all.iter_mut().enumerate() {
                        if bits.bit(tables::COEFFICIENT_UPDATE[kind][band][before][at]) {
                            *value = bits.literal(8);
                        }
                    }
                }
            }
        }
        let skip = bits.flag().then(|| bits.literal(8));
        let (mut intra, mut last, mut golden) = (0, 0, 0);
        if !key {
            intra = bits.literal(8);
            last = bits.literal(8);
            golden = bits.literal(8);
            if bits.flag() {
                probabilities.luma = std::array::from_fn(|_| bits.literal(8));
            }
            if bits.flag() {
                probabilities.chroma = std::array::from_fn(|_| bits.literal(8));
            }
            for (side, values) in probabilities.vectors.iter_mut().enumerate() {
                for (at, value) in values.iter_mut().enumerate() {
                    if bits.bit(tables::VECTOR_UPDATE[side][at]) {
                        *value = (bits.literal(7) << 1).max(1);
                    }
                }
            }
        }
        Header {
            quantizers,
            partitions,
            refresh_last,
            refresh_golden,
            refresh_alternate,
            copy_to_golden,
            copy_to_alternate,
            kept,
            skip,
            intra,
            last,
            golden,
        }
    }
}
