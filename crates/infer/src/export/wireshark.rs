//! Dissectors in Lua for Wireshark and tshark.
//!
//! Messages are cut by the length field across segments; a layout without ports is registered
//! as a heuristic and then keeps the conversation it claimed.

use std::fmt::Write as _;

use ottoscope_flow::{Direction, FieldKind};

use super::Layout;
use super::names::{comment, hex, quoted};
use super::shape::{Part, Shape, head, number, values};

/// Numbers up to this are exact in Lua 5.2, which knows floats only.
const EXACT: u64 = 1 << 53;

pub(super) fn write(layout: &Layout, shape: &Shape<'_>, out: &mut String) {
    head(out, "--", layout);
    comment(out, "--", "tshark -X lua_script:THIS-FILE -r CAPTURE");
    if layout.signature.ports.is_empty() {
        comment(
            out,
            "--",
            "No ports are known, so that it is a heuristic: where a dissector that goes by ports \
             comes first, set the preference tcp.try_heuristic_first (or udp.).",
        );
    }
    let id = &shape.id;
    let _ = write!(
        out,
        "\nlocal app = Proto({}, {})\nlocal HEADER = {}\nlocal SHORTEST, LONGEST = {}, {}\n",
        quoted(id),
        quoted(&layout.signature.id),
        shape.header,
        shape.lengths.0,
        shape.lengths.1.min(EXACT),
    );
    tables(shape, out);
    fields(shape, out);
    let _ = write!(
        out,
        r"
-- Up to eight bytes as a number.
local function number(range, little)
  if range:len() <= 4 then
    return little and range:le_uint() or range:uint()
  end
  return (little and range:le_uint64() or range:uint64()):tonumber()
end

-- Bytes of the message that begins at `offset`, nil if none does.
local function total(tvb, offset)
  if tvb:captured_len() < offset + HEADER then return nil end
"
    );
    for part in &shape.parts {
        if !values(part.kind).is_empty() {
            let _ = writeln!(
                out,
                "  if not allowed_{}[{}:bytes():tohex(true)] then return nil end",
                part.id,
                range(part, "offset + ")
            );
        }
    }
    match shape.length {
        Some(length) => {
            let part = &shape.parts[length.part];
            let _ = writeln!(
                out,
                "  local total = number({}, {}) + {}",
                range(part, "offset + "),
                length.little,
                length.add
            );
        }
        None => out.push_str("  local total = tvb:reported_length_remaining(offset)\n"),
    }
    out.push_str("  if total < SHORTEST or total > LONGEST then return nil end\n");
    if !shape.tcp && shape.length.is_some() {
        out.push_str("  if total ~= tvb:reported_length_remaining(offset) then return nil end\n");
    }
    out.push_str("  return total\nend\n");
    message(layout, shape, out);
    registration(layout, shape, out);
}

fn range(part: &Part<'_>, before: &str) -> String {
    format!("tvb:range({before}{}, {})", part.offset, part.len)
}

/// Tables of allowed values and of names.
fn tables(shape: &Shape<'_>, out: &mut String) {
    for part in &shape.parts {
        let values = values(part.kind);
        if !values.is_empty() {
            let list: Vec<_> = values.iter().map(|v| format!("[\"{}\"] = true", hex(v))).collect();
            let _ = writeln!(out, "local allowed_{} = {{ {} }}", part.id, list.join(", "));
        }
        if let FieldKind::RequestResponse { request, response } = part.kind
            && part.len <= 4
        {
            let _ = writeln!(
                out,
                "local values_{} = {{ [{}] = \"request\", [{}] = \"response\" }}",
                part.id,
                number(request),
                number(response)
            );
        }
    }
    let Some(opcode) = shape.opcode else { return };
    out.push_str("local tasks = {\n");
    for (code, name, _) in &shape.opcodes {
        if *code <= EXACT {
            let _ = writeln!(out, "  [{code}] = {},", quoted(name));
        }
    }
    out.push_str("}\n");
    if shape.parts[opcode.part].len <= 4 {
        let _ = writeln!(out, "local values_{} = {{", shape.parts[opcode.part].id);
        for (code, name, _) in &shape.opcodes {
            if shape.holds(opcode.part, *code) {
                let _ = writeln!(out, "  [{code}] = {},", quoted(name));
            }
        }
        for (code, name, _) in &shape.opcodes {
            let taken = |raw| shape.opcodes.iter().any(|(code, ..)| *code == raw);
            if let Some(raw) = shape.in_response(*code).filter(|raw| !taken(*raw)) {
                let _ = writeln!(out, "  [{raw}] = {},", quoted(&format!("{name}, response")));
            }
        }
        out.push_str("}\n");
    }
}

fn fields(shape: &Shape<'_>, out: &mut String) {
    let id = &shape.id;
    out.push_str("\nlocal fields = {\n");
    for part in &shape.parts {
        let number = match part.len {
            1 => "uint8",
            2 => "uint16",
            3 => "uint24",
            4 => "uint32",
            _ => "uint64",
        };
        let (kind, rest) = match part.kind {
            FieldKind::Length { .. } | FieldKind::Sequence { .. } => {
                (number, ", base.DEC".to_owned())
            }
            FieldKind::Opcode { .. } if part.len <= 4 => {
                (number, format!(", base.DEC, values_{}", part.id))
            }
            FieldKind::Opcode { .. } => (number, ", base.DEC".to_owned()),
            FieldKind::RequestResponse { .. } if part.len <= 4 => {
                (number, format!(", base.HEX, values_{}", part.id))
            }
            _ => ("bytes", String::new()),
        };
        let _ = writeln!(
            out,
            "  {} = ProtoField.{kind}(\"{id}.{}\", {}{rest}),",
            part.id,
            part.id,
            quoted(&part.title)
        );
    }
    if shape.tells_requests() {
        let _ = writeln!(out, "  kind = ProtoField.string(\"{id}.kind\", \"kind\"),");
    }
    if shape.opcode.is_some() {
        let _ = writeln!(
            out,
            "  command = ProtoField.uint64(\"{id}.command\", \"opcode of the request\", base.DEC),"
        );
        let _ = writeln!(out, "  task = ProtoField.string(\"{id}.task\", \"task\"),");
    }
    let _ = writeln!(out, "  body = ProtoField.bytes(\"{id}.body\", \"body\"),");
    out.push_str("}\napp.fields = fields\n");
}

fn message(layout: &Layout, shape: &Shape<'_>, out: &mut String) {
    let _ = write!(
        out,
        r#"
local first = true

local function tell(pinfo, text)
  if first then pinfo.cols.info = text else pinfo.cols.info:append(", " .. text) end
  first = false
end

-- One message.
local function message(tvb, pinfo, root)
  if not total(tvb, 0) then
    root:add(app, tvb(), {})
    tell(pinfo, "continuation")
    return tvb:captured_len()
  end
  local tree = root:add(app, tvb(), {})
  local text = "message"
"#,
        quoted(&format!("{}, continuation", layout.signature.id)),
        quoted(&layout.signature.id),
    );
    for part in &shape.parts {
        let little = match part.kind {
            FieldKind::Length { little, .. }
            | FieldKind::Sequence { little }
            | FieldKind::Opcode { little, .. } => *little,
            _ => false,
        };
        let add = if little { "add_le" } else { "add" };
        let _ = writeln!(out, "  tree:{add}(fields.{}, {})", part.id, range(part, ""));
    }
    if let Some(part) = shape.request_response
        && let FieldKind::RequestResponse { request, .. } = shape.parts[part].kind
    {
        let _ = writeln!(
            out,
            "  text = {}:bytes():tohex(true) == \"{}\" and \"request\" or \"response\"",
            range(&shape.parts[part], ""),
            hex(request)
        );
    }
    if let Some(opcode) = shape.opcode {
        let part = &shape.parts[opcode.part];
        let _ = writeln!(out, "  local code = number({}, {})", range(part, ""), opcode.little);
        if opcode.response_offset > 0 {
            let offset = opcode.response_offset;
            if shape.request_response.is_none() {
                let _ = writeln!(out, "  text = code >= {offset} and \"response\" or \"request\"");
            }
            let _ = writeln!(out, "  if code >= {offset} then code = code - {offset} end");
        }
    }
    if shape.tells_requests() {
        out.push_str("  tree:add(fields.kind, text):set_generated()\n");
    }
    if let Some(opcode) = shape.opcode {
        let _ = write!(
            out,
            r#"  tree:add(fields.command, {}, UInt64(code % 4294967296, math.floor(code / 4294967296))):set_generated()
  if tasks[code] then tree:add(fields.task, tasks[code]):set_generated() end
  text = text .. ": " .. (tasks[code] or "opcode " .. string.format("%.0f", code))
"#,
            range(&shape.parts[opcode.part], ""),
        );
    }
    out.push_str(
        "  if tvb:captured_len() > HEADER then tree:add(fields.body, tvb:range(HEADER)) end
  tree:append_text(\", \" .. text)
  tell(pinfo, text)
  return tvb:captured_len()
end
",
    );
}

fn registration(layout: &Layout, shape: &Shape<'_>, out: &mut String) {
    let signature = &layout.signature;
    let table = if shape.tcp { "tcp" } else { "udp" };
    let side = match signature.direction {
        _ if signature.ports.is_empty() => None,
        None => None,
        Some(Direction::Up) => Some("dst_port"),
        Some(Direction::Down) => Some("src_port"),
    };
    out.push('\n');
    if side.is_some() {
        let ports: Vec<_> = signature.ports.iter().map(|p| format!("[{p}] = true")).collect();
        let _ = writeln!(out, "local PORTS = {{ {} }}\n", ports.join(", "));
    }
    out.push_str("function app.dissector(tvb, pinfo, root)\n");
    if let Some(side) = side {
        let _ = writeln!(out, "  if not PORTS[pinfo.{side}] then return 0 end");
    }
    // A first piece shorter than the header waits for the rest.
    let short =
        if shape.tcp && shape.length.is_some() { "tvb:captured_len() >= HEADER and " } else { "" };
    let _ = write!(
        out,
        "  if {short}not total(tvb, 0) then return 0 end\n  \
         pinfo.cols.protocol = {}\n  first = true\n",
        quoted(&signature.id)
    );
    if shape.tcp && shape.length.is_some() {
        out.push_str(
            "  dissect_tcp_pdus(tvb, root, HEADER, function(tvb, pinfo, offset)
    return total(tvb, offset) or tvb:reported_length_remaining(offset)
  end, message)
  return tvb:captured_len()
end
",
        );
    } else {
        out.push_str("  return message(tvb, pinfo, root)\nend\n");
    }
    if signature.ports.is_empty() {
        let _ = write!(
            out,
            r#"
app:register_heuristic("{table}", function(tvb, pinfo, root)
  if not total(tvb, 0) then return false end
  pinfo.conversation = app
  app.dissector(tvb, pinfo, root)
  return true
end)
DissectorTable.get("{table}.port"):add_for_decode_as(app)
"#
        );
    } else {
        out.push('\n');
        for port in &signature.ports {
            let _ = writeln!(out, "DissectorTable.get(\"{table}.port\"):add({port}, app)");
        }
    }
}
