//! The client hello (RFC 8446 4.1.2), also in its DTLS form with a cookie (RFC 6347 4.2.1) and
//! its SSL 2 form (RFC 5246 E.2).

use std::fmt;

use super::{Extensions, Names, U16s, extension, inner8, inner16, is_grease, version};
use crate::cursor::{Cursor, put_vec8, put_vec16};
use crate::error::{Layer, Reason, WireError};
use crate::fields::{Fields, Value};
use crate::ja;

/// What carries a client hello: it decides the form, and the first letter of JA4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// Records over TCP.
    Tls,
    /// Records over UDP, with a cookie in the hello.
    Dtls,
    /// CRYPTO frames of QUIC.
    Quic,
}

/// A client hello. What parsed before a fault is kept, with the fault in `stop`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientHello<'a> {
    /// What carries it.
    pub carrier: Carrier,
    /// Version it claims, frozen at TLS 1.2 by those that support more.
    pub version: u16,
    /// 32 bytes; 16 to 32 in the SSL 2 form.
    pub random: &'a [u8],
    /// Up to 32 bytes.
    pub session_id: &'a [u8],
    /// DTLS cookie.
    pub cookie: &'a [u8],
    /// Two bytes each, three in the SSL 2 form.
    pub cipher_bytes: &'a [u8],
    /// One byte each.
    pub compressions: &'a [u8],
    /// In their order.
    pub extensions: Extensions<'a>,
    /// Whether the hello came in SSL 2 form.
    pub ssl2: bool,
    /// Where reading ended early, if it did: a cut message still tells its first extensions.
    pub stop: Option<WireError>,
}

impl<'a> ClientHello<'a> {
    /// Reads the body of a client hello, also a cut one as far as its ciphers are there.
    pub fn parse(body: &'a [u8], carrier: Carrier) -> Result<Self, WireError> {
        let layer = if carrier == Carrier::Dtls { Layer::Dtls } else { Layer::Tls };
        let mut at = Cursor::new(layer, body);
        let version = at.u16()?;
        let known = match carrier {
            Carrier::Dtls => version >> 8 == 0xfe || version == 0x0100,
            _ => version >> 8 == 3,
        };
        if !known {
            return Err(WireError::new(layer, 0, Reason::BadVersion(version.into())));
        }
        let random = at.take(32)?;
        let session_id = at.vec8()?;
        if session_id.len() > 32 {
            return Err(at.error(Reason::BadLength));
        }
        let cookie = if carrier == Carrier::Dtls { at.vec8()? } else { &[] };
        let cipher_bytes = at.vec16()?;
        let mut hello = ClientHello {
            carrier,
            version,
            random,
            session_id,
            cookie,
            cipher_bytes,
            compressions: &[],
            extensions: Extensions(&[]),
            ssl2: false,
            stop: None,
        };
        let mut tail = || -> Result<(), WireError> {
            hello.compressions = at.vec8()?;
            if at.rest().is_empty() {
                return Ok(()); // extensions are optional before TLS 1.3
            }
            let mut whole = at;
            match whole.vec16() {
                Ok(list) => {
                    hello.extensions = Extensions(list);
                    let walked: usize = hello.extensions.map(|(_, body)| 4 + body.len()).sum();
                    if walked == list.len() { Ok(()) } else { Err(at.error(Reason::BadLength)) }
                }
                Err(cut) => {
                    hello.extensions = Extensions(at.rest().get(2..).unwrap_or(&[]));
                    Err(cut)
                }
            }
        };
        let stop = tail().err();
        hello.stop = stop;
        Ok(hello)
    }

    /// Reads a hello in SSL 2 form from the start of a stream, header included. Strict, as
    /// its header alone says little: all lengths must fit and the version be 2 or 3.x.
    pub fn parse_ssl2(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut at = Cursor::new(Layer::Tls, bytes);
        let header = at.u16()?;
        if header & 0x8000 == 0 {
            return Err(WireError::new(Layer::Tls, 0, Reason::BadMagic));
        }
        if at.u8()? != 1 {
            return Err(WireError::new(Layer::Tls, 2, Reason::BadMagic));
        }
        let version = at.u16()?;
        if version != version::SSL2 && !(version::SSL3..=version::TLS13).contains(&version) {
            return Err(WireError::new(Layer::Tls, 3, Reason::BadVersion(version.into())));
        }
        let ciphers = usize::from(at.u16()?);
        let session = usize::from(at.u16()?);
        let challenge = usize::from(at.u16()?);
        let sane = ciphers > 0
            && ciphers.is_multiple_of(3)
            && matches!(session, 0 | 16)
            && (16..=32).contains(&challenge)
            && 9 + ciphers + session + challenge == usize::from(header & 0x7fff);
        if !sane {
            return Err(at.error(Reason::BadLength));
        }
        Ok(ClientHello {
            carrier: Carrier::Tls,
            version,
            cipher_bytes: at.take(ciphers)?,
            session_id: at.take(session)?,
            random: at.take(challenge)?,
            cookie: &[],
            compressions: &[],
            extensions: Extensions(&[]),
            ssl2: true,
            stop: None,
        })
    }

    /// Cipher suites in their order, GREASE included; those of SSL 2 alone are left out.
    pub fn ciphers(&self) -> impl Iterator<Item = u16> + 'a {
        let width = if self.ssl2 { 3 } else { 2 };
        self.cipher_bytes.chunks_exact(width).filter_map(|c| match *c {
            [0, a, b] | [a, b] => Some(u16::from_be_bytes([a, b])),
            _ => None,
        })
    }

    /// The server's name, where there is one in valid UTF-8.
    pub fn server_name(&self) -> Option<&'a str> {
        let mut list = inner16(self.extensions.find(extension::SERVER_NAME)?);
        while let [kind, a, b, rest @ ..] = list {
            let name = rest.get(..usize::from(u16::from_be_bytes([*a, *b])))?;
            if *kind == 0 {
                return std::str::from_utf8(name).ok();
            }
            list = &rest[name.len()..];
        }
        None
    }

    /// Application protocols in order of preference.
    pub fn alpn(&self) -> Names<'a> {
        Names(inner16(self.extensions.find(extension::ALPN).unwrap_or(&[])))
    }

    /// Versions of the supported_versions extension, GREASE included.
    pub fn supported_versions(&self) -> U16s<'a> {
        U16s(inner8(self.extensions.find(extension::SUPPORTED_VERSIONS).unwrap_or(&[])))
    }

    /// The highest version offered, in the extension or, without it, in the hello; drafts do
    /// not count. Rising DTLS versions fall as numbers.
    pub fn highest_version(&self) -> u16 {
        let best = if self.carrier == Carrier::Dtls {
            self.supported_versions().filter(|v| v >> 8 == 0xfe).min()
        } else {
            self.supported_versions().filter(|v| v >> 8 == 3).max()
        };
        best.unwrap_or(self.version)
    }

    /// Groups (curves), GREASE included.
    pub fn groups(&self) -> U16s<'a> {
        U16s(inner16(self.extensions.find(extension::SUPPORTED_GROUPS).unwrap_or(&[])))
    }

    /// Elliptic curve point formats.
    pub fn point_formats(&self) -> &'a [u8] {
        inner8(self.extensions.find(extension::POINT_FORMATS).unwrap_or(&[]))
    }

    /// Signature algorithms in order.
    pub fn signature_algorithms(&self) -> U16s<'a> {
        U16s(inner16(self.extensions.find(extension::SIGNATURE_ALGORITHMS).unwrap_or(&[])))
    }

    /// Groups for which a key is sent along.
    pub fn key_share_groups(&self) -> impl Iterator<Item = u16> + 'a {
        // An entry (group, length, key) has the shape of an extension.
        Extensions(inner16(self.extensions.find(extension::KEY_SHARE).unwrap_or(&[])))
            .map(|(group, _)| group)
    }

    /// Whether the true hello is encrypted inside (ECH, which GREASE ECH looks like on
    /// purpose), or the name is (ESNI).
    pub fn has_encrypted_hello(&self) -> bool {
        { self.extensions }.any(|(kind, _)| {
            matches!(kind, extension::ENCRYPTED_CLIENT_HELLO | extension::ENCRYPTED_SERVER_NAME)
        })
    }

    /// Whether the client sends GREASE values.
    pub fn has_grease(&self) -> bool {
        self.ciphers().chain(self.extensions.map(|(kind, _)| kind)).any(is_grease)
    }
}

impl fmt::Display for ClientHello<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client hello, {}", super::version_name(self.highest_version()))?;
        if let Some(name) = self.server_name() {
            write!(f, ", for {name}")?;
        }
        Ok(())
    }
}

impl ClientHello<'_> {
    /// As [`Fields::fields`], with fingerprints that were made before: they are what costs.
    /// `None` where the hello is cut and has none.
    pub fn fields_with(
        &self,
        fingerprints: Option<(&str, &str)>,
        each: &mut dyn FnMut(&'static str, Value<'_>),
    ) {
        each("version", Value::Hex(self.version.into()));
        self.supported_versions()
            .filter(|v| !is_grease(*v))
            .for_each(|v| each("supported_version", Value::Hex(v.into())));
        if let Some(name) = self.server_name() {
            each("server_name", Value::Text(name));
        }
        for name in self.alpn() {
            match std::str::from_utf8(name) {
                Ok(text) => each("alpn", Value::Text(text)),
                Err(_) => each("alpn", Value::Bytes(name)),
            }
        }
        each("ciphers", Value::Number(self.ciphers().count() as u64));
        each("extensions", Value::Number(self.extensions.count() as u64));
        for group in self.key_share_groups().filter(|g| !is_grease(*g)) {
            each("key_share", Value::Hex(group.into()));
        }
        each("grease", Value::Flag(self.has_grease()));
        each("encrypted_hello", Value::Flag(self.has_encrypted_hello()));
        if self.ssl2 {
            each("ssl2", Value::Flag(true));
        }
        if !self.cookie.is_empty() {
            each("cookie", Value::Number(self.cookie.len() as u64));
        }
        if self.stop.is_some() {
            each("cut", Value::Flag(true));
        }
        if let Some((ja3, ja4)) = fingerprints {
            each("ja3", Value::Text(ja3));
            each("ja4", Value::Text(ja4));
        }
    }
}

impl Fields for ClientHello<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        let fingerprints = self.stop.is_none().then(|| (ja::ja3(self), ja::ja4(self)));
        let fingerprints = fingerprints.as_ref().map(|(ja3, ja4)| (&**ja3, &**ja4));
        self.fields_with(fingerprints, each);
    }
}

/// A client hello to be written, for synthesis and tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientHelloRepr {
    /// What will carry it.
    pub carrier: Carrier,
    /// Claimed version.
    pub version: u16,
    /// Random.
    pub random: [u8; 32],
    /// Up to 32 bytes.
    pub session_id: Vec<u8>,
    /// DTLS cookie.
    pub cookie: Vec<u8>,
    /// Cipher suites.
    pub ciphers: Vec<u16>,
    /// Extensions as type and body, see [`ClientHelloRepr::new`] for the usual ones.
    pub extensions: Vec<(u16, Vec<u8>)>,
}

impl ClientHelloRepr {
    /// A hello as today's clients send: TLS 1.3 and 1.2, the server's name (none where empty),
    /// and application protocols.
    pub fn new(carrier: Carrier, server_name: &str, alpn: &[&str], random: [u8; 32]) -> Self {
        let mut extensions = Vec::new();
        if !server_name.is_empty() {
            let mut entry = vec![0];
            put_vec16(&mut entry, server_name.as_bytes());
            let mut body = Vec::new();
            put_vec16(&mut body, &entry);
            extensions.push((extension::SERVER_NAME, body));
        }
        extensions.push((extension::SUPPORTED_GROUPS, vec![0, 4, 0, 0x1d, 0, 0x17]));
        extensions.push((extension::SIGNATURE_ALGORITHMS, vec![0, 6, 4, 3, 8, 4, 4, 1]));
        if !alpn.is_empty() {
            let mut names = Vec::new();
            for name in alpn {
                put_vec8(&mut names, name.as_bytes());
            }
            let mut body = Vec::new();
            put_vec16(&mut body, &names);
            extensions.push((extension::ALPN, body));
        }
        let (claimed, versions): (u16, &[u8]) = match carrier {
            Carrier::Tls => (version::TLS12, &[4, 3, 4, 3, 3]),
            Carrier::Quic => (version::TLS12, &[2, 3, 4]),
            Carrier::Dtls => (version::DTLS12, &[4, 0xfe, 0xfc, 0xfe, 0xfd]),
        };
        extensions.push((extension::SUPPORTED_VERSIONS, versions.to_vec()));
        let mut share = vec![0, 36, 0, 0x1d, 0, 32];
        share.extend_from_slice(&random);
        extensions.push((extension::KEY_SHARE, share));
        if carrier == Carrier::Quic {
            extensions.push((extension::QUIC_TRANSPORT_PARAMETERS, vec![1, 2, 0x67, 0x10]));
        }
        let ciphers = match carrier {
            Carrier::Quic => vec![0x1301, 0x1302, 0x1303],
            _ => vec![0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9],
        };
        let session_id = if carrier == Carrier::Tls { random.to_vec() } else { Vec::new() };
        let cookie = Vec::new();
        ClientHelloRepr {
            carrier,
            version: claimed,
            random,
            session_id,
            cookie,
            ciphers,
            extensions,
        }
    }

    /// Writes the body, to be put in a [`super::Handshake`].
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.version.to_be_bytes());
        out.extend_from_slice(&self.random);
        put_vec8(out, &self.session_id);
        if self.carrier == Carrier::Dtls {
            put_vec8(out, &self.cookie);
        }
        let ciphers: Vec<u8> = self.ciphers.iter().flat_map(|c| c.to_be_bytes()).collect();
        put_vec16(out, &ciphers);
        out.extend_from_slice(&[1, 0]); // null compression
        emit_extensions(&self.extensions, out);
    }
}

/// Writes extensions behind their length.
pub(super) fn emit_extensions(extensions: &[(u16, Vec<u8>)], out: &mut Vec<u8>) {
    let mut list = Vec::new();
    for (kind, body) in extensions {
        list.extend_from_slice(&kind.to_be_bytes());
        put_vec16(&mut list, body);
    }
    put_vec16(out, &list);
}
