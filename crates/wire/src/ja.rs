//! Fingerprints of hellos: JA3 and JA3S (Salesforce, 2017) and JA4 (FoxIO, 2023; the TLS
//! client fingerprint, BSD licence). The rest of the JA4 family is patented and absent.

use std::fmt::Write;

use md5::{Digest, Md5};
use sha2::Sha256;

use crate::tls::{Carrier, ClientHello, ServerHello, extension, is_grease, version};

/// JA3 before hashing: version, ciphers, extensions, groups and point formats in decimal,
/// without GREASE.
pub fn ja3_text(hello: &ClientHello<'_>) -> String {
    let mut text = hello.version.to_string();
    decimals(&mut text, hello.ciphers().filter(|v| !is_grease(*v)));
    decimals(&mut text, hello.extensions.map(|(kind, _)| kind).filter(|v| !is_grease(*v)));
    decimals(&mut text, hello.groups().filter(|v| !is_grease(*v)));
    decimals(&mut text, hello.point_formats().iter().map(|v| u16::from(*v)));
    text
}

/// JA3: the MD5 of [`ja3_text`], 32 hex digits.
pub fn ja3(hello: &ClientHello<'_>) -> String {
    hex(&Md5::digest(ja3_text(hello)))
}

/// JA3S before hashing: version, cipher and extensions in decimal.
pub fn ja3s_text(hello: &ServerHello<'_>) -> String {
    let mut text = format!("{},{}", hello.version, hello.cipher);
    decimals(&mut text, hello.extensions.map(|(kind, _)| kind));
    text
}

/// JA3S: the MD5 of [`ja3s_text`], 32 hex digits.
pub fn ja3s(hello: &ServerHello<'_>) -> String {
    hex(&Md5::digest(ja3s_text(hello)))
}

/// JA4, such as `t13d1516h2_8daaf6152771_e5627efa2ab1`.
pub fn ja4(hello: &ClientHello<'_>) -> String {
    let (head, ciphers, rest) = ja4_parts(hello);
    format!("{head}_{}_{}", sha12(&ciphers), sha12(&rest))
}

/// JA4 before hashing (`JA4_r`), for those who compare lists.
pub fn ja4_text(hello: &ClientHello<'_>) -> String {
    let (head, ciphers, rest) = ja4_parts(hello);
    format!("{head}_{ciphers}_{rest}")
}

/// First part, sorted ciphers, sorted extensions with the signature algorithms behind them.
fn ja4_parts(hello: &ClientHello<'_>) -> (String, String, String) {
    let mut ciphers: Vec<u16> = hello.ciphers().filter(|v| !is_grease(*v)).collect();
    let mut kinds: Vec<u16> =
        hello.extensions.map(|(kind, _)| kind).filter(|v| !is_grease(*v)).collect();
    let carrier = match hello.carrier {
        Carrier::Tls => 't',
        Carrier::Dtls => 'd',
        Carrier::Quic => 'q',
    };
    let version = match hello.highest_version() {
        version::TLS13 => "13",
        version::TLS12 => "12",
        version::TLS11 => "11",
        version::TLS10 => "10",
        version::SSL3 => "s3",
        version::SSL2 => "s2",
        version::DTLS10 => "d1",
        version::DTLS12 => "d2",
        version::DTLS13 => "d3",
        _ => "00",
    };
    let name = if kinds.contains(&extension::SERVER_NAME) { 'd' } else { 'i' };
    let (first, last) = alpn_ends(hello.alpn().next().unwrap_or(&[]));
    let head = format!(
        "{carrier}{version}{name}{:02}{:02}{first}{last}",
        ciphers.len().min(99),
        kinds.len().min(99)
    );
    ciphers.sort_unstable();
    kinds.retain(|k| !matches!(*k, extension::SERVER_NAME | extension::ALPN));
    kinds.sort_unstable();
    let mut rest = hex_list(&kinds);
    let algorithms: Vec<u16> = hello.signature_algorithms().filter(|v| !is_grease(*v)).collect();
    if !algorithms.is_empty() && !kinds.is_empty() {
        rest.push('_');
        rest.push_str(&hex_list(&algorithms));
    }
    (head, hex_list(&ciphers), rest)
}

/// First and last character of the first application protocol, of its hexadecimal form where
/// either is neither letter nor digit; `00` without one.
fn alpn_ends(name: &[u8]) -> (char, char) {
    let (Some(first), Some(last)) = (name.first(), name.last()) else { return ('0', '0') };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return (char::from(*first), char::from(*last));
    }
    let digit = |n: u8| char::from_digit(u32::from(n), 16).unwrap_or('0');
    (digit(first >> 4), digit(last & 15))
}

fn decimals(text: &mut String, values: impl Iterator<Item = u16>) {
    text.push(',');
    for (i, value) in values.enumerate() {
        if i > 0 {
            text.push('-');
        }
        let _ = write!(text, "{value}"); // writing to a string does not fail
    }
}

fn hex_list(values: &[u16]) -> String {
    values.iter().map(|v| format!("{v:04x}")).collect::<Vec<_>>().join(",")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, b| {
        let _ = write!(text, "{b:02x}");
        text
    })
}

/// The first twelve digits of the SHA-256; zeros for an empty list, as JA4 wants.
fn sha12(text: &str) -> String {
    if text.is_empty() { "000000000000".to_owned() } else { hex(&Sha256::digest(text)[..6]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::ClientHelloRepr;

    #[test]
    fn alpn_ends_follow_the_definition() {
        let check = |name: &[u8], expected: &str| {
            let (a, b) = alpn_ends(name);
            assert_eq!([a, b].iter().collect::<String>(), expected, "{name:x?}");
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
        assert_eq!(sha12(ciphers), "8daaf6152771");
        let rest = "0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01_\
                    0403,0804,0401,0503,0805,0501,0806,0601";
        assert_eq!(sha12(rest), "e5627efa2ab1");
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
