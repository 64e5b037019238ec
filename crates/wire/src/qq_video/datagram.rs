//! Over UDP: case 1, which begins with `05` (table II), and case 2, which begins with `04` and
//! holds a case 1 packet (table III). They never appear in one session.

use super::{Content, VIDEO_FLAG, media};
use crate::cursor::Cursor;
use crate::error::{Layer, Reason, WireError};
use crate::fields::{Fields, Value};

/// "Begin flag" of case 1: files and audio use it as well.
pub const BEGIN: u8 = 0x05;
/// "Media flag" of case 2.
pub const OUTER: u8 = 0x04;
/// Where case 2 holds its case 1 packet.
pub const INNER: usize = 31;
/// Largest media type; see [`media`].
const MAX_MEDIA: u8 = media::VIDEO_RTCP;
/// Bytes of a case 1 packet without video data: what a payload length that counts all of it
/// says at least.
const SHORTEST: usize = 36;
/// The payload length that counts the command part alone.
const COMMAND_ONLY: u16 = 16;

/// A case 1 packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case1<'a> {
    /// MS, "increased by a random number for each packet in one flow".
    pub sequence: u16,
    /// VF, [`VIDEO_FLAG`] where it is video.
    pub flag: u32,
    /// VS, of 40 bits, rises by one with every packet of a video stream.
    pub number: u64,
    /// FF, the same in all fragments of a frame.
    pub frame: u32,
    /// EF, read as a media type, see [`media`].
    pub media: u8,
    /// RTP and what it carries; nothing for media types without RTP.
    pub content: Option<Content<'a>>,
    /// All that is behind the command part.
    pub body: &'a [u8],
}

impl<'a> Case1<'a> {
    /// Reads a packet that fills `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut at = Cursor::new(Layer::QqVideo, bytes);
        if at.u8()? != BEGIN {
            return Err(WireError::new(Layer::QqVideo, 0, Reason::BadMagic));
        }
        let sequence = at.u16()?;
        let flag = at.u24()?;
        let number = at.u40()?;
        let frame = at.u32()?;
        let media = at.u8()?;
        if media > MAX_MEDIA {
            let offset = at.at() - 1;
            return Err(WireError::new(Layer::QqVideo, offset, Reason::Unsupported(media.into())));
        }
        let body = at.rest();
        let content = Content::parse(body, media).map_err(|error| behind(error, at.at()))?;
        Ok(Case1 { sequence, flag, number, frame, media, content, body })
    }

    /// Writes the packet: the content where there is one, else the body. Numbers are cut to
    /// their bits.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.push(BEGIN);
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.flag.to_be_bytes()[1..]);
        out.extend_from_slice(&self.number.to_be_bytes()[3..]);
        out.extend_from_slice(&self.frame.to_be_bytes());
        out.push(self.media);
        match &self.content {
            Some(content) => content.emit(out),
            None => out.extend_from_slice(self.body),
        }
    }
}

/// An error of what lies so far behind the first byte, as one of the whole.
pub(super) fn behind(mut error: WireError, offset: usize) -> WireError {
    error.offset += offset;
    if let Reason::Truncated { need, have } = &mut error.reason {
        (*need, *have) = (*need + offset, *have + offset);
    }
    error
}

impl Fields for Case1<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("sequence", Value::Number(self.sequence.into()));
        each("flag", Value::Hex(self.flag.into()));
        each("video_flag", Value::Flag(self.flag == VIDEO_FLAG));
        each("number", Value::Number(self.number));
        each("frame", Value::Number(self.frame.into()));
        each("media", Value::Text(media::name(self.media)));
        match &self.content {
            Some(content) => content.fields(each),
            None => each("body", Value::Number(self.body.len() as u64)),
        }
    }
}

/// What the length field counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LengthReading {
    /// The UDP payload, as the paper says.
    Payload,
    /// The UDP payload and the UDP header.
    Datagram,
    /// Neither.
    Neither,
}

impl LengthReading {
    fn of(length: u16, payload: usize) -> Self {
        match usize::from(length) {
            n if n == payload => LengthReading::Payload,
            n if n == payload + 8 => LengthReading::Datagram,
            _ => LengthReading::Neither,
        }
    }

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            LengthReading::Payload => "payload",
            LengthReading::Datagram => "datagram",
            LengthReading::Neither => "neither",
        }
    }
}

/// What the payload length, "the length of PBW\x05", counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PayloadReading {
    /// The whole case 1 packet; what is behind it is the tail.
    Packet,
    /// Its command part alone; the packet goes on to the end.
    Command,
    /// Neither; the packet is taken to go on to the end.
    Neither,
}

impl PayloadReading {
    fn of(length: u16, rest: usize) -> Self {
        match length {
            COMMAND_ONLY => PayloadReading::Command,
            n if (SHORTEST..=rest).contains(&usize::from(n)) => PayloadReading::Packet,
            _ => PayloadReading::Neither,
        }
    }

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            PayloadReading::Packet => "packet",
            PayloadReading::Command => "command",
            PayloadReading::Neither => "neither",
        }
    }
}

/// A case 2 packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case2<'a> {
    /// V, the client's version.
    pub version: u16,
    /// L, "the length of UDP payload".
    pub length: u16,
    /// Which of its readings L fits.
    pub length_reading: LengthReading,
    /// SN, "increased by a random number for each packet in one flow".
    pub sequence: u32,
    /// N, the QQ number: whose, the paper does not say.
    pub account: u32,
    /// UN, of which "most is filled with \x00".
    pub unknown: [u8; 16],
    /// PL, "the length of PBW\x05".
    pub payload_length: u16,
    /// Which of its readings PL fits.
    pub payload_reading: PayloadReading,
    /// The case 1 packet inside.
    pub inner: Case1<'a>,
    /// What is behind it, where PL ends it: perhaps one byte `03`.
    pub tail: &'a [u8],
}

impl<'a> Case2<'a> {
    /// Reads a packet that fills `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut at = Cursor::new(Layer::QqVideo, bytes);
        if at.u8()? != OUTER {
            return Err(WireError::new(Layer::QqVideo, 0, Reason::BadMagic));
        }
        let (version, length) = (at.u16()?, at.u16()?);
        let (sequence, account) = (at.u32()?, at.u32()?);
        let mut unknown = [0; 16];
        unknown.copy_from_slice(at.take(16)?);
        let payload_length = at.u16()?;
        let rest = at.rest();
        let payload_reading = PayloadReading::of(payload_length, rest.len());
        let (packet, tail) = match payload_reading {
            // Proven to fit by the reading.
            PayloadReading::Packet => rest.split_at(usize::from(payload_length)),
            _ => (rest, &[][..]),
        };
        let inner = Case1::parse(packet).map_err(|error| behind(error, INNER))?;
        Ok(Case2 {
            version,
            length,
            length_reading: LengthReading::of(length, bytes.len()),
            sequence,
            account,
            unknown,
            payload_length,
            payload_reading,
            inner,
            tail,
        })
    }

    /// Writes the packet, with both lengths as their readings have them; those that fit no
    /// reading are written as they are.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.push(OUTER);
        out.extend_from_slice(&self.version.to_be_bytes());
        out.extend_from_slice(&self.length.to_be_bytes());
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.account.to_be_bytes());
        out.extend_from_slice(&self.unknown);
        out.extend_from_slice(&self.payload_length.to_be_bytes());
        let inner = out.len();
        self.inner.emit(out);
        let payload_length = match self.payload_reading {
            PayloadReading::Packet => (out.len() - inner) as u16,
            PayloadReading::Command => COMMAND_ONLY,
            PayloadReading::Neither => self.payload_length,
        };
        out[inner - 2..inner].copy_from_slice(&payload_length.to_be_bytes());
        out.extend_from_slice(self.tail);
        let size = out.len() - start;
        let length = match self.length_reading {
            LengthReading::Payload => size as u16,
            LengthReading::Datagram => (size + 8) as u16,
            LengthReading::Neither => self.length,
        };
        out[start + 3..start + 5].copy_from_slice(&length.to_be_bytes());
    }
}

impl Fields for Case2<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("client_version", Value::Hex(self.version.into()));
        each("length", Value::Number(self.length.into()));
        each("length_reading", Value::Text(self.length_reading.name()));
        each("outer_sequence", Value::Number(self.sequence.into()));
        each("account", Value::Number(self.account.into()));
        each("unknown", Value::Bytes(&self.unknown));
        each("payload_length", Value::Number(self.payload_length.into()));
        each("payload_reading", Value::Text(self.payload_reading.name()));
        self.inner.fields(each);
        if !self.tail.is_empty() {
            each("tail", Value::Bytes(&self.tail[..self.tail.len().min(16)]));
        }
    }
}
