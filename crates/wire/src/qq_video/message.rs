//! Over TCP, which QQ takes between peers in one local network (table IV).
//!
//! The text gives the fill-in two bytes and prints three, and the flag behind it four bytes and
//! prints two; the table gives four and two and adds up to the ten bytes that the text demands.
//! Both are read, the table's form first. No length is anywhere: a message ends where the next
//! begins, which a stream's reader must find.

use super::datagram::behind;
use super::{Content, FLAG_START, media};
use crate::cursor::Cursor;
use crate::error::{Layer, Reason, WireError};
use crate::fields::{Fields, Value};

/// How wide the fill-in is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Form {
    /// Four bytes, as table IV says; the fourth is free.
    Table,
    /// The three bytes that the text prints.
    Literal,
}

impl Form {
    /// Both, the more plausible first.
    pub const ALL: [Form; 2] = [Form::Table, Form::Literal];

    /// Bytes of the head.
    pub fn size(self) -> usize {
        match self {
            Form::Table => 10,
            Form::Literal => 9,
        }
    }

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Form::Table => "table",
            Form::Literal => "literal",
        }
    }
}

/// The head of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Which form it has.
    pub form: Form,
    /// FF, the low half of what UDP has, most likely.
    pub frame: u16,
    /// Fourth byte of the fill-in, 0 where there is none.
    pub fill: u8,
    /// MS.
    pub sequence: u16,
    /// TVF, the "TCP video flag": `03 03`.
    pub flag: [u8; 2],
}

impl Head {
    /// Media type, see [`media`]: video where both bytes of the flag say so, else what the one
    /// that does not says.
    pub fn media(&self) -> u8 {
        match self.flag {
            [first, media::VIDEO] => first,
            [_, second] => second,
        }
    }

    /// Reads a head of this form. Both bytes of the flag must be media types.
    pub fn parse(bytes: &[u8], form: Form) -> Result<Self, WireError> {
        let mut at = Cursor::new(Layer::QqVideo, bytes);
        let frame = at.u16()?;
        let start = at.at();
        if at.take(3)? != [0, FLAG_START[0], FLAG_START[1]] {
            return Err(WireError::new(Layer::QqVideo, start, Reason::BadMagic));
        }
        let fill = if form == Form::Table { at.u8()? } else { 0 };
        let sequence = at.u16()?;
        let place = at.at();
        let flag = [at.u8()?, at.u8()?];
        if flag.iter().any(|byte| *byte > media::VIDEO_RTCP) {
            return Err(WireError::new(Layer::QqVideo, place, Reason::BadMagic));
        }
        Ok(Head { form, frame, fill, sequence, flag })
    }

    /// Writes the head.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.frame.to_be_bytes());
        out.extend_from_slice(&[0, FLAG_START[0], FLAG_START[1]]);
        if self.form == Form::Table {
            out.push(self.fill);
        }
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.flag);
    }
}

/// A message whose end is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// The head.
    pub head: Head,
    /// RTP and what it carries; nothing for media types without RTP.
    pub content: Option<Content<'a>>,
    /// All that is behind the head.
    pub body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads a message that fills `bytes`, in whichever form fits.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let table = Self::parse_as(bytes, Form::Table);
        table.or_else(|error| Self::parse_as(bytes, Form::Literal).map_err(|_| error))
    }

    /// Reads a message that fills `bytes`, in one form.
    pub fn parse_as(bytes: &'a [u8], form: Form) -> Result<Self, WireError> {
        let head = Head::parse(bytes, form)?;
        let body = bytes.get(form.size()..).unwrap_or(&[]);
        let content =
            Content::parse(body, head.media()).map_err(|error| behind(error, form.size()))?;
        Ok(Message { head, content, body })
    }

    /// Writes the message: the content where there is one, else the body.
    pub fn emit(&self, out: &mut Vec<u8>) {
        self.head.emit(out);
        match &self.content {
            Some(content) => content.emit(out),
            None => out.extend_from_slice(self.body),
        }
    }
}

impl Fields for Message<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("form", Value::Text(self.head.form.name()));
        each("frame", Value::Number(self.head.frame.into()));
        if self.head.form == Form::Table {
            each("fill", Value::Hex(self.head.fill.into()));
        }
        each("sequence", Value::Number(self.head.sequence.into()));
        each("flag", Value::Bytes(&self.head.flag));
        each("media", Value::Text(media::name(self.head.media())));
        match &self.content {
            Some(content) => content.fields(each),
            None => each("body", Value::Number(self.body.len() as u64)),
        }
    }
}
