//! Which names lead to an address, as HTTPTag keeps it (the Vivisecting WhatsApp paper, 1): when
//! a user resolves a name, (user, address) belongs to it from the answer until the TTL ends.

use std::net::IpAddr;
use std::sync::Arc;

use ottoscope_flow::{Span, Timestamp};

use crate::aged::Aged;
use crate::evidence::Client;

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

impl Resolved {
    fn of(answer: &NameLearned<'_>) -> Option<Self> {
        let (&asked, aliases) = answer.names.split_first()?;
        let asked: Arc<str> = asked.into();
        let aliases: Arc<str> =
            if aliases.is_empty() { "".into() } else { aliases.join(",").into() };
        Some(Resolved {
            asked,
            aliases,
            learned: answer.at,
            last: answer.at,
            expires: answer.at + Span::from_seconds(i64::from(answer.ttl)),
            over_http: answer.over_http,
        })
    }
}

/// A user, or nobody, with an address: as a key.
pub(crate) type Key = [u64; 3];

pub(crate) fn key(user: u64, address: IpAddr) -> Key {
    match address {
        IpAddr::V4(a) => [user, u64::from(u32::from(a)), 1],
        // The bits of a hash tell versions apart as well as another word would.
        IpAddr::V6(a) => [!user, (a.to_bits() >> 64) as u64, a.to_bits() as u64],
    }
}

/// Names by user and address.
#[derive(Debug)]
pub(crate) struct OwnNames {
    held: Aged<Key, Vec<Resolved>>,
    grace: Span,
}

impl OwnNames {
    pub(crate) fn new(capacity: usize, grace: Span, keep: Span) -> Self {
        OwnNames { held: Aged::new(capacity, keep), grace }
    }

    pub(crate) fn learn(&mut self, answer: &NameLearned<'_>) {
        let Some(new) = Resolved::of(answer) else { return };
        let user = Client::of(answer.client).key();
        for &address in answer.addresses.iter().take(ADDRESSES_PER_ANSWER) {
            add(self.held.touch(answer.at, key(user, address)), &new, self.grace);
        }
    }

    /// Names that the user had resolved to the address and that held at the time, newest first.
    pub(crate) fn holding(
        &self,
        client: Client<'_>,
        address: IpAddr,
        at: Timestamp,
    ) -> Vec<&Resolved> {
        let found = self.held.get_at(at, &key(client.key(), address));
        found.map_or_else(Vec::new, |all| holding(all, at, self.grace))
    }

    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }
}

/// Names by address, whoever resolved them. A labeler has its own; where several share the users
/// of one study, their caller keeps one for all and says with each flow what it holds.
#[derive(Debug)]
pub struct AllNames {
    held: Aged<Key, Arc<Heard>>,
    grace: Span,
}

/// What anyone had resolved to an address at some time.
#[derive(Debug, Clone, Default)]
pub struct Heard(Vec<Resolved>);

impl AllNames {
    /// At most `capacity` addresses; names count until `grace` after their TTL, and an address is
    /// forgotten when it was not answered for `keep`.
    pub fn new(capacity: usize, grace: Span, keep: Span) -> Self {
        AllNames { held: Aged::new(capacity, keep), grace }
    }

    /// Takes an answer that resolved a name.
    pub fn learn(&mut self, answer: &NameLearned<'_>) {
        let Some(new) = Resolved::of(answer) else { return };
        for &address in answer.addresses.iter().take(ADDRESSES_PER_ANSWER) {
            let heard = Arc::make_mut(self.held.touch(answer.at, key(0, address)));
            add(&mut heard.0, &new, self.grace);
        }
    }

    /// What leads to an address now; what is learnt afterwards does not change it. A flow from
    /// `at` must be asked about before later answers are learnt.
    pub fn of(&self, address: IpAddr, at: Timestamp) -> Option<&Arc<Heard>> {
        self.held.get_at(at, &key(0, address))
    }
}

impl Heard {
    /// Names that held at the time, newest first.
    pub(crate) fn holding(&self, at: Timestamp, grace: Span) -> Vec<&Resolved> {
        holding(&self.0, at, grace)
    }
}

fn holding(all: &[Resolved], at: Timestamp, grace: Span) -> Vec<&Resolved> {
    let mut found: Vec<&Resolved> =
        all.iter().filter(|r| r.learned <= at && at <= r.expires + grace).collect();
    // Of what had been answered by then, the latest first; ties by name, so that two answers in
    // one packet give one order.
    if found.len() > 1 {
        found.sort_by(|a, b| {
            b.last.min(at).cmp(&a.last.min(at)).then_with(|| a.asked.cmp(&b.asked))
        });
    }
    found
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
        let mut map = OwnNames::new(100, Span::from_seconds(30), Span::from_seconds(1000));
        map.learn(&learned(100, "u", &["a.example", "b.example"], &[address]));
        let check = |map: &OwnNames, client: &str, time: i64, expected: &[&str]| {
            let found = map.holding(Client::of(client), address, at(time));
            let names: Vec<&str> = found.iter().map(|r| &*r.asked).collect();
            assert_eq!(names, expected, "{client} {time}");
        };
        check(&map, "u", 99, &[]);
        check(&map, "u", 100, &["a.example"]);
        check(&map, "u", 190, &["a.example"]);
        check(&map, "u", 191, &[]);
        check(&map, "v", 120, &[]);
        assert_eq!(&*map.holding(Client::of("u"), address, at(120))[0].aliases, "b.example");

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
    fn what_was_heard_stays_as_it_was_heard() {
        let (grace, keep) = (Span::from_seconds(30), Span::from_seconds(1000));
        let addresses: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "::c000:201".parse().unwrap()];
        let mut all = AllNames::new(100, grace, keep);
        all.learn(&learned(100, "u", &["a.example"], &addresses[..1]));
        let heard = Arc::clone(all.of(addresses[0], at(110)).unwrap());
        all.learn(&learned(120, "v", &["b.example"], &addresses[..1]));
        let names = |heard: &Heard| heard.holding(at(125), grace).len();
        assert_eq!((names(&heard), names(all.of(addresses[0], at(125)).unwrap())), (1, 2));
        assert!(all.of(addresses[1], at(125)).is_none());
        assert!(all.of(addresses[0], at(1121)).is_none(), "not answered for too long");
    }

    #[test]
    fn names_per_address_are_bounded() {
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let mut map = OwnNames::new(10, Span::from_seconds(30), Span::from_seconds(1000));
        for i in 0..100 {
            let name = format!("n{i}.example");
            map.learn(&learned(i, "u", &[&name], &[address]));
        }
        let held = map.holding(Client::of("u"), address, at(99));
        assert_eq!(held.len(), NAMES_PER_ADDRESS);
        assert_eq!(&*held[0].asked, "n99.example");
        map.learn(&NameLearned { names: &[], ..learned(1, "u", &[], &[address]) });
    }
}
