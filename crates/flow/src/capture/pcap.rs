//! The classic capture format (draft-ietf-opsawg-pcap): a file header, then records.
//!
//! Variants that exist in the wild and are read: both byte orders, micro- and nanoseconds,
//! Kuznetzov's records of 24 bytes (magic `a1b2cd34`), and systems that wrote such longer
//! records under the standard magic.

use ottoscope_wire::{Layer, LinkType, Reason, WireError};

use super::batch::Record;
use super::file::{Framed, MAX_RECORD, Out, USUAL_RECORD};
use crate::time::Timestamp;

/// Length of the file header.
pub(super) const HEADER: usize = 24;
const MICRO: u32 = 0xa1b2_c3d4;
const NANO: u32 = 0xa1b2_3c4d;
const MODIFIED: u32 = 0xa1b2_cd34;

/// A reader between two records.
#[derive(Debug)]
pub(super) struct Pcap {
    swapped: bool,
    /// Nanoseconds in the timestamps' smaller unit.
    unit: u32,
    link: LinkType,
    /// Longest record that is believed.
    limit: usize,
    pub(super) snap_len: u32,
    /// Before version 2.4 some systems wrote the two lengths the other way round.
    lengths_swapped: bool,
    /// Length of a record header, known once the first records were seen.
    record_header: Option<usize>,
    modified: bool,
}

/// Whether these first bytes are this format's.
pub(super) fn is_magic(bytes: &[u8]) -> bool {
    magic(bytes).is_some()
}

/// The magic in the writer's byte order, and whether that is not little endian.
fn magic(bytes: &[u8]) -> Option<(u32, bool)> {
    let little = u32::from_le_bytes(*bytes.first_chunk()?);
    [(little, false), (little.swap_bytes(), true)]
        .into_iter()
        .find(|(magic, _)| matches!(*magic, MICRO | NANO | MODIFIED))
}

/// The four lengths and times of a record header.
#[derive(Clone, Copy)]
struct Head {
    seconds: u32,
    fraction: u32,
    captured: u32,
    wire: u32,
}

impl Pcap {
    /// From the file header.
    pub(super) fn new(header: &[u8; HEADER]) -> Option<Pcap> {
        let (magic, swapped) = magic(header)?;
        let half = |at: usize| {
            let bytes = [header[at], header[at + 1]];
            if swapped { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
        };
        let word = |at: usize| {
            let bytes = [header[at], header[at + 1], header[at + 2], header[at + 3]];
            if swapped { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
        };
        let version = (half(4), half(6));
        let snap_len = word(16);
        let limit = match snap_len as usize {
            1..MAX_RECORD => (snap_len as usize).max(USUAL_RECORD),
            _ => MAX_RECORD,
        };
        Some(Pcap {
            swapped,
            unit: if magic == NANO { 1 } else { 1000 },
            // The upper bits tell the length of the frame check sequence.
            link: LinkType(word(20) & 0x03ff_ffff),
            limit,
            snap_len,
            lengths_swapped: version < (2, 3),
            record_header: None,
            modified: magic == MODIFIED,
        })
    }

    #[inline]
    fn head(&self, bytes: &[u8], at: usize) -> Option<Head> {
        let header: &[u8; 16] = bytes.get(at..)?.first_chunk()?;
        let word = |at: usize| {
            let word =
                u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
            if self.swapped { word.swap_bytes() } else { word }
        };
        let (captured, wire) =
            if self.lengths_swapped { (word(12), word(8)) } else { (word(8), word(12)) };
        Some(Head { seconds: word(0), fraction: word(4), captured, wire })
    }

    /// Finds the length of record headers by which one makes the first records follow each
    /// other; `None` while too few bytes are there.
    fn measure(&self, bytes: &[u8], eof: bool) -> Option<usize> {
        const STANDARD: &[usize] = &[16, 24, 20];
        const MODIFIED: &[usize] = &[24, 28, 16];
        let candidates = if self.modified { MODIFIED } else { STANDARD };
        let sane = |head: Head| {
            head.captured as usize <= self.limit
                && head.captured <= head.wire
                && head.fraction < 1_000_000_000 / self.unit
        };
        let (usual, others) = candidates.split_first()?;
        // Looks at up to three records; ends early where the bytes end.
        let follows = |header: usize| {
            let mut at = 0;
            for seen in 0..3 {
                let Some(head) = self.head(bytes, at) else { return (true, seen) };
                if !sane(head) {
                    return (false, seen);
                }
                at += header + head.captured as usize;
            }
            (at <= bytes.len() || !eof, 3)
        };
        match follows(*usual) {
            (true, 2..) => Some(*usual),
            (true, _) if !eof => None,
            (true, _) => Some(*usual),
            (false, _) => {
                let other = others.iter().find(|header| matches!(follows(**header), (true, 2..)));
                Some(*other.unwrap_or(usual))
            }
        }
    }

    /// Finds the records in `bytes`, which start at one.
    pub(super) fn frame(&mut self, bytes: &[u8], eof: bool, out: &mut Out<'_>) -> Framed {
        let Some(header) = self.record_header.or_else(|| self.measure(bytes, eof)) else {
            // One record more than there is, as it is the second that tells.
            let need = self.head(bytes, 0).map_or(16, |head| 16 + 16 + head.captured as usize);
            return Framed { used: 0, need, broken: None };
        };
        self.record_header = Some(header);
        let mut at = 0;
        loop {
            let Some(head) = self.head(bytes, at) else {
                return Framed { used: at, need: header, broken: None };
            };
            let len = head.captured as usize;
            if len > self.limit {
                let error = WireError::new(Layer::Capture, at + 8, Reason::BadLength);
                return Framed { used: at, need: 0, broken: Some(error) };
            }
            let start = at + header;
            if bytes.len() < start + len {
                return Framed { used: at, need: header + len, broken: None };
            }
            out.records.push(Record {
                at: Timestamp(
                    i64::from(head.seconds) * 1_000_000_000
                        + i64::from(head.fraction) * i64::from(self.unit),
                ),
                link: self.link,
                capture: out.capture,
                wire_len: head.wire,
                start: start as u32,
                len: head.captured,
            });
            at = start + len;
        }
    }

    /// Its link type.
    pub(super) fn link(&self) -> LinkType {
        self.link
    }
}
