//! What a flow says of itself: signature, names of its server and certificate, user agent, questions.

use std::net::IpAddr;

use super::{Labeler, SHARED, Said, add, from_rule};
use crate::evidence::{Evidence, FlowEvidence, Label};
use crate::explain::Trace;
use crate::names::NameRule;

/// Factor for a certificate that speaks for several apps, or against the name asked for.
const MANY_IN_CERTIFICATE: f32 = 0.6;

impl Labeler {
    pub(super) fn by_signature(
        &self,
        flow: &FlowEvidence<'_>,
        out: &mut Vec<Label>,
        trace: &mut Trace,
    ) {
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
                detail: ["payload matches ", id].concat(),
            },
        );
    }

    pub(super) fn by_server_name(
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
                    let detail = [name, " matches ", &rule.pattern].concat();
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

    pub(super) fn by_certificate(
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
            let detail = ["certificate name ", name, " matches ", &rule.pattern].concat();
            let mut label = from_rule(rule, Evidence::Certificate, confidence, detail);
            if name.starts_with("*.") {
                label.task = None;
            }
            add(out, label);
        }
    }

    pub(super) fn by_user_agent(
        &self,
        flow: &FlowEvidence<'_>,
        out: &mut Vec<Label>,
        trace: &mut Trace,
    ) {
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

    pub(super) fn by_query(
        &self,
        flow: &FlowEvidence<'_>,
        out: &mut Vec<Label>,
        trace: &mut Trace,
    ) {
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
                    detail: ["asks for ", name].concat(),
                },
            );
        }
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
