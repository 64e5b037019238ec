//! Heads of HTTP/1 messages (RFC 9112); `httparse` reads the lines.
//!
//! Bodies are only measured, never kept: [`Request::body`] and [`Response::body`] say how far
//! to skip and [`Chunked`] skips. HTTP/2 and HTTP/3 are not read here.

mod chunked;
mod emit;

use std::fmt;
use std::mem::MaybeUninit;
use std::net::IpAddr;

use crate::error::{Layer, Reason, WireError};
use crate::fields::{Fields, Value};

pub use chunked::Chunked;
pub use emit::{RequestRepr, ResponseRepr};

/// Largest head read, bytes; servers commonly refuse heads over 8 to 64 KiB.
pub const MAX_HEAD: usize = 64 * 1024;
/// Most header lines of a head.
pub const MAX_HEADERS: usize = 128;
/// Bytes of a path that are kept.
pub const MAX_PATH: usize = 256;

/// The header lines that are looked at. Where a name repeats, the first counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Headers<'a> {
    /// `Host`, with its port.
    pub host: Option<&'a str>,
    /// `Content-Length`, if it is a number.
    pub content_length: Option<u64>,
    /// Whether `Transfer-Encoding` ends in `chunked`.
    pub chunked: bool,
    /// `Content-Type` without parameters.
    pub content_type: Option<&'a str>,
    /// `User-Agent`.
    pub user_agent: Option<&'a str>,
    /// `Referer`, a URL.
    pub referer: Option<&'a str>,
    /// `Upgrade`.
    pub upgrade: Option<&'a str>,
}

/// The head of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// Bytes of the head, blank line included.
    pub len: usize,
    /// Method as sent.
    pub method: &'a str,
    /// Request target as sent.
    pub target: &'a str,
    /// 0 or 1.
    pub minor: u8,
    /// Header lines.
    pub headers: Headers<'a>,
}

/// The head of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Response<'a> {
    /// Bytes of the head, blank line included.
    pub len: usize,
    /// Status code.
    pub status: u16,
    /// 0 or 1.
    pub minor: u8,
    /// Header lines.
    pub headers: Headers<'a>,
}

/// How the body that follows a head is measured (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// This many bytes, possibly none.
    Bytes(u64),
    /// In chunks that tell their length.
    Chunked,
    /// All that comes until the connection ends.
    UntilClose,
}

/// What some bytes at the start of a message look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The first line of a request is whole.
    Request,
    /// The first line of a response, far enough to be sure.
    Response,
    /// Could become either.
    Unsure,
    /// Neither.
    Neither,
}

/// Longest method and longest first line that [`start`] waits for, bytes.
const MAX_METHOD: usize = 32;
const MAX_LINE: usize = 16 * 1024;

/// Tells a message's first bytes. Any method is taken once the line's `HTTP/1.x` is there.
pub fn start(bytes: &[u8]) -> Start {
    const RESPONSE: &[u8] = b"HTTP/1.";
    let known = bytes.len().min(RESPONSE.len());
    if bytes[..known] == RESPONSE[..known] {
        return match bytes.get(RESPONSE.len()..) {
            Some([minor, b' ', code @ ..]) if minor.is_ascii_digit() => match code.first_chunk() {
                Some(code @ [_, _, _]) if code.iter().all(u8::is_ascii_digit) => Start::Response,
                Some(_) => Start::Neither,
                None => Start::Unsure,
            },
            Some([_, _, ..]) => Start::Neither,
            _ => Start::Unsure,
        };
    }
    let method = |b: &u8| b.is_ascii_uppercase() || matches!(b, b'-' | b'_');
    let Some(space) = bytes.iter().take(MAX_METHOD).position(|b| !method(b)) else {
        return if bytes.len() < MAX_METHOD { Start::Unsure } else { Start::Neither };
    };
    let target = &bytes[space..];
    if space < 3 || target[0] != b' ' {
        return Start::Neither;
    }
    match target.iter().take(MAX_LINE).position(|b| *b < b' ') {
        Some(end) if matches!(target[end], b'\r' | b'\n') => {
            match target[..end].trim_ascii_end().last_chunk() {
                Some([b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0'..=b'9']) => {
                    Start::Request
                }
                _ => Start::Neither,
            }
        }
        None if target.len() < MAX_LINE => match target.get(1) {
            // Origin, absolute, asterisk or authority form (RFC 9112 section 3.2).
            Some(b) if !b.is_ascii_alphanumeric() && !matches!(b, b'/' | b'*' | b'[') => {
                Start::Neither
            }
            _ => Start::Unsure,
        },
        _ => Start::Neither,
    }
}

/// Where the head that begins at the first byte ends, blank line included, looking only behind
/// the `scanned` bytes that were looked at before.
pub fn head_end(bytes: &[u8], scanned: usize) -> Option<usize> {
    let mut at = scanned.saturating_sub(3);
    while let Some(newline) = bytes.get(at..)?.iter().position(|b| *b == b'\n') {
        at += newline + 1;
        match bytes.get(at..)? {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
    None
}

/// The value of one header line of a head that is not yet whole.
pub fn early_header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    let whole = head.iter().rposition(|b| *b == b'\n')?;
    head[..whole].split(|b| *b == b'\n').skip(1).find_map(|line| {
        let colon = line.iter().position(|b| *b == b':')?;
        line[..colon].eq_ignore_ascii_case(name.as_bytes()).then(|| text(&line[colon + 1..]))
    })
}

/// The UTF-8 that a value starts with, without white space around it.
fn text(value: &[u8]) -> &str {
    value.utf8_chunks().next().map_or("", |chunk| chunk.valid().trim())
}

impl<'a> Headers<'a> {
    fn collect(lines: &[httparse::Header<'a>]) -> Self {
        fn first<T>(slot: &mut Option<T>, value: Option<T>) {
            if slot.is_none() {
                *slot = value;
            }
        }
        let mut headers = Headers::default();
        for line in lines {
            let value = text(line.value);
            let is = |name: &str| line.name.eq_ignore_ascii_case(name);
            match line.name.len() {
                4 if is("host") => first(&mut headers.host, Some(value)),
                7 if is("referer") => first(&mut headers.referer, Some(value)),
                7 if is("upgrade") => first(&mut headers.upgrade, Some(value)),
                10 if is("user-agent") => first(&mut headers.user_agent, Some(value)),
                12 if is("content-type") => {
                    let kind = value.split(';').next().unwrap_or_default().trim_end();
                    first(&mut headers.content_type, Some(kind));
                }
                14 if is("content-length") => {
                    // `5, 5` is a list that proxies make of repeats (RFC 9110 section 8.6).
                    let number = value.split(',').next().unwrap_or_default().trim();
                    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
                    first(&mut headers.content_length, number.parse().ok().filter(|_| digits));
                }
                17 if is("transfer-encoding") => {
                    let last = value.rsplit(',').next().unwrap_or_default().trim();
                    headers.chunked = last.eq_ignore_ascii_case("chunked");
                }
                _ => {}
            }
        }
        headers
    }
}

fn config() -> httparse::ParserConfig {
    let mut config = httparse::ParserConfig::default();
    config
        .ignore_invalid_headers_in_requests(true)
        .ignore_invalid_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_multiple_spaces_in_request_line_delimiters(true)
        .allow_multiple_spaces_in_response_status_delimiters(true);
    config
}

fn fault(error: httparse::Error) -> WireError {
    use httparse::Error;
    let reason = match error {
        Error::TooManyHeaders => Reason::TooLarge,
        Error::Version => Reason::Malformed("HTTP version is not 1.x"),
        Error::Status => Reason::Malformed("status is not three digits"),
        Error::HeaderName | Error::HeaderValue | Error::NewLine => {
            Reason::Malformed("header line with bytes that may not stand there")
        }
        Error::Token => Reason::Malformed("first line with bytes that may not stand there"),
    };
    WireError::new(Layer::Http, 0, reason)
}

fn partial(bytes: &[u8]) -> WireError {
    WireError::truncated(Layer::Http, 0, bytes.len() + 1, bytes.len())
}

impl<'a> Request<'a> {
    /// Reads the head at the start of `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut lines = [MaybeUninit::uninit(); MAX_HEADERS];
        let mut request = httparse::Request::new(&mut []);
        let status = config().parse_request_with_uninit_headers(&mut request, bytes, &mut lines);
        let status = match status {
            Err(error @ (httparse::Error::Token | httparse::Error::Version)) => {
                return Self::parse_odd(bytes, fault(error));
            }
            status => status.map_err(fault)?,
        };
        let httparse::Status::Complete(len) = status else {
            return Err(partial(bytes));
        };
        let (Some(method), Some(target), Some(minor)) =
            (request.method, request.path, request.version)
        else {
            return Err(partial(bytes));
        };
        Ok(Request { len, method, target, minor, headers: Headers::collect(request.headers) })
    }

    /// Reads a head whose target holds spaces or bytes that are no UTF-8, as sent by attackers
    /// and by apps of the time before UTF-8: the target ends at the line's last space.
    fn parse_odd(bytes: &'a [u8], odd: WireError) -> Result<Self, WireError> {
        let end = bytes.iter().position(|b| *b == b'\n').ok_or(partial(bytes))?;
        let line = bytes[..end].trim_ascii_end();
        let space = line.iter().position(|b| *b == b' ').ok_or(odd)?;
        let (method, rest) = line.split_at(space);
        let (target, version) = rest.split_last_chunk::<9>().ok_or(odd)?;
        let (b" HTTP/1.", [minor @ b'0'..=b'9']) = version.split_at(8) else { return Err(odd) };
        if start(bytes) != Start::Request {
            return Err(odd);
        }
        let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let status = httparse::parse_headers(&bytes[end + 1..], &mut lines).map_err(fault)?;
        let httparse::Status::Complete((len, lines)) = status else { return Err(partial(bytes)) };
        Ok(Request {
            len: end + 1 + len,
            method: text(method),
            target: text(target),
            minor: minor - b'0',
            headers: Headers::collect(lines),
        })
    }

    /// The host that the request is for, without port: of an absolute target or of CONNECT's,
    /// else of the Host header. Empty values count as none.
    pub fn host(&self) -> Option<&'a str> {
        let authority = if self.is_connect() {
            Some(self.target)
        } else {
            split_url(self.target).map(|(authority, _)| authority).or(self.headers.host)
        };
        authority.map(host_of).filter(|host| !host.is_empty())
    }

    /// The host where it is a name and not an address.
    pub fn server_name(&self) -> Option<&'a str> {
        self.host().filter(|host| address_of(host).is_none())
    }

    /// The target's path without query, cut to [`MAX_PATH`] bytes; empty for CONNECT.
    pub fn path(&self) -> &'a str {
        if self.is_connect() {
            return "";
        }
        let path = split_url(self.target).map_or(self.target, |(_, path)| path);
        let path = path.split(['?', '#']).next().unwrap_or_default();
        &path[..path.floor_char_boundary(MAX_PATH)]
    }

    /// Whether it asks a proxy for a tunnel (RFC 9110 section 9.3.6).
    pub fn is_connect(&self) -> bool {
        self.method == "CONNECT"
    }

    /// How its body is measured.
    pub fn body(&self) -> BodyLength {
        match self.headers {
            _ if self.is_connect() => BodyLength::Bytes(0),
            Headers { chunked: true, .. } => BodyLength::Chunked,
            Headers { content_length, .. } => BodyLength::Bytes(content_length.unwrap_or(0)),
        }
    }
}

impl<'a> Response<'a> {
    /// Reads the head at the start of `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut lines = [MaybeUninit::uninit(); MAX_HEADERS];
        let mut response = httparse::Response::new(&mut []);
        let status = config().parse_response_with_uninit_headers(&mut response, bytes, &mut lines);
        let httparse::Status::Complete(len) = status.map_err(fault)? else {
            return Err(partial(bytes));
        };
        let (Some(status), Some(minor)) = (response.code, response.version) else {
            return Err(partial(bytes));
        };
        Ok(Response { len, status, minor, headers: Headers::collect(response.headers) })
    }

    /// How its body is measured, `to_head` if it answers a HEAD request.
    pub fn body(&self, to_head: bool) -> BodyLength {
        match self.headers {
            _ if to_head || matches!(self.status, 100..=199 | 204 | 304) => BodyLength::Bytes(0),
            Headers { chunked: true, .. } => BodyLength::Chunked,
            Headers { content_length: Some(length), .. } => BodyLength::Bytes(length),
            _ => BodyLength::UntilClose,
        }
    }
}

/// Authority and the rest of an absolute URL.
fn split_url(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    if scheme.is_empty() || !scheme.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    Some(rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())))
}

/// The host of `user@host:port`, brackets of IPv6 kept out.
pub fn host_of(authority: &str) -> &str {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if let Some(bracketed) = host.strip_prefix('[') {
        return bracketed.split(']').next().unwrap_or_default();
    }
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.contains(':') => {
            name
        }
        _ => host,
    }
}

/// The address, if a host is one and no name.
pub fn address_of(host: &str) -> Option<IpAddr> {
    host.parse().ok()
}

fn host_field(name: &'static str, host: &str, each: &mut dyn FnMut(&'static str, Value<'_>)) {
    match address_of(host) {
        Some(address) => each(name, Value::Address(address)),
        None => each(name, Value::Text(host)),
    }
}

impl Fields for Headers<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        if let Some(kind) = self.content_type {
            each("content_type", Value::Text(kind));
        }
        if let Some(length) = self.content_length {
            each("content_length", Value::Number(length));
        }
        if let Some(agent) = self.user_agent {
            each("user_agent", Value::Text(agent));
        }
        // The referring page may name what a person read; its host is enough to know the site.
        if let Some((authority, _)) = self.referer.and_then(split_url) {
            host_field("referer_host", host_of(authority), each);
        }
        if let Some(upgrade) = self.upgrade {
            each("upgrade", Value::Text(upgrade));
        }
    }
}

impl Fields for Request<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("method", Value::Text(self.method));
        if let Some(host) = self.host() {
            host_field("host", host, each);
        }
        if !self.is_connect() {
            each("path", Value::Text(self.path()));
        }
        self.headers.fields(each);
    }
}

impl Fields for Response<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("status", Value::Number(self.status.into()));
        self.headers.fields(each);
    }
}

impl fmt::Display for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.method, self.host().unwrap_or("-"), self.path())
    }
}

impl fmt::Display for Response<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.headers.content_type.unwrap_or("-"))
    }
}

#[cfg(test)]
mod tests;
