//! Kaitai Struct files.

use std::fmt::Write as _;

use ottoscope_flow::FieldKind;

use super::Layout;
use super::names::{joined, quoted};
use super::shape::{Part, Shape, head, number, values};

pub(super) fn write(layout: &Layout, shape: &Shape<'_>, out: &mut String) {
    head(out, "#", layout);
    let _ = writeln!(
        out,
        "meta:\n  id: {}\n  title: {}\n  endian: be",
        shape.id,
        quoted(&format!("{} of {}", layout.signature.id, layout.app))
    );
    let about = layout.about.split_whitespace().collect::<Vec<_>>().join(" ");
    if !about.is_empty() {
        let _ = writeln!(out, "doc: {}", quoted(&about));
    }
    let source = layout.source.split_whitespace().collect::<Vec<_>>().join(" ");
    if !source.is_empty() {
        let _ = writeln!(out, "doc-ref: {}", quoted(&source));
    }
    let repeat = if shape.tcp && shape.length.is_some() { "\n    repeat: eos" } else { "" };
    let _ = writeln!(out, "seq:\n  - id: messages\n    type: message{repeat}");
    out.push_str("types:\n  message:\n    seq:\n");
    for part in &shape.parts {
        field(shape, part, out);
    }
    out.push_str("      - id: body\n");
    match shape.length {
        Some(length) => {
            let _ = writeln!(
                out,
                "        size: {}{}",
                value(&shape.parts[length.part]),
                shape.body_term(length.add)
            );
        }
        None => out.push_str("        size-eos: true\n"),
    }
    if let Some(opcode) = shape.opcode {
        let id = value(&shape.parts[opcode.part]);
        let value = match opcode.response_offset {
            0 => id,
            offset => format!("\"({id} >= {offset} ? {id} - {offset} : {id})\""),
        };
        let _ = writeln!(out, "    instances:\n      command:\n        value: {value}");
        if !shape.opcodes.is_empty() {
            out.push_str("        enum: task\n");
        }
    }
    wide_numbers(shape, out);
    enums(shape, out);
}

/// Whether numbers of so many bytes are no type of Kaitai's own that every target can read: bit
/// fields of more than 32 bits are none in JavaScript.
fn is_wide(len: usize) -> bool {
    (5..8).contains(&len)
}

/// How an expression names the value of a number.
fn value(part: &Part<'_>) -> String {
    if is_wide(part.len) { format!("{}.value", part.id) } else { part.id.clone() }
}

/// Whether a mark of so many bytes is a number that an enum can name.
fn is_enum(len: usize) -> bool {
    len <= 8 && !is_wide(len)
}

fn order(kind: &FieldKind) -> Option<&'static str> {
    let little = match kind {
        FieldKind::Length { little, .. }
        | FieldKind::Sequence { little }
        | FieldKind::Opcode { little, .. } => *little,
        _ => return None,
    };
    Some(if little { "le" } else { "be" })
}

/// Types for numbers of five to seven bytes.
fn wide_numbers(shape: &Shape<'_>, out: &mut String) {
    let wide = shape.parts.iter().filter(|part| is_wide(part.len));
    let mut wide: Vec<_> = wide.filter_map(|part| Some((part.len, order(part.kind)?))).collect();
    wide.sort_unstable();
    wide.dedup();
    for (len, end) in wide {
        let terms = (0..len).map(|at| {
            let power = if end == "le" { at } else { len - 1 - at };
            format!("bytes[{at}] * {}", 1_u64 << (8 * power))
        });
        let _ = writeln!(
            out,
            "  number_{len}{end}:\n    seq:\n      - id: bytes\n        type: u1\n        \
             repeat: expr\n        repeat-expr: {len}\n    instances:\n      value:\n        \
             value: {}",
            terms.collect::<Vec<_>>().join(" + ")
        );
    }
}

fn field(shape: &Shape<'_>, part: &Part<'_>, out: &mut String) {
    let _ = writeln!(out, "      - id: {}", part.id);
    if part.title != part.id {
        let _ = writeln!(out, "        doc: {}", quoted(&part.title));
    }
    let numeric = |end: &str| match part.len {
        1 => "u1".to_owned(),
        2 | 4 | 8 => format!("u{}{end}", part.len),
        len if is_wide(len) => format!("number_{len}{end}"),
        len => format!("b{}{end}", 8 * len),
    };
    let typed = order(part.kind).map(&numeric);
    match part.kind {
        FieldKind::Length { .. } | FieldKind::Sequence { .. } | FieldKind::Opcode { .. } => {
            let _ = writeln!(out, "        type: {}", typed.unwrap_or_default());
            if let FieldKind::Length { add, .. } = part.kind
                && !is_wide(part.len)
            {
                let (low, high) = shape.field_lengths(*add);
                let _ =
                    writeln!(out, "        valid:\n          min: {low}\n          max: {high}");
            }
        }
        FieldKind::RequestResponse { .. } if is_enum(part.len) => {
            let id = &part.id;
            let _ = writeln!(
                out,
                "        type: {}\n        enum: {id}\n        valid:\n          any-of:\n            \
                 - {id}::request\n            - {id}::response",
                numeric("be")
            );
        }
        FieldKind::Unknown => {
            let _ = writeln!(out, "        size: {}", part.len);
        }
        FieldKind::Constant(_) | FieldKind::RequestResponse { .. } => {
            let list = |value: &[u8]| format!("[{}]", joined(value, "0x", ", "));
            match values(part.kind).as_slice() {
                [one] => {
                    let _ = writeln!(out, "        contents: {}", list(one));
                }
                many => {
                    let _ = writeln!(
                        out,
                        "        size: {}\n        valid:\n          any-of:",
                        part.len
                    );
                    for value in many {
                        let _ = writeln!(out, "            - {}", quoted(&list(value)));
                    }
                }
            }
        }
    }
}

fn enums(shape: &Shape<'_>, out: &mut String) {
    let request_response = shape.request_response.map(|part| &shape.parts[part]);
    let request_response = request_response.filter(|part| is_enum(part.len));
    let tasks = shape.opcode.is_some() && !shape.opcodes.is_empty();
    if request_response.is_none() && !tasks {
        return;
    }
    out.push_str("enums:\n");
    if let Some(part) = request_response
        && let FieldKind::RequestResponse { request, response } = part.kind
    {
        let _ = writeln!(
            out,
            "  {}:\n    {}: request\n    {}: response",
            part.id,
            number(request),
            number(response)
        );
    }
    if tasks {
        out.push_str("  task:\n");
        for (code, name, id) in &shape.opcodes {
            let _ = writeln!(out, "    {code}:\n      id: {id}\n      doc: {}", quoted(name));
        }
    }
}
