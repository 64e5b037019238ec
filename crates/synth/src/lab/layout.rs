//! A header layout: which bytes of a message mean what, as truth and as a recipe.
//!
//! Everything behind the header is payload that looks encrypted.

use std::net::IpAddr;

use serde::{Serialize, Serializer};

use crate::SynthError;
use crate::rng::mix;
use crate::tcp::UP;

/// Order of the bytes of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Endian {
    /// The most significant first.
    Big,
    /// The least significant first.
    Little,
}

/// Fixed bytes, written in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hex(
    /// The bytes as sent.
    pub Vec<u8>,
);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digit = |n: u8| char::from_digit(u32::from(n), 16).unwrap_or('?');
        let text: String = self.0.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect();
        serializer.serialize_str(&text)
    }
}

/// What a length field counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// The whole message.
    Total,
    /// What is behind the header.
    Body,
    /// What is behind the length field itself.
    Rest,
    /// The whole message and a constant more or less.
    Other,
}

/// What a field means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Kind {
    /// The same bytes in every message.
    Constant {
        /// These.
        value: Hex,
    },
    /// Rises by one per message of its direction, or (`echo`) per request, which the response
    /// repeats.
    Sequence {
        /// Whether a response repeats its request's number.
        echo: bool,
        /// The first number of a flow.
        first: u64,
    },
    /// Tells requests from responses, whoever sends them.
    RequestResponse {
        /// Bytes of a request.
        request: Hex,
        /// Bytes of a response.
        response: Hex,
    },
    /// The message's bytes plus `add`.
    Length {
        /// What that counts.
        relation: Relation,
        /// What is added to the message's bytes, header included.
        add: i64,
    },
    /// What the message does.
    Opcode {
        /// What a response adds to its request's opcode.
        response_offset: u64,
    },
    /// Drawn at random for every request and repeated by its response.
    Transaction,
    /// When it was sent, by its sender's clock.
    Timestamp {
        /// Units in a second, since 1970 UTC.
        per_second: u64,
    },
    /// Drawn at random for every flow.
    Session,
    /// Bits that hang on the opcode and on chance.
    Flags,
    /// The client's IPv4 address.
    Address,
    /// Nothing that can be told.
    Random,
}

/// One field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    /// First byte.
    pub at: u32,
    /// Bytes.
    pub len: u32,
    /// Order of its bytes, where it is a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endian: Option<Endian>,
    /// What it means.
    #[serde(flatten)]
    pub kind: Kind,
}

/// Who lets a message of this opcode be sent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "origin", rename_all = "kebab-case")]
pub enum Origin {
    /// The user, by a task of the lab's table.
    User,
    /// A clock.
    Periodic {
        /// Seconds.
        period: f64,
    },
    /// Another request, within a second of it.
    Triggered {
        /// Its opcode.
        by: u64,
    },
    /// The app or its server, at times of its own.
    System,
}

/// What an opcode means.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Opcode {
    /// As a request has it.
    pub opcode: u64,
    /// What it does.
    pub task: &'static str,
    /// Who lets it be sent.
    pub origins: Vec<Origin>,
}

/// A header.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Layout {
    /// Number within the lab.
    pub index: u16,
    /// Name.
    pub name: String,
    /// `tcp` or `udp`.
    pub transport: &'static str,
    /// Bytes of the header.
    pub header: u32,
    /// Fields in order; together they are the header.
    pub fields: Vec<Field>,
    /// Opcodes, rising.
    pub opcodes: Vec<Opcode>,
}

/// What one message's header is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values {
    pub side: usize,
    pub response: bool,
    pub opcode: u64,
    pub sequence: u64,
    pub transaction: u64,
    /// Nanoseconds since 1970 UTC.
    pub at: i64,
    pub session: u64,
    pub client: IpAddr,
    /// Bytes of the whole message.
    pub total: u64,
    /// Where random bytes come from.
    pub noise: u64,
}

impl Layout {
    /// A layout of these fields, given without their offsets.
    pub(super) fn new(
        index: u16,
        name: &str,
        transport: &'static str,
        fields: Vec<(u32, Option<Endian>, Kind)>,
    ) -> Self {
        let mut header = 0;
        let place = |(len, endian, kind)| {
            let at = header;
            header += len;
            Field { at, len, endian, kind }
        };
        let mut fields: Vec<Field> = fields.into_iter().map(place).collect();
        for field in &mut fields {
            if let Kind::Length { relation, add } = &mut field.kind {
                *relation = match *add {
                    0 => Relation::Total,
                    add if add == -i64::from(header) => Relation::Body,
                    add if add == -i64::from(field.at + field.len) => Relation::Rest,
                    _ => Relation::Other,
                };
            }
        }
        Layout { index, name: name.to_owned(), transport, header, fields, opcodes: Vec::new() }
    }

    /// Most bytes that a message may have for its length fields to hold.
    pub(super) fn most(&self) -> u64 {
        let most = |field: &Field| match field.kind {
            Kind::Length { add, .. } if field.len < 4 => {
                Some(((1i64 << (8 * field.len)) - 1 - add.max(0)) as u64)
            }
            _ => None,
        };
        self.fields.iter().filter_map(most).min().unwrap_or(1 << 20)
    }

    pub(super) fn has_opcode(&self) -> bool {
        self.fields.iter().any(|field| matches!(field.kind, Kind::Opcode { .. }))
    }

    pub(super) fn has_sequence(&self) -> bool {
        self.fields.iter().any(|field| matches!(field.kind, Kind::Sequence { .. }))
    }

    /// The opcode as a response's header has it, of a request's.
    pub(super) fn answered(&self, opcode: u64) -> u64 {
        let offset = |field: &Field| match field.kind {
            Kind::Opcode { response_offset } => Some(response_offset),
            _ => None,
        };
        opcode + self.fields.iter().find_map(offset).unwrap_or(0)
    }

    /// Checks that fields are whole bytes in order and numbers fit.
    pub(super) fn check(&self) -> Result<(), SynthError> {
        let error = |what: String| Err(SynthError::Scenario(format!("`{}`: {what}", self.name)));
        let mut at = 0;
        for field in &self.fields {
            let fixed = match &field.kind {
                Kind::Constant { value } => value.0.len() as u32 == field.len,
                Kind::RequestResponse { request, response } => {
                    request.0.len() as u32 == field.len && response.0.len() as u32 == field.len
                }
                _ => true,
            };
            if field.at != at || field.len == 0 || field.len > 8 || !fixed {
                return error(format!("the field at byte {} does not fit", field.at));
            }
            at += field.len;
        }
        match at == self.header && at <= 256 {
            true => Ok(()),
            false => error("the header is not its fields".to_owned()),
        }
    }

    /// The header's bytes.
    pub(super) fn emit(&self, values: &Values) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.header as usize);
        for field in &self.fields {
            let len = field.len as usize;
            let number = match &field.kind {
                Kind::Constant { value } => {
                    out.extend_from_slice(&value.0);
                    continue;
                }
                Kind::RequestResponse { request, response } => {
                    out.extend_from_slice(if values.response { &response.0 } else { &request.0 });
                    continue;
                }
                Kind::Sequence { .. } => values.sequence,
                Kind::Length { add, .. } => values.total.saturating_add_signed(*add),
                Kind::Opcode { .. } if values.response => self.answered(values.opcode),
                Kind::Opcode { .. } => values.opcode,
                Kind::Transaction => mix(values.transaction),
                Kind::Timestamp { per_second } => {
                    (values.at as u64) / (1_000_000_000 / per_second.max(&1))
                }
                Kind::Session => mix(values.session),
                // Which bits are possible hangs on the opcode, which of them are set on chance.
                Kind::Flags => {
                    let side = if values.side == UP { 0x0101 } else { 0 };
                    mix(values.opcode) & mix(values.noise ^ 1) & 0x5252 | side
                }
                Kind::Address => match values.client {
                    IpAddr::V4(address) => u64::from(u32::from(address)),
                    IpAddr::V6(_) => 0,
                },
                Kind::Random => mix(values.noise ^ u64::from(field.at) << 32),
            };
            match field.endian {
                Some(Endian::Little) => out.extend_from_slice(&number.to_le_bytes()[..len]),
                _ => out.extend_from_slice(&number.to_be_bytes()[8 - len..]),
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn values() -> Values {
        Values {
            side: UP,
            response: false,
            opcode: 9,
            sequence: 0x0102,
            transaction: 5,
            at: 1_400_000_000_250_000_000,
            session: 6,
            client: IpAddr::V4(Ipv4Addr::new(10, 0, 1, 2)),
            total: 0x1234,
            noise: 7,
        }
    }

    fn check(field: (u32, Option<Endian>, Kind), expected: &[u8]) {
        let layout = Layout::new(0, "test", "tcp", vec![field]);
        layout.check().unwrap();
        assert_eq!(layout.emit(&values()), expected, "{:?}", layout.fields);
    }

    #[test]
    fn fields_are_written_as_they_say() {
        use Endian::{Big, Little};
        let length = |add| Kind::Length { relation: Relation::Other, add };
        check((2, Some(Big), length(0)), &[0x12, 0x34]);
        check((3, Some(Little), length(-4)), &[0x30, 0x12, 0]);
        check((4, Some(Big), Kind::Sequence { echo: true, first: 1 }), &[0, 0, 1, 2]);
        check((1, None, Kind::Opcode { response_offset: 0 }), &[9]);
        check((4, Some(Little), Kind::Timestamp { per_second: 1 }), &[0x00, 0x4e, 0x72, 0x53]);
        check((4, None, Kind::Address), &[10, 0, 1, 2]);
        check((2, None, Kind::Constant { value: Hex(vec![0xa1, 8]) }), &[0xa1, 8]);
    }

    #[test]
    fn lengths_know_what_they_count() {
        let relation = |add, behind: u32| {
            let length = Kind::Length { relation: Relation::Other, add };
            let fields = vec![(2, Some(Endian::Big), length), (behind, None, Kind::Random)];
            let layout = Layout::new(0, "test", "tcp", fields);
            match layout.fields[0].kind {
                Kind::Length { relation, .. } => relation,
                _ => panic!("no length"),
            }
        };
        assert_eq!(relation(0, 4), Relation::Total);
        assert_eq!(relation(-6, 4), Relation::Body);
        assert_eq!(relation(-2, 4), Relation::Rest);
        assert_eq!(relation(1, 4), Relation::Other);
    }

    #[test]
    fn truth_is_plain() {
        let field = Field {
            at: 4,
            len: 4,
            endian: None,
            kind: Kind::Constant { value: Hex(vec![0, 0x10, 0, 1]) },
        };
        let text = serde_json::to_string(&field).unwrap();
        assert_eq!(text, r#"{"at":4,"len":4,"kind":"constant","value":"00100001"}"#);
    }
}
