//! Reads a capture back and holds it against its truth.

use std::collections::HashMap;
use std::net::IpAddr;

use ottoscope_synth::{Collected, FlowTruth, MessageTruth, Totals};
use ottoscope_wire::packet::{Decoded, decode};
use ottoscope_wire::{LinkType, Tcp};

/// A record of a nanosecond pcap.
pub(crate) struct Record<'a> {
    pub(crate) at: i64,
    pub(crate) wire: u64,
    pub(crate) bytes: &'a [u8],
}

pub(crate) fn records(mut file: &[u8]) -> Vec<Record<'_>> {
    let word = |bytes: &[u8], at: usize| {
        u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
    };
    assert_eq!(word(file, 0), 0xa1b2_3c4d);
    file = &file[24..];
    let mut out = Vec::new();
    while !file.is_empty() {
        let at = i64::from(word(file, 0)) * 1_000_000_000 + i64::from(word(file, 4));
        let (kept, wire) = (word(file, 8) as usize, u64::from(word(file, 12)));
        out.push(Record { at, wire, bytes: &file[16..16 + kept] });
        file = &file[16 + kept..];
    }
    out
}

type Key = (IpAddr, u16, IpAddr, u16, bool);

/// What a reader that knows nothing of the truth counts.
#[derive(Debug, Default)]
struct Counted {
    first: i64,
    last: i64,
    packets: [u64; 2],
    bytes: [u64; 2],
    payload: [u64; 2],
    repeated: [u32; 2],
    /// Sequence numbers seen, as sorted and joined spans relative to the first.
    spans: [Vec<(u32, u32)>; 2],
    origin: [Option<u32>; 2],
}

/// Whether the span adds nothing; it is joined to those known.
fn cover(spans: &mut Vec<(u32, u32)>, from: u32, to: u32) -> bool {
    if spans.iter().any(|(a, b)| *a <= from && to <= *b) {
        return true;
    }
    let (mut low, mut high) = (from, to);
    spans.retain(|(a, b)| {
        let apart = *b < low || *a > high;
        if !apart {
            low = low.min(*a);
            high = high.max(*b);
        }
        apart
    });
    spans.push((low, high));
    false
}

/// Flows by 5-tuple; a conversation silent for longer than the rule, or begun anew, is another.
fn count(file: &[u8]) -> Vec<(Key, Counted)> {
    let mut open: HashMap<Key, Counted> = HashMap::new();
    let mut done = Vec::new();
    for record in records(file) {
        let Ok(Decoded::Packet(packet)) = decode(LinkType::ETHERNET, record.bytes) else {
            panic!("a packet that does not decode at {}", record.at)
        };
        let up = matches!(packet.source, IpAddr::V4(a) if a.octets()[0] == 10)
            || matches!(packet.source, IpAddr::V6(a) if a.segments()[2] != 0xfeed);
        let side = usize::from(!up);
        let ends = (packet.source, packet.source_port, packet.destination, packet.destination_port);
        let key = if up {
            (ends.0, ends.1, ends.2, ends.3, (packet.ip_protocol == 6))
        } else {
            (ends.2, ends.3, ends.0, ends.1, (packet.ip_protocol == 6))
        };
        let silence = if packet.ip_protocol == 6 { 1_800_000_000_000 } else { 60_000_000_000 };
        if open.get(&key).is_some_and(|flow| record.at - flow.last > silence) {
            done.extend(open.remove_entry(&key));
        }
        let flow =
            open.entry(key).or_insert_with(|| Counted { first: record.at, ..Counted::default() });
        flow.last = record.at;
        flow.packets[side] += 1;
        flow.bytes[side] += record.wire;
        flow.payload[side] += u64::from(packet.payload_len);
        if packet.ip_protocol == 6 {
            let tcp = packet.tcp;
            let fin = u32::from(tcp.flags & Tcp::FIN != 0);
            let len = packet.payload_len + fin;
            if len > 0 {
                // 2^30 below the first seen, so that late packets do not wrap.
                let origin = *flow.origin[side].get_or_insert(tcp.seq.wrapping_sub(1 << 30));
                let from = tcp.seq.wrapping_sub(origin);
                flow.repeated[side] += u32::from(cover(&mut flow.spans[side], from, from + len));
            }
        }
    }
    done.extend(open);
    done
}

fn key(flow: &FlowTruth) -> Key {
    (flow.client, flow.client_port, flow.server, flow.server_port, flow.transport == "tcp")
}

/// Every law that holds between a capture and its truth. `whole`: packets are not cut.
pub(crate) fn hold(file: &[u8], truth: &Collected, totals: &Totals, whole: bool) {
    let records = records(file);
    assert!(records.windows(2).all(|pair| pair[0].at < pair[1].at), "times rise strictly");
    assert_eq!(totals.file, file.len() as u64);
    assert_eq!(totals.packets, records.len() as u64);
    assert_eq!(totals.bytes, records.iter().map(|r| r.wire).sum::<u64>());
    assert_eq!(totals.captured, records.iter().map(|r| r.bytes.len() as u64).sum::<u64>());
    assert_eq!(totals.flows, truth.flows.len() as u64);
    assert_eq!(totals.tcp + totals.udp, totals.flows);
    let sum = |pick: fn(&FlowTruth) -> [u64; 2]| truth.flows.iter().flat_map(pick).sum::<u64>();
    assert_eq!(totals.packets, sum(|flow| flow.packets));
    assert_eq!(totals.bytes, sum(|flow| flow.bytes));
    let services = totals.services.values();
    assert_eq!(totals.flows, services.clone().map(|s| s.flows).sum::<u64>());
    assert_eq!(totals.bytes, services.flat_map(|s| s.bytes).sum::<u64>());
    if let (Some(first), Some(last)) = (records.first(), records.last()) {
        assert_eq!((totals.first, totals.last), (first.at, last.at));
    }
    assert_eq!(totals.dns, truth.dns.len() as u64);

    let mut told: HashMap<(Key, i64), &FlowTruth> =
        truth.flows.iter().map(|flow| ((key(flow), flow.first), flow)).collect();
    assert_eq!(told.len(), truth.flows.len(), "no flow is told twice");
    let mut messages: HashMap<_, Vec<&MessageTruth>> = HashMap::new();
    for m in &truth.messages {
        let flow = (m.client, m.client_port, m.server, m.server_port, m.flow);
        messages.entry(flow).or_default().push(m);
    }
    for (key, counted) in count(file) {
        let flow = told.remove(&(key, counted.first));
        let flow = flow.unwrap_or_else(|| panic!("no truth for {key:?}: {counted:?}"));
        assert_eq!(flow.last, counted.last, "{flow:?}");
        assert_eq!(flow.packets, counted.packets, "{flow:?}");
        assert_eq!(flow.bytes, counted.bytes, "{flow:?}");
        assert_eq!(flow.payload, counted.payload, "{flow:?}");
        let own = (flow.client, flow.client_port, flow.server, flow.server_port, flow.first);
        let messages = messages.get(&own).map_or(&[][..], Vec::as_slice);
        assert_eq!(flow.messages, messages.len() as u64, "{flow:?}");
        for message in messages {
            assert!(flow.first <= message.first && message.first <= message.last);
            assert!(message.last <= flow.last);
        }
        if whole {
            assert_eq!(flow.retransmitted, counted.repeated, "{flow:?}");
        }
    }
    assert!(told.is_empty(), "flows that are not in the capture: {told:?}");
}
