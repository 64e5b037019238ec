//! Google's QUIC before the IETF's: public headers of Q035 to Q046, whose client hello passes
//! in clear under a checksum, and the tag-value messages of its handshake, which Q050 carries
//! in Initial packets. From Chromium's sources and "QUIC Crypto" (2016).

use std::fmt;

use crate::cursor::Cursor;
use crate::error::{Layer, Reason, WireError};
use crate::fields::{Fields, Value};

/// Bytes of the checksum (FNV-1a, 128 bits cut to 96) in front of a cleartext payload.
const HASH: usize = 12;
/// The most tags a message may have (Chromium `kMaxEntries`).
const MAX_TAGS: u16 = 128;

/// A client's packet in clear, proven by its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// As on the wire, see [`super::version`].
    pub version: u32,
    /// Connection id.
    pub connection: &'a [u8],
    /// Frames.
    pub payload: &'a [u8],
}

fn is_google(version: u32) -> bool {
    let [letter, digits @ ..] = version.to_be_bytes();
    letter == b'Q' && digits.iter().all(u8::is_ascii_digit)
}

impl<'a> Packet<'a> {
    /// Reads a client's packet that names its version: public header (up to Q043) or long
    /// header (Q046). The checksum must hold.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut at = Cursor::new(Layer::Quic, bytes);
        let first = at.u8()?;
        let bad = |offset| WireError::new(Layer::Quic, offset, Reason::BadMagic);
        let (version, connection, number_len) = if first & 0x80 == 0 {
            // Public flags: version present, 8-byte connection id, no reset, no multipath.
            if first & 0x8b != 0x09 {
                return Err(bad(0));
            }
            let connection = at.take(8)?;
            (at.u32()?, connection, [1, 2, 4, 6][usize::from(first >> 4 & 3)])
        } else {
            let version = at.u32()?;
            if at.u8()? != 0x50 {
                return Err(bad(5)); // only a destination id of 8 bytes
            }
            (version, at.take(8)?, usize::from(first & 3) + 1)
        };
        if !is_google(version) {
            return Err(WireError::new(Layer::Quic, 1, Reason::BadVersion(version)));
        }
        at.take(number_len)?;
        let header = &bytes[..at.at()];
        let hash = at.take(HASH)?;
        let payload = at.rest();
        if checksum([header, payload, b"Client"]) == hash
            || checksum([header, payload, b""]) == hash
        {
            Ok(Packet { version, connection, payload })
        } else {
            Err(WireError::new(Layer::Quic, header.len(), Reason::Malformed("bad checksum")))
        }
    }

    /// The handshake message in the first stream frame, where it is whole.
    pub fn message(&self) -> Option<Message<'a>> {
        // A stream frame: flags, stream id, offset, length, in widths that the flags tell; the
        // handshake's first frame has offset 0 and starts within these few bytes.
        (0..16).find_map(|i| Message::parse(self.payload.get(i..)?).ok())
    }
}

/// FNV-1a over 128 bits, its low 96 bits in little-endian order, as Google's null encryption
/// has it. Since Q037 the sender's side is hashed too.
fn checksum(parts: [&[u8]; 3]) -> [u8; HASH] {
    const PRIME: u128 = (1 << 88) + 0x13b;
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    let hash = parts
        .iter()
        .flat_map(|p| p.iter())
        .fold(BASIS, |hash, b| (hash ^ u128::from(*b)).wrapping_mul(PRIME));
    let mut out = [0; HASH];
    out.copy_from_slice(&hash.to_le_bytes()[..HASH]);
    out
}

/// A handshake message: a tag and sorted tag-value pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// `CHLO`, `SHLO` or `REJ\0`.
    pub tag: [u8; 4],
    index: &'a [u8],
    values: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads the message at the start of `bytes`: tag, count, then pairs of tag and end offset.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut at = Cursor::new(Layer::Quic, bytes);
        let tag = at.u32()?.to_be_bytes();
        if !matches!(&tag, b"CHLO" | b"SHLO" | b"REJ\0") {
            return Err(WireError::new(Layer::Quic, 0, Reason::BadMagic));
        }
        let count = at.u16()?.swap_bytes();
        at.take(2)?; // padding
        if count > MAX_TAGS {
            return Err(WireError::new(Layer::Quic, 4, Reason::TooLarge));
        }
        let index = at.take(8 * usize::from(count))?;
        Ok(Message { tag, index, values: at.rest() })
    }

    /// Tags and values in their order; ends where one is cut off.
    pub fn entries(&self) -> impl Iterator<Item = ([u8; 4], &'a [u8])> + 'a {
        let values = self.values;
        let mut start = 0;
        self.index.chunks_exact(8).map_while(move |entry| {
            let (tag, end) = entry.split_first_chunk::<4>()?;
            let end = u32::from_le_bytes(end.try_into().ok()?) as usize;
            let value = values.get(start..end)?;
            start = end;
            Some((*tag, value))
        })
    }

    fn text(&self, wanted: [u8; 4]) -> Option<&'a str> {
        let (_, value) = self.entries().find(|(tag, _)| *tag == wanted)?;
        std::str::from_utf8(value).ok()
    }

    /// The server's name.
    pub fn server_name(&self) -> Option<&'a str> {
        self.text(*b"SNI\0")
    }

    /// The user agent.
    pub fn user_agent(&self) -> Option<&'a str> {
        self.text(*b"UAID")
    }

    /// The kind as messages are named everywhere here.
    pub fn name(&self) -> &'static str {
        match &self.tag {
            b"CHLO" => "client-hello",
            b"SHLO" => "server-hello",
            _ => "reject",
        }
    }
}

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name())?;
        self.server_name().map_or(Ok(()), |name| write!(f, " for {name}"))
    }
}

impl Fields for Message<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        if let Some(name) = self.server_name() {
            each("server_name", Value::Text(name));
        }
        if let Some(agent) = self.user_agent() {
            each("user_agent", Value::Text(agent));
        }
        each("tags", Value::Number((self.index.len() / 8) as u64));
    }
}

/// Writes a message, for tests and synthesis; entries must be sorted by tag as a
/// little-endian number.
pub fn emit_message(tag: [u8; 4], entries: &[([u8; 4], &[u8])], out: &mut Vec<u8>) {
    out.extend_from_slice(&tag);
    out.extend_from_slice(&(entries.len() as u16).to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    let mut end = 0u32;
    for (tag, value) in entries {
        end += value.len() as u32;
        out.extend_from_slice(tag);
        out.extend_from_slice(&end.to_le_bytes());
    }
    for (_, value) in entries {
        out.extend_from_slice(value);
    }
}

/// Writes a Q043 client packet around a handshake message, for tests and synthesis.
pub fn emit_q043(connection: [u8; 8], number: u8, message: &[u8], out: &mut Vec<u8>) {
    let mut header = vec![0x09];
    header.extend_from_slice(&connection);
    header.extend_from_slice(b"Q043");
    header.push(number);
    // Stream frame with data length, no offset, one-byte stream id (Chromium).
    let mut payload = vec![0xa0, 0x01];
    payload.extend_from_slice(&(message.len() as u16).to_be_bytes());
    payload.extend_from_slice(message);
    let hash = checksum([&header, &payload, b"Client"]);
    out.extend_from_slice(&header);
    out.extend_from_slice(&hash);
    out.extend_from_slice(&payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_hello_is_written_and_read_back() {
        let mut message = Vec::new();
        let entries: [([u8; 4], &[u8]); 3] =
            [(*b"SNI\0", b"www.google.com"), (*b"VER\0", b"Q043"), (*b"UAID", b"Chrome/60")];
        emit_message(*b"CHLO", &entries, &mut message);
        let mut bytes = Vec::new();
        emit_q043([7; 8], 1, &message, &mut bytes);
        let packet = Packet::parse(&bytes).unwrap();
        let read = packet.message().unwrap();
        assert_eq!(read.entries().collect::<Vec<_>>(), entries);
        assert_eq!(read.to_string(), "client-hello for www.google.com");
        assert_eq!(read.user_agent(), Some("Chrome/60"));
        *bytes.last_mut().unwrap() ^= 1;
        assert_eq!(Packet::parse(&bytes).unwrap_err().reason, Reason::Malformed("bad checksum"));
    }
}
