//! The block format (draft-ietf-opsawg-pcapng): sections of either byte order, each with its
//! own interfaces, timestamp resolutions and statistics. Blocks that hold no packets or
//! interfaces are passed over.

use ottoscope_wire::{Layer, LinkType, Reason, WireError};

use super::Interface;
use super::batch::Record;
use super::file::{Framed, MAX_RECORD, Out};
use crate::time::Timestamp;

const SECTION: u32 = 0x0a0d_0d0a;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const INTERFACE: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const STATISTICS: u32 = 5;
const PACKET: u32 = 6;
/// Block type, length, and the length again at the end.
const FRAME: usize = 12;
/// Length of the shortest section header.
pub(super) const HEADER: usize = 28;
/// More interfaces in one capture are refused.
const MAX_INTERFACES: usize = 1 << 16;

/// From timestamp units to nanoseconds.
#[derive(Debug, Clone, Copy)]
enum Scale {
    Multiply(u64),
    Divide(u64),
    /// Units of 2^-n seconds.
    Binary(u32),
}

impl Scale {
    /// From `if_tsresol`: a power of ten, or of two where the high bit is set.
    fn new(resolution: u8) -> Scale {
        let exponent = u32::from(resolution & 0x7f);
        if resolution & 0x80 != 0 {
            return Scale::Binary(exponent.min(63));
        }
        match exponent {
            0..=9 => Scale::Multiply(10u64.pow(9 - exponent)),
            _ => Scale::Divide(10u64.saturating_pow(exponent - 9)),
        }
    }

    #[inline]
    fn nanos(self, units: u64) -> i64 {
        let nanos = match self {
            Scale::Multiply(by) => units.saturating_mul(by),
            Scale::Divide(by) => units / by,
            Scale::Binary(shift) => {
                u64::try_from((u128::from(units) * 1_000_000_000) >> shift).unwrap_or(u64::MAX)
            }
        };
        i64::try_from(nanos).unwrap_or(i64::MAX)
    }
}

/// An interface of the current section.
#[derive(Debug)]
struct Source {
    link: LinkType,
    snap_len: u32,
    scale: Scale,
    /// Nanoseconds to add.
    offset: i64,
    /// Index into [`super::CaptureInfo::interfaces`].
    index: usize,
}

/// A reader between two blocks.
#[derive(Debug, Default)]
pub(super) struct Pcapng {
    big_endian: bool,
    sources: Vec<Source>,
    last: Timestamp,
}

/// Whether these first bytes are this format's.
pub(super) fn is_magic(bytes: &[u8]) -> bool {
    bytes.starts_with(&SECTION.to_be_bytes())
}

impl Pcapng {
    #[inline]
    fn word(&self, bytes: &[u8], at: usize) -> Option<u32> {
        let word: [u8; 4] = *bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
    }

    fn half(&self, bytes: &[u8], at: usize) -> Option<u16> {
        let half: [u8; 2] = *bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian { u16::from_be_bytes(half) } else { u16::from_le_bytes(half) })
    }

    /// Finds the packets in `bytes`, which start at a block.
    pub(super) fn frame(&mut self, bytes: &[u8], out: &mut Out<'_>) -> Framed {
        let mut at = 0;
        loop {
            let need = |need: usize| Framed { used: at, need, broken: None };
            let broken = |offset: usize, reason: Reason| {
                let error = WireError::new(Layer::Capture, at + offset, reason);
                Framed { used: at, need: 0, broken: Some(error) }
            };
            let Some(kind) = self.word(bytes, at) else { return need(FRAME) };
            if kind == SECTION {
                // A palindrome, so that it is known before the byte order is.
                let Some(magic) = bytes.get(at + 8..).and_then(|b| b.first_chunk()) else {
                    return need(HEADER);
                };
                match u32::from_le_bytes(*magic) {
                    BYTE_ORDER => self.big_endian = false,
                    other if other.swap_bytes() == BYTE_ORDER => self.big_endian = true,
                    _ => return broken(8, Reason::BadMagic),
                }
                match self.half(bytes, at + 12) {
                    None => return need(HEADER),
                    Some(1) => {}
                    Some(version) => return broken(12, Reason::BadVersion(u32::from(version))),
                }
                self.sources.clear();
            }
            let Some(len) = self.word(bytes, at + 4).map(|len| len as usize) else {
                return need(FRAME);
            };
            // Some writers forget to round up, and every reader forgives them.
            let len = len.next_multiple_of(4);
            if !(FRAME..=MAX_RECORD).contains(&len) {
                return broken(4, Reason::BadLength);
            }
            let Some(block) = bytes.get(at..at + len) else { return need(len) };
            let trailer = self.word(block, len - 4).unwrap_or(0) as usize;
            if trailer.next_multiple_of(4) != len {
                return broken(len - 4, Reason::BadLength);
            }
            let body = &block[8..len - 4]; // at least `FRAME` bytes
            if let Err(mut error) = self.block(kind, body, at + 8, out) {
                error.offset += at + 8;
                return Framed { used: at, need: 0, broken: Some(error) };
            }
            at += len;
        }
    }

    /// Reads one block's body, which lies at `start` of the buffer.
    #[inline]
    fn block(
        &mut self,
        kind: u32,
        body: &[u8],
        start: usize,
        out: &mut Out<'_>,
    ) -> Result<(), WireError> {
        match kind {
            PACKET => {
                let interface = self.word(body, 0);
                self.packet(interface, body, start, out)
            }
            OLD_PACKET => {
                let interface = self.half(body, 0).map(u32::from);
                self.packet(interface, body, start, out)
            }
            SIMPLE_PACKET => self.simple(body, start, out),
            INTERFACE => self.interface(body, out),
            STATISTICS => self.statistics(body, out),
            _ => Ok(()),
        }
    }

    /// Enhanced and obsolete packet blocks differ only in how the interface is written.
    #[inline]
    fn packet(
        &mut self,
        interface: Option<u32>,
        body: &[u8],
        start: usize,
        out: &mut Out<'_>,
    ) -> Result<(), WireError> {
        let data = 20;
        let (Some(interface), Some(high), Some(low), Some(captured), Some(wire)) = (
            interface,
            self.word(body, 4),
            self.word(body, 8),
            self.word(body, 12),
            self.word(body, 16),
        ) else {
            return Err(WireError::truncated(Layer::Capture, 0, data, body.len()));
        };
        if captured as usize > body.len() - data {
            return Err(WireError::new(Layer::Capture, 12, Reason::BadLength));
        }
        let Some(source) = self.sources.get(interface as usize) else {
            let reason = Reason::Malformed("packet of an interface that was not described");
            return Err(WireError::new(Layer::Capture, 0, reason));
        };
        let units = u64::from(high) << 32 | u64::from(low);
        self.last = Timestamp(source.scale.nanos(units).saturating_add(source.offset));
        out.records.push(Record {
            at: self.last,
            link: source.link,
            capture: out.capture,
            wire_len: wire,
            start: (start + data) as u32,
            len: captured,
        });
        Ok(())
    }

    /// Simple packet blocks have no time: they get that of the packet before.
    fn simple(&mut self, body: &[u8], start: usize, out: &mut Out<'_>) -> Result<(), WireError> {
        let Some(wire) = self.word(body, 0) else {
            return Err(WireError::truncated(Layer::Capture, 0, 4, body.len()));
        };
        let Some(source) = self.sources.first() else {
            let reason = Reason::Malformed("packet before any interface was described");
            return Err(WireError::new(Layer::Capture, 0, reason));
        };
        let snap_len = if source.snap_len == 0 { u32::MAX } else { source.snap_len };
        let captured = wire.min(snap_len);
        if captured as usize > body.len() - 4 {
            return Err(WireError::new(Layer::Capture, 0, Reason::BadLength));
        }
        out.records.push(Record {
            at: self.last,
            link: source.link,
            capture: out.capture,
            wire_len: wire,
            start: (start + 4) as u32,
            len: captured,
        });
        Ok(())
    }

    fn interface(&mut self, body: &[u8], out: &mut Out<'_>) -> Result<(), WireError> {
        const NAME: u16 = 2;
        const RESOLUTION: u16 = 9;
        const OFFSET: u16 = 14;
        let (Some(link), Some(snap_len)) = (self.half(body, 0), self.word(body, 4)) else {
            return Err(WireError::truncated(Layer::Capture, 0, 8, body.len()));
        };
        if out.info.interfaces.len() >= MAX_INTERFACES {
            return Err(WireError::new(Layer::Capture, 0, Reason::TooLarge));
        }
        let link = LinkType(u32::from(link));
        let mut source = Source {
            link,
            snap_len,
            scale: Scale::new(6), // microseconds unless told
            offset: 0,
            index: out.info.interfaces.len(),
        };
        let mut name = None;
        self.options(body, 8, |code, value| match (code, value) {
            (NAME, text) => {
                let text = text.get(..text.len().min(256)).unwrap_or_default();
                let text = String::from_utf8_lossy(text);
                name = Some(text.trim_end_matches('\0').to_owned());
            }
            (RESOLUTION, [resolution, ..]) => source.scale = Scale::new(*resolution),
            (OFFSET, value) => {
                if let Some(seconds) = self.long(value) {
                    source.offset = seconds.cast_signed().saturating_mul(1_000_000_000);
                }
            }
            _ => {}
        });
        self.sources.push(source);
        out.info.interfaces.push(Interface { name, link, snap_len, dropped: None });
        out.info.snap_len = out.info.snap_len.max(snap_len);
        out.link_type(link);
        Ok(())
    }

    /// Interface statistics: of several for one interface the last holds the whole count.
    fn statistics(&mut self, body: &[u8], out: &mut Out<'_>) -> Result<(), WireError> {
        const DROPPED: u16 = 5;
        let Some(interface) = self.word(body, 0) else {
            return Err(WireError::truncated(Layer::Capture, 0, 12, body.len()));
        };
        let mut dropped = None;
        self.options(body, 12, |code, value| {
            if code == DROPPED {
                dropped = self.long(value);
            }
        });
        let index = self.sources.get(interface as usize).map(|source| source.index);
        if let Some(interface) = index.and_then(|index| out.info.interfaces.get_mut(index)) {
            interface.dropped = dropped.or(interface.dropped);
        }
        Ok(())
    }

    fn long(&self, value: &[u8]) -> Option<u64> {
        let value = *value.first_chunk::<8>()?;
        Some(if self.big_endian { u64::from_be_bytes(value) } else { u64::from_le_bytes(value) })
    }

    /// Calls `each` with every option; stops at the first that does not fit.
    fn options(&self, body: &[u8], mut at: usize, mut each: impl FnMut(u16, &[u8])) {
        while let (Some(code), Some(len)) = (self.half(body, at), self.half(body, at + 2)) {
            let len = usize::from(len);
            let Some(value) = body.get(at + 4..at + 4 + len) else { return };
            if code == 0 {
                return;
            }
            each(code, value);
            at += 4 + len.next_multiple_of(4);
        }
    }
}
