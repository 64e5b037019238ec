//! Signatures between TOML and the engine's form, and one message against one layout.

use std::fmt::Write as _;

use ottoscope_flow as flow;
use ottoscope_flow::signature::number;
use ottoscope_flow::{Direction, Transport};

use crate::schema::{self, Carrier, Endian, FieldKind, OneOrMany, Way};

/// Longest constant in bytes.
const MAX_CONSTANT: usize = 64;

/// Farthest that a field may lie from the start of the message.
const MAX_OFFSET: usize = 4096;

impl From<Carrier> for Transport {
    fn from(carrier: Carrier) -> Self {
        match carrier {
            Carrier::Tcp => Transport::Tcp,
            Carrier::Udp => Transport::Udp,
        }
    }
}

impl From<Way> for Direction {
    fn from(way: Way) -> Self {
        match way {
            Way::Up => Direction::Up,
            Way::Down => Direction::Down,
        }
    }
}

/// Bytes from hex digits; spaces are allowed.
pub(crate) fn unhex(text: &str) -> Result<Box<[u8]>, String> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let error = || format!("`{text}` is not hex: write an even number of digits 0-9 a-f");
    if !digits.len().is_multiple_of(2) {
        return Err(error());
    }
    let nibble = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
    digits
        .chunks_exact(2)
        .map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?))
        .collect::<Option<Box<[u8]>>>()
        .ok_or_else(error)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The engine's form of a layout.
///
/// # Errors
/// What is wrong with it and how to mend it.
pub(crate) fn compile(app: &str, signature: &schema::Signature) -> Result<flow::Signature, String> {
    let mut fields = Vec::with_capacity(signature.fields.len());
    let mut end = 0;
    for field in &signature.fields {
        if field.at < end {
            return Err(format!(
                "the field at {} overlaps the one before: order them by `at`",
                field.at
            ));
        }
        if field.len == 0 || field.len > MAX_CONSTANT || field.at > MAX_OFFSET {
            return Err(format!(
                "the field at {} is empty, longer than {MAX_CONSTANT} bytes, or beyond {MAX_OFFSET}",
                field.at
            ));
        }
        end = field.at + field.len;
        fields.push(flow::Field { offset: field.at, len: field.len, kind: compile_kind(field)? });
    }
    let anchored = fields.iter().any(|f| {
        matches!(f.kind, flow::FieldKind::Constant(_) | flow::FieldKind::RequestResponse { .. })
    });
    if !anchored {
        return Err("has no constant: such a layout would match anything".to_owned());
    }
    let lengths = match signature.lengths {
        Some([low, high]) if low > high => {
            return Err("has `lengths` the wrong way round".to_owned());
        }
        other => other.map(|[low, high]| (low, high)),
    };
    Ok(flow::Signature {
        id: format!("{app}/{}", signature.id).into(),
        transport: signature.transport.into(),
        ports: signature.ports.clone(),
        direction: signature.direction.map(Direction::from),
        lengths,
        fields,
        min_messages: signature.min_messages.unwrap_or(1).max(1),
        every_packet: signature.every_packet,
    })
}

fn compile_kind(field: &schema::Field) -> Result<flow::FieldKind, String> {
    let at = field.at;
    let bytes = |text: &str| {
        let bytes = unhex(text)?;
        if bytes.len() == field.len {
            Ok(bytes)
        } else {
            Err(format!(
                "the field at {at} is {} bytes long, its value `{text}` {}",
                field.len,
                bytes.len()
            ))
        }
    };
    let numeric = || {
        if field.len <= 8 {
            Ok(())
        } else {
            Err(format!("the field at {at} is a number of more than 8 bytes"))
        }
    };
    let little = field.endian == Some(Endian::Little);
    let needs = |key: &str| format!("the field at {at} needs `{key}`");
    let only = |allowed: &[&str]| {
        let given = [
            ("value", field.value.is_some()),
            ("request", field.request.is_some()),
            ("response", field.response.is_some()),
            ("endian", field.endian.is_some()),
            ("add", field.add.is_some()),
            ("response-offset", field.response_offset.is_some()),
        ];
        match given.iter().find(|(key, given)| *given && !allowed.contains(key)) {
            Some((key, _)) => {
                Err(format!("the field at {at} has `{key}`, which its kind does not use"))
            }
            None => Ok(()),
        }
    };
    Ok(match field.kind {
        FieldKind::Constant => {
            only(&["value"])?;
            let values = field.value.as_ref().map(OneOrMany::as_slice).unwrap_or_default();
            if values.is_empty() {
                return Err(needs("value"));
            }
            flow::FieldKind::Constant(values.iter().map(|v| bytes(v)).collect::<Result<_, _>>()?)
        }
        FieldKind::Sequence => {
            only(&["endian"])?;
            numeric()?;
            flow::FieldKind::Sequence { little }
        }
        FieldKind::RequestResponse => {
            only(&["request", "response"])?;
            flow::FieldKind::RequestResponse {
                request: bytes(field.request.as_deref().ok_or_else(|| needs("request"))?)?,
                response: bytes(field.response.as_deref().ok_or_else(|| needs("response"))?)?,
            }
        }
        FieldKind::Length => {
            only(&["endian", "add"])?;
            numeric()?;
            flow::FieldKind::Length { little, add: field.add.unwrap_or(0) }
        }
        FieldKind::Opcode => {
            only(&["endian", "response-offset", "value"])?;
            numeric()?;
            let values = field.value.as_ref().map(OneOrMany::as_slice).unwrap_or_default();
            let values = values.iter().map(|v| Ok(number(&bytes(v)?, little)));
            flow::FieldKind::Opcode {
                little,
                response_offset: field.response_offset.unwrap_or(0),
                values: values.collect::<Result<_, String>>()?,
            }
        }
        FieldKind::Unknown => {
            only(&[])?;
            flow::FieldKind::Unknown
        }
    })
}

impl From<&flow::Signature> for schema::Signature {
    /// The TOML form of a layout that inference proposed: without service and source, which only
    /// a person can say.
    fn from(signature: &flow::Signature) -> Self {
        let id = signature.id.rsplit('/').next().unwrap_or_default().to_owned();
        schema::Signature {
            id,
            transport: if signature.transport == Transport::Udp {
                Carrier::Udp
            } else {
                Carrier::Tcp
            },
            service: None,
            ports: signature.ports.clone(),
            direction: signature.direction.map(|d| match d {
                Direction::Up => Way::Up,
                Direction::Down => Way::Down,
            }),
            lengths: signature.lengths.map(|(low, high)| [low, high]),
            min_messages: (signature.min_messages > 1).then_some(signature.min_messages),
            every_packet: signature.every_packet,
            protocol: None,
            confidence: None,
            coverage: None,
            about: None,
            source: None,
            fields: signature.fields.iter().map(write_field).collect(),
        }
    }
}

fn write_field(field: &flow::Field) -> schema::Field {
    let mut out = schema::Field {
        at: field.offset,
        len: field.len,
        kind: FieldKind::Unknown,
        name: None,
        about: None,
        value: None,
        request: None,
        response: None,
        endian: None,
        add: None,
        response_offset: None,
    };
    let endian = |little: &bool| little.then_some(Endian::Little);
    match &field.kind {
        flow::FieldKind::Constant(values) => {
            out.kind = FieldKind::Constant;
            out.value = Some(match values.as_slice() {
                [one] => OneOrMany::One(hex(one)),
                many => OneOrMany::Many(many.iter().map(|v| hex(v)).collect()),
            });
        }
        flow::FieldKind::Sequence { little } => {
            out.kind = FieldKind::Sequence;
            out.endian = endian(little);
        }
        flow::FieldKind::RequestResponse { request, response } => {
            out.kind = FieldKind::RequestResponse;
            out.request = Some(hex(request));
            out.response = Some(hex(response));
        }
        flow::FieldKind::Length { little, add } => {
            out.kind = FieldKind::Length;
            out.endian = endian(little);
            out.add = (*add != 0).then_some(*add);
        }
        flow::FieldKind::Opcode { little, response_offset, values } => {
            let written = values.iter().map(|value| {
                let mut bytes = value.to_be_bytes()[8 - field.len.min(8)..].to_vec();
                if *little {
                    bytes.reverse();
                }
                hex(&bytes)
            });
            let written: Vec<String> = written.collect();
            out.value = (!written.is_empty()).then_some(OneOrMany::Many(written));
            out.kind = FieldKind::Opcode;
            out.endian = endian(little);
            out.response_offset = (*response_offset != 0).then_some(*response_offset);
        }
        flow::FieldKind::Unknown => {}
    }
    out
}

/// Whether the start of one message fits a layout: constants, request or response values, ports,
/// direction and, where the whole message is given, its length. Sequences need several messages
/// and are not judged.
pub fn matches(layout: &flow::Signature, direction: Direction, port: u16, message: &[u8]) -> bool {
    if !layout.ports.is_empty() && !layout.ports.contains(&port) {
        return false;
    }
    if layout.direction.is_some_and(|d| d != direction) {
        return false;
    }
    layout.fields.iter().all(|field| {
        let Some(bytes) = message.get(field.offset..field.offset.saturating_add(field.len)) else {
            return false;
        };
        match &field.kind {
            flow::FieldKind::Constant(values) => values.iter().any(|v| **v == *bytes),
            flow::FieldKind::RequestResponse { request, response } => {
                **request == *bytes || **response == *bytes
            }
            flow::FieldKind::Length { little, add } => {
                let value = number(bytes, *little).saturating_add_signed(*add);
                let (low, high) = layout.lengths.unwrap_or((1, u64::MAX));
                let fits = if layout.transport == Transport::Udp {
                    value == message.len() as u64
                } else {
                    value >= field.offset.saturating_add(field.len) as u64
                };
                fits && (low..=high).contains(&value)
            }
            _ => true,
        }
    })
}

/// How unlikely a match is by chance, as the engine orders layouts: fixed bytes, then a length
/// field, then ports.
pub(crate) fn specificity(layout: &flow::Signature) -> (usize, bool, bool) {
    let fixed = layout.fields.iter().map(|field| match &field.kind {
        flow::FieldKind::Constant(_) | flow::FieldKind::RequestResponse { .. } => field.len,
        _ => 0,
    });
    let framed = layout.fields.iter().any(|f| matches!(f.kind, flow::FieldKind::Length { .. }));
    (fixed.sum(), framed, !layout.ports.is_empty())
}

/// Whether some bytes could start messages of both layouts.
pub(crate) fn overlap(a: &flow::Signature, b: &flow::Signature) -> bool {
    if a.transport != b.transport {
        return false;
    }
    let ports_meet =
        a.ports.is_empty() || b.ports.is_empty() || a.ports.iter().any(|p| b.ports.contains(p));
    let directions_meet = match (a.direction, b.direction) {
        (Some(x), Some(y)) => x == y,
        _ => true,
    };
    let (low, high) = a.lengths.unwrap_or((0, u64::MAX));
    let (b_low, b_high) = b.lengths.unwrap_or((0, u64::MAX));
    let lengths_meet = low <= b_high && b_low <= high;
    let end = |layout: &flow::Signature| layout.fields.iter().map(|f| f.offset + f.len).max();
    let end = end(a).unwrap_or(0).min(end(b).unwrap_or(0));
    let bytes_meet = (0..end).all(|offset| match (allowed(a, offset), allowed(b, offset)) {
        (Some(x), Some(y)) => x.iter().any(|byte| y.contains(byte)),
        _ => true,
    });
    ports_meet && directions_meet && lengths_meet && bytes_meet
}

/// Values that a layout allows at an offset; any where `None`.
fn allowed(layout: &flow::Signature, offset: usize) -> Option<Vec<u8>> {
    let field = layout.fields.iter().find(|f| (f.offset..f.offset + f.len).contains(&offset))?;
    let i = offset - field.offset;
    match &field.kind {
        flow::FieldKind::Constant(values) => {
            Some(values.iter().filter_map(|v| v.get(i).copied()).collect())
        }
        flow::FieldKind::RequestResponse { request, response } => {
            Some([request, response].iter().filter_map(|v| v.get(i).copied()).collect())
        }
        _ => None,
    }
}
