//! One direction of a TCP connection put back in order, as far as a dissector needs it.
//!
//! Bytes are counted from the first one seen. What arrives in order is handed on without a
//! copy; only what came early, or was not used yet, is kept. The first copy of a byte wins, as
//! most receivers do it, so that a later overlap cannot rewrite what was read.

use std::collections::BTreeMap;

/// Segments kept ahead of a hole.
const EARLY_SEGMENTS: usize = 128;

/// What the stream asks its reader to take.
pub(crate) enum Piece<'a> {
    /// In-order bytes: all that is unused so far.
    Bytes(&'a [u8]),
    /// This many bytes will not come; unused bytes before the hole are gone too.
    Gap(u64),
}

/// What the reader answers.
pub(crate) enum Taken {
    /// This many bytes were used.
    Used(usize),
    /// The stream is not wanted any more.
    Stop,
}

/// One direction's reassembly. Sixteen bytes as long as everything comes in order and is used.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// Sequence number of the next byte in order, once known.
    next: u32,
    known: bool,
    held: Option<Box<Held>>,
}

/// Bytes that wait.
#[derive(Debug, Default)]
struct Held {
    /// In-order bytes that the reader has not used.
    unused: Vec<u8>,
    /// What came too early; few streams ever have any.
    early: Option<Box<Early>>,
}

/// Bytes that came before those in front of them.
#[derive(Debug, Default)]
struct Early {
    /// By offset; never overlapping, never empty.
    pieces: BTreeMap<u64, Vec<u8>>,
    bytes: usize,
    /// Offset of the next byte in order, from where it was when the first of these came.
    next: u64,
}

impl Early {
    /// Offset of the first of the bytes.
    fn first(&self) -> Option<u64> {
        self.pieces.first_key_value().map(|(&first, _)| first)
    }
}

impl Stream {
    /// Starts at the byte after a SYN.
    pub(crate) fn start(&mut self, sequence: u32) {
        if !self.known {
            (self.next, self.known) = (sequence, true);
        }
    }

    /// Bytes held.
    pub(crate) fn held(&self) -> usize {
        self.held.as_ref().map_or(0, |held| {
            held.unused.len() + held.early.as_ref().map_or(0, |early| early.bytes)
        })
    }

    /// Whether bytes wait for others in front of them.
    pub(crate) fn has_hole(&self) -> bool {
        self.early().is_some()
    }

    fn early(&self) -> Option<&Early> {
        self.held.as_deref()?.early.as_deref()
    }

    fn early_mut(&mut self) -> Option<&mut Early> {
        self.held.as_deref_mut()?.early.as_deref_mut()
    }

    /// The unused in-order bytes.
    pub(crate) fn unused(&self) -> &[u8] {
        self.held.as_deref().map_or(&[], |held| &held.unused)
    }

    /// The next byte in order is this much farther.
    fn advance(&mut self, bytes: u64) {
        self.next = self.next.wrapping_add(bytes as u32);
        if let Some(early) = self.early_mut() {
            early.next += bytes;
        }
    }

    /// Keeps in-order bytes that were not used.
    fn keep(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.held.get_or_insert_default().unused.extend_from_slice(bytes);
        }
    }

    /// Forgets the first unused bytes.
    fn forget(&mut self, bytes: usize) {
        if let Some(held) = &mut self.held {
            held.unused.drain(..bytes.min(held.unused.len()));
            if held.unused.is_empty() && held.early.is_none() {
                self.held = None;
            }
        }
    }

    /// Takes a segment of `wire_len` payload bytes of which `bytes` were captured, holding at
    /// most `limit` bytes. `read` is called with whatever is in order then.
    pub(crate) fn segment(
        &mut self,
        sequence: u32,
        bytes: &[u8],
        wire_len: usize,
        limit: usize,
        read: &mut dyn FnMut(Piece<'_>) -> Taken,
    ) -> Taken {
        self.start(sequence);
        // Distance from the next byte, by the shorter way round the sequence space.
        let ahead = i64::from(sequence.wrapping_sub(self.next) as i32);
        if ahead + (wire_len as i64) <= 0 {
            return Taken::Used(0);
        }
        if ahead <= 0 {
            let skip = (-ahead) as usize;
            let fresh = bytes.get(skip..).unwrap_or(&[]);
            if let Taken::Stop = self.in_order(fresh, limit, read) {
                return Taken::Stop;
            }
            // The snapshot length cut the segment: the rest will not come.
            let cut = wire_len - skip.max(bytes.len()).min(wire_len);
            if cut > 0
                && let Taken::Stop = self.gap(cut as u64, read)
            {
                return Taken::Stop;
            }
        } else {
            self.keep_early(ahead as u64, bytes);
            if self.early().is_some_and(|e| e.bytes > limit || e.pieces.len() > EARLY_SEGMENTS) {
                return self.skip_hole(limit, read);
            }
            return Taken::Used(0);
        }
        self.drain_early(limit, read)
    }

    /// The other side acknowledged everything up to `acknowledged`: a hole before it was lost
    /// to the capture, not to the receiver.
    pub(crate) fn acknowledged(
        &mut self,
        acknowledged: u32,
        limit: usize,
        read: &mut dyn FnMut(Piece<'_>) -> Taken,
    ) -> Taken {
        let Some((early, first)) = self.early().and_then(|early| Some((early, early.first()?)))
        else {
            return Taken::Used(0);
        };
        let hole_end = self.next.wrapping_add((first - early.next) as u32);
        if (acknowledged.wrapping_sub(hole_end) as i32) >= 0 {
            return self.skip_hole(limit, read);
        }
        Taken::Used(0)
    }

    /// Offers what was left unused again, to another reader.
    pub(crate) fn again(&mut self, read: &mut dyn FnMut(Piece<'_>) -> Taken) -> Taken {
        if self.unused().is_empty() {
            return Taken::Used(0);
        }
        let taken = read(Piece::Bytes(self.unused()));
        if let Taken::Used(n) = taken {
            self.forget(n);
        }
        taken
    }

    fn in_order(
        &mut self,
        fresh: &[u8],
        limit: usize,
        read: &mut dyn FnMut(Piece<'_>) -> Taken,
    ) -> Taken {
        if fresh.is_empty() {
            return Taken::Used(0);
        }
        self.advance(fresh.len() as u64);
        if self.unused().is_empty() {
            match read(Piece::Bytes(fresh)) {
                Taken::Stop => return Taken::Stop,
                Taken::Used(n) => self.keep(fresh.get(n..).unwrap_or(&[])),
            }
        } else {
            self.keep(fresh);
            if let Taken::Stop = self.again(read) {
                return Taken::Stop;
            }
        }
        if self.unused().len() > limit {
            // The reader wants more than it may have.
            return Taken::Stop;
        }
        Taken::Used(0)
    }

    fn gap(&mut self, missing: u64, read: &mut dyn FnMut(Piece<'_>) -> Taken) -> Taken {
        self.advance(missing);
        let lost = self.unused().len();
        self.forget(lost);
        read(Piece::Gap(missing + lost as u64))
    }

    fn skip_hole(&mut self, limit: usize, read: &mut dyn FnMut(Piece<'_>) -> Taken) -> Taken {
        if let Some(early) = self.early()
            && let Some(missing) = early.first().and_then(|first| first.checked_sub(early.next))
            && missing > 0
            && let Taken::Stop = self.gap(missing, read)
        {
            return Taken::Stop;
        }
        self.drain_early(limit, read)
    }

    fn drain_early(&mut self, limit: usize, read: &mut dyn FnMut(Piece<'_>) -> Taken) -> Taken {
        while let Some(early) = self.early_mut() {
            let Some(entry) = early.pieces.first_entry() else { break };
            let offset = *entry.key();
            if offset > early.next {
                return Taken::Used(0);
            }
            let skip = (early.next - offset) as usize;
            let bytes = entry.remove();
            early.bytes -= bytes.len();
            let fresh = bytes.get(skip..).unwrap_or(&[]);
            if let Taken::Stop = self.in_order(fresh, limit, read) {
                return Taken::Stop;
            }
        }
        if let Some(held) = &mut self.held {
            held.early = None;
            self.forget(0);
        }
        Taken::Used(0)
    }

    /// Keeps the parts of `bytes`, so much ahead of the next in order, that no earlier segment
    /// holds.
    fn keep_early(&mut self, ahead: u64, mut bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let early = self.held.get_or_insert_default().early.get_or_insert_default();
        let mut offset = early.next + ahead;
        while !bytes.is_empty() {
            if let Some((&start, held)) = early.pieces.range(..=offset).next_back() {
                let end = start + held.len() as u64;
                if end > offset {
                    let skip = ((end - offset) as usize).min(bytes.len());
                    bytes = &bytes[skip..];
                    offset += skip as u64;
                    continue;
                }
            }
            let room = match early.pieces.range(offset..).next() {
                Some((&start, _)) => ((start - offset) as usize).min(bytes.len()),
                None => bytes.len(),
            };
            early.pieces.insert(offset, bytes[..room].to_vec());
            early.bytes += room;
            bytes = &bytes[room..];
            offset += room as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds segments (offset, length) of a counting byte pattern and returns what was read,
    /// `None` standing for a gap.
    fn read(base: u32, segments: &[(u32, usize)], limit: usize) -> (Vec<u8>, Vec<u64>) {
        let data: Vec<u8> = (0..100_000u32).map(|i| (i % 251) as u8).collect();
        let mut stream = Stream::default();
        stream.start(base);
        let (mut out, mut gaps) = (Vec::new(), Vec::new());
        for &(offset, len) in segments {
            let bytes = &data[offset as usize..offset as usize + len];
            stream.segment(
                base.wrapping_add(offset),
                bytes,
                len,
                limit,
                &mut |piece| match piece {
                    Piece::Bytes(b) => {
                        out.extend_from_slice(b);
                        Taken::Used(b.len())
                    }
                    Piece::Gap(n) => {
                        gaps.push(n);
                        Taken::Used(0)
                    }
                },
            );
        }
        (out, gaps)
    }

    #[test]
    fn order_is_restored() {
        let whole: Vec<u8> = (0..300u32).map(|i| (i % 251) as u8).collect();
        let check = |segments: &[(u32, usize)]| {
            for base in [0, 1000, u32::MAX - 150] {
                assert_eq!(read(base, segments, 1 << 16), (whole.clone(), vec![]), "{segments:?}");
            }
        };
        check(&[(0, 100), (100, 100), (200, 100)]);
        check(&[(200, 100), (100, 100), (0, 100)]);
        check(&[(0, 100), (0, 100), (50, 150), (120, 180)]);
        check(&[(250, 50), (100, 200), (90, 20), (0, 150)]);
        check(&[(100, 50), (200, 100), (90, 180), (0, 95)]);
    }

    #[test]
    fn holes_are_given_up_at_the_limit() {
        let (out, gaps) = read(5, &[(0, 10), (20, 90), (110, 10)], 99);
        assert_eq!(out.len(), 110);
        assert_eq!(gaps, [10]);
    }

    #[test]
    fn cut_segments_leave_a_gap() {
        let mut stream = Stream::default();
        let mut seen = Vec::new();
        let mut reader = |piece: Piece<'_>| {
            match piece {
                Piece::Bytes(b) => seen.push(b.len() as i64),
                Piece::Gap(n) => seen.push(-(n as i64)),
            }
            Taken::Used(match piece {
                Piece::Bytes(b) => b.len(),
                Piece::Gap(_) => 0,
            })
        };
        stream.segment(7, &[1; 60], 100, 1000, &mut reader);
        stream.segment(107, &[1; 10], 10, 1000, &mut reader);
        assert_eq!(seen, [60, -40, 10]);
    }

    #[test]
    fn an_acknowledged_hole_is_given_up() {
        let mut stream = Stream::default();
        stream.start(0);
        let mut gaps = 0;
        let mut reader = |piece: Piece<'_>| match piece {
            Piece::Bytes(b) => Taken::Used(b.len()),
            Piece::Gap(n) => {
                gaps += n;
                Taken::Used(0)
            }
        };
        stream.segment(10, &[0; 10], 10, 1000, &mut reader);
        stream.acknowledged(5, 1000, &mut reader);
        stream.acknowledged(20, 1000, &mut reader);
        assert_eq!(gaps, 10);
    }

    proptest! {
        /// Any order and overlap of segments that covers everything gives the same bytes.
        #[test]
        fn any_cut_gives_the_same_bytes(
            base: u32,
            cuts in prop::collection::vec((0u32..500, 1usize..200), 1..40),
        ) {
            let mut segments = cuts;
            segments.extend((0..7).map(|i| (i * 100, 100)));
            let (out, gaps) = read(base, &segments, 1 << 20);
            let whole: Vec<u8> = (0..700u32).map(|i| (i % 251) as u8).collect();
            prop_assert_eq!(out, whole);
            prop_assert!(gaps.is_empty());
        }
    }
}
