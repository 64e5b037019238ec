//! The capture file: classic pcap, little-endian, nanoseconds, Ethernet.

use std::io::{self, Write};

/// Nanosecond magic, version 2.4, zone and accuracy 0.
const MAGIC: u32 = 0xa1b2_3c4d;
const ETHERNET: u32 = 1;
/// What tcpdump writes for "everything".
const WHOLE: u32 = 262_144;

/// Writes records into one buffer and hands it on when it is full.
pub(crate) struct PcapWriter<'a, W: Write> {
    out: &'a mut W,
    buffer: Vec<u8>,
    snap: usize,
    written: u64,
}

const BUFFER: usize = 256 * 1024;

impl<'a, W: Write> PcapWriter<'a, W> {
    pub(crate) fn new(out: &'a mut W, snap: u32) -> io::Result<Self> {
        let snap = if snap == 0 { WHOLE } else { snap };
        let mut buffer = Vec::with_capacity(BUFFER + 4096);
        buffer.extend_from_slice(&header(MAGIC, snap, ETHERNET));
        Ok(PcapWriter { out, buffer, snap: snap as usize, written: 0 })
    }

    /// Writes one packet; returns the bytes kept of it.
    pub(crate) fn packet(&mut self, at: i64, frame: &[u8]) -> io::Result<u64> {
        let kept = &frame[..frame.len().min(self.snap)];
        record(&mut self.buffer, at, kept, frame.len());
        if self.buffer.len() >= BUFFER {
            self.flush()?;
        }
        Ok(kept.len() as u64)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.written += self.buffer.len() as u64;
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// Writes what is left; returns the file's length.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        self.flush()?;
        self.out.flush()?;
        Ok(self.written)
    }
}

/// The file header.
pub(crate) fn header(magic: u32, snap: u32, link: u32) -> [u8; 24] {
    let mut out = [0; 24];
    out[..4].copy_from_slice(&magic.to_le_bytes());
    out[4..8].copy_from_slice(&[2, 0, 4, 0]);
    out[16..20].copy_from_slice(&snap.to_le_bytes());
    out[20..].copy_from_slice(&link.to_le_bytes());
    out
}

/// Appends a record with its nanosecond header.
pub(crate) fn record(out: &mut Vec<u8>, at: i64, kept: &[u8], wire: usize) {
    let seconds = at.div_euclid(1_000_000_000) as u32;
    let nanos = at.rem_euclid(1_000_000_000) as u32;
    for word in [seconds, nanos, kept.len() as u32, wire as u32] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(kept);
}
