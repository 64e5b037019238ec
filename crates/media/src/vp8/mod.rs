//! VP8 frames to pictures (RFC 6386).
//!
//! An own decoder, since those in the registry either read key frames only, fail official test
//! vectors, or bring an async runtime and a thread pool; `ARCHITECTURE.md` says more. It has no
//! `unsafe`, holds four pictures at most, refuses large ones before it makes room for them, and
//! takes any bytes: samples past the end of a partition are decoded from zeros, as libvpx does.

mod bool;
mod decoder;
mod filter;
mod header;
mod inter;
mod intra;
#[cfg(feature = "libvpx")]
mod libvpx;
mod motion;
mod residual;
mod surface;
mod tables;

pub use decoder::Decoder;
#[cfg(feature = "libvpx")]
pub use libvpx::Libvpx;

use ottoscope_wire::WireError;
use ottoscope_wire::vp8::Header;

use crate::frame::FrameHeader;
use crate::picture::Picture;

/// Turns coded frames into pictures, one after the other.
pub trait FrameDecoder {
    /// Decodes the next frame of a stream. `None` is a frame that only later ones refer to.
    ///
    /// # Errors
    /// When it is no frame, or more than the decoder is willing to take. The decoder then waits
    /// for a key frame, and answers [`DecodeError::NoKey`] to all others.
    fn decode(&mut self, frame: &[u8]) -> Result<Option<Picture>, DecodeError>;

    /// Forgets all frames, as after a loss: the next that can be decoded is a key frame.
    fn reset(&mut self);
}

/// Largest picture that a decoder makes room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Pixels in a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

impl Default for Limits {
    /// More than any phone of the time could send, and 14 MB for all that a decoder holds.
    fn default() -> Self {
        Limits { width: 1920, height: 1200 }
    }
}

impl Limits {
    /// Says whether a picture of this size may be made room for.
    pub fn check(self, width: u16, height: u16) -> Result<(), DecodeError> {
        if width == 0 || height == 0 {
            Err(DecodeError::Empty(width, height))
        } else if width > self.width.min(MAX_SIDE) || height > self.height.min(MAX_SIDE) {
            Err(DecodeError::TooLarge(width, height))
        } else {
            Ok(())
        }
    }
}

/// Largest side that a decoder takes whatever its limits say: vectors are sixteen bits.
pub const MAX_SIDE: u16 = 4080;

/// What the first bytes of a frame say of it; the size is a key frame's own.
pub fn header(frame: &[u8]) -> Result<FrameHeader, DecodeError> {
    let Header { tag, size } = Header::parse(frame)?;
    let size = size.map(|(width, height)| (width.pixels, height.pixels));
    Ok(FrameHeader { key: tag.key, shown: tag.shown, size })
}

/// Why a frame gave no picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// It ends before its header or one of its partitions does.
    #[error("the frame is cut short")]
    Truncated,
    /// A key frame without its start code.
    #[error("a key frame without its start code")]
    StartCode,
    /// A picture without pixels.
    #[error("a picture of {0}x{1} pixels")]
    Empty(u16, u16),
    /// A picture larger than the decoder is willing to make room for.
    #[error("a picture of {0}x{1} pixels is over the limit")]
    TooLarge(u16, u16),
    /// It refers to frames that have not been decoded.
    #[error("no key frame came before it")]
    NoKey,
    /// A library that was asked to decode it would not.
    #[error("the library refuses it")]
    Library,
}

impl From<WireError> for DecodeError {
    fn from(error: WireError) -> Self {
        if error.is_truncated() { DecodeError::Truncated } else { DecodeError::StartCode }
    }
}

impl DecodeError {
    /// The word for it in tables.
    pub fn name(self) -> &'static str {
        match self {
            DecodeError::Truncated => "truncated",
            DecodeError::StartCode => "start_code",
            DecodeError::Empty(..) => "empty",
            DecodeError::TooLarge(..) => "too_large",
            DecodeError::NoKey => "no_key",
            DecodeError::Library => "library",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_frame_says_first() {
        let key = [0x50, 0x01, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x41, 0xf0, 0x80];
        let says = FrameHeader { key: true, shown: true, size: Some((320, 240)) };
        assert_eq!(header(&key), Ok(says));
        assert_eq!(header(&key[..9]), Err(DecodeError::Truncated));
        let hidden = FrameHeader { key: false, shown: false, size: None };
        assert_eq!(header(&[0x07, 0, 1]), Ok(hidden));
        assert_eq!(header(&[0; 10]), Err(DecodeError::StartCode));
        assert_eq!(header(&[]), Err(DecodeError::Truncated));
    }
}
