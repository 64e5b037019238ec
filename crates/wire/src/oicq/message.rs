//! A message: `02`, version, command, sequence, QQ number, an encrypted rest, `03`.

use std::fmt;

use crate::cursor::Cursor;
use crate::error::{Layer, Reason, WireError};
use crate::fields::{Fields, Value};

/// First byte.
pub const START: u8 = 0x02;
/// Last byte.
pub const STOP: u8 = 0x03;
/// Bytes in front of what only clients send.
pub const HEADER: usize = 7;

/// Commands with their names, as far as they are public. Answers repeat the command.
const COMMANDS: &[(u16, &str)] = &[
    (0x0001, "logout"),
    (0x0002, "keep-alive"),
    (0x0004, "update-profile"),
    (0x0005, "search-user"),
    (0x0006, "get-profile"),
    (0x0009, "add-friend"),
    (0x000a, "delete-friend"),
    (0x000b, "authorize-friend"),
    (0x000d, "set-status"),
    (0x0012, "acknowledge-system-message"),
    (0x0013, "transfer-start"),
    (0x0016, "send-message"),
    (0x0017, "receive-message"),
    (0x0018, "get-information"),
    (0x001a, "reserved"),
    (0x001c, "remove-self"),
    (0x001d, "request-key"),
    (0x0021, "cell-phone"),
    (0x0022, "login"),
    (0x0026, "get-friends"),
    (0x0027, "get-friends-online"),
    (0x0029, "cell-phone-2"),
    (0x0030, "group"),
    (0x0031, "login-test"),
    (0x003c, "group-name"),
    (0x003d, "upload-group-friends"),
    (0x003e, "memo"),
    (0x0058, "download-group-friends"),
    (0x005c, "get-level"),
    (0x0062, "request-login"),
    (0x0065, "request-extra"),
    (0x0067, "signature"),
    (0x0080, "receive-system-message"),
    (0x0081, "friend-status"),
    (0x00b5, "group-friend-status"),
    (0x00ba, "login-captcha"),
    (0x00cd, "message-2008"),
    (0x00ce, "receive-message-2008"),
    (0x0825, "login-touch"),
    (0x0828, "login-session"),
    (0x0836, "login-verify"),
    (0x0839, "login-session-2"),
];

/// The word for a command; nothing for those that are not public.
pub fn command_name(command: u16) -> Option<&'static str> {
    COMMANDS.binary_search_by_key(&command, |(code, _)| *code).ok().map(|i| COMMANDS[i].1)
}

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// The client's version, or the server's id.
    pub version: u16,
    /// See [`command_name`].
    pub command: u16,
    /// Rises by one with each request; answers repeat it.
    pub sequence: u16,
    /// What follows up to the last byte. Clients begin it with their QQ number, see
    /// [`Message::account`].
    pub body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads a message that fills `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut at = Cursor::new(Layer::Oicq, bytes);
        if at.u8()? != START {
            return Err(WireError::new(Layer::Oicq, 0, Reason::BadMagic));
        }
        let (version, command, sequence) = (at.u16()?, at.u16()?, at.u16()?);
        let rest = at.rest();
        let Some((&STOP, body)) = rest.split_last() else {
            let need = HEADER + 1;
            return Err(match rest.is_empty() {
                true => WireError::truncated(Layer::Oicq, HEADER, need, bytes.len()),
                false => WireError::new(Layer::Oicq, bytes.len() - 1, Reason::BadMagic),
            });
        };
        Ok(Message { version, command, sequence, body })
    }

    /// Reads a message of a TCP stream, which begins with the length of all of it in two bytes,
    /// and says how many bytes it takes.
    pub fn parse_framed(bytes: &'a [u8]) -> Result<(Self, usize), WireError> {
        let mut at = Cursor::new(Layer::Oicq, bytes);
        let size = usize::from(at.u16()?);
        if at.u8().is_ok_and(|start| start != START) {
            return Err(WireError::new(Layer::Oicq, 2, Reason::BadMagic));
        }
        if size < 2 + HEADER + 1 {
            return Err(WireError::new(Layer::Oicq, 0, Reason::BadLength));
        }
        let whole = bytes
            .get(2..size)
            .ok_or_else(|| WireError::truncated(Layer::Oicq, 2, size, bytes.len()))?;
        match Message::parse(whole) {
            Ok(message) => Ok((message, size)),
            Err(mut error) => {
                error.offset += 2;
                Err(error)
            }
        }
    }

    /// The QQ number, where the message is a client's.
    pub fn account(&self) -> Option<u32> {
        self.body.first_chunk().map(|number| u32::from_be_bytes(*number))
    }

    /// The word for what it is.
    pub fn name(&self) -> &'static str {
        command_name(self.command).unwrap_or("message")
    }

    /// Writes the message as a datagram has it.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.push(START);
        out.extend_from_slice(&self.version.to_be_bytes());
        out.extend_from_slice(&self.command.to_be_bytes());
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(self.body);
        out.push(STOP);
    }

    /// Writes the message as a stream has it. A body that no length can say is cut.
    pub fn emit_framed(&self, out: &mut Vec<u8>) {
        let most = usize::from(u16::MAX) - 2 - HEADER - 1;
        let cut = Message { body: &self.body[..self.body.len().min(most)], ..*self };
        let size = (2 + HEADER + cut.body.len() + 1) as u16;
        out.extend_from_slice(&size.to_be_bytes());
        cut.emit(out);
    }
}

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:#06x}, number {}", self.name(), self.command, self.sequence)
    }
}

impl Fields for Message<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("client_version", Value::Hex(self.version.into()));
        each("command", Value::Hex(self.command.into()));
        each("command_name", Value::Text(self.name()));
        each("sequence", Value::Number(self.sequence.into()));
        each("body", Value::Number(self.body.len() as u64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn commands_are_in_order() {
        assert!(COMMANDS.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!((command_name(2), command_name(3)), (Some("keep-alive"), None));
    }

    proptest! {
        #[test]
        fn emit_then_parse_is_identity(
            version: u16, command: u16, sequence: u16,
            body in prop::collection::vec(any::<u8>(), 0..80), behind: Vec<u8>,
        ) {
            let message = Message { version, command, sequence, body: &body };
            let mut bytes = Vec::new();
            message.emit(&mut bytes);
            prop_assert_eq!(Message::parse(&bytes), Ok(message));
            let mut framed = Vec::new();
            message.emit_framed(&mut framed);
            let size = framed.len();
            for cut in 0..size {
                prop_assert!(Message::parse_framed(&framed[..cut]).unwrap_err().is_truncated());
            }
            framed.extend(behind);
            prop_assert_eq!(Message::parse_framed(&framed), Ok((message, size)));
        }

        #[test]
        fn reading_is_total(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = (Message::parse(&bytes), Message::parse_framed(&bytes));
        }
    }
}
