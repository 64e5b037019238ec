//! The TCP options of a SYN, from which the operating system of a device can be told.

use std::fmt::Write;

use ottoscope_wire::packet::Packet;

/// `ttl:window:mss:scale:options` of a SYN: the time to live as seen, window and MSS in bytes,
/// window scale as its shift (each `*` where absent), and the option kinds in order joined by
/// `-` (2 MSS, 3 window scale, 4 SACK permitted, 8 timestamps, 1 padding; RFC 9293, 3.2).
pub(crate) fn syn(packet: &Packet<'_>) -> String {
    let mut mss = None;
    let mut scale = None;
    let mut kinds = String::new();
    let mut rest = packet.tcp.options;
    while let Some((&kind, tail)) = rest.split_first() {
        if !kinds.is_empty() {
            kinds.push('-');
        }
        let _ = write!(kinds, "{kind}");
        match kind {
            0 => break,
            1 => {
                rest = tail;
                continue;
            }
            _ => {}
        }
        let Some(&length) = tail.first() else { break };
        let Some(body) = rest.get(2..usize::from(length)) else { break };
        match (kind, body) {
            (2, [a, b]) => mss = Some(u16::from_be_bytes([*a, *b])),
            (3, [shift]) => scale = Some(*shift),
            _ => {}
        }
        rest = &rest[usize::from(length)..];
    }
    let star = |value: Option<u16>| value.map_or("*".to_owned(), |v| v.to_string());
    format!(
        "{}:{}:{}:{}:{kinds}",
        packet.ttl,
        packet.tcp.window,
        star(mss),
        star(scale.map(u16::from))
    )
}
