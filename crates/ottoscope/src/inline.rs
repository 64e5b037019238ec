//! Labels while packets are read: the same labeler that goes over tables, fed as answers come.

use std::net::IpAddr;
use std::sync::Arc;

use ottoscope_catalog::{Catalog, FlowEvidence, Label, Labeler, LabelerConfig, NameLearned};
use ottoscope_flow::{Body, Flow, Message};

/// A labeler over a run of messages.
pub(crate) struct InlineLabels {
    labeler: Labeler,
    labels: Vec<Label>,
}

impl InlineLabels {
    pub(crate) fn new(catalog: Arc<Catalog>) -> Self {
        let labeler = Labeler::new(catalog, LabelerConfig::default());
        InlineLabels { labeler, labels: Vec::new() }
    }

    /// Takes the addresses that a DNS answer tells.
    pub(crate) fn learn(&mut self, message: &Message<'_>) {
        let Body::Dns(dns) = message.body else { return };
        if !dns.is_response() {
            return;
        }
        let chain = dns.chain();
        let names: Vec<&str> = chain.iter().map(|name| name.as_str()).collect();
        let mut ttl = u32::MAX;
        let addresses: Vec<IpAddr> = dns
            .addresses()
            .map(|(address, seconds)| {
                ttl = ttl.min(seconds);
                address
            })
            .collect();
        if names.is_empty() || addresses.is_empty() {
            return;
        }
        self.labeler.name_learned(&NameLearned {
            at: message.at,
            client: &message.flow.client.to_string(),
            names: &names,
            addresses: &addresses,
            ttl,
            over_http: false,
        });
    }

    /// Whose the flow is by what is known now.
    pub(crate) fn of(&mut self, flow: &Flow) -> Option<&Label> {
        let client = flow.client.to_string();
        self.labeler.flow(&FlowEvidence::of(flow, &client), &mut self.labels);
        self.labels.first()
    }
}
