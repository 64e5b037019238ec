//! Background web: a site, what it embeds, and a few requests to each.

use std::collections::VecDeque;

use super::{MILLI, SECOND, quic, tls};
use crate::content::Content;
use crate::context::{Context, Owner};
use crate::rng::Rng;
use crate::tcp::{DOWN, Mark, Step, UP};

/// One page visit.
pub(crate) fn visit(cx: &mut Context<'_>, user: u32, now: i64, rng: &mut Rng) {
    let sites = cx.world.sites.clone();
    let site = sites.start + rng.rank(sites.len());
    let at = connect(cx, user, site, now, rng);
    let embedded = cx.world.embedded.clone();
    for _ in 0..rng.below(4) {
        let host = embedded.start + rng.rank(embedded.len());
        connect(cx, user, host, at + rng.range(30, 400) as i64 * MILLI, rng);
    }
}

/// One connection to a host; returns when the host's address was known. A host keeps to one
/// protocol, chosen by its index.
fn connect(cx: &mut Context<'_>, user: u32, host: usize, now: i64, rng: &mut Rng) -> i64 {
    let web = &cx.scenario.web;
    let weights = [web.tls13, web.tls12, web.quic, web.http];
    let protocol = Rng::new(host as u64).weighted(weights.into_iter());
    let port = if protocol == 3 { 80 } else { 443 };
    let target = cx.resolve(user, host, port, now, rng);
    let name = cx.world.hosts[host].name.clone();
    let mut sizes: Vec<(u64, u64)> = Vec::new();
    for _ in 0..=rng.rank(6) {
        let response = rng.log_normal(web.response_bytes, 1.2).clamp(120.0, 2e7);
        sizes.push((rng.range(250, 900), response as u64));
    }
    let owner = |protocol| Owner {
        app: "web",
        service: "web",
        protocol,
        host: Some(host),
        says_name: true,
    };
    let at = target.at + rng.range(200_000, 4_000_000) as i64;
    match protocol {
        0 | 1 => {
            let hello = tls::Hello {
                name: &name,
                alpn: &["h2", "http/1.1"],
                tls13: protocol == 0,
                certificate: (&name, &[&name]),
            };
            let mut steps = tls::open(&hello, rng);
            for (request, response) in sizes {
                steps.push_back(tls::data(UP, rng.range(1, 700) as i64 * MILLI, request, rng));
                steps.push_back(tls::data(DOWN, rng.range(2, 60) as i64 * MILLI, response, rng));
            }
            let idle = rng.range(1, 20) as i64 * SECOND;
            tls::close(&mut steps, UP, idle, rng);
            cx.tcp(user, &target, &owner("tls"), at, Box::new(steps), rng);
        }
        2 => quic::talk(cx, user, &target, &owner("quic"), (&name, at), &sizes, rng),
        _ => {
            let steps = http(&name, &sizes, rng);
            cx.tcp(user, &target, &owner("http"), at, Box::new(steps), rng);
        }
    }
    at
}

/// HTTP/1.1 requests on one connection, closed by the server.
fn http(name: &str, sizes: &[(u64, u64)], rng: &mut Rng) -> VecDeque<Step> {
    let mut steps = VecDeque::new();
    for (index, (_, response)) in sizes.iter().enumerate() {
        let path = format!("/{:08x}/{index}.html", rng.next() as u32);
        let agent = "Mozilla/5.0 (Linux; Android 13) Mobile";
        steps.extend(get(name, &path, agent, "", "text/html", *response, None, rng));
    }
    steps.push_back(Step::Close { side: DOWN, delay: rng.range(1, 15) as i64 * SECOND });
    steps
}

/// A GET and its answer.
#[allow(clippy::too_many_arguments)] // the parts of a request, each used once
pub(crate) fn get(
    name: &str,
    path: &str,
    agent: &str,
    more: &str,
    kind: &str,
    len: u64,
    task: Option<&'static str>,
    rng: &mut Rng,
) -> [Step; 2] {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {name}\r\nUser-Agent: {agent}\r\nAccept: */*\r\n{more}\r\n"
    );
    let response =
        format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\n\r\n");
    exchange(request, 0, response, len, task, rng)
}

/// A request and its answer: headers, then opaque bodies.
pub(crate) fn exchange(
    request: String,
    request_len: u64,
    response: String,
    response_len: u64,
    task: Option<&'static str>,
    rng: &mut Rng,
) -> [Step; 2] {
    let mark = task.map(Mark::task);
    let up = Content::opaque(request.into_bytes(), request_len, rng.next());
    let down = Content::opaque(response.into_bytes(), response_len, rng.next());
    let think = rng.range(3, 60) as i64 * MILLI;
    [
        Step::Send { side: UP, delay: rng.range(1, 300) as i64 * MILLI, content: up, mark },
        Step::Send { side: DOWN, delay: think, content: down, mark },
    ]
}
