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
                shape.parts[length.part].id,
                shape.body_term(length.add)
            );
        }
        None => out.push_str("        size-eos: true\n"),
    }
    if let Some(opcode) = shape.opcode {
        let id = &shape.parts[opcode.part].id;
        let value = match opcode.response_offset {
            0 => id.clone(),
            offset => format!("\"({id} >= {offset} ? {id} - {offset} : {id})\""),
        };
        let _ = writeln!(out, "    instances:\n      command:\n        value: {value}");
        if !shape.opcodes.is_empty() {
            out.push_str("        enum: task\n");
        }
    }
    enums(shape, out);
}

fn field(shape: &Shape<'_>, part: &Part<'_>, out: &mut String) {
    let _ = writeln!(out, "      - id: {}", part.id);
    if part.title != part.id {
        let _ = writeln!(out, "        doc: {}", quoted(&part.title));
    }
    let numeric = |little: bool| {
        let end = if little { "le" } else { "be" };
        match part.len {
            1 => "u1".to_owned(),
            2 | 4 | 8 => format!("u{}{end}", part.len),
            len => format!("b{}{end}", 8 * len),
        }
    };
    match part.kind {
        FieldKind::Length { little, add } => {
            let (low, high) = shape.field_lengths(*add);
            let _ = writeln!(
                out,
                "        type: {}\n        valid:\n          min: {low}\n          max: {high}",
                numeric(*little)
            );
        }
        FieldKind::Sequence { little } | FieldKind::Opcode { little, .. } => {
            let _ = writeln!(out, "        type: {}", numeric(*little));
        }
        FieldKind::RequestResponse { .. } if part.len <= 8 => {
            let id = &part.id;
            let _ = writeln!(
                out,
                "        type: {}\n        enum: {id}\n        valid:\n          any-of:\n            \
                 - {id}::request\n            - {id}::response",
                numeric(false)
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
    let request_response = request_response.filter(|part| part.len <= 8);
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
