//! Fingerprints of hellos: JA3 and JA3S (Salesforce, 2017) and JA4 (FoxIO, 2023; the TLS
//! client fingerprint, BSD licence). The rest of the JA4 family is patented and absent.

use std::fmt;
use std::ops::Deref;

use md5::{Digest, Md5};
use sha2::Sha256;

use crate::cursor::put_vec16;
use crate::tls::{Carrier, ClientHello, ServerHello, extension, is_grease, version};

/// A fingerprint as text of `N` ASCII characters, kept in place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint<const N: usize>([u8; N]);

/// 32 hex digits.
pub type Ja3 = Fingerprint<32>;
/// As `t13d1516h2_8daaf6152771_e5627efa2ab1`.
pub type Ja4 = Fingerprint<36>;

impl<const N: usize> Fingerprint<N> {
    /// From text of this length.
    pub fn from_text(text: &str) -> Option<Self> {
        text.as_bytes().try_into().ok().filter(|_| text.is_ascii()).map(Fingerprint)
    }
}

impl<const N: usize> Deref for Fingerprint<N> {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default() // ASCII
    }
}

impl<const N: usize> fmt::Display for Fingerprint<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl<const N: usize> fmt::Debug for Fingerprint<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// Appends all that the fingerprints of a hello are made of, and its application protocols:
/// hellos for which this is the same have the same fingerprints, whatever else differs.
pub fn input(hello: &ClientHello<'_>, out: &mut Vec<u8>) {
    let carrier = match hello.carrier {
        Carrier::Tls => b't',
        Carrier::Dtls => b'd',
        Carrier::Quic => b'q',
    };
    out.extend_from_slice(&[carrier, u8::from(hello.ssl2)]);
    out.extend_from_slice(&hello.version.to_be_bytes());
    put_vec16(out, hello.cipher_bytes);
    for (kind, body) in hello.extensions {
        out.extend_from_slice(&kind.to_be_bytes());
        if matches!(
            kind,
            extension::SUPPORTED_GROUPS
                | extension::POINT_FORMATS
                | extension::SIGNATURE_ALGORITHMS
                | extension::SUPPORTED_VERSIONS
                | extension::ALPN
        ) {
            put_vec16(out, body);
        }
    }
}

/// JA3 before hashing: version, ciphers, extensions, groups and point formats in decimal,
/// without GREASE.
pub fn ja3_text(hello: &ClientHello<'_>) -> String {
    text(ja3_bytes(hello))
}

fn ja3_bytes(hello: &ClientHello<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    push_decimal(&mut out, hello.version);
    decimals(&mut out, hello.ciphers().filter(|v| !is_grease(*v)));
    decimals(&mut out, hello.extensions.map(|(kind, _)| kind).filter(|v| !is_grease(*v)));
    decimals(&mut out, hello.groups().filter(|v| !is_grease(*v)));
    decimals(&mut out, hello.point_formats().iter().map(|v| u16::from(*v)));
    out
}

/// JA3: the MD5 of [`ja3_text`].
pub fn ja3(hello: &ClientHello<'_>) -> Ja3 {
    Fingerprint(hex(&Md5::digest(ja3_bytes(hello)).into()))
}

/// JA3S before hashing: version, cipher and extensions in decimal.
pub fn ja3s_text(hello: &ServerHello<'_>) -> String {
    text(ja3s_bytes(hello))
}

fn ja3s_bytes(hello: &ServerHello<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    push_decimal(&mut out, hello.version);
    out.push(b',');
    push_decimal(&mut out, hello.cipher);
    decimals(&mut out, hello.extensions.map(|(kind, _)| kind));
    out
}

/// JA3S: the MD5 of [`ja3s_text`].
pub fn ja3s(hello: &ServerHello<'_>) -> Ja3 {
    Fingerprint(hex(&Md5::digest(ja3s_bytes(hello)).into()))
}

/// JA4, such as `t13d1516h2_8daaf6152771_e5627efa2ab1`.
pub fn ja4(hello: &ClientHello<'_>) -> Ja4 {
    let (head, ciphers, rest) = ja4_parts(hello);
    let mut out = [b'_'; 36];
    out[..10].copy_from_slice(&head);
    out[11..23].copy_from_slice(&sha12(&ciphers));
    out[24..].copy_from_slice(&sha12(&rest));
    Fingerprint(out)
}

/// JA4 before hashing (`JA4_r`), for those who compare lists.
pub fn ja4_text(hello: &ClientHello<'_>) -> String {
    let (head, ciphers, rest) = ja4_parts(hello);
    text([&head, &ciphers[..], &rest].join(&b'_'))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_default() // ASCII
}

/// First part, sorted ciphers, sorted extensions with the signature algorithms behind them.
fn ja4_parts(hello: &ClientHello<'_>) -> ([u8; 10], Vec<u8>, Vec<u8>) {
    let mut ciphers: Vec<u16> = hello.ciphers().filter(|v| !is_grease(*v)).collect();
    let mut kinds: Vec<u16> =
        hello.extensions.map(|(kind, _)| kind).filter(|v| !is_grease(*v)).collect();
    let carrier = match hello.carrier {
        Carrier::Tls => b't',
        Carrier::Dtls => b'd',
        Carrier::Quic => b'q',
    };
    let version = match hello.highest_version() {
        version::TLS13 => b"13",
        version::TLS12 => b"12",
        version::TLS11 => b"11",
        version::TLS10 => b"10",
        version::SSL3 => b"s3",
        version::SSL2 => b"s2",
        version::DTLS10 => b"d1",
        version::DTLS12 => b"d2",
        version::DTLS13 => b"d3",
        _ => b"00",
    };
    let name = if kinds.contains(&extension::SERVER_NAME) { b'd' } else { b'i' };
    let (first, last) = alpn_ends(hello.alpn().next().unwrap_or(&[]));
    let count = |n: usize| [b'0' + (n.min(99) / 10) as u8, b'0' + (n.min(99) % 10) as u8];
    let ([c0, c1], [e0, e1]) = (count(ciphers.len()), count(kinds.len()));
    let head = [carrier, version[0], version[1], name, c0, c1, e0, e1, first, last];
    ciphers.sort_unstable();
    kinds.retain(|k| !matches!(*k, extension::SERVER_NAME | extension::ALPN));
    kinds.sort_unstable();
    let mut rest = Vec::with_capacity(256);
    push_hex_list(&mut rest, &kinds);
    let algorithms: Vec<u16> = hello.signature_algorithms().filter(|v| !is_grease(*v)).collect();
    if !algorithms.is_empty() && !kinds.is_empty() {
        rest.push(b'_');
        push_hex_list(&mut rest, &algorithms);
    }
    let mut list = Vec::with_capacity(5 * ciphers.len());
    push_hex_list(&mut list, &ciphers);
    (head, list, rest)
}

/// First and last character of the first application protocol, of its hexadecimal form where
/// either is neither letter nor digit; `00` without one.
fn alpn_ends(name: &[u8]) -> (u8, u8) {
    let (Some(&first), Some(&last)) = (name.first(), name.last()) else { return (b'0', b'0') };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return (first, last);
    }
    (DIGITS[usize::from(first >> 4)], DIGITS[usize::from(last & 15)])
}

fn decimals(out: &mut Vec<u8>, values: impl Iterator<Item = u16>) {
    out.push(b',');
    for (i, value) in values.enumerate() {
        if i > 0 {
            out.push(b'-');
        }
        push_decimal(out, value);
    }
}

fn push_decimal(out: &mut Vec<u8>, value: u16) {
    let mut power = 10_000;
    while power > value.max(1) {
        power /= 10;
    }
    while power > 0 {
        out.push(b'0' + (value / power % 10) as u8);
        power /= 10;
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn push_hex_list(out: &mut Vec<u8>, values: &[u16]) {
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&hex::<2, 4>(&value.to_be_bytes()));
    }
}

/// `M` hex digits of `N` bytes; `M` is twice `N`.
fn hex<const N: usize, const M: usize>(bytes: &[u8; N]) -> [u8; M] {
    let mut out = [0; M];
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    out
}

/// The first twelve digits of the SHA-256; zeros for an empty list, as JA4 wants.
fn sha12(list: &[u8]) -> [u8; 12] {
    if list.is_empty() {
        return [b'0'; 12];
    }
    let digest: [u8; 32] = Sha256::digest(list).into();
    let mut half = [0; 6];
    half.copy_from_slice(&digest[..6]);
    hex(&half)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::ClientHelloRepr;

    #[test]
    fn alpn_ends_follow_the_definition() {
        let check = |name: &[u8], expected: &str| {
            let (a, b) = alpn_ends(name);
            assert_eq!([a, b], expected.as_bytes(), "{name:x?}");
        };
        check(b"", "00");
        check(b"h2", "h2");
        check(b"http/1.1", "h1");
        check(b"h", "hh");
        check(&[0xab], "ab");
        check(&[0xab, 0xcd], "ad");
        check(&[0x30, 0xab], "3b");
        check(&[0x30, 0x31, 0xab, 0xcd], "3d");
        check(&[0x30, 0xab, 0xcd, 0x31], "01");
    }

    /// The worked example of JA4's technical description: these lists hash to these digits.
    #[test]
    fn ja4_matches_its_published_example() {
        let ciphers = "002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9";
        assert_eq!(&sha12(ciphers.as_bytes()), b"8daaf6152771");
        let rest = "0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01_\
                    0403,0804,0401,0503,0805,0501,0806,0601";
        assert_eq!(&sha12(rest.as_bytes()), b"e5627efa2ab1");
    }

    #[test]
    fn numbers_are_written_as_usual() {
        for value in [0, 1, 9, 10, 99, 100, 999, 1000, 9999, 10_000, 10_101, u16::MAX] {
            let mut out = Vec::new();
            push_decimal(&mut out, value);
            assert_eq!(text(out), value.to_string());
        }
        let mut out = Vec::new();
        push_hex_list(&mut out, &[0x00ff, 0xabcd]);
        assert_eq!(text(out), "00ff,abcd");
    }

    #[test]
    fn ja3_leaves_grease_out() {
        let mut hello = ClientHelloRepr::new(Carrier::Tls, "x.org", &["h2"], [7; 32]);
        let fingerprints = |hello: &ClientHelloRepr| {
            let mut body = Vec::new();
            hello.emit(&mut body);
            let view = ClientHello::parse(&body, hello.carrier).unwrap();
            (ja3_text(&view), ja4_text(&view), view.has_grease())
        };
        let plain = fingerprints(&hello);
        assert!(!plain.2);
        assert_eq!(
            plain.0,
            "771,4865-4866-4867-49195-49199-49196-49200-52393,0-10-13-16-43-51,29-23,"
        );
        assert_eq!(
            plain.1,
            "t13d0806h2_1301,1302,1303,c02b,c02c,c02f,c030,cca9_000a,000d,002b,0033_0403,0804,0401"
        );
        hello.ciphers.insert(0, 0x1a1a);
        hello.extensions.push((0xeaea, Vec::new()));
        let greased = fingerprints(&hello);
        assert_eq!((&greased.0, &greased.1), (&plain.0, &plain.1));
        assert!(greased.2);
    }
}
