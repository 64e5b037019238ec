//! QQ video of 2012 and 2013: a command part, RTP, an extension of eight bytes, a piece of a
//! VP8 frame.
//!
//! Not documented by its maker. Source: Chen, Yuan, Xue, "The Mechanism of Tencent QQ Video
//! Communication" (2013), tables I to IV, here "the paper". Its text and its tables differ in
//! places; `specs/qq-video.md` says which reading was chosen, and every doubtful field says in
//! its value which reading it fits. All integers are taken as big-endian, on which the paper is
//! silent. No packet alone is ever taken for QQ video.

mod content;
mod datagram;
mod message;

use std::fmt;

pub use content::Content;
pub use datagram::{BEGIN, Case1, Case2, INNER, LengthReading, OUTER, PayloadReading};
pub use message::{Form, Head, Message};

use crate::error::{Layer, Reason, WireError};
use crate::fields::{Fields, Value};

/// Bytes of the case 1 command part (table II).
pub const COMMAND: usize = 16;
/// Bytes of the extension part (table I).
pub const EXTENSION: usize = 8;
/// "Video flag" (table II).
pub const VIDEO_FLAG: u32 = 0x0000_2d64;
/// What the first two bytes of the video flag and of TCP's fill-in share (tables II and IV).
pub const FLAG_START: [u8; 2] = [0x00, 0x2d];

/// Last byte of the command part. The paper calls it a terminator; older QQ has a media type
/// there, and `03` is its video.
pub mod media {
    /// Session set-up.
    pub const SIP: u8 = 0;
    /// Audio.
    pub const AUDIO: u8 = 1;
    /// Reports on audio.
    pub const AUDIO_RTCP: u8 = 2;
    /// Video.
    pub const VIDEO: u8 = 3;
    /// Reports on video.
    pub const VIDEO_RTCP: u8 = 4;

    /// The word for a type.
    pub fn name(media: u8) -> &'static str {
        match media {
            SIP => "sip",
            AUDIO => "audio",
            AUDIO_RTCP => "audio-rtcp",
            VIDEO => "video",
            VIDEO_RTCP => "video-rtcp",
            _ => "unknown",
        }
    }
}

/// One packet in any of the three transports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    /// A datagram that begins with `05`.
    Case1(Case1<'a>),
    /// A datagram that begins with `04`.
    Case2(Case2<'a>),
    /// A message of a TCP stream.
    Message(Message<'a>),
}

impl<'a> Packet<'a> {
    /// Reads a datagram.
    pub fn datagram(bytes: &'a [u8]) -> Result<Self, WireError> {
        match bytes.first() {
            Some(&BEGIN) => Case1::parse(bytes).map(Packet::Case1),
            Some(&OUTER) => Case2::parse(bytes).map(Packet::Case2),
            Some(_) => Err(WireError::new(Layer::QqVideo, 0, Reason::BadMagic)),
            None => Err(WireError::truncated(Layer::QqVideo, 0, 1, 0)),
        }
    }

    /// Reads a message that fills `bytes`, in whichever form of its head fits.
    pub fn message(bytes: &'a [u8]) -> Result<Self, WireError> {
        Message::parse(bytes).map(Packet::Message)
    }

    /// The case 1 part of a datagram.
    pub fn inner(&self) -> Option<&Case1<'a>> {
        match self {
            Packet::Case1(packet) => Some(packet),
            Packet::Case2(packet) => Some(&packet.inner),
            Packet::Message(_) => None,
        }
    }

    /// Media type, see [`media`].
    pub fn media(&self) -> u8 {
        match self {
            Packet::Message(message) => message.head.media(),
            _ => self.inner().map_or(0, |inner| inner.media),
        }
    }

    /// Whether it says that it carries video: by its media type and, over UDP, its flag.
    pub fn is_video(&self) -> bool {
        self.media() == media::VIDEO && self.inner().is_none_or(|inner| inner.flag == VIDEO_FLAG)
    }

    /// Video sequence number, which UDP alone has.
    pub fn number(&self) -> Option<u64> {
        self.inner().map(|inner| inner.number)
    }

    /// Multimedia sequence number: for display and as a hint to retransmissions only.
    pub fn sequence(&self) -> u16 {
        match self {
            Packet::Message(message) => message.head.sequence,
            _ => self.inner().map_or(0, |inner| inner.sequence),
        }
    }

    /// Frame flag: the same in all fragments of a frame, and over TCP only two bytes of it.
    pub fn frame(&self) -> u32 {
        match self {
            Packet::Message(message) => message.head.frame.into(),
            _ => self.inner().map_or(0, |inner| inner.frame),
        }
    }

    /// RTP and what it carries, where the media type has any.
    pub fn content(&self) -> Option<&Content<'a>> {
        match self {
            Packet::Message(message) => message.content.as_ref(),
            Packet::Case1(packet) => packet.content.as_ref(),
            Packet::Case2(packet) => packet.inner.content.as_ref(),
        }
    }

    /// Which transport, in a word.
    pub fn transport(&self) -> &'static str {
        match self {
            Packet::Case1(_) => "udp-05",
            Packet::Case2(_) => "udp-04",
            Packet::Message(_) => "tcp",
        }
    }

    /// Writes the packet.
    pub fn emit(&self, out: &mut Vec<u8>) {
        match self {
            Packet::Case1(packet) => packet.emit(out),
            Packet::Case2(packet) => packet.emit(out),
            Packet::Message(message) => message.emit(out),
        }
    }
}

impl fmt::Display for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.transport(), media::name(self.media()))?;
        match self.content() {
            Some(content) => write!(f, ", {content}"),
            None => Ok(()),
        }
    }
}

impl Fields for Packet<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        match self {
            Packet::Case1(packet) => packet.fields(each),
            Packet::Case2(packet) => packet.fields(each),
            Packet::Message(message) => message.fields(each),
        }
    }
}

#[cfg(test)]
mod tests;
