//! Grammars for Spicy.

use std::fmt::Write as _;

use ottoscope_flow::FieldKind;

use super::Layout;
use super::names::{comment, escaped};
use super::shape::{Part, Shape, head, values};

pub(super) fn write(layout: &Layout, shape: &Shape<'_>, out: &mut String) {
    head(out, "#", layout);
    let module = shape.id.to_ascii_uppercase();
    let transport = if shape.tcp { "TCP" } else { "UDP" };
    let whole = if shape.tcp && shape.length.is_some() { "Messages" } else { "Message" };
    comment(out, "#", "For Zeek, an .evt file beside it:");
    let _ = writeln!(out, "#   protocol analyzer spicy::{module} over {transport}:");
    let lower = transport.to_ascii_lowercase();
    let ports = layout.signature.ports.iter().map(|port| format!(",\n#     port {port}/{lower}"));
    let _ = writeln!(
        out,
        "#     parse with {module}::{whole}{};\n\nmodule {module};\n\nimport spicy;",
        ports.collect::<String>()
    );
    if shape.opcode.is_some() && !shape.opcodes.is_empty() {
        out.push_str("\npublic type Task = enum {\n");
        let last = shape.opcodes.len() - 1;
        for (index, (code, _, id)) in shape.opcodes.iter().enumerate() {
            let comma = if index == last { "" } else { "," };
            let _ = writeln!(out, "    {id} = {code}{comma}");
        }
        out.push_str("};\n");
    }
    if whole == "Messages" {
        out.push_str("\npublic type Messages = unit {\n    messages: Message[];\n};\n");
    }
    out.push_str("\npublic type Message = unit {\n");
    for part in &shape.parts {
        field(shape, part, out);
    }
    match shape.length {
        Some(length) => {
            let _ = writeln!(
                out,
                "    body: bytes &size=(self.{}{});",
                shape.parts[length.part].id,
                shape.body_term(length.add)
            );
        }
        None => out.push_str("    body: bytes &eod;\n"),
    }
    if shape.opcode.is_some() && !shape.opcodes.is_empty() {
        out.push_str("\n    var task: Task;\n");
    }
    out.push_str("};\n");
}

fn field(shape: &Shape<'_>, part: &Part<'_>, out: &mut String) {
    let _ = write!(out, "    {}: ", part.id);
    let little = match part.kind {
        FieldKind::Length { little, .. }
        | FieldKind::Sequence { little }
        | FieldKind::Opcode { little, .. } => *little,
        _ => {
            let _ = write!(out, "bytes &size={}", part.len);
            let values: Vec<_> = values(part.kind)
                .into_iter()
                .map(|value| format!("$$ == b\"{}\"", escaped(value)))
                .collect();
            if !values.is_empty() {
                let _ = write!(out, " &requires=({})", values.join(" || "));
            }
            out.push_str(";\n");
            return;
        }
    };
    let order = if little { "spicy::ByteOrder::Little" } else { "spicy::ByteOrder::Big" };
    let name = match part.len {
        1 => "uint8".to_owned(),
        2 | 4 | 8 => format!("uint{} &byte-order={order}", 8 * part.len),
        len => format!("bytes &size={len} &convert=$$.to_uint({order})"),
    };
    out.push_str(&name);
    match part.kind {
        FieldKind::Length { add, .. } => {
            let (low, high) = shape.field_lengths(*add);
            // `&requires` speaks of the value as parsed, which is bytes before `&convert`.
            let id = if matches!(part.len, 1 | 2 | 4 | 8) {
                "$$".to_owned()
            } else {
                format!("self.{}", part.id)
            };
            let _ = writeln!(out, " &requires=({id} >= {low} && {id} <= {high});");
        }
        FieldKind::Opcode { response_offset, .. } if !shape.opcodes.is_empty() => {
            let code = format!("self.{}", part.id);
            let _ = write!(out, " {{\n        self.task = Task({code});\n");
            if *response_offset > 0 {
                let _ = write!(
                    out,
                    "        if ( {code} >= {response_offset} )\n            \
                     self.task = Task({code} - {response_offset});\n"
                );
            }
            out.push_str("    }\n");
        }
        _ => out.push_str(";\n"),
    }
}
