//! Where the layers of a packet lie, so that bytes can be masked by what they mean.

use std::net::IpAddr;

use ottoscope_wire::{Decoded, LinkType, Packet, decode};

/// Where the layers of one packet lie: offsets in bytes from the start of the sample. A layer
/// that is not there is empty. The last packet's may lie behind the sample's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Layers {
    /// Record header of the capture file; only in the paper's protocol.
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
    /// IP protocol number of the innermost conversation.
    pub protocol: u8,
}

/// The layers of a frame, for whoever rewrites captures; none where it is no whole packet of a
/// conversation.
pub fn layers(link: LinkType, frame: &[u8]) -> Option<Layers> {
    match decode(link, frame) {
        Ok(Decoded::Packet(packet)) => Some(Layers::of(frame, &packet)),
        _ => None,
    }
}

/// TCP's and UDP's header lengths without options, and SCTP's.
const TCP: usize = 20;
const UDP: usize = 8;
const SCTP: usize = 12;

impl Layers {
    /// The layers of a frame, from its own first byte. The walk that decoded it keeps only what
    /// flows need, so that headers are found backwards from the payload, by the addresses.
    pub(super) fn of(frame: &[u8], packet: &Packet<'_>) -> Layers {
        let end = frame.len();
        // Both slices are of one buffer: the payload is a part of the frame.
        let payload =
            (packet.payload.as_ptr() as usize).wrapping_sub(frame.as_ptr() as usize).min(end);
        let header = match packet.ip_protocol {
            6 => TCP + packet.tcp.options.len(),
            17 => UDP,
            132 => SCTP,
            _ => 0,
        };
        let transport = payload.saturating_sub(header);
        let network = network(frame, transport, packet).unwrap_or(transport);
        let trailer = (payload + packet.payload.len()).min(end);
        Layers {
            record: 0,
            link: 0,
            network: network as u32,
            transport: transport as u32,
            payload: payload as u32,
            trailer: trailer as u32,
            end: end as u32,
            protocol: packet.ip_protocol,
        }
    }

    /// Of a frame whose headers are not known: all of it is link layer.
    pub(super) fn opaque(frame: &[u8]) -> Layers {
        let end = frame.len() as u32;
        Layers {
            network: end,
            transport: end,
            payload: end,
            trailer: end,
            end,
            ..Layers::default()
        }
    }

    /// The same layers `by` bytes further, behind a record header of `record` bytes.
    pub(super) fn moved(self, by: usize, record: usize) -> Layers {
        let to = (by + record) as u32;
        Layers {
            record: by as u32,
            link: self.link + to,
            network: self.network + to,
            transport: self.transport + to,
            payload: self.payload + to,
            trailer: self.trailer + to,
            end: self.end + to,
            protocol: self.protocol,
        }
    }

    /// The layers of a packet of which only `len` bytes of payload are taken, at `at`.
    pub(super) fn bare(at: usize, len: usize, protocol: u8) -> Layers {
        let (at, end) = (at as u32, (at + len) as u32);
        Layers {
            record: at,
            link: at,
            network: at,
            transport: at,
            payload: at,
            trailer: end,
            end,
            protocol,
        }
    }
}

/// Where the IP header in front of `transport` starts: version and addresses are the packet's.
fn network(frame: &[u8], transport: usize, packet: &Packet<'_>) -> Option<usize> {
    match (packet.source, packet.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let addresses = [source.octets(), destination.octets()].concat();
            // 60 bytes of header at most, and an authentication header of 1,032 behind it.
            (20..=60 + 1032).step_by(4).find_map(|back| {
                let at = transport.checked_sub(back)?;
                let is = frame.get(at)? >> 4 == 4 && frame.get(at + 12..at + 20)? == addresses;
                is.then_some(at)
            })
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let addresses = [source.octets(), destination.octets()].concat();
            (40..=transport).step_by(4).find_map(|back| {
                let at = transport.checked_sub(back)?;
                let is = frame.get(at)? >> 4 == 6 && frame.get(at + 8..at + 40)? == addresses;
                is.then_some(at)
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ottoscope_wire::build::{Ethernet, Gtpu, Ip, Segment};

    use super::*;

    fn of(frame: &[u8]) -> Layers {
        layers(LinkType::ETHERNET, frame).unwrap()
    }

    #[test]
    fn layers_are_where_they_were_written() {
        let v4 = Ip::new([10, 0, 0, 1].into(), [203, 0, 113, 5].into());
        let v6 = Ip::new("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap());
        let check = |ip: Ip, vlan: Option<u16>, tcp: bool, expected: [u32; 5]| {
            let mut frame = Vec::new();
            Ethernet { vlan, ..Ethernet::default() }.write(&mut frame, |out| {
                let carry = |out: &mut Vec<u8>| out.extend_from_slice(b"hello");
                if tcp {
                    ip.tcp(out, &Segment::default(), carry);
                } else {
                    ip.udp(out, 1, 2, carry);
                }
            });
            frame.extend_from_slice(&[0; 6]); // as short frames are padded
            let found = of(&frame);
            let places = [found.network, found.transport, found.payload, found.trailer, found.end];
            assert_eq!(places, expected);
        };
        check(v4, None, false, [14, 34, 42, 47, 53]);
        check(v4, Some(7), false, [18, 38, 46, 51, 57]);
        check(v6, None, false, [14, 54, 62, 67, 73]);
        check(v4, None, true, [14, 34, 54, 59, 65]);
    }

    #[test]
    fn outer_headers_count_as_link() {
        let outer = Ip::new([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let inner = Ip::new([10, 0, 0, 1].into(), [203, 0, 113, 5].into());
        let mut frame = Vec::new();
        Ethernet::default().write(&mut frame, |out| {
            outer.udp(out, Gtpu::PORT, Gtpu::PORT, |out| {
                Gtpu { teid: 7, qfi: None }
                    .write(out, |out| inner.udp(out, 1, 2, |out| out.push(9)));
            });
        });
        let found = of(&frame);
        assert_eq!((found.network, found.transport, found.payload), (50, 70, 78));
    }
}
