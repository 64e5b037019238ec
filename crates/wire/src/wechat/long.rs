//! W-TCP, the header of every message on the long connection (ChatDissect, Fig. 2).

use std::fmt;

use crate::cursor::Cursor;
use crate::error::{Layer, Reason, WireError};
use crate::fields::{Fields, Value};

/// Bytes of the header, which it says itself in bytes 4 and 5.
pub const HEADER: usize = 16;
/// Bytes 6 and 7.
pub const VERSION: u16 = 1;
/// What a response adds to its request's command, 0x3b9aca00.
pub const RESPONSE: u32 = 1_000_000_000;

/// Sequence numbers beside the counter (Mars, `longlink_packer.cc`).
pub mod sequence {
    /// What the server sends unasked.
    pub const PUSH: u32 = 0;
    /// The first message of a connection.
    pub const IDENTIFICATION: u32 = 0xffff_fffe;
    /// Heartbeats.
    pub const NO_OPERATION: u32 = 0xffff_ffff;
}

/// The header of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the whole message, header included.
    pub len: u32,
    /// The command as sent: a request's number, or that plus [`RESPONSE`].
    pub command: u32,
    /// A response repeats its request's; see [`sequence`].
    pub sequence: u32,
}

impl Header {
    /// Reads the header at the start of `bytes`; the message's rest need not be there.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut at = Cursor::new(Layer::WeChat, bytes);
        let len = at.u32()?;
        if (len as usize) < HEADER {
            return Err(WireError::new(Layer::WeChat, 0, Reason::BadLength));
        }
        if usize::from(at.u16()?) != HEADER {
            return Err(WireError::new(Layer::WeChat, 4, Reason::BadMagic));
        }
        let version = at.u16()?;
        if version != VERSION {
            return Err(WireError::new(Layer::WeChat, 6, Reason::BadVersion(version.into())));
        }
        Ok(Header { len, command: at.u32()?, sequence: at.u32()? })
    }

    /// Whether it answers a request, whoever made it: the server asks, too.
    pub fn is_response(&self) -> bool {
        self.command >= RESPONSE
    }

    /// The command of the request, also where this is its response.
    pub fn request(&self) -> u32 {
        self.command.checked_sub(RESPONSE).unwrap_or(self.command)
    }

    /// The paper's opcode, byte 11. It is the request's command where that is below 256.
    pub fn opcode(&self) -> u8 {
        self.command as u8
    }

    /// Writes the header's bytes.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.len.to_be_bytes());
        out.extend_from_slice(&(HEADER as u16).to_be_bytes());
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&self.command.to_be_bytes());
        out.extend_from_slice(&self.sequence.to_be_bytes());
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_response() { "response to" } else { "request" };
        write!(f, "{kind} {}, {} bytes", self.request(), self.len)
    }
}

impl Fields for Header {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("len", Value::Number(self.len.into()));
        each("response", Value::Flag(self.is_response()));
        each("command", Value::Number(self.request().into()));
        each("sequence", Value::Number(self.sequence.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use proptest::prelude::*;

    #[test]
    fn requests_and_responses_are_told_apart() {
        let check = |bytes: [u8; 16], expected: &str| {
            assert_eq!(Header::parse(&bytes).unwrap().to_string(), expected);
        };
        check(hex!("00000010 00100001 00000006 ffffffff"), "request 6, 16 bytes");
        check(hex!("00000161 00100001 3b9aca79 0000001a"), "response to 121, 353 bytes");
        check(hex!("00000154 00100001 3b9acc0a 00000007"), "response to 522, 340 bytes");
    }

    #[test]
    fn others_are_refused() {
        let check = |bytes: &[u8], offset: usize, reason: Reason| {
            let error = Header::parse(bytes).unwrap_err();
            assert_eq!((error.offset, error.reason), (offset, reason), "{bytes:02x?}");
        };
        check(&hex!("0000000f 00100001 00000006 ffffffff"), 0, Reason::BadLength);
        check(&hex!("00000014 000000c8 00000006 ffffffff"), 4, Reason::BadMagic);
        // Bilibili's live chat has versions 0 to 3 there.
        check(&hex!("00000014 00100002 00000007 00000001"), 6, Reason::BadVersion(2));
        check(&hex!("00000014 0010"), 6, Reason::Truncated { need: 8, have: 6 });
    }

    proptest! {
        #[test]
        fn emit_then_parse_is_identity(len in 16u32.., command: u32, sequence: u32) {
            let header = Header { len, command, sequence };
            let mut bytes = Vec::new();
            header.emit(&mut bytes);
            prop_assert_eq!(bytes.len(), HEADER);
            prop_assert_eq!(Header::parse(&bytes), Ok(header));
            for cut in 0..HEADER {
                prop_assert!(Header::parse(&bytes[..cut]).unwrap_err().is_truncated());
            }
        }

        #[test]
        fn reading_is_total(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            let _ = Header::parse(&bytes);
        }
    }
}
