//! What speaks for a number at an offset, of a width, in an order of bytes.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::view::{Row, View};

/// Widths in bytes of which numbers are looked for.
pub(super) const WIDTHS: [usize; 6] = [1, 2, 3, 4, 6, 8];

/// How many numbers describe a span.
pub(super) const FACTS: usize = 6;

/// Names of a span's numbers, in order.
pub(super) const NAMES: [&str; FACTS] = ["length", "rises", "counts", "clock", "echo", "owned"];

/// Most rows that spans are judged by.
const MOST_ROWS: usize = 1024;

/// From where a span is firm: distinct values, and shares as in [`NAMES`].
const FIRM_VALUES: usize = 12;
const FIRM_LENGTH: f64 = 0.95;

/// Bytes from which a payload can be a full segment.
const LEAST_FULL: u64 = 500;

/// Evidence for every span up to a width.
pub(super) struct Numbers {
    by_span: Vec<[f32; FACTS]>,
    firm: Vec<bool>,
}

impl Numbers {
    /// Judges all spans in the first bytes of a view.
    pub(super) fn new(view: &View<'_>) -> Self {
        let spans = view.width * WIDTHS.len();
        let mut out =
            Numbers { by_span: Vec::with_capacity(spans), firm: Vec::with_capacity(spans) };
        for start in 0..view.width {
            for width in WIDTHS {
                let (mut best, mut firm) = judge(view, start, width, false);
                if width > 1 {
                    let (little, firm_little) = judge(view, start, width, true);
                    for (best, little) in best.iter_mut().zip(little) {
                        *best = best.max(little);
                    }
                    firm |= firm_little;
                }
                out.by_span.push(best);
                out.firm.push(firm);
            }
        }
        out
    }

    /// Spans of several bytes that tell the message's length or count messages so well, all
    /// through their first and last bytes, that nothing can be cut in them.
    pub(super) fn firm(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        self.firm.iter().enumerate().filter(|(_, firm)| **firm).map(|(at, _)| {
            let start = at / WIDTHS.len();
            start..start + WIDTHS[at % WIDTHS.len()]
        })
    }

    /// Evidence for the span at `start` of a width in [`WIDTHS`].
    pub(super) fn span(&self, start: usize, width: usize) -> [f32; FACTS] {
        let width = WIDTHS.iter().position(|known| *known == width);
        width
            .and_then(|width| self.by_span.get(start * WIDTHS.len() + width))
            .copied()
            .unwrap_or([0.0; FACTS])
    }

    /// Best evidence of all spans that begin at `offset`, end there, or have it inside.
    pub(super) fn around(&self, offset: usize) -> [[f32; FACTS]; 3] {
        let mut best = [[0.0_f32; FACTS]; 3];
        for width in WIDTHS {
            for start in offset.saturating_sub(width)..=offset {
                let side = match offset - start {
                    0 => 0,
                    inside if inside == width => 1,
                    _ => 2,
                };
                for (best, found) in best[side].iter_mut().zip(self.span(start, width)) {
                    *best = best.max(found);
                }
            }
        }
        best
    }
}

fn number(row: &Row<'_>, start: usize, width: usize, little: bool) -> Option<u64> {
    Some(ottoscope_flow::signature::number(row.head.get(start..start + width)?, little))
}

fn judge(view: &View<'_>, start: usize, width: usize, little: bool) -> ([f32; FACTS], bool) {
    let rows = &view.rows[..view.rows.len().min(MOST_ROWS)];
    let values: Vec<Option<u64>> =
        rows.iter().map(|row| number(row, start, width, little)).collect();
    let mut known: Vec<u64> = values.iter().flatten().copied().collect();
    if known.len() < 2 {
        return ([0.0; FACTS], false);
    }
    let length = if width <= 4 { length(rows, &values) } else { 0.0 };
    let [rises, counts, clock] = series(rows, &values, width);
    let [echo, owned] = partners(rows, &values);
    known.sort_unstable();
    known.dedup();
    let high = |value: &u64| value >> (8 * (width - 1));
    let spread = known.len() >= FIRM_VALUES
        && known.first().map(high) != known.last().map(high)
        && known.iter().any(|value| value & 0xff != known[0] & 0xff);
    let firm = width > 1 && width <= 4 && spread && length >= FIRM_LENGTH;
    ([length, rises, counts, clock, echo, owned].map(|value| value as f32), firm)
}

/// Share of the distinct values that tell the message's length, with one offset for all: 0 when
/// they are fewer than two or lengths don't vary with them. Where many payloads have the greatest
/// length they are full segments, whose messages go on in the next, and say nothing here.
fn length(rows: &[Row<'_>], values: &[Option<u64>]) -> f64 {
    let full = rows.iter().map(|row| row.len).max().unwrap_or(0);
    let fulls = rows.iter().filter(|row| row.len == full).count();
    let least = if full >= LEAST_FULL && fulls * 20 >= rows.len() { full } else { u64::MAX };
    let mut pairs: Vec<(u64, u64)> = rows
        .iter()
        .zip(values)
        .filter(|(row, _)| row.len < least)
        .filter_map(|(row, value)| value.map(|value| (value, row.len)))
        .collect();
    pairs.sort_unstable();
    pairs.dedup();
    let distinct = pairs.chunk_by(|one, other| one.0 == other.0).count();
    if distinct < 2 {
        return 0.0;
    }
    let mut best = 0;
    for unit in [1, 4] {
        let mut offsets: HashMap<i128, usize, FixedState> = HashMap::default();
        for (value, len) in &pairs {
            let offset = i128::from(*len) - unit * i128::from(*value);
            if (-64..=256).contains(&offset) {
                *offsets.entry(offset).or_default() += 1;
            }
        }
        best = best.max(offsets.values().copied().max().unwrap_or(0));
    }
    if best < 2 { 0.0 } else { best as f64 / distinct.max(pairs.len().min(2 * distinct)) as f64 }
}

/// How it goes on in its flow and direction: how often up by little, how often by the most
/// common step, how closely with the clock.
fn series(rows: &[Row<'_>], values: &[Option<u64>], width: usize) -> [f64; 3] {
    let range = if width == 8 { u64::MAX } else { (1 << (8 * width)) - 1 };
    let mut steps: HashMap<u64, u32, FixedState> = HashMap::default();
    let (mut pairs, mut small) = (0.0, 0.0);
    let (mut clock, mut moved) = (Correlation::default(), 0.0);
    for (row, value) in rows.iter().zip(values) {
        let (Some(value), Some(before)) = (value, row.before) else { continue };
        let Some(last) = values[before as usize] else { continue };
        let step = value.wrapping_sub(last) & range;
        pairs += 1.0;
        if step == 0 {
            continue;
        }
        moved += 1.0;
        if step <= range / 16 {
            small += 1.0;
            clock.add((row.at - rows[before as usize].at) as f64, step as f64);
        }
        *steps.entry(step).or_default() += 1;
    }
    if pairs < 3.0 || moved < 3.0 {
        return [0.0; 3];
    }
    let common = steps.values().copied().max().unwrap_or(0);
    let common = if common < 2 { 0.0 } else { f64::from(common) };
    [small / pairs, common / pairs, if small > moved * 0.8 { clock.value() } else { 0.0 }]
}

/// How often it repeats the other direction's last value without repeating its own, and how far
/// a flow has it for itself.
fn partners(rows: &[Row<'_>], values: &[Option<u64>]) -> [f64; 2] {
    let (mut replies, mut echoed) = (0.0, 0.0);
    for (row, value) in rows.iter().zip(values) {
        let (Some(value), Some(other)) = (value, row.other) else { continue };
        let Some(asked) = values[other as usize] else { continue };
        let own = row.before.and_then(|before| values[before as usize]);
        if own.is_none_or(|own| own != *value) {
            replies += 1.0;
            echoed += f64::from(u8::from(asked == *value));
        }
    }
    let mut pairs: Vec<(u64, u32)> = values
        .iter()
        .zip(rows)
        .filter_map(|(value, row)| value.map(|value| (value, row.flow)))
        .collect();
    pairs.sort_unstable();
    pairs.dedup();
    let values = pairs.chunk_by(|one, other| one.0 == other.0);
    let (mut distinct, mut own) = (0.0, 0.0);
    for flows in values {
        distinct += 1.0;
        own += f64::from(u8::from(flows.len() == 1));
    }
    let flows = rows.iter().map(|row| row.flow).max().unwrap_or(0) + 1;
    [
        if replies < 3.0 { 0.0 } else { echoed / replies },
        if flows < 2 || distinct < 2.0 {
            0.0
        } else {
            own / distinct * (f64::from(flows) / pairs.len() as f64).min(1.0)
        },
    ]
}

#[derive(Default)]
struct Correlation {
    n: f64,
    x: f64,
    y: f64,
    xx: f64,
    yy: f64,
    xy: f64,
}

impl Correlation {
    fn add(&mut self, x: f64, y: f64) {
        self.n += 1.0;
        self.x += x;
        self.y += y;
        self.xx += x * x;
        self.yy += y * y;
        self.xy += x * y;
    }

    fn value(&self) -> f64 {
        let x = self.n * self.xx - self.x * self.x;
        let y = self.n * self.yy - self.y * self.y;
        if x <= 0.0 || y <= 0.0 {
            0.0
        } else {
            (self.n * self.xy - self.x * self.y) / (x * y).sqrt()
        }
    }
}
