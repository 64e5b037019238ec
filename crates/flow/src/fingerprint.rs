//! The TCP options of a SYN, from which the operating system of a device can be told.

use std::fmt;
use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use ottoscope_wire::packet::Packet;

use crate::said::SharedText;

/// Fingerprints remembered; devices have a handful each, and a hostile capture starts over.
const REMEMBERED: usize = 4096;

/// The fingerprints of a worker's flows: each text is made once and shared.
#[derive(Default)]
pub(crate) struct Fingerprints {
    known: HashTable<Known>,
    hash: RandomState,
}

/// A text and what it tells: one line of a core's cache.
struct Known {
    told: Told,
    text: SharedText,
}

const _: () = assert!(size_of::<Known>() == 64);

impl Fingerprints {
    /// The fingerprint of a SYN, see [`Told`].
    pub(crate) fn of(&mut self, packet: &Packet<'_>) -> SharedText {
        let told = Told::of(packet);
        let here = told.hash(&self.hash);
        if let Some(known) = self.known.find(here, |known| known.told == told) {
            return known.text.clone();
        }
        let text = SharedText::from(&*told.to_string());
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        let known = Known { told, text: text.clone() };
        self.known.insert_unique(here, known, |known| known.told.hash(&self.hash));
        text
    }
}

/// Most options: each takes one of the 40 bytes that TCP has for them (RFC 9293, 3.1).
const OPTIONS: usize = 40;

/// What of a SYN its fingerprint tells, and nothing that changes from one SYN of a device to the
/// next, as timestamps do. Shown as `ttl:window:mss:scale:options`: the time to live as seen,
/// window and MSS in bytes, window scale as its shift (each `*` where absent), and the option
/// kinds in order joined by `-` (2 MSS, 3 window scale, 4 SACK permitted, 8 timestamps, 1
/// padding; RFC 9293, 3.2).
#[derive(Clone, Copy, PartialEq, Eq)]
struct Told {
    ttl: u8,
    window: u16,
    mss: Option<u16>,
    scale: Option<u8>,
    count: u8,
    /// Kinds of options, zero behind the last.
    kinds: [u8; OPTIONS],
}

impl Told {
    fn of(packet: &Packet<'_>) -> Self {
        let mut told = Told {
            ttl: packet.ttl,
            window: packet.tcp.window,
            mss: None,
            scale: None,
            count: 0,
            kinds: [0; OPTIONS],
        };
        let mut rest = packet.tcp.options;
        while let Some((&kind, tail)) = rest.split_first() {
            let Some(next) = told.kinds.get_mut(usize::from(told.count)) else { break };
            *next = kind;
            told.count += 1;
            match kind {
                0 => break,
                1 => {
                    rest = tail;
                    continue;
                }
                _ => {}
            }
            let Some(&length) = tail.first() else { break };
            let Some(body) = rest.get(2..usize::from(length)) else { break };
            match (kind, body) {
                (2, [a, b]) => told.mss = Some(u16::from_be_bytes([*a, *b])),
                (3, [shift]) => told.scale = Some(*shift),
                _ => {}
            }
            rest = &rest[usize::from(length)..];
        }
        told
    }

    #[inline]
    fn hash(&self, state: &RandomState) -> u64 {
        let mut hasher = state.build_hasher();
        let number = |value: Option<u16>| value.map_or(0, |value| 1 << 16 | u64::from(value));
        let scale = self.scale.map(u16::from);
        hasher
            .write_u64(u64::from(self.ttl) | u64::from(self.window) << 8 | number(self.mss) << 24);
        hasher.write_u64(u64::from(self.count) | number(scale) << 8);
        let (words, _) = self.kinds.as_chunks::<8>();
        let used = usize::from(self.count).div_ceil(8);
        words[..used].iter().for_each(|word| hasher.write_u64(u64::from_le_bytes(*word)));
        hasher.finish()
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.ttl, self.window)?;
        for value in [self.mss, self.scale.map(u16::from)] {
            match value {
                Some(value) => write!(f, ":{value}")?,
                None => f.write_str(":*")?,
            }
        }
        for (i, kind) in self.kinds[..usize::from(self.count)].iter().enumerate() {
            write!(f, "{}{kind}", if i == 0 { ':' } else { '-' })?;
        }
        if self.count == 0 { f.write_str(":") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use ottoscope_wire::packet::Tcp;

    use super::*;

    fn with(ttl: u8, window: u16, options: &[u8]) -> Packet<'_> {
        let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Packet {
            source: nobody,
            destination: nobody,
            ip_protocol: 6,
            source_port: 1,
            destination_port: 2,
            tcp: Tcp { seq: 0, ack: 0, flags: Tcp::SYN, window, options },
            ttl,
            payload: &[],
            payload_len: 0,
            encapsulation: None,
            vlan: None,
        }
    }

    /// What a text tells is told apart, and nothing else: not values, nor what follows the end of
    /// the options.
    #[test]
    fn texts_are_shared_by_what_they_tell() {
        let same: [&[&[u8]]; 6] = [
            &[&[]],
            &[&[0], &[0, 7]],
            &[&[2, 4, 5, 180], &[2, 4, 5, 180]],
            &[&[2, 4, 5, 180, 0], &[2, 4, 5, 180, 0, 2, 4, 5]],
            &[&[2, 4, 5, 181]],
            &[
                &[2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 8],
                &[2, 4, 5, 180, 4, 2, 8, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 3, 3, 8],
            ],
        ];
        let mut fingerprints = Fingerprints::default();
        let mut texts = std::collections::BTreeSet::new();
        for (ttl, window) in [(64, 0), (65, 0), (64, 1), (64, 256)] {
            for options in same {
                let known = fingerprints.known.len();
                for options in options {
                    texts.insert(fingerprints.of(&with(ttl, window, options)).to_string());
                }
                assert_eq!(fingerprints.known.len(), known + 1);
            }
        }
        assert_eq!(texts.len(), 4 * same.len());
        assert!(texts.contains("64:256:1460:8:2-4-8-1-3"));
    }

    #[test]
    fn texts_are_as_documented() {
        let text =
            |options: &[u8]| Fingerprints::default().of(&with(128, 8192, options)).to_string();
        assert_eq!(text(&[]), "128:8192:*:*:");
        assert_eq!(text(&[2, 4, 5, 180, 1, 3, 3, 8, 1, 1, 4, 2]), "128:8192:1460:8:2-1-3-1-1-4");
        assert_eq!(text(&[3, 3, 14]), "128:8192:*:14:3");
        // Cut, of a wrong length, shorter than its own header, more than a header has room for.
        assert_eq!(text(&[2, 4, 5]), "128:8192:*:*:2");
        assert_eq!(text(&[2, 3, 5, 4, 2]), "128:8192:*:*:2-4");
        assert_eq!(text(&[8, 1, 4, 2]), "128:8192:*:*:8");
        assert_eq!(text(&[1; 50]).len(), "128:8192:*:*".len() + 2 * 40);
    }
}
