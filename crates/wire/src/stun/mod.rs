//! STUN and TURN, walked laxly: what real clients send, not what a strict stack would take.
//!
//! RFC 3489 (classic), RFC 5389 and 8489, ICE (RFC 8445), TURN (RFC 8656) with ChannelData,
//! framing over TCP (RFC 4571), and the types that WhatsApp and Microsoft add. Integrity is
//! not checked: its key is never on the wire. Values of USERNAME, REALM and NONCE are not shown.

pub mod attribute;
pub mod channel;
pub mod message;

pub use attribute::{Attribute, Attributes};
pub use channel::ChannelData;
pub use message::{Class, Message, MessageRepr};

#[cfg(test)]
mod tests;
