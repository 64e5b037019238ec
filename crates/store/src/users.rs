//! Users' sessions: a client is there from its first packet until it is silent for the
//! study's `user-idle` (the ChatDissect paper, II-B: 60 minutes).

use hashbrown::HashTable;
use ottoscope_flow::{Span, Timestamp};

use crate::tables::UserRow;

/// What a flow adds to its client's session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Activity<'a> {
    pub(crate) client: &'a str,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) packets: u64,
    pub(crate) bytes_up: u64,
    pub(crate) bytes_down: u64,
}

/// One client: how many of its sessions are over, and the one that may go on.
#[derive(Debug)]
struct Client {
    /// Where its name begins in [`Sessions::names`], in the lower 48 bits, and its length.
    name: u64,
    /// The half of its key that is no [`Known::tag`].
    rest: u32,
    over: u32,
    first: Timestamp,
    last: Timestamp,
    flows: u64,
    packets: u64,
    bytes_up: u64,
    bytes_down: u64,
}

// One line of a core's cache.
const _: () = assert!(size_of::<Client>() == 64);

/// A client by half of its key: the table grows without a look at the clients.
#[derive(Debug, Clone, Copy)]
struct Known {
    tag: u32,
    number: u32,
}

/// Joins flows, handed over by first packet, to sessions. One entry per client is kept, some
/// 100 bytes with its name: in a day of a million users they are what the pass holds most of.
/// Clients are told apart by 64 bits, as the labeler tells them apart.
#[derive(Debug)]
pub(crate) struct Sessions {
    idle: Span,
    index: HashTable<Known>,
    clients: Vec<Client>,
    names: String,
}

impl Sessions {
    pub(crate) fn new(idle: Span) -> Self {
        Sessions { idle, index: HashTable::new(), clients: Vec::new(), names: String::new() }
    }

    /// Takes a flow of the client whose name has this hash; a session that it shows to be over
    /// goes to `out`.
    pub(crate) fn flow<E>(
        &mut self,
        key: u64,
        flow: &Activity<'_>,
        out: &mut impl FnMut(&UserRow<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Sessions { idle, index, clients, names } = self;
        let (tag, rest) = (key as u32, (key >> 32) as u32);
        let is_it = |known: &Known| known.tag == tag && clients[known.number as usize].rest == rest;
        let found = index.find(place(tag), is_it).map(|known| known.number);
        let Some(client) = found.map(|number| &mut clients[number as usize]) else {
            let known = Known { tag, number: clients.len() as u32 };
            // Names are of 47 bytes at most, but for studies that others wrote.
            let len = flow.client.len().min(usize::from(u16::MAX));
            let name = names.len() as u64 | (len as u64) << 48;
            names.push_str(flow.client);
            clients.push(Client::begin((name, rest), 0, flow));
            index.insert_unique(place(tag), known, |known| place(known.tag));
            return Ok(());
        };
        if flow.first - client.last > *idle {
            out(&client.row(names))?;
            *client = Client::begin((client.name, client.rest), client.over + 1, flow);
            return Ok(());
        }
        client.first = client.first.min(flow.first);
        client.last = client.last.max(flow.last);
        client.flows += 1;
        client.packets += flow.packets;
        client.bytes_up += flow.bytes_up;
        client.bytes_down += flow.bytes_down;
        Ok(())
    }

    /// Gives out the sessions that are still open, in order of their first packet.
    pub(crate) fn finish<E>(
        self,
        out: &mut impl FnMut(&UserRow<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Sessions { clients, names, index, .. } = self;
        drop(index);
        // Few are not in order already: those whose sessions began anew.
        let mut order: Vec<_> = clients.iter().map(|client| client.first).zip(0u32..).collect();
        order.sort_by_key(|&(first, _)| first);
        order.iter().try_for_each(|&(_, i)| out(&clients[i as usize].row(&names)))
    }
}

/// Where a tag is looked for.
fn place(tag: u32) -> u64 {
    u64::from(tag).wrapping_mul(0x9e37_79b9_7f4a_7c15) // 2^64 by the golden ratio
}

impl Client {
    fn begin((name, rest): (u64, u32), over: u32, flow: &Activity<'_>) -> Self {
        Client {
            name,
            rest,
            over,
            first: flow.first,
            last: flow.last,
            flows: 1,
            packets: flow.packets,
            bytes_up: flow.bytes_up,
            bytes_down: flow.bytes_down,
        }
    }

    fn row<'a>(&self, names: &'a str) -> UserRow<'a> {
        let (at, len) = ((self.name & (u64::MAX >> 16)) as usize, (self.name >> 48) as usize);
        UserRow {
            client: names.get(at..at + len).unwrap_or_default(),
            session: self.over,
            first: self.first,
            last: self.last,
            flows: self.flows,
            packets: self.packets,
            bytes_up: self.bytes_up,
            bytes_down: self.bytes_down,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_ends_a_session_and_long_flows_hold_it() {
        let mut sessions = Sessions::new(Span::from_seconds(3600));
        let mut rows = Vec::new();
        let mut out = |row: &UserRow<'_>| {
            let seconds = (row.first.seconds(), row.last.seconds());
            rows.push((row.client.to_owned(), row.session, seconds, row.flows, row.bytes_up));
            Ok::<(), std::convert::Infallible>(())
        };
        // 10 to 20; a long one to 5,000; 8,600 is 3,600 later; 12,201 is one second too late.
        for (client, first, last) in [
            ("a", 10, 20),
            ("b", 15, 16),
            ("a", 100, 5_000),
            ("a", 200, 300),
            ("a", 8_600, 8_600),
            ("a", 12_201, 12_300),
        ] {
            let at = |s| Timestamp::from_parts(s, 0);
            let (first, last) = (at(first), at(last));
            let flow = Activity { client, first, last, packets: 1, bytes_up: 7, bytes_down: 0 };
            sessions.flow(u64::from(client.as_bytes()[0]) << 32, &flow, &mut out).unwrap();
        }
        sessions.finish(&mut out).unwrap();
        assert_eq!(
            rows,
            [
                ("a".to_owned(), 0, (10, 8_600), 4, 28),
                ("b".to_owned(), 0, (15, 16), 1, 7),
                ("a".to_owned(), 1, (12_201, 12_300), 1, 7),
            ]
        );
    }
}
