//! Where the layers of a sample's packets lie: told by who cut it, or read off an image that
//! holds a capture file.

use std::ops::Range;

/// Where the layers of one packet lie: offsets in bytes from the start of the sample. A layer
/// that is not there is empty. The last packet's may lie behind the sample's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Layers {
    /// Record header of the capture file.
    pub record: u32,
    /// Link layer, and tunnels with their outer headers.
    pub link: u32,
    /// Innermost IP header, options and extensions included.
    pub network: u32,
    /// TCP, UDP or SCTP header.
    pub transport: u32,
    /// What that carries.
    pub payload: u32,
    /// What pads the frame behind it.
    pub trailer: u32,
    /// The packet's end.
    pub end: u32,
    /// IP protocol number.
    pub protocol: u8,
}

/// The packets of a sample.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layout {
    /// Bytes of a capture file's header in front of the first packet.
    pub header: u32,
    /// Packets in order. What is behind the last one is padding.
    pub packets: Vec<Layers>,
}

/// Bytes of a capture file's header and of a record's (draft-ietf-opsawg-pcap).
pub(crate) const FILE_HEADER: usize = 24;
pub(crate) const RECORD_HEADER: usize = 16;
const MAGIC: [u8; 4] = [0xa1, 0xb2, 0xc3, 0xd4];
/// Extension headers of IPv6 followed in a row.
const EXTENSIONS: usize = 8;

impl Layout {
    /// Reads an image: a big-endian capture file as the paper's tool writes it. Other bytes are
    /// taken for payload, as in the images of layer 7.
    pub fn of_image(bytes: &[u8]) -> Layout {
        if !bytes.starts_with(&MAGIC) || bytes.len() < FILE_HEADER {
            let sent = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1) as u32;
            let packet = Layers { trailer: sent, end: sent, ..Layers::default() };
            return Layout { header: 0, packets: vec![packet] };
        }
        let link = be32(bytes, 20).unwrap_or_default();
        let mut packets = Vec::new();
        let mut at = FILE_HEADER;
        // A record of no bytes is where the file ended and the padding starts.
        while let Some(len) = be32(bytes, at + 8).filter(|len| *len > 0) {
            let start = at + RECORD_HEADER;
            let end = start.saturating_add(len as usize);
            let mut layers = frame(link, bytes, start, end);
            layers.record = at as u32;
            packets.push(layers);
            at = end;
        }
        // A record header that the image's end cuts.
        let rest = bytes.get(at..).unwrap_or_default();
        if rest.len() < 12 && rest.iter().any(|byte| *byte != 0) {
            let end = bytes.len() as u32;
            packets.push(Layers {
                record: at as u32,
                link: end,
                network: end,
                transport: end,
                payload: end,
                trailer: end,
                end,
                protocol: 0,
            });
        }
        Layout { header: FILE_HEADER as u32, packets }
    }

    /// Where the first `width` bytes of the sample end that were sent and are no padding.
    pub fn filled(&self, width: usize) -> usize {
        self.packets.last().map_or(self.header as usize, |last| last.end as usize).min(width)
    }
}

/// Layers of the frame in `start..end` of `bytes`, as far as they are there.
fn frame(link: u32, bytes: &[u8], start: usize, end: usize) -> Layers {
    let opaque = |at: usize| {
        let at = at.min(end) as u32;
        Layers {
            record: 0,
            link: start as u32,
            network: at,
            transport: at,
            payload: at,
            trailer: end as u32,
            end: end as u32,
            protocol: 0,
        }
    };
    let network = match link {
        1 => {
            let mut at = start + 12;
            while matches!(be16(bytes, at), Some(0x8100 | 0x88a8 | 0x9100)) {
                at += 4;
            }
            at + 2
        }
        12 | 14 | 101 | 228 | 229 => start,
        0 | 108 => start + 4,
        113 => start + 16,
        276 => start + 20,
        _ => return opaque(end),
    };
    let Some(version) = bytes.get(network).map(|first| first >> 4) else { return opaque(end) };
    let (transport, sent, protocol, later) = match version {
        4 => {
            let header = usize::from(bytes[network] & 15) * 4;
            let total = be16(bytes, network + 2).map_or(0, usize::from);
            let fragment = be16(bytes, network + 6).unwrap_or_default();
            let protocol = bytes.get(network + 9).copied().unwrap_or_default();
            let sent = if total == 0 { end } else { network + total };
            (network + header.max(20), sent, protocol, fragment & 0x1fff != 0)
        }
        6 => {
            let sent = match be16(bytes, network + 4) {
                Some(len @ 1..) => network + 40 + usize::from(len),
                _ => end,
            };
            let mut protocol = bytes.get(network + 6).copied().unwrap_or_default();
            let mut at = network + 40;
            for _ in 0..EXTENSIONS {
                let (Some(next), Some(len)) = (bytes.get(at), bytes.get(at + 1)) else { break };
                match protocol {
                    0 | 43 | 60 => at += (usize::from(*len) + 1) * 8,
                    44 => at += 8,
                    _ => break,
                }
                protocol = *next;
            }
            (at, sent, protocol, false)
        }
        _ => return opaque(end),
    };
    let header = match protocol {
        _ if later => 0,
        6 => bytes.get(transport + 12).map_or(20, |words| usize::from(words >> 4) * 4).max(20),
        17 => 8,
        132 => 12,
        _ => 0,
    };
    let payload = transport + header;
    let trailer = sent.clamp(payload.min(end), end);
    let place = |at: usize| at.min(trailer) as u32;
    Layers {
        record: 0,
        link: start as u32,
        network: place(network),
        transport: place(transport),
        payload: place(payload),
        trailer: trailer as u32,
        end: end as u32,
        protocol: if later { 0 } else { protocol },
    }
}

/// `from..to` as far as `width` bytes reach; never reversed, whatever the layout says.
pub(crate) fn span(from: usize, to: usize, width: usize) -> Range<usize> {
    let to = to.min(width);
    from.min(to)..to
}

pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|word| u16::from_be_bytes(*word))
}

pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}

/// An image of two UDP packets in a capture of link type 1 or 101, for tests.
#[cfg(test)]
pub(crate) fn image(raw: bool, payloads: [&[u8]; 2]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&[0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255]);
    out.extend_from_slice(&[0, 0, 0, if raw { 101 } else { 1 }]);
    for (number, payload) in payloads.iter().enumerate() {
        let len = 28 + payload.len() as u16;
        let mut frame = if raw { vec![] } else { vec![0xee; 12] };
        if !raw {
            frame.extend_from_slice(&[8, 0]);
        }
        let [high, low] = len.to_be_bytes();
        frame.extend_from_slice(&[0x45, 0, high, low, 0xab, 0xcd, 0, 0, 64, 17, 0x1c, 0x5c]);
        let (a, b) = ([10, 0, 0, 1], [203, 0, 113, 5]);
        frame.extend_from_slice(&if number == 0 { [a, b] } else { [b, a] }.concat());
        let (a, b) = ([0xc3, 0x50], [1, 187]);
        frame.extend_from_slice(&if number == 0 { [a, b] } else { [b, a] }.concat());
        let [high, low] = (len - 20).to_be_bytes();
        frame.extend_from_slice(&[high, low, 0x5c, 0x5d]);
        frame.extend_from_slice(payload);
        out.extend_from_slice(&[0x55, 0x1c, 0x1c, 0x1c + number as u8, 0, 1, 0x20, 0]);
        let [high, low] = (frame.len() as u16).to_be_bytes();
        out.extend_from_slice(&[0, 0, high, low, 0, 0, high, low]);
        out.extend_from_slice(&frame);
    }
    out.resize(784, 0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_says_where_its_layers_are() {
        let layout = Layout::of_image(&image(false, [b"hello", b"you"]));
        assert_eq!(layout.header, 24);
        let [first, second] = layout.packets[..] else { panic!("{layout:?}") };
        assert_eq!(
            first,
            Layers {
                record: 24,
                link: 40,
                network: 54,
                transport: 74,
                payload: 82,
                trailer: 87,
                end: 87,
                protocol: 17
            }
        );
        assert_eq!((second.record, second.network, second.end), (87, 117, 148));
        let raw = Layout::of_image(&image(true, [b"hello", b"you"]));
        assert_eq!((raw.packets[0].link, raw.packets[0].network), (40, 40));
    }

    #[test]
    fn other_bytes_are_payload() {
        let layout = Layout::of_image(&[1, 2, 0, 3, 0, 0]);
        assert_eq!((layout.header, layout.filled(6)), (0, 4));
        assert_eq!((layout.packets[0].payload, layout.packets[0].end), (0, 4));
        assert_eq!(Layout::of_image(&[0; 9]).filled(9), 0);
    }
}
