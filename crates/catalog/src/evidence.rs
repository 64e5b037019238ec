//! What the labeler is told of a flow, and what it answers.

use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::FixedState;
use ottoscope_flow::{FlowId, Timestamp, Transport};

use crate::dns_map::Heard;

/// What a label rests on, in order of trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Evidence {
    /// The payload has a header layout of the catalogue.
    Signature,
    /// Server name of a TLS or DTLS client hello.
    Sni,
    /// Server name inside QUIC Initial packets.
    Quic,
    /// Target of a SOCKS or CONNECT request.
    Proxy,
    /// `to` of an XMPP stream.
    Xmpp,
    /// REALM of a STUN or TURN server.
    StunRealm,
    /// Names in the server's certificate.
    Certificate,
    /// HTTP Host.
    HttpHost,
    /// HTTP User-Agent, where the host is not the app's.
    UserAgent,
    /// The flow itself asks a resolver for the app's names.
    DnsQuery,
    /// The user had resolved a name of the app to the server's address.
    Dns,
    /// The same through the app's own resolution over HTTP.
    HttpDns,
    /// The server relayed a call of the user before.
    StunRelay,
    /// The client's socket carries a call of the app to a relay: media to a peer leave from the
    /// same port.
    CallSocket,
    /// Another flow of the same user with this server and port was labelled.
    FeedbackUser,
    /// Another user had resolved a name of the app to the server's address.
    DnsOthers,
    /// Another user's flow with this server and port was labelled.
    Feedback,
    /// The server's address lies in a prefix of the app.
    Prefix,
    /// A trained classifier said so.
    Model,
}

impl Evidence {
    /// All of them, in order of trust.
    pub const ALL: [Evidence; 19] = [
        Evidence::Signature,
        Evidence::Sni,
        Evidence::Quic,
        Evidence::Proxy,
        Evidence::Xmpp,
        Evidence::StunRealm,
        Evidence::Certificate,
        Evidence::HttpHost,
        Evidence::UserAgent,
        Evidence::DnsQuery,
        Evidence::Dns,
        Evidence::HttpDns,
        Evidence::StunRelay,
        Evidence::CallSocket,
        Evidence::FeedbackUser,
        Evidence::DnsOthers,
        Evidence::Feedback,
        Evidence::Prefix,
        Evidence::Model,
    ];

    /// The word in the `evidence` column.
    pub fn name(self) -> &'static str {
        match self {
            Evidence::Signature => "signature",
            Evidence::Sni => "sni",
            Evidence::Quic => "quic",
            Evidence::Proxy => "proxy",
            Evidence::Xmpp => "xmpp",
            Evidence::StunRealm => "stun-realm",
            Evidence::Certificate => "certificate",
            Evidence::HttpHost => "http-host",
            Evidence::UserAgent => "user-agent",
            Evidence::DnsQuery => "dns-query",
            Evidence::Dns => "dns",
            Evidence::HttpDns => "httpdns",
            Evidence::StunRelay => "stun-relay",
            Evidence::CallSocket => "call-socket",
            Evidence::FeedbackUser => "feedback-user",
            Evidence::DnsOthers => "dns-others",
            Evidence::Feedback => "feedback",
            Evidence::Prefix => "prefix",
            Evidence::Model => "model",
        }
    }

    /// Confidence before an entry's own factor and what lowers or raises it. Judgements, not
    /// measured rates: they order the sources and keep weak ones below 0.5.
    pub fn confidence(self) -> f32 {
        match self {
            Evidence::Signature => 0.97,
            Evidence::Sni | Evidence::Quic | Evidence::Proxy | Evidence::Xmpp => 0.95,
            Evidence::StunRealm => 0.93,
            Evidence::Certificate => 0.92,
            Evidence::HttpHost => 0.90,
            Evidence::UserAgent => 0.88,
            Evidence::DnsQuery => 0.87,
            Evidence::Dns => 0.85,
            Evidence::HttpDns => 0.80,
            Evidence::StunRelay => 0.75,
            Evidence::CallSocket => 0.72,
            Evidence::FeedbackUser => 0.60,
            Evidence::DnsOthers => 0.50,
            Evidence::Feedback => 0.40,
            Evidence::Prefix => 1.0, // the entry's own confidence, 0.3 where it states none
            Evidence::Model => 1.0,  // the model's own
        }
    }

    /// What it means, for the reference page.
    pub fn about(self) -> &'static str {
        match self {
            Evidence::Signature => "the payload has a header layout of the catalogue",
            Evidence::Sni => "server name of a TLS or DTLS client hello",
            Evidence::Quic => "server name inside QUIC Initial packets",
            Evidence::Proxy => "target of a SOCKS or CONNECT request",
            Evidence::Xmpp => "`to` of an XMPP stream",
            Evidence::StunRealm => "realm that a STUN or TURN server names",
            Evidence::Certificate => "names in the server's certificate",
            Evidence::HttpHost => "HTTP Host",
            Evidence::UserAgent => "HTTP User-Agent, where the host is not the app's",
            Evidence::DnsQuery => "the flow itself asks a resolver for the app's names",
            Evidence::Dns => "the user had resolved a name of the app to the server's address",
            Evidence::HttpDns => "the same through the app's own resolution over HTTP",
            Evidence::StunRelay => "the server relayed a call of the user before",
            Evidence::CallSocket => "the client's port carries a call of the app to a relay",
            Evidence::FeedbackUser => {
                "another flow of the same user with this server and port was labelled"
            }
            Evidence::DnsOthers => {
                "another user had resolved a name of the app to the server's address"
            }
            Evidence::Feedback => "another user's flow with this server and port was labelled",
            Evidence::Prefix => "the server's address lies in a prefix of the app",
            Evidence::Model => "a trained classifier said so",
        }
    }

    /// Whether it comes from the flow's own bytes, and may teach others (feedback).
    pub fn is_strong(self) -> bool {
        self <= Evidence::HttpHost
    }
}

/// Names in whatever form the caller holds them.
#[derive(Debug, Clone, Copy)]
pub enum Names<'a> {
    /// As the flow engine keeps them.
    Boxed(&'a [Box<str>]),
    /// A list of texts.
    List(&'a [&'a str]),
    /// One text with commas between, as the tables hold them.
    Text(&'a str),
}

impl<'a> Names<'a> {
    /// No names.
    pub const NONE: Names<'static> = Names::List(&[]);

    /// Calls `each` with every name that is not empty.
    pub fn each(&self, mut each: impl FnMut(&'a str)) {
        match self {
            Names::Boxed(names) => names.iter().for_each(|name| each(name)),
            Names::List(names) => names.iter().for_each(|name| each(name)),
            Names::Text("") => {}
            Names::Text(text) => {
                text.split(',').map(str::trim).filter(|n| !n.is_empty()).for_each(each);
            }
        }
    }
}

/// A user: an address or its pseudonym.
///
/// Users are told apart by 64 bits of a hash of their name, so that a million of them cost eight
/// bytes each and not a text (chance that any two of a million collide: 3e-8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client<'a> {
    name: &'a str,
    key: u64,
}

impl<'a> Client<'a> {
    /// The user of this name.
    pub fn of(name: &'a str) -> Self {
        let mut hasher = FixedState::with_seed(0x6f74_746f).build_hasher();
        hasher.write(name.as_bytes());
        Client { name, key: hasher.finish() }
    }

    /// The name.
    pub fn name(self) -> &'a str {
        self.name
    }

    /// The same for a name in every run and on every machine.
    pub fn key(self) -> u64 {
        self.key
    }
}

/// What is known of a flow. Whatever is unknown is `None`, empty or [`Names::NONE`].
#[derive(Debug, Clone, Copy)]
pub struct FlowEvidence<'a> {
    /// The flow.
    pub flow: FlowId,
    /// Its first packet: names must have been learnt before.
    pub first: Timestamp,
    /// Its last packet.
    pub last: Timestamp,
    /// The user.
    pub client: Client<'a>,
    /// The client's port; 0 where it is not known.
    pub client_port: u16,
    /// The server's address.
    pub server: IpAddr,
    /// The server's port.
    pub server_port: u16,
    /// What carries it.
    pub transport: Transport,
    /// The recognised protocol, empty where none was.
    pub protocol: &'a str,
    /// The server's name as the client said it.
    pub server_name: Option<&'a str>,
    /// Where that was read, as [`ottoscope_flow::NameSource::name`].
    pub name_source: Option<&'a str>,
    /// Names in the server's certificate.
    pub certificate_names: Names<'a>,
    /// HTTP Host, where it is not `server_name`.
    pub http_host: Option<&'a str>,
    /// Path of the first HTTP request.
    pub url_path: Option<&'a str>,
    /// HTTP User-Agent of the first request.
    pub user_agent: Option<&'a str>,
    /// Signature that the payload matched, as `app/signature`; `None` where it was contradicted.
    pub signature: Option<&'a str>,
    /// Names that a DNS flow asked for.
    pub queried: Names<'a>,
    /// What anyone had resolved to the server's address, where the caller keeps that for several
    /// labelers ([`crate::AllNames`]).
    pub heard: Option<&'a Heard>,
}

impl<'a> FlowEvidence<'a> {
    /// A flow of which only the 5-tuple and the times are known.
    pub fn bare(
        flow: FlowId,
        (first, last): (Timestamp, Timestamp),
        client: &'a str,
        (server, server_port): (IpAddr, u16),
        transport: Transport,
    ) -> Self {
        FlowEvidence {
            flow,
            first,
            last,
            client: Client::of(client),
            client_port: 0,
            server,
            server_port,
            transport,
            protocol: "",
            server_name: None,
            name_source: None,
            certificate_names: Names::NONE,
            http_host: None,
            url_path: None,
            user_agent: None,
            signature: None,
            queried: Names::NONE,
            heard: None,
        }
    }

    /// What the engine knows of a flow; `client` is the name under which the caller keeps the
    /// user.
    pub fn of(flow: &'a ottoscope_flow::Flow, client: &'a str) -> Self {
        let facts = &flow.facts;
        FlowEvidence {
            client_port: flow.client_port,
            protocol: facts.protocol,
            server_name: facts.server_name.as_deref(),
            name_source: facts.name_source.map(ottoscope_flow::NameSource::name),
            certificate_names: Names::Text(&facts.tls().certificate_names),
            user_agent: facts.user_agent.as_deref(),
            signature: facts.signature.as_deref().filter(|_| !facts.signature_broken),
            ..FlowEvidence::bare(
                flow.id,
                (flow.first, flow.last),
                client,
                (flow.server, flow.server_port),
                flow.transport,
            )
        }
    }
}

/// Whose a flow is, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// The app's id.
    pub app: Arc<str>,
    /// The service, where the evidence tells.
    pub service: Option<Arc<str>>,
    /// The task, where the evidence tells.
    pub task: Option<Arc<str>>,
    /// The most trusted evidence for this app.
    pub evidence: Evidence,
    /// 0 to 1.
    pub confidence: f32,
    /// What matched, in words.
    pub detail: String,
}
