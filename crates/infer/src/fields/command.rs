//! Commands of responses: those of their requests and a constant, as 10^9 or a high bit.

use std::ops::Range;

use super::table::{Spread, Table};
use crate::samples::Samples;

/// A constant between the commands of requests and responses.
#[derive(Debug, Clone, PartialEq)]
pub struct ResponseOffset {
    /// Response = request + this.
    pub offset: u64,
    /// Whether the command is read little-endian.
    pub little: bool,
    /// Pairs of neighbours of both directions that are this far apart, and how many commands
    /// they have.
    pub pairs: usize,
    /// See `pairs`.
    pub commands: usize,
    /// Why, in words with numbers.
    pub evidence: String,
}

/// Looks for the constant by which commands of responses differ from those of requests.
///
/// Every value at or above it must be another value and the constant, so that no number that
/// merely rises has one.
pub fn response_offset(
    samples: &Samples,
    members: &[usize],
    span: &Range<usize>,
) -> Option<ResponseOffset> {
    let table = Table::new(samples, members, span.end);
    in_table(&table, span)
}

pub(super) fn in_table(table: &Table<'_>, span: &Range<usize>) -> Option<ResponseOffset> {
    let column = table.column(span);
    if !column.is_numeric() {
        return None;
    }
    let swapped = (span.len() > 1).then(|| column.swapped());
    let orders = [(Some(&column), false), (swapped.as_ref(), true)];
    orders.into_iter().find_map(|(numbers, little)| {
        let numbers = numbers?;
        let spread = Spread::new(numbers.values.clone(), span.len());
        // What has more values than a protocol has commands is no command.
        if spread.distinct < 4 || spread.common.len() < spread.distinct {
            return None;
        }
        let mut steps: Vec<(u64, u64)> = Vec::new();
        let mut turns = 0usize;
        for at in 1..numbers.len() {
            let row = |at: usize| table.rows[numbers.rows[at] as usize];
            let (before, now) = (row(at - 1), row(at));
            if before.flow == now.flow && before.down != now.down {
                turns += 1;
                let (before, now) = (numbers.values[at - 1], numbers.values[at]);
                if now > before {
                    steps.push((now - before, before));
                }
            }
        }
        steps.sort_unstable();
        let best = steps.chunk_by(|a, b| a.0 == b.0).max_by_key(|run| run.len())?;
        let offset = best[0].0;
        let commands = best.chunk_by(|a, b| a.1 == b.1).count();
        // Requests come after responses of others as well.
        if commands < 2 || best.len() < 4 || 4 * best.len() < turns {
            return None;
        }
        let highest = best.iter().map(|(_, command)| *command).max()?;
        let bit = offset.is_power_of_two() && best.iter().all(|(_, command)| command & offset == 0);
        if highest >= offset && !bit {
            return None;
        }
        let is_response = |value: u64| if bit { value & offset != 0 } else { value >= offset };
        let (mut responses, mut known) = (0, 0);
        for (value, count) in spread.common.iter().filter(|(value, _)| is_response(*value)) {
            let request = value.wrapping_sub(offset);
            responses += count;
            if spread.common.iter().any(|(other, _)| *other == request) {
                known += count;
            }
        }
        if responses == 0 || 10 * known < 9 * responses {
            return None;
        }
        let evidence = format!(
            "{} of {turns} turns between directions add {offset}, from {commands} commands; \
             {known} of {responses} values of responses are a request's and {offset}",
            best.len(),
        );
        Some(ResponseOffset { offset, little, pairs: best.len(), commands, evidence })
    })
}
