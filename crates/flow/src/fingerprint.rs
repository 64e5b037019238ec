//! The TCP options of a SYN, from which the operating system of a device can be told.

use std::fmt::Write;
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

/// Most words of options: TCP has room for 40 bytes (RFC 9293, 3.1).
const OPTIONS: usize = 5;

/// A text and what it is made of: one line of a core's cache.
struct Known {
    made_of: Origin,
    text: SharedText,
}

/// Time to live, window, length of the options, and the options themselves.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Origin([u64; 1 + OPTIONS]);

impl Origin {
    /// `None` for options that no header has room for.
    #[inline]
    fn of(packet: &Packet<'_>) -> Option<Self> {
        let options = packet.tcp.options;
        let mut bytes = [0; 8 * OPTIONS];
        bytes.get_mut(..options.len())?.copy_from_slice(options);
        let mut words = [0; 1 + OPTIONS];
        words[0] = u64::from(packet.ttl)
            | (options.len() as u64) << 8
            | u64::from(packet.tcp.window) << 16;
        let (chunks, _) = bytes.as_chunks::<8>();
        for (word, chunk) in words[1..].iter_mut().zip(chunks) {
            *word = u64::from_le_bytes(*chunk);
        }
        Some(Origin(words))
    }

    #[inline]
    fn hash(&self, state: &RandomState) -> u64 {
        let mut hasher = state.build_hasher();
        self.0.iter().for_each(|&word| hasher.write_u64(word));
        hasher.finish()
    }
}

impl Fingerprints {
    /// The fingerprint of a SYN, see [`syn`].
    pub(crate) fn of(&mut self, packet: &Packet<'_>) -> SharedText {
        let Some(made_of) = Origin::of(packet) else { return (&*syn(packet)).into() };
        let here = made_of.hash(&self.hash);
        if let Some(known) = self.known.find(here, |known| known.made_of == made_of) {
            return known.text.clone();
        }
        let text = SharedText::from(&*syn(packet));
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        let known = Known { made_of, text: text.clone() };
        self.known.insert_unique(here, known, |known| known.made_of.hash(&self.hash));
        text
    }
}

/// `ttl:window:mss:scale:options` of a SYN: the time to live as seen, window and MSS in bytes,
/// window scale as its shift (each `*` where absent), and the option kinds in order joined by
/// `-` (2 MSS, 3 window scale, 4 SACK permitted, 8 timestamps, 1 padding; RFC 9293, 3.2).
fn syn(packet: &Packet<'_>) -> String {
    let mut mss = None;
    let mut scale = None;
    let mut kinds = String::new();
    let mut rest = packet.tcp.options;
    while let Some((&kind, tail)) = rest.split_first() {
        if !kinds.is_empty() {
            kinds.push('-');
        }
        let _ = write!(kinds, "{kind}");
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
            (2, [a, b]) => mss = Some(u16::from_be_bytes([*a, *b])),
            (3, [shift]) => scale = Some(*shift),
            _ => {}
        }
        rest = &rest[usize::from(length)..];
    }
    let star = |value: Option<u16>| value.map_or("*".to_owned(), |v| v.to_string());
    format!(
        "{}:{}:{}:{}:{kinds}",
        packet.ttl,
        packet.tcp.window,
        star(mss),
        star(scale.map(u16::from))
    )
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

    /// What differs by one field, by length, or behind the end of the options is told apart.
    #[test]
    fn what_is_remembered_is_what_would_be_made() {
        let options: [&[u8]; 8] = [
            &[],
            &[0],
            &[0, 0],
            &[2, 4, 5, 180],
            &[2, 4, 5, 180, 0],
            &[2, 4, 5, 181],
            &[1; 40],
            &[1; 41],
        ];
        let mut fingerprints = Fingerprints::default();
        for _ in 0..2 {
            for options in options {
                for (ttl, window) in [(64, 0), (65, 0), (64, 1), (64, 256)] {
                    let packet = with(ttl, window, options);
                    assert_eq!(*fingerprints.of(&packet), *syn(&packet));
                }
            }
        }
        assert_eq!(fingerprints.known.len(), 7 * 4, "41 bytes have no place in a header");
    }
}
