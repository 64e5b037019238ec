//! Writes capture files (draft-ietf-opsawg-pcap), little endian.

use std::io::{self, Write};

use crate::link::LinkType;

/// The unit of timestamps in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// Microseconds, which every tool reads.
    Micro,
    /// Nanoseconds.
    Nano,
}

/// Writes one file to `W`; buffer it.
#[derive(Debug)]
pub struct PcapWriter<W> {
    out: W,
    resolution: Resolution,
}

impl<W: Write> PcapWriter<W> {
    /// Writes the file header, with a snapshot length of 262,144 bytes.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn new(mut out: W, link: LinkType, resolution: Resolution) -> io::Result<Self> {
        let magic: u32 = match resolution {
            Resolution::Micro => 0xa1b2_c3d4,
            Resolution::Nano => 0xa1b2_3c4d,
        };
        let mut header = Vec::with_capacity(24);
        header.extend_from_slice(&magic.to_le_bytes());
        header.extend_from_slice(&[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        header.extend_from_slice(&262_144u32.to_le_bytes());
        header.extend_from_slice(&link.0.to_le_bytes());
        out.write_all(&header)?;
        Ok(PcapWriter { out, resolution })
    }

    /// Writes a record: nanoseconds since the epoch, length on the wire, captured bytes. Times
    /// that the format can't hold (before 1970, after 2106) become the nearest that it can.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn record(&mut self, at: i64, wire_len: u32, bytes: &[u8]) -> io::Result<()> {
        let at = at.clamp(0, i64::from(u32::MAX) * 1_000_000_000 + 999_999_999);
        let fraction = (at % 1_000_000_000) as u32;
        let unit = if self.resolution == Resolution::Micro { 1000 } else { 1 };
        let mut header = [0; 16];
        header[..4].copy_from_slice(&((at / 1_000_000_000) as u32).to_le_bytes());
        header[4..8].copy_from_slice(&(fraction / unit).to_le_bytes());
        header[8..12].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
        header[12..].copy_from_slice(&wire_len.to_le_bytes());
        self.out.write_all(&header)?;
        self.out.write_all(bytes)
    }

    /// Ends the file and gives the writer back.
    ///
    /// # Errors
    /// Those of flushing the writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}
