//! The server hello (RFC 8446 4.1.3) and the hello retry request, which only its random tells.

use std::fmt;

use super::client_hello::emit_extensions;
use super::{Extensions, Names, extension, inner16, version};
use crate::cursor::{Cursor, put_vec8, put_vec16};
use crate::error::{Layer, Reason, WireError};
use crate::fields::{Fields, Value};
use crate::ja;

/// The random that makes a server hello a hello retry request: SHA-256 of "HelloRetryRequest".
pub const RETRY_RANDOM: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// A server hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerHello<'a> {
    /// Version it claims; see [`ServerHello::selected_version`] for the one in use.
    pub version: u16,
    /// 32 bytes.
    pub random: &'a [u8],
    /// Up to 32 bytes.
    pub session_id: &'a [u8],
    /// The cipher suite chosen.
    pub cipher: u16,
    /// The compression chosen.
    pub compression: u8,
    /// In their order.
    pub extensions: Extensions<'a>,
}

impl<'a> ServerHello<'a> {
    /// Reads the body of a server hello of TLS or DTLS; cut extensions are left out.
    pub fn parse(body: &'a [u8]) -> Result<Self, WireError> {
        let mut at = Cursor::new(Layer::Tls, body);
        let version = at.u16()?;
        if !matches!(version >> 8, 3 | 0xfe) && version != 0x0100 && version >> 8 != 0x7f {
            return Err(WireError::new(Layer::Tls, 0, Reason::BadVersion(version.into())));
        }
        let random = at.take(32)?;
        // Drafts of TLS 1.3 up to 21 announced 0x7fxx here and sent no session id.
        let early_draft = version >> 8 == 0x7f;
        let session_id = if early_draft { &[][..] } else { at.vec8()? };
        let cipher = at.u16()?;
        let compression = if early_draft { 0 } else { at.u8()? };
        let extensions = Extensions(inner16(at.rest()));
        Ok(ServerHello { version, random, session_id, cipher, compression, extensions })
    }

    /// The version in use from now on.
    pub fn selected_version(&self) -> u16 {
        match self.extensions.find(extension::SUPPORTED_VERSIONS) {
            Some([a, b]) => u16::from_be_bytes([*a, *b]),
            _ => self.version,
        }
    }

    /// Whether what follows is encrypted (TLS 1.3 and its drafts, DTLS 1.3).
    pub fn hides_the_rest(&self) -> bool {
        let v = self.selected_version();
        v == version::TLS13 || v == version::DTLS13 || matches!(v >> 8, 0x7f | 0xfb)
    }

    /// Whether this is a hello retry request.
    pub fn is_retry(&self) -> bool {
        self.random == RETRY_RANDOM
    }

    /// The application protocol chosen; TLS 1.3 hides it.
    pub fn alpn(&self) -> Option<&'a [u8]> {
        Names(inner16(self.extensions.find(extension::ALPN)?)).next()
    }

    /// The group of the server's key.
    pub fn key_share_group(&self) -> Option<u16> {
        let (head, _) = self.extensions.find(extension::KEY_SHARE)?.split_first_chunk::<2>()?;
        Some(u16::from_be_bytes(*head))
    }

    /// The kind as messages are named everywhere here.
    pub fn name(&self) -> &'static str {
        if self.is_retry() { "hello-retry-request" } else { "server-hello" }
    }
}

impl fmt::Display for ServerHello<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = super::version_name(self.selected_version());
        write!(f, "{}, {version}, cipher {:#06x}", self.name(), self.cipher)
    }
}

impl Fields for ServerHello<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("version", Value::Hex(self.selected_version().into()));
        each("cipher", Value::Hex(self.cipher.into()));
        match self.alpn().map(|name| (name, std::str::from_utf8(name))) {
            Some((_, Ok(text))) => each("alpn", Value::Text(text)),
            Some((name, Err(_))) => each("alpn", Value::Bytes(name)),
            None => {}
        }
        if let Some(group) = self.key_share_group() {
            each("key_share", Value::Hex(group.into()));
        }
        each("ja3s", Value::Text(&ja::ja3s(self)));
    }
}

/// A server hello to be written, for synthesis and tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerHelloRepr {
    /// Claimed version.
    pub version: u16,
    /// Random.
    pub random: [u8; 32],
    /// Up to 32 bytes.
    pub session_id: Vec<u8>,
    /// Cipher suite.
    pub cipher: u16,
    /// Extensions as type and body.
    pub extensions: Vec<(u16, Vec<u8>)>,
}

impl ServerHelloRepr {
    /// A TLS 1.2 answer, after which certificates pass in clear. No ALPN where empty.
    pub fn tls12(random: [u8; 32], alpn: &str) -> Self {
        let mut extensions = Vec::new();
        if !alpn.is_empty() {
            let mut name = Vec::new();
            put_vec8(&mut name, alpn.as_bytes());
            let mut body = Vec::new();
            put_vec16(&mut body, &name);
            extensions.push((extension::ALPN, body));
        }
        let session_id = random.to_vec();
        ServerHelloRepr { version: version::TLS12, random, session_id, cipher: 0xc02f, extensions }
    }

    /// A TLS 1.3 answer, after which all is encrypted.
    pub fn tls13(random: [u8; 32], session_id: &[u8]) -> Self {
        let mut share = vec![0, 0x1d, 0, 32];
        share.extend_from_slice(&random);
        let extensions =
            vec![(extension::SUPPORTED_VERSIONS, vec![3, 4]), (extension::KEY_SHARE, share)];
        let session_id = session_id.to_vec();
        ServerHelloRepr { version: version::TLS12, random, session_id, cipher: 0x1301, extensions }
    }

    /// Writes the body, to be put in a [`super::Handshake`].
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.version.to_be_bytes());
        out.extend_from_slice(&self.random);
        put_vec8(out, &self.session_id);
        out.extend_from_slice(&self.cipher.to_be_bytes());
        out.push(0);
        emit_extensions(&self.extensions, out);
    }
}
