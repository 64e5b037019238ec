//! Fields of a message as one text column.

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
        out.push_str(name);
        out.push('=');
        match value {
            Value::Text(text) => text_value(text, flow.client, names, out),
            Value::Number(n) => number(n, 10, out),
            Value::Hex(n) => {
                out.push_str("0x");
                number(n, 16, out);
            }
            Value::Flag(flag) => out.push_str(if flag { "true" } else { "false" }),
            Value::Bytes(_) if name.contains("address") && !names.in_clear() => {
                out.push_str("withheld");
            }
            Value::Bytes(bytes) => {
                for byte in bytes.iter().take(64) {
                    out.push(digit(byte >> 4));
                    out.push(digit(byte & 0xf));
                }
            }
            Value::Address(address) => {
                let server = address == flow.server || SERVERS.contains(&name);
                let text = if server && address != flow.client {
                    names.server(address, flow.side)
                } else {
                    names.inner(address)
                };
                out.push_str(text.as_str());
            }
        }
    });
    if out.len() > MAX_DETAIL {
        let end = (0..=MAX_DETAIL).rev().find(|&i| out.is_char_boundary(i)).unwrap_or(0);
        out.truncate(end);
        out.push('…');
    }
}

/// Appends a number; `fmt` would take four times as long, and there are several a message.
fn number(mut n: u64, base: u64, out: &mut String) {
    let mut digits = [0; 20]; // those of the greatest
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = (n % base) as u8;
        n /= base;
        if n == 0 {
            break;
        }
    }
    out.extend(digits[at..].iter().map(|&value| digit(value)));
}

fn digit(value: u8) -> char {
    char::from(if value < 10 { b'0' + value } else { b'a' - 10 + value })
}

/// Text from traffic: without control characters, and without clients' addresses.
fn text_value(text: &str, client: IpAddr, names: &mut Pseudonyms, out: &mut String) {
    let start = out.len();
    names.scrub(text, Some(client), out);
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return;
    }
    if out[start..].contains(char::is_control) {
        let clean = out[start..].replace(char::is_control, "\u{fffd}");
        out.truncate(start);
        out.push_str(&clean);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_usual() {
        for n in [0, 9, 10, 255, 65_535, 1_234_567_890, u64::MAX] {
            let mut out = String::from("n=");
            number(n, 10, &mut out);
            number(n, 16, &mut out);
            assert_eq!(out, format!("n={n}{n:x}"));
        }
    }
}
