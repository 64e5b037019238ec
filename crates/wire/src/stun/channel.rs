//! TURN ChannelData (RFC 8656 12.4): four bytes in front of what is relayed.

use std::fmt;

use crate::cursor::{Cursor, put_vec16};
use crate::error::{Layer, Reason, WireError};
use crate::fields::{Fields, Value};

/// Bytes before the data.
pub const HEADER: usize = 4;

/// One ChannelData message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelData<'a> {
    /// 0x4000 to 0x7fff; RFC 8656 narrows it to 0x4fff, older clients use all.
    pub channel: u16,
    /// What is relayed.
    pub data: &'a [u8],
}

impl<'a> ChannelData<'a> {
    /// Reads the message at the start of `bytes`. The header alone proves nothing: the channel
    /// should have been bound, or the data be a known protocol.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut at = Cursor::new(Layer::Stun, bytes);
        let channel = at.u16()?;
        if !(0x4000..=0x7fff).contains(&channel) {
            return Err(WireError::new(Layer::Stun, 0, Reason::BadMagic));
        }
        Ok(ChannelData { channel, data: at.vec16()? })
    }

    /// Bytes with the header, without the padding to four bytes that streams need.
    pub fn size(&self) -> usize {
        HEADER + self.data.len()
    }

    /// Writes the message without padding.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.channel.to_be_bytes());
        put_vec16(out, self.data);
    }
}

impl fmt::Display for ChannelData<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "channel {:#06x}, {} bytes", self.channel, self.data.len())
    }
}

impl Fields for ChannelData<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("channel", Value::Hex(self.channel.into()));
        each("data", Value::Number(self.data.len() as u64));
    }
}
