//! The certificate message up to TLS 1.2 (RFC 5246 7.4.2).

use std::fmt;

use super::x509::{ALTERNATIVE_NAMES, COMMON_NAME, names};
use crate::cursor::{Cursor, put_u24};
use crate::error::{Layer, Reason, WireError};
use crate::fields::{Fields, Value};

/// The certificates of a chain, the server's own first; ends where one is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certificates<'a> {
    list: &'a [u8],
}

impl<'a> Certificates<'a> {
    /// Reads the body of a certificate message. TLS 1.3 has another layout, and encrypts it.
    pub fn parse(body: &'a [u8]) -> Result<Self, WireError> {
        let mut at = Cursor::new(Layer::Tls, body);
        let list = at.vec24()?;
        if !at.rest().is_empty() {
            return Err(at.error(Reason::BadLength));
        }
        Ok(Certificates { list })
    }

    /// Writes the body of a certificate message, the server's own certificate first.
    pub fn emit(chain: &[&[u8]], out: &mut Vec<u8>) {
        put_u24(out, chain.iter().map(|der| 3 + der.len()).sum());
        for der in chain {
            put_u24(out, der.len());
            out.extend_from_slice(der);
        }
    }
}

impl<'a> Iterator for Certificates<'a> {
    type Item = &'a [u8];
    fn next(&mut self) -> Option<&'a [u8]> {
        let mut at = Cursor::new(Layer::Tls, self.list);
        let der = at.vec24().ok()?;
        self.list = at.rest();
        Some(der)
    }
}

impl fmt::Display for Certificates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} certificates", self.count())
    }
}

impl Fields for Certificates<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("certificates", Value::Number(self.count() as u64));
        if let Some(leaf) = { *self }.next() {
            // A certificate that can't be read has no names; the flow reader reports it.
            let _ = names(leaf, &mut |name| each("name", Value::Text(name)));
        }
    }
}

/// An unsigned certificate with the given names, for synthesis and tests: right in form,
/// trusted by nobody.
pub fn synthesise(common_name: &str, dns_names: &[&str]) -> Vec<u8> {
    const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
    const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    let sequence = |parts: &[Vec<u8>]| der(0x30, &parts.concat());
    let name = |text: &str| {
        let attribute = sequence(&[der(0x06, COMMON_NAME), der(0x0c, text.as_bytes())]);
        sequence(&[der(0x31, &attribute)])
    };
    let algorithm = sequence(&[der(0x06, ECDSA_SHA256)]);
    let validity = sequence(&[der(0x17, b"200101000000Z"), der(0x17, b"491231235959Z")]);
    let key = sequence(&[
        sequence(&[der(0x06, EC_PUBLIC_KEY), der(0x06, P256)]),
        der(0x03, &[[0u8].as_slice(), &[4; 65]].concat()),
    ]);
    let mut parts = vec![
        der(0xa0, &der(0x02, &[2])), // version 3
        der(0x02, &[1]),             // serial number
        algorithm.clone(),
        name("ottoscope test"),
        validity,
        name(common_name),
        key,
    ];
    if !dns_names.is_empty() {
        let list = dns_names.iter().map(|n| der(0x82, n.as_bytes())).collect::<Vec<_>>();
        let extension = sequence(&[der(0x06, ALTERNATIVE_NAMES), der(0x04, &sequence(&list))]);
        parts.push(der(0xa3, &sequence(&[extension])));
    }
    sequence(&[sequence(&parts), algorithm, der(0x03, &[0, 0x30, 0])])
}

/// Tag, length and body in DER (X.690 8.1).
fn der(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match body.len() {
        n @ 0..0x80 => out.push(n as u8),
        n @ 0x80..0x100 => out.extend_from_slice(&[0x81, n as u8]),
        n => {
            out.push(0x83);
            put_u24(&mut out, n);
        }
    }
    out.extend_from_slice(body);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_chain_are_read() {
        let leaf = synthesise("g.whatsapp.net", &["*.whatsapp.net", "whatsapp.com"]);
        let long = "a-name-that-makes-lengths-take-more-than-one-byte.example.org";
        let other = synthesise(long, &[long, long, long]);
        let mut body = Vec::new();
        Certificates::emit(&[&leaf, &other], &mut body);
        let chain: Vec<_> = Certificates::parse(&body).unwrap().collect();
        assert_eq!(chain, [&leaf[..], &other[..]]);
        let mut seen = Vec::new();
        names(chain[0], &mut |n| seen.push(n.to_owned())).unwrap();
        assert_eq!(seen, ["g.whatsapp.net", "*.whatsapp.net", "whatsapp.com"]);
        names(chain[1], &mut |n| assert_eq!(n, long)).unwrap();
    }

    #[test]
    fn damage_is_an_error() {
        let leaf = synthesise("x.org", &[]);
        assert!(names(&leaf[..leaf.len() - 1], &mut |_| {}).is_err());
        assert!(Certificates::parse(&[0, 0, 9, 1]).is_err());
        assert_eq!(Certificates::parse(&[0, 0, 4, 0, 0, 9, 1]).unwrap().count(), 0);
    }
}
