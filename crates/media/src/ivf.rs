//! IVF: what the tools of libvpx keep coded frames in, with a number as time.
//!
//! A file header of 32 bytes, then frames with headers of 12; all numbers little endian. There is
//! no standard but libvpx's `ivfdec.c` and `ivfenc.c`.

use std::io::{self, Write};

/// Bytes of the file's header.
pub const HEADER: usize = 32;
/// Bytes of a frame's header.
pub const FRAME_HEADER: usize = 12;
/// The four letters of VP8.
pub const VP80: [u8; 4] = *b"VP80";

/// What stands at the start of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The codec's four letters.
    pub fourcc: [u8; 4],
    /// Pixels in a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// Units of time in a second, as a fraction.
    pub rate: u32,
    /// See `rate`.
    pub scale: u32,
    /// Frames, where the writer knew.
    pub frames: u32,
}

impl Header {
    /// Reads it, and says where the frames begin; `None` where this is no IVF.
    pub fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let head = bytes.get(..HEADER)?;
        if !head.starts_with(b"DKIF") {
            return None;
        }
        let two = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let four = |at: usize| u32::from(two(at)) | u32::from(two(at + 2)) << 16;
        let header = Header {
            fourcc: [head[8], head[9], head[10], head[11]],
            width: two(12),
            height: two(14),
            rate: four(16),
            scale: four(20),
            frames: four(24),
        };
        Some((header, usize::from(two(6)).max(HEADER)))
    }

    /// Its bytes.
    pub fn emit(&self) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        out[..4].copy_from_slice(b"DKIF");
        out[6] = HEADER as u8;
        out[8..12].copy_from_slice(&self.fourcc);
        out[12..14].copy_from_slice(&self.width.to_le_bytes());
        out[14..16].copy_from_slice(&self.height.to_le_bytes());
        out[16..20].copy_from_slice(&self.rate.to_le_bytes());
        out[20..24].copy_from_slice(&self.scale.to_le_bytes());
        out[24..28].copy_from_slice(&self.frames.to_le_bytes());
        out
    }
}

/// The frames of a file with their times; ends where the next is not whole.
#[derive(Debug, Clone)]
pub struct Frames<'a> {
    rest: &'a [u8],
}

impl<'a> Frames<'a> {
    /// Opens a file that lies in memory; `None` where this is no IVF.
    pub fn open(bytes: &'a [u8]) -> Option<(Header, Self)> {
        let (header, start) = Header::parse(bytes)?;
        Some((header, Frames { rest: bytes.get(start..).unwrap_or_default() }))
    }

    /// What could not be read: empty at the end of a whole file.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = (u64, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (size, rest) = self.rest.split_first_chunk()?;
        let (time, rest) = rest.split_first_chunk()?;
        let (data, rest) = rest.split_at_checked(u32::from_le_bytes(*size) as usize)?;
        self.rest = rest;
        Some((u64::from_le_bytes(*time), data))
    }
}

/// Writes one frame.
pub fn write_frame(out: &mut dyn Write, time: u64, data: &[u8]) -> io::Result<()> {
    let size = u32::try_from(data.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
    out.write_all(&size.to_le_bytes())?;
    out.write_all(&time.to_le_bytes())?;
    out.write_all(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            width: u16, height: u16, rate: u32, scale: u32,
            frames: Vec<(u64, Vec<u8>)>, cut in 0usize..12,
        ) {
            let header = Header {
                fourcc: VP80, width, height, rate, scale, frames: frames.len() as u32,
            };
            let mut file = header.emit().to_vec();
            for (time, data) in &frames {
                write_frame(&mut file, *time, data).unwrap();
            }
            let (read, mut found) = Frames::open(&file).unwrap();
            prop_assert_eq!(read, header);
            let all: Vec<_> = found.by_ref().map(|(time, data)| (time, data.to_vec())).collect();
            prop_assert_eq!(&all, &frames);
            prop_assert!(found.rest().is_empty());
            file.truncate(file.len().saturating_sub(cut).max(HEADER));
            let whole = Frames::open(&file).unwrap().1.count();
            prop_assert!(whole == frames.len() || cut > 0);
        }

        #[test]
        fn reading_is_total(bytes: Vec<u8>) {
            if let Some((_, frames)) = Frames::open(&bytes) {
                prop_assert!(frames.count() <= bytes.len());
            }
        }
    }

    #[test]
    fn the_header_as_libvpx_writes_it() {
        let header =
            Header { fourcc: VP80, width: 176, height: 144, rate: 30, scale: 1, frames: 29 };
        let mut expected = b"DKIF\0\0\x20\0VP80\xb0\0\x90\0".to_vec();
        expected.extend([30, 0, 0, 0, 1, 0, 0, 0, 29, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(header.emit(), expected[..]);
    }
}
