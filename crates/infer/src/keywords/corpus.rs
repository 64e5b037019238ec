//! Many strings as one text of symbols, and every substring that strings share.

use std::cmp::Reverse;

use hashbrown::HashMap;

use super::{Cut, suffixes};

/// Stands behind each string; smaller than every other symbol.
const END: u32 = 0;

/// Distinct strings with how often each was seen.
pub(super) struct Corpus {
    text: Vec<u32>,
    /// Bytes in front of each symbol, so that lengths in bytes are differences.
    bytes: Vec<u32>,
    /// The string that each symbol belongs to.
    owner: Vec<u32>,
    /// Where each string starts, and where the one behind the last would.
    starts: Vec<u32>,
    weights: Vec<u64>,
    sorted: Vec<u32>,
    ranks: Vec<u32>,
    shared: Vec<u32>,
}

/// A substring of several strings that no symbol extends in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Repeat {
    /// Ranks of the first and the last suffix that start with it.
    first: u32,
    last: u32,
    symbols: u32,
    /// Its length in bytes.
    pub(super) bytes: u32,
    /// How often strings with it were seen.
    pub(super) weight: u64,
}

/// Whether a substring is the longest that some two strings share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pair {
    /// These two; the same index twice for a string seen twice.
    Found(usize, usize),
    /// Every two share a longer one.
    None,
    /// Not found out within the steps allowed.
    Unknown,
}

/// An open interval of suffixes that start alike.
struct Open {
    symbols: u32,
    first: u32,
    /// Weights of all suffixes before it.
    before: u64,
    /// Changes of the symbol in front, up to its first suffix.
    changes: u32,
    /// What was counted again for strings that are in it more than once.
    again: u64,
}

/// Scratch for [`Corpus::pair`]: what was seen in which round.
#[derive(Default)]
pub(super) struct Marks {
    round: u32,
    member: Vec<u32>,
    reached: Vec<u32>,
    run: Vec<u32>,
}

/// A string's symbols: its characters or its words.
fn symbols(value: &str, cut: Cut) -> impl Iterator<Item = &str> {
    let mut rest = value;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let word = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
        let len = match cut {
            Cut::Labels if word(first) => rest.find(|c| !word(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (symbol, behind) = rest.split_at(len);
        rest = behind;
        Some(symbol)
    })
}

impl Corpus {
    pub(super) fn new(values: &[(&str, u64)], cut: Cut) -> Self {
        let size = values.iter().map(|(value, _)| value.len() + 1).sum();
        let mut text = Vec::with_capacity(size);
        let (mut bytes, mut owner) = (Vec::with_capacity(size), Vec::with_capacity(size));
        let mut starts = Vec::with_capacity(values.len() + 1);
        let mut names: HashMap<&str, u32, foldhash::fast::RandomState> = HashMap::default();
        let mut before = 0;
        for (index, (value, _)) in values.iter().enumerate() {
            starts.push(text.len() as u32);
            for symbol in symbols(value, cut) {
                let next = names.len() as u32 + 1;
                text.push(*names.entry(symbol).or_insert(next));
                bytes.push(before);
                before += symbol.len() as u32;
            }
            text.push(END);
            bytes.push(before);
            owner.resize(text.len(), index as u32);
        }
        starts.push(text.len() as u32);
        bytes.push(before);
        let sorted = suffixes::sort(&text, names.len() as u32);
        let ranks = suffixes::ranks(&sorted);
        let shared = suffixes::shared(&text, &sorted, &ranks, END);
        let weights = values.iter().map(|(_, weight)| *weight).collect();
        Corpus { text, bytes, owner, starts, weights, sorted, ranks, shared }
    }

    fn bytes_at(&self, suffix: u32, symbols: u32) -> u32 {
        self.bytes[(suffix + symbols) as usize] - self.bytes[suffix as usize]
    }

    /// Bytes that the suffixes of this rank and the one before share.
    fn shared_bytes(&self, rank: usize) -> u32 {
        self.bytes_at(self.sorted[rank], self.shared[rank])
    }

    /// The symbols of a repeat.
    pub(super) fn symbols(&self, repeat: &Repeat) -> &[u32] {
        let start = self.sorted[repeat.first as usize] as usize;
        &self.text[start..start + repeat.symbols as usize]
    }

    /// One place of a repeat: the string, and the range of bytes in it.
    pub(super) fn place(&self, repeat: &Repeat) -> (usize, std::ops::Range<usize>) {
        let suffix = self.sorted[repeat.first as usize];
        let owner = self.owner[suffix as usize] as usize;
        let start =
            (self.bytes[suffix as usize] - self.bytes[self.starts[owner] as usize]) as usize;
        (owner, start..start + repeat.bytes as usize)
    }

    /// The strings that hold a repeat, by falling weight and rising index.
    pub(super) fn holders(&self, repeat: &Repeat) -> Vec<usize> {
        let ranks = repeat.first as usize..=repeat.last as usize;
        let mut holders: Vec<usize> =
            self.sorted[ranks].iter().map(|&s| self.owner[s as usize] as usize).collect();
        holders.sort_unstable_by_key(|&index| (Reverse(self.weights[index]), index));
        holders.dedup();
        holders
    }

    /// All substrings of `bytes` and more, in strings seen `weight` times and more, that occur
    /// in at least two places with different symbols (or ends) before and behind. The longest
    /// common substring of two strings is always one of them.
    pub(super) fn repeats(&self, bytes: u32, weight: u64) -> Vec<Repeat> {
        let mut found = Vec::new();
        let mut seen = vec![u32::MAX; self.weights.len()];
        let root = Open { symbols: 0, first: 0, before: 0, changes: 0, again: 0 };
        let mut open = vec![root];
        // The suffixes that start with END come first, one a string.
        let first = self.weights.len();
        let (mut sum, mut changes, mut front) = (0, 0, END);
        let (mut before, mut changes_before) = (0, 0);
        for rank in first..=self.text.len() {
            let suffix = self.sorted.get(rank).copied();
            let symbols = if rank == first || suffix.is_none() { 0 } else { self.shared[rank] };
            let mut next = Open {
                symbols,
                first: rank.saturating_sub(1) as u32,
                before,
                changes: changes_before,
                again: 0,
            };
            while let Some(closed) = open.pop_if(|top| top.symbols > symbols) {
                let last = rank - 1;
                let length = self.bytes_at(self.sorted[last], closed.symbols);
                let covered = sum - closed.before - closed.again;
                if length >= bytes && covered >= weight && changes > closed.changes {
                    found.push(Repeat {
                        first: closed.first,
                        last: last as u32,
                        symbols: closed.symbols,
                        bytes: length,
                        weight: covered,
                    });
                }
                match open.last_mut() {
                    Some(outer) if outer.symbols >= symbols => outer.again += closed.again,
                    _ => next.again = closed.again,
                }
                (next.first, next.before) = (closed.first, closed.before);
                next.changes = closed.changes;
            }
            if open.last().is_some_and(|top| top.symbols < symbols) {
                open.push(next);
            }
            let Some(suffix) = suffix else { break };
            let owner = self.owner[suffix as usize] as usize;
            let weight = self.weights[owner];
            let earlier = std::mem::replace(&mut seen[owner], rank as u32);
            if earlier != u32::MAX {
                // The innermost interval that holds both places counts the string once.
                let at = open.partition_point(|interval| interval.first <= earlier);
                if let Some(interval) = at.checked_sub(1).and_then(|at| open.get_mut(at)) {
                    interval.again += weight;
                }
            }
            let in_front = (suffix as usize).checked_sub(1).map_or(END, |at| self.text[at]);
            changes += u32::from(in_front == END || in_front != front || rank == first);
            front = in_front;
            before = sum;
            changes_before = changes;
            sum += weight;
        }
        found
    }

    /// Values seen twice and `weight` times, of `bytes` and more, that occur in no other: no
    /// repeats, but what they share with themselves.
    pub(super) fn lone(&self, bytes: u32, weight: u64) -> impl Iterator<Item = Repeat> {
        let least = weight.max(2);
        (0..self.weights.len() as u32).filter_map(move |owner| {
            let (start, end) = self.span(owner);
            let (rank, symbols) = (self.ranks[start as usize], end - start);
            let length = self.bytes_at(start, symbols);
            let shared = |rank: u32| self.shared.get(rank as usize).copied().unwrap_or(0);
            let alone = shared(rank).max(shared(rank + 1)) < symbols;
            let weight = self.weights[owner as usize];
            (alone && weight >= least && length >= bytes).then_some(Repeat {
                first: rank,
                last: rank,
                symbols,
                bytes: length,
                weight,
            })
        })
    }

    /// Two strings that share a repeat and nothing longer. `steps` is what may still be spent,
    /// a step being a suffix looked at.
    pub(super) fn pair(&self, repeat: &Repeat, marks: &mut Marks, steps: &mut u64) -> Pair {
        let strings = self.weights.len();
        for list in [&mut marks.member, &mut marks.reached, &mut marks.run] {
            list.resize(strings, 0);
        }
        marks.round += 1;
        let mut members = Vec::new();
        for &suffix in &self.sorted[repeat.first as usize..=repeat.last as usize] {
            let owner = self.owner[suffix as usize];
            let (start, end) = self.span(owner);
            if suffix == start && repeat.symbols == end - start && self.weights[owner as usize] > 1
            {
                return Pair::Found(owner as usize, owner as usize);
            }
            if std::mem::replace(&mut marks.member[owner as usize], marks.round) != marks.round {
                members.push(owner);
            }
        }
        let round = marks.round;
        // Short strings share least besides.
        members.sort_unstable_by_key(|&owner| {
            let (start, end) = self.span(owner);
            (end - start, owner)
        });
        for &one in &members {
            marks.round += 1;
            let reached = marks.round;
            let mut left = members.len() - 1;
            marks.reached[one as usize] = reached;
            let (start, end) = self.span(one);
            for suffix in start..end {
                if left == 0 || self.bytes_at(suffix, end - suffix) <= repeat.bytes {
                    break;
                }
                let rank = self.ranks[suffix as usize] as usize;
                let longer = |&rank: &usize| self.shared_bytes(rank) > repeat.bytes;
                let low = (1..=rank).rev().take_while(longer).last().map_or(rank, |r| r - 1);
                let high = (rank + 1..self.sorted.len()).take_while(longer).last().unwrap_or(rank);
                let spent = (high - low) as u64 + 1;
                let Some(rest) = steps.checked_sub(spent) else { return Pair::Unknown };
                *steps = rest;
                marks.round += 1;
                let mut in_run = 0;
                for &other in &self.sorted[low..=high] {
                    let owner = self.owner[other as usize] as usize;
                    if marks.member[owner] != round {
                        continue;
                    }
                    if std::mem::replace(&mut marks.run[owner], marks.round) != marks.round {
                        in_run += 1;
                    }
                    if std::mem::replace(&mut marks.reached[owner], reached) != reached {
                        left -= 1;
                    }
                }
                if in_run == members.len() {
                    return Pair::None;
                }
            }
            if left > 0 {
                let other = members.iter().find(|&&o| marks.reached[o as usize] != reached);
                return other.map_or(Pair::None, |&o| Pair::Found(one as usize, o as usize));
            }
        }
        Pair::None
    }

    /// First symbol of a string, and its END.
    fn span(&self, owner: u32) -> (u32, u32) {
        (self.starts[owner as usize], self.starts[owner as usize + 1] - 1)
    }
}
