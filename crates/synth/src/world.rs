//! Who is there: hosts with names and addresses, users with devices.
//!
//! Server addresses come from the benchmarking range 198.18.0.0/15 (RFC 2544) and the
//! documentation range 2001:db8::/32 (RFC 3849), so that no synthetic capture points at a real
//! machine. Every address belongs to one name only: what the truth says of it stays unambiguous.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::sync::Arc;

use crate::device::{ANDROID, BLACKBERRY, IOS, Stack, WINDOWS_PHONE};
use crate::rng::Rng;
use crate::scenario::Scenario;

const MILLI: i64 = 1_000_000;

/// A name with its addresses.
#[derive(Debug)]
pub(crate) struct Host {
    pub name: Arc<str>,
    /// CNAME targets between the name and its addresses.
    pub chain: Vec<Arc<str>>,
    /// Index of its first address.
    pub first: u32,
    /// Addresses, every one of which is in every answer.
    pub count: u32,
    /// Seconds.
    pub ttl: u32,
    /// Nanoseconds between the capture point and the servers, both ways.
    pub rtt: i64,
}

/// All hosts. Ranges index [`World::hosts`].
#[derive(Debug)]
pub(crate) struct World {
    pub hosts: Vec<Host>,
    /// Web sites, the popular first.
    pub sites: Range<usize>,
    /// What sites embed.
    pub embedded: Range<usize>,
    pub whatsapp_chat: Range<usize>,
    pub whatsapp_photo: Range<usize>,
    pub whatsapp_video: Range<usize>,
    pub wechat: WeChatHosts,
    pub lab: LabHosts,
    /// First address index of the eight call relays; those of peers follow.
    pub relays: u32,
    /// Addresses given out.
    addresses: u32,
}

/// WeChat's server groups (ChatDissect, V-B): indices of [`World::hosts`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WeChatHosts {
    pub long: usize,
    pub short: usize,
    pub support: usize,
    pub photos: usize,
    pub heads: usize,
}

/// Servers of labs: indices of [`World::hosts`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LabHosts {
    pub long: usize,
    pub voip: usize,
    pub longlink: usize,
    pub random: usize,
}

/// Services everyone knows that are no chat.
const KNOWN: &[&str] = &[
    "www.wikipedia.org",
    "upload.wikimedia.org",
    "www.openstreetmap.org",
    "tile.openstreetmap.org",
    "deb.debian.org",
    "static.crates.io",
];
const WORDS: &[&str] = &[
    "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "harbor", "indigo", "juniper",
    "kestrel", "lagoon", "meadow", "nimbus", "orchid", "pebble", "quartz", "river", "saffron",
    "tundra", "umber", "violet", "willow", "yarrow", "zephyr",
];
const KINDS: &[&str] =
    &["news", "shop", "maps", "bank", "radio", "sport", "weather", "travel", "recipes", "forum"];
const PARTS: &[&str] = &["cdn", "img", "static", "ads", "metrics", "fonts", "api", "video"];

impl World {
    /// Addresses that call peers have.
    pub(crate) const PEERS: u32 = 512;

    pub(crate) fn new(scenario: &Scenario, rng: &mut Rng) -> Self {
        let mut world = World {
            hosts: Vec::new(),
            sites: 0..0,
            embedded: 0..0,
            whatsapp_chat: 0..0,
            whatsapp_photo: 0..0,
            whatsapp_video: 0..0,
            wechat: WeChatHosts::default(),
            lab: LabHosts::default(),
            relays: 0,
            addresses: 0,
        };
        world.relays = world.take(8 + World::PEERS);
        world.web(scenario.web.sites as usize, rng);
        world.whatsapp();
        world.wechat();
        world.lab = LabHosts {
            long: world.wechat.long,
            voip: world.add("voip.weixin.qq.com", &[], 6, 1800, 42 * MILLI),
            longlink: world.add("long.mars.example", &[], 4, 1800, 30 * MILLI),
            random: world.add("server.lab.example", &[], 4, 1800, 30 * MILLI),
        };
        world
    }

    fn take(&mut self, count: u32) -> u32 {
        let first = self.addresses;
        self.addresses += count;
        first
    }

    fn add(&mut self, name: &str, chain: &[String], count: u32, ttl: u32, rtt: i64) -> usize {
        let first = self.take(count);
        let chain = chain.iter().map(|name| Arc::from(name.as_str())).collect();
        self.hosts.push(Host { name: name.into(), chain, first, count, ttl, rtt });
        self.hosts.len() - 1
    }

    fn web(&mut self, sites: usize, rng: &mut Rng) {
        let ttls = [60, 300, 300, 600, 3600];
        let from = self.hosts.len();
        for index in 0..sites {
            let ttl = ttls[rng.below(5) as usize];
            let rtt = (8.0 + rng.exponential(25.0).min(200.0)) * MILLI as f64;
            let (name, chain) = match KNOWN.get(index / 5).filter(|_| index % 5 == 4) {
                Some(known) => ((*known).to_owned(), Vec::new()),
                None => {
                    let word = WORDS[index % WORDS.len()];
                    let kind = KINDS[index / WORDS.len() % KINDS.len()];
                    let name = match index / (WORDS.len() * KINDS.len()) {
                        0 => format!("{word}-{kind}.example"),
                        round => format!("{word}-{kind}-{round}.example"),
                    };
                    let edge = format!("{word}{index}.edge.cdn-{}.test", index % 7);
                    match rng.below(3) {
                        0 => (name, Vec::new()),
                        1 => (format!("www.{name}"), vec![edge]),
                        _ => {
                            let middle = format!("www.{name}.cdn-{}.test", index % 7);
                            (format!("www.{name}"), vec![middle, edge])
                        }
                    }
                }
            };
            let count = 1 + rng.below(3) as u32;
            self.add(&name, &chain, count, ttl, rtt as i64);
        }
        self.sites = from..self.hosts.len();
        for (index, word) in WORDS.iter().enumerate() {
            let name = format!("{}.{word}.test", PARTS[index % PARTS.len()]);
            let rtt = 5 * MILLI + rng.below(40 * MILLI as u64) as i64;
            self.add(&name, &[], 2, 300, rtt);
        }
        self.embedded = self.sites.end..self.hosts.len();
    }

    /// Two sites, 106 and 114 ms away, as the 2014 measurement found.
    fn whatsapp(&mut self) {
        let rtt = |index: u32| if index.is_multiple_of(2) { 106 * MILLI } else { 114 * MILLI };
        let from = self.hosts.len();
        for index in 1..=16 {
            self.add(&format!("e{index}.whatsapp.net"), &[], 6, 3600, rtt(index));
        }
        for index in 1..=4 {
            self.add(&format!("c{index}.whatsapp.net"), &[], 6, 3600, rtt(index));
            self.add(&format!("d{index}.whatsapp.net"), &[], 6, 3600, rtt(index));
        }
        self.whatsapp_chat = from..self.hosts.len();
        for index in 0..20 {
            let kind = if index % 3 == 0 { "mms" } else { "mmi" };
            self.add(&format!("{kind}{}.whatsapp.net", 601 + index), &[], 4, 1800, rtt(index));
        }
        self.whatsapp_photo = self.whatsapp_chat.end..self.hosts.len();
        for index in 0..12 {
            self.add(&format!("mmv{}.whatsapp.net", 801 + index), &[], 4, 1800, rtt(index));
        }
        self.whatsapp_video = self.whatsapp_photo.end..self.hosts.len();
    }

    fn wechat(&mut self) {
        let cdn = |name: &str| vec![format!("{name}.tc.qq.com")];
        self.wechat = WeChatHosts {
            long: self.add("long.weixin.qq.com", &[], 6, 1800, 38 * MILLI),
            short: self.add("short.weixin.qq.com", &[], 6, 1800, 36 * MILLI),
            support: self.add("support.weixin.qq.com", &[], 2, 600, 40 * MILLI),
            photos: self.add("mmsns.qpic.cn", &cdn("mmsns.qpic.cn"), 4, 300, 18 * MILLI),
            heads: self.add("wx.qlogo.cn", &cdn("wx.qlogo.cn"), 4, 300, 18 * MILLI),
        };
    }

    /// The address with this index.
    pub(crate) fn address(index: u32, v6: bool) -> IpAddr {
        if v6 {
            IpAddr::V6(Ipv6Addr::from(
                0x2001_0db8_feed_0000_0000_0000_0000_1000 + u128::from(index),
            ))
        } else {
            IpAddr::V4(Ipv4Addr::from(0xc612_0100 + index))
        }
    }

    /// The resolver.
    pub(crate) fn resolver(v6: bool) -> IpAddr {
        if v6 {
            IpAddr::V6(Ipv6Addr::from(0x2001_0db8_feed_0000_0000_0000_0000_0053))
        } else {
            IpAddr::V4(Ipv4Addr::from(0xc612_0035))
        }
    }
}

/// A user with a device.
#[derive(Debug)]
pub(crate) struct User {
    pub stack: &'static Stack,
    pub v6: bool,
    /// Uses answers beyond their time to live.
    pub overruns: bool,
    /// Nanoseconds between the capture point and the device, one way.
    pub half: i64,
    /// Owns a captured packet.
    pub seen: bool,
    port: u16,
    cache: Vec<Cached>,
}

/// What a user knows of a host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cached {
    pub host: u32,
    /// Index of the address in use.
    pub address: u32,
    /// Until when the user may use it.
    pub until: i64,
    /// When the last captured answer was captured, and when its time to live ends.
    pub answer: Option<(i64, i64)>,
}

impl User {
    pub(crate) fn new(scenario: &Scenario, rng: &mut Rng) -> Self {
        let d = &scenario.devices;
        let shares = [d.android, d.ios, d.blackberry, d.windows_phone];
        let stacks = [&ANDROID, &IOS, &BLACKBERRY, &WINDOWS_PHONE];
        let half = scenario.network.client_rtt.0 as f64 / 2.0;
        User {
            stack: stacks[rng.weighted(shares.into_iter())],
            v6: rng.chance(scenario.capture.ipv6),
            overruns: rng.chance(scenario.dns.overrun),
            half: (half * (0.4 + 0.6 * rng.exponential(1.0).min(8.0))) as i64,
            seen: false,
            port: rng.below(u64::from(PORTS)) as u16,
            cache: Vec::new(),
        }
    }

    /// A local port that was not used for as long as possible.
    pub(crate) fn port(&mut self) -> u16 {
        self.port = (self.port + 1) % PORTS;
        FIRST_PORT + self.port
    }

    pub(crate) fn known(&self, host: usize) -> Option<Cached> {
        self.cache.iter().find(|c| c.host as usize == host).copied()
    }

    /// Remembers, and forgets what nobody could use any more.
    pub(crate) fn remember(&mut self, entry: Cached, now: i64) {
        self.cache.retain(|c| c.host != entry.host && c.until + FORGET > now);
        self.cache.push(entry);
    }
}

const FIRST_PORT: u16 = 32_768;
const PORTS: u16 = 28_000;
/// How long an answer is remembered beyond its end, for users that overrun it.
const FORGET: i64 = 7200 * 1_000_000_000;

/// Address of the user with this index: in 10.0.0.0/8, or a /64 of 2001:db8::/33.
pub(crate) fn user_address(index: u32, v6: bool) -> IpAddr {
    if v6 {
        let net = u128::from(index) + 0x1_0000;
        let interface = u128::from(crate::rng::mix(u64::from(index)) | 1);
        IpAddr::V6(Ipv6Addr::from(0x2001_0db8_u128 << 96 | net << 64 | interface))
    } else {
        IpAddr::V4(Ipv4Addr::from(0x0a00_0100 + index))
    }
}

/// GTP-U tunnel ids up and down of the user with this index.
pub(crate) fn tunnel_ids(index: u32) -> [u32; 2] {
    [0x1000_0000 + index, 0x2000_0000 + index]
}

/// Addresses of the radio side and the core side of the user's tunnel.
pub(crate) fn tunnel_ends(index: u32) -> [Ipv4Addr; 2] {
    [Ipv4Addr::from(0xac10_0001 + index % 16), Ipv4Addr::from(0xac1f_0001)]
}
