//! The TCP options of a SYN, from which the operating system of a device can be told.

use std::fmt::Write;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use ottoscope_wire::packet::Packet;

/// Fingerprints remembered; devices have a handful each, and a hostile capture starts over.
const REMEMBERED: usize = 4096;

/// The fingerprints of a worker's flows: each text is made once and shared.
#[derive(Default)]
pub(crate) struct Fingerprints {
    known: HashTable<Known>,
    hash: RandomState,
}

/// A text and what it is made of.
struct Known {
    ttl: u8,
    window: u16,
    options: Box<[u8]>,
    text: Arc<str>,
}

impl Fingerprints {
    /// The fingerprint of a SYN, see [`syn`].
    pub(crate) fn of(&mut self, packet: &Packet<'_>) -> Arc<str> {
        let Packet { ttl, tcp, .. } = *packet;
        let hash =
            |ttl: u8, window: u16, options: &[u8]| self.hash.hash_one((ttl, window, options));
        let is_it =
            |k: &Known| k.ttl == ttl && k.window == tcp.window && *k.options == *tcp.options;
        let here = hash(ttl, tcp.window, tcp.options);
        if let Some(known) = self.known.find(here, is_it) {
            return Arc::clone(&known.text);
        }
        let text: Arc<str> = syn(packet).into();
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        let options = tcp.options.into();
        let known = Known { ttl, window: tcp.window, options, text: Arc::clone(&text) };
        self.known.insert_unique(here, known, |k| hash(k.ttl, k.window, &k.options));
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
