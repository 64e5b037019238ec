//! The frames that Initial packets may hold (RFC 9000 12.4, 19).

use std::fmt;

use super::header::{put_varint, varint};
use crate::cursor::Cursor;
use crate::error::{Layer, Reason, WireError};
use crate::fields::{Fields, Value};

/// One frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// So many bytes of padding in a row.
    Padding(usize),
    /// Asks for an acknowledgement.
    Ping,
    /// Acknowledges packets up to this number.
    Ack(u64),
    /// Handshake bytes at an offset of this direction's stream.
    Crypto {
        /// Where they belong.
        offset: u64,
        /// The bytes.
        data: &'a [u8],
    },
    /// The connection ends with this error code.
    Close(u64),
}

/// The frames of an opened packet. Ends at the first one that may not be in an Initial, or is
/// malformed, and keeps the reason.
#[derive(Debug, Clone)]
pub struct Frames<'a> {
    at: Cursor<'a>,
    /// Why reading ended early, if it did.
    pub stop: Option<WireError>,
}

impl<'a> Frames<'a> {
    /// Over the payload of an opened packet.
    pub fn new(payload: &'a [u8]) -> Self {
        Frames { at: Cursor::new(Layer::Quic, payload), stop: None }
    }

    fn read(&mut self) -> Result<Frame<'a>, WireError> {
        let at = &mut self.at;
        let kind = varint(at)?;
        Ok(match kind {
            0x00 => {
                let zeros = at.rest().iter().take_while(|b| **b == 0).count();
                at.take(zeros)?;
                Frame::Padding(1 + zeros)
            }
            0x01 => Frame::Ping,
            0x02 | 0x03 => {
                let largest = varint(at)?;
                varint(at)?; // delay
                let ranges = varint(at)?;
                varint(at)?; // first range
                // Each range takes at least two bytes, so a false count ends at the bytes' end.
                for _ in 0..ranges {
                    varint(at)?;
                    varint(at)?;
                }
                if kind == 0x03 {
                    for _ in 0..3 {
                        varint(at)?;
                    }
                }
                Frame::Ack(largest)
            }
            // Google's Q050 and T05x number their crypto frames 8, which no Initial of others has.
            0x06 | 0x08 => {
                let offset = varint(at)?;
                let len = usize::try_from(varint(at)?).unwrap_or(usize::MAX);
                Frame::Crypto { offset, data: at.take(len)? }
            }
            0x1c => {
                let code = varint(at)?;
                varint(at)?; // frame type
                let len = usize::try_from(varint(at)?).unwrap_or(usize::MAX);
                at.take(len)?;
                Frame::Close(code)
            }
            other => return Err(at.error(Reason::Unsupported(other as u32))),
        })
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;
    fn next(&mut self) -> Option<Frame<'a>> {
        if self.at.rest().is_empty() || self.stop.is_some() {
            return None;
        }
        match self.read() {
            Ok(frame) => Some(frame),
            Err(error) => {
                self.stop = Some(error);
                None
            }
        }
    }
}

impl Frame<'_> {
    /// Writes the frame; acknowledgements name one packet.
    pub fn emit(&self, out: &mut Vec<u8>) {
        match *self {
            Frame::Padding(n) => out.resize(out.len() + n, 0),
            Frame::Ping => out.push(1),
            Frame::Ack(largest) => {
                out.push(2);
                put_varint(out, largest, 1);
                out.extend_from_slice(&[0, 0, 0]);
            }
            Frame::Crypto { offset, data } => {
                out.push(6);
                put_varint(out, offset, 1);
                put_varint(out, data.len() as u64, 2);
                out.extend_from_slice(data);
            }
            Frame::Close(code) => {
                out.push(0x1c);
                put_varint(out, code, 1);
                out.extend_from_slice(&[0, 0]);
            }
        }
    }
}

impl fmt::Display for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Frame::Padding(n) => write!(f, "padding of {n} bytes"),
            Frame::Ping => f.write_str("ping"),
            Frame::Ack(largest) => write!(f, "ack up to {largest}"),
            Frame::Crypto { offset, data } => {
                write!(f, "crypto bytes {offset}..{}", offset.saturating_add(data.len() as u64))
            }
            Frame::Close(code) => write!(f, "close with {code:#x}"),
        }
    }
}

impl Fields for Frame<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        match *self {
            Frame::Padding(n) => each("padding", Value::Number(n as u64)),
            Frame::Ping => each("ping", Value::Flag(true)),
            Frame::Ack(largest) => each("ack", Value::Number(largest)),
            Frame::Crypto { offset, data } => {
                each("crypto_offset", Value::Number(offset));
                each("crypto_len", Value::Number(data.len() as u64));
            }
            Frame::Close(code) => each("close", Value::Hex(code)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_walked_and_written_back() {
        let frames = [
            Frame::Ping,
            Frame::Crypto { offset: 70_000, data: b"hello" },
            Frame::Padding(9),
            Frame::Ack(300),
            Frame::Crypto { offset: 0, data: &[] },
            Frame::Close(0x12a),
        ];
        let mut bytes = Vec::new();
        for frame in &frames {
            frame.emit(&mut bytes);
        }
        let mut walk = Frames::new(&bytes);
        assert_eq!(walk.by_ref().collect::<Vec<_>>(), frames);
        assert_eq!(walk.stop, None);
        bytes.truncate(4);
        let mut walk = Frames::new(&bytes);
        assert_eq!(walk.by_ref().count(), 1);
        assert!(walk.stop.unwrap().is_truncated());
        let mut walk = Frames::new(&[0x0a, 1, 2]); // a stream frame
        assert_eq!(walk.next(), None);
        assert_eq!(walk.stop.unwrap().reason, Reason::Unsupported(0x0a));
    }
}
