//! Users' sessions: a client is there from its first packet until it is silent for the
//! study's `user-idle` (the ChatDissect paper, II-B: 60 minutes).

use foldhash::HashMap;
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

#[derive(Debug)]
struct Session {
    first: Timestamp,
    last: Timestamp,
    flows: u64,
    packets: u64,
    bytes_up: u64,
    bytes_down: u64,
}

/// Sessions of one client: how many are over, and the one that may go on.
#[derive(Debug, Default)]
struct Client {
    over: u32,
    open: Option<Session>,
}

/// Joins flows, handed over by first packet, to sessions. One entry per client is kept, some
/// 150 bytes.
#[derive(Debug)]
pub(crate) struct Sessions {
    idle: Span,
    clients: HashMap<Box<str>, Client>,
}

impl Sessions {
    pub(crate) fn new(idle: Span) -> Self {
        Sessions { idle, clients: HashMap::default() }
    }

    /// Takes a flow; a session that it shows to be over goes to `out`.
    pub(crate) fn flow<E>(
        &mut self,
        flow: &Activity<'_>,
        out: &mut impl FnMut(&UserRow<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let client = match self.clients.get_mut(flow.client) {
            Some(client) => client,
            None => self.clients.entry(flow.client.into()).or_default(),
        };
        let ended = client.open.take_if(|open| flow.first - open.last > self.idle);
        if let Some(session) = ended {
            out(&session.row(flow.client, client.over))?;
            client.over += 1;
        }
        let session = client.open.get_or_insert(Session {
            first: flow.first,
            last: flow.last,
            flows: 0,
            packets: 0,
            bytes_up: 0,
            bytes_down: 0,
        });
        session.first = session.first.min(flow.first);
        session.last = session.last.max(flow.last);
        session.flows += 1;
        session.packets += flow.packets;
        session.bytes_up += flow.bytes_up;
        session.bytes_down += flow.bytes_down;
        Ok(())
    }

    /// Gives out the sessions that are still open, in order of their first packet.
    pub(crate) fn finish<E>(
        self,
        out: &mut impl FnMut(&UserRow<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let open = |(name, client): (Box<str>, Client)| Some((name, client.over, client.open?));
        let mut open: Vec<_> = self.clients.into_iter().filter_map(open).collect();
        open.sort_unstable_by(|a, b| (a.2.first, &a.0).cmp(&(b.2.first, &b.0)));
        open.iter().try_for_each(|(name, over, session)| out(&session.row(name, *over)))
    }
}

impl Session {
    fn row<'a>(&self, client: &'a str, session: u32) -> UserRow<'a> {
        UserRow {
            client,
            session,
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
            sessions.flow(&flow, &mut out).unwrap();
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
