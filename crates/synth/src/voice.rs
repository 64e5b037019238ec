//! Captures of voice apps and of others, in the classes and counts of the OTT voice paper.
//!
//! For `learn`: what it trains on must be labelled, large, unequal in its classes and alike from
//! class to class as apps are. A class is recorded on ten days, one capture each, by two phones
//! that are the same in all classes; half of the apps are updated in the middle of the time. Apps
//! behind a VPN show when, which way and how long, in a tunnel that is the phone's and not the
//! app's. Some sessions of every class are of what phones do anyway. Nothing is measured of the
//! real apps: what a model scores here says that it works, and not how well it knows them.

mod apps;
mod talk;
mod tunnel;

use std::collections::VecDeque;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};

use ottoscope_wire::LinkType;
use ottoscope_wire::build::pcap::{PcapWriter, Resolution};

use crate::SynthError;
use crate::apps::{MILLI, SECOND};
use crate::content::Content;
use crate::device::{ANDROID, IOS, Stack};
use crate::flow::{Datagram, Ends};
use crate::frame::{Outer, wrap};
use crate::rng::{Rng, fill, mix};
use crate::tcp::{Connection, DOWN, Path, UP};
use apps::{APPS, App, BACKGROUND, Set};
use talk::{Circumstances, Talk};
use tunnel::{Inner, Tunnel};

/// Every set that comes with it: name, and what it holds.
pub const SETS: &[(&str, &str)] = &[
    ("voice-a", "four voice apps with and without VPN, counts of the paper's table 1"),
    ("voice-b", "ten voice apps through a VPN, counts of the paper's table 2"),
    ("voice-c", "28 apps of all kinds, counts of the paper's table 3"),
];

/// Days on which every class is recorded.
const DAYS: u32 = 10;
/// Packets of a session that are kept: classifiers look at its beginning.
const KEPT: usize = 64;
/// Share of sessions that are not the app's.
const OTHERS: f64 = 0.02;
/// 2021-03-01 08:00 UTC.
const START: i64 = 1_614_585_600 * SECOND;
const DAY: i64 = 86_400 * SECOND;

/// Captures to make.
#[derive(Debug, Clone)]
pub struct Voice {
    set: Set,
    /// Sessions of a class, at most.
    pub most: u32,
    /// Everything random comes from it.
    pub seed: u64,
}

/// One capture: a class on a day.
#[derive(Debug, Clone)]
pub struct Recording {
    /// The class.
    pub class: &'static str,
    /// The day, from 0.
    pub day: u32,
    /// Sessions in it.
    pub sessions: u32,
    app: &'static App,
    vpn: bool,
    seed: u64,
}

/// What a recording came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recorded {
    /// Sessions.
    pub sessions: u64,
    /// Packets.
    pub packets: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

impl Voice {
    /// A set of [`SETS`] with all its sessions.
    ///
    /// # Errors
    /// When none has that name; the message lists those that exist.
    pub fn builtin(name: &str, seed: u64) -> Result<Self, SynthError> {
        let set = match name {
            "voice-a" => apps::A,
            "voice-b" => apps::B,
            "voice-c" => apps::C,
            _ => {
                let known: Vec<&str> = SETS.iter().map(|(name, _)| *name).collect();
                let known = known.join(", ");
                return Err(SynthError::Scenario(format!(
                    "no set is called `{name}`; there are {known}"
                )));
            }
        };
        Ok(Voice { set, most: u32::MAX, seed })
    }

    /// The captures, class by class. Days with no session left for them have none.
    pub fn recordings(&self) -> Vec<Recording> {
        let mut out = Vec::new();
        for (class, app, vpn, sessions) in self.set {
            // The tables are tested to name apps that are there.
            let Some(app) = APPS.iter().find(|known| known.name == *app) else { continue };
            let all = (*sessions).min(self.most);
            for day in 0..DAYS {
                let sessions = all / DAYS + u32::from(day < all % DAYS);
                if sessions > 0 {
                    let recording =
                        Recording { class, day, sessions, app, vpn: *vpn, seed: self.seed };
                    out.push(recording);
                }
            }
        }
        out
    }
}

/// A packet of the capture.
struct Packet {
    at: i64,
    side: usize,
    ip: Vec<u8>,
}

/// A phone on a day.
struct Phone {
    stack: &'static Stack,
    address: Ipv4Addr,
    tunnel: Tunnel,
    library: u64,
    half: i64,
    jitter: f64,
}

impl Phone {
    /// The same for every class.
    fn new(seed: u64, day: u32, number: u64) -> Self {
        let mut rng = Rng::new(mix(seed ^ u64::from(day) << 8 ^ number ^ 0x0070_686f_6e65));
        Phone {
            stack: if number == 0 { &ANDROID } else { &IOS },
            address: Ipv4Addr::from(0x0a2d_0000 | rng.range(2, 65_000) as u32),
            tunnel: Tunnel::draw(&mut rng),
            library: rng.below(2) * 2 * number + (1 - number) * rng.below(2),
            half: rng.range(6, 16) as i64 * MILLI,
            jitter: 1.0 + 3.0 * rng.unit(),
        }
    }
}

impl Recording {
    /// Where it goes: the class's folder, the day's file.
    pub fn file(&self) -> String {
        format!("{}/day-{:02}.pcap", self.class, self.day + 1)
    }

    /// Writes the capture. The same set, seed, class and day give the same bytes.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut dyn Write) -> Result<Recorded, SynthError> {
        let class = self.class.bytes().fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| {
            (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let mut rng = Rng::new(mix(self.seed ^ mix(class ^ u64::from(self.day))));
        let phones = [0, 1].map(|number| Phone::new(self.seed, self.day, number));
        // Every app is recorded at any hour: the time must not tell it.
        let mut at = START + i64::from(self.day) * DAY + rng.below(3600) as i64 * SECOND;
        let gap = 9.0 * 3600.0 / f64::from(self.sessions.max(1));
        let mut packets = Vec::new();
        for _ in 0..self.sessions {
            at += (rng.exponential(gap).min(600.0) * 1e9) as i64;
            self.session(&mut packets, &phones[rng.below(2) as usize], at, &mut rng);
        }
        packets.sort_by_key(|packet: &Packet| packet.at);
        let mut writer = PcapWriter::new(out, LinkType::ETHERNET, Resolution::Micro)
            .map_err(SynthError::Capture)?;
        let mut recorded = Recorded { sessions: u64::from(self.sessions), packets: 0, bytes: 24 };
        let mut frame = Vec::new();
        for Packet { at, side, ip } in &packets {
            wrap(&mut frame, Outer::Plain, *side == UP, |out| out.extend_from_slice(ip));
            let len = frame.len() as u32;
            writer.record(*at, len, &frame).map_err(SynthError::Capture)?;
            recorded.packets += 1;
            recorded.bytes += 16 + u64::from(len);
        }
        writer.finish().map_err(SynthError::Capture)?;
        Ok(recorded)
    }

    fn session(&self, out: &mut Vec<Packet>, phone: &Phone, at: i64, rng: &mut Rng) {
        let even = self.app.name.len().is_multiple_of(2);
        let how = Circumstances {
            library: phone.library,
            updated: even && self.day >= DAYS / 2,
            half: phone.half + rng.range(3, 30) as i64 * MILLI,
            jitter: phone.jitter,
        };
        let beside = rng.chance(OTHERS);
        let (talk, port, server) = if self.vpn && !beside {
            let talk = self.hidden(phone, at, &how, rng);
            (talk, phone.tunnel.port(), server(b"vpn", rng.below(6)))
        } else {
            let (talk, port, call) = self.open(beside, at, &how, rng);
            let house: &[u8] = if beside { b"others" } else { self.app.name.as_bytes() };
            // Calls go to relays and to peers, the rest to a dozen of servers.
            let place = if call { 100 + rng.below(60) } else { rng.rank(12) as u64 };
            (talk, port, server(house, place))
        };
        let ends = Ends {
            addresses: [IpAddr::V4(phone.address), IpAddr::V4(server)],
            ports: [rng.range(32_768, 60_999) as u16, port],
        };
        out.extend(play(talk, &ends, phone.stack, at, &how, rng).take(KEPT));
    }

    /// What is said, to which port, and whether it is a call.
    fn open(&self, beside: bool, at: i64, how: &Circumstances, rng: &mut Rng) -> (Talk, u16, bool) {
        match &self.app.call {
            Some(call) if !beside && rng.chance(self.app.calls) => {
                let port = [3478, rng.range(10_000, 60_000) as u16][rng.below(2) as usize];
                (Talk::Udp(talk::call(call, at, how, rng)), port, true)
            }
            _ => {
                let web = if beside { &BACKGROUND } else { &self.app.web };
                let (talk, port) = talk::web(web, at, how, rng);
                (talk, port, false)
            }
        }
    }

    /// The same through the phone's VPN, which is dialled anew for each call: signalling, then
    /// media, and what other apps send meanwhile.
    fn hidden(&self, phone: &Phone, at: i64, how: &Circumstances, rng: &mut Rng) -> Talk {
        let trip = 2 * how.half;
        let begin = at + phone.tunnel.trips() * trip + rng.range(5, 300) as i64 * MILLI;
        let far = Circumstances { half: how.half + 20 * MILLI, ..*how };
        let inside = Ends {
            addresses: [Ipv4Addr::new(10, 8, 0, 2).into(), Ipv4Addr::new(203, 0, 113, 9).into()],
            ports: [40_000, 443],
        };
        let (signalling, _) = talk::web(&self.app.web, begin, &far, rng);
        let mut inner: Vec<Packet> =
            play(signalling, &inside, phone.stack, begin, &far, rng).take(KEPT / 3).collect();
        if let Some(call) = &self.app.call {
            let rings = begin + rng.range(100, 900) as i64 * MILLI;
            let talk = Talk::Udp(talk::call(call, rings, &far, rng));
            inner.extend(play(talk, &inside, phone.stack, rings, &far, rng));
        }
        let mut inner: Vec<Inner> = inner
            .iter()
            .map(|packet| Inner { at: packet.at, side: packet.side, len: packet.ip.len() as u64 })
            .collect();
        inner.extend(tunnel::others(begin, begin + 3 * SECOND, rng));
        inner.sort_by_key(|packet| packet.at);
        inner.truncate(KEPT);
        phone.tunnel.carry(at, trip, &inner, rng)
    }
}

/// One of a house's servers.
fn server(house: &[u8], place: u64) -> Ipv4Addr {
    let sum = house.iter().fold(7u64, |sum, byte| mix(sum ^ u64::from(*byte)));
    let mut bytes = [0; 4];
    fill(mix(sum ^ (place / 4)), 0, &mut bytes);
    // In 198.18.0.0/15, where no machine is (RFC 2544); neighbours share a network.
    Ipv4Addr::new(198, 18 + bytes[1] % 2, bytes[2], 4 + (bytes[3] / 8) * 4 + (place % 4) as u8)
}

/// The packets of a conversation, in order of time.
fn play(
    talk: Talk,
    ends: &Ends,
    stack: &'static Stack,
    at: i64,
    how: &Circumstances,
    rng: &mut Rng,
) -> impl Iterator<Item = Packet> {
    let salt = rng.next();
    let mut number = rng.next() as u16;
    let ends = *ends;
    let mut carried = match talk {
        Talk::Udp(datagrams) => Carried::Udp(datagrams.into()),
        Talk::Tcp(steps) => {
            let path = Path {
                half: [how.half / 3, how.half],
                per_byte: [400, 80],
                loss: 0.01,
                reorder: 0.001,
                duplicate: 0.0005,
                v6: false,
            };
            Carried::Tcp(Box::new(Connection::open(at, path, stack, Box::new(steps), rng.fork())))
        }
    };
    std::iter::from_fn(move || {
        let mut ip = Vec::new();
        match &mut carried {
            Carried::Udp(datagrams) => {
                let datagram = datagrams.pop_front()?;
                number = number.wrapping_add(1);
                ends.datagram(&mut ip, stack, &datagram, number);
                Some(Packet { at: datagram.at, side: datagram.side, ip })
            }
            Carried::Tcp(connection) => {
                connection.next_at()?;
                let (segment, message) = connection.pop()?;
                let content: Option<&Content> = message.as_ref().map(|m| &m.content);
                ends.segment(&mut ip, stack, &segment, content, salt);
                let side = if usize::from(segment.side) == UP { UP } else { DOWN };
                Some(Packet { at: segment.at, side, ip })
            }
        }
    })
}

enum Carried {
    Tcp(Box<Connection>),
    Udp(VecDeque<Datagram>),
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use ottoscope_wire::{Decoded, decode};

    use super::*;

    #[test]
    fn sets_have_the_papers_classes_and_counts() {
        let check = |name: &str, classes: usize, sessions: u64| {
            let made = Voice::builtin(name, 1).unwrap().recordings();
            let names: BTreeSet<&str> = made.iter().map(|recording| recording.class).collect();
            let sum: u64 = made.iter().map(|recording| u64::from(recording.sessions)).sum();
            assert_eq!((names.len(), sum), (classes, sessions), "{name}");
        };
        check("voice-a", 8, 16_144);
        check("voice-b", 10, 67_711);
        // The paper prints 52,484 as the sum of table 3; its rows come to this.
        check("voice-c", 28, 52_484);
        assert!(Voice::builtin("voice-d", 1).is_err());
    }

    /// Packets of a recording: nanoseconds, frame.
    fn frames(recording: &Recording) -> Vec<Vec<u8>> {
        let mut file = Vec::new();
        let told = recording.write(&mut file).unwrap();
        assert_eq!(told.bytes, file.len() as u64);
        let mut frames = Vec::new();
        let mut rest = &file[24..];
        while let Some((header, tail)) = rest.split_first_chunk::<16>() {
            let len = u32::from_le_bytes([header[8], header[9], header[10], header[11]]) as usize;
            frames.push(tail[..len].to_vec());
            rest = &tail[len..];
        }
        assert_eq!(frames.len() as u64, told.packets);
        frames
    }

    #[test]
    fn a_recording_holds_its_sessions_and_is_its_seed() {
        for class in ["Skype_VPN", "Zoom", "Douyu"] {
            let voice = Voice { most: 60, ..Voice::builtin("voice-c", 3).unwrap() };
            let recordings = voice.recordings();
            let found: Vec<_> = recordings.iter().filter(|made| made.class == class).collect();
            assert_eq!(found.len(), 10);
            let mut sessions: BTreeMap<_, u32> = BTreeMap::new();
            for frame in frames(found[0]) {
                let Ok(Decoded::Packet(packet)) = decode(LinkType::ETHERNET, &frame) else {
                    panic!("{class}: not read");
                };
                let mut ends = [
                    (packet.source, packet.source_port),
                    (packet.destination, packet.destination_port),
                ];
                ends.sort_unstable();
                *sessions.entry(ends).or_default() += 1;
            }
            assert_eq!(sessions.len(), 6, "{class}");
            assert!(sessions.values().all(|count| *count > 2), "{class}: {sessions:?}");
            assert_eq!(frames(found[0]), frames(found[0]));
            let other = Voice { seed: 4, ..voice.clone() }.recordings();
            let other = other.iter().find(|made| made.class == class).unwrap();
            assert_ne!(frames(found[0]), frames(other));
        }
    }

    #[test]
    fn no_byte_at_one_place_tells_a_class() {
        // For every class of the ten behind VPNs: at no place of the first datagram with payload
        // lies a byte that all its sessions have and those of another class never.
        let voice = Voice { most: 100, ..Voice::builtin("voice-b", 2).unwrap() };
        let mut first: BTreeMap<&str, Vec<BTreeSet<u8>>> = BTreeMap::new();
        for recording in voice.recordings() {
            let places = first.entry(recording.class).or_insert_with(|| vec![BTreeSet::new(); 60]);
            for frame in frames(&recording) {
                for (place, byte) in places.iter_mut().zip(&frame) {
                    place.insert(*byte);
                }
            }
        }
        for (class, places) in &first {
            for (other, others) in &first {
                for at in 0..60 {
                    assert!(!places[at].is_disjoint(&others[at]), "{class} {other} byte {at}");
                }
            }
        }
    }
}
