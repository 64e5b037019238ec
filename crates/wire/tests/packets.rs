//! Frames down to their innermost conversation: hand-made ones of every layer, laws over any.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // helpers are tests, too

use std::net::IpAddr;

use ottoscope_wire::build::{Ethernet, Gtpu, Ip, Segment};
use ottoscope_wire::{Decoded, Layer, LinkType, Packet, Tcp, WireError, decode};

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn ip(source: &str, destination: &str) -> Ip {
    Ip::new(address(source), address(destination))
}

fn inner() -> Ip {
    ip("10.0.0.1", "203.0.113.5")
}

/// A DNS-like datagram of the inner conversation.
fn datagram(out: &mut Vec<u8>) {
    inner().udp(out, 40000, 53, |out| out.extend_from_slice(b"hello"));
}

fn bytes(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

fn packet(link: LinkType, frame: &[u8]) -> Packet<'_> {
    match decode(link, frame) {
        Ok(Decoded::Packet(packet)) => packet,
        other => panic!("{other:?} of {frame:02x?}"),
    }
}

/// The frame holds the datagram; answers `kind id` of the tunnel around it, or nothing.
#[track_caller]
fn check(link: LinkType, frame: &[u8], tunnel: &str) {
    let packet = packet(link, frame);
    assert_eq!((packet.source, packet.destination), (inner().source, inner().destination));
    assert_eq!((packet.source_port, packet.destination_port, packet.ip_protocol), (40000, 53, 17));
    assert_eq!((packet.payload, packet.payload_len), (b"hello".as_slice(), 5));
    let found = packet.encapsulation.map_or(String::new(), |tunnel| {
        format!("{} {}", tunnel.kind, tunnel.id.map_or(String::new(), |id| id.to_string()))
    });
    assert_eq!(found.trim(), tunnel);
}

fn ether(kind: u16, before: &[u8]) -> Vec<u8> {
    bytes(|out| {
        Ethernet::default().write_as(out, kind, |out| {
            out.extend_from_slice(before);
            datagram(out);
        });
    })
}

#[test]
fn links_lead_to_the_datagram() {
    let with = |before: &[u8]| {
        bytes(|out| {
            out.extend_from_slice(before);
            datagram(out);
        })
    };
    check(LinkType::ETHERNET, &ether(0x0800, &[]), "");
    check(LinkType::RAW, &with(&[]), "");
    check(LinkType(12), &with(&[]), "");
    check(LinkType::IPV4, &with(&[]), "");
    check(LinkType::NULL, &with(&[2, 0, 0, 0]), "");
    check(LinkType::NULL, &with(&[0, 0, 0, 2]), "");
    check(LinkType::LOOP, &with(&[0, 0, 0, 2]), "");
    check(LinkType::PPP, &with(&[0xff, 0x03, 0x00, 0x21]), "");
    check(LinkType::PPP, &with(&[0x21]), "");
    check(LinkType::PPP_HDLC, &with(&[0x0f, 0x00, 0x08, 0x00]), "");
    check(LinkType::PPP_WITH_DIRECTION, &with(&[0x01, 0xff, 0x03, 0x00, 0x21]), "");
    check(LinkType::CISCO_HDLC, &with(&[0x0f, 0x00, 0x08, 0x00]), "");
    check(LinkType::LINUX_SLL, &with(&[0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 8, 0]), "");
    let cooked = [8, 0, 0, 0, 0, 0, 0, 2, 0xff, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    check(LinkType::LINUX_SLL2, &with(&cooked), "");
    let snap = [0xaa, 0xaa, 0x03, 0, 0, 0, 0x08, 0x00];
    check(LinkType::ETHERNET, &ether(8 + 33, &snap), "");
    let mut wireless = vec![0x88, 0x02];
    wireless.resize(26, 0);
    wireless.extend_from_slice(&snap);
    check(LinkType::IEEE802_11, &with(&wireless), "");
    // Radiotap with flags that say that the header is padded to 28 bytes.
    let mut padded = vec![0, 0, 9, 0, 0x02, 0, 0, 0, 0x20, 0x88, 0x02];
    padded.resize(9 + 28, 0);
    padded.extend_from_slice(&snap);
    check(LinkType::IEEE802_11_RADIOTAP, &with(&padded), "");
}

#[test]
fn tags_and_labels_are_passed() {
    check(LinkType::ETHERNET, &ether(0x8100, &[0, 77, 8, 0]), "");
    let double = ether(0x88a8, &[0x20, 100, 0x81, 0, 0, 77, 8, 0]);
    check(LinkType::ETHERNET, &double, "");
    assert_eq!(packet(LinkType::ETHERNET, &double).vlan, Some(100), "the outermost");
    check(LinkType::ETHERNET, &ether(0x8847, &[0, 1, 0, 64, 0, 2, 1, 64]), "");
    check(LinkType::ETHERNET, &ether(0x8864, &[0x11, 0, 0, 1, 0, 35, 0x00, 0x21]), "");
    // A pseudowire, with and without its control word.
    let frame = ether(0x0800, &[]);
    let label = [0, 2, 1, 64];
    let plain = bytes(|out| {
        Ethernet::default().write_as(out, 0x8847, |out| {
            out.extend_from_slice(&label);
            out.extend_from_slice(&frame);
        });
    });
    check(LinkType::ETHERNET, &plain, "");
    let controlled = bytes(|out| {
        Ethernet::default().write_as(out, 0x8847, |out| {
            out.extend_from_slice(&label);
            out.extend_from_slice(&[0; 4]);
            out.extend_from_slice(&frame);
        });
    });
    check(LinkType::ETHERNET, &controlled, "");
}

#[test]
fn tunnels_are_followed_and_told() {
    let outer = ip("192.0.2.1", "192.0.2.2");
    let outer6 = ip("2001:db8::1", "2001:db8::2");
    let raw = LinkType::RAW;
    let frame = ether(0x0800, &[]);
    let over = |outer: Ip, protocol: u8, before: &[u8], frame: Option<&[u8]>| {
        bytes(|out| {
            outer.write(out, protocol, |out| {
                out.extend_from_slice(before);
                match frame {
                    Some(frame) => out.extend_from_slice(frame),
                    None => datagram(out),
                }
            });
        })
    };
    check(raw, &over(outer, 4, &[], None), "ip-in-ip");
    check(raw, &over(outer6, 4, &[], None), "4in6");
    check(raw, &over(outer, 47, &[0, 0, 8, 0], None), "gre");
    check(
        raw,
        &over(outer, 47, &[0xb0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1], None),
        "gre 9",
    );
    check(raw, &over(outer, 47, &[0, 0, 0x65, 0x58], Some(&frame)), "gre");
    let pptp = [0x30, 0x81, 0x88, 0x0b, 0, 35, 0, 7, 0, 0, 0, 1, 0, 0, 0, 1, 0xff, 0x03, 0, 0x21];
    check(raw, &over(outer, 47, &pptp, None), "pptp 7");
    let erspan = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 5, 0, 0, 0, 0];
    check(raw, &over(outer, 47, &erspan, Some(&frame)), "erspan 5");
    check(raw, &over(outer, 97, &[0x30, 0], Some(&frame)), "etherip");
    check(raw, &over(outer, 137, &[0, 0x10, 1, 64], None), "mpls-in-ip 256");
    // An authentication header of 24 bytes is no tunnel.
    let ah = [17, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let udp = bytes(datagram).split_off(20);
    check(raw, &over(inner(), 51, &ah, Some(&udp)), "");

    let over_udp = |port: u16, before: &[u8], inner: &[u8]| {
        bytes(|out| {
            outer.udp(out, 5000, port, |out| {
                out.extend_from_slice(before);
                out.extend_from_slice(inner);
            });
        })
    };
    check(raw, &over_udp(4789, &[8, 0, 0, 0, 0, 0, 42, 0], &frame), "vxlan 42");
    check(raw, &over_udp(6081, &[1, 0, 0x65, 0x58, 0, 0, 43, 0, 1, 2, 3, 4], &frame), "geneve 43");
    let ip6 = bytes(|out| ip("2001:db8::3", "2001:db8::4").udp(out, 1, 2, |_| ()));
    let teredo = over_udp(3544, &[0, 0, 1, 2, 3, 4, 5, 6], &ip6);
    assert_eq!(packet(raw, &teredo).encapsulation.map(|e| e.kind), Some("teredo"));
    let six = over(outer, 41, &[], Some(&ip6));
    assert_eq!(packet(raw, &six).encapsulation.map(|e| e.kind), Some("6in4"));
}

#[test]
fn gtp_u_tells_teid_and_flow() {
    let outer = ip("192.0.2.1", "192.0.2.2");
    let tunnel = Gtpu { teid: 0xdead_beef, qfi: Some(9) };
    let frame = bytes(|out| outer.udp(out, 2152, 2152, |out| tunnel.write(out, datagram)));
    check(LinkType::RAW, &frame, "gtp-u 3735928559");
    let found = packet(LinkType::RAW, &frame).encapsulation.unwrap();
    assert_eq!(
        (found.source, found.destination, found.qfi),
        (outer.source, outer.destination, Some(9))
    );

    // A tunnel of the subscriber inside does not hide the operator's.
    let nested = bytes(|out| {
        outer.udp(out, 2152, 2152, |out| {
            tunnel.write(out, |out| ip("10.1.1.1", "10.1.1.2").write(out, 4, datagram));
        });
    });
    check(LinkType::RAW, &nested, "gtp-u 3735928559");

    // Sequence number without extension.
    let optional = bytes(|out| {
        outer.udp(out, 2152, 2152, |out| {
            out.extend_from_slice(&[0x32, 0xff, 0, 45, 0, 0, 0, 1, 0, 7, 0, 0]);
            datagram(out);
        });
    });
    check(LinkType::RAW, &optional, "gtp-u 1");

    // Not a G-PDU, and a G-PDU with something else than IP in it: the outer conversation.
    for payload in
        [[0x32, 0x01, 0, 4, 0, 0, 0, 0, 0, 7, 0, 0], [0x30, 0xff, 0, 4, 0, 0, 0, 1, 1, 2, 3, 4]]
    {
        let echo = bytes(|out| outer.udp(out, 2152, 2152, |out| out.extend_from_slice(&payload)));
        let packet = packet(LinkType::RAW, &echo);
        assert_eq!((packet.destination_port, packet.payload), (2152, payload.as_slice()));
        assert_eq!(packet.encapsulation, None);
    }
}

#[test]
fn nesting_ends() {
    let mut frame = bytes(datagram);
    for _ in 0..1000 {
        let deeper = bytes(|out| inner().write(out, 4, |out| out.extend_from_slice(&frame)));
        frame = deeper;
    }
    assert_eq!(packet(LinkType::RAW, &frame).ip_protocol, 4, "what was found until then");
}

#[test]
fn extension_headers_are_passed() {
    let six = ip("2001:db8::1", "2001:db8::2");
    let frame = bytes(|out| {
        six.write(out, 0, |out| {
            out.extend_from_slice(&[60, 0, 1, 4, 0, 0, 0, 0]); // hop by hop
            out.extend_from_slice(&[44, 0, 1, 4, 0, 0, 0, 0]); // destination options
            out.extend_from_slice(&[17, 0, 0, 0, 0, 0, 0, 1]); // the only fragment
            out.extend_from_slice(&[0x9c, 0x40, 0, 53, 0, 9, 0, 0, b'x']);
        });
    });
    let packet = packet(LinkType::RAW, &frame);
    assert_eq!(
        (packet.source_port, packet.destination_port, packet.payload),
        (40000, 53, b"x".as_slice())
    );
    assert_eq!(packet.source, six.source);
}

#[test]
fn lengths_come_from_ip_and_not_from_the_frame() {
    // Ethernet pads to 60 bytes.
    let mut frame = ether(0x0800, &[]);
    frame.resize(60, 0);
    check(LinkType::ETHERNET, &frame, "");
    // The snapshot length cut everything behind the ports.
    let cut = &frame[..14 + 20 + 4];
    let found = packet(LinkType::ETHERNET, cut);
    assert_eq!((found.destination_port, found.payload, found.payload_len), (53, b"".as_slice(), 5));
    // A segment that the network card is still to cut has no length.
    let segment = Segment { source_port: 1, destination_port: 2, seq: 7, ..Segment::default() };
    let huge = bytes(|out| inner().tcp(out, &segment, |out| out.resize(out.len() + 70_000, 0)));
    let found = packet(LinkType::RAW, &huge);
    assert_eq!((found.payload_len, found.payload.len(), found.tcp.seq), (70_000, 70_000, 7));
}

#[test]
fn what_is_broken_is_said_where() {
    let layer = |link, frame: &[u8]| decode(link, frame).map(|_| ()).unwrap_err();
    let ethernet = ether(0x0800, &[]);
    let at = |layer: Layer, offset: usize, need: usize, have: usize| {
        WireError::truncated(layer, offset, need, have)
    };
    assert_eq!(layer(LinkType::ETHERNET, &ethernet[..13]), at(Layer::Link, 0, 14, 13));
    assert_eq!(layer(LinkType::ETHERNET, &ethernet[..14]), at(Layer::Ipv4, 14, 20, 0));
    assert_eq!(layer(LinkType::ETHERNET, &ethernet[..30]), at(Layer::Ipv4, 14, 20, 16));
    assert_eq!(layer(LinkType::ETHERNET, &ethernet[..36]), at(Layer::Udp, 34, 4, 2));
    let mut short = bytes(datagram);
    short[0] = 0x44;
    assert_eq!(layer(LinkType::RAW, &short).layer, Layer::Ipv4);
    let segment = Segment::default();
    let mut bogus = bytes(|out| inner().tcp(out, &segment, |_| ()));
    bogus[32] = 0x40;
    assert_eq!(
        (layer(LinkType::RAW, &bogus).layer, layer(LinkType::RAW, &bogus).offset),
        (Layer::Tcp, 32)
    );
    assert_eq!(decode(LinkType::ETHERNET, &ether(0x0806, &[])), Ok(Decoded::NotIp(0x0806)));
    assert_eq!(decode(LinkType(147), &ethernet), Ok(Decoded::NotIp(0)));
    assert!(!LinkType(147).is_read() && LinkType::ETHERNET.is_read());
}

#[test]
fn ports_of_sctp_and_none_of_icmp() {
    let sctp = bytes(|out| {
        inner().write(out, 132, |out| {
            out.extend_from_slice(&[0x0b, 0x59, 0x0b, 0x5a, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        });
    });
    let found = packet(LinkType::RAW, &sctp);
    assert_eq!((found.source_port, found.destination_port, found.payload_len), (2905, 2906, 1));
    let icmp =
        bytes(|out| inner().write(out, 1, |out| out.extend_from_slice(&[8, 0, 0, 0, 0, 1, 0, 1])));
    let found = packet(LinkType::RAW, &icmp);
    assert_eq!((found.source_port, found.payload_len, found.tcp), (0, 8, Tcp::default()));
}
