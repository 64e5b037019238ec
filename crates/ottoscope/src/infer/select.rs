//! Which flows are the app's, and which of them nobody can read yet (the ChatDissect paper, II-B:
//! what goes to servers of others is taken out).

use std::net::IpAddr;

use ottoscope_catalog::HostPattern;
use ottoscope_flow::{Flow, Prefix, Transport};
use ottoscope_infer::FlowType;

use crate::hint::hinted;

/// What the user said of the app's traffic. Where nothing is said, everything is the app's.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    names: Vec<HostPattern>,
    addresses: Vec<Prefix>,
    pub(crate) app: Option<String>,
    pub(crate) ports: Vec<u16>,
    pub(crate) transport: Option<Transport>,
    /// Also flows whose protocol a dissector knows.
    pub(crate) known: bool,
}

/// What becomes of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// The app's, and its protocol is to be inferred.
    Unknown,
    /// The app's, read by a dissector.
    Readable,
    /// Its server is not known to be the app's.
    OtherServer,
    /// Other ports or another transport were asked for.
    NotAsked,
    /// Neither TCP nor UDP.
    NoTransport,
}

impl Verdict {
    /// What it means, in the report.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Verdict::Unknown => "kept: of a protocol to be inferred",
            Verdict::Readable => "kept for keywords: of a protocol that is known",
            Verdict::OtherServer => "dropped: the server is not the app's",
            Verdict::NotAsked => "dropped: another port or transport",
            Verdict::NoTransport => "dropped: neither TCP nor UDP",
        }
    }

    /// Whether the flow stays.
    pub(crate) fn keeps(self) -> bool {
        matches!(self, Verdict::Unknown | Verdict::Readable)
    }
}

impl Rules {
    /// From `--server` arguments: host patterns, addresses and prefixes.
    pub(crate) fn new(servers: &[String]) -> anyhow::Result<Self> {
        let mut rules = Rules::default();
        for server in servers {
            if let Ok(prefix) = server.parse() {
                rules.addresses.push(prefix);
                continue;
            }
            let pattern = server.to_lowercase().parse().map_err(|error| {
                hinted(
                    format!("`{server}` is no server: as a host name it {error}"),
                    "write a host pattern such as .weixin.qq.com or *long.example.com, an \
                     address, or a prefix such as 203.0.113.0/24",
                )
            })?;
            rules.names.push(pattern);
        }
        Ok(rules)
    }

    /// Whether anything tells whose a server is.
    pub(crate) fn chooses_servers(&self) -> bool {
        !self.names.is_empty() || !self.addresses.is_empty() || self.app.is_some()
    }

    /// Whether one of the host patterns matches.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.names.iter().any(|pattern| pattern.matches(name))
    }

    /// Whether a server is the app's by its address alone.
    pub(crate) fn address(&self, server: IpAddr) -> bool {
        self.addresses.iter().any(|prefix| prefix.contains(server))
    }

    /// What becomes of a flow with a server of these `names`; `labelled` where the catalogue
    /// knows it to be the app's.
    pub(crate) fn judge(&self, flow: &Flow, names: &[&str], labelled: bool) -> Verdict {
        let protocol = flow.facts.protocol;
        let Some(kind) = FlowType::of(flow.transport, flow.server_port, protocol) else {
            return Verdict::NoTransport;
        };
        if kind == FlowType::Dns {
            return Verdict::Readable; // told apart by what is asked
        }
        if self.transport.is_some_and(|t| t != flow.transport)
            || !self.ports.is_empty() && !self.ports.contains(&flow.server_port)
        {
            return Verdict::NotAsked;
        }
        let own = !self.chooses_servers()
            || self.address(flow.server)
            || labelled
            || names.iter().any(|name| self.names(name));
        if !own {
            return Verdict::OtherServer;
        }
        if self.known || protocol.is_empty() { Verdict::Unknown } else { Verdict::Readable }
    }
}
