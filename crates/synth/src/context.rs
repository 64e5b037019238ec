//! What an agent may do when it wakes: look names up and start flows.

use crate::apps;
use crate::flow::{Carrier, Flow, Talk};
use crate::rng::Rng;
use crate::scenario::{Encapsulation, Scenario};
use crate::tcp::{Connection, Path, Script};
use crate::truth::{DnsTruth, FlowTruth};
use crate::world::{self, Cached, User, World};

/// Whose a new flow is, for the truth.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub app: &'static str,
    pub service: &'static str,
    pub protocol: &'static str,
    /// Index of the host that was asked for.
    pub host: Option<usize>,
    /// Whether the flow itself says the host's name.
    pub says_name: bool,
}

/// Where a flow goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    /// Address index, see [`World::address`].
    pub address: u32,
    pub port: u16,
    /// When the user knows the address, by the user's clock.
    pub at: i64,
    pub answer: Option<(i64, i64)>,
    /// Nanoseconds between capture point and server, both ways.
    pub rtt: i64,
}

/// What an agent may do when it wakes.
pub(crate) struct Context<'a> {
    pub scenario: &'a Scenario,
    pub world: &'a World,
    pub users: &'a mut [User],
    pub started: &'a mut Vec<Flow>,
    /// The capture's start.
    pub start: i64,
}

impl Context<'_> {
    /// Looks a host up as the user's device does: in its memory, else by DNS.
    pub(crate) fn resolve(
        &mut self,
        user: u32,
        host: usize,
        port: u16,
        now: i64,
        rng: &mut Rng,
    ) -> Target {
        const HOUR: i64 = 3_600_000_000_000;
        let entry = &self.world.hosts[host];
        let (ttl, rtt) = (entry.ttl, entry.rtt);
        let who = &mut self.users[user as usize];
        let known = who.known(host);
        if let Some(known) = known {
            let grace = if who.overruns { HOUR } else { 0 };
            if now < known.until + grace {
                let Cached { address, answer, .. } = known;
                return Target { address, port, at: now, answer, rtt };
            }
        }
        let turn = rng.below(u64::from(entry.count)) as u32;
        let address = entry.first + turn;
        let lives = i64::from(ttl) * 1_000_000_000;
        let (at, answer) = if rng.chance(self.scenario.dns.unseen) {
            (now, known.and_then(|k| k.answer))
        } else {
            let (at, answered) = apps::dns::look_up(self, user, host, turn, now, rng);
            (at, Some((answered, answered + lives)))
        };
        let entry = Cached { host: host as u32, address, until: at + lives, answer };
        self.users[user as usize].remember(entry, now);
        Target { address, port, at, answer, rtt }
    }

    /// Starts a TCP flow; the client's SYN leaves at `at` of its clock.
    pub(crate) fn tcp(
        &mut self,
        user: u32,
        target: &Target,
        owner: &Owner,
        at: i64,
        script: Box<dyn Script>,
        rng: &mut Rng,
    ) {
        let who = &mut self.users[user as usize];
        let network = &self.scenario.network;
        let path = Path {
            half: [who.half, target.rtt / 2],
            per_byte: [(8000.0 / network.up_mbps) as i64, (8000.0 / network.down_mbps) as i64],
            loss: network.loss,
            reorder: network.reorder,
            duplicate: network.duplicate,
            v6: who.v6,
        };
        let port = who.port();
        let connection = Connection::open(at, path, who.stack, script, rng.fork());
        self.start(user, port, target, owner, Carrier::Tcp(Box::new(connection)), None);
    }

    /// Starts a UDP flow from `port`, or a new one.
    pub(crate) fn udp(
        &mut self,
        user: u32,
        port: Option<u16>,
        target: &Target,
        owner: &Owner,
        talk: Box<dyn Talk>,
        rng: &mut Rng,
    ) {
        let port = port.unwrap_or_else(|| self.users[user as usize].port());
        let carrier = Carrier::Udp { talk, next: None, rng: rng.fork() };
        self.start(user, port, target, owner, carrier, None);
    }

    /// Starts a DNS exchange with the resolver.
    pub(crate) fn dns(&mut self, user: u32, mut dns: DnsTruth, talk: Box<dyn Talk>, rng: &mut Rng) {
        let who = &mut self.users[user as usize];
        dns.client_port = who.port();
        dns.client = world::user_address(user, who.v6);
        dns.resolver = World::resolver(who.v6);
        let owner = Owner {
            app: "dns",
            service: "resolver",
            protocol: "dns",
            host: None,
            says_name: false,
        };
        let target = Target { address: 0, port: 53, at: 0, answer: None, rtt: 0 };
        let carrier = Carrier::Udp { talk, next: None, rng: rng.fork() };
        self.start(user, dns.client_port, &target, &owner, carrier, Some(Box::new(dns)));
    }

    fn start(
        &mut self,
        user: u32,
        client_port: u16,
        target: &Target,
        owner: &Owner,
        carrier: Carrier,
        dns: Option<Box<DnsTruth>>,
    ) {
        let who = &self.users[user as usize];
        let host = owner.host.map(|host| self.world.hosts[host].name.clone());
        let server = match &dns {
            Some(dns) => dns.resolver,
            None => World::address(target.address, who.v6),
        };
        let truth = FlowTruth {
            first: 0,
            last: 0,
            transport: if matches!(carrier, Carrier::Tcp(_)) { "tcp" } else { "udp" },
            client: world::user_address(user, who.v6),
            client_port,
            server,
            server_port: target.port,
            packets: [0; 2],
            bytes: [0; 2],
            payload: [0; 2],
            retransmitted: [0; 2],
            duplicated: [0; 2],
            protocol: owner.protocol,
            server_name: host.clone().filter(|_| owner.says_name),
            host,
            app: owner.app,
            service: owner.service,
            os: who.stack.name,
            resolved: "unseen",
            whole: false,
            end: "capture-end",
            teid: (self.scenario.capture.encapsulation == Encapsulation::GtpU)
                .then(|| world::tunnel_ids(user)),
            rtt_server: None,
            rtt_client: None,
            messages: 0,
        };
        self.started.push(Flow {
            user,
            carrier,
            truth: Box::new(truth),
            answer: target.answer,
            dns,
            started: false,
            syn: None,
            syn_ack: None,
            traced: false,
        });
    }

    /// Activity at `at` relative to the busiest hour, 0 to 1.
    pub(crate) fn activity(&self, at: i64) -> f64 {
        let hour = at.div_euclid(3_600_000_000_000).rem_euclid(24) as usize;
        let hours = &self.scenario.profile.hours;
        let most = hours.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        hours.get(hour).copied().unwrap_or(0.0) / most
    }
}
