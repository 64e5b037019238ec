//! The parts of a flow that are not touched by every packet: boxes that live as long as they are
//! needed, and are used again.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::dissector::Dissector;
use crate::dissector::hellos::Hellos;
use crate::fingerprint::Fingerprints;
use crate::model::{Facts, Tunnel};
use crate::stream::Stream;
use crate::time::Timestamp;

/// A time that is not known.
pub(crate) const UNKNOWN: u64 = u64::MAX;

pub(crate) fn known(nanos: u64) -> Option<u64> {
    (nanos != UNKNOWN).then_some(nanos)
}

/// What SYN, FIN and RST told.
pub(crate) struct Handshake {
    pub(crate) syn_fingerprint: Option<Arc<str>>,
    /// Times of a SYN and a SYN/ACK that wait for their answer, valid with `ASKED` and `ANSWERED`.
    pub(crate) syn_at: Timestamp,
    pub(crate) syn_ack_at: Timestamp,
    /// Round trips in nanoseconds, or [`UNKNOWN`].
    pub(crate) rtt_server: u64,
    pub(crate) rtt_client: u64,
    /// Sequence number of a SYN by direction, valid with `SYN`.
    pub(crate) syn_sequence: [u32; 2],
    pub(crate) syn: [u16; 2],
    pub(crate) fin: [u16; 2],
    pub(crate) rst: [u16; 2],
}

impl Default for Handshake {
    fn default() -> Self {
        Handshake {
            syn_fingerprint: None,
            syn_at: Timestamp(0),
            syn_ack_at: Timestamp(0),
            rtt_server: UNKNOWN,
            rtt_client: UNKNOWN,
            syn_sequence: [0; 2],
            syn: [0; 2],
            fin: [0; 2],
            rst: [0; 2],
        }
    }
}

/// What payload told, and the tunnel; used again by other flows.
#[derive(Default)]
pub(crate) struct Detail {
    pub(crate) facts: Facts,
    pub(crate) heads: [SmallVec<[u8; 16]>; 2],
    pub(crate) tunnel: Option<Box<Tunnel>>,
    pub(crate) sampled: Option<Box<Sampled>>,
}

/// What studies ask for that learn from payload.
#[derive(Default)]
pub(crate) struct Sampled {
    pub(crate) bytes: Vec<u8>,
    pub(crate) sizes: Vec<i32>,
}

/// What lives only while the flow is being read; used again by other flows.
pub(crate) struct Live {
    /// TCP only.
    pub(crate) streams: Option<Box<[Stream; 2]>>,
    pub(crate) reader: Reader,
    /// Protocols whose dissectors gave up, bit by index: not asked again.
    pub(crate) refused: u64,
    /// A catalogue signature that media packets matched: media protocols are shared by many
    /// apps, whose own marks in them tell whose call it is.
    pub(crate) beside: Option<Box<dyn Dissector>>,
    /// Payload packets looked at.
    pub(crate) looked: u32,
    /// Bytes that its streams hold.
    pub(crate) held: usize,
}

impl Default for Live {
    fn default() -> Self {
        Live {
            streams: None,
            reader: Reader::Probing([0; 2]),
            refused: 0,
            beside: None,
            looked: 0,
            held: 0,
        }
    }
}

/// What a pool's boxes hold.
pub(crate) trait Clear: Default {
    /// As new.
    fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Clear for Handshake {}
impl Clear for Detail {}

impl Clear for Live {
    /// As new, with the memory of its streams.
    fn clear(&mut self) {
        let mut streams = self.streams.take();
        for stream in streams.iter_mut().flat_map(|s| s.iter_mut()) {
            stream.clear();
        }
        *self = Live { streams, ..Live::default() };
    }
}

/// Who reads the flow.
pub(crate) enum Reader {
    /// Nobody yet: by direction, which of [`crate::dissector::ALL`] said no (bit by index).
    Probing([u64; 2]),
    /// A dissector, with its index in [`crate::dissector::ALL`], or the session's
    /// `SIGNATURE_BIT` for a signature.
    Reading(Box<dyn Dissector>, usize),
}

/// Boxes kept for being used again.
const POOLED: usize = 4096;

/// Boxes to use again: flows come and go faster than an allocator is asked gladly.
pub(crate) struct Pool<T> {
    #[allow(clippy::vec_box)] // what flows hold are boxes
    kept: Vec<Box<T>>,
    /// Boxes that flows hold.
    out: usize,
}

impl<T: Clear> Pool<T> {
    /// An empty box.
    #[allow(clippy::unnecessary_box_returns)] // the box is what is used again
    pub(crate) fn take(&mut self) -> Box<T> {
        self.out += 1;
        self.kept.pop().unwrap_or_default()
    }

    /// Takes a box back; what it holds goes.
    pub(crate) fn give(&mut self, mut one: Box<T>) {
        self.out -= 1;
        if self.kept.len() < POOLED {
            one.clear();
            self.kept.push(one);
        }
    }

    /// Bytes of the boxes that flows hold, and `more` of each for what they point to.
    fn bytes(&self, more: usize) -> usize {
        self.out * (size_of::<T>() + more)
    }
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool { kept: Vec::new(), out: 0 }
    }
}

/// What flows share: boxes to use again, and texts that many have.
#[derive(Default)]
pub(crate) struct Cold {
    pub(crate) details: Pool<Detail>,
    pub(crate) handshakes: Pool<Handshake>,
    pub(crate) lives: Pool<Live>,
    pub(crate) fingerprints: Fingerprints,
    pub(crate) hellos: Hellos,
}

impl Cold {
    /// Bytes of what flows hold beside their entries, about: names and fingerprints are some
    /// hundred bytes, and a reader is mostly two streams and a TLS handshake.
    pub(crate) fn bytes(&self) -> usize {
        self.details.bytes(112) + self.handshakes.bytes(16) + self.lives.bytes(288)
    }

    /// The flow's cold part.
    pub(crate) fn detail<'a>(&mut self, place: &'a mut Option<Box<Detail>>) -> &'a mut Detail {
        place.get_or_insert_with(|| self.details.take())
    }

    pub(crate) fn handshake<'a>(
        &mut self,
        place: &'a mut Option<Box<Handshake>>,
    ) -> &'a mut Handshake {
        place.get_or_insert_with(|| self.handshakes.take())
    }
}
