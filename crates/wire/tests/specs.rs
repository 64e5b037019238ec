//! Runs the literate specs; `specs/README.md` tells their form.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)] // failing and speaking is a test's work

use std::fmt::Display;

use ottoscope_wire::wechat::mmtls;
use ottoscope_wire::{Fields, Value, WireError, dns, dtls, http, quic, rtcp, rtp, socks, stun};
use ottoscope_wire::{oicq, qq_video, rtp_vp8, tls, vp8, wechat, xmpp};

/// Reads bytes into `name = value` lines, or says why not.
type Reader = fn(&[u8]) -> Result<Vec<String>, String>;

/// The readers that a `hex` block can name, one line each.
const READERS: &[(&str, Reader)] = &[
    ("channel-data", |b| lines(stun::ChannelData::parse(b))),
    ("client-hello", |b| lines(client_hello(b, tls::Carrier::Quic))),
    ("client-hello-ssl2", |b| lines(tls::ClientHello::parse_ssl2(b))),
    ("dns", |b| lines(dns::Message::parse(b))),
    ("dtls-client-hello", |b| lines(client_hello(b, tls::Carrier::Dtls))),
    ("dtls-fragment", |b| lines(dtls::HandshakeFragment::parse(b))),
    ("dtls-record", |b| lines(dtls::Record::parse(b))),
    ("http-request", |b| lines(http::Request::parse(b))),
    ("http-response", |b| lines(http::Response::parse(b))),
    ("mmtls-hello", |b| {
        lines(mmtls::Record::parse(b).and_then(|r| mmtls::Hello::parse(r.fragment)))
    }),
    ("mmtls-record", |b| lines(mmtls::Record::parse(b))),
    ("oicq", |b| lines(oicq::Message::parse(b))),
    ("oicq-framed", |b| lines(oicq::Message::parse_framed(b).map(|(message, _)| message))),
    ("qq-2005", |b| lines(oicq::Media::parse(b))),
    ("qq-video", |b| lines(qq_video::Packet::datagram(b))),
    ("qq-video-tcp", |b| lines(qq_video::Packet::message(b))),
    ("quic", |b| lines(quic::LongHeader::parse(b))),
    ("rtcp", |b| lines(rtcp::Packet::parse(b))),
    ("rtcp-encrypted", |b| lines(rtcp::Encrypted::parse(b))),
    ("rtp", |b| lines(rtp::Packet::parse(b))),
    ("rtp-vp8", |b| lines(rtp_vp8::Payload::parse(b))),
    ("server-hello", |b| {
        lines(tls::Handshake::parse(b).and_then(|m| tls::ServerHello::parse(m.body)))
    }),
    ("socks-request", |b| lines(socks::Request::parse(b))),
    ("socks4-reply", |b| lines(socks::Reply::parse(socks::V4, b))),
    ("socks5-reply", |b| lines(socks::Reply::parse(socks::V5, b))),
    ("stun", |b| lines(stun::Message::parse(b))),
    ("stun-classic", |b| lines(stun::Message::parse_classic(b))),
    ("tls-alert", |b| lines(tls::Alert::parse(b))),
    ("tls-record", |b| lines(tls::Record::parse(b))),
    ("vp8", |b| lines(vp8::Header::parse(b))),
    ("w-tcp", |b| lines(wechat::Header::parse(b))),
    ("w-udp", |b| lines(wechat::Datagram::parse(b))),
    ("xmpp-tag", |b| lines(xmpp::Tag::parse(b))),
];

fn client_hello(bytes: &[u8], carrier: tls::Carrier) -> Result<tls::ClientHello<'_>, WireError> {
    tls::Handshake::parse(bytes).and_then(|m| tls::ClientHello::parse(m.body, carrier))
}

fn lines<T: Fields, E: Display>(read: Result<T, E>) -> Result<Vec<String>, String> {
    let read = read.map_err(|error| error.to_string())?;
    let mut lines = Vec::new();
    read.fields(&mut |name, value| {
        lines.push(format!("{name} = {}", shown(value)).trim_end().to_owned());
    });
    Ok(lines)
}

fn shown(value: Value<'_>) -> String {
    match value {
        Value::Text(text) => text.to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Hex(code) => format!("{code:#x}"),
        Value::Bytes(bytes) => {
            bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
        }
        Value::Address(address) => address.to_string(),
        Value::Flag(flag) => flag.to_string(),
    }
}

/// A fenced block: where it begins, what stands behind the fence, and its lines.
struct Block<'a> {
    line: usize,
    info: &'a str,
    text: Vec<&'a str>,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut open = false;
    for (index, line) in page.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if open => open = false,
            Some(info) => {
                open = true;
                blocks.push(Block { line: index + 1, info: info.trim(), text: Vec::new() });
            }
            None if open => blocks.iter_mut().last().into_iter().for_each(|b| b.text.push(line)),
            None => {}
        }
    }
    blocks
}

/// The bytes of a `hex` block.
fn bytes(lines: &[&str]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut half = None;
    for line in lines {
        let mut rest = line.chars();
        while let Some(c) = rest.next() {
            match c {
                '#' => break,
                '"' => text(&mut rest, &mut bytes)?,
                c if c.is_whitespace() => {}
                c => {
                    let digit =
                        c.to_digit(16).ok_or(format!("`{c}` is no hexadecimal digit"))? as u8;
                    match half.take() {
                        Some(high) => bytes.push(high << 4 | digit),
                        None => half = Some(digit),
                    }
                }
            }
        }
    }
    if half.is_some() { Err("an odd number of digits".into()) } else { Ok(bytes) }
}

fn text(rest: &mut std::str::Chars<'_>, bytes: &mut Vec<u8>) -> Result<(), String> {
    loop {
        let c = match rest.next() {
            Some('"') => return Ok(()),
            Some('\\') => match rest.next() {
                Some('r') => '\r',
                Some('n') => '\n',
                Some('t') => '\t',
                Some(c @ ('\\' | '"')) => c,
                other => return Err(format!("escape {other:?} is not known")),
            },
            Some(c) => c,
            None => return Err("text without closing quote".into()),
        };
        bytes.extend(c.encode_utf8(&mut [0; 4]).bytes());
    }
}

/// Checks one pair of blocks.
fn check(hex: &Block<'_>, expected: &Block<'_>) -> Result<(), String> {
    let name = hex.info.strip_prefix("hex ").ok_or("not a `hex READER` block")?;
    let reader = READERS.iter().find(|(reader, _)| *reader == name);
    let (_, reader) = reader.ok_or(format!("no reader is named `{name}`"))?;
    let read = reader(&bytes(&hex.text)?);
    let wanted: Vec<_> =
        expected.text.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect();
    if wanted.is_empty() {
        return Err("expects nothing".into());
    }
    match (expected.info, read) {
        ("error", Err(error)) if error == wanted.join(" ") => Ok(()),
        ("error", other) => Err(format!("expected an error, got {other:?}")),
        ("fields all", Ok(lines)) if lines == wanted => Ok(()),
        ("fields", Ok(lines)) => {
            let mut rest = lines.iter();
            match wanted.iter().find(|wanted| !rest.any(|line| line == *wanted)) {
                Some(missing) => {
                    Err(format!("`{missing}` not found, or not in order, in {lines:#?}"))
                }
                None => Ok(()),
            }
        }
        ("fields" | "fields all", other) => Err(format!("read {other:#?}")),
        (other, _) => Err(format!("block `{other}` is not known")),
    }
}

fn check_page(page: &str) -> Vec<String> {
    let blocks = blocks(page);
    if blocks.is_empty() {
        return vec!["has no check".into()];
    }
    blocks
        .chunks(2)
        .filter_map(|pair| {
            let result = match pair {
                [hex, expected] => check(hex, expected),
                _ => Err("has nothing to be compared with".into()),
            };
            result.err().map(|error| format!("line {}: {error}", pair[0].line))
        })
        .collect()
}

#[test]
fn pages_hold() {
    let mut faults = Vec::new();
    let mut pages = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/specs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ext| ext != "md") || path.ends_with("README.md") {
            continue;
        }
        pages += 1;
        let page = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        faults.extend(check_page(&page).iter().map(|fault| format!("{name}: {fault}")));
    }
    assert!(pages > 0, "no page found");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn wrong_pages_fail() {
    let fails = |page: &str, with: &str| {
        let faults = check_page(page).join("\n");
        assert!(faults.contains(with), "{page:?} gave {faults:?}");
    };
    let header = "```hex dns\n1234 0100 0000 0000 0000 0000\n```\n";
    assert!(check_page(&format!("{header}```fields\nid = 0x1234\n```")).is_empty());
    fails(&format!("{header}```fields\nid = 0x1235\n```"), "line 1: `id = 0x1235` not found");
    fails(&format!("{header}```fields\nresponse = false\nid = 0x1234\n```"), "not in order");
    fails(&format!("{header}```fields all\nid = 0x1234\n```"), "response = false");
    fails(&format!("{header}```error\ncut\n```"), "expected an error");
    fails(&format!("{header}```fields\n```"), "expects nothing");
    fails(header, "nothing to be compared with");
    fails("prose", "no check");
    fails("```hex gopher\n```\n```fields\na = b\n```", "no reader");
    fails("```hex dns\n123\n```\n```fields\na = b\n```", "odd number");
    fails("```hex dns\n\"a\n```\n```fields\na = b\n```", "closing quote");
}
