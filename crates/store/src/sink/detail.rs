//! Fields of a message as one text column.

use std::fmt::Write;
use std::net::IpAddr;

use ottoscope_flow::Message;
use ottoscope_flow::wire::Value;

use crate::pseudonym::Pseudonyms;

/// Most bytes of a detail; what follows is left out. Fields of honest messages are far shorter.
const MAX_DETAIL: usize = 2_000;

/// Fields that hold addresses of servers: relays of calls, a proxy's target.
const SERVERS: &[&str] = &[
    "xor_relayed_address",
    "response_origin",
    "other_address",
    "alternate_server",
    "host",
    "target",
];

/// Writes the fields of `message` to `out` as `name=value; name=value`.
pub(super) fn write(message: &Message<'_>, names: &mut Pseudonyms, out: &mut String) {
    out.clear();
    let flow = message.flow;
    message.body.fields().fields(&mut |name, value| {
        if out.len() > MAX_DETAIL {
            return;
        }
        let start = out.len();
        if start > 0 {
            out.push_str("; ");
        }
        let _ = match value {
            Value::Text(text) => {
                let written = write!(out, "{name}=");
                text_value(text, flow.client, names, out);
                written
            }
            Value::Number(n) => write!(out, "{name}={n}"),
            Value::Hex(n) => write!(out, "{name}=0x{n:x}"),
            Value::Flag(flag) => write!(out, "{name}={flag}"),
            Value::Bytes(_) if name.contains("address") && !names.in_clear() => {
                write!(out, "{name}=withheld")
            }
            Value::Bytes(bytes) => {
                let _ = write!(out, "{name}=");
                bytes.iter().take(64).try_for_each(|b| write!(out, "{b:02x}"))
            }
            Value::Address(address) => {
                let server = address == flow.server || SERVERS.contains(&name);
                let text = if server && address != flow.client {
                    names.server(address, flow.side)
                } else {
                    names.inner(address)
                };
                write!(out, "{name}={text}")
            }
        };
    });
    if out.len() > MAX_DETAIL {
        let end = (0..=MAX_DETAIL).rev().find(|&i| out.is_char_boundary(i)).unwrap_or(0);
        out.truncate(end);
        out.push('…');
    }
}

/// Text from traffic: without control characters, and without clients' addresses.
fn text_value(text: &str, client: IpAddr, names: &mut Pseudonyms, out: &mut String) {
    let start = out.len();
    names.scrub(text, Some(client), out);
    if out[start..].contains(char::is_control) {
        let clean = out[start..].replace(char::is_control, "\u{fffd}");
        out.truncate(start);
        out.push_str(&clean);
    }
}
