//! Laws over any frame: what is built is decoded, another parser agrees, and no bytes panic.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // helpers are tests, too

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use ottoscope_wire::build::{Ethernet, Gtpu, Ip, Segment};
use ottoscope_wire::{Decoded, LinkType, Packet, decode, decode_reassembled};
use proptest::collection::vec;
use proptest::prelude::*;

fn ip() -> impl Strategy<Value = Ip> {
    let v4 = (any::<[u8; 4]>(), any::<[u8; 4]>())
        .prop_map(|(a, b)| (IpAddr::V4(Ipv4Addr::from(a)), IpAddr::V4(Ipv4Addr::from(b))));
    let v6 = (any::<[u8; 16]>(), any::<[u8; 16]>())
        .prop_map(|(a, b)| (IpAddr::V6(Ipv6Addr::from(a)), IpAddr::V6(Ipv6Addr::from(b))));
    (prop_oneof![v4, v6], any::<u8>(), any::<u16>())
        .prop_map(|((source, destination), ttl, id)| Ip { source, destination, ttl, id })
}

/// Ports that are no tunnel's.
fn port() -> impl Strategy<Value = u16> {
    any::<u16>().prop_filter("a tunnel's", |port| !matches!(port, 2152 | 3544 | 4789 | 8472 | 6081))
}

fn ethernet() -> impl Strategy<Value = Ethernet> {
    (any::<[u8; 6]>(), any::<[u8; 6]>(), proptest::option::of(1u16..4096))
        .prop_map(|(source, destination, vlan)| Ethernet { source, destination, vlan })
}

fn packet(frame: &[u8]) -> Packet<'_> {
    match decode(LinkType::ETHERNET, frame) {
        Ok(Decoded::Packet(packet)) => packet,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn what_is_built_is_decoded(
        link in ethernet(), outer in ip(), inner in ip(), ports in (port(), port()),
        tunnel in proptest::option::of((any::<u32>(), proptest::option::of(0u8..64))),
        tcp in proptest::option::of((any::<u32>(), any::<u32>(), any::<u8>(), any::<u16>(), vec(any::<u8>(), 0..10))),
        payload in vec(any::<u8>(), 0..200), cut in 0usize..300,
    ) {
        let (source_port, destination_port) = ports;
        let conversation = |out: &mut Vec<u8>| match &tcp {
            None => inner.udp(out, source_port, destination_port, |out| out.extend_from_slice(&payload)),
            Some((seq, ack, flags, window, options)) => {
                let options = [options.as_slice(), &[0; 4]].concat();
                let options = &options[..options.len() & !3];
                let (seq, ack, flags, window) = (*seq, *ack, *flags, *window);
                let segment = Segment { source_port, destination_port, seq, ack, flags, window, options };
                inner.tcp(out, &segment, |out| out.extend_from_slice(&payload));
            }
        };
        let mut frame = Vec::new();
        link.write(&mut frame, |out| match tunnel {
            None => conversation(out),
            Some((teid, qfi)) => {
                outer.udp(out, Gtpu::PORT, Gtpu::PORT, |out| Gtpu { teid, qfi }.write(out, conversation));
            }
        });
        let found = packet(&frame);
        prop_assert_eq!((found.source, found.destination, found.ttl), (inner.source, inner.destination, inner.ttl));
        prop_assert_eq!((found.source_port, found.destination_port), ports);
        prop_assert_eq!((found.payload, found.payload_len as usize), (payload.as_slice(), payload.len()));
        prop_assert_eq!(found.vlan, link.vlan);
        prop_assert_eq!(found.encapsulation.map(|e| (e.id, e.qfi)), tunnel.map(|(teid, qfi)| (Some(teid), qfi)));
        if let Some((seq, ack, flags, window, _)) = &tcp {
            prop_assert_eq!((found.tcp.seq, found.tcp.ack), (*seq, *ack));
            prop_assert_eq!((found.tcp.flags, found.tcp.window), (*flags, *window));
        }
        // However it is cut, there is no panic, and as long as the ports are there and no tunnel
        // hides them, it is the same conversation.
        let cut = &frame[..cut.min(frame.len())];
        if let Ok(Decoded::Packet(less)) = decode(LinkType::ETHERNET, cut)
            && tunnel.is_none()
        {
            prop_assert_eq!((less.source, less.source_port), (found.source, found.source_port));
            prop_assert_eq!(less.payload_len >= found.payload_len, true);
            prop_assert!(payload.starts_with(less.payload));
        }
    }

    #[test]
    fn fragments_together_are_the_datagram(ip in ip(), payload in vec(any::<u8>(), 1..300), size in 8usize..120) {
        let mut whole = Vec::new();
        ip.udp(&mut whole, 5, 6, |out| out.extend_from_slice(&payload));
        let header = if ip.source.is_ipv4() { 20 } else { 40 };
        let mut together = Vec::new();
        let mut head = None;
        let pieces = ip.fragments(17, &whole[header..], size);
        let count = pieces.len();
        for (index, piece) in pieces.iter().enumerate() {
            match decode(LinkType::RAW, piece) {
                Ok(Decoded::Fragment(fragment)) => {
                    prop_assert_eq!(fragment.offset as usize, together.len());
                    prop_assert_eq!(fragment.more, index + 1 < count);
                    prop_assert_eq!(fragment.payload_len as usize, fragment.payload.len());
                    together.extend_from_slice(fragment.payload);
                    head = Some(fragment.head);
                }
                Ok(Decoded::Packet(packet)) => {
                    prop_assert_eq!((count, packet.payload), (1, payload.as_slice()));
                }
                other => panic!("{other:?}"),
            }
        }
        if let Some(head) = head {
            prop_assert_eq!(head.id, u32::from(ip.id));
            let Ok(Decoded::Packet(packet)) =
                decode_reassembled(&head, &together, together.len() as u32) else { panic!() };
            prop_assert_eq!((packet.source_port, packet.payload), (5, payload.as_slice()));
        }
    }

    #[test]
    fn no_bytes_panic(link in prop_oneof![any::<u32>(), 0u32..300], bytes in vec(any::<u8>(), 0..400)) {
        let _ = decode(LinkType(link), &bytes);
    }

    /// Frames that are almost right reach deeper than noise does.
    #[test]
    fn no_damage_panics(
        outer in ip(), inner in ip(), port in any::<u16>(),
        kind in prop_oneof![any::<u8>(), prop::sample::select(vec![4u8, 6, 17, 41, 44, 47, 51, 97, 132, 137])],
        tunnel_port in prop::sample::select(vec![2152u16, 3544, 4789, 6081]),
        head in vec(any::<u8>(), 0..24), damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut frame = Vec::new();
        Ethernet::default().write(&mut frame, |out| outer.udp(out, port, tunnel_port, |out| {
            out.extend_from_slice(&head);
            inner.write(out, kind, |out| inner.udp(out, port, 53, |out| out.extend_from_slice(&head)));
        }));
        for (index, value) in damage {
            let index = index.index(frame.len());
            frame[index] = value;
        }
        frame.truncate(cut.index(frame.len() + 1));
        for link in [1, 101, 0, 105, 113, 127, 276] {
            let _ = decode(LinkType(link), &frame);
        }
    }

    #[test]
    fn another_parser_agrees(
        link in ethernet(), ip in ip(), kind in prop::sample::select(vec![6u8, 17]),
        bytes in vec(any::<u8>(), 20..120), damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let mut frame = Vec::new();
        link.write(&mut frame, |out| ip.write(out, kind, |out| out.extend_from_slice(&bytes)));
        for (index, value) in damage {
            let index = index.index(frame.len());
            frame[index] = value;
        }
        let Ok(Decoded::Packet(ours)) = decode(LinkType::ETHERNET, &frame) else { return Ok(()) };
        if ours.encapsulation.is_some() { return Ok(()) }
        let Ok(theirs) = LaxSlicedPacket::from_ethernet(&frame) else { return Ok(()) };
        if theirs.stop_err.is_some() { return Ok(()) }
        let (source, destination) = match &theirs.net {
            Some(LaxNetSlice::Ipv4(v4)) => (
                IpAddr::V4(v4.header().source_addr()), IpAddr::V4(v4.header().destination_addr()),
            ),
            Some(LaxNetSlice::Ipv6(v6)) => (
                IpAddr::V6(v6.header().source_addr()), IpAddr::V6(v6.header().destination_addr()),
            ),
            _ => return Ok(()),
        };
        prop_assert_eq!((ours.source, ours.destination), (source, destination));
        match &theirs.transport {
            Some(TransportSlice::Tcp(tcp)) => {
                prop_assert_eq!((ours.source_port, ours.destination_port), (tcp.source_port(), tcp.destination_port()));
                prop_assert_eq!((ours.tcp.seq, ours.tcp.ack), (tcp.sequence_number(), tcp.acknowledgment_number()));
                prop_assert_eq!((ours.tcp.flags, ours.tcp.window), (tcp.slice()[13], tcp.window_size()));
                prop_assert_eq!((ours.tcp.options, ours.payload), (tcp.options(), tcp.payload()));
            }
            Some(TransportSlice::Udp(udp)) => {
                prop_assert_eq!((ours.source_port, ours.destination_port), (udp.source_port(), udp.destination_port()));
                prop_assert_eq!(ours.payload, udp.payload());
            }
            _ => {}
        }
    }
}
