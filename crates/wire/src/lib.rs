//! Reads and writes the bytes of each protocol.
//!
//! For the flow engine, which feeds it captured bytes, and for `synth`, which makes traffic.
//! Bytes flow in; borrowed views, or a [`WireError`] that says layer, offset and reason, flow
//! out. This crate does no I/O, looks at no clock, keeps no state between calls, allocates
//! nothing to accept a packet, and never panics on any input.

pub mod build;
pub mod checksum;
mod cursor;
pub mod dns;
pub mod dtls;
pub mod error;
pub mod fields;
pub mod gtpu;
pub mod http;
mod ip;
pub mod ja;
mod link;
pub mod oicq;
pub mod packet;
pub mod qq_video;
pub mod quic;
pub mod rewrite;
pub mod rtcp;
pub mod rtp;
pub mod rtp_vp8;
pub mod socks;
pub mod stun;
pub mod tls;
mod transport;
mod tunnel;
pub mod vp8;
pub mod wechat;
pub mod xmpp;

pub use error::{Layer, Reason, WireError};
pub use fields::{Fields, Value};
pub use link::LinkType;
pub use packet::{
    Decoded, Encapsulation, Fragment, FragmentHead, Packet, Tcp, decode, decode_reassembled,
};
