//! VP8 frames (RFC 6386 9.1): the frame tag, and the rest of a key frame's header.
//!
//! Only what lies in whole bytes in front of the first partition. Everything behind is coded
//! arithmetically and belongs to a decoder.

use std::fmt;

use crate::cursor::Cursor;
use crate::error::{Layer, Reason, WireError};
use crate::fields::{Fields, Value};

/// Bytes of the frame tag.
pub const TAG: usize = 3;
/// Bytes in front of a key frame's first partition.
pub const KEY_HEADER: usize = 10;
/// Behind the tag of every key frame.
pub const START_CODE: [u8; 3] = [0x9d, 0x01, 0x2a];
/// Versions that are defined (RFC 6386 9.1, the table of filters).
pub const MAX_VERSION: u8 = 3;
/// Largest first partition that the tag can say.
pub const MAX_FIRST_PARTITION: u32 = (1 << 19) - 1;

/// The frame tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tag {
    /// Whether the frame stands alone: bit 0 is 0.
    pub key: bool,
    /// 0 to 7; those above 3 are not defined.
    pub version: u8,
    /// Whether the frame is meant to be seen.
    pub shown: bool,
    /// Bytes of the first partition.
    pub first_partition: u32,
}

impl Tag {
    /// Reads the first three bytes of a frame. Any three bytes are a tag: see [`Tag::is_sane`].
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut at = Cursor::new(Layer::Vp8, bytes);
        let [low, middle, high] = [at.u8()?, at.u8()?, at.u8()?];
        let raw = u32::from_le_bytes([low, middle, high, 0]);
        Ok(Tag {
            key: raw & 1 == 0,
            version: (raw >> 1 & 7) as u8,
            shown: raw & 0x10 != 0,
            first_partition: raw >> 5,
        })
    }

    /// Whether a frame of `len` bytes, tag included, can begin with it: a version that is
    /// defined, and a first partition that is there and leaves room for what must be behind it.
    pub fn is_sane(&self, len: usize) -> bool {
        let head = if self.key { KEY_HEADER } else { TAG };
        let first = self.first_partition as usize;
        self.version <= MAX_VERSION && first > 0 && head + first <= len
    }

    /// Writes the tag; what does not fit its bits is cut.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let raw = u32::from(!self.key)
            | u32::from(self.version & 7) << 1
            | u32::from(self.shown) << 4
            | (self.first_partition & MAX_FIRST_PARTITION) << 5;
        out.extend_from_slice(&raw.to_le_bytes()[..TAG]);
    }
}

/// Width or height: pixels, and how a player is asked to stretch them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Extent {
    /// Pixels, 14 bits.
    pub pixels: u16,
    /// 0: as it is; 1: by 5/4; 2: by 5/3; 3: by 2.
    pub scale: u8,
}

impl Extent {
    fn read(raw: [u8; 2]) -> Self {
        let raw = u16::from_le_bytes(raw);
        Extent { pixels: raw & 0x3fff, scale: (raw >> 14) as u8 }
    }

    fn emit(self, out: &mut Vec<u8>) {
        let raw = self.pixels & 0x3fff | u16::from(self.scale & 3) << 14;
        out.extend_from_slice(&raw.to_le_bytes());
    }
}

/// What a frame says of itself in front of its first partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header {
    /// The tag.
    pub tag: Tag,
    /// Width and height, in key frames only.
    pub size: Option<(Extent, Extent)>,
}

impl Header {
    /// Reads the first ten bytes of a key frame, or three of another.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let tag = Tag::parse(bytes)?;
        if !tag.key {
            return Ok(Header { tag, size: None });
        }
        let mut at = Cursor::new(Layer::Vp8, bytes);
        at.take(TAG)?;
        if at.take(START_CODE.len())? != START_CODE {
            return Err(WireError::new(Layer::Vp8, TAG, Reason::BadMagic));
        }
        let width = Extent::read([at.u8()?, at.u8()?]);
        let height = Extent::read([at.u8()?, at.u8()?]);
        Ok(Header { tag, size: Some((width, height)) })
    }

    /// Bytes that it takes.
    pub fn size(&self) -> usize {
        if self.tag.key { KEY_HEADER } else { TAG }
    }

    /// Writes it. A key frame without size gets one of no pixels.
    pub fn emit(&self, out: &mut Vec<u8>) {
        self.tag.emit(out);
        if self.tag.key {
            let none = Extent { pixels: 0, scale: 0 };
            let (width, height) = self.size.unwrap_or((none, none));
            out.extend_from_slice(&START_CODE);
            width.emit(out);
            height.emit(out);
        }
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.size {
            Some((width, height)) => write!(f, "key frame, {} x {}", width.pixels, height.pixels)?,
            None => f.write_str("frame")?,
        }
        write!(f, ", first partition of {} bytes", self.tag.first_partition)
    }
}

impl Fields for Header {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("key", Value::Flag(self.tag.key));
        each("version", Value::Number(self.tag.version.into()));
        each("shown", Value::Flag(self.tag.shown));
        each("first_partition", Value::Number(self.tag.first_partition.into()));
        if let Some((width, height)) = self.size {
            each("width", Value::Number(width.pixels.into()));
            each("horizontal_scale", Value::Number(width.scale.into()));
            each("height", Value::Number(height.pixels.into()));
            each("vertical_scale", Value::Number(height.scale.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn emit_then_parse_is_identity(
            key: bool, version in 0u8..8, shown: bool, first_partition in 0u32..1 << 19,
            (wide, high) in (0u16..1 << 14, 0u16..1 << 14), scales in (0u8..4, 0u8..4),
            rest: Vec<u8>,
        ) {
            let size = key.then_some((
                Extent { pixels: wide, scale: scales.0 },
                Extent { pixels: high, scale: scales.1 },
            ));
            let header = Header { tag: Tag { key, version, shown, first_partition }, size };
            let mut bytes = Vec::new();
            header.emit(&mut bytes);
            prop_assert_eq!(bytes.len(), header.size());
            for cut in 0..bytes.len() {
                prop_assert!(Header::parse(&bytes[..cut]).unwrap_err().is_truncated());
            }
            bytes.extend(rest);
            prop_assert_eq!(Header::parse(&bytes), Ok(header));
        }

        #[test]
        fn reading_is_total(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            let _ = Header::parse(&bytes);
        }
    }

    #[test]
    fn sane_tags_fit_their_frame() {
        let tag = Tag { key: false, version: 0, shown: true, first_partition: 10 };
        assert!(tag.is_sane(13) && !tag.is_sane(12));
        assert!(!Tag { key: true, ..tag }.is_sane(19) && Tag { key: true, ..tag }.is_sane(20));
        assert!(!Tag { version: 4, ..tag }.is_sane(100));
        assert!(!Tag { first_partition: 0, ..tag }.is_sane(100));
    }
}
