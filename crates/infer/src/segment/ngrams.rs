//! What Voting Experts know of n-grams: internal and boundary entropy, standardised per length.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// Most n-grams that are kept; beyond, statistics come from payloads spread evenly over all.
const MOST_NGRAMS: usize = 2_000_000;

/// Entropies of all n-grams up to a length, in a trie.
pub(crate) struct Ngrams {
    /// Node of an n-gram and its next byte: the longer n-gram's node.
    children: HashMap<u64, u32, FixedState>,
    /// By node; the root is 0.
    internal: Vec<f32>,
    boundary: Vec<f32>,
    /// By length: what an n-gram gets that the statistics have never seen.
    unseen: Vec<(f32, f32)>,
    depth: usize,
}

/// Entropies of every n-gram of one payload.
#[derive(Default)]
pub(crate) struct Entropies {
    depth: usize,
    values: Vec<(f32, f32)>,
}

impl Entropies {
    /// Of the n-gram of `len` bytes at `start`: how surprising it is as a word.
    pub(crate) fn internal(&self, start: usize, len: usize) -> f32 {
        self.values[start * self.depth + len - 1].0
    }

    /// How uncertain the byte behind it is.
    pub(crate) fn boundary(&self, start: usize, len: usize) -> f32 {
        self.values[start * self.depth + len - 1].1
    }
}

fn child(node: u32, byte: u8) -> u64 {
    u64::from(node) << 8 | u64::from(byte)
}

impl Ngrams {
    /// Counts the n-grams of up to `depth` bytes in `payloads`, each as often as its count says.
    pub(crate) fn learn(payloads: &[(&[u8], u32)], depth: usize) -> Self {
        let longest = payloads.iter().map(|(payload, _)| payload.len()).max().unwrap_or(0);
        let each = (longest * (depth + 1)).max(1);
        let step = payloads.len().div_ceil((MOST_NGRAMS / each).max(1)).max(1);

        let mut children: HashMap<u64, u32, FixedState> = HashMap::default();
        let mut nodes = vec![Node { parent: 0, len: 0, count: 0 }];
        for (payload, times) in payloads.iter().step_by(step) {
            for start in 0..payload.len() {
                let mut at = 0;
                for (len, byte) in payload[start..].iter().take(depth + 1).enumerate() {
                    let next = nodes.len() as u32;
                    let parent = at;
                    at = *children.entry(child(parent, *byte)).or_insert_with(|| {
                        nodes.push(Node { parent, len: len as u32 + 1, count: 0 });
                        next
                    });
                    nodes[at as usize].count += u64::from(*times);
                }
            }
        }
        standardised(&nodes, children, depth)
    }

    /// Looks up every n-gram of `payload`.
    pub(crate) fn look_up(&self, payload: &[u8], out: &mut Entropies) {
        out.depth = self.depth;
        out.values.clear();
        for start in 0..payload.len() {
            out.values.extend_from_slice(&self.unseen[1..]);
            let mut at = 0;
            for (len, byte) in payload[start..].iter().take(self.depth).enumerate() {
                let Some(next) = self.children.get(&child(at, *byte)) else { break };
                at = *next;
                out.values[start * self.depth + len] =
                    (self.internal[at as usize], self.boundary[at as usize]);
            }
        }
    }
}

struct Node {
    parent: u32,
    len: u32,
    count: u64,
}

fn standardised(nodes: &[Node], children: HashMap<u64, u32, FixedState>, depth: usize) -> Ngrams {
    let mut totals = vec![0_u64; depth + 2];
    let mut followed = vec![0_u64; nodes.len()];
    let mut spread = vec![0.0_f64; nodes.len()];
    for node in &nodes[1..] {
        totals[node.len as usize] += node.count;
        followed[node.parent as usize] += node.count;
        spread[node.parent as usize] += node.count as f64 * (node.count as f64).log2();
    }
    let mut internal = vec![0.0_f64; nodes.len()];
    let mut boundary = vec![0.0_f64; nodes.len()];
    let mut of_internal = vec![Moments::default(); depth + 2];
    let mut of_boundary = vec![Moments::default(); depth + 2];
    for (id, node) in nodes.iter().enumerate().skip(1) {
        let total = totals[node.len as usize] as f64;
        internal[id] = (total / node.count as f64).log2();
        if followed[id] > 0 {
            let seen = followed[id] as f64;
            boundary[id] = (seen.log2() - spread[id] / seen).max(0.0);
        }
        of_internal[node.len as usize].add(internal[id]);
        of_boundary[node.len as usize].add(boundary[id]);
    }
    let standard = |values: &[f64], moments: &[Moments]| {
        let each = values.iter().zip(nodes);
        each.map(|(value, node)| moments[node.len as usize].standard(*value)).collect()
    };
    let unseen = (0..=depth)
        .map(|len| {
            let surprise = (totals[len].max(1) as f64).log2();
            (of_internal[len].standard(surprise), of_boundary[len].standard(0.0))
        })
        .collect();
    Ngrams {
        children,
        internal: standard(&internal, &of_internal),
        boundary: standard(&boundary, &of_boundary),
        unseen,
        depth,
    }
}

/// Mean and deviation of what was added.
#[derive(Clone, Default)]
struct Moments {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        self.sum += value;
        self.squares += value * value;
    }

    fn standard(&self, value: f64) -> f32 {
        if self.count == 0.0 {
            return 0.0;
        }
        let mean = self.sum / self.count;
        let deviation = (self.squares / self.count - mean * mean).max(0.0).sqrt();
        ((value - mean) / if deviation < 1e-9 { 1.0 } else { deviation }) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropies_are_standardised_within_a_length() {
        let ngrams = Ngrams::learn(&[(b"ab", 3), (b"ac", 1)], 2);
        let mut of = Entropies::default();
        ngrams.look_up(b"ab", &mut of);
        // Lengths 1: a 4, b 3, c 1 of 8, so 1, 1.415 and 3 bits; behind "a" comes b 3 and c 1 of
        // 4, 0.811 bits, behind the others nothing.
        let mean = (1.0 + 1.415_037 + 3.0) / 3.0;
        let deviation = f32::sqrt(
            ((1.0 - mean) * (1.0 - mean)
                + (1.415_037 - mean) * (1.415_037 - mean)
                + (3.0 - mean) * (3.0 - mean))
                / 3.0,
        );
        assert!((of.internal(0, 1) - (1.0 - mean) / deviation).abs() < 1e-4);
        assert!((of.boundary(0, 1) - std::f32::consts::SQRT_2).abs() < 1e-4);
        assert!((of.boundary(1, 1) + std::f32::consts::FRAC_1_SQRT_2).abs() < 1e-4);
        assert!(of.internal(0, 2) < 0.0);
    }

    #[test]
    fn what_was_never_seen_is_as_surprising_as_what_was_seen_once() {
        let ngrams = Ngrams::learn(&[(b"aaaa", 1), (b"ab", 1)], 2);
        let mut of = Entropies::default();
        ngrams.look_up(b"zb", &mut of);
        assert_eq!(of.internal(0, 1), of.internal(1, 1));
        assert!(of.internal(0, 1) > 0.0);
    }
}
