//! How the values at two neighbouring offsets go together.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::entropy::corrected;
use super::view::View;

/// How many numbers describe a pair of neighbours.
pub(super) const FACTS: usize = 11;

/// Names of a pair's numbers, in order.
pub(super) const NAMES: [&str; FACTS] = [
    "shared",
    "joint",
    "together",
    "carry",
    "carry-little",
    "alike",
    "step",
    "same",
    "zero-high",
    "zero-low",
    "equal-share",
];

/// The numbers of the bytes at `offset` and behind it.
pub(super) fn facts(view: &View<'_>, offset: usize) -> [f32; FACTS] {
    let mut joint: HashMap<(u8, u8), u32, FixedState> = HashMap::default();
    let (mut first, mut second) = ([0_u32; 256], [0_u32; 256]);
    let (mut total, mut alike, mut same) = (0_u32, 0_u32, 0_u32);
    for row in &view.rows {
        let (Some(a), Some(b)) = (row.head.get(offset), row.head.get(offset + 1)) else { continue };
        *joint.entry((*a, *b)).or_default() += 1;
        first[usize::from(*a)] += 1;
        second[usize::from(*b)] += 1;
        total += 1;
        alike += 8 - (a ^ b).count_ones();
        same += u32::from(a == b);
    }
    if total == 0 {
        return [-1.0; FACTS];
    }
    let mut counts: Vec<u32> = joint.values().copied().collect();
    counts.sort_unstable();
    let distinct = |counts: &[u32]| counts.iter().filter(|count| **count > 0).count() as f64;
    let (of_first, of_second, of_both) =
        (corrected(&first), corrected(&second), corrected(&counts));
    let least = of_first.min(of_second);
    let shared = if least > 1e-6 {
        ((of_first + of_second - of_both) / least).clamp(-0.5, 1.0)
    } else {
        -1.0
    };
    let product = distinct(&first) * distinct(&second);
    let most = product.min(f64::from(total));
    let joint_share = if product > 1.0 {
        (distinct(&counts).log2() / most.log2().max(1e-6)).min(1.0)
    } else {
        -1.0
    };

    let changes = Changes::of(view, offset);
    let share = |part: u32| f64::from(part) / f64::from(total);
    let zero_high = share(first[0]) * (of_second / 8.0).min(1.0);
    let zero_low = share(second[0]) * (of_first / 8.0).min(1.0);
    [
        shared,
        joint_share,
        changes.together(),
        changes.carry(),
        changes.carry_little(),
        share(alike) / 8.0,
        (of_second - of_first) / 8.0,
        share(same),
        zero_high,
        zero_low,
        overlap(&first, &second, total),
    ]
    .map(|value| value as f32)
}

/// How much of the two bytes' distributions is common: bytes of one text or one key look alike.
fn overlap(first: &[u32; 256], second: &[u32; 256], total: u32) -> f64 {
    let common: u32 = first.iter().zip(second).map(|(a, b)| *a.min(b)).sum();
    f64::from(common) / f64::from(total)
}

/// What changes from one sample to the next of the same flow and direction.
#[derive(Default)]
struct Changes {
    /// By whether the first and whether the second byte changed.
    changed: [[f64; 2]; 2],
    /// By whether the second byte fell: whether the first changed.
    after_fall: [[f64; 2]; 2],
    /// By whether the first byte fell: whether the second changed.
    after_fall_little: [[f64; 2]; 2],
}

impl Changes {
    fn of(view: &View<'_>, offset: usize) -> Self {
        let mut out = Changes::default();
        for (before, row) in view.steps() {
            let (Some([a, b]), Some([c, d])) =
                (before.head.get(offset..offset + 2), row.head.get(offset..offset + 2))
            else {
                continue;
            };
            out.changed[usize::from(a != c)][usize::from(b != d)] += 1.0;
            if b != d {
                out.after_fall[usize::from(d < b)][usize::from(a != c)] += 1.0;
            }
            if a != c {
                out.after_fall_little[usize::from(c < a)][usize::from(b != d)] += 1.0;
            }
        }
        out
    }

    /// Correlation of the two changes.
    fn together(&self) -> f64 {
        let [[none, second], [first, both]] = self.changed;
        let product = (first + both) * (none + second) * (second + both) * (none + first);
        if product > 0.0 { (both * none - first * second) / product.sqrt() } else { -2.0 }
    }

    /// How much likelier the first byte changes when the second wraps round.
    fn carry(&self) -> f64 {
        likelier(self.after_fall)
    }

    fn carry_little(&self) -> f64 {
        likelier(self.after_fall_little)
    }
}

fn likelier([[kept, moved], [kept_after, moved_after]]: [[f64; 2]; 2]) -> f64 {
    if kept + moved == 0.0 || kept_after + moved_after == 0.0 {
        return -2.0;
    }
    moved_after / (kept_after + moved_after) - moved / (kept + moved)
}
