//! W-UDP, the datagrams of real-time chats (ChatDissect, Fig. 3).
//!
//! The figure has four layouts and, but for one, no values; the values are those that
//! libprotoident's rules list. Neither can tell a chat from one datagram: only a flow of which
//! every datagram fits is one (ChatDissect, III-B).

use std::fmt;

use crate::cursor::{Cursor, put_u24};
use crate::error::{Layer, Reason, WireError};
use crate::fields::{Fields, Value};

/// First byte of heartbeats, and bytes 1 and 3.
const BEAT: u8 = 0xd1;
const MARK: u8 = 0x0a;
/// First bytes of content.
const CONTENT: [u8; 3] = [0xa3, 0xd5, 0xd6];
/// Bytes 0 and 1 of signalling.
const SIGNALLING: u16 = 0xa108;
/// Bytes 2 of heartbeats by direction.
const UP: [u8; 5] = [0x1d, 0x1e, 0x2c, 0x2d, 0x2e];
const DOWN: [u8; 4] = [0x29, 0x2a, 0x2b, 0x2d];

/// One datagram, as far as its layout is known. The bytes behind are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datagram {
    /// Keeps the chat alive.
    Heartbeat {
        /// Byte 2, which differs by direction; see [`Datagram::is_up`].
        inner: u8,
    },
    /// Voice or video.
    Content {
        /// Byte 0.
        first: u8,
        /// Byte 1.
        opcode: u8,
        /// Bytes 2 and 3.
        sequence: u16,
        /// Byte 4, the same throughout a chat.
        constant: u8,
    },
    /// Sets a chat up or ends it.
    Signalling {
        /// Bytes 2 to 4.
        sequence: u32,
    },
}

impl Datagram {
    /// Reads the first bytes of a datagram.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut at = Cursor::new(Layer::WeChat, bytes);
        let (first, second) = (at.u8()?, at.u8()?);
        match first {
            BEAT if second == MARK => {
                let inner = at.u8()?;
                match at.u8()? {
                    MARK => Ok(Datagram::Heartbeat { inner }),
                    _ => Err(WireError::new(Layer::WeChat, 3, Reason::BadMagic)),
                }
            }
            _ if u16::from_be_bytes([first, second]) == SIGNALLING => {
                Ok(Datagram::Signalling { sequence: at.u24()? })
            }
            _ if CONTENT.contains(&first) => Ok(Datagram::Content {
                first,
                opcode: second,
                sequence: at.u16()?,
                constant: at.u8()?,
            }),
            _ => Err(WireError::new(Layer::WeChat, 0, Reason::BadMagic)),
        }
    }

    /// Whether a heartbeat goes up; none where its byte 2 is seen in both directions, or not
    /// listed.
    pub fn is_up(&self) -> Option<bool> {
        match self {
            Datagram::Heartbeat { inner } => match (UP.contains(inner), DOWN.contains(inner)) {
                (up, down) if up != down => Some(up),
                _ => None,
            },
            _ => None,
        }
    }

    /// What it is, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Datagram::Heartbeat { .. } => "heartbeat",
            Datagram::Content { .. } => "content",
            Datagram::Signalling { .. } => "signalling",
        }
    }

    /// Writes the first bytes; what is behind is the caller's.
    pub fn emit(&self, out: &mut Vec<u8>) {
        match *self {
            Datagram::Heartbeat { inner } => out.extend_from_slice(&[BEAT, MARK, inner, MARK]),
            Datagram::Content { first, opcode, sequence, constant } => {
                out.extend_from_slice(&[first, opcode]);
                out.extend_from_slice(&sequence.to_be_bytes());
                out.push(constant);
            }
            Datagram::Signalling { sequence } => {
                out.extend_from_slice(&SIGNALLING.to_be_bytes());
                put_u24(out, sequence as usize);
            }
        }
    }
}

impl fmt::Display for Datagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Datagram::Heartbeat { .. } => f.write_str(self.kind()),
            Datagram::Content { opcode, sequence, .. } => {
                write!(f, "content {opcode:#04x}, number {sequence}")
            }
            Datagram::Signalling { sequence } => write!(f, "signalling, number {sequence}"),
        }
    }
}

impl Fields for Datagram {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("kind", Value::Text(self.kind()));
        match *self {
            Datagram::Heartbeat { inner } => {
                each("inner", Value::Hex(inner.into()));
                if let Some(up) = self.is_up() {
                    each("up", Value::Flag(up));
                }
            }
            Datagram::Content { first, opcode, sequence, constant } => {
                each("first", Value::Hex(first.into()));
                each("opcode", Value::Number(opcode.into()));
                each("sequence", Value::Number(sequence.into()));
                each("constant", Value::Hex(constant.into()));
            }
            Datagram::Signalling { sequence } => each("sequence", Value::Number(sequence.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use proptest::prelude::*;

    #[test]
    fn layouts_are_told_apart() {
        let check = |bytes: &[u8], expected: &str| {
            assert_eq!(Datagram::parse(bytes).unwrap().to_string(), expected);
        };
        check(&hex!("d10a1d0a1008"), "heartbeat");
        check(&hex!("d502001a1e99"), "content 0x02, number 26");
        check(&hex!("a10800012c99"), "signalling, number 300");
        for bad in [&hex!("d10b1d0a")[..], &hex!("d10a1d0b"), &hex!("a1090000"), &hex!("0001")] {
            assert_eq!(Datagram::parse(bad).unwrap_err().reason, Reason::BadMagic, "{bad:02x?}");
        }
    }

    #[test]
    fn heartbeats_tell_their_direction() {
        let up = |inner| Datagram::Heartbeat { inner }.is_up();
        assert_eq!((up(0x1d), up(0x29), up(0x2d), up(0x77)), (Some(true), Some(false), None, None));
    }

    fn datagrams() -> impl Strategy<Value = Datagram> {
        prop_oneof![
            any::<u8>().prop_map(|inner| Datagram::Heartbeat { inner }),
            (0..3usize, any::<(u8, u16, u8)>()).prop_map(|(i, (opcode, sequence, constant))| {
                Datagram::Content { first: CONTENT[i], opcode, sequence, constant }
            }),
            (0u32..1 << 24).prop_map(|sequence| Datagram::Signalling { sequence }),
        ]
    }

    proptest! {
        #[test]
        fn emit_then_parse_is_identity(datagram in datagrams()) {
            let mut bytes = Vec::new();
            datagram.emit(&mut bytes);
            for cut in 0..bytes.len() {
                prop_assert!(Datagram::parse(&bytes[..cut]).unwrap_err().is_truncated());
            }
            bytes.extend([1, 2, 3]);
            prop_assert_eq!(Datagram::parse(&bytes), Ok(datagram));
        }

        #[test]
        fn reading_is_total(bytes in prop::collection::vec(any::<u8>(), 0..9)) {
            let _ = Datagram::parse(&bytes);
        }
    }
}
