//! Which names lead to an address, as HTTPTag keeps it (the Vivisecting WhatsApp paper, 1): when
//! a user resolves a name, (user, address) belongs to it from the answer until the TTL ends.

use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::FixedState;
use ottoscope_flow::{Span, Timestamp};

use crate::aged::Aged;

/// Most names kept per user and address, and per address over all users.
const NAMES_PER_ADDRESS: usize = 8;

/// Most addresses taken from one answer.
const ADDRESSES_PER_ANSWER: usize = 64;

/// An answer that resolved a name.
#[derive(Debug, Clone, Copy)]
pub struct NameLearned<'a> {
    /// Time of the answer.
    pub at: Timestamp,
    /// The user who asked, as in [`crate::FlowEvidence::client`].
    pub client: &'a str,
    /// The name asked, then the names that CNAMEs led to.
    pub names: &'a [&'a str],
    /// The addresses.
    pub addresses: &'a [IpAddr],
    /// Seconds the answer holds.
    pub ttl: u32,
    /// The app's own resolution over HTTP, not DNS.
    pub over_http: bool,
}

/// One name of an address, and when it led there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// The name asked.
    pub(crate) asked: Arc<str>,
    /// The names that CNAMEs led to, with commas between; empty where there were none.
    pub(crate) aliases: Arc<str>,
    /// First answer of an unbroken time.
    pub(crate) learned: Timestamp,
    /// Last answer of it.
    pub(crate) last: Timestamp,
    /// End of the last answer's TTL.
    pub(crate) expires: Timestamp,
    pub(crate) over_http: bool,
}

/// Names by user and address, and by address.
#[derive(Debug)]
pub(crate) struct DnsMap {
    by_user: Aged<(u64, IpAddr), Vec<Resolved>>,
    by_address: Aged<IpAddr, Vec<Resolved>>,
    grace: Span,
}

impl DnsMap {
    pub(crate) fn new(capacity: usize, grace: Span, keep: Span) -> Self {
        DnsMap { by_user: Aged::new(capacity, keep), by_address: Aged::new(capacity, keep), grace }
    }

    pub(crate) fn learn(&mut self, answer: &NameLearned<'_>) {
        let Some((&asked, aliases)) = answer.names.split_first() else { return };
        let asked: Arc<str> = asked.into();
        let aliases: Arc<str> =
            if aliases.is_empty() { "".into() } else { aliases.join(",").into() };
        let client = client_key(answer.client);
        let new = Resolved {
            asked,
            aliases,
            learned: answer.at,
            last: answer.at,
            expires: answer.at + Span::from_seconds(i64::from(answer.ttl)),
            over_http: answer.over_http,
        };
        for &address in answer.addresses.iter().take(ADDRESSES_PER_ANSWER) {
            let grace = self.grace;
            add(self.by_user.touch(answer.at, (client, address)), &new, grace);
            add(self.by_address.touch(answer.at, address), &new, grace);
        }
    }

    /// Names that the user had resolved to the address and that held at the time, newest first.
    pub(crate) fn of_user(&self, client: &str, address: IpAddr, at: Timestamp) -> Vec<&Resolved> {
        let found = self.by_user.get(&(client_key(client), address));
        self.holding(found.map_or(&[], Vec::as_slice), at)
    }

    /// The same over all users.
    pub(crate) fn of_anyone(&self, address: IpAddr, at: Timestamp) -> Vec<&Resolved> {
        let found = self.by_address.get(&address);
        self.holding(found.map_or(&[], Vec::as_slice), at)
    }

    fn holding<'a>(&self, all: &'a [Resolved], at: Timestamp) -> Vec<&'a Resolved> {
        let mut found: Vec<&Resolved> =
            all.iter().filter(|r| r.learned <= at && at <= r.expires + self.grace).collect();
        // Of what had been answered by then, the latest first; ties by name, so that two answers
        // in one packet give one order.
        found.sort_by(|a, b| {
            b.last.min(at).cmp(&a.last.min(at)).then_with(|| a.asked.cmp(&b.asked))
        });
        found
    }

    pub(crate) fn len(&self) -> usize {
        self.by_user.len()
    }
}

/// Prolongs the name's time where it is unbroken, else adds another; the oldest goes when there
/// are too many.
fn add(all: &mut Vec<Resolved>, new: &Resolved, grace: Span) {
    let known = all.iter_mut().find(|r| {
        r.asked == new.asked && r.over_http == new.over_http && new.learned <= r.expires + grace
    });
    if let Some(known) = known {
        known.learned = known.learned.min(new.learned);
        known.last = known.last.max(new.last);
        known.expires = known.expires.max(new.expires);
        if !new.aliases.is_empty() {
            known.aliases = new.aliases.clone();
        }
        return;
    }
    if all.len() >= NAMES_PER_ADDRESS
        && let Some(oldest) = (0..all.len()).min_by_key(|&i| all[i].last)
    {
        all.remove(oldest);
    }
    all.push(new.clone());
}

/// Users are told apart by 64 bits of a hash of their name, so that a million of them cost eight
/// bytes each and not a text (chance that any two of a million collide: 3e-8).
pub(crate) fn client_key(client: &str) -> u64 {
    let mut hasher = FixedState::with_seed(0x6f74_746f).build_hasher();
    hasher.write(client.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_parts(seconds, 0)
    }

    fn learned<'a>(
        at_: i64,
        client: &'a str,
        names: &'a [&'a str],
        to: &'a [IpAddr],
    ) -> NameLearned<'a> {
        NameLearned { at: at(at_), client, names, addresses: to, ttl: 60, over_http: false }
    }

    #[test]
    fn a_name_holds_from_its_answer_until_ttl_and_grace_end() {
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let mut map = DnsMap::new(100, Span::from_seconds(30), Span::from_seconds(1000));
        map.learn(&learned(100, "u", &["a.example", "b.example"], &[address]));
        let check = |map: &DnsMap, client: &str, time: i64, expected: &[&str]| {
            let names: Vec<&str> =
                map.of_user(client, address, at(time)).iter().map(|r| &*r.asked).collect();
            assert_eq!(names, expected, "{client} {time}");
        };
        check(&map, "u", 99, &[]);
        check(&map, "u", 100, &["a.example"]);
        check(&map, "u", 190, &["a.example"]);
        check(&map, "u", 191, &[]);
        check(&map, "v", 120, &[]);
        assert_eq!(&*map.of_user("u", address, at(120))[0].aliases, "b.example");
        assert_eq!(map.of_anyone(address, at(120)).len(), 1);

        map.learn(&learned(150, "u", &["c.example"], &[address]));
        check(&map, "u", 149, &["a.example"]);
        check(&map, "u", 150, &["c.example", "a.example"]);
        // Asked again while it held: one unbroken time.
        map.learn(&learned(180, "u", &["a.example"], &[address]));
        check(&map, "u", 260, &["a.example"]);
        check(&map, "u", 100, &["a.example"]);
        // Asked again after a break: the break stays.
        map.learn(&learned(500, "u", &["a.example"], &[address]));
        check(&map, "u", 400, &[]);
        check(&map, "u", 120, &["a.example"]);
        check(&map, "u", 510, &["a.example"]);
    }

    #[test]
    fn names_per_address_are_bounded() {
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let mut map = DnsMap::new(10, Span::from_seconds(30), Span::from_seconds(1000));
        for i in 0..100 {
            let name = format!("n{i}.example");
            map.learn(&learned(i, "u", &[&name], &[address]));
        }
        assert_eq!(map.of_user("u", address, at(99)).len(), NAMES_PER_ADDRESS);
        assert_eq!(&*map.of_user("u", address, at(99))[0].asked, "n99.example");
        map.learn(&NameLearned { names: &[], ..learned(1, "u", &[], &[address]) });
    }
}
