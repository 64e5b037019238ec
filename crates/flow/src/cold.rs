//! The parts of a flow that are not touched by every packet: they live as long as they are
//! needed, in slabs.

use std::num::NonZeroU32;
use std::ops::{Index, IndexMut};

use crate::chunked::Chunked;
use crate::dissector::Dissector;
use crate::fingerprint::Fingerprints;
use crate::key::Wide;
use crate::model::{Facts, Tunnel};
use crate::said::{Said, SharedText};
use crate::stream::Stream;

/// A time that is not known.
pub(crate) const UNKNOWN: u64 = u64::MAX;

pub(crate) fn known(nanos: u64) -> Option<u64> {
    (nanos != UNKNOWN).then_some(nanos)
}

/// What SYN, FIN and RST told.
pub(crate) struct Handshake {
    pub(crate) syn_fingerprint: Option<SharedText>,
    /// Round trip to the server in nanoseconds, or [`UNKNOWN`]; as long as the flow is `ASKED`,
    /// when the SYN came.
    pub(crate) server: u64,
    /// Round trip to the client in nanoseconds, or [`UNKNOWN`]; as long as the flow is
    /// `ANSWERED`, when the SYN/ACK came.
    pub(crate) client: u64,
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
            server: UNKNOWN,
            client: UNKNOWN,
            syn_sequence: [0; 2],
            syn: [0; 2],
            fin: [0; 2],
            rst: [0; 2],
        }
    }
}

impl Handshake {
    /// Reads some of each line of the core's cache that it lies in.
    pub(crate) fn touch(&self) -> u64 {
        self.server ^ self.client ^ u64::from(self.syn_sequence[0] ^ u32::from(self.rst[1]))
    }
}

/// First payload bytes that [`Detail`] has room for; where more are asked for, all lie in
/// [`Sampled`].
pub(crate) const HEAD: usize = 16;

/// First payload bytes by direction, and where the rest is that not all flows have.
#[derive(Default)]
pub(crate) struct Detail {
    heads: [[u8; HEAD]; 2],
    head_lens: [u8; 2],
    /// What dissectors learnt, if anything.
    pub(crate) facts: Option<Place>,
    pub(crate) carried: Option<Place>,
    pub(crate) tunnel: Option<Place>,
    pub(crate) sampled: Option<Place>,
}

const _: () = assert!(size_of::<Detail>() == 52);

impl Detail {
    /// As [`Handshake::touch`].
    pub(crate) fn touch(&self) -> u64 {
        let beside = self.tunnel.is_some() ^ self.sampled.is_some();
        u64::from(self.heads[0][0] ^ self.heads[1][0] ^ u8::from(beside))
    }

    /// First payload bytes of a direction.
    pub(crate) fn head(&self, d: usize) -> &[u8] {
        &self.heads[d][..usize::from(self.head_lens[d])]
    }

    /// Adds to them, as far as there is room.
    pub(crate) fn add_to_head(&mut self, d: usize, bytes: &[u8]) {
        let at = usize::from(self.head_lens[d]);
        let room = &mut self.heads[d][at..];
        let more = bytes.len().min(room.len());
        room[..more].copy_from_slice(&bytes[..more]);
        self.head_lens[d] += more as u8;
    }
}

/// What a flow's counters could not hold, in units of 2^32, by direction.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Carried {
    /// Packets, bytes and payload.
    pub(crate) counts: [[u32; 3]; 2],
    /// Bytes of the second under way.
    pub(crate) second: [u32; 2],
}

/// What studies ask for that learn from payload.
#[derive(Default)]
pub(crate) struct Sampled {
    pub(crate) bytes: Vec<u8>,
    pub(crate) sizes: Vec<i32>,
    pub(crate) gaps: Vec<i32>,
    /// First payload bytes by direction, where [`Detail`] has no room for them.
    pub(crate) heads: [Vec<u8>; 2],
}

/// What lives only while the flow is being read.
pub(crate) struct Live {
    /// Where its streams by direction are: TCP only.
    pub(crate) streams: Option<Place>,
    pub(crate) reader: Reader,
    /// A catalogue signature that media packets matched: media protocols are shared by many
    /// apps, whose own marks in them tell whose call it is.
    pub(crate) beside: Option<Box<dyn Dissector>>,
    /// Bytes that its streams hold.
    pub(crate) held: u32,
    /// Protocols whose dissectors gave up, bit by index: not asked again.
    pub(crate) refused: u32,
    /// Payload packets looked at.
    pub(crate) looked: u32,
}

impl Default for Live {
    fn default() -> Self {
        Live {
            streams: None,
            reader: Reader::Probing([0; 2]),
            beside: None,
            held: 0,
            refused: 0,
            looked: 0,
        }
    }
}

impl Live {
    /// As [`Handshake::touch`], and of the bytes that its streams hold.
    pub(crate) fn touch(&self, streams: &Slab<[Stream; 2]>) -> u64 {
        let streams = self.streams.iter().flat_map(|&place| &streams[place]);
        let held = streams.map(|stream| stream.unused().first().copied().unwrap_or(0));
        held.fold(u64::from(self.looked ^ self.held), |sum, byte| sum ^ u64::from(byte))
    }
}

/// Who reads the flow.
pub(crate) enum Reader {
    /// Nobody yet: by direction, which of [`crate::dissector::ALL`] said no (bit by index).
    Probing([u32; 2]),
    /// A dissector, with its index in [`crate::dissector::ALL`], or the session's
    /// `SIGNATURE_BIT` for a signature.
    Reading(Box<dyn Dissector>, u8),
}

/// Where something lies in a [`Slab`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(NonZeroU32);

impl Place {
    /// Its number, from which [`Place::of_number`] makes it again.
    pub(crate) fn number(self) -> u32 {
        self.0.get()
    }

    /// The place with this number.
    pub(crate) fn of_number(number: u32) -> Self {
        Place(NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN))
    }
}

/// Things of one kind side by side, found by number: four bytes in whoever owns one, and no
/// allocator asked, as flows come and go faster than one is asked gladly.
pub(crate) struct Slab<T> {
    /// The first is nobody's.
    things: Chunked<T>,
    free: Vec<Place>,
}

impl<T: Default> Slab<T> {
    /// A new thing.
    pub(crate) fn add(&mut self) -> Place {
        if let Some(place) = self.free.pop() {
            return place;
        }
        if self.things.is_empty() {
            self.things.push(T::default());
        }
        // The length is at least 1, and a worker's flows are numbered by 32 bits.
        let place = NonZeroU32::new(self.things.len() as u32).unwrap_or(NonZeroU32::MAX);
        self.things.push(T::default());
        Place(place)
    }

    /// What `place` says, made where it says nothing.
    pub(crate) fn own(&mut self, place: &mut Option<Place>) -> &mut T {
        let place = *place.get_or_insert_with(|| self.add());
        &mut self[place]
    }

    /// Takes a thing out for good.
    pub(crate) fn remove(&mut self, place: Place) -> T {
        self.free.push(place);
        std::mem::take(&mut self[place])
    }

    /// Bytes of the things that are owned, and `more` of each for what they point to.
    fn bytes(&self, more: usize) -> usize {
        (self.things.len().saturating_sub(1) - self.free.len()) * (size_of::<T>() + more)
    }
}

impl<T> Index<Place> for Slab<T> {
    type Output = T;

    fn index(&self, place: Place) -> &T {
        &self.things[place.0.get() as usize]
    }
}

impl<T> IndexMut<Place> for Slab<T> {
    fn index_mut(&mut self, place: Place) -> &mut T {
        &mut self.things[place.0.get() as usize]
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab { things: Chunked::default(), free: Vec::new() }
    }
}

/// What flows share.
#[derive(Default)]
pub(crate) struct Cold {
    /// Addresses of version 6.
    pub(crate) wide: Slab<Wide>,
    pub(crate) details: Slab<Detail>,
    pub(crate) facts: Slab<Facts>,
    pub(crate) carried: Slab<Carried>,
    pub(crate) tunnels: Slab<Option<Tunnel>>,
    pub(crate) sampled: Slab<Sampled>,
    pub(crate) handshakes: Slab<Handshake>,
    pub(crate) lives: Slab<Live>,
    pub(crate) streams: Slab<[Stream; 2]>,
    pub(crate) fingerprints: Fingerprints,
    pub(crate) said: Said,
}

impl Cold {
    /// Takes out what lived while a flow was being read. Its streams end here.
    pub(crate) fn let_go(&mut self, live: Place) -> Live {
        let live = self.lives.remove(live);
        if let Some(streams) = live.streams {
            self.streams.remove(streams);
        }
        live
    }

    /// Bytes of what flows hold beside their entries, about: names are some dozen bytes, and a
    /// reader is mostly a TLS handshake.
    pub(crate) fn bytes(&self) -> usize {
        self.wide.bytes(0)
            + self.details.bytes(0)
            + self.tunnels.bytes(0)
            + self.sampled.bytes(0)
            + self.facts.bytes(64)
            + self.handshakes.bytes(0)
            + self.lives.bytes(112)
            + self.streams.bytes(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_used_again_as_new() {
        let mut slab: Slab<Vec<u8>> = Slab::default();
        let (a, b) = (slab.add(), slab.add());
        slab[a].push(1);
        slab[b].push(2);
        assert_eq!(slab.bytes(0), 2 * size_of::<Vec<u8>>());
        assert_eq!(slab.remove(a), [1]);
        assert_eq!((slab.bytes(0), &slab[b][..]), (size_of::<Vec<u8>>(), &[2][..]));
        let mut owned = None;
        assert!(slab.own(&mut owned).is_empty());
        assert_eq!(owned, Some(a));
        slab.own(&mut owned).push(3);
        assert_eq!(slab[a], [3]);
    }
}
