//! Short flows at a constant rate: a client hello and an answer, or one datagram each way.

use std::collections::VecDeque;

use super::{MILLI, tls};
use crate::content::Content;
use crate::context::{Context, Owner, Target};
use crate::flow::Datagram;
use crate::rng::Rng;
use crate::tcp::{DOWN, Step, UP};

/// Makes one flow of the next user.
pub(crate) fn flow(cx: &mut Context<'_>, user: u32, now: i64, rng: &mut Rng) {
    let load = &cx.scenario.load;
    let (udp, ends) = (rng.chance(load.udp), !rng.chance(load.unfinished));
    let len = rng.exponential(load.bytes).clamp(1.0, 1e7) as u64;
    let sites = cx.world.sites.clone();
    let host = sites.start + rng.below(sites.len() as u64) as usize;
    let entry = &cx.world.hosts[host];
    let address = entry.first + rng.below(u64::from(entry.count)) as u32;
    let (rtt, name) = (entry.rtt, entry.name.clone());
    let mut target = Target { address, port: 443, at: now, answer: None, rtt };
    let mut owner =
        Owner { app: "load", service: "load", protocol: "", host: Some(host), says_name: false };
    if udp {
        target.port = 61_000 + (rng.below(1000) as u16);
        let up = Content::opaque(*b"load", rng.range(20, 400), rng.next());
        let down = Content::opaque(*b"load", len.min(1400), rng.next());
        let talk = VecDeque::from([
            Datagram { at: now, side: UP, content: up, mark: None },
            Datagram { at: now + rtt + MILLI, side: DOWN, content: down, mark: None },
        ]);
        return cx.udp(user, None, &target, &owner, Box::new(talk), rng);
    }
    owner.protocol = "tls";
    owner.says_name = true;
    let mut steps = VecDeque::from([tls::client_hello(&name, rng)]);
    steps.push_back(tls::data(DOWN, MILLI, len, rng));
    if ends {
        steps.push_back(Step::Close { side: UP, delay: rng.range(1, 2000) as i64 * MILLI });
    }
    cx.tcp(user, &target, &owner, now, Box::new(steps), rng);
}
