//! The message: a header of 20 bytes and attributes (RFC 8489 5).

use std::fmt;
use std::net::SocketAddr;

use super::attribute::{Attribute, Attributes, kind as attr};
use crate::cursor::Cursor;
use crate::error::{Layer, Reason, WireError};
use crate::fields::{Fields, Value};

/// Bytes before the attributes.
pub const HEADER: usize = 20;
/// Tells STUN from all else that shares its ports.
pub const MAGIC_COOKIE: u32 = 0x2112_a442;

/// What a message is to its transaction: bits 4 and 8 of the type (RFC 8489 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Wants an answer.
    Request,
    /// Wants none.
    Indication,
    /// Answers.
    Success,
    /// Refuses.
    Error,
}

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// Message type, class bits included.
    pub kind: u16,
    /// All 16 bytes behind the length: the magic cookie and 12 bytes of transaction id, or, in
    /// classic STUN, 16 bytes of it.
    pub id: &'a [u8; 16],
    /// The attributes' bytes.
    attributes: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads the message at the start of `bytes`, by its magic cookie. Lengths need not be
    /// multiples of four: Teams sends others.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let message = Self::parse_any(bytes)?;
        if message.has_cookie() {
            Ok(message)
        } else {
            Err(WireError::new(Layer::Stun, 4, Reason::BadMagic))
        }
    }

    /// Reads a classic message, which has no cookie, by its structure: a type that RFC 3489
    /// defines, a length that is the datagram's, and attributes of known types and right
    /// lengths to the very end. Without attributes little is proven: wait for the answer.
    pub fn parse_classic(bytes: &'a [u8]) -> Result<Self, WireError> {
        let message = Self::parse_any(bytes)?;
        let bad = |offset, what| WireError::new(Layer::Stun, offset, Reason::Malformed(what));
        if !matches!(message.kind, 0x0001 | 0x0101 | 0x0111 | 0x0002 | 0x0102 | 0x0112) {
            return Err(bad(0, "not a classic type"));
        }
        let odd = !message.attributes.len().is_multiple_of(4);
        if odd || message.size() != bytes.len() || message.id.iter().all(|b| *b == message.id[0]) {
            return Err(bad(2, "not a classic header"));
        }
        let mut walked = 0;
        for attribute in message.attributes() {
            let len = attribute.value.len();
            let sane = match attribute.kind {
                attr::MAPPED_ADDRESS | 0x0002 | 0x0004 | 0x0005 | 0x000b | 0x8020 => {
                    len == 8 && attribute.value[..2] == [0, 1]
                }
                0x0003 => len == 4,
                attr::USERNAME | 0x0007 | 0x000a => len.is_multiple_of(4),
                attr::MESSAGE_INTEGRITY => len == 20,
                attr::ERROR_CODE => len >= 4,
                attr::SOFTWARE => true,
                _ => false,
            };
            if !sane {
                return Err(bad(HEADER + walked, "not a classic attribute"));
            }
            walked += 4 + len.next_multiple_of(4);
        }
        if walked != message.attributes.len() {
            return Err(bad(HEADER + walked, "attribute cut off"));
        }
        Ok(message)
    }

    fn parse_any(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut at = Cursor::new(Layer::Stun, bytes);
        let kind = at.u16()?;
        let len = at.u16()?;
        if kind & 0xc000 != 0 {
            return Err(WireError::new(Layer::Stun, 0, Reason::BadMagic));
        }
        let at_id = at.at();
        let id = at.take(16)?;
        let id = id.try_into().map_err(|_| WireError::truncated(Layer::Stun, at_id, 20, 0))?;
        let attributes = at.take(usize::from(len))?;
        Ok(Message { kind, id, attributes })
    }

    /// Bytes with the header.
    pub fn size(&self) -> usize {
        HEADER + self.attributes.len()
    }

    /// Whether the message has the magic cookie, thus is not classic.
    pub fn has_cookie(&self) -> bool {
        self.id[..4] == MAGIC_COOKIE.to_be_bytes()
    }

    /// The transaction id: 12 bytes, 16 in classic messages.
    pub fn transaction(&self) -> &'a [u8] {
        if self.has_cookie() { &self.id[4..] } else { self.id }
    }

    /// Request, indication, success or error. WhatsApp's own types are taken as indications.
    pub fn class(&self) -> Class {
        match (self.kind >> 8 & 1, self.kind >> 4 & 1) {
            _ if is_whatsapp(self.kind) => Class::Indication,
            (0, 0) => Class::Request,
            (0, _) => Class::Indication,
            (_, 0) => Class::Success,
            _ => Class::Error,
        }
    }

    /// The method: the type without its class bits.
    pub fn method(&self) -> u16 {
        let k = self.kind;
        k & 0x0f | (k & 0xe0) >> 1 | (k & 0x3e00) >> 2
    }

    /// The attributes in their order.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.attributes)
    }

    /// The value of the first attribute of a type.
    pub fn find(&self, kind: u16) -> Option<&'a [u8]> {
        self.attributes().find(|a| a.kind == kind).map(|a| a.value)
    }

    /// The address of the first attribute of a type, XORed or not as that type wants.
    pub fn address(&self, kind: u16) -> Option<SocketAddr> {
        self.attributes().find(|a| a.kind == kind)?.address(self.id)
    }

    /// What a Data or Send indication carries.
    pub fn data(&self) -> Option<&'a [u8]> {
        self.find(attr::DATA)
    }

    /// Code and reason of an error response.
    pub fn error_code(&self) -> Option<(u16, &'a str)> {
        let value = self.find(attr::ERROR_CODE)?;
        let [_, _, class, number, reason @ ..] = value else { return None };
        let code = u16::from(class & 7) * 100 + u16::from(*number);
        Some((code, std::str::from_utf8(reason).unwrap_or("")))
    }

    /// Whether the FINGERPRINT attribute is the last one and holds; `None` without one.
    pub fn fingerprint_holds(&self) -> Option<bool> {
        let value = self.find(attr::FINGERPRINT)?;
        let covered = self.attributes.len().checked_sub(8)?;
        let mut crc = crc32(!0, &self.kind.to_be_bytes());
        crc = crc32(crc, &(self.attributes.len() as u16).to_be_bytes());
        crc = crc32(crc, self.id);
        crc = !crc32(crc, &self.attributes[..covered]);
        let last = self.attributes.get(covered..covered + 4)? == [0x80, 0x28, 0, 4];
        Some(last && value == (crc ^ FINGERPRINT_XOR).to_be_bytes())
    }

    /// The kind as messages are named everywhere here: `binding-request`, `allocate-success`,
    /// `whatsapp-0800` ...
    pub fn name(&self) -> &'static str {
        if let Some(name) = WHATSAPP.get(usize::from(self.kind.wrapping_sub(0x0800))) {
            return name;
        }
        let class = match self.class() {
            Class::Request => 0,
            Class::Indication => 1,
            Class::Success => 2,
            Class::Error => 3,
        };
        let (_, names) =
            METHODS.iter().find(|(method, _)| *method == self.method()).unwrap_or(&UNKNOWN);
        names[class]
    }
}

/// The types 0x0800 to 0x0805 that WhatsApp adds, with class bits that mean nothing.
fn is_whatsapp(kind: u16) -> bool {
    (0x0800..=0x0805).contains(&kind)
}

static WHATSAPP: [&str; 6] = [
    "whatsapp-0800",
    "whatsapp-0801",
    "whatsapp-0802",
    "whatsapp-0803",
    "whatsapp-0804",
    "whatsapp-0805",
];

macro_rules! names {
    ($method:literal) => {
        [
            concat!($method, "-request"),
            concat!($method, "-indication"),
            concat!($method, "-success"),
            concat!($method, "-error"),
        ]
    };
}

/// Methods of RFC 3489, 8489, 8656 and 6062, and what each class of them is called.
static METHODS: [(u16, [&str; 4]); 11] = [
    (0x001, names!("binding")),
    (0x002, names!("shared-secret")),
    (0x003, names!("allocate")),
    (0x004, names!("refresh")),
    (0x006, names!("send")),
    (0x007, names!("data")),
    (0x008, names!("create-permission")),
    (0x009, names!("channel-bind")),
    (0x00a, names!("connect")),
    (0x00b, names!("connection-bind")),
    (0x00c, names!("connection-attempt")),
];
static UNKNOWN: (u16, [&str; 4]) = (0, names!("stun"));

/// XORed into the CRC so that it differs from other CRCs (RFC 8489 14.7).
const FINGERPRINT_XOR: u32 = 0x5354_554e;

/// CRC-32 of ITU-T V.42, bit by bit: only short messages are ever checked.
fn crc32(crc: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(crc, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.name(), self.size())
    }
}

impl Fields for Message<'_> {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("type", Value::Hex(self.kind.into()));
        each("transaction", Value::Bytes(self.transaction()));
        if !self.has_cookie() {
            each("classic", Value::Flag(true));
        }
        for attribute in self.attributes() {
            attribute.field(self.id, each);
        }
        if let Some(holds) = self.fingerprint_holds() {
            each("fingerprint", Value::Flag(holds));
        }
    }
}

/// A message to be written, for synthesis and tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRepr {
    /// Message type, class bits included.
    pub kind: u16,
    /// Transaction id behind the magic cookie.
    pub transaction: [u8; 12],
    /// Attributes as type and value, in their order.
    pub attributes: Vec<(u16, Vec<u8>)>,
    /// Whether a FINGERPRINT ends the message.
    pub fingerprint: bool,
}

impl MessageRepr {
    /// A message without attributes.
    pub fn new(kind: u16, transaction: [u8; 12]) -> Self {
        MessageRepr { kind, transaction, attributes: Vec::new(), fingerprint: false }
    }

    /// The same with one attribute more.
    #[must_use]
    pub fn with(mut self, kind: u16, value: &[u8]) -> Self {
        self.attributes.push((kind, value.to_vec()));
        self
    }

    /// The same with an XORed address more (XOR-MAPPED-ADDRESS, XOR-RELAYED-ADDRESS ...).
    #[must_use]
    pub fn with_address(mut self, kind: u16, address: SocketAddr) -> Self {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
        id[4..].copy_from_slice(&self.transaction);
        self.attributes.push((kind, super::attribute::xor_address(address, &id)));
        self
    }

    /// Writes the message.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let body: usize =
            self.attributes.iter().map(|(_, v)| 4 + v.len().next_multiple_of(4)).sum();
        let len = body + if self.fingerprint { 8 } else { 0 };
        out.extend_from_slice(&self.kind.to_be_bytes());
        out.extend_from_slice(&(len as u16).to_be_bytes());
        out.extend_from_slice(&MAGIC_COOKIE.to_be_bytes());
        out.extend_from_slice(&self.transaction);
        for (kind, value) in &self.attributes {
            Attribute { kind: *kind, value }.emit(out);
        }
        if self.fingerprint {
            let crc = !crc32(!0, &out[start..]) ^ FINGERPRINT_XOR;
            Attribute { kind: attr::FINGERPRINT, value: &crc.to_be_bytes() }.emit(out);
        }
    }
}
