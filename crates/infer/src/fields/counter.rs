//! Counters: values that step forward from one message to the next.
//!
//! A step is a difference modulo the field's width, so that wrapping is no fall. The extreme
//! values (0, all ones, and one less) stand for "no number" in many protocols: where one of them
//! is no step away from the last number it is left out.

use ottoscope_flow::Direction;

use super::Kind;
use super::finding::{Finding, percent};
use super::table::{Column, Spread, Table};

/// Which messages share one counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    FlowAndDirection,
    Flow,
    Direction,
    All,
}

impl Scope {
    fn words(self) -> &'static str {
        match self {
            Scope::FlowAndDirection => "within flow and direction",
            Scope::Flow => "within the flow, both directions together",
            Scope::Direction => "across flows, by direction",
            Scope::All => "across flows",
        }
    }
}

/// Steps from message to message, of one direction.
#[derive(Debug, Clone, Default)]
struct Steps {
    pairs: usize,
    still: usize,
    forward: usize,
    back: usize,
    special: usize,
    /// Forward steps since the last other step but stays, and the most of them.
    run: usize,
    longest: usize,
    sizes: Vec<u64>,
}

/// A counter as it was found.
#[derive(Debug, Clone)]
pub(crate) struct Counter {
    rows: usize,
    width: usize,
    scope: Scope,
    direction: Option<Direction>,
    little: bool,
    steps: Steps,
    /// The commonest step and its share.
    step: u64,
    step_share: f64,
}

/// Forward steps kept to find the commonest.
const SIZES: usize = 1 << 16;

/// Largest forward step: a random value is seldom that near.
fn window(mask: u64) -> u64 {
    if mask <= 0xff { 16 } else { mask / 32 }
}

impl Steps {
    fn add(&mut self, last: &mut Option<u64>, value: u64, mask: u64) {
        let Some(before) = *last else {
            *last = Some(value);
            return;
        };
        let window = window(mask);
        let step = value.wrapping_sub(before) & mask;
        let extreme = mask > 0xff && (value == 0 || value >= mask - 1);
        if extreme && step > window && step != 0 {
            self.special += 1;
            return;
        }
        *last = Some(value);
        self.pairs += 1;
        if step == 0 {
            self.still += 1;
        } else if step <= window {
            self.forward += 1;
            self.run += 1;
            self.longest = self.longest.max(self.run);
            if self.sizes.len() < SIZES {
                self.sizes.push(step);
            }
        } else {
            self.back += 1;
            self.run = 0;
        }
    }

    fn join(&mut self, other: Steps) {
        self.pairs += other.pairs;
        self.still += other.still;
        self.forward += other.forward;
        self.back += other.back;
        self.special += other.special;
        self.longest = self.longest.max(other.longest);
        self.sizes.extend(other.sizes);
    }

    /// The commonest forward step with its share of the forward steps.
    fn commonest(&mut self) -> (u64, f64) {
        self.sizes.sort_unstable();
        let runs = self.sizes.chunk_by(|a, b| a == b);
        let best = runs.max_by_key(|run| (run.len(), std::cmp::Reverse(run[0])));
        best.map_or((0, 0.0), |run| (run[0], run.len() as f64 / self.sizes.len() as f64))
    }

    fn rising(&self) -> f64 {
        self.forward as f64 / (self.forward + self.back).max(1) as f64
    }
}

/// Steps of both directions; `None` as soon as too many go back for either to be a counter.
fn walk(table: &Table<'_>, column: &Column, scope: Scope) -> Option<[Steps; 2]> {
    let mask = column.mask();
    let mut steps = [Steps::default(), Steps::default()];
    let mut last: [Option<u64>; 2] = [None; 2];
    let mut flow = u32::MAX;
    let mut messages = [0; 2];
    for row in &column.rows {
        messages[table.rows[*row as usize].side()] += 1;
    }
    let by_flow = matches!(scope, Scope::FlowAndDirection | Scope::Flow);
    let by_side = matches!(scope, Scope::FlowAndDirection | Scope::Direction);
    let mut order: Vec<u32> = Vec::new();
    if !by_flow {
        order.extend(0..column.len() as u32);
        let sample = |at: &u32| table.rows[column.rows[*at as usize] as usize].sample;
        order.sort_unstable_by_key(sample);
    }
    for index in 0..column.len() {
        let at = order.get(index).map_or(index, |at| *at as usize);
        let row = table.rows[column.rows[at] as usize];
        if by_flow && row.flow != flow {
            (flow, last) = (row.flow, [None; 2]);
            steps.iter_mut().for_each(|steps| steps.run = 0);
        }
        let slot = if by_side { row.side() } else { 0 };
        steps[row.side()].add(&mut last[slot], column.values[at], mask);
        // With a tenth of all going back, the rest can't be nine tenths of the steps.
        let over = |side: usize| 10 * steps[side].back > messages[side];
        if over(0) && over(1) {
            return None;
        }
    }
    Some(steps)
}

/// Whether these steps are a counter's.
fn judge(
    scope: Scope,
    little: bool,
    direction: Option<Direction>,
    column: &Column,
    mut steps: Steps,
) -> Option<Counter> {
    if steps.longest < 3 || steps.rising() < 0.9 || steps.special > steps.pairs {
        return None;
    }
    let (step, step_share) = steps.commonest();
    let neat = is_neat(step, step_share);
    if column.width() == 1 && !neat {
        return None;
    }
    let across = matches!(scope, Scope::Direction | Scope::All);
    let scarce = steps.forward < 6 || steps.still > 10 * steps.forward;
    if (scarce || across) && !neat {
        return None;
    }
    if across && steps.forward < 6 {
        return None;
    }
    let (rows, width) = (column.len(), column.width());
    Some(Counter { rows, width, scope, direction, little, steps, step, step_share })
}

fn is_neat(step: u64, share: f64) -> bool {
    share >= 0.6 && step <= 16
}

fn counter(table: &Table<'_>, column: &Column, scope: Scope, little: bool) -> Option<Counter> {
    let [up, down] = walk(table, column, scope)?;
    let mut both = up.clone();
    both.join(down.clone());
    judge(scope, little, None, column, both).or_else(|| {
        let one = |direction, steps: Steps, other: &Steps| {
            (other.pairs >= 2)
                .then(|| judge(scope, little, Some(direction), column, steps))
                .flatten()
        };
        if scope != Scope::FlowAndDirection {
            return None;
        }
        one(Direction::Up, up.clone(), &down).or_else(|| one(Direction::Down, down, &up))
    })
}

/// Looks for a counter in one or both byte orders.
pub(crate) fn find(
    table: &Table<'_>,
    column: &Column,
    swapped: Option<&Column>,
    spread: &Spread,
) -> Option<Counter> {
    if spread.distinct < 3 || !column.is_numeric() {
        return None;
    }
    // A counter across flows rises within each of them: only where flows have too few messages
    // to show it, it has to be looked for.
    let flows = table.rows.chunk_by(|a, b| a.flow == b.flow).count();
    let scopes = [Scope::FlowAndDirection, Scope::Flow, Scope::Direction, Scope::All];
    for scope in &scopes[..if flows * 8 > column.len() { 4 } else { 2 }] {
        let orders = [(Some(column), false), (swapped, true)];
        let found = orders
            .into_iter()
            .filter_map(|(numbers, little)| counter(table, numbers?, *scope, little))
            // A counter read from the wrong end steps by large powers.
            .min_by_key(|found| (found.direction.is_some(), found.step));
        if found.is_some() {
            return found;
        }
    }
    None
}

impl Counter {
    /// Whether most steps are one small number: no clock does that.
    pub(crate) fn is_neat(&self) -> bool {
        is_neat(self.step, self.step_share)
    }

    pub(crate) fn finding(&self) -> Finding {
        let Counter { scope, steps, step, step_share, .. } = self;
        let mut evidence = format!(
            "steps forward {} times, back {}, stays {} {}; {:.0} % of steps are {step}",
            steps.forward,
            steps.back,
            steps.still,
            scope.words(),
            100.0 * step_share,
        );
        if steps.special > 0 {
            let share = percent(steps.special, self.rows);
            evidence.push_str(&format!("; {share:.1} % are 0 or all ones and count nothing"));
        }
        let each = if self.is_neat() { 2.0 } else { 1.0 };
        let bits = each * steps.forward as f64 - 2.0 * steps.back as f64;
        Finding::new(Kind::Sequence, bits, steps.rising(), evidence)
            .little(self.little && self.width > 1)
            .one_way(self.direction)
    }
}
