//! Cuts the packets of one capture after the other into units.

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use ottoscope_wire::{Decoded, Encapsulation, Fragment, LinkType, decode};
use siphasher::sip::SipHasher13;

use super::open::{Key, Open};
use super::{Config, Depth, Groups, Kind, Layers, Protocol, Unit};
use crate::capture::Record;
use crate::key::FlowKey;
use crate::time::Timestamp;

/// Bytes of a capture file's header and of a record's (draft-ietf-opsawg-pcap).
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

/// Datagrams whose later fragments are waited for at once.
const FRAGMENTED: usize = 4096;

/// What was counted while cutting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Packets read.
    pub packets: u64,
    /// Packets that belong to no unit: not IP, or without the ports that a session needs.
    pub outside: u64,
    /// Packets whose headers are broken or cut.
    pub unreadable: u64,
    /// Units handed over.
    pub units: u64,
    /// Units without a byte, dropped.
    pub empty: u64,
    /// Units whose files equal another one's, dropped; only in the paper's protocol, since the
    /// honest one looks for duplicates after masking.
    pub duplicates: u64,
    /// Units handed over because too many were open. What follows of them is a unit of its own.
    pub evicted: u64,
}

/// A packet as far as its unit needs it.
struct Seen {
    source: (IpAddr, u16),
    destination: (IpAddr, u16),
    protocol: u8,
    payload_len: u32,
    tunnel: Option<Encapsulation>,
    layers: Layers,
}

/// Cuts packets into units. Feed it one capture at a time and [`Sampler::finish`] each.
pub struct Sampler {
    config: Config,
    open: Open,
    count: Count,
    /// Link type of the first packet of the capture, which the paper's tool writes everywhere.
    link: Option<LinkType>,
    /// Digests of whole files by unit and of all units so far; only in the paper's protocol.
    files: HashMap<Key, SipHasher13>,
    known: HashSet<u64>,
    /// Ports of datagrams that came in fragments.
    fragments: HashMap<(IpAddr, IpAddr, u8, u32), (u16, u16)>,
}

impl Sampler {
    /// With nothing open.
    pub fn new(config: Config) -> Self {
        Sampler {
            config,
            open: Open::new(),
            count: Count::default(),
            link: None,
            files: HashMap::new(),
            known: HashSet::new(),
            fragments: HashMap::new(),
        }
    }

    /// What was counted so far.
    pub fn count(&self) -> Count {
        self.count
    }

    /// Takes one packet; `each` gets the unit that had to make room for it.
    pub fn push(
        &mut self,
        capture: u32,
        record: &Record,
        frame: &[u8],
        each: &mut dyn FnMut(Unit),
    ) {
        self.count.packets += 1;
        let link = *self.link.get_or_insert(record.link);
        let Some(seen) = self.look(record.link, frame) else { return };
        let (tuple, forward) = FlowKey::new(seen.source, seen.destination, seen.protocol);
        let key = Key { tuple, forward: self.config.kind == Kind::Session || forward };
        if self.open.touch(&key).is_none() {
            if self.open.len() >= self.config.open.max(1)
                && let Some(unit) = self.open.evict()
            {
                self.count.evicted += 1;
                self.hand_over(unit, each);
            }
            let mut unit = fresh(&self.config, &seen, capture, record.at, tuple);
            if self.paper_file() {
                unit.bytes.extend_from_slice(&file_header(link));
            }
            self.open.add(key, unit);
        }
        let paper = self.config.protocol == Protocol::Paper;
        let header = record_header(record);
        let taken = match self.config.depth {
            Depth::All => frame,
            Depth::Payload => &frame[seen.layers.payload as usize..seen.layers.trailer as usize],
        };
        if paper {
            let digest = self.files.entry(key).or_default();
            if self.config.depth == Depth::All {
                digest.write(&header);
            }
            digest.write(taken);
        }
        let with_header = self.paper_file();
        let Config { depth, width, packets, .. } = self.config;
        let Some(unit) = self.open.touch(&key) else { return };
        unit.packets += 1;
        unit.carried += u64::from(seen.payload_len);
        let before = unit.last;
        unit.last = unit.last.max(record.at);
        if seen.payload_len > 0 && unit.sizes.len() < packets {
            let gap = if unit.sizes.is_empty() { 0.0 } else { (record.at - before).as_seconds() };
            let size = seen.payload_len as i32;
            unit.sizes.push(if seen.source == unit.ends[0] { size } else { -size });
            unit.gaps.push(gap as f32);
        }
        if unit.bytes.len() < width && !(taken.is_empty() && depth == Depth::Payload) {
            let at = unit.bytes.len();
            unit.layers.push(match depth {
                Depth::All => seen.layers.moved(at, if with_header { RECORD_HEADER } else { 0 }),
                Depth::Payload => Layers::bare(at, taken.len(), seen.protocol),
            });
            if with_header {
                unit.bytes.extend_from_slice(&header);
            }
            unit.bytes.extend_from_slice(&taken[..taken.len().min(width)]);
            unit.bytes.truncate(width);
        }
    }

    /// Hands over what is open: in order of first packets, in the paper's protocol of names.
    pub fn finish(&mut self, each: &mut dyn FnMut(Unit)) {
        let mut units = self.open.drain();
        if self.config.protocol == Protocol::Paper {
            units.sort_by_cached_key(|unit| unit.name(""));
        }
        for unit in units {
            self.hand_over(unit, each);
        }
        self.link = None;
        self.files.clear();
        self.fragments.clear();
    }

    /// Whether samples begin with the header of a capture file.
    fn paper_file(&self) -> bool {
        self.config.protocol == Protocol::Paper && self.config.depth == Depth::All
    }

    fn hand_over(&mut self, mut unit: Unit, each: &mut dyn FnMut(Unit)) {
        if unit.bytes.is_empty() {
            self.count.empty += 1;
            return;
        }
        if self.config.protocol == Protocol::Paper {
            let (tuple, forward) = FlowKey::new(unit.ends[0], unit.ends[1], unit.protocol);
            let key = Key { tuple, forward: self.config.kind == Kind::Session || forward };
            let digest = self.files.remove(&key).map_or(0, |hasher| hasher.finish());
            if !self.known.insert(digest) {
                self.count.duplicates += 1;
                return;
            }
        }
        unit.filled = unit.bytes.len();
        unit.bytes.resize(self.config.width, 0);
        self.count.units += 1;
        each(unit);
    }

    /// What a frame is to the units; counts it where it is nothing.
    fn look(&mut self, link: LinkType, frame: &[u8]) -> Option<Seen> {
        let paper = self.config.protocol == Protocol::Paper;
        let mut seen = match decode(link, frame) {
            Ok(Decoded::Packet(packet)) => Seen {
                source: (packet.source, packet.source_port),
                destination: (packet.destination, packet.destination_port),
                protocol: packet.ip_protocol,
                payload_len: packet.payload_len,
                tunnel: packet.encapsulation,
                layers: Layers::of(frame, &packet),
            },
            Ok(Decoded::Fragment(fragment)) => self.fragment(frame, &fragment)?,
            Ok(Decoded::NotIp(_)) => {
                self.count.outside += 1;
                return None;
            }
            Err(_) => {
                self.count.unreadable += 1;
                return None;
            }
        };
        let with_ports = matches!(seen.protocol, 6 | 17) || (seen.protocol == 132 && !paper);
        if !with_ports {
            // SplitCap splits flows by addresses where it knows no ports, and leaves such
            // packets out of sessions.
            if !paper || self.config.kind == Kind::Session {
                self.count.outside += 1;
                return None;
            }
            (seen.source.1, seen.destination.1, seen.protocol) = (0, 0, 0);
        }
        Some(seen)
    }

    /// A fragment belongs where its first one does, whose ports it lacks. The paper's tool
    /// knows no ports of later ones.
    fn fragment(&mut self, frame: &[u8], fragment: &Fragment<'_>) -> Option<Seen> {
        let head = &fragment.head;
        let id = (head.source, head.destination, head.ip_protocol, head.id);
        let first = fragment.offset == 0;
        let ports = if first {
            fragment
                .payload
                .first_chunk::<4>()
                .map(|[a, b, c, d]| (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])))
        } else {
            self.fragments.get(&id).copied()
        };
        let paper = self.config.protocol == Protocol::Paper;
        let known = if paper && !first { None } else { ports };
        if first && let Some(ports) = ports {
            if self.fragments.len() >= FRAGMENTED {
                self.fragments.clear();
            }
            self.fragments.insert(id, ports);
        }
        let (source, destination) = match known {
            Some(ports) => ports,
            None if paper => (0, 0),
            None => {
                self.count.outside += 1;
                return None;
            }
        };
        let start =
            (fragment.payload.as_ptr() as usize).wrapping_sub(frame.as_ptr() as usize) as u32;
        let header = match head.ip_protocol {
            6 if first => fragment.payload.get(12).map_or(20, |words| u32::from(words >> 4) * 4),
            17 if first => 8,
            132 if first => 12,
            _ => 0,
        };
        let opaque = Layers::opaque(frame);
        let payload = start.saturating_add(header).min(opaque.end);
        let trailer = start.saturating_add(fragment.payload.len() as u32).min(opaque.end);
        Some(Seen {
            source: (head.source, source),
            destination: (head.destination, destination),
            protocol: if known.is_some() { head.ip_protocol } else { 0 },
            payload_len: fragment.payload_len.saturating_sub(header),
            tunnel: head.encapsulation,
            layers: Layers {
                // Where its IP header starts is not told: with what is before it, it is link.
                network: start.min(opaque.end),
                transport: start.min(opaque.end),
                payload: payload.min(trailer),
                trailer,
                protocol: head.ip_protocol,
                ..opaque
            },
        })
    }
}

/// A unit that has no packet yet.
fn fresh(config: &Config, seen: &Seen, capture: u32, at: Timestamp, tuple: FlowKey) -> Unit {
    let [a, b] = tuple.ends();
    let groups = Groups {
        capture,
        day: at.seconds().div_euclid(86_400) as i32,
        tuple: number(&(a, b, seen.protocol)),
        hosts: number(&if a.0 <= b.0 { (a.0, b.0) } else { (b.0, a.0) }),
        tunnel: seen.tunnel.map_or(0, |tunnel| {
            let (a, b) = (tunnel.source, tunnel.destination);
            number(&(tunnel.kind, a.min(b), a.max(b)))
        }),
    };
    Unit {
        kind: config.kind,
        ends: [seen.source, seen.destination],
        protocol: seen.protocol,
        first: at,
        last: at,
        packets: 0,
        carried: 0,
        bytes: Vec::new(),
        filled: 0,
        layers: Vec::new(),
        sizes: Vec::new(),
        gaps: Vec::new(),
        groups,
    }
}

/// The same number for the same thing in every run. Who can choose addresses can make two
/// things one, and only gains that they are on one side of a split.
fn number(thing: &impl Hash) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(0, 0);
    thing.hash(&mut hasher);
    hasher.finish().max(1)
}

/// The header of a big-endian capture as SplitCap writes it: version 2.4, 65,535 bytes at most.
fn file_header(link: LinkType) -> [u8; FILE_HEADER] {
    let mut header = [0; FILE_HEADER];
    header[..4].copy_from_slice(&0xa1b2_c3d4_u32.to_be_bytes());
    header[4..8].copy_from_slice(&[0, 2, 0, 4]);
    header[16..20].copy_from_slice(&0xffff_u32.to_be_bytes());
    header[20..].copy_from_slice(&link.0.to_be_bytes());
    header
}

/// Seconds, microseconds, captured bytes, bytes on the wire.
fn record_header(record: &Record) -> [u8; RECORD_HEADER] {
    let micros = record.at.0.rem_euclid(1_000_000_000) / 1000;
    let words = [record.at.seconds() as u32, micros as u32, record.len, record.wire_len];
    let mut header = [0; RECORD_HEADER];
    for (field, word) in header.chunks_exact_mut(4).zip(words) {
        field.copy_from_slice(&word.to_be_bytes());
    }
    header
}

#[cfg(test)]
mod tests {
    use std::io::BufWriter;

    use ottoscope_wire::build::pcap::{PcapWriter, Resolution};
    use ottoscope_wire::build::{Ethernet, Ip, Segment};

    use super::*;
    use crate::capture::{Input, Options};
    use crate::sample::run;

    /// One packet: from a client's port or to it, its payload.
    fn frame(port: u16, down: bool, payload: &[u8]) -> Vec<u8> {
        let (client, server) = ([10, 0, 0, 1].into(), [203, 0, 113, 5].into());
        let mut frame = Vec::new();
        Ethernet::default().write(&mut frame, |out| {
            let carry = |out: &mut Vec<u8>| out.extend_from_slice(payload);
            if down {
                Ip::new(server, client).udp(out, 443, port, carry);
            } else {
                Ip::new(client, server).udp(out, port, 443, carry);
            }
        });
        frame
    }

    fn cut(frames: &[Vec<u8>], config: &Config) -> (Vec<Unit>, Count) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pcap");
        let file = BufWriter::new(std::fs::File::create(&path).unwrap());
        let mut writer = PcapWriter::new(file, LinkType::ETHERNET, Resolution::Micro).unwrap();
        for (at, frame) in (0..).zip(frames) {
            writer.record(at * 500_000_000 + 7_000, frame.len() as u32, frame).unwrap();
        }
        writer.finish().unwrap();
        let mut units = Vec::new();
        let inputs = [Input::Path(path)];
        let summary =
            run(&inputs, &Options::default(), config, &mut |_, unit| units.push(unit)).unwrap();
        (units, summary.count)
    }

    #[test]
    fn a_session_has_both_directions_and_a_flow_one() {
        let frames = [frame(9, false, b"abc"), frame(9, true, b"d"), frame(9, false, &[])];
        let (sessions, _) = cut(&frames, &Config::default());
        assert_eq!(sessions.len(), 1);
        let unit = &sessions[0];
        assert_eq!(unit.bytes[..unit.filled], frames.concat());
        assert_eq!((unit.packets, unit.carried, unit.bytes.len()), (3, 4, 784));
        assert_eq!((unit.sizes.as_slice(), unit.gaps.as_slice()), (&[3, -1][..], &[0.0, 0.5][..]));
        assert_eq!(unit.features(3), [3.0, -1.0, 0.0, 0.0, 0.5, 0.0]);
        assert_eq!(unit.layers.len(), 3);
        assert_eq!(unit.layers[1].link as usize, frames[0].len());
        assert_eq!(unit.layers[1].payload - unit.layers[1].network, 28);

        let (flows, _) = cut(&frames, &Config { kind: Kind::Flow, ..Config::default() });
        assert_eq!(flows.len(), 2);
        assert_eq!(flows[0].bytes[..flows[0].filled], [&frames[0][..], &frames[2]].concat());
        assert_eq!(flows[1].sizes, [1]);
    }

    #[test]
    fn payload_alone_has_no_headers_and_may_be_empty() {
        let frames = [frame(9, false, b"abc"), frame(8, false, &[]), frame(9, true, b"d")];
        let config = Config { depth: Depth::Payload, ..Config::default() };
        let (units, count) = cut(&frames, &config);
        assert_eq!((units.len(), count.empty), (1, 1));
        assert_eq!(units[0].bytes[..5], *b"abcd\0");
        assert_eq!((units[0].filled, units[0].layers.len()), (4, 2));
        assert_eq!((units[0].layers[1].payload, units[0].layers[1].end), (3, 4));
    }

    #[test]
    fn the_papers_bytes_are_a_capture_file() {
        let frames = [frame(9, false, b"abc"), frame(9, true, b"d")];
        let config = Config { protocol: Protocol::Paper, ..Config::default() };
        let (units, _) = cut(&frames, &config);
        let len = frames[0].len() as u8;
        let mut file = vec![0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0];
        file.extend_from_slice(&[0, 0, 255, 255, 0, 0, 0, 1]);
        file.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, len, 0, 0, 0, len]);
        file.extend_from_slice(&frames[0]);
        // Half a second and seven microseconds.
        file.extend_from_slice(&[0, 0, 0, 0, 0, 7, 0xa1, 0x27]);
        file.extend_from_slice(&[0, 0, 0, len - 2, 0, 0, 0, len - 2]);
        file.extend_from_slice(&frames[1]);
        assert_eq!(units[0].bytes[..units[0].filled], file);
        assert_eq!((units[0].layers[0].record, units[0].layers[0].link), (24, 40));
    }

    #[test]
    fn files_that_are_equal_are_one_in_the_papers_protocol() {
        let config =
            Config { protocol: Protocol::Paper, depth: Depth::Payload, ..Config::default() };
        let frames = [frame(9, false, b"abc"), frame(8, false, b"abc"), frame(7, false, b"abd")];
        let (units, count) = cut(&frames, &config);
        assert_eq!((units.len(), count.duplicates, count.units), (2, 1, 2));
        let honest = Config { protocol: Protocol::Honest, ..config };
        assert_eq!(cut(&frames, &honest).0.len(), 3);
    }

    #[test]
    fn the_unit_silent_longest_makes_room() {
        let frames = [frame(9, false, b"a"), frame(8, false, b"b"), frame(9, true, b"c")];
        let frames = [&frames[..], &[frame(7, false, b"d"), frame(8, false, b"e")]].concat();
        let config = Config { open: 2, ..Config::default() };
        let (units, count) = cut(&frames, &config);
        assert_eq!((units.len(), count.evicted), (4, 2));
        let ports: Vec<u16> = units.iter().map(|unit| unit.ends[0].1).collect();
        assert_eq!(ports, [8, 9, 7, 8]);
        assert_eq!(units[1].packets, 2);
    }

    #[test]
    fn fragments_follow_the_first_one() {
        let ip = Ip::new([10, 0, 0, 1].into(), [203, 0, 113, 5].into());
        let mut datagram = vec![0, 9, 1, 187, 0, 88, 0, 0];
        datagram.extend_from_slice(&[7; 80]);
        let frames: Vec<Vec<u8>> = ip
            .fragments(17, &datagram, 40)
            .iter()
            .map(|fragment| {
                let mut frame = Vec::new();
                Ethernet::default().write(&mut frame, |out| out.extend_from_slice(fragment));
                frame
            })
            .collect();
        assert!(frames.len() > 1);
        let (units, count) = cut(&frames, &Config::default());
        assert_eq!((units.len(), count.outside), (1, 0));
        assert_eq!((units[0].ends[0].1, units[0].carried), (9, 80));
        let config = Config { protocol: Protocol::Paper, ..Config::default() };
        let (units, count) = cut(&frames, &config);
        assert_eq!((units[0].packets, count.outside), (1, frames.len() as u64 - 1));
    }

    #[test]
    fn packets_without_ports_are_flows_of_the_paper_only() {
        let ip = Ip::new([10, 0, 0, 1].into(), [203, 0, 113, 5].into());
        let mut ping = Vec::new();
        Ethernet::default().write(&mut ping, |out| ip.write(out, 1, |out| out.push(8)));
        let frames = [ping, vec![1, 2, 3]];
        let check = |kind, protocol, units: usize, outside: u64| {
            let (found, count) = cut(&frames, &Config { kind, protocol, ..Config::default() });
            assert_eq!((found.len(), count.outside, count.unreadable), (units, outside, 1));
        };
        check(Kind::Session, Protocol::Honest, 0, 1);
        check(Kind::Flow, Protocol::Honest, 0, 1);
        check(Kind::Session, Protocol::Paper, 0, 1);
        check(Kind::Flow, Protocol::Paper, 1, 0);
    }

    #[test]
    fn tcp_options_belong_to_the_transport_header() {
        let ip = Ip::new([10, 0, 0, 1].into(), [203, 0, 113, 5].into());
        let mut syn = Vec::new();
        let options = [2, 4, 5, 180];
        let segment = Segment { options: &options, ..Segment::default() };
        Ethernet::default().write(&mut syn, |out| ip.tcp(out, &segment, |out| out.push(1)));
        let (units, _) = cut(&[syn], &Config::default());
        let layers = units[0].layers[0];
        assert_eq!((layers.network, layers.transport, layers.payload), (14, 34, 58));
    }
}
