//! Says whose a flow is: every source is asked, the most trusted wins, conflicts are kept.
//!
//! One implementation for tables and for live traffic. The caller hands over answers and flows
//! in order of time (an answer before the flows that start after it), so that the result hangs
//! on nothing else. Feedback is a second pass, see [`crate::Feedback`].

use std::net::IpAddr;
use std::sync::Arc;

use ottoscope_flow::{Span, Timestamp, Transport};

use crate::aged::Aged;
use crate::compile::Catalog;
use crate::dns_map::{AllNames, Key, NameLearned, OwnNames, Resolved, key};
use crate::evidence::{Client, Evidence, FlowEvidence, Label};
use crate::explain::{Explanation, Trace};
use crate::names::NameRule;

/// Confidence never reaches 1: two sources can err together.
const MOST: f32 = 0.99;

/// Factor for a name that was reached through a CNAME and not asked for.
const BY_CNAME: f32 = 0.85;

/// Factor for a name whose TTL had ended, within the grace.
const OVERRUN: f32 = 0.85;

/// Factor where other names lead to the same address at the same time.
const SHARED: f32 = 0.6;

/// Factor for a certificate that speaks for several apps, or against the name asked for.
const MANY_IN_CERTIFICATE: f32 = 0.6;

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

/// Who a relay served, and when.
#[derive(Debug, Clone, Default)]
struct Relay {
    app: Option<Arc<str>>,
    service: Option<Arc<str>>,
    first: Timestamp,
    last: Timestamp,
}

impl Relay {
    /// Notes that it serves a call of `app` at this time.
    fn serve(&mut self, at: Timestamp, keep: Span, app: &Arc<str>, service: Option<&Arc<str>>) {
        let lasting = self.app.as_ref() == Some(app) && (at - self.last).0 <= keep.0;
        self.first = if lasting { self.first.min(at) } else { at };
        self.last = if lasting { self.last.max(at) } else { at };
        if self.app.as_ref() != Some(app) {
            self.app = Some(Arc::clone(app));
        }
        if self.service.as_ref() != service {
            self.service = service.cloned();
        }
    }

    /// Whether a flow runs while it serves.
    fn is_near(&self, flow: &FlowEvidence<'_>, keep: Span) -> bool {
        flow.first <= self.last + keep && flow.last + keep >= self.first
    }
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

    fn by_signature(&self, flow: &FlowEvidence<'_>, out: &mut Vec<Label>, trace: &mut Trace) {
        let spoken = || self.catalog.signature_of_protocol(flow.protocol);
        let rule = match flow.signature {
            Some(id) => match self.catalog.signature(id) {
                Some(rule) => rule,
                None => {
                    return trace.step("signature", || format!("{id} is not in this catalogue"));
                }
            },
            None => match spoken() {
                Some(rule) => rule,
                None => {
                    return trace
                        .step("signature", || "no layout of the catalogue matched".to_owned());
                }
            },
        };
        let id = &rule.layout.id;
        trace.step("signature", || format!("{id} matched: {}", rule.app));
        add(
            out,
            Label {
                app: rule.app.clone(),
                service: rule.service.clone(),
                task: None,
                evidence: Evidence::Signature,
                confidence: Evidence::Signature.confidence() * rule.confidence,
                detail: format!("payload matches {id}"),
            },
        );
    }

    fn by_server_name(
        &self,
        flow: &FlowEvidence<'_>,
        out: &mut Vec<Label>,
        trace: &mut Trace,
    ) -> Said {
        let evidence = match flow.name_source {
            Some("quic") => Evidence::Quic,
            Some("proxy") => Evidence::Proxy,
            Some("xmpp") => Evidence::Xmpp,
            Some("realm") => Evidence::StunRealm,
            Some("host") => Evidence::HttpHost,
            _ => Evidence::Sni,
        };
        let mut said = Said::Nothing;
        let host = flow.http_host.filter(|host| flow.server_name != Some(host));
        let names = [(flow.server_name, evidence), (host, Evidence::HttpHost)];
        for (name, evidence) in names.iter().filter_map(|(name, e)| name.map(|n| (n, *e))) {
            let name = without_port(name);
            if may_be_address(name) && name.parse::<IpAddr>().is_ok() {
                trace.step(evidence.name(), || format!("{name} is an address, not a name"));
                continue;
            }
            match self.catalog.lookup_name_at(name, flow.first) {
                Some(rule) => {
                    said = Said::App;
                    trace.step(evidence.name(), || {
                        format!("{name} matches {} of {}", rule.pattern, rule.app)
                    });
                    let confidence = evidence.confidence() * rule.confidence;
                    let detail = format!("{name} matches {}", rule.pattern);
                    add(out, from_rule(rule, evidence, confidence, detail));
                }
                None => {
                    trace.step(evidence.name(), || format!("{name} is no name of any app"));
                    if said == Said::Nothing {
                        said = Said::Other;
                    }
                }
            }
        }
        if said == Said::Nothing {
            trace.step("server name", || "the flow names no server".to_owned());
        }
        said
    }

    fn by_certificate(
        &self,
        flow: &FlowEvidence<'_>,
        said: Said,
        out: &mut Vec<Label>,
        trace: &mut Trace,
    ) {
        let mut found: Vec<(&NameRule, &str)> = Vec::new();
        let mut any = false;
        flow.certificate_names.each(|name| {
            any = true;
            if let Some(rule) = self.catalog.lookup_certificate(name, flow.first)
                && found.iter().all(|(known, _)| known.app != rule.app)
            {
                found.push((rule, name));
            }
        });
        if found.is_empty() {
            return trace.step("certificate", || {
                if any { "its names are of no app" } else { "none was seen" }.to_owned()
            });
        }
        // The server asked for is of no app, and the certificate is its own: the other names in it
        // are other services of the same operator.
        if said == Said::Other
            && flow.server_name.is_some_and(|host| covers(flow, without_port(host)))
        {
            return trace.step("certificate", || {
                "names apps, but also the server asked for, which is of none".to_owned()
            });
        }
        // A certificate for a whole company says less than the name that was asked for.
        let several = found.len() > 1;
        for (rule, name) in found {
            trace
                .step("certificate", || format!("{name} matches {} of {}", rule.pattern, rule.app));
            if several && said == Said::App && out.iter().all(|label| label.app != rule.app) {
                trace.step("certificate", || {
                    format!("{} is set aside: the flow names a server of another app", rule.app)
                });
                continue;
            }
            let factor = if several || said == Said::Other { MANY_IN_CERTIFICATE } else { 1.0 };
            let confidence = Evidence::Certificate.confidence() * rule.confidence * factor;
            let detail = format!("certificate name {name} matches {}", rule.pattern);
            let mut label = from_rule(rule, Evidence::Certificate, confidence, detail);
            if name.starts_with("*.") {
                label.task = None;
            }
            add(out, label);
        }
    }

    fn by_user_agent(&self, flow: &FlowEvidence<'_>, out: &mut Vec<Label>, trace: &mut Trace) {
        let Some(agent) = flow.user_agent else { return };
        let Some(rule) = self.catalog.lookup_user_agent(agent) else {
            return trace.step("user-agent", || "is of no app".to_owned());
        };
        trace.step("user-agent", || format!("matches {} of {}", rule.pattern, rule.app));
        // At one of the app's own hosts the host tells the service; the agent only agrees.
        let own = out.iter().any(|label| label.app == rule.app);
        add(
            out,
            Label {
                app: rule.app.clone(),
                service: rule.service.clone().filter(|_| !own),
                task: rule.task.clone().filter(|_| !own),
                evidence: Evidence::UserAgent,
                confidence: Evidence::UserAgent.confidence() * rule.confidence,
                detail: format!("user agent matches {}", rule.pattern),
            },
        );
    }

    fn by_query(&self, flow: &FlowEvidence<'_>, out: &mut Vec<Label>, trace: &mut Trace) {
        let (mut others, mut found) = (false, Vec::<(&NameRule, &str)>::new());
        flow.queried.each(|name| match self.catalog.lookup_name_at(name, flow.first) {
            Some(rule) if found.iter().all(|(known, _)| known.app != rule.app) => {
                found.push((rule, name));
            }
            Some(_) => {}
            None => others = true,
        });
        let shared = others || found.len() > 1;
        for (rule, name) in found {
            trace.step("dns-query", || format!("asks for {name}: {}", rule.app));
            let factor = if shared { SHARED } else { 1.0 };
            add(
                out,
                Label {
                    app: rule.app.clone(),
                    service: Some("dns".into()),
                    task: None,
                    evidence: Evidence::DnsQuery,
                    confidence: Evidence::DnsQuery.confidence() * factor,
                    detail: format!("asks for {name}"),
                },
            );
        }
    }

    /// Answers whether the user had resolved only names of no app to the address.
    fn by_dns(
        &self,
        flow: &FlowEvidence<'_>,
        said: Said,
        out: &mut Vec<Label>,
        trace: &mut Trace,
    ) -> bool {
        let own = self.names.holding(flow.client, flow.server, flow.first);
        if !own.is_empty() {
            let (found, others) = self.apps_of(&own, flow.first);
            for (rule, resolved, by_cname) in &found {
                let evidence = if resolved.over_http { Evidence::HttpDns } else { Evidence::Dns };
                let mut confidence = evidence.confidence() * rule.confidence;
                confidence *= if *by_cname { BY_CNAME } else { 1.0 };
                confidence *= if flow.first > resolved.expires { OVERRUN } else { 1.0 };
                confidence *= if others || found.len() > 1 { SHARED } else { 1.0 };
                let age = (flow.first - resolved.last).as_seconds().max(0.0);
                let detail = format!("user resolved {} {age:.0} s before", resolved.asked);
                trace.step(evidence.name(), || {
                    format!("{detail}: {} by {}", rule.app, rule.pattern)
                });
                add(out, from_rule(rule, evidence, confidence, detail));
            }
            if others {
                trace.step("dns", || {
                    let names: Vec<&str> = own.iter().map(|r| &*r.asked).collect();
                    format!(
                        "the user resolved to this address also names of no app ({})",
                        names.join(", ")
                    )
                });
            }
            return found.is_empty();
        }
        trace.step("dns", || "the user resolved no known name to this address".to_owned());
        if !self.config.other_users || said != Said::Nothing || strong(out) {
            return false;
        }
        let heard = flow.heard.or_else(|| self.all.of(flow.server, flow.first).map(|h| &**h));
        let Some(heard) = heard else { return false };
        let all = heard.holding(flow.first, self.config.dns_grace);
        let (found, others) = self.apps_of(&all, flow.first);
        for (rule, resolved, by_cname) in &found {
            let mut confidence = Evidence::DnsOthers.confidence() * rule.confidence;
            confidence *= if *by_cname { BY_CNAME } else { 1.0 };
            confidence *= if others || found.len() > 1 { SHARED } else { 1.0 };
            let detail = format!("another user resolved {}", resolved.asked);
            trace.step("dns-others", || format!("{detail}: {} by {}", rule.app, rule.pattern));
            add(out, from_rule(rule, Evidence::DnsOthers, confidence, detail));
        }
        found.is_empty() && others
    }

    /// The apps whose names lead to an address, newest first, and whether names of no app do too.
    fn apps_of<'a>(
        &'a self,
        names: &[&'a Resolved],
        at: Timestamp,
    ) -> (Vec<(&'a NameRule, &'a Resolved, bool)>, bool) {
        let mut others = false;
        let mut found: Vec<(&NameRule, &Resolved, bool)> = Vec::new();
        for resolved in names {
            let asked = self.catalog.lookup_name_at(&resolved.asked, at).map(|rule| (rule, false));
            let rule = asked.or_else(|| {
                let mut aliases = resolved.aliases.split(',').filter(|alias| !alias.is_empty());
                aliases.find_map(|alias| Some((self.catalog.lookup_name_at(alias, at)?, true)))
            });
            match rule {
                Some((rule, by_cname)) => {
                    if found.iter().all(|(known, ..)| known.app != rule.app) {
                        found.push((rule, resolved, by_cname));
                    }
                }
                None => others = true,
            }
        }
        (found, others)
    }

    fn by_relay(
        &self,
        flow: &FlowEvidence<'_>,
        said: Said,
        out: &mut Vec<Label>,
        trace: &mut Trace,
    ) {
        let relay = self.relays.get(&key(flow.client.key(), flow.server));
        let Some((relay, app)) = relay.and_then(|r| Some((r, r.app.as_ref()?))) else { return };
        if said != Said::Nothing || !relay.is_near(flow, self.config.relay_keep) {
            return trace
                .step("stun-relay", || "an earlier relay, but not for this flow".to_owned());
        }
        trace.step("stun-relay", || format!("relayed a call of {app} for this user"));
        add(
            out,
            Label {
                app: app.clone(),
                service: relay.service.clone(),
                task: None,
                evidence: Evidence::StunRelay,
                confidence: Evidence::StunRelay.confidence(),
                detail: "server relayed a call of this user".to_owned(),
            },
        );
    }

    /// Media between the ends of a call leave from the port that talks to its relay.
    fn by_socket(
        &self,
        flow: &FlowEvidence<'_>,
        said: Said,
        out: &mut Vec<Label>,
        trace: &mut Trace,
    ) {
        let media = flow.protocol.is_empty() || is_media(flow.protocol);
        if flow.transport != Transport::Udp || flow.client_port == 0 || !media {
            return;
        }
        let socket = self.sockets.get(&(flow.client.key(), flow.client_port));
        let Some((socket, app)) = socket.and_then(|s| Some((s, s.app.as_ref()?))) else { return };
        if said != Said::Nothing || !socket.is_near(flow, self.config.relay_keep) {
            return trace
                .step("call-socket", || "an earlier call's port, but not this flow's".to_owned());
        }
        trace.step("call-socket", || format!("the client's port carries a call of {app}"));
        add(
            out,
            Label {
                app: app.clone(),
                service: socket.service.clone(),
                task: None,
                evidence: Evidence::CallSocket,
                confidence: Evidence::CallSocket.confidence(),
                detail: "port of a call of this client".to_owned(),
            },
        );
    }

    fn by_prefix(
        &self,
        flow: &FlowEvidence<'_>,
        said: Said,
        resolved_other: bool,
        out: &mut Vec<Label>,
        trace: &mut Trace,
    ) {
        let mut seen: Vec<&Arc<str>> = Vec::new();
        for rule in self.catalog.lookup_prefix(flow.server) {
            if seen.contains(&&rule.app)
                || !rule.applies(flow.first, flow.transport, flow.server_port, flow.protocol)
            {
                continue;
            }
            seen.push(&rule.app);
            let known = out.iter().any(|label| label.app == rule.app);
            if !known && (said != Said::Nothing || resolved_other || strong(out)) {
                trace.step("prefix", || {
                    format!("{} of {} is set aside: a name says otherwise", rule.prefix, rule.app)
                });
                continue;
            }
            trace.step("prefix", || format!("address lies in {} of {}", rule.prefix, rule.app));
            add(
                out,
                Label {
                    app: rule.app.clone(),
                    service: rule.service.clone(),
                    task: None,
                    evidence: Evidence::Prefix,
                    confidence: Evidence::Prefix.confidence() * rule.confidence,
                    detail: format!("address lies in {}", rule.prefix),
                },
            );
        }
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

/// Whether the certificate is for a host.
fn covers(flow: &FlowEvidence<'_>, host: &str) -> bool {
    let mut covered = false;
    flow.certificate_names.each(|name| {
        covered |= match name.strip_prefix("*.") {
            Some(domain) => host.split_once('.').is_some_and(|(_, rest)| rest == domain),
            None => name == host,
        };
    });
    covered
}

/// Whether it is worth the while to read a host as an address.
fn may_be_address(host: &str) -> bool {
    host.ends_with(|last: char| last.is_ascii_digit()) || host.contains(':')
}

/// A host without the port that a Host header may carry.
fn without_port(host: &str) -> &str {
    // Nearly all: neither a port nor brackets.
    if !host.ends_with(|last: char| last.is_ascii_digit() || last == ']' || last == ':')
        && !host.starts_with('[')
    {
        return host;
    }
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') && port.bytes().all(|b| b.is_ascii_digit()) => {
            name
        }
        _ => host.trim_start_matches('[').trim_end_matches(']'),
    }
}
