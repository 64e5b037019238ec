//! Rewrites who, where and when, so that what a model learned of them shows.
//!
//! Addresses and ports become others, the same one always the same other one, and all times move
//! by one span; checksums follow (RFC 1624), so that the packets stay valid. A model that scores
//! less on forged samples knew the hosts and not the traffic. Addresses that applications write
//! into their payload stay, and so do broadcast and multicast ones.

use serde::{Deserialize, Serialize};

use crate::Samples;
use crate::engine::random::mix;
use crate::layers::{Layers, Layout, be16, be32};

/// Ports by which tunnels are known (IANA): GTP-U, Teredo, VXLAN twice, Geneve. Whoever reads
/// packets looks for them.
const TUNNELS: [u16; 5] = [2152, 3544, 4789, 8472, 6081];

/// What is rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forge {
    /// Which other address or port each becomes.
    pub key: u64,
    /// IP and Ethernet addresses.
    pub addresses: bool,
    /// Ports.
    pub ports: bool,
    /// Capture times, by one to four years.
    pub times: bool,
}

impl Forge {
    /// All of it.
    pub fn all(key: u64) -> Self {
        Forge { key, addresses: true, ports: true, times: true }
    }

    /// Seconds by which times move; 0 where they stay.
    pub fn shift(&self) -> u32 {
        const YEAR: u64 = 365 * 86_400;
        if self.times { (YEAR + mix(self.key) % (3 * YEAR)) as u32 } else { 0 }
    }

    /// The same samples, forged. Features stay: sizes and gaps are not who, where or when.
    #[must_use]
    pub fn samples(&self, samples: &Samples) -> Samples {
        let mut forged = samples.clone();
        let width = forged.data.width.max(1);
        for (sample, layout) in forged.data.bytes.chunks_exact_mut(width).zip(&samples.layouts) {
            self.sample(sample, layout);
        }
        forged
    }

    /// Forges one sample in place.
    pub fn sample(&self, sample: &mut [u8], layout: &Layout) {
        for layers in &layout.packets {
            if self.times && layers.link > layers.record {
                let at = layers.record as usize;
                if let Some(seconds) = be32(sample, at) {
                    put(sample, at, &seconds.wrapping_add(self.shift()).to_be_bytes());
                }
            }
            self.packet(sample, layers);
        }
    }

    /// Forges one packet in place, wherever it lies in `bytes`.
    pub fn packet(&self, bytes: &mut [u8], layers: &Layers) {
        // Headers may claim more than the packet has; what follows it is not its own.
        let end = bytes.len().min(layers.end as usize);
        let bytes = &mut bytes[..end];
        let [link, network, transport, payload] =
            [layers.link, layers.network, layers.transport, layers.payload].map(|at| at as usize);
        if self.addresses
            && network >= link + 14
            && matches!(be16(bytes, link + 12), Some(0x0800 | 0x86dd | 0x8100))
        {
            self.hardware(bytes, link);
            self.hardware(bytes, link + 6);
        }
        let mut changed = Sum::default();
        if self.addresses && network < transport {
            match bytes.get(network).map(|first| first >> 4) {
                Some(4) => {
                    for at in [network + 12, network + 16] {
                        if let Some(address) = be32(bytes, at) {
                            let other = self.v4(address).to_be_bytes();
                            changed.replace(bytes, at, &other);
                        }
                    }
                    changed.apply(bytes, network + 10, false);
                }
                Some(6) => {
                    for at in [network + 8, network + 24] {
                        let Some(address) = bytes.get(at..at + 16).and_then(|a| a.first_chunk())
                        else {
                            continue;
                        };
                        let other = self.v6(*address);
                        changed.replace(bytes, at, &other);
                    }
                }
                _ => {}
            }
        }
        let checksum = match layers.protocol {
            6 if payload >= transport + 20 => Some(transport + 16),
            17 if payload >= transport + 8 => Some(transport + 6),
            132 if payload >= transport + 12 => None, // covers no addresses, and is no sum
            _ => return,
        };
        if self.ports {
            for at in [transport, transport + 2] {
                if let Some(port) = be16(bytes, at) {
                    changed.replace(bytes, at, &self.port(port).to_be_bytes());
                }
            }
        }
        if let Some(at) = checksum {
            changed.apply(bytes, at, layers.protocol == 17);
        }
    }

    fn hardware(&self, bytes: &mut [u8], at: usize) {
        if let Some(address) = bytes.get(at..at + 6).and_then(|a| a.first_chunk::<6>()) {
            let other = self.ethernet(*address);
            put(bytes, at, &other);
        }
    }

    /// Another Ethernet address of the same manufacturer's kind: only the lower 40 bits change.
    /// One that means many stays.
    pub fn ethernet(&self, address: [u8; 6]) -> [u8; 6] {
        if address[0] & 1 == 1 {
            return address;
        }
        let mut other = address;
        // Two words and a byte, each one to one.
        for at in [1, 3] {
            let word = u16::from_be_bytes([address[at], address[at + 1]]);
            let [high, low] = feistel(word, self.key ^ (at as u64) << 48).to_be_bytes();
            (other[at], other[at + 1]) = (high, low);
        }
        other[5] ^= mix(self.key ^ 5) as u8;
        other
    }

    /// Another IPv4 address: a bijection, so that no two become one. Those that mean this host or
    /// many stay.
    pub fn v4(&self, address: u32) -> u32 {
        if address == 0 || address >= 0xe000_0000 {
            return address; // this host, to many
        }
        // Walking the cycle stays among addresses of single hosts.
        let mut other = address;
        loop {
            other = scatter(other, self.key);
            if other != 0 && other < 0xe000_0000 {
                return other;
            }
        }
    }

    /// Another IPv6 address, likewise; neighbours stay neighbours.
    pub fn v6(&self, address: [u8; 16]) -> [u8; 16] {
        if address[0] == 0xff || address == [0; 16] {
            return address;
        }
        let mut other = address;
        // The first two bytes keep the kind: global, local to a link, unique local.
        for at in (2..16).step_by(2) {
            let word = u16::from_be_bytes([address[at], address[at + 1]]);
            let [high, low] = feistel(word, self.key ^ (at as u64) << 56).to_be_bytes();
            (other[at], other[at + 1]) = (high, low);
        }
        other
    }

    /// Another port, likewise; 0 stays, and so do ports that tell a tunnel.
    pub fn port(&self, port: u16) -> u16 {
        if port == 0 || TUNNELS.contains(&port) {
            return port;
        }
        let mut other = port;
        loop {
            other = feistel_above_zero(other, mix(self.key));
            if !TUNNELS.contains(&other) {
                return other;
            }
        }
    }
}

/// An invertible mix of 32 bits under a key.
fn scatter(value: u32, key: u64) -> u32 {
    let mut v = value ^ key as u32;
    v ^= v >> 16;
    v = v.wrapping_mul(0x7feb_352d);
    v ^= v >> 15;
    v = v.wrapping_mul(0x846c_a68b);
    v ^= v >> 16;
    v ^ (key >> 32) as u32
}

/// A bijection of 16 bits: four rounds over halves.
fn feistel(value: u16, key: u64) -> u16 {
    let [mut left, mut right] = value.to_be_bytes();
    for round in 0..4 {
        let mixed = mix(key ^ u64::from(right) << 8 ^ round) as u8;
        (left, right) = (right, left ^ mixed);
    }
    u16::from_be_bytes([left, right])
}

/// The same over all values but 0.
fn feistel_above_zero(value: u16, key: u64) -> u16 {
    let other = feistel(value, key);
    // What would become 0 takes the place that 0 would go to.
    if other == 0 { feistel(0, key) } else { other }
}

fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + what.len()) {
        place.copy_from_slice(what);
    }
}

/// What replaced words do to an Internet checksum over them (RFC 1624, 3).
#[derive(Default, Clone, Copy)]
struct Sum(u32);

impl Sum {
    /// Replaces words at an even distance from the start of what is summed.
    fn replace(&mut self, bytes: &mut [u8], at: usize, new: &[u8]) {
        let Some(old) = bytes.get_mut(at..at + new.len()) else { return };
        for (old, new) in old.chunks_exact(2).zip(new.chunks_exact(2)) {
            let [old, new] = [old, new].map(|word| u16::from_be_bytes([word[0], word[1]]));
            self.0 += u32::from(!old) + u32::from(new);
        }
        old.copy_from_slice(new);
    }

    /// Corrects the checksum at `at`; of UDP, 0 means that there is none (RFC 768).
    fn apply(self, bytes: &mut [u8], at: usize, udp: bool) {
        let Some(old) = be16(bytes, at) else { return };
        if udp && old == 0 {
            return;
        }
        let mut sum = u32::from(!old) + self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        let new = match !(sum as u16) {
            0 if udp => 0xffff,
            new => new,
        };
        put(bytes, at, &new.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::masks::{Field, fields};
    use crate::testing::linked;

    fn sum(words: &[&[u8]]) -> u16 {
        let mut sum = 0u32;
        for bytes in words {
            for word in bytes.chunks(2) {
                sum += u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0));
            }
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    /// A UDP or TCP packet with right checksums.
    fn packet(v6: bool, tcp: bool, payload: &[u8]) -> (Vec<u8>, Layers) {
        let protocol = if tcp { 6 } else { 17 };
        let mut segment = vec![0xc3, 0x50, 1, 187];
        if tcp {
            segment.extend_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8, 0x50, 0x18, 1, 1, 0, 0, 0, 0]);
        } else {
            segment.extend_from_slice(&[0, 8 + payload.len() as u8, 0, 0]);
        }
        let header = segment.len();
        segment.extend_from_slice(payload);
        let len = segment.len() as u8;
        let (mut ip, addresses) = if v6 {
            let mut ip = vec![0x60, 0, 0, 0, 0, len, protocol, 64];
            ip.extend_from_slice(&[0xfd, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
            ip.extend_from_slice(&[0x20, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15]);
            let addresses = ip[8..].to_vec();
            (ip, addresses)
        } else {
            let mut ip = vec![0x45, 0, 0, 20 + len, 9, 9, 0, 0, 64, protocol, 0, 0];
            ip.extend_from_slice(&[10, 0, 0, 1, 203, 0, 113, 5]);
            let checksum = sum(&[&ip]).to_be_bytes();
            ip[10..12].copy_from_slice(&checksum);
            let addresses = ip[12..].to_vec();
            (ip, addresses)
        };
        let checksum = sum(&[&addresses, &[0, protocol, 0, len], &segment]).to_be_bytes();
        let at = if tcp { 16 } else { 6 };
        segment[at..at + 2].copy_from_slice(&checksum);
        let transport = ip.len() as u32;
        ip.extend(segment);
        let end = ip.len() as u32;
        let payload = transport + header as u32;
        let layers =
            Layers { transport, payload, trailer: end, end, protocol, ..Layers::default() };
        (ip, layers)
    }

    fn check(bytes: &[u8], layers: &Layers) -> (u16, u16) {
        let transport = layers.transport as usize;
        let addresses = &bytes[if transport == 40 { 8..40 } else { 12..20 }];
        let segment = &bytes[transport..];
        let pseudo = [0, layers.protocol, 0, segment.len() as u8];
        let ip = if transport == 40 { 0 } else { sum(&[&bytes[..transport]]) };
        (ip, sum(&[addresses, &pseudo, segment]))
    }

    proptest! {
        /// Checksums that were right stay right, the payload stays, addresses and ports do not.
        #[test]
        fn packets_stay_valid(
            v6: bool, tcp: bool, key: u64, payload in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let (mut bytes, layers) = packet(v6, tcp, &payload);
            prop_assert_eq!(check(&bytes, &layers), (0, 0));
            let before = bytes.clone();
            Forge::all(key).packet(&mut bytes, &layers);
            prop_assert_eq!(check(&bytes, &layers), (0, 0));
            prop_assert_eq!(&bytes[layers.payload as usize..], &payload[..]);
            prop_assert_ne!(&bytes[..layers.transport as usize], &before[..layers.transport as usize]);
        }

        /// Different things stay different: nothing is forged into one.
        #[test]
        fn forging_is_one_to_one(key: u64, a: u32, b: u32, p: u16, q: u16) {
            let forge = Forge::all(key);
            prop_assert_eq!(a == b, forge.v4(a) == forge.v4(b));
            prop_assert_eq!(p == q, forge.port(p) == forge.port(q));
            let wide = |a: u32| [0, 0, a.to_be_bytes()[0], a.to_be_bytes()[1], a as u8, 7];
            prop_assert_eq!(wide(a) == wide(b), forge.ethernet(wide(a)) == forge.ethernet(wide(b)));
        }
    }

    #[test]
    fn only_who_where_and_when_change() {
        let samples = linked(4);
        let forged = Forge::all(5).samples(&samples);
        for row in 0..4 {
            let (before, after) = (samples.data.sample(row), forged.data.sample(row));
            let fields = fields(before, &samples.layouts[row]);
            for at in 0..784 {
                let may = matches!(
                    fields[at],
                    Field::Time
                        | Field::Link
                        | Field::Addresses
                        | Field::Ports
                        | Field::IpChecksum
                        | Field::TransportChecksum
                );
                assert!(before[at] == after[at] || may, "{at} {:?}", fields[at]);
            }
        }
        // The same host is the same other host in every sample.
        assert_eq!(forged.data.sample(0)[70..74], forged.data.sample(2)[70..74]);
        assert_ne!(samples.data.sample(0)[70..74], forged.data.sample(0)[70..74]);
    }
}
