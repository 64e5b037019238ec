//! The second pass: what labelled flows say of unlabelled ones with the same server and port
//! (the ChatDissect paper, III-B).
//!
//! First every flow is shown with its labels, in any order and by any number of workers whose
//! parts are then merged; after that, unlabelled flows are asked. Since the first part only
//! collects sets and spans, the result depends on nothing but the flows.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::quality::FixedState;
use hashbrown::HashTable;
use ottoscope_flow::{Span, Timestamp, Transport};

use crate::evidence::{Evidence, FlowEvidence, Label};

/// Labels less sure than this teach nothing.
const TEACHES: f32 = 0.8;

/// Texts by number, each kept once; the first is empty.
#[derive(Debug, Clone)]
struct Words(Vec<Arc<str>>);

impl Words {
    /// There are as many as apps and services, a few dozen.
    fn number(&mut self, word: &Arc<str>) -> u32 {
        let same = |known: &Arc<str>| Arc::ptr_eq(known, word);
        let at = self.0.iter().position(same).or_else(|| self.0.iter().position(|w| w == word));
        at.unwrap_or_else(|| {
            self.0.push(Arc::clone(word));
            self.0.len() - 1
        }) as u32
    }

    fn get(&self, number: u32) -> &Arc<str> {
        &self.0[number as usize]
    }
}

/// No service, or several.
const NONE: u32 = u32::MAX;

/// What was seen at a server and port, by one user or by all.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Seen {
    /// Which server and port, and which user: 64 bits of a hash, as of users themselves.
    place: u64,
    first: Timestamp,
    last: Timestamp,
    /// Number of the app, and in the highest bit whether flows of another app, or with names of
    /// no app, were seen there too.
    app: u32,
    /// Number of the service, or [`NONE`].
    service: u32,
}

// Half a line of a core's cache.
const _: () = assert!(size_of::<Seen>() == 32);

impl Seen {
    const CONFLICT: u32 = 1 << 31;

    fn app(&self) -> u32 {
        self.app & !Self::CONFLICT
    }

    fn is_conflict(&self) -> bool {
        self.app & Self::CONFLICT != 0
    }

    fn merge(&mut self, other: &Seen, words: &Words) {
        let (mut app, others) = (self.app(), other.app());
        let conflict = self.is_conflict() || other.is_conflict() || app != others;
        // Kept the same whatever the order; a conflict is never used.
        if app != others && words.get(others) < words.get(app) {
            app = others;
        }
        self.app = app | if conflict { Self::CONFLICT } else { 0 };
        if self.service != other.service {
            self.service = NONE;
        }
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// What was seen at places, as many as there is room for.
#[derive(Debug, Clone)]
struct Places {
    seen: HashTable<Seen>,
    capacity: usize,
    /// Places whose hash lies at or above are not kept: halved whenever there are too many, so
    /// that what is kept depends on the set of places and not on their order.
    limit: u64,
}

impl Places {
    fn new(capacity: usize) -> Self {
        Places { seen: HashTable::new(), capacity: capacity.max(1), limit: u64::MAX }
    }

    fn get(&self, place: u64) -> Option<&Seen> {
        self.seen.find(place, |known| known.place == place)
    }

    fn add(&mut self, seen: Seen, words: &Words) {
        if seen.place >= self.limit {
            return;
        }
        if let Some(known) = self.seen.find_mut(seen.place, |known| known.place == seen.place) {
            known.merge(&seen, words);
            return;
        }
        self.seen.insert_unique(seen.place, seen, |known| known.place);
        while self.seen.len() > self.capacity && self.limit > 1 {
            self.keep_below(self.limit / 2);
        }
    }

    fn keep_below(&mut self, limit: u64) {
        self.limit = limit;
        self.seen.retain(|seen| seen.place < limit);
    }

    /// Adds what another saw, whose words are others.
    fn merge(&mut self, other: &Places, words: &mut Words, others: &Words) {
        if other.limit < self.limit {
            self.keep_below(other.limit);
        }
        for seen in &other.seen {
            let app = words.number(others.get(seen.app())) | seen.app & Seen::CONFLICT;
            let service = match seen.service {
                NONE => NONE,
                number => words.number(others.get(number)),
            };
            self.add(Seen { app, service, ..*seen }, words);
        }
    }
}

/// A server and port as a user sees them, or all users.
fn place(user: Option<u64>, flow: &FlowEvidence<'_>) -> u64 {
    let (address, v6) = match flow.server {
        IpAddr::V4(a) => (u128::from(u32::from(a)), false),
        IpAddr::V6(a) => (u128::from(a), true),
    };
    let transport: u16 = match flow.transport {
        Transport::Tcp => 6,
        Transport::Udp => 17,
        Transport::Sctp => 132,
        Transport::Icmp => 1,
        Transport::Other(protocol) => u16::from(protocol) | 0x100,
    };
    let tail = u64::from(flow.server_port)
        | u64::from(transport) << 16
        | u64::from(user.is_some()) << 32
        | u64::from(v6) << 33;
    let words = [user.unwrap_or_default(), (address >> 64) as u64, address as u64, tail];
    FixedState::with_seed(7).hash_one(words)
}

/// Collects what labelled flows say, then labels others.
#[derive(Debug, Clone)]
pub struct Feedback {
    /// Servers as one user sees them.
    own: Places,
    /// Servers as all see them.
    all: Places,
    words: Words,
    window: Span,
}

impl Feedback {
    /// `window`: how long before the first and after the last labelled flow at a server others
    /// are believed to be the same (addresses change hands; a day is sensible). `capacity`: most
    /// servers remembered of users, and once more of all.
    pub fn new(window: Span, capacity: usize) -> Self {
        let places = || Places::new(capacity);
        Feedback { own: places(), all: places(), words: Words(vec!["".into()]), window }
    }

    /// First pass: shows a flow and its labels, none included.
    pub fn learn(&mut self, flow: &FlowEvidence<'_>, labels: &[Label]) {
        let best = labels.first();
        let teaches = best.filter(|best| {
            best.confidence >= TEACHES
                && (best.evidence.is_strong() || best.evidence == Evidence::Dns)
        });
        let named = flow.server_name.or(flow.http_host).is_some();
        // A flow that names a server of no app speaks against the address being the app's alone.
        let app = match teaches {
            Some(best) => self.words.number(&best.app),
            None if best.is_none() && named => 0,
            None => return,
        };
        let conflict = app == 0 || labels.len() > 1;
        let service = teaches.and_then(|best| best.service.as_ref());
        let seen = Seen {
            place: place(Some(flow.client.key()), flow),
            first: flow.first,
            last: flow.last,
            app: app | if conflict { Seen::CONFLICT } else { 0 },
            service: service.map_or(NONE, |service| self.words.number(service)),
        };
        self.own.add(seen, &self.words);
        self.all.add(Seen { place: place(None, flow), ..seen }, &self.words);
    }

    /// Whether no flow taught anything.
    pub fn is_empty(&self) -> bool {
        self.all.seen.is_empty()
    }

    /// Adds what another worker collected.
    pub fn merge(&mut self, other: &Feedback) {
        self.all.merge(&other.all, &mut self.words, &other.words);
        self.own.merge(&other.own, &mut self.words, &other.words);
    }

    /// Takes what another worker collected of servers as all users see them, where every worker
    /// has users of its own: see [`Feedback::label_beside`].
    pub fn take_servers(&mut self, other: &mut Feedback) {
        let all = std::mem::replace(&mut other.all, Places::new(1));
        self.all.merge(&all, &mut self.words, &other.words);
    }

    /// Whether a flow without labels may get one by feedback. One that names a server does not:
    /// its own words said enough.
    pub fn may_label(flow: &FlowEvidence<'_>) -> bool {
        flow.server_name.or(flow.http_host).is_none() && !matches!(flow.protocol, "dns" | "mdns")
    }

    /// Second pass: the label of a flow that got none, if its server and port are an app's and
    /// [`Feedback::may_label`].
    pub fn label(&self, flow: &FlowEvidence<'_>) -> Option<Label> {
        self.label_beside(self, flow)
    }

    /// The same by a worker that saw all flows of this user, and with what all workers saw of
    /// servers.
    pub fn label_beside(&self, servers: &Feedback, flow: &FlowEvidence<'_>) -> Option<Label> {
        if !Self::may_label(flow) {
            return None;
        }
        let known = servers.all.get(place(None, flow));
        // Whatever one user taught of a server is there too, unless there was no room for it.
        if known.is_none() && servers.all.limit == u64::MAX {
            return None;
        }
        let near = |seen: &Seen| {
            !seen.is_conflict()
                && flow.last >= Timestamp(seen.first.0.saturating_sub(self.window.0))
                && flow.first <= seen.last + self.window
        };
        // Where users disagree on a server, one user's own flows may still agree.
        let own = || self.own.get(place(Some(flow.client.key()), flow)).filter(|seen| near(seen));
        let own = own().map(|seen| (seen, &self.words, Evidence::FeedbackUser));
        let all = || Some((known.filter(|seen| near(seen))?, &servers.words, Evidence::Feedback));
        let (seen, words, evidence) = own.or_else(all)?;
        let app = words.get(seen.app());
        Some(Label {
            app: app.clone(),
            service: (seen.service != NONE).then(|| words.get(seen.service).clone()),
            task: None,
            evidence,
            confidence: evidence.confidence(),
            detail: format!("other flows to {} port {} are {app}", flow.server, flow.server_port),
        })
    }
}
