//! HTTP/1 over TCP: requests and responses paired, bodies skipped.
//!
//! A message is told when its head is whole, with the length that its head announces, since
//! bodies are not kept. Told by its first line on any port.

use std::collections::VecDeque;

use ottoscope_wire::http::{self, BodyLength, Chunked, Request, Response, Start};
use ottoscope_wire::{Fields, Layer, Reason, Value, WireError};

use super::{Dissector, Emit, Emitted, Match, Progress, Protocol};
use crate::model::{Body, Direction, NameSource, Transport};
use crate::time::Timestamp;

/// Most requests remembered until their responses; browsers pipeline at most a handful.
const MAX_PENDING: usize = 64;
/// How often a connection may lose its place before it is left alone.
const MAX_LOST: u32 = 8;

/// HTTP/1.
pub static PROTOCOL: Protocol = Protocol {
    name: "http",
    about: "Web requests and responses in clear, and proxies' CONNECT",
    reference: "RFC 9110, RFC 9112",
    transports: &[Transport::Tcp],
    shared: false,
    first: |_, byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_'),
    probe: |probe| match http::start(probe.bytes) {
        Start::Request | Start::Response => Match::Yes,
        Start::Unsure => Match::Maybe,
        Start::Neither => Match::No,
    },
    open: || Box::new(Http::default()),
};

/// A response and what it answers.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    /// The response's head.
    pub response: Response<'a>,
    /// Method of the request, empty if it was not seen.
    pub method: &'a str,
    /// Path of the request as [`Request::path`] gives it, empty if it was not seen.
    pub path: &'a str,
}

impl Fields for Reply<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        self.response.fields(each);
        if !self.method.is_empty() {
            each("method", Value::Text(self.method));
            each("path", Value::Text(self.path));
        }
    }
}

#[derive(Default)]
struct Http {
    sides: [Place; 2],
    pending: VecDeque<Pending>,
    /// Host of the last request, kept once for all that are pending.
    host: Box<str>,
    begun: bool,
    lost: u32,
}

/// A request that waits for its response.
struct Pending {
    /// The method, then the path.
    text: Box<str>,
    /// Bytes of the method.
    method: usize,
    /// `None`: as [`Http::host`].
    host: Option<Box<str>>,
}

impl Pending {
    fn new(method: &str, path: &str, host: Option<Box<str>>) -> Self {
        let mut text = String::with_capacity(method.len() + path.len());
        text.push_str(method);
        text.push_str(path);
        Pending { text: text.into(), method: method.len(), host }
    }

    /// Method and path.
    fn parts(&self) -> (&str, &str) {
        self.text.split_at_checked(self.method).unwrap_or_default()
    }
}

/// Where in its messages a direction stands.
#[derive(Clone, Copy)]
enum Place {
    /// At a head, of which this many bytes were already searched for its end.
    Head {
        scanned: usize,
    },
    /// Within a body of known length.
    Body {
        left: u64,
    },
    Chunked(Chunked),
    UntilClose,
    /// Behind a CONNECT request, whose answer decides what follows.
    Connecting,
    /// After a hole or nonsense, looking for the next head.
    Lost,
}

impl Default for Place {
    fn default() -> Self {
        Place::Head { scanned: 0 }
    }
}

/// What reading a head came to.
enum Step {
    Next { used: usize, place: Place },
    Wait { place: Place },
    End(Progress),
}

impl From<BodyLength> for Place {
    fn from(body: BodyLength) -> Self {
        match body {
            BodyLength::Bytes(0) => Place::default(),
            BodyLength::Bytes(left) => Place::Body { left },
            BodyLength::Chunked => Place::Chunked(Chunked::default()),
            BodyLength::UntilClose => Place::UntilClose,
        }
    }
}

impl Http {
    fn head(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        scanned: usize,
        out: &mut Emit<'_>,
    ) -> Step {
        if let [b'\r' | b'\n', ..] = bytes {
            return Step::Next { used: 1, place: Place::default() };
        }
        let start = http::start(bytes);
        if start == Start::Neither {
            return self.broken(at, bytes, Reason::Malformed("not the start of a message"), out);
        }
        let Some(end) = http::head_end(bytes, scanned) else {
            if bytes.len() >= http::MAX_HEAD {
                return self.broken(at, bytes, Reason::TooLarge, out);
            }
            // Captures cut at the snapshot length may never have the rest.
            if start == Start::Request
                && out.facts.server_name.is_none()
                && let Some(host) = http::early_header(bytes, "host").map(http::host_of)
                && http::address_of(host).is_none()
                // Any other form of target may name a host itself, which then counts.
                && bytes.split(|b| *b == b' ').nth(1).is_some_and(|t| t.starts_with(b"/"))
            {
                out.server_name(host, NameSource::Host);
            }
            return Step::Wait { place: Place::Head { scanned: bytes.len() } };
        };
        let head = &bytes[..end];
        if start == Start::Response {
            match Response::parse(head) {
                Ok(response) => self.response(at, direction, head, response, out),
                Err(error) => self.broken(at, bytes, error.reason, out),
            }
        } else {
            match Request::parse(head) {
                Ok(request) => self.request(at, direction, head, &request, out),
                Err(error) => self.broken(at, bytes, error.reason, out),
            }
        }
    }

    fn request(
        &mut self,
        at: Timestamp,
        direction: Direction,
        head: &[u8],
        request: &Request<'_>,
        out: &mut Emit<'_>,
    ) -> Step {
        self.begun = true;
        out.facts.protocol = PROTOCOL.name;
        let name = request.server_name();
        let connect = request.is_connect();
        if let Some(name) = name {
            out.server_name(name, if connect { NameSource::Proxy } else { NameSource::Host });
        }
        if let (Some(agent), None) = (request.headers.user_agent, &out.facts.user_agent) {
            out.facts.user_agent = Some(out.said.texts.of(agent));
        }
        let body = request.body();
        out.message(
            at,
            direction,
            &Emitted {
                protocol: PROTOCOL.name,
                kind: if connect { "connect" } else { "request" },
                name,
                opcode: None,
                sequence: None,
                len: whole(head, body),
                head,
                body: Body::HttpRequest(request),
            },
        );
        let host = name.unwrap_or_default();
        if self.pending.is_empty() && *self.host != *host {
            self.host = host.into();
        }
        if self.pending.len() == MAX_PENDING {
            self.pending.pop_front();
        }
        if self.pending.capacity() == 0 {
            self.pending.reserve_exact(1); // most wait for each answer
        }
        let other = (*self.host != *host).then(|| host.into());
        self.pending.push_back(Pending::new(request.method, request.path(), other));
        let place = if connect { Place::Connecting } else { body.into() };
        Step::Next { used: head.len(), place }
    }

    fn response(
        &mut self,
        at: Timestamp,
        direction: Direction,
        head: &[u8],
        response: Response<'_>,
        out: &mut Emit<'_>,
    ) -> Step {
        self.begun = true;
        out.facts.protocol = PROTOCOL.name;
        // An interim response leaves its request waiting (RFC 9110 section 15.2).
        let interim = (100..200).contains(&response.status) && response.status != 101;
        let request = if interim { None } else { self.pending.pop_front() };
        let answered = request.as_ref().or(self.pending.front().filter(|_| interim));
        let (method, path) = answered.map(Pending::parts).unwrap_or_default();
        let host = answered.map(|request| request.host.as_ref().unwrap_or(&self.host));
        let body = response.body(method == "HEAD");
        out.message(
            at,
            direction,
            &Emitted {
                protocol: PROTOCOL.name,
                kind: "response",
                name: host.map(AsRef::as_ref).filter(|host| !host.is_empty()),
                opcode: None,
                sequence: None,
                len: whole(head, body),
                head,
                body: Body::HttpResponse(&Reply { response, method, path }),
            },
        );
        if method == "CONNECT" {
            if (200..300).contains(&response.status) {
                return Step::End(Progress::Switch(head.len()));
            }
            self.sides[direction.flipped().index()] = Place::default();
        }
        if response.status == 101 {
            let upgrade = response.headers.upgrade.unwrap_or_default();
            let tls = upgrade.get(..4).is_some_and(|name| name.eq_ignore_ascii_case("tls/"));
            return Step::End(if tls { Progress::Switch(head.len()) } else { Progress::Done });
        }
        Step::Next { used: head.len(), place: body.into() }
    }

    /// A head or chunk that can't be read: the next one is looked for.
    fn broken(&mut self, at: Timestamp, bytes: &[u8], reason: Reason, out: &mut Emit<'_>) -> Step {
        if !self.begun {
            return Step::End(Progress::NotMine);
        }
        out.anomaly(at, WireError::new(Layer::Http, 0, reason), bytes);
        self.lost += 1;
        if self.lost > MAX_LOST {
            return Step::End(Progress::Done);
        }
        self.pending.clear();
        Step::Next { used: bytes.len().min(1), place: Place::Lost }
    }
}

/// Bytes of a message as far as its head tells.
fn whole(head: &[u8], body: BodyLength) -> u64 {
    let body = if let BodyLength::Bytes(length) = body { length } else { 0 };
    (head.len() as u64).saturating_add(body)
}

/// Where the next line that begins a message is, or how many bytes hold none.
fn next_head(bytes: &[u8]) -> (usize, bool) {
    let mut at = 0;
    loop {
        match http::start(&bytes[at..]) {
            Start::Request | Start::Response => return (at, true),
            Start::Unsure if bytes.len() - at < 4096 => return (at, false),
            _ => {}
        }
        match bytes[at..].iter().position(|b| *b == b'\n') {
            Some(newline) => at += newline + 1,
            None => return (bytes.len(), false),
        }
    }
}

impl Dissector for Http {
    fn data(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) -> Progress {
        let side = direction.index();
        let mut used = 0;
        while used < bytes.len() {
            let rest = &bytes[used..];
            let step = match self.sides[side] {
                Place::Head { scanned } => self.head(at, direction, rest, scanned, out),
                Place::Body { left } => {
                    let here = left.min(rest.len() as u64);
                    let place = BodyLength::Bytes(left - here).into();
                    Step::Next { used: here as usize, place }
                }
                Place::Chunked(mut chunked) => match chunked.advance(rest) {
                    Ok(used) if chunked.is_done() => Step::Next { used, place: Place::default() },
                    Ok(used) => Step::Next { used, place: Place::Chunked(chunked) },
                    Err(error) => self.broken(at, rest, error.reason, out),
                },
                Place::UntilClose => Step::Next { used: rest.len(), place: Place::UntilClose },
                // The client goes on, so the answer was missed or not waited for.
                Place::Connecting => Step::End(Progress::Switch(0)),
                Place::Lost => match next_head(rest) {
                    (used, true) => Step::Next { used, place: Place::default() },
                    (used, false) if used < rest.len() => {
                        return Progress::Used(bytes.len() - rest.len() + used);
                    }
                    (used, false) => Step::Next { used, place: Place::Lost },
                },
            };
            match step {
                Step::Next { used: more, place } => {
                    used += more;
                    self.sides[side] = place;
                }
                Step::Wait { place } => {
                    self.sides[side] = place;
                    break;
                }
                Step::End(Progress::Switch(more)) => return Progress::Switch(used + more),
                Step::End(progress) => return progress,
            }
        }
        Progress::Used(used)
    }

    fn gap(&mut self, direction: Direction, missing: u64, _out: &mut Emit<'_>) -> Progress {
        let place = &mut self.sides[direction.index()];
        let kept = match place {
            Place::Body { left } if *left >= missing => {
                *left -= missing;
                if *left == 0 {
                    *place = Place::default();
                }
                true
            }
            Place::Chunked(chunked) => chunked.skip(missing),
            Place::UntilClose | Place::Connecting => true,
            Place::Body { .. } | Place::Head { .. } | Place::Lost => false,
        };
        if !kept {
            *place = Place::Lost;
            self.pending.clear();
        }
        Progress::Used(0)
    }
}

#[cfg(test)]
mod tests;
