//! Labs: captures of controlled experiments, whose messages are known byte by byte.
//!
//! A lab's protocol is a list of [`Layout`]s, which make its bytes and are part of its truth: the
//! layouts, the task of every labelled interval ([`Experiment`]), every message and every packet
//! that carries one. Names, addresses, TCP, noise of other apps and everything below come from
//! the same cell as a [`crate::Scenario`]'s traffic.
//!
//! A boundary between two fields can be found by nobody where the bytes on both sides never
//! change. [`Random`] draws no such pair of fields; the labs that follow a paper have what the
//! paper has.

mod layout;
mod long;
mod random;
mod table;
mod talk;
mod voip;

use std::io::Write;
use std::sync::Arc;

pub use layout::{Endian, Field, Hex, Kind, Layout, Opcode, Origin, Relation};
pub use long::{Header, LongConnection};
pub use random::Random;
pub use table::{Experiment, to_toml};
pub use voip::Voip;

use crate::apps::{self, Agent, SECOND};
use crate::context::{Context, Owner, Target};
use crate::device::{ANDROID, IOS, Stack};
use crate::rng::{Rng, mix};
use crate::scenario::{Duration, Network, Scenario};
use crate::truth::{Totals, TruthSink};
use crate::world::{LabHosts, user_address};
use crate::{SynthError, cell};
use talk::{End, Speech, Stream, Turn, datagrams};

/// Every lab that comes with it: name, and what it holds.
pub const LABS: &[(&str, &str)] = &[
    ("w-tcp", "WeChat's long connection in its 16-byte header, every task done by four clients"),
    ("w-tcp-wide", "the same with commands over 255, which only a 32-bit reading gets right"),
    ("longlink", "the same tasks in the 20-byte header of Tencent's open-source Mars"),
    ("w-udp", "WeChat's real-time chats: heartbeats, content and signalling on each flow"),
    ("random", "a binary protocol that the seed makes up, with its layout as truth"),
];

/// A lab to make.
#[derive(Debug, Clone)]
pub enum Lab {
    /// Tasks on long-lived TCP connections.
    LongConnection(LongConnection),
    /// Real-time chats over UDP.
    Voip(Voip),
    /// A protocol of the seed's own.
    Random(Random),
}

/// What the network and other apps add to a lab.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// What the network does to packets.
    pub network: Network,
    /// Whether the devices use the web and another messenger meanwhile.
    pub noise: bool,
}

impl Default for Surroundings {
    /// One TCP data segment in a hundred lost, half of them seen twice; nobody else on the air.
    fn default() -> Self {
        Surroundings { network: Network { loss: 0.01, ..Network::default() }, noise: false }
    }
}

/// What was made, beside the capture.
#[derive(Debug, Clone)]
pub struct Made {
    /// Counts of the whole capture.
    pub totals: Totals,
    /// The header layouts; [`crate::MessageTruth::layout`] is an index of them.
    pub layouts: Vec<Layout>,
    /// The lab's table; [`to_toml`] writes it.
    pub experiments: Vec<Experiment>,
}

/// What a lab lets happen.
struct Plan {
    layouts: Arc<[Layout]>,
    openings: Vec<Opening>,
    experiments: Vec<Experiment>,
    /// When everything is over.
    until: i64,
}

/// A flow that will be opened.
pub(crate) struct Opening {
    layouts: Arc<[Layout]>,
    user: u32,
    at: i64,
    udp: bool,
    host: fn(&LabHosts) -> usize,
    /// Which of the host's addresses; none takes what the resolver says.
    server: Option<u32>,
    port: u16,
    app: &'static str,
    service: &'static str,
    protocol: &'static str,
    turns: Vec<Turn>,
    end: End,
}

/// Who does the experiments: a device and an app's version.
#[derive(Debug, Clone, Copy)]
struct Tester {
    stack: &'static Stack,
    version: &'static str,
}

impl Tester {
    /// That of the user with this index: devices take turns, and after each of them versions.
    fn new(user: u32) -> Self {
        let stack = if user.is_multiple_of(2) { &ANDROID } else { &IOS };
        let version = if (user / 2).is_multiple_of(2) { "4.5" } else { "5.0" };
        Tester { stack, version }
    }

    fn experiment(self, lab: &str, task: &str, start: i64, end: i64) -> Experiment {
        Experiment {
            capture: format!("{lab}.pcap"),
            device: self.stack.name.to_owned(),
            version: self.version.to_owned(),
            task: task.to_owned(),
            start,
            end,
        }
    }
}

impl Lab {
    /// A lab of [`LABS`] with its defaults.
    ///
    /// # Errors
    /// When none has that name; the message lists those that exist.
    pub fn builtin(name: &str) -> Result<Self, SynthError> {
        let long = |header| Lab::LongConnection(LongConnection { header, ..Default::default() });
        match name {
            "w-tcp" => Ok(long(Header::WTcp)),
            "w-tcp-wide" => Ok(long(Header::WTcpWide)),
            "longlink" => Ok(long(Header::LongLink)),
            "w-udp" => Ok(Lab::Voip(Voip::default())),
            "random" => Ok(Lab::Random(Random::default())),
            _ => {
                let known: Vec<&str> = LABS.iter().map(|(name, _)| *name).collect();
                let known = known.join(", ");
                Err(SynthError::Scenario(format!("no lab is called `{name}`; there are {known}")))
            }
        }
    }

    /// Its name in [`LABS`].
    pub fn name(&self) -> &'static str {
        match self {
            Lab::LongConnection(long) => long.header.name(),
            Lab::Voip(_) => "w-udp",
            Lab::Random(_) => "random",
        }
    }

    fn surroundings(&self) -> &Surroundings {
        match self {
            Lab::LongConnection(long) => &long.surroundings,
            Lab::Voip(voip) => &voip.surroundings,
            Lab::Random(random) => &random.surroundings,
        }
    }

    fn users(&self) -> u32 {
        match self {
            Lab::LongConnection(long) => long.clients,
            Lab::Voip(voip) => voip.clients,
            Lab::Random(random) => random.clients,
        }
    }

    /// The cell around the lab; its duration is set when the plan is made.
    fn scenario(&self) -> Scenario {
        let Surroundings { network, noise } = self.surroundings();
        let mut scenario = Scenario {
            name: self.name().to_owned(),
            users: self.users(),
            network: network.clone(),
            ..Scenario::default()
        };
        scenario.dns.unseen = 0.0;
        if let Some(date) = &mut scenario.start.date {
            // The measurement's first day.
            *date = toml::value::Date { year: 2013, month: 11, day: 1 };
        }
        if *noise {
            scenario.web.share = 1.0;
            scenario.whatsapp.share = 1.0;
        }
        scenario
    }
}

/// Makes the capture of `lab` into `out`, and tells the truth about it to `truth`.
///
/// The same lab and seed give the same bytes on every machine.
///
/// # Errors
/// When the lab is not valid, or `out` or `truth` fail.
pub fn generate(
    lab: &Lab,
    seed: u64,
    mut out: &mut dyn Write,
    truth: &mut impl TruthSink,
) -> Result<Made, SynthError> {
    let mut scenario = lab.scenario();
    scenario.check()?;
    let start = scenario.start_nanos()?;
    let mut rng = Rng::new(mix(seed ^ 0x6c61_6273)); // the cell draws from the seed itself
    let plan = match lab {
        Lab::LongConnection(long) => long.plan(start, &mut rng)?,
        Lab::Voip(voip) => voip.plan(start, &mut rng)?,
        Lab::Random(random) => random.plan(start, &mut rng)?,
    };
    let Plan { layouts, openings, experiments, until } = plan;
    scenario.duration = Duration(until + 30 * SECOND - start);
    for layout in layouts.iter() {
        layout.check()?;
        truth.layout(layout).map_err(SynthError::Truth)?;
    }
    for experiment in &experiments {
        truth.experiment(experiment).map_err(SynthError::Truth)?;
    }
    let cast = |begin, users: &mut [crate::world::User], rng: &mut Rng| {
        for (index, user) in users.iter_mut().enumerate() {
            user.stack = Tester::new(index as u32).stack;
        }
        let mut cast = apps::cast(&scenario, begin, rng);
        for opening in openings {
            cast.push((opening.at, Agent::lab(opening.user, Box::new(opening), rng.fork())));
        }
        cast
    };
    let totals = cell::run(&scenario, seed, cast, &mut out, truth)?;
    Ok(Made { totals, layouts: layouts.to_vec(), experiments })
}

impl Opening {
    /// Opens the flow.
    pub(crate) fn open(self, now: i64, cx: &mut Context<'_>, rng: &mut Rng) {
        let host = (self.host)(&cx.world.lab);
        let mut target = cx.resolve(self.user, host, self.port, now, rng);
        if let Some(server) = self.server {
            let host = &cx.world.hosts[host];
            target = Target { address: host.first + server % host.count, ..target };
        }
        let owner = Owner {
            app: self.app,
            service: self.service,
            protocol: self.protocol,
            host: Some(host),
            says_name: false,
        };
        let user = &cx.users[self.user as usize];
        let half = [user.half, target.rtt / 2];
        let client = user_address(self.user, user.v6);
        let speech = Speech { layouts: self.layouts, client, session: rng.next() };
        if self.udp {
            let talk = datagrams(&speech, self.turns, half, rng);
            cx.udp(self.user, None, &target, &owner, Box::new(talk), rng);
        } else {
            let script = Stream { speech, turns: self.turns.into(), end: self.end };
            cx.tcp(self.user, &target, &owner, target.at, Box::new(script), rng);
        }
        if let Some(flow) = cx.started.last_mut() {
            flow.traced = true;
        }
    }
}
