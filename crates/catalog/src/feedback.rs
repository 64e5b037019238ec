//! The second pass: what labelled flows say of unlabelled ones with the same server and port
//! (the ChatDissect paper, III-B).
//!
//! First every flow is shown with its labels, in any order and by any number of workers whose
//! parts are then merged; after that, unlabelled flows are asked. Since the first part only
//! collects sets and spans, the result depends on nothing but the flows.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use ottoscope_flow::{Span, Timestamp, Transport};

use crate::dns_map::client_key;
use crate::evidence::{Evidence, FlowEvidence, Label};

/// Labels less sure than this teach nothing.
const TEACHES: f32 = 0.8;

/// A server and port as one user or all see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    user: u64,
    address: [u64; 2],
    /// Port, transport, whether it is one user's, whether the address is of version 6.
    tail: u64,
}

impl Place {
    fn of(user: Option<u64>, flow: &FlowEvidence<'_>) -> Self {
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
        Place {
            user: user.unwrap_or_default(),
            address: [(address >> 64) as u64, address as u64],
            tail: u64::from(flow.server_port)
                | u64::from(transport) << 16
                | u64::from(user.is_some()) << 32
                | u64::from(v6) << 33,
        }
    }

    fn hash(&self) -> u64 {
        FixedState::with_seed(7).hash_one(self)
    }
}

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

/// What was seen at a place.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Seen {
    /// Number of the app.
    app: u32,
    /// Number of the service.
    service: Option<u32>,
    first: Timestamp,
    last: Timestamp,
    /// Flows of another app, or with names of no app, were seen there too.
    conflict: bool,
}

impl Seen {
    fn merge(&mut self, other: &Seen, words: &Words) {
        self.conflict |= other.conflict || self.app != other.app;
        // Kept the same whatever the order; a conflict is never used.
        if self.app != other.app && words.get(other.app) < words.get(self.app) {
            self.app = other.app;
        }
        if self.service != other.service {
            self.service = None;
        }
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// Collects what labelled flows say, then labels others.
#[derive(Debug, Clone)]
pub struct Feedback {
    seen: HashTable<(Place, Seen)>,
    words: Words,
    window: Span,
    capacity: usize,
    /// Places whose hash lies at or above are not kept: halved whenever there are too many, so
    /// that what is kept depends on the set of places and not on their order.
    limit: u64,
}

impl Feedback {
    /// `window`: how long before the first and after the last labelled flow at a server others
    /// are believed to be the same (addresses change hands; a day is sensible). `capacity`: most
    /// places remembered.
    pub fn new(window: Span, capacity: usize) -> Self {
        Feedback {
            seen: HashTable::new(),
            words: Words(vec!["".into()]),
            window,
            capacity: capacity.max(1),
            limit: u64::MAX,
        }
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
        let service = teaches.and_then(|best| best.service.as_ref());
        let seen = Seen {
            conflict: app == 0 || labels.len() > 1,
            app,
            service: service.map(|service| self.words.number(service)),
            first: flow.first,
            last: flow.last,
        };
        self.add(Place::of(Some(client_key(flow.client)), flow), seen);
        self.add(Place::of(None, flow), seen);
    }

    /// Whether no flow taught anything.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Adds what another worker collected.
    pub fn merge(&mut self, other: &Feedback) {
        self.limit = self.limit.min(other.limit);
        let limit = self.limit;
        self.seen.retain(|(place, _)| place.hash() < limit);
        for (place, seen) in &other.seen {
            let mut here = |number: u32| self.words.number(other.words.get(number));
            let (app, service) = (here(seen.app), seen.service.map(here));
            self.add(*place, Seen { app, service, ..*seen });
        }
    }

    fn add(&mut self, place: Place, seen: Seen) {
        let hash = place.hash();
        if hash >= self.limit {
            return;
        }
        if let Some((_, known)) = self.seen.find_mut(hash, |(known, _)| *known == place) {
            known.merge(&seen, &self.words);
            return;
        }
        self.seen.insert_unique(hash, (place, seen), |(place, _)| place.hash());
        while self.seen.len() > self.capacity && self.limit > 1 {
            self.limit /= 2;
            let limit = self.limit;
            self.seen.retain(|(place, _)| place.hash() < limit);
        }
    }

    /// Whether a flow without labels may get one by feedback. One that names a server does not:
    /// its own words said enough.
    pub fn may_label(flow: &FlowEvidence<'_>) -> bool {
        flow.server_name.or(flow.http_host).is_none() && !matches!(flow.protocol, "dns" | "mdns")
    }

    /// Second pass: the label of a flow that got none, if its server and port are an app's and
    /// [`Feedback::may_label`].
    pub fn label(&self, flow: &FlowEvidence<'_>) -> Option<Label> {
        if !Self::may_label(flow) {
            return None;
        }
        let at = |user| {
            let place = Place::of(user, flow);
            let (_, seen) = self.seen.find(place.hash(), |(known, _)| *known == place)?;
            let near = flow.last >= Timestamp(seen.first.0.saturating_sub(self.window.0))
                && flow.first <= seen.last + self.window;
            (near && !seen.conflict).then_some(seen)
        };
        // Where users disagree on a server, one user's own flows may still agree.
        let own = at(Some(client_key(flow.client))).map(|seen| (seen, Evidence::FeedbackUser));
        let (seen, evidence) = own.or_else(|| at(None).map(|seen| (seen, Evidence::Feedback)))?;
        let app = self.words.get(seen.app);
        Some(Label {
            app: app.clone(),
            service: seen.service.map(|service| self.words.get(service).clone()),
            task: None,
            evidence,
            confidence: evidence.confidence(),
            detail: format!("other flows to {} port {} are {app}", flow.server, flow.server_port),
        })
    }
}
