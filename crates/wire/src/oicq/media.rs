//! QQ media of 2005, up to its RTP packet, and what marks today's.
//!
//! The notes show one packet and name its parts: `03`, the client's version, a key byte, both QQ
//! numbers hidden by it, `00 00 05`, a counter, the media type, RTP or RTCP.

use std::fmt;

use crate::cursor::Cursor;
use crate::error::{Layer, Reason, WireError};
use crate::fields::{Fields, Value};
use crate::qq_video::{BEGIN, OUTER, media};
use crate::rtp;

/// First byte of media packets of 2005; `00` is their control.
pub const MEDIA: u8 = 0x03;
/// Offset in such a packet of three fixed bytes, and the bytes.
const MARK_AT: usize = 12;
/// See `MARK_AT`.
pub const MARK: [u8; 3] = [0, 0, 5];
/// First bytes of today's media, whose contents nobody has described.
pub const TODAY_PREFIX: [u8; 4] = [0x28, 0, 0, 0];
/// The word for today's media.
pub const TODAY: &str = "qq-today";

/// A packet of 2005.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Media<'a> {
    /// The client's version.
    pub version: u16,
    /// Hides both QQ numbers.
    pub key: u8,
    /// The sender's QQ number, hidden.
    pub sender: u32,
    /// The receiver's QQ number, hidden.
    pub receiver: u32,
    /// Counts packets of the media type.
    pub counter: u16,
    /// Media type, see [`media`].
    pub media: u8,
    /// What is carried: RTP for audio and video, RTCP for reports on them, text for set-up.
    pub body: &'a [u8],
}

impl<'a> Media<'a> {
    /// Reads a packet that fills `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut at = Cursor::new(Layer::Oicq, bytes);
        if at.u8()? != MEDIA {
            return Err(WireError::new(Layer::Oicq, 0, Reason::BadMagic));
        }
        let (version, key) = (at.u16()?, at.u8()?);
        let (sender, receiver) = (at.u32()?, at.u32()?);
        if at.take(MARK.len())? != MARK {
            return Err(WireError::new(Layer::Oicq, MARK_AT, Reason::BadMagic));
        }
        let (counter, media) = (at.u16()?, at.u8()?);
        if media > media::VIDEO_RTCP {
            let reason = Reason::Unsupported(media.into());
            return Err(WireError::new(Layer::Oicq, at.at() - 1, reason));
        }
        Ok(Media { version, key, sender, receiver, counter, media, body: at.rest() })
    }

    /// The RTP packet, where the media type has one.
    pub fn rtp(&self) -> Option<rtp::Packet<'a>> {
        let carries = matches!(self.media, media::AUDIO | media::VIDEO);
        rtp::Packet::parse(self.body).ok().filter(|_| carries)
    }

    /// Writes the packet.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.push(MEDIA);
        out.extend_from_slice(&self.version.to_be_bytes());
        out.push(self.key);
        out.extend_from_slice(&self.sender.to_be_bytes());
        out.extend_from_slice(&self.receiver.to_be_bytes());
        out.extend_from_slice(&MARK);
        out.extend_from_slice(&self.counter.to_be_bytes());
        out.push(self.media);
        out.extend_from_slice(self.body);
    }
}

impl fmt::Display for Media<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, number {}", media::name(self.media), self.counter)?;
        match self.rtp() {
            Some(rtp) => write!(f, ", {rtp}"),
            None => Ok(()),
        }
    }
}

impl Fields for Media<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("client_version", Value::Hex(self.version.into()));
        each("key", Value::Hex(self.key.into()));
        each("counter", Value::Number(self.counter.into()));
        each("media", Value::Text(media::name(self.media)));
        match self.rtp() {
            Some(rtp) => rtp.fields(each),
            None => each("body", Value::Number(self.body.len() as u64)),
        }
    }
}

/// Which generation of QQ's media a datagram's first bytes are those of. Never a proof: many
/// other protocols begin alike.
pub fn generation(bytes: &[u8]) -> Option<&'static str> {
    match bytes.first()? {
        &MEDIA => (bytes.get(MARK_AT..MARK_AT + MARK.len())? == MARK).then_some("qq-2005"),
        &BEGIN | &OUTER => Some("qq-2012"),
        _ => bytes.starts_with(&TODAY_PREFIX).then_some(TODAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn emit_then_parse_is_identity(
            version: u16, key: u8, numbers: (u32, u32), counter: u16, media in 0u8..5,
            body in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let (sender, receiver) = numbers;
            let packet = Media { version, key, sender, receiver, counter, media, body: &body };
            let mut bytes = Vec::new();
            packet.emit(&mut bytes);
            prop_assert_eq!(Media::parse(&bytes), Ok(packet));
            prop_assert_eq!(generation(&bytes), Some("qq-2005"));
            packet.fields(&mut |_, _| {});
        }

        #[test]
        fn reading_is_total(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = (Media::parse(&bytes), generation(&bytes));
        }
    }

    #[test]
    fn generations_are_told_by_their_first_bytes() {
        assert_eq!(generation(&[5, 1]), Some("qq-2012"));
        assert_eq!(generation(&[0x28, 0, 0, 0, 9]), Some("qq-today"));
        assert_eq!(generation(&[0x28, 0, 0, 1]), None);
    }
}
