//! Kinds of messages told apart before their fields are inferred.
//!
//! Samples are split by the value of one byte, or by direction, as long as that makes the other
//! bytes much cheaper to describe and gives some of them another role: what varied is constant
//! now. A byte that only names the flow does neither for bytes that the flow doesn't fix, so
//! session ids make no kinds. In the end every sample goes to the kind whose values it has, which
//! also takes continuations, random from the first byte, out of the kinds that look like one by
//! accident.

use crate::samples::{Sample, Samples};

/// Bytes by which kinds are told apart.
const BYTES: usize = 16;
/// Bytes whose values split.
const KEYS: usize = 12;
/// Most kinds.
const MOST_KINDS: usize = 12;
/// Most values of one byte that are tried.
const MOST_VALUES: usize = 8;
/// Least bits saved for each sample of the smaller part.
const LEAST_GAIN: f64 = 6.0;
/// Fewest samples, and smallest share of all, that make a kind.
const LEAST_SAMPLES: usize = 8;
const LEAST_SHARE: f64 = 0.02;
/// Share of one value from which a byte counts as constant.
const CONSTANT: f64 = 0.97;

/// Kinds of messages, each known by how often it has which value where.
#[derive(Debug, Clone)]
pub struct Kinds {
    tables: Vec<Table>,
}

#[derive(Debug, Clone)]
struct Table {
    /// Logarithm of the share of all samples, by direction.
    share: [f32; 2],
    /// Logarithm of the share of a value, by offset; behind 255 that the payload has ended.
    bytes: Vec<[f32; 257]>,
}

/// What kinds are learned from.
struct Row<'a> {
    head: &'a [u8],
    down: bool,
    before: Option<u32>,
}

impl Kinds {
    /// Learns kinds from the samples at `indices`, which rise.
    pub fn learn(samples: &Samples, indices: &[usize]) -> Self {
        let mut last: Vec<[Option<u32>; 2]> = vec![[None; 2]; samples.flows().len()];
        let rows: Vec<Row<'_>> = indices
            .iter()
            .enumerate()
            .map(|(at, index)| {
                let sample = samples.get(*index);
                let side = sample.direction.index();
                let before = last[sample.flow][side].replace(at as u32);
                let head = &sample.head[..sample.head.len().min(BYTES)];
                Row { head, down: side == 1, before }
            })
            .collect();
        let least = LEAST_SAMPLES.max((rows.len() as f64 * LEAST_SHARE) as usize);
        let mut done: Vec<Vec<u32>> = Vec::new();
        let mut open = vec![(0..rows.len() as u32).collect::<Vec<u32>>()];
        while let Some(members) = open.pop() {
            let full = done.len() + open.len() + 2 > MOST_KINDS;
            match best_split(&rows, &members, least).filter(|_| !full) {
                Some(test) => {
                    let (inside, outside): (Vec<u32>, Vec<u32>) =
                        members.iter().partition(|id| test.holds(&rows[**id as usize]));
                    open.push(outside);
                    open.push(inside);
                }
                None => done.push(members),
            }
        }
        let first = Kinds::of(&rows, &done);
        for members in &mut done {
            members.clear();
        }
        for (id, row) in rows.iter().enumerate() {
            done[first.nearest(row.head, row.down)].push(id as u32);
        }
        done.retain(|members| !members.is_empty() || rows.is_empty());
        done.sort_by_key(|members| std::cmp::Reverse(members.len()));
        Kinds::of(&rows, &done)
    }

    fn of(rows: &[Row<'_>], parts: &[Vec<u32>]) -> Self {
        let tables = parts.iter().map(|members| Table::new(rows, members)).collect();
        Kinds { tables }
    }

    /// How many there are; at least one.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.tables.len()
    }

    /// The kind of a sample, below [`Kinds::len`]; the most frequent kind is 0.
    pub fn kind(&self, sample: &Sample<'_>) -> usize {
        let head = &sample.head[..sample.head.len().min(BYTES)];
        self.nearest(head, sample.direction.index() == 1)
    }

    fn nearest(&self, head: &[u8], down: bool) -> usize {
        if self.tables.len() == 1 {
            return 0;
        }
        let mut best = (f32::NEG_INFINITY, 0);
        for (kind, table) in self.tables.iter().enumerate() {
            let mut fit = table.share[usize::from(down)];
            for (bytes, byte) in table.bytes.iter().zip(head) {
                fit += bytes[usize::from(*byte)];
            }
            if let Some(bytes) = table.bytes.get(head.len()) {
                fit += bytes[256];
            }
            if fit > best.0 {
                best = (fit, kind);
            }
        }
        best.1
    }
}

impl Table {
    fn new(rows: &[Row<'_>], members: &[u32]) -> Self {
        let mut bytes = vec![[0.0_f32; 257]; BYTES];
        let mut sides = [0.5_f32; 2];
        for id in members {
            let row = &rows[*id as usize];
            sides[usize::from(row.down)] += 1.0;
            for (bytes, byte) in bytes.iter_mut().zip(row.head) {
                bytes[usize::from(*byte)] += 1.0;
            }
            if let Some(bytes) = bytes.get_mut(row.head.len()) {
                bytes[256] += 1.0;
            }
        }
        for column in &mut bytes {
            let total: f32 = column.iter().sum();
            for count in column.iter_mut() {
                *count = ((*count + 1.0 / 257.0) / (total + 1.0)).ln();
            }
        }
        let all = rows.len() as f32 + 1.0;
        Table { share: sides.map(|side| (side / all).ln()), bytes }
    }
}

/// What splits samples in two.
#[derive(Clone, Copy)]
enum Test {
    Down,
    Value { offset: usize, value: u8 },
}

impl Test {
    fn holds(self, row: &Row<'_>) -> bool {
        match self {
            Test::Down => row.down,
            Test::Value { offset, value } => row.head.get(offset) == Some(&value),
        }
    }
}

/// What is known of one column of some samples.
#[derive(Clone, Copy)]
struct Column {
    cost: f64,
    constant: bool,
    /// Constant within flow and direction, but not over all.
    owned: bool,
}

type Counts = [[u32; 256]; BYTES];

fn counts(rows: &[Row<'_>], members: &[u32], test: Option<Test>) -> Box<Counts> {
    let mut out = Box::new([[0; 256]; BYTES]);
    for id in members {
        let row = &rows[*id as usize];
        if test.is_none_or(|test| test.holds(row)) {
            for (column, byte) in out.iter_mut().zip(row.head) {
                column[usize::from(*byte)] += 1;
            }
        }
    }
    out
}

/// Bits that describe a column: its values by their shares with a table of them, or plainly.
fn column(counts: &[u32; 256]) -> Column {
    let (mut total, mut sum, mut distinct, mut top) = (0_u32, 0.0, 0_u32, 0_u32);
    for count in counts {
        if *count > 0 {
            total += count;
            sum += f64::from(*count) * f64::from(*count).log2();
            distinct += 1;
            top = top.max(*count);
        }
    }
    if total == 0 {
        return Column { cost: 0.0, constant: true, owned: false };
    }
    let all = f64::from(total);
    let table = f64::from(distinct) * (8.0 + 0.5 * all.log2());
    let cost = (all * all.log2() - sum + table).min(8.0 * all);
    Column { cost, constant: f64::from(top) >= CONSTANT * all, owned: false }
}

fn best_split(rows: &[Row<'_>], members: &[u32], least: usize) -> Option<Test> {
    if members.len() < 2 * least {
        return None;
    }
    let all = counts(rows, members, None);
    let mut columns = all.each_ref().map(column);
    let changes = changes(rows, members);
    for (column, (changed, steps)) in columns.iter_mut().zip(changes) {
        column.owned = !column.constant && steps >= 8 && changed * 20 <= steps;
    }
    let mut tests = vec![Test::Down];
    for (offset, counts) in all.iter().enumerate().take(KEYS) {
        let mut values: Vec<(u32, u8)> = (0..=255_u8)
            .map(|value| (counts[usize::from(value)], value))
            .filter(|(count, _)| *count as usize >= least)
            .collect();
        values.sort_unstable_by(|one, other| other.cmp(one));
        values.truncate(MOST_VALUES);
        tests.extend(values.into_iter().map(|(_, value)| Test::Value { offset, value }));
    }
    let mut best: Option<(f64, Test)> = None;
    for test in tests {
        let size = members.iter().filter(|id| test.holds(&rows[**id as usize])).count();
        if size < least || members.len() - size < least {
            continue;
        }
        let inside = counts(rows, members, Some(test));
        let mut gain = 0.0;
        let mut roles = 0;
        for (offset, (before, inside)) in columns.iter().zip(inside.iter()).enumerate() {
            let mut outside = all[offset];
            for (count, taken) in outside.iter_mut().zip(inside) {
                *count -= taken;
            }
            let (inside, outside) = (column(inside), column(&outside));
            if matches!(test, Test::Value { offset: key, .. } if key == offset) {
                continue;
            }
            if !before.owned {
                gain += before.cost - inside.cost - outside.cost;
                let changes = !before.constant && inside.constant != outside.constant;
                roles += usize::from(changes);
            }
        }
        let each = gain / size.min(members.len() - size) as f64;
        if roles >= 1 && each >= LEAST_GAIN && best.is_none_or(|(most, _)| gain > most) {
            best = Some((gain, test));
        }
    }
    best.map(|(_, test)| test)
}

/// By offset: how often the value changed from a sample to the next of its flow and direction,
/// and of how many.
fn changes(rows: &[Row<'_>], members: &[u32]) -> [(usize, usize); BYTES] {
    let mut inside = vec![false; rows.len()];
    for id in members {
        inside[*id as usize] = true;
    }
    let mut out = [(0, 0); BYTES];
    for id in members {
        let row = &rows[*id as usize];
        let Some(before) = row.before.filter(|before| inside[*before as usize]) else { continue };
        let before = rows[before as usize].head;
        for ((changed, steps), (one, other)) in out.iter_mut().zip(before.iter().zip(row.head)) {
            *changed += usize::from(one != other);
            *steps += 1;
        }
    }
    out
}
