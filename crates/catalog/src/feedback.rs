//! The second pass: what labelled flows say of unlabelled ones with the same server and port
//! (the ChatDissect paper, III-B).
//!
//! First every flow is shown with its labels, in any order and by any number of workers whose
//! parts are then merged; after that, unlabelled flows are asked. Since the first part only
//! collects sets and spans, the result depends on nothing but the flows.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::FixedState;
use ottoscope_flow::{Span, Timestamp, Transport};

use crate::dns_map::client_key;
use crate::evidence::{Evidence, FlowEvidence, Label};

/// Labels less sure than this teach nothing.
const TEACHES: f32 = 0.8;

type Server = (IpAddr, u16, Transport);

/// What was seen at a server, by one user (`Some`) or by all (`None`).
type Place = (Option<u64>, Server);

#[derive(Debug, Clone, PartialEq)]
struct Seen {
    app: Arc<str>,
    service: Option<Arc<str>>,
    first: Timestamp,
    last: Timestamp,
    /// Flows of another app, or with names of no app, were seen there too.
    conflict: bool,
}

impl Seen {
    fn merge(&mut self, other: &Seen) {
        self.conflict |= other.conflict || self.app != other.app;
        // Kept the same whatever the order; a conflict is never used.
        if other.app < self.app {
            self.app = other.app.clone();
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
    seen: HashMap<Place, Seen, FixedState>,
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
        Feedback { seen: HashMap::default(), window, capacity: capacity.max(1), limit: u64::MAX }
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
        let app: Arc<str> = match teaches {
            Some(best) => best.app.clone(),
            None if best.is_none() && named => "".into(),
            None => return,
        };
        let seen = Seen {
            conflict: app.is_empty() || labels.len() > 1,
            app,
            service: teaches.and_then(|best| best.service.clone()),
            first: flow.first,
            last: flow.last,
        };
        let server = (flow.server, flow.server_port, flow.transport);
        self.add((Some(client_key(flow.client)), server), &seen);
        self.add((None, server), &seen);
    }

    /// Whether no flow taught anything.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Adds what another worker collected.
    pub fn merge(&mut self, other: &Feedback) {
        self.limit = self.limit.min(other.limit);
        let limit = self.limit;
        self.seen.retain(|place, _| hash(place) < limit);
        for (place, seen) in &other.seen {
            self.add(*place, seen);
        }
    }

    fn add(&mut self, place: Place, seen: &Seen) {
        if hash(&place) >= self.limit {
            return;
        }
        self.seen
            .entry(place)
            .and_modify(|known| known.merge(seen))
            .or_insert_with(|| seen.clone());
        while self.seen.len() > self.capacity && self.limit > 1 {
            self.limit /= 2;
            let limit = self.limit;
            self.seen.retain(|place, _| hash(place) < limit);
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
        let server = (flow.server, flow.server_port, flow.transport);
        let at = |user| {
            let seen = self.seen.get(&(user, server))?;
            let near = flow.last >= Timestamp(seen.first.0.saturating_sub(self.window.0))
                && flow.first <= seen.last + self.window;
            (near && !seen.conflict).then_some(seen)
        };
        // Where users disagree on a server, one user's own flows may still agree.
        let own = at(Some(client_key(flow.client))).map(|seen| (seen, Evidence::FeedbackUser));
        let (seen, evidence) = own.or_else(|| at(None).map(|seen| (seen, Evidence::Feedback)))?;
        Some(Label {
            app: seen.app.clone(),
            service: seen.service.clone(),
            task: None,
            evidence,
            confidence: evidence.confidence(),
            detail: format!(
                "other flows to {} port {} are {}",
                flow.server, flow.server_port, seen.app
            ),
        })
    }
}

fn hash(place: &Place) -> u64 {
    FixedState::with_seed(7).hash_one(place)
}
