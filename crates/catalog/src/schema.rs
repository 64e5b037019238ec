//! The catalogue's TOML, one struct per kind of entry.
//!
//! Unknown keys are errors, so that a misspelt one is not silently without effect. Every entry
//! may carry a `source`: free text, or a key of the file's `[sources]`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One file: one app, or additions to one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct File {
    /// Whom the entries speak of.
    pub app: App,
    /// Short keys for citations that several entries share.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, String>,
    /// Host names.
    #[serde(default, rename = "name", skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<Name>,
    /// Names in server certificates.
    #[serde(default, rename = "certificate", skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<Certificate>,
    /// HTTP user agents.
    #[serde(default, rename = "user-agent", skip_serializing_if = "Vec::is_empty")]
    pub user_agents: Vec<UserAgent>,
    /// Header layouts.
    #[serde(default, rename = "signature", skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<Signature>,
    /// What opcodes and URLs mean.
    #[serde(default, rename = "task", skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<Task>,
    /// Address prefixes.
    #[serde(default, rename = "prefix", skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<Prefix>,
    /// Server ports.
    #[serde(default, rename = "port", skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    /// Idle timeouts by operating system.
    #[serde(default, rename = "idle-timeout", skip_serializing_if = "Vec::is_empty")]
    pub idle_timeouts: Vec<IdleTimeout>,
    /// How calls are set up.
    #[serde(default, rename = "call", skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<Call>,
    /// What `catalog test` runs.
    #[serde(default, rename = "example", skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
}

/// The app itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct App {
    /// Lower-case letters, digits and `-`: what the `app` columns hold.
    pub id: String,
    /// The name people know. Needed once per app; a file that adds to one may leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// `messaging` (the default), `calls`, `social`, `live`, or `platform` for what must only be
    /// told apart from the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// What a reader should know, doubts included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// Where the app is described.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Forget what earlier files say of this app.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replace: bool,
}

/// What an app is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Messages between people, with or without calls.
    #[default]
    Messaging,
    /// Calls and meetings first.
    Calls,
    /// Social networks.
    Social,
    /// Live streams with chat.
    Live,
    /// An operator's shared infrastructure, not one app.
    Platform,
}

impl Kind {
    /// The word used in the TOML.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Messaging => "messaging",
            Kind::Calls => "calls",
            Kind::Social => "social",
            Kind::Live => "live",
            Kind::Platform => "platform",
        }
    }
}

/// One text or several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// `pattern = "a"`.
    One(String),
    /// `pattern = ["a", "b"]`.
    Many(Vec<String>),
}

impl OneOrMany {
    /// The texts.
    pub fn as_slice(&self) -> &[String] {
        match self {
            OneOrMany::One(text) => std::slice::from_ref(text),
            OneOrMany::Many(texts) => texts,
        }
    }
}

impl Default for OneOrMany {
    fn default() -> Self {
        OneOrMany::Many(Vec::new())
    }
}

/// A host name or names of the app.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Name {
    /// One pattern or several, see [`crate::pattern`].
    pub pattern: OneOrMany,
    /// The service behind the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The task, where a name serves only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// 0 to 1, multiplied with the confidence of the evidence: below 1 where the name is shared
    /// with other apps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    /// First day it held, `2014`, `2014-02` or `2014-02-22`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Last day it held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Public document, paper or capture it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// A name in a server certificate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Certificate {
    /// Matched against the certificate's names, as written there or below a wildcard's domain.
    pub pattern: OneOrMany,
    /// The service behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// See [`Name::confidence`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    /// See [`Name::since`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// See [`Name::until`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// See [`Name::source`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// An HTTP user agent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct UserAgent {
    /// A glob over the whole header: `*` any run, `#` digits; upper and lower case differ.
    pub pattern: String,
    /// The service that such requests belong to where the host is not the app's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The task, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// See [`Name::confidence`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    /// See [`Name::source`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// What carries a signature, a port or an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Carrier {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Client to server.
    Up,
    /// Server to client.
    Down,
}

/// Byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Endian {
    /// Network order.
    #[default]
    Big,
    /// The other.
    Little,
}

/// A header layout, as [`ottoscope_flow::Signature`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Signature {
    /// Unique within the app: with it `app/id`.
    pub id: String,
    /// TCP or UDP.
    pub transport: Carrier,
    /// The service it carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Only these server ports; any where absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// Only this direction has the layout; both where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Way>,
    /// Shortest and longest message in bytes, header included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lengths: Option<[u64; 2]>,
    /// Messages that must match before the flow does; 1 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_messages: Option<u32>,
    /// UDP: every packet must match.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub every_packet: bool,
    /// A protocol that the program reads itself, and that only this app speaks: its flows count
    /// as matched, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// See [`Name::confidence`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    /// Share of the packets it was learned from that have the layout, or continue one that has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<f32>,
    /// What a reader should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// See [`Name::source`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The fields, by rising offset.
    #[serde(default, rename = "field", skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
}

/// One field of a layout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Field {
    /// Offset in bytes from the start of the message.
    pub at: usize,
    /// Length in bytes.
    pub len: usize,
    /// What it holds.
    pub kind: FieldKind,
    /// A word for it: `transaction`, `version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Why it is taken for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// `constant`: the value or values, in hex. `opcode`: the only values, where others would be
    /// another protocol's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<OneOrMany>,
    /// `request-response`: the value in requests, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// `request-response`: the value in responses, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
    /// `length`, `sequence`, `opcode`: byte order, `big` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endian: Option<Endian>,
    /// `length`: message bytes are the field plus this; 0 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add: Option<i64>,
    /// `opcode`: subtracted from values above it, where responses are requests plus a constant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_offset: Option<u64>,
}

/// What a field holds, see [`ottoscope_flow::FieldKind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FieldKind {
    /// One of some values.
    Constant,
    /// Rises by one per message.
    Sequence,
    /// One value in requests, another in responses.
    RequestResponse,
    /// Length of the message.
    Length,
    /// Identifies the task.
    Opcode,
    /// Anything.
    Unknown,
}

/// What an opcode or a URL means.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Task {
    /// What is done: `send picture`.
    pub name: String,
    /// What it is part of: `instant messaging`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The opcode by one of the app's signatures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opcode: Option<u64>,
    /// Only opcodes of this signature of the app; any where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Start of the path of a request to one of the app's hosts; the longest that fits wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_prefix: Option<String>,
    /// What was seen that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// See [`Name::source`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// An address prefix.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Prefix {
    /// One prefix or several: `185.60.216.0/24`.
    pub prefix: OneOrMany,
    /// The service behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Only flows over this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Carrier>,
    /// Only flows to these server ports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// Only flows of this protocol, such as `stun`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// 0 to 1; 0.3 where absent, since addresses change hands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    /// See [`Name::since`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// See [`Name::until`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// See [`Name::source`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// A server port: never evidence alone, it only raises what other evidence says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Port {
    /// Over what.
    pub transport: Carrier,
    /// The ports.
    pub ports: Vec<u16>,
    /// The service behind them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// See [`Name::source`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// How long the app keeps an idle connection.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct IdleTimeout {
    /// `android`, `ios`, `blackberry`, `windows`.
    pub os: String,
    /// `24m`, `180s`, `1h`.
    pub after: String,
    /// See [`Name::since`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// See [`Name::until`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// See [`Name::source`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// How calls are set up, for call detection.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Call {
    /// The service that the call's flows get.
    pub service: String,
    /// UDP ports of the relays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// STUN message types seen, standard and not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stun_types: Vec<u16>,
    /// STUN message types that no standard defines and no other app is known to send.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own_stun_types: Vec<u16>,
    /// How many servers are asked within `burst`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub servers: Option<u32>,
    /// Time in which they are asked, as `1s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<String>,
    /// Servers asked in every call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constant_servers: Vec<String>,
    /// RTP payload types seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payload_types: Vec<u8>,
    /// Service whose flow carries the signalling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
    /// See [`Name::source`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// What `catalog test` runs: exactly one of `host`, `url`, `payload`, `address`, `certificate`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Example {
    /// A host name that must get the app and the `service`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// A request path that must get the `task`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// First bytes of a message in hex, that must match the `signature`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// A certificate name that must get the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// An address that must lie in one of the app's prefixes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Which way the payload went; `up` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Way>,
    /// Server port of the payload; the signature's first where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// What carried the payload; either where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Carrier>,
    /// Expected service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Expected task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Expected signature's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// The example must not match this app at all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not: bool,
}
