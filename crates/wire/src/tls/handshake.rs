//! The header of handshake messages (RFC 8446 4).

use std::fmt;

use super::handshake_type as kind;
use crate::cursor::{Cursor, put_u24};
use crate::error::{Layer, WireError};
use crate::fields::{Fields, Value};

/// Bytes before the body: type and length.
pub const HEADER: usize = 4;

/// One whole handshake message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handshake<'a> {
    /// See [`super::handshake_type`].
    pub kind: u8,
    /// What follows the length.
    pub body: &'a [u8],
}

impl<'a> Handshake<'a> {
    /// Reads the message at the start of `bytes`; `Truncated` says how many bytes are needed.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut at = Cursor::new(Layer::Tls, bytes);
        let kind = at.u8()?;
        let body = at.vec24()?;
        Ok(Handshake { kind, body })
    }

    /// Bytes with the header.
    pub fn size(&self) -> usize {
        HEADER + self.body.len()
    }

    /// Writes the message.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.push(self.kind);
        put_u24(out, self.body.len());
        out.extend_from_slice(self.body);
    }

    /// The kind as messages are named everywhere here.
    pub fn name(&self) -> &'static str {
        name(self.kind)
    }
}

/// The name of a handshake type.
pub fn name(kind: u8) -> &'static str {
    match kind {
        0 => "hello-request",
        kind::CLIENT_HELLO => "client-hello",
        kind::SERVER_HELLO => "server-hello",
        kind::HELLO_VERIFY_REQUEST => "hello-verify-request",
        kind::NEW_SESSION_TICKET => "new-session-ticket",
        8 => "encrypted-extensions",
        kind::CERTIFICATE => "certificate",
        kind::SERVER_KEY_EXCHANGE => "server-key-exchange",
        13 => "certificate-request",
        kind::SERVER_HELLO_DONE => "server-hello-done",
        15 => "certificate-verify",
        16 => "client-key-exchange",
        20 => "finished",
        22 => "certificate-status",
        _ => "handshake",
    }
}

impl fmt::Display for Handshake<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.name(), self.body.len())
    }
}

impl Fields for Handshake<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("kind", Value::Text(self.name()));
        each("len", Value::Number(self.body.len() as u64));
    }
}
