//! Flows that nobody knows, to servers of an app: what feedback goes on with.

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use ottoscope_catalog::{Catalog, Evidence};
use ottoscope_flow::{Config, Flow, FlowId, Message, Sink, Transport};

use super::gather::Source;
use crate::inline::InlineLabels;
use crate::input;

/// What is known of an app's servers, and the flows to them that nothing tells of.
#[derive(Debug, Default)]
pub(crate) struct Neighbours {
    /// Flows that are the app's beyond doubt.
    pub(crate) own: u64,
    /// Flows that nobody knows, to a server and port of the app's, over TCP and over UDP.
    pub(crate) unknown: [HashSet<FlowId>; 2],
    /// Opcodes of the app's messages that have no task, with how often they were seen.
    pub(crate) unnamed: BTreeMap<(String, u64), u64>,
}

impl Source<'_> {
    /// Flows without a label that share server and port with flows of `app` (the ChatDissect
    /// paper, III-B).
    pub(crate) fn neighbours(&self, app: &str) -> anyhow::Result<Neighbours> {
        let signatures = input::signatures(&self.catalog)?;
        let config = Config { bins: false, ..Config::default() };
        let labels = InlineLabels::new(Arc::clone(&self.catalog));
        let seeker = Seeker {
            app,
            catalog: &self.catalog,
            labels,
            servers: HashSet::new(),
            strangers: Vec::new(),
            found: Neighbours::default(),
        };
        let Seeker { servers, strangers, mut found, .. } =
            self.read(&config, signatures, seeker)?;
        for (id, server) in strangers {
            if servers.contains(&server) {
                found.unknown[usize::from(server.2 == Transport::Udp)].insert(id);
            }
        }
        Ok(found)
    }
}

type Server = (IpAddr, u16, Transport);

struct Seeker<'a> {
    app: &'a str,
    catalog: &'a Catalog,
    labels: InlineLabels,
    servers: HashSet<Server>,
    strangers: Vec<(FlowId, Server)>,
    found: Neighbours,
}

impl Sink for Seeker<'_> {
    type Error = Infallible;

    fn message(&mut self, message: &Message<'_>) -> Result<(), Infallible> {
        self.labels.learn(message);
        let Some(opcode) = message.opcode else { return Ok(()) };
        let own = message.protocol.split_once('/').is_some_and(|(app, _)| app == self.app);
        if own && self.catalog.task_of_opcode(message.protocol, opcode).is_none() {
            *self.found.unnamed.entry((message.protocol.to_owned(), opcode)).or_default() += 1;
        }
        Ok(())
    }

    fn flow(&mut self, flow: &Flow) -> Result<(), Infallible> {
        let server = (flow.server, flow.server_port, flow.transport);
        if !matches!(flow.transport, Transport::Tcp | Transport::Udp) || flow.server_port == 53 {
            return Ok(());
        }
        let label = self.labels.of(flow);
        let sure = label
            .is_some_and(|label| label.evidence.is_strong() || label.evidence == Evidence::Dns);
        let nobody = flow.facts.protocol.is_empty() && flow.facts.signature.is_none();
        if sure && label.is_some_and(|label| &*label.app == self.app) {
            self.found.own += 1;
            self.servers.insert(server);
            if nobody {
                // Known by its server's name, but nobody reads it.
                self.strangers.push((flow.id, server));
            }
        } else if !sure && nobody && flow.up.payload + flow.down.payload > 0 {
            self.strangers.push((flow.id, server));
        }
        Ok(())
    }
}
