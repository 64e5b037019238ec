//! What a flow's server tells of it: names that led there, calls it relayed, whose network it is in.

use std::sync::Arc;

use ottoscope_flow::{Span, Timestamp, Transport};

use super::{Labeler, SHARED, Said, add, from_rule, is_media, strong};
use crate::dns_map::{Resolved, key};
use crate::evidence::{Evidence, FlowEvidence, Label};
use crate::explain::Trace;
use crate::names::NameRule;

/// Factor for a name that was reached through a CNAME and not asked for.
const BY_CNAME: f32 = 0.85;

/// Factor for a name whose TTL had ended, within the grace.
const OVERRUN: f32 = 0.85;

/// Who a relay served, and when.
#[derive(Debug, Clone, Default)]
pub(super) struct Relay {
    app: Option<Arc<str>>,
    service: Option<Arc<str>>,
    first: Timestamp,
    last: Timestamp,
}

impl Relay {
    /// Notes that it serves a call of `app` at this time.
    pub(super) fn serve(
        &mut self,
        at: Timestamp,
        keep: Span,
        app: &Arc<str>,
        service: Option<&Arc<str>>,
    ) {
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

impl Labeler {
    /// Answers whether the user had resolved only names of no app to the address.
    pub(super) fn by_dns(
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

    pub(super) fn by_relay(
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
    pub(super) fn by_socket(
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

    pub(super) fn by_prefix(
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
}
