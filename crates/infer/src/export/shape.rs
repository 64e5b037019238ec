//! A layout as writers need it: gaps filled, every part named.

use ottoscope_flow::{Direction, FieldKind, Transport};

use super::names::{Names, identifier};
use super::{ExportError, Layout};

/// A part of the header, a field or a gap.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) offset: usize,
    pub(super) len: usize,
    /// Identifier, given once.
    pub(super) id: String,
    /// Name for people.
    pub(super) title: String,
    pub(super) kind: &'a FieldKind,
}

/// The length field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Length {
    /// Index of its part.
    pub(super) part: usize,
    pub(super) little: bool,
    pub(super) add: i64,
}

/// The opcode field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opcode {
    /// Index of its part.
    pub(super) part: usize,
    pub(super) little: bool,
    pub(super) response_offset: u64,
}

/// A header without gaps.
#[derive(Debug)]
pub(super) struct Shape<'a> {
    /// Identifier of the whole: `wechat_w_tcp`.
    pub(super) id: String,
    pub(super) header: usize,
    pub(super) parts: Vec<Part<'a>>,
    pub(super) length: Option<Length>,
    pub(super) opcode: Option<Opcode>,
    /// Index of the request/response field.
    pub(super) request_response: Option<usize>,
    /// Shortest and longest message, bytes; never shorter than the header.
    pub(super) lengths: (u64, u64),
    /// Opcodes by rising number, the first name of each, with identifiers given once.
    pub(super) opcodes: Vec<(u64, &'a str, String)>,
    pub(super) tcp: bool,
}

/// Longest message where the layout names no range, as the engine takes it.
const MOST_MESSAGE: u64 = 1 << 30;

/// Names that the writers use for themselves, and words that some language keeps.
const RESERVED: &[&str] = &[
    "add",
    "and",
    "any",
    "app",
    "assert",
    "attribute",
    "begins",
    "bitfield",
    "body",
    "bool",
    "break",
    "bytes",
    "case",
    "cast",
    "catch",
    "command",
    "confirm",
    "const",
    "constant",
    "continue",
    "default",
    "do",
    "else",
    "elseif",
    "end",
    "enum",
    "enum_type",
    "exception",
    "export",
    "extend",
    "false",
    "file",
    "filters",
    "float",
    "for",
    "foreach",
    "from",
    "function",
    "global",
    "goto",
    "if",
    "import",
    "in",
    "inout",
    "int16",
    "int32",
    "int64",
    "int8",
    "interval",
    "io",
    "iterator",
    "kind",
    "library",
    "list",
    "local",
    "map",
    "message",
    "messages",
    "method",
    "mod",
    "mode",
    "module",
    "new",
    "nil",
    "not",
    "null",
    "object",
    "of",
    "on",
    "optional",
    "or",
    "packet",
    "parent",
    "port",
    "print",
    "priority",
    "private",
    "property",
    "public",
    "raise",
    "real",
    "reject",
    "repeat",
    "response",
    "return",
    "root",
    "set",
    "sink",
    "size",
    "skip",
    "static",
    "stop",
    "stream",
    "string",
    "struct",
    "switch",
    "task",
    "then",
    "throw",
    "time",
    "true",
    "try",
    "tuple",
    "type",
    "uint16",
    "uint32",
    "uint64",
    "uint8",
    "union",
    "unit",
    "unset",
    "until",
    "value",
    "values",
    "var",
    "vector",
    "view",
    "void",
    "while",
    "with",
    "yield",
];

/// What a field without a name is called.
fn kind_name(kind: &FieldKind) -> &'static str {
    match kind {
        FieldKind::Constant(_) => "magic",
        FieldKind::Sequence { .. } => "sequence",
        FieldKind::RequestResponse { .. } => "request or response",
        FieldKind::Length { .. } => "length",
        FieldKind::Opcode { .. } => "opcode",
        FieldKind::Unknown => "unknown",
    }
}

impl<'a> Shape<'a> {
    pub(super) fn new(layout: &'a Layout) -> Result<Self, ExportError> {
        let signature = &layout.signature;
        let mut names = Names::reserving(RESERVED);
        let mut shape = Shape {
            id: identifier(&signature.id, "layout"),
            header: 0,
            parts: Vec::new(),
            length: None,
            opcode: None,
            request_response: None,
            lengths: (0, 0),
            opcodes: Vec::new(),
            tcp: signature.transport == Transport::Tcp,
        };
        for (index, field) in signature.fields.iter().enumerate() {
            if field.offset < shape.header {
                return Err(ExportError::Overlap(field.offset));
            }
            if field.offset > shape.header {
                shape.push(&mut names, field.offset - shape.header, "gap", &FieldKind::Unknown);
            }
            let part = shape.parts.len();
            match field.kind {
                FieldKind::Length { little, add } => {
                    shape.length = Some(Length { part, little, add });
                }
                FieldKind::Opcode { little, response_offset, .. } => {
                    shape.opcode = Some(Opcode { part, little, response_offset });
                }
                FieldKind::RequestResponse { .. } => shape.request_response = Some(part),
                _ => {}
            }
            let title = layout.names.get(index).map(|name| name.trim());
            let title = title.filter(|name| !name.is_empty()).unwrap_or(kind_name(&field.kind));
            shape.push(&mut names, field.len, title, &field.kind);
        }
        let (low, high) = signature.lengths.unwrap_or((0, MOST_MESSAGE));
        shape.lengths = (low.max(shape.header as u64), high);
        let mut names = Names::reserving(RESERVED);
        let mut opcodes: Vec<_> = layout.opcodes.iter().collect();
        opcodes.sort_by_key(|(code, _)| *code);
        opcodes.dedup_by_key(|(code, _)| *code);
        shape.opcodes = opcodes
            .into_iter()
            .map(|(code, name)| (*code, name.as_str(), names.give(name, "opcode")))
            .collect();
        Ok(shape)
    }

    fn push(&mut self, names: &mut Names, len: usize, title: &str, kind: &'a FieldKind) {
        let id = names.give(title, "field");
        self.parts.push(Part { offset: self.header, len, id, title: title.to_owned(), kind });
        self.header += len;
    }

    /// Values that the length field may hold.
    pub(super) fn field_lengths(&self, add: i64) -> (u64, u64) {
        let field = |bytes: u64| {
            let value = i128::from(bytes) - i128::from(add);
            u64::try_from(value.max(0)).unwrap_or(u64::MAX)
        };
        (field(self.lengths.0), field(self.lengths.1))
    }

    /// What is added to the length field for the bytes behind the header, as ` - 16`.
    pub(super) fn body_term(&self, add: i64) -> String {
        let add = i128::from(add) - self.header as i128;
        match add {
            0 => String::new(),
            1.. => format!(" + {add}"),
            _ => format!(" - {}", -add),
        }
    }

    /// An opcode as its field holds it in a response, where that differs and fits the field.
    pub(super) fn in_response(&self, code: u64) -> Option<u64> {
        let opcode = self.opcode?;
        let raw = code.checked_add(opcode.response_offset)?;
        (opcode.response_offset > 0 && self.holds(opcode.part, raw)).then_some(raw)
    }

    /// Whether a part is wide enough for a number.
    pub(super) fn holds(&self, part: usize, number: u64) -> bool {
        let bits = 8 * self.parts[part].len as u32;
        number.checked_shr(bits).unwrap_or(0) == 0
    }

    /// Whether it can be told if a message is a request or a response.
    pub(super) fn tells_requests(&self) -> bool {
        self.request_response.is_some() || self.opcode.is_some_and(|o| o.response_offset > 0)
    }
}

/// The values that a part may hold; none where it may hold any.
pub(super) fn values(kind: &FieldKind) -> Vec<&[u8]> {
    match kind {
        FieldKind::Constant(values) => values.iter().map(AsRef::as_ref).collect(),
        FieldKind::RequestResponse { request, response } => vec![request, response],
        _ => Vec::new(),
    }
}

/// Up to eight bytes as a big-endian number.
pub(super) fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// What the layout asks of a flow beyond one message, in words.
pub(super) fn beyond(layout: &Layout) -> Vec<String> {
    let signature = &layout.signature;
    let mut notes = Vec::new();
    if signature.min_messages > 1 {
        notes.push(format!(
            "A flow counts only when {} of its messages match; that is not checked here.",
            signature.min_messages
        ));
    }
    if signature.every_packet {
        notes.push("Every packet of a flow must match; that is not checked here.".to_owned());
    }
    if signature.fields.iter().any(|f| matches!(f.kind, FieldKind::Sequence { .. })) {
        notes.push("Sequence numbers rise by one a message; that is not checked here.".to_owned());
    }
    if signature.ports.is_empty()
        && let Some(direction) = signature.direction
    {
        let way = if direction == Direction::Up { "to the server" } else { "to the client" };
        notes.push(format!("Messages go {way}."));
    }
    notes
}

/// The head of every file: what it is, what is known, what is not checked.
pub(super) fn head(out: &mut String, prefix: &str, layout: &Layout) {
    use super::names::comment;
    comment(out, prefix, &format!("{} of {}.", layout.signature.id, layout.app));
    comment(out, prefix, &layout.about);
    for note in beyond(layout) {
        comment(out, prefix, &note);
    }
    if !layout.source.trim().is_empty() {
        comment(out, prefix, &format!("Source: {}", layout.source));
    }
}
