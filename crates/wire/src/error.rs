//! What was wrong with some bytes: layer, offset and reason, all `Copy`.

use std::fmt;

/// The layer whose bytes could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)] // the names are the documentation
pub enum Layer {
    Capture,
    Link,
    Vlan,
    Mpls,
    Pppoe,
    Ipv4,
    Ipv6,
    Fragment,
    Gre,
    Vxlan,
    Gtpu,
    Tcp,
    Udp,
    Sctp,
    Icmp,
    Dns,
    Http,
    Tls,
    Dtls,
    Quic,
    Stun,
    Rtp,
    Rtcp,
    Xmpp,
    Socks,
    Mmtls,
    WeChat,
    QqVideo,
    Oicq,
    Vp8,
    Signature,
}

impl Layer {
    /// The name used in the `anomalies` table.
    pub fn name(self) -> &'static str {
        match self {
            Layer::Capture => "capture",
            Layer::Link => "link",
            Layer::Vlan => "vlan",
            Layer::Mpls => "mpls",
            Layer::Pppoe => "pppoe",
            Layer::Ipv4 => "ipv4",
            Layer::Ipv6 => "ipv6",
            Layer::Fragment => "fragment",
            Layer::Gre => "gre",
            Layer::Vxlan => "vxlan",
            Layer::Gtpu => "gtp-u",
            Layer::Tcp => "tcp",
            Layer::Udp => "udp",
            Layer::Sctp => "sctp",
            Layer::Icmp => "icmp",
            Layer::Dns => "dns",
            Layer::Http => "http",
            Layer::Tls => "tls",
            Layer::Dtls => "dtls",
            Layer::Quic => "quic",
            Layer::Stun => "stun",
            Layer::Rtp => "rtp",
            Layer::Rtcp => "rtcp",
            Layer::Xmpp => "xmpp",
            Layer::Socks => "socks",
            Layer::Mmtls => "mmtls",
            Layer::WeChat => "wechat",
            Layer::QqVideo => "qq-video",
            Layer::Oicq => "oicq",
            Layer::Vp8 => "vp8",
            Layer::Signature => "signature",
        }
    }

    /// Whether the layer lies at or below IP, so that its bytes may hold addresses of people.
    pub fn holds_addresses(self) -> bool {
        (self as u8) < (Layer::Tcp as u8)
    }
}

/// Why the bytes could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Fewer bytes than the layout needs.
    Truncated {
        /// Bytes that the layout needs from the start of the layer.
        need: usize,
        /// Bytes that are there.
        have: usize,
    },
    /// A fixed value (magic, cookie, version) is not what the protocol says.
    BadMagic,
    /// A length field contradicts the bytes around it.
    BadLength,
    /// A version that this reader does not know.
    BadVersion(u32),
    /// A value that the protocol allows but this reader does not follow.
    Unsupported(u32),
    /// More nesting than the reader follows.
    TooDeep,
    /// More state than the reader may hold.
    TooLarge,
    /// Anything else, in a few words.
    Malformed(&'static str),
}

/// Bytes that could not be read, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WireError {
    /// The layer being read.
    pub layer: Layer,
    /// Offset in bytes from the start of what the reader was given.
    pub offset: usize,
    /// Why.
    pub reason: Reason,
}

impl WireError {
    /// An error of `layer` at `offset`.
    pub fn new(layer: Layer, offset: usize, reason: Reason) -> Self {
        WireError { layer, offset, reason }
    }

    /// `need` bytes were needed where `have` are.
    pub fn truncated(layer: Layer, offset: usize, need: usize, have: usize) -> Self {
        WireError { layer, offset, reason: Reason::Truncated { need, have } }
    }

    /// Whether more bytes could still make sense of it.
    pub fn is_truncated(&self) -> bool {
        matches!(self.reason, Reason::Truncated { .. })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Truncated { need, have } => write!(f, "needs {need} bytes, has {have}"),
            Reason::BadMagic => write!(f, "fixed value differs"),
            Reason::BadLength => write!(f, "length contradicts the bytes around it"),
            Reason::BadVersion(v) => write!(f, "version {v} is not known"),
            Reason::Unsupported(v) => write!(f, "value {v} is not followed"),
            Reason::TooDeep => write!(f, "nested too deep"),
            Reason::TooLarge => write!(f, "larger than the reader may hold"),
            Reason::Malformed(what) => write!(f, "{what}"),
        }
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.layer.name(), self.offset, self.reason)
    }
}

impl std::error::Error for WireError {}
