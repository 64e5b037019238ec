//! One signature, checked and made quick to match.

use crate::dissector::{Match, Probe};
use crate::model::Transport;
use crate::said::SharedText;
use crate::signature::{Field, FieldKind, Signature, number};

/// Longest header of a layout, bytes.
const MAX_HEADER: usize = 256;
/// Most messages that a signature may ask for before a flow counts, as they are held back.
const MAX_MIN_MESSAGES: u32 = 64;
/// Longest message where the signature names no range; longer lengths are chance.
const MAX_MESSAGE: u64 = 1 << 30;

/// A signature that can't be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("signature `{id}`: {reason}")]
pub struct SignatureError {
    /// The signature's id.
    pub id: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// A signature that can be run.
#[derive(Debug)]
pub(super) struct Layout {
    signature: Signature,
    name: SharedText,
    header_len: usize,
    anchor: usize,
}

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Bytes of the message, where a length field tells.
    pub(super) total: Option<u64>,
    pub(super) kind: &'static str,
    pub(super) opcode: Option<u64>,
    pub(super) sequence: Option<u64>,
}

/// The values that a field may hold, none where it may hold any.
fn values(field: &Field) -> Vec<&[u8]> {
    match &field.kind {
        FieldKind::Constant(values) => values.iter().map(AsRef::as_ref).collect(),
        FieldKind::RequestResponse { request, response } => vec![request, response],
        _ => Vec::new(),
    }
}

/// Whether a fixed field holds what it may, as far as `bytes` reach into it.
fn holds(field: &Field, bytes: &[u8]) -> bool {
    let agrees = |value: &[u8]| value.starts_with(bytes);
    match &field.kind {
        FieldKind::Constant(values) => values.iter().any(|value| agrees(value)),
        FieldKind::RequestResponse { request, response } => agrees(request) || agrees(response),
        _ => true,
    }
}

impl Layout {
    pub(super) fn new(signature: Signature) -> Result<Self, SignatureError> {
        match check(&signature) {
            Ok((header_len, anchor)) => {
                let name = SharedText::from(&*signature.id);
                Ok(Layout { signature, name, header_len, anchor })
            }
            Err(reason) => Err(SignatureError { id: signature.id.to_string(), reason }),
        }
    }

    pub(super) fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Its id, as flows keep it.
    pub(super) fn name(&self) -> &SharedText {
        &self.name
    }

    pub(super) fn header_len(&self) -> usize {
        self.header_len
    }

    /// Whether a length field tells where messages end.
    pub(super) fn is_framed(&self) -> bool {
        self.signature.fields.iter().any(|f| matches!(f.kind, FieldKind::Length { .. }))
    }

    /// Bits of its sequence number, where it has one.
    pub(super) fn sequence_bits(&self) -> Option<u32> {
        let field = self
            .signature
            .fields
            .iter()
            .find(|field| matches!(field.kind, FieldKind::Sequence { .. }))?;
        Some(8 * field.len as u32)
    }

    /// Whether datagrams of `other` may stand in one flow with its own: both of one app, whose
    /// every packet must match.
    pub(super) fn mixes_with(&self, other: &Layout) -> bool {
        let app = |layout: &Layout| {
            let id = &layout.signature.id;
            id.split_once('/').map(|(app, _)| app.to_owned())
        };
        let every = |layout: &Layout| {
            layout.signature.every_packet && layout.signature.transport == Transport::Udp
        };
        self.signature.id != other.signature.id
            && every(self)
            && every(other)
            && app(self).is_some()
            && app(self) == app(other)
    }

    /// How unlikely other bytes match by chance: fixed bytes, then a length, then ports.
    pub(super) fn telling(&self) -> (usize, bool, bool) {
        let fixed = self.signature.fields.iter().filter(|f| !values(f).is_empty());
        let fixed = fixed.map(|field| field.len).sum();
        (fixed, self.is_framed(), !self.signature.ports.is_empty())
    }

    /// Offset, length and big-endian values of the field to look the layout up by.
    pub(super) fn anchor(&self) -> (usize, usize, Vec<u64>) {
        let field = &self.signature.fields[self.anchor];
        let len = field.len.min(8);
        let mut values: Vec<_> =
            values(field).into_iter().map(|value| number(&value[..len], false)).collect();
        values.sort_unstable();
        values.dedup();
        (field.offset, len, values)
    }

    fn concerns(&self, probe: &Probe<'_>) -> bool {
        let Signature { ports, direction, .. } = &self.signature;
        (ports.is_empty() || ports.contains(&probe.server_port))
            && direction.is_none_or(|direction| direction == probe.direction)
    }

    /// Whether bytes too short for the header agree with it so far.
    pub(super) fn begins(&self, probe: &Probe<'_>) -> bool {
        self.concerns(probe) && self.agrees(probe.bytes)
    }

    pub(super) fn agrees(&self, bytes: &[u8]) -> bool {
        self.signature.fields.iter().all(|field| {
            let end = (field.offset + field.len).min(bytes.len());
            bytes.get(field.offset..end).is_none_or(|bytes| holds(field, bytes))
        })
    }

    pub(super) fn probe(&self, probe: &Probe<'_>) -> Match {
        if !self.concerns(probe) {
            Match::No
        } else if probe.transport == Transport::Udp {
            if self.datagram(probe.bytes).is_some() { Match::Yes } else { Match::No }
        } else if probe.bytes.len() < self.header_len {
            if self.agrees(probe.bytes) { Match::Maybe } else { Match::No }
        } else if self.header(probe.bytes).is_some() {
            Match::Yes
        } else {
            Match::No
        }
    }

    /// Reads the header of a datagram, which its length field must count.
    pub(super) fn datagram(&self, bytes: &[u8]) -> Option<Header> {
        let header = self.header(bytes)?;
        let len = bytes.len() as u64;
        (header.total.unwrap_or(len) == len && self.allows(len)).then_some(header)
    }

    /// Whether a message may have this many bytes.
    pub(super) fn allows(&self, total: u64) -> bool {
        let (shortest, longest) = self.signature.lengths.unwrap_or((0, MAX_MESSAGE));
        total >= self.header_len as u64 && (shortest..=longest).contains(&total)
    }

    /// Reads the header at the start of `bytes`, if they match.
    pub(super) fn header(&self, bytes: &[u8]) -> Option<Header> {
        let bytes = bytes.get(..self.header_len)?;
        let mut header = Header { total: None, kind: "message", opcode: None, sequence: None };
        for field in &self.signature.fields {
            let value = &bytes[field.offset..field.offset + field.len];
            match &field.kind {
                FieldKind::Constant(_) if !holds(field, value) => return None,
                FieldKind::RequestResponse { request, response } => {
                    header.kind = match value {
                        _ if *value == **request => "request",
                        _ if *value == **response => "response",
                        _ => return None,
                    };
                }
                FieldKind::Length { little, add } => {
                    let total = number(value, *little).checked_add_signed(*add)?;
                    if !self.allows(total) {
                        return None;
                    }
                    header.total = Some(total);
                }
                FieldKind::Sequence { little } => header.sequence = Some(number(value, *little)),
                FieldKind::Opcode { little, response_offset, values } => {
                    let code = number(value, *little);
                    let request = code.checked_sub(*response_offset);
                    if *response_offset > 0 && header.kind == "message" {
                        header.kind = if request.is_some() { "response" } else { "request" };
                    }
                    let opcode = request.unwrap_or(code);
                    if !values.is_empty() && !values.contains(&opcode) {
                        return None;
                    }
                    header.opcode = Some(opcode);
                }
                FieldKind::Constant(_) | FieldKind::Unknown => {}
            }
        }
        Some(header)
    }
}

/// Finds what would match everything or read beyond its field. Gives the header's length and
/// the index of the longest fixed field with the fewest values.
fn check(signature: &Signature) -> Result<(usize, usize), &'static str> {
    if !matches!(signature.transport, Transport::Tcp | Transport::Udp) {
        return Err("runs over TCP or UDP only");
    }
    if signature.min_messages > MAX_MIN_MESSAGES {
        return Err("asks for more than 64 messages");
    }
    let mut header_len = 0;
    for field in &signature.fields {
        let end = field.offset.checked_add(field.len).filter(|end| *end <= MAX_HEADER);
        header_len = header_len.max(end.ok_or("has a field beyond 256 bytes")?);
        if field.len == 0 {
            return Err("has a field without length");
        }
        let numeric = matches!(
            field.kind,
            FieldKind::Sequence { .. } | FieldKind::Length { .. } | FieldKind::Opcode { .. }
        );
        if numeric && field.len > 8 {
            return Err("has a number of more than 8 bytes");
        }
        if values(field).iter().any(|value| value.len() != field.len) {
            return Err("has a value that is not as long as its field");
        }
    }
    let fixed = signature.fields.iter().enumerate();
    let anchor = fixed
        .filter(|(_, field)| !values(field).is_empty())
        .max_by_key(|(_, field)| (field.len.min(8), std::cmp::Reverse(values(field).len())));
    match anchor {
        Some((anchor, _)) => Ok((header_len, anchor)),
        None => Err("has no fixed value, so that anything would match"),
    }
}
