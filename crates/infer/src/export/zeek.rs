//! Signatures for Zeek: fixed bytes, ports and sizes.

use std::fmt::Write as _;

use ottoscope_flow::Direction;

use super::Layout;
use super::names::{comment, escaped, quoted};
use super::shape::{Shape, head, values};

pub(super) fn write(layout: &Layout, shape: &Shape<'_>, out: &mut String) {
    let signature = &layout.signature;
    head(out, "#", layout);
    comment(out, "#", "zeek -s THIS-FILE -r CAPTURE; a signature is told once a connection.");
    let transport = if shape.tcp { "tcp" } else { "udp" };
    let _ = writeln!(out, "\nsignature {} {{\n  ip-proto == {transport}", shape.id);
    let ports: Vec<_> = signature.ports.iter().map(|port| port.to_string()).collect();
    if !ports.is_empty() {
        let side = if signature.direction == Some(Direction::Down) { "src" } else { "dst" };
        let _ = writeln!(out, "  {side}-port == {}", ports.join(","));
    }
    let side = signature.direction.map(|direction| match direction {
        Direction::Up => "originator",
        Direction::Down => "responder",
    });
    match (shape.tcp, side) {
        (true, Some(side)) => {
            let _ = writeln!(out, "  tcp-state established,{side}");
        }
        (true, None) => out.push_str("  tcp-state established\n"),
        (false, Some(side)) => {
            let _ = writeln!(out, "  udp-state {side}");
        }
        (false, None) => {}
    }
    if !shape.tcp {
        let (low, high) = shape.lengths;
        let _ = writeln!(out, "  payload-size >= {low}");
        if signature.lengths.is_some() {
            let _ = writeln!(out, "  payload-size <= {}", high.min(0xffff));
        }
    }
    let _ = writeln!(out, "  payload /^{}/", pattern(shape));
    let _ = writeln!(out, "  event {}\n}}", quoted(&signature.id));
}

/// The bytes up to the last fixed one. `.` would leave out line feeds.
fn pattern(shape: &Shape<'_>) -> String {
    let mut out = String::new();
    let mut any = 0;
    for part in &shape.parts {
        let values = values(part.kind);
        if values.is_empty() {
            any += part.len;
            continue;
        }
        match std::mem::take(&mut any) {
            0 => {}
            1 => out.push_str("[\\x00-\\xff]"),
            n => {
                let _ = write!(out, "[\\x00-\\xff]{{{n}}}");
            }
        }
        let values: Vec<_> = values.into_iter().map(escaped).collect();
        match values.as_slice() {
            [one] => out.push_str(one),
            many => {
                let _ = write!(out, "({})", many.join("|"));
            }
        }
    }
    out
}
