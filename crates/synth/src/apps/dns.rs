//! Name resolution: one UDP exchange a question.

use std::collections::VecDeque;
use std::net::IpAddr;

use ottoscope_wire::dns::{Repr, ReprData, ReprRecord};

use super::{MILLI, SECOND};
use crate::content::Content;
use crate::context::Context;
use crate::flow::Datagram;
use crate::rng::Rng;
use crate::tcp::{DOWN, UP};
use crate::truth::DnsTruth;
use crate::world::World;

/// Record types (RFC 1035, 3.2.2; RFC 3596, 2.1).
const A: u16 = 1;
const AAAA: u16 = 28;

/// Asks for `host` at `now` of the user's clock; the answer's first address is the `turn`th.
/// Returns when the user knows, and when the answer passes the capture point.
pub(crate) fn look_up(
    cx: &mut Context<'_>,
    user: u32,
    host: usize,
    turn: u32,
    now: i64,
    rng: &mut Rng,
) -> (i64, i64) {
    let who = &cx.users[user as usize];
    let (v6, half) = (who.v6, who.half);
    let needed = exchange(cx, user, host, turn, v6, now, rng);
    // An IPv6 device asks for IPv4 addresses too; the other way round it depends.
    if v6 || rng.chance(cx.scenario.dns.aaaa) {
        exchange(cx, user, host, turn, !v6, now + 150_000, rng);
    }
    (needed + half, needed)
}

/// One question and its answer; returns when the answer is captured.
fn exchange(
    cx: &mut Context<'_>,
    user: u32,
    host: usize,
    turn: u32,
    v6: bool,
    now: i64,
    rng: &mut Rng,
) -> i64 {
    let half = cx.users[user as usize].half;
    let host = &cx.world.hosts[host];
    let (id, query_type) = (rng.next() as u16, if v6 { AAAA } else { A });
    let addresses: Vec<IpAddr> =
        (0..host.count).map(|i| World::address(host.first + (turn + i) % host.count, v6)).collect();
    let mut owner = host.name.to_string();
    let mut answers = Vec::new();
    for target in &host.chain {
        let data = ReprData::Cname(target.to_string());
        answers.push(ReprRecord { owner, ttl: host.ttl, data });
        owner = target.to_string();
    }
    for address in &addresses {
        let data = match address {
            IpAddr::V4(a) => ReprData::A(*a),
            IpAddr::V6(a) => ReprData::Aaaa(*a),
        };
        answers.push(ReprRecord { owner: owner.clone(), ttl: host.ttl, data });
    }
    let question = Repr::query(id, &host.name, query_type);
    let mut packets = VecDeque::new();
    let mut push = |at: i64, side: usize, bytes: Vec<u8>| {
        packets.push_back(Datagram { at, side, content: Content::bytes(bytes), mark: None });
    };
    // The world's names are all valid, so neither can fail; an empty packet would show it.
    let query = question.emit().unwrap_or_default();
    let mut asked = now + half;
    push(asked, UP, query.clone());
    if rng.chance(cx.scenario.dns.retry) {
        asked += SECOND;
        push(asked, UP, query);
    }
    let resolver = cx.scenario.dns.resolver_rtt.0 + rng.exponential(2.0 * MILLI as f64) as i64;
    let answered = asked + resolver + 100_000;
    push(answered, DOWN, question.answered(answers).emit().unwrap_or_default());
    let dns = DnsTruth {
        asked: None,
        answered: 0,
        client: World::resolver(v6),
        client_port: 0,
        resolver: World::resolver(v6),
        id,
        name: host.name.clone(),
        query_type,
        cnames: host.chain.clone(),
        addresses,
        ttl: host.ttl,
    };
    cx.dns(user, dns, Box::new(packets), rng);
    answered
}
