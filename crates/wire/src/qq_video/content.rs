//! What all three transports carry behind their command part: RTP, extension, video data
//! (the paper, table I).

use std::fmt;

use super::{EXTENSION, media};
use crate::error::{Layer, WireError};
use crate::fields::{Fields, Value};
use crate::rtp;
use crate::vp8;

/// RTP with what is behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content<'a> {
    /// The packet. Without the X bit its payload begins with the extension part.
    pub rtp: rtp::Packet<'a>,
    /// The extension part: RTP's own header extension with its four first bytes where the X bit
    /// is set (one word makes the paper's eight bytes), else eight bytes. Empty for audio
    /// without the X bit, of which the paper says nothing.
    pub extension: &'a [u8],
    /// Video data.
    pub data: &'a [u8],
}

impl<'a> Content<'a> {
    /// Reads what follows the command part of a packet of this media type: nothing of types
    /// that carry no RTP.
    pub(super) fn parse(bytes: &'a [u8], kind: u8) -> Result<Option<Self>, WireError> {
        if !matches!(kind, media::AUDIO | media::VIDEO) {
            return Ok(None);
        }
        let rtp = rtp::Packet::parse(bytes)?;
        let (extension, data) = match rtp.extension {
            Some((_, body)) => {
                let start = rtp::HEADER + rtp.contributors.len();
                (bytes.get(start..start + 4 + body.len()).unwrap_or(&[]), rtp.payload)
            }
            None if kind == media::VIDEO => {
                let need = bytes.len() - rtp.payload.len() + EXTENSION;
                rtp.payload.split_at_checked(EXTENSION).ok_or_else(|| {
                    WireError::truncated(Layer::QqVideo, need - EXTENSION, need, bytes.len())
                })?
            }
            None => (&[][..], rtp.payload),
        };
        Ok(Some(Content { rtp, extension, data }))
    }

    /// Writes the RTP packet with all that it carries.
    pub(super) fn emit(&self, out: &mut Vec<u8>) {
        self.rtp.emit(out);
    }

    /// Whether the extension is RTP's own.
    pub fn has_x(&self) -> bool {
        self.rtp.extension.is_some()
    }
}

impl fmt::Display for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rtp::Packet { ssrc, payload_type, sequence, .. } = self.rtp;
        write!(f, "{ssrc:#010x} type {payload_type} packet {sequence}, {} bytes", self.data.len())
    }
}

impl Fields for Content<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("ssrc", Value::Hex(self.rtp.ssrc.into()));
        each("payload_type", Value::Number(self.rtp.payload_type.into()));
        each("rtp_sequence", Value::Number(self.rtp.sequence.into()));
        each("timestamp", Value::Number(self.rtp.timestamp.into()));
        each("marker", Value::Flag(self.rtp.marker));
        for source in self.rtp.contributors.as_chunks::<4>().0 {
            each("csrc", Value::Bytes(source));
        }
        each("x", Value::Flag(self.has_x()));
        if !self.extension.is_empty() {
            each("extension", Value::Bytes(self.extension));
        }
        if self.rtp.padding > 0 {
            each("padding", Value::Number(self.rtp.padding.into()));
        }
        each("data", Value::Number(self.data.len() as u64));
        // A fragment's first bytes are a frame's only in the first fragment: a key frame's are
        // told by their start code, others not.
        if let Ok(header) = vp8::Header::parse(self.data)
            && header.tag.key
        {
            header.fields(each);
        }
    }
}
