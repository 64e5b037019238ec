//! Says whose a flow is: every source is asked, the most trusted wins, conflicts are kept.
//!
//! One implementation for tables and for live traffic. The caller hands over answers and flows
//! in order of time (an answer before the flows that start after it), so that the result hangs
//! on nothing else. Feedback is a second pass, see [`crate::Feedback`].

mod place;
mod said;

use std::net::IpAddr;
use std::sync::Arc;

use ottoscope_flow::{Span, Timestamp, Transport};

use crate::aged::Aged;
use crate::compile::Catalog;
use crate::dns_map::{AllNames, Key, NameLearned, OwnNames, key};
use crate::evidence::{Client, Evidence, FlowEvidence, Label};
use crate::explain::{Explanation, Trace};
use crate::names::NameRule;
use place::Relay;

/// Confidence never reaches 1: two sources can err together.
const MOST: f32 = 0.99;

/// Factor where other names lead to the same address at the same time.
const SHARED: f32 = 0.6;

/// What a port of the app adds as agreeing evidence.
const PORT_HINT: f32 = 0.2;

/// Below this a label neither contradicts others nor teaches.
const WEAK: f32 = 0.5;

/// Parameters of the labeler.
#[derive(Debug, Clone)]
pub struct LabelerConfig {
    /// How long after its TTL a name is still believed, since clients overrun TTLs. Two hours
    /// by default; what falls in this time is believed less.
    pub dns_grace: Span,
    /// How long names are remembered after they were learnt, since a flow is often judged when
    /// it ends. A day by default.
    pub keep: Span,
    /// Most (user, address) pairs remembered; the longest unused go first. 500,000 by default,
    /// about 150 MB.
    pub max_names: usize,
    /// Whether names that other users resolved count, weakly.
    pub other_users: bool,
    /// How long a call's relay is remembered after it was last seen. Ten minutes by default.
    pub relay_keep: Span,
    /// Whether the caller means to run the second pass.
    pub feedback: bool,
}

impl Default for LabelerConfig {
    fn default() -> Self {
        LabelerConfig {
            dns_grace: Span::from_seconds(2 * 3600),
            keep: Span::from_seconds(24 * 3600),
            max_names: 500_000,
            other_users: true,
            relay_keep: Span::from_seconds(600),
            feedback: true,
        }
    }
}

/// Confidence from which the label of a call's flow says that its port is the app's.
const SURE_CALL: f32 = 0.6;

/// Whether the protocol is one of calls.
fn is_media(protocol: &str) -> bool {
    matches!(protocol, "stun" | "rtp" | "rtcp" | "dtls" | "qq-video" | "qq-2005" | "qq-today")
}

/// The multi-source labeler.
#[derive(Debug)]
pub struct Labeler {
    catalog: Arc<Catalog>,
    config: LabelerConfig,
    names: OwnNames,
    all: AllNames,
    relays: Aged<Key, Relay>,
    sockets: Aged<(u64, u16), Relay>,
}

/// What the flow's own words say against weaker sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// Nothing: weaker sources may speak.
    Nothing,
    /// A name of an app.
    App,
    /// A name that no app of the catalogue has: not a chat, whatever the address.
    Other,
}

impl Labeler {
    /// A labeler that knows the catalogue and no traffic yet.
    pub fn new(catalog: Arc<Catalog>, config: LabelerConfig) -> Self {
        let names = OwnNames::new(config.max_names, config.dns_grace, config.keep);
        let all = AllNames::new(config.max_names, config.dns_grace, config.keep);
        let relays = Aged::new(config.max_names, config.relay_keep);
        let sockets = Aged::new(config.max_names, config.relay_keep);
        Labeler { catalog, config, names, all, relays, sockets }
    }

    /// The catalogue.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// (user, address) pairs remembered.
    pub fn remembered(&self) -> usize {
        self.names.len()
    }

    /// Takes an answer that resolved a name. Names of no app count too: they tell that a shared
    /// address was not asked for the app's sake.
    pub fn name_learned(&mut self, answer: &NameLearned<'_>) {
        self.own_name_learned(answer);
        self.all.learn(answer);
    }

    /// The same where the caller keeps what anyone resolved: see [`FlowEvidence::heard`].
    pub fn own_name_learned(&mut self, answer: &NameLearned<'_>) {
        self.names.learn(answer);
    }

    /// Takes a relay of a call of a user: flows of the user with it about this time are the
    /// app's.
    pub fn stun_relay_learned(
        &mut self,
        at: Timestamp,
        client: Client<'_>,
        relay: IpAddr,
        (app, service): (&Arc<str>, Option<&Arc<str>>),
    ) {
        let keep = self.config.relay_keep;
        self.relays.touch(at, key(client.key(), relay)).serve(at, keep, app, service);
    }

    /// Takes the type of a STUN message between a user and a server: one that only one app sends
    /// (`own-stun-types` of its `[[call]]`) makes the server a relay of that app's calls.
    pub fn stun_seen(
        &mut self,
        at: Timestamp,
        client: Client<'_>,
        server: IpAddr,
        message_type: u16,
    ) {
        let catalog = Arc::clone(&self.catalog);
        if let Some((app, service)) = catalog.app_of_stun_type(message_type) {
            self.stun_relay_learned(at, client, server, (&app.into(), Some(&service.into())));
        }
    }

    /// Says whose a flow is, best first, one label per app: more than one means a conflict.
    /// `out` is cleared first.
    pub fn flow(&mut self, flow: &FlowEvidence<'_>, out: &mut Vec<Label>) {
        self.judge(flow, out, &mut Trace::Off);
        let Some(best) = out.first() else { return };
        if tells_relay(best) {
            let call = (&best.app, best.service.as_ref());
            self.stun_relay_learned(flow.first, flow.client, flow.server, call);
        }
        if tells_socket(best, flow) {
            let socket = (flow.client.key(), flow.client_port);
            let keep = self.config.relay_keep;
            let service = best.service.as_ref();
            self.sockets.touch(flow.first, socket).serve(flow.first, keep, &best.app, service);
        }
    }

    /// Whether what is known of a flow already would tell of other flows of its user.
    pub fn teaches(&self, flow: &FlowEvidence<'_>) -> bool {
        let mut labels = Vec::new();
        self.judge(flow, &mut labels, &mut Trace::Off);
        labels.first().is_some_and(|best| tells_relay(best) || tells_socket(best, flow))
    }

    /// What each source says of a flow and why the winner wins. Learns nothing.
    pub fn explain(&self, flow: &FlowEvidence<'_>) -> Explanation {
        let mut labels = Vec::new();
        let mut trace = Trace::On(Vec::new());
        self.judge(flow, &mut labels, &mut trace);
        Explanation::new(flow, trace, labels)
    }

    fn judge(&self, flow: &FlowEvidence<'_>, out: &mut Vec<Label>, trace: &mut Trace) {
        out.clear();
        self.by_signature(flow, out, trace);
        let said = self.by_server_name(flow, out, trace);
        self.by_certificate(flow, said, out, trace);
        self.by_user_agent(flow, out, trace);
        self.by_query(flow, out, trace);
        let resolver = matches!(flow.protocol, "dns" | "mdns");
        if resolver {
            trace.step("dns", || "not asked: the flow is name resolution itself".to_owned());
        } else if said == Said::Other {
            trace.step("dns", || {
                "nor relays nor prefixes are asked: the flow names a server of no app".to_owned()
            });
        } else {
            let resolved_other = self.by_dns(flow, said, out, trace);
            self.by_relay(flow, said, out, trace);
            self.by_socket(flow, said, out, trace);
            self.by_prefix(flow, said, resolved_other, out, trace);
        }
        self.finish(flow, out, trace);
    }

    /// Ports, tasks, order.
    fn finish(&self, flow: &FlowEvidence<'_>, out: &mut [Label], trace: &mut Trace) {
        for label in out.iter_mut() {
            if self.catalog.is_port_of(&label.app, flow.transport, flow.server_port) {
                trace.step("port", || {
                    format!(
                        "{} {} is a port of {}: raises it",
                        flow.transport, flow.server_port, label.app
                    )
                });
                label.confidence = agree(label.confidence, PORT_HINT);
            }
            if label.task.is_none() {
                let task =
                    flow.url_path.and_then(|path| self.catalog.task_of_url(&label.app, path));
                label.task = task.map(|task| task.name.clone());
            }
        }
        out.sort_by(|a, b| {
            // A weak label never goes before one that is not; else trust decides.
            let weak = |label: &Label| label.confidence < WEAK;
            weak(a)
                .cmp(&weak(b))
                .then_with(|| a.evidence.cmp(&b.evidence))
                .then_with(|| b.confidence.total_cmp(&a.confidence))
                .then_with(|| a.app.cmp(&b.app))
        });
        // Who sorts by confidence sees the same order.
        for i in 1..out.len() {
            out[i].confidence = out[i].confidence.min(out[i - 1].confidence);
        }
    }
}

/// A payload signature of a call's set-up names the relay for the media that follow.
fn tells_relay(best: &Label) -> bool {
    best.evidence == Evidence::Signature && best.service.as_deref() == Some("call")
}

/// Its port also carries the media to the peer, if the flow speaks STUN or more.
fn tells_socket(best: &Label, flow: &FlowEvidence<'_>) -> bool {
    let sure = best.evidence == Evidence::Signature || best.confidence >= SURE_CALL;
    sure && best.evidence != Evidence::CallSocket
        && best.service.as_deref() == Some("call")
        && flow.transport == Transport::Udp
        && flow.client_port != 0
        && is_media(flow.protocol)
}

/// Whether some label is sure enough to speak against weak sources.
fn strong(out: &[Label]) -> bool {
    out.iter().any(|label| label.confidence >= WEAK)
}

/// Independent sources that agree: both must err for the label to be wrong.
fn agree(a: f32, b: f32) -> f32 {
    (1.0 - (1.0 - a) * (1.0 - b)).min(MOST)
}

/// Adds a label, or lets it agree with one of the same app. Sources are asked in order of trust,
/// so what is there keeps its evidence.
fn add(out: &mut Vec<Label>, new: Label) {
    match out.iter_mut().find(|label| label.app == new.app) {
        Some(known) => {
            known.confidence = agree(known.confidence, new.confidence);
            if known.service.is_none() {
                known.service = new.service;
            }
            if known.task.is_none() {
                known.task = new.task;
            }
        }
        None => out.push(new),
    }
}

fn from_rule(rule: &NameRule, evidence: Evidence, confidence: f32, detail: String) -> Label {
    Label {
        app: rule.app.clone(),
        service: rule.service.clone(),
        task: rule.task.clone(),
        evidence,
        confidence,
        detail,
    }
}
