//! Rules for Suricata: one for the layout, one for each opcode with a name.

use std::fmt::Write as _;

use ottoscope_flow::Direction;

use super::Layout;
use super::names::{comment, escaped, joined};
use super::shape::{Shape, head, values};

/// First id for local rules, and how many layouts share that range by hash.
const FIRST: u64 = 1_000_000;
const SLOTS: u64 = 8192;
/// Ids kept for each layout.
const EACH: u64 = 100;

pub(super) fn write(layout: &Layout, shape: &Shape<'_>, out: &mut String) {
    head(out, "#", layout);
    comment(
        out,
        "#",
        "Packets are looked at one by one: messages that begin within one are not seen.",
    );
    let slot = layout.signature.id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    }) % SLOTS;
    let first = FIRST + slot * EACH;
    let _ = writeln!(
        out,
        "# Ids from {first} follow from a hash of the name; change those that are taken."
    );
    let rule = rule(layout, shape);
    let _ = writeln!(out, "{rule} sid:{first}; rev:1;)");
    let Some(opcode) = shape.opcode else { return };
    let part = &shape.parts[opcode.part];
    let mut id = first;
    for (code, name, _) in &shape.opcodes {
        if !shape.holds(opcode.part, *code) {
            continue;
        }
        id += 1;
        let mut bytes = code.to_be_bytes()[8 - part.len..].to_vec();
        if opcode.little {
            bytes.reverse();
        }
        let rule = rule.replacen(
            &message(&layout.signature.id),
            &message(&format!("{} {name}", layout.signature.id)),
            1,
        );
        let _ = writeln!(out, "{rule} {} sid:{id}; rev:1;)", content(&bytes, part.offset));
    }
}

fn message(text: &str) -> String {
    let mut out = String::from("msg:\"");
    for c in text.chars() {
        match c {
            '"' | '\\' | ';' | ':' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push_str("\";");
    out
}

fn content(bytes: &[u8], offset: usize) -> String {
    format!("content:\"|{}|\"; offset:{offset}; depth:{};", joined(bytes, "", " "), bytes.len())
}

/// A rule without its end.
fn rule(layout: &Layout, shape: &Shape<'_>) -> String {
    let signature = &layout.signature;
    let ports: Vec<_> = signature.ports.iter().map(|port| port.to_string()).collect();
    let ports = match ports.as_slice() {
        [] => "any".to_owned(),
        [one] => one.clone(),
        many => format!("[{}]", many.join(",")),
    };
    let way = match signature.direction {
        _ if signature.ports.is_empty() => "any any -> any any".to_owned(),
        Some(Direction::Up) => format!("any any -> any {ports}"),
        Some(Direction::Down) => format!("any {ports} -> any any"),
        None => format!("any any <> any {ports}"),
    };
    let transport = if shape.tcp { "tcp-pkt" } else { "udp" };
    let mut out = format!("alert {transport} {way} ({}", message(&signature.id));
    let side = match signature.direction {
        Some(Direction::Up) => ",to_server",
        Some(Direction::Down) => ",to_client",
        None => "",
    };
    if shape.tcp {
        let _ = write!(out, " flow:established{side};");
    } else if !side.is_empty() {
        let _ = write!(out, " flow:{};", &side[1..]);
    }
    if shape.tcp {
        let _ = write!(out, " dsize:>{};", shape.header.saturating_sub(1));
    } else {
        let (low, high) = shape.lengths;
        if signature.lengths.is_some() {
            let (low, high) = (low.saturating_sub(1), high.min(65_534) + 1);
            let _ = write!(out, " dsize:{low}<>{high};");
        } else {
            let _ = write!(out, " dsize:>{};", low.saturating_sub(1).min(65_534));
        }
    }
    for part in &shape.parts {
        if let [one] = values(part.kind).as_slice() {
            let _ = write!(out, " {}", content(one, part.offset));
        }
    }
    for part in &shape.parts {
        let values = values(part.kind);
        if values.len() > 1 {
            let values: Vec<_> = values.into_iter().map(escaped).collect();
            let _ = match part.offset {
                0 => write!(out, " pcre:\"/^({})/s\";", values.join("|")),
                n => write!(out, " pcre:\"/^.{{{n}}}({})/s\";", values.join("|")),
            };
        }
    }
    if let Some(length) = shape.length {
        let part = &shape.parts[length.part];
        let (low, high) = shape.field_lengths(length.add);
        let end = if length.little { ",little" } else { "" };
        for (sign, value) in [(">=", low), ("<=", high)] {
            if shape.holds(length.part, value) {
                let _ = write!(out, " byte_test:{},{sign},{value},{}{end};", part.len, part.offset);
            }
        }
    }
    out
}
