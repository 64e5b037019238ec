//! Pairs of requests and responses: values repeated by the other side, marks of either.

use ottoscope_flow::Direction;

use super::Kind;
use super::finding::{Finding, percent};
use super::table::{Column, Spread, Table};
use crate::params::Params;

/// Open requests remembered per flow and direction.
const OPEN: usize = 16;

/// What the last values of one direction were.
#[derive(Clone, Copy)]
struct Ring {
    values: [u64; OPEN],
    len: usize,
}

impl Ring {
    const EMPTY: Ring = Ring { values: [0; OPEN], len: 0 };

    fn has(&self, value: u64) -> bool {
        self.values[..self.len.min(OPEN)].contains(&value)
    }

    fn push(&mut self, value: u64) {
        self.values[self.len % OPEN] = value;
        // Never back to "not full".
        self.len = if self.len + 1 == 2 * OPEN { OPEN } else { self.len + 1 };
    }
}

/// How values of one direction come back in the other.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Echo {
    /// Messages in each direction.
    pub messages: [usize; 2],
    /// Of these, how many repeat a recent value of the other direction.
    pub repeats: [usize; 2],
    /// Of these, how many bring a value that is in neither direction's recent past.
    pub fresh: [usize; 2],
    /// Neighbours in one flow and direction with one value, and all neighbours.
    pub same: usize,
    pub neighbours: usize,
    /// Flows.
    pub flows: usize,
}

impl Echo {
    pub(crate) fn of(table: &Table<'_>, column: &Column) -> Echo {
        let mut echo = Echo::default();
        let mut rings = [Ring::EMPTY; 2];
        let mut last: [Option<u64>; 2] = [None; 2];
        let mut flow = u32::MAX;
        for (row, value) in column.rows.iter().zip(&column.values) {
            let row = table.rows[*row as usize];
            if row.flow != flow {
                flow = row.flow;
                rings = [Ring::EMPTY; 2];
                last = [None; 2];
                echo.flows += 1;
            }
            let side = row.side();
            echo.messages[side] += 1;
            let (mine, theirs) = (rings[side].has(*value), rings[1 - side].has(*value));
            echo.repeats[side] += usize::from(theirs);
            echo.fresh[side] += usize::from(!mine && !theirs);
            if let Some(before) = last[side].replace(*value) {
                echo.neighbours += 1;
                echo.same += usize::from(before == *value);
            }
            rings[side].push(*value);
        }
        echo
    }

    /// Looks for values that a response repeats from its request.
    pub(crate) fn transaction(&self, spread: &Spread) -> Option<Finding> {
        let answers = |side: usize| self.repeats[side] as f64 / self.messages[side].max(1) as f64;
        let answering = usize::from(answers(1) >= answers(0));
        let asking = 1 - answering;
        let fresh = self.fresh[asking] as f64 / self.messages[asking].max(1) as f64;
        let share = answers(answering);
        // Freshness of what answers: a value constant in its flow is repeated as well.
        let moving = self.neighbours == 0 || 2 * self.same < self.neighbours;
        let few = self.repeats[answering] < 4 || spread.entropy < 0.6;
        if few || !moving {
            return None;
        }
        if share < 0.6 || fresh < 0.6 {
            return self.both_ways();
        }
        let direction = if answering == 1 { Direction::Up } else { Direction::Down };
        let evidence = format!(
            "{} of {} messages {} repeat a value from the other side, where {:.0} % of values \
             are new",
            self.repeats[answering],
            self.messages[answering],
            direction.flipped().name(),
            100.0 * fresh,
        );
        let bits = 2.0 * self.repeats[answering] as f64;
        Some(Finding::new(Kind::Transaction, bits, 0.5 + share * fresh / 2.0, evidence))
    }

    /// The same where both sides ask: what is not new on one is a repeat of the other.
    fn both_ways(&self) -> Option<Finding> {
        let messages: usize = self.messages.iter().sum();
        let (repeats, fresh) =
            (self.repeats.iter().sum::<usize>(), self.fresh.iter().sum::<usize>());
        let told = repeats + fresh;
        if 10 * told < 9 * messages || 3 * repeats < messages || 3 * fresh < messages {
            return None;
        }
        let evidence = format!(
            "{repeats} of {messages} messages repeat a value from the other side, {fresh} have a \
             new one"
        );
        let share = told as f64 / messages as f64;
        Some(Finding::new(Kind::Transaction, 2.0 * repeats as f64, share, evidence))
    }
}

/// Looks for a mark of requests and responses: two values, each at home in one direction of its
/// flow, or taking turns.
pub(crate) fn mark(
    table: &Table<'_>,
    column: &Column,
    spread: &Spread,
    params: &Params,
) -> Option<Finding> {
    let [(first, most), (_, less), ..] = spread.common[..] else { return None };
    if 20 * (most + less) < 19 * spread.total || column.width() > 4 {
        return None;
    }
    let (mut told, mut sided, mut up, mut runs) = (0, 0, 0, Runs::default());
    let mut flow_counts = [[0usize; 2]; 2];
    let mut flow = u32::MAX;
    let mut close = |counts: &mut [[usize; 2]; 2]| {
        let [up_counts, down_counts] = *counts;
        let (ups, downs) = (up_counts[0] + up_counts[1], down_counts[0] + down_counts[1]);
        if ups > 0 && downs > 0 {
            let straight = up_counts[0] + down_counts[1];
            let crossed = up_counts[1] + down_counts[0];
            told += straight.max(crossed);
            sided += ups + downs;
            up += usize::from(straight >= crossed);
        }
        *counts = [[0; 2]; 2];
    };
    for (row, value) in column.rows.iter().zip(&column.values) {
        let row = table.rows[*row as usize];
        if row.flow != flow {
            close(&mut flow_counts);
            flow = row.flow;
        }
        flow_counts[row.side()][usize::from(*value != first)] += 1;
        runs.add(row.flow, *value);
    }
    close(&mut flow_counts);
    let share = told as f64 / sided.max(1) as f64;
    if sided >= 6 && 2 * sided >= column.len() && share >= 0.85 {
        let evidence = format!(
            "two values, {:.1} % of {sided} messages on the side of theirs; runs of {} at most",
            percent(told, sided),
            runs.longest
        );
        return Some(Finding::new(Kind::RequestResponse, sided as f64, share, evidence));
    }
    let one_way = 2 * sided < column.len();
    // Where both sides ask, the answer comes next.
    let strict = 10 * runs.turns >= 9 * runs.pairs && runs.pairs >= 16;
    if (one_way || share >= 0.65 || strict)
        && runs.pairs >= 6
        && runs.longest <= params.request_response_run
        && 2 * runs.turns > runs.pairs
    {
        let evidence = format!("two values taking turns, in runs of {} at most", runs.longest);
        let share = runs.turns as f64 / runs.pairs as f64;
        return Some(Finding::new(Kind::RequestResponse, runs.turns as f64 / 2.0, share, evidence));
    }
    None
}

/// Runs of one value within a flow.
#[derive(Default)]
struct Runs {
    before: Option<(u32, u64)>,
    run: usize,
    longest: usize,
    pairs: usize,
    turns: usize,
}

impl Runs {
    fn add(&mut self, flow: u32, value: u64) {
        let same_flow = self.before.is_some_and(|(before, _)| before == flow);
        let same = self.before == Some((flow, value));
        self.pairs += usize::from(same_flow);
        self.turns += usize::from(same_flow && !same);
        self.run = if same { self.run + 1 } else { 1 };
        self.longest = self.longest.max(self.run);
        self.before = Some((flow, value));
    }
}
