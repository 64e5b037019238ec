//! The packets in a copied ring block (`linux/if_packet.h`): plain bytes, read with care all
//! the same.

use ottoscope_wire::LinkType;

use crate::capture::batch::{Batch, Record};
use crate::time::Timestamp;

/// Whether packets come without a link header and get a made-up one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cooked {
    /// Ethernet.
    No,
    /// Ethernet, where every packet comes twice: sent and received.
    Loopback,
    /// Linux cooked capture.
    Yes,
}

/// `struct tpacket_block_desc`.
mod head {
    pub(super) const PACKETS: usize = 12;
    pub(super) const FIRST: usize = 16;
}

/// `struct tpacket3_hdr`, and the `struct sockaddr_ll` behind it.
mod packet {
    pub(super) const NEXT: usize = 0;
    pub(super) const SECONDS: usize = 4;
    pub(super) const NANOS: usize = 8;
    pub(super) const CAPTURED: usize = 12;
    pub(super) const WIRE: usize = 16;
    pub(super) const STATUS: usize = 20;
    pub(super) const FRAME: usize = 24;
    pub(super) const VLAN_TAG: usize = 32;
    pub(super) const VLAN_PROTOCOL: usize = 36;
    pub(super) const ADDRESS: usize = 48;
    pub(super) const LEN: usize = 68;
    pub(super) const VLAN_VALID: u32 = 1 << 4;
    pub(super) const VLAN_PROTOCOL_VALID: u32 = 1 << 6;
}

/// `sll_pkttype` of what this host sends.
const OUTGOING: u8 = 4;
const VLAN: u16 = 0x8100;

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_ne_bytes(*word))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|half| u16::from_ne_bytes(*half))
}

/// Finds the records in the batch's buffer, which holds a block.
pub(super) fn records(batch: &mut Batch, cooked: Cooked) {
    let count = word(&batch.buffer, head::PACKETS).unwrap_or(0);
    let mut at = word(&batch.buffer, head::FIRST).unwrap_or(0) as usize;
    for _ in 0..count {
        let Some(bytes) = batch.buffer.get_mut(at..) else { return };
        let Some(next) = word(bytes, packet::NEXT) else { return };
        if let Some(record) = record(bytes, cooked) {
            batch.records.push(Record { start: record.start + at as u32, ..record });
        }
        if next == 0 {
            return;
        }
        at += next as usize;
    }
}

/// The packet at the start of `bytes`. Its tag or made-up link header is written over the
/// kernel's own header, which lies right before the frame and is not needed any more.
fn record(bytes: &mut [u8], cooked: Cooked) -> Option<Record> {
    let field = |at| word(bytes, at);
    let seconds = field(packet::SECONDS)?;
    let nanos = field(packet::NANOS)?;
    let mut captured = field(packet::CAPTURED)?;
    let mut wire_len = field(packet::WIRE)?;
    let status = field(packet::STATUS)?;
    let tag = field(packet::VLAN_TAG)? as u16;
    let tag_protocol = half(bytes, packet::VLAN_PROTOCOL)?;
    let mut start = usize::from(half(bytes, packet::FRAME)?);
    let address: [u8; 20] = *bytes.get(packet::ADDRESS..)?.first_chunk()?;
    if start < packet::LEN || bytes.len() < start + captured as usize {
        return None;
    }
    let mut link = LinkType::ETHERNET;
    match cooked {
        Cooked::Loopback if address[10] == OUTGOING => return None,
        Cooked::Yes => {
            // Packet type, hardware type, address length, address, protocol.
            let hardware = u16::from_ne_bytes([address[8], address[9]]).to_be_bytes();
            let header = &mut bytes[start - 16..start]; // `start` is at least `LEN`
            header[..2].copy_from_slice(&[0, address[10]]);
            header[2..4].copy_from_slice(&hardware);
            header[4..6].copy_from_slice(&[0, address[11]]);
            header[6..14].copy_from_slice(&address[12..20]);
            header[14..].copy_from_slice(&address[2..4]);
            start -= 16;
            captured += 16;
            wire_len += 16;
            link = LinkType::LINUX_SLL;
        }
        Cooked::No | Cooked::Loopback if status & packet::VLAN_VALID != 0 && captured >= 12 => {
            let known = status & packet::VLAN_PROTOCOL_VALID != 0 && tag_protocol != 0;
            let protocol = if known { tag_protocol } else { VLAN };
            bytes.copy_within(start..start + 12, start - 4);
            start -= 4;
            bytes[start + 12..start + 14].copy_from_slice(&protocol.to_be_bytes());
            bytes[start + 14..start + 16].copy_from_slice(&tag.to_be_bytes());
            captured += 4;
            wire_len += 4;
        }
        Cooked::No | Cooked::Loopback => {}
    }
    Some(Record {
        at: Timestamp::from_parts(i64::from(seconds), i64::from(nanos)),
        link,
        capture: 0,
        wire_len,
        start: start as u32,
        len: captured,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block with one packet of `frame`, laid out as the kernel does.
    fn block(frame: &[u8], status: u32, kind: u8, tag: u32, protocol: u16) -> Vec<u8> {
        const HEAD: usize = 48;
        const FRAME: usize = 82;
        let mut out = vec![0; HEAD + FRAME];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(head::PACKETS, &1u32.to_ne_bytes());
        put(head::FIRST, &(HEAD as u32).to_ne_bytes());
        put(HEAD + packet::SECONDS, &7u32.to_ne_bytes());
        put(HEAD + packet::NANOS, &9u32.to_ne_bytes());
        put(HEAD + packet::CAPTURED, &(frame.len() as u32).to_ne_bytes());
        put(HEAD + packet::WIRE, &(frame.len() as u32).to_ne_bytes());
        put(HEAD + packet::STATUS, &status.to_ne_bytes());
        put(HEAD + packet::FRAME, &(FRAME as u16).to_ne_bytes());
        put(HEAD + packet::VLAN_TAG, &tag.to_ne_bytes());
        put(HEAD + packet::VLAN_PROTOCOL, &protocol.to_ne_bytes());
        let address = [17, 0, 0x86, 0xdd, 2, 0, 0, 0, 1, 0, kind, 6, 1, 2, 3, 4, 5, 6, 0, 0];
        put(HEAD + packet::ADDRESS, &address);
        out.extend_from_slice(frame);
        out
    }

    fn check(block: Vec<u8>, cooked: Cooked, expected: Option<&[u8]>) {
        let mut batch = Batch { buffer: block, ..Batch::default() };
        records(&mut batch, cooked);
        let found = batch.records().first().map(|record| batch.bytes(record));
        assert_eq!(found, expected);
    }

    #[test]
    fn tags_and_link_headers_are_put_back() {
        let frame = b"destinsource\x08\x00ip";
        check(block(frame, 0, 0, 0, 0), Cooked::No, Some(frame));
        let tagged = packet::VLAN_VALID | packet::VLAN_PROTOCOL_VALID;
        let expected = b"destinsource\x88\xa8\x00\x4d\x08\x00ip";
        check(block(frame, tagged, 0, 77, 0x88a8), Cooked::No, Some(expected));
        let expected = b"destinsource\x81\x00\x00\x4d\x08\x00ip";
        check(block(frame, packet::VLAN_VALID, 0, 77, 0), Cooked::No, Some(expected));
        check(block(frame, 0, OUTGOING, 0, 0), Cooked::Loopback, None);
        let cooked = b"\x00\x04\x00\x01\x00\x06\x01\x02\x03\x04\x05\x06\x00\x00\x86\xdd6p";
        let expected = if cfg!(target_endian = "little") { Some(cooked.as_slice()) } else { None };
        if expected.is_some() {
            check(block(b"6p", 0, OUTGOING, 0, 0), Cooked::Yes, expected);
        }
    }

    #[test]
    fn a_block_that_lies_is_read_with_care() {
        let good = block(b"destinsource\x08\x00ip", packet::VLAN_VALID, 0, 1, 0);
        for at in 0..good.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bad = good.clone();
                bad[at] = value;
                for cooked in [Cooked::No, Cooked::Loopback, Cooked::Yes] {
                    let mut batch = Batch { buffer: bad.clone(), ..Batch::default() };
                    records(&mut batch, cooked);
                }
            }
        }
        for len in 0..good.len() {
            let mut batch = Batch { buffer: good[..len].to_vec(), ..Batch::default() };
            records(&mut batch, Cooked::No);
            assert!(batch.records().is_empty());
        }
    }
}
