//! Who or what a flow belongs to: addresses, ports, session ids.

use std::net::IpAddr;

use super::Kind;
use super::echo::Echo;
use super::finding::{Finding, percent};
use super::table::{Column, Spread, Table};

/// Looks for the flow's own addresses or ports.
pub(crate) fn address(table: &Table<'_>, column: &Column, spread: &Spread) -> Option<Finding> {
    if !matches!(column.width(), 2 | 4) || spread.distinct < 2 && column.width() == 2 {
        return None;
    }
    let told = |of: fn(&crate::samples::FlowInfo) -> (IpAddr, u16), swap: bool| {
        let matches = |(row, value): &(&u32, &u64)| {
            let (address, port) = of(table.flow(**row as usize));
            let own = match (column.width(), address) {
                (4, IpAddr::V4(address)) => u64::from(u32::from(address)),
                (2, _) => u64::from(port),
                _ => return false,
            };
            let value =
                if swap { value.swap_bytes() >> (64 - 8 * column.width()) } else { **value };
            own != 0 && own == value
        };
        column.rows.iter().zip(&column.values).filter(matches).count()
    };
    let client = |flow: &crate::samples::FlowInfo| flow.client;
    let server = |flow: &crate::samples::FlowInfo| flow.server;
    let tries = [
        ("client", false, told(client, false)),
        ("server", false, told(server, false)),
        ("client", true, told(client, true)),
        ("server", true, told(server, true)),
    ];
    let (whose, little, count) = tries.into_iter().max_by_key(|(_, _, count)| *count)?;
    if count < 3 || 10 * count < 8 * column.len() {
        return None;
    }
    let what = if column.width() == 4 { "address" } else { "port" };
    let share = percent(count, column.len());
    let evidence = format!("the {whose}'s {what} in {share:.1} % of messages");
    // One address is told by its 32 bits, however often it is seen.
    let bits = (4 * column.width()) as f64 + count.min(16) as f64;
    Some(Finding::new(Kind::Address, bits, share / 100.0, evidence).little(little))
}

/// Whether two neighbours hold each other's value in the other direction: source and destination.
pub(crate) fn swapped(table: &Table<'_>, a: &Column, b: &Column) -> Option<(usize, usize)> {
    if a.width() != b.width() || a.len() != b.len() || !a.is_numeric() {
        return None;
    }
    let (mut told, mut asked) = (0, 0);
    let mut flow = u32::MAX;
    let mut seen: [Option<(u64, u64)>; 2] = [None; 2];
    for (at, row) in a.rows.iter().enumerate() {
        let row = table.rows[*row as usize];
        if row.flow != flow {
            (flow, seen) = (row.flow, [None; 2]);
        }
        let pair = (a.values[at], b.values[at]);
        if let Some(other) = seen[1 - row.side()] {
            asked += 1;
            told += usize::from(pair.0 != pair.1 && pair == (other.1, other.0));
        }
        seen[row.side()] = Some(pair);
    }
    (told >= 3 && 10 * told >= 8 * asked && 3 * asked >= a.len()).then_some((told, asked))
}

/// Looks for values that stay within a flow (or one direction of it) and differ across flows.
pub(crate) fn session(
    table: &Table<'_>,
    column: &Column,
    spread: &Spread,
    echo: &Echo,
) -> Option<Finding> {
    if column.width() < 2 || spread.distinct < 2 || echo.neighbours < 3 {
        return None;
    }
    let stay = echo.same as f64 / echo.neighbours as f64;
    if stay < 0.3 {
        return None;
    }
    let width = column.width().min(8) as u32 * 8;
    let (low, high) = spread.range;
    // Small numbers that stay within a flow are codes rather than ids.
    if high - low <= 1 << (width / 2) || spread.varying.count_ones() * 4 < width {
        return None;
    }
    // No id is often told as zero.
    let mut pairs: Vec<(u64, u32)> = (column.values.iter().copied())
        .zip(column.rows.iter().map(|row| table.rows[*row as usize].flow))
        .filter(|(value, _)| *value != 0)
        .collect();
    let told = pairs.len();
    pairs.sort_unstable();
    pairs.dedup();
    let mut own = 0;
    let (mut values, mut full) = (0, 0);
    for flows in pairs.chunk_by(|a, b| a.0 == b.0) {
        values += 1;
        // Flows whose value no other flow has.
        own += usize::from(flows.len() == 1);
        full += usize::from(flows[0].0 >> (width - 8) != 0);
    }
    if values < 2 || values == 2 && column.width() < 4 {
        return None;
    }
    let share = own as f64 / pairs.len() as f64;
    let steady = stay >= 0.9 && share >= 0.6;
    // Ids that change within a flow: random in all their bytes, used again and again, in one or
    // two flows each.
    let random = column.width() >= 4 && 10 * full >= 6 * values;
    let reused = random && told >= 3 * values && stay >= 0.3 && pairs.len() <= 2 * values;
    if !steady && !reused {
        return None;
    }
    let share = if steady { share } else { 0.7 };
    let stay = if steady { stay } else { 1.0 };
    let evidence = format!(
        "{} values in {} flows, the same as before in {:.1} % of messages of their flow and \
         direction",
        spread.distinct,
        echo.flows,
        percent(echo.same, echo.neighbours)
    );
    let bits = (echo.same as f64).sqrt() + 2.0 * spread.distinct.min(16) as f64 - 2.0;
    Some(Finding::new(Kind::Session, bits, stay * share, evidence))
}
