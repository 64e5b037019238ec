//! TLS 1.0 to 1.3: records, the hellos and certificates that pass in clear.
//!
//! RFC 2246, 4346, 5246, 8446; GREASE: RFC 8701; encrypted client hello: RFC 9849. The hellos
//! are shared with DTLS ([`crate::dtls`]) and QUIC ([`crate::quic`]), which carry the same
//! messages in other clothes. What is encrypted stays so.

// A view of a list is walked as a copy, so that the list stays whole.
#![allow(clippy::copy_iterator)]

pub mod certificate;
pub mod client_hello;
pub mod handshake;
pub mod record;
pub mod server_hello;
pub mod x509;

pub use certificate::Certificates;
pub use client_hello::{Carrier, ClientHello, ClientHelloRepr};
pub use handshake::Handshake;
pub use record::{Alert, Record};
pub use server_hello::{ServerHello, ServerHelloRepr};
pub use x509::names;

/// Content types of records (RFC 8446 B.1).
pub mod content {
    /// Change cipher spec.
    pub const CHANGE_CIPHER_SPEC: u8 = 20;
    /// Alert.
    pub const ALERT: u8 = 21;
    /// Handshake.
    pub const HANDSHAKE: u8 = 22;
    /// Application data.
    pub const APPLICATION_DATA: u8 = 23;
    /// Heartbeat (RFC 6520).
    pub const HEARTBEAT: u8 = 24;
}

/// Handshake message types (RFC 8446 B.3, RFC 6347 4.3.2).
pub mod handshake_type {
    /// Client hello.
    pub const CLIENT_HELLO: u8 = 1;
    /// Server hello, and hello retry request.
    pub const SERVER_HELLO: u8 = 2;
    /// Hello verify request of DTLS.
    pub const HELLO_VERIFY_REQUEST: u8 = 3;
    /// New session ticket.
    pub const NEW_SESSION_TICKET: u8 = 4;
    /// Certificate.
    pub const CERTIFICATE: u8 = 11;
    /// Server key exchange.
    pub const SERVER_KEY_EXCHANGE: u8 = 12;
    /// Server hello done.
    pub const SERVER_HELLO_DONE: u8 = 14;
    /// The highest type that any version defines in clear, key update.
    pub const LAST: u8 = 24;
}

/// Extension types (IANA TLS ExtensionType values).
pub mod extension {
    /// Server name (RFC 6066 3).
    pub const SERVER_NAME: u16 = 0x0000;
    /// Supported groups (RFC 8422 5.1.1).
    pub const SUPPORTED_GROUPS: u16 = 0x000a;
    /// Point formats (RFC 8422 5.1.2).
    pub const POINT_FORMATS: u16 = 0x000b;
    /// Signature algorithms (RFC 8446 4.2.3).
    pub const SIGNATURE_ALGORITHMS: u16 = 0x000d;
    /// Application-layer protocol negotiation (RFC 7301).
    pub const ALPN: u16 = 0x0010;
    /// Supported versions (RFC 8446 4.2.1).
    pub const SUPPORTED_VERSIONS: u16 = 0x002b;
    /// Key share (RFC 8446 4.2.8).
    pub const KEY_SHARE: u16 = 0x0033;
    /// QUIC transport parameters (RFC 9001 8.2).
    pub const QUIC_TRANSPORT_PARAMETERS: u16 = 0x0039;
    /// Encrypted client hello (RFC 9849).
    pub const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
    /// Its ancestor, encrypted server name (draft-ietf-tls-esni-02).
    pub const ENCRYPTED_SERVER_NAME: u16 = 0xffce;
}

/// Versions as on the wire.
pub mod version {
    /// SSL 2.
    pub const SSL2: u16 = 0x0002;
    /// SSL 3.
    pub const SSL3: u16 = 0x0300;
    /// TLS 1.0.
    pub const TLS10: u16 = 0x0301;
    /// TLS 1.1.
    pub const TLS11: u16 = 0x0302;
    /// TLS 1.2.
    pub const TLS12: u16 = 0x0303;
    /// TLS 1.3.
    pub const TLS13: u16 = 0x0304;
    /// DTLS 1.0.
    pub const DTLS10: u16 = 0xfeff;
    /// DTLS 1.2.
    pub const DTLS12: u16 = 0xfefd;
    /// DTLS 1.3.
    pub const DTLS13: u16 = 0xfefc;
}

/// Whether a cipher, extension, group or version is one of the reserved values that clients
/// send so that servers stay tolerant (RFC 8701).
pub fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

/// Big-endian 16-bit values of a list; an odd last byte is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct U16s<'a>(pub &'a [u8]);

impl Iterator for U16s<'_> {
    type Item = u16;
    fn next(&mut self) -> Option<u16> {
        let (head, rest) = self.0.split_first_chunk::<2>()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*head))
    }
}

/// Extensions in their order, as type and body; ends where one is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extensions<'a>(pub &'a [u8]);

impl<'a> Iterator for Extensions<'a> {
    type Item = (u16, &'a [u8]);
    fn next(&mut self) -> Option<Self::Item> {
        let (head, rest) = self.0.split_first_chunk::<4>()?;
        let len = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let body = rest.get(..len)?;
        self.0 = &rest[len..];
        Some((u16::from_be_bytes([head[0], head[1]]), body))
    }
}

impl<'a> Extensions<'a> {
    /// The body of the first extension of a type.
    pub fn find(self, kind: u16) -> Option<&'a [u8]> {
        { self }.find_map(|(k, body)| (k == kind).then_some(body))
    }
}

/// Names behind a length in one byte each, as ALPN lists them; ends where one is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names<'a>(pub &'a [u8]);

impl<'a> Iterator for Names<'a> {
    type Item = &'a [u8];
    fn next(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.0.split_first()?;
        let name = rest.get(..usize::from(*len))?;
        self.0 = &rest[name.len()..];
        Some(name)
    }
}

/// The vector that fills `body` behind its length in two bytes, lax about a wrong length.
fn inner16(body: &[u8]) -> &[u8] {
    let Some((head, rest)) = body.split_first_chunk::<2>() else { return &[] };
    rest.get(..usize::from(u16::from_be_bytes(*head))).unwrap_or(rest)
}

/// The same behind a length in one byte.
fn inner8(body: &[u8]) -> &[u8] {
    let Some((len, rest)) = body.split_first() else { return &[] };
    rest.get(..usize::from(*len)).unwrap_or(rest)
}

/// A version as people write it, for `Display`.
pub fn version_name(version: u16) -> &'static str {
    match version {
        version::SSL2 => "SSL 2",
        version::SSL3 => "SSL 3",
        version::TLS10 => "TLS 1.0",
        version::TLS11 => "TLS 1.1",
        version::TLS12 => "TLS 1.2",
        version::TLS13 => "TLS 1.3",
        version::DTLS10 => "DTLS 1.0",
        version::DTLS12 => "DTLS 1.2",
        version::DTLS13 => "DTLS 1.3",
        _ => "TLS",
    }
}

#[cfg(test)]
mod tests;
