//! QUIC: long headers, Initial packets opened with the keys everybody can derive, and the
//! frames inside them.
//!
//! RFC 8999, 9000, 9001 (version 1), RFC 9369 (version 2), drafts 22 to 34, Meta's mvfst, and
//! Google's QUIC before the IETF's as far as its hello passes in clear or under such keys.
//! 0-RTT, Handshake and short-header packets are recognised and never opened.

pub mod frames;
pub mod gquic;
pub mod header;
pub mod initial;

pub use frames::{Frame, Frames};
pub use header::{Kind, LongHeader, MAX_CONNECTION_ID};
pub use initial::{KeyPair, Keys, Opened};

/// Versions as on the wire.
pub mod version {
    /// RFC 9000.
    pub const V1: u32 = 1;
    /// RFC 9369.
    pub const V2: u32 = 0x6b33_43cf;
    /// Draft 29, the last that was widely used.
    pub const DRAFT_29: u32 = 0xff00_001d;
    /// Meta's mvfst on draft 22.
    pub const MVFST_22: u32 = 0xface_b001;
    /// Meta's mvfst on draft 27.
    pub const MVFST_27: u32 = 0xface_b002;
    /// Meta's mvfst, experimental.
    pub const MVFST_EXPERIMENTAL: u32 = 0xface_b00e;
    /// Google QUIC 43.
    pub const Q043: u32 = u32::from_be_bytes(*b"Q043");
    /// Google QUIC 46.
    pub const Q046: u32 = u32::from_be_bytes(*b"Q046");
    /// Google QUIC 50.
    pub const Q050: u32 = u32::from_be_bytes(*b"Q050");
    /// Google QUIC 50 with TLS.
    pub const T050: u32 = u32::from_be_bytes(*b"T050");
    /// Google QUIC 51 with TLS.
    pub const T051: u32 = u32::from_be_bytes(*b"T051");
}

/// A version as people write it: `v1`, `draft-29`, `mvfst-2`, `Q046`, else hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionName(pub u32);

impl std::fmt::Display for VersionName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            version::V1 => f.write_str("v1"),
            version::V2 => f.write_str("v2"),
            v if v >> 8 == 0x00ff_0000 => write!(f, "draft-{}", v & 0xff),
            v if v >> 4 == 0x0fac_eb00 => write!(f, "mvfst-{:x}", v & 0xf),
            v => match v.to_be_bytes() {
                [b'Q' | b'T', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {
                    v.to_be_bytes().iter().try_for_each(|b| write!(f, "{}", char::from(*b)))
                }
                _ => write!(f, "{v:#010x}"),
            },
        }
    }
}
