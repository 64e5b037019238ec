//! Gives a frame's hosts other names: addresses and ports in every header, tunnels and quotes
//! included, with the checksums that follow.
//!
//! A checksum is corrected by what changed under it (RFC 1624), so that a right one stays right
//! and a wrong or unfinished one as wrong as it was, also where the capture cut the packet.
//! Ports that tell a tunnel stay: without them nobody would look inside. What applications write
//! of addresses stays, and so does what is below IP but Ethernet, ARP and cooked captures.

use crate::checksum::Checksum;
use crate::link::LinkType;
use crate::packet::{MAX_DEPTH, be16};
use crate::tunnel;

/// Which other name each has. One to one, or hosts would become one.
pub trait Names {
    /// For an IPv4 address.
    fn v4(&self, address: [u8; 4]) -> [u8; 4];
    /// For an IPv6 address.
    fn v6(&self, address: [u8; 16]) -> [u8; 16];
    /// For a port that is no tunnel's; nor is what it becomes, see [`is_tunnel`].
    fn port(&self, port: u16) -> u16;
    /// For an Ethernet address.
    fn ethernet(&self, address: [u8; 6]) -> [u8; 6];
}

/// Whether the port tells a tunnel, and must stay.
pub fn is_tunnel(port: u16) -> bool {
    tunnel::port(port, 0)
}

/// Rewrites a frame in place. Returns the headers of IP that were rewritten: 0 where none was
/// found.
pub fn rewrite(link: LinkType, frame: &mut [u8], names: &dyn Names) -> u32 {
    let mut walk = Walk { names, headers: 0, depth: 0 };
    let end = frame.len();
    match link {
        LinkType::ETHERNET => walk.ethernet(frame, 0, end),
        LinkType(12 | 14) | LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 => {
            walk.ip(frame, 0, end);
        }
        LinkType::NULL | LinkType::LOOP => walk.ip(frame, 4, end),
        LinkType::LINUX_SLL => {
            if be16(frame, 4) == Some(6) {
                walk.hardware(frame, 6);
            }
            walk.follow(frame, be16(frame, 14), 16, end);
        }
        LinkType::LINUX_SLL2 => {
            if frame.get(11) == Some(&6) {
                walk.hardware(frame, 12);
            }
            walk.follow(frame, be16(frame, 0), 20, end);
        }
        LinkType::PPP | LinkType::PPP_HDLC => walk.ppp(frame, 0, end),
        LinkType::PPP_WITH_DIRECTION => walk.ppp(frame, 1, end),
        LinkType::PPP_ETHER => walk.ppp(frame, 6, end),
        LinkType::CISCO_HDLC => walk.follow(frame, be16(frame, 2), 4, end),
        LinkType::IEEE802_11 => walk.wireless(frame, 0, end),
        LinkType::IEEE802_11_RADIOTAP => {
            let length = be16(frame, 2).map_or(end, |length| usize::from(length.swap_bytes()));
            walk.wireless(frame, length, end);
        }
        _ => {}
    }
    walk.headers
}

struct Walk<'a> {
    names: &'a dyn Names,
    headers: u32,
    /// Headers followed: a frame is one chain of them.
    depth: u8,
}

/// Headers followed in a frame. A tunnel takes two of them, link and network.
const DEEPEST: u8 = 2 * MAX_DEPTH;

/// Corrects the checksum at `at` by the sums of what it covers, itself included, `before` and
/// now. `zero_is_none`: 0 means that there is no checksum.
fn correct(bytes: &mut [u8], at: usize, [before, after]: [Checksum; 2], zero_is_none: bool) {
    let Some(old) = be16(bytes, at) else { return };
    let (before, after) = (before.finish(), after.finish());
    if before == after || (zero_is_none && old == 0) {
        return;
    }
    // ~new = ~old - before + after, in the arithmetic of which `finish` gives the complement.
    let sum = [!old, before, !after];
    let sum = sum.iter().fold(Checksum::default(), |sum, word| sum.bytes(&word.to_be_bytes()));
    let new = match sum.finish() {
        0 if zero_is_none => 0xffff,
        new => new,
    };
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&new.to_be_bytes());
    }
}

/// `bytes[from..to]` as far as it is there.
fn part(bytes: &[u8], from: usize, to: usize) -> &[u8] {
    bytes.get(from..to.min(bytes.len())).unwrap_or_default()
}

impl Walk<'_> {
    /// Whether there may be another header.
    fn enter(&mut self) -> bool {
        self.depth = self.depth.saturating_add(1);
        self.depth <= DEEPEST
    }

    fn hardware(&self, bytes: &mut [u8], at: usize) {
        if let Some(place) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<6>()) {
            *place = self.names.ethernet(*place);
        }
    }

    fn ethernet(&mut self, bytes: &mut [u8], at: usize, end: usize) {
        self.hardware(bytes, at);
        self.hardware(bytes, at + 6);
        self.follow(bytes, be16(bytes, at + 12), at + 14, end);
    }

    /// What an EtherType announces.
    fn follow(&mut self, bytes: &mut [u8], kind: Option<u16>, mut at: usize, end: usize) {
        let Some(mut kind) = kind.filter(|_| self.enter()) else { return };
        for _ in 0..16 {
            let skip = match kind {
                0x8100 | 0x88a8 | 0x9100 | 0x9200 | 0x9300 => 4,
                0x8926 => 6,
                _ => break,
            };
            let Some(next) = be16(bytes, at + skip - 2) else { return };
            (kind, at) = (next, at + skip);
        }
        match kind {
            0x0800 | 0x86dd => self.ip(bytes, at, end),
            0x0806 => self.arp(bytes, at),
            0x6558 => self.ethernet(bytes, at, end),
            0x880b => self.ppp(bytes, at, end),
            0x8864 => self.ppp(bytes, at + 6, end),
            0x88e7 => self.ethernet(bytes, at + 4, end),
            0x8847 | 0x8848 => self.mpls(bytes, at, end),
            0..0x0600 => self.llc(bytes, at, end),
            _ => {}
        }
    }

    fn llc(&mut self, bytes: &mut [u8], at: usize, end: usize) {
        match part(bytes, at, end) {
            [0xaa, 0xaa, 3, 0, 0, 0 | 0xf8, high, low, ..] => {
                let kind = u16::from_be_bytes([*high, *low]);
                self.follow(bytes, Some(kind), at + 8, end);
            }
            [6, 6, 3, ..] => self.ip(bytes, at + 3, end),
            _ => {}
        }
    }

    fn wireless(&mut self, bytes: &mut [u8], at: usize, end: usize) {
        let Some([control, flags]) = bytes.get(at..).and_then(|b| b.first_chunk::<2>()) else {
            return;
        };
        let clear = control & 0x4c == 0x08 && flags & 0x40 == 0;
        let four = flags & 0x03 == 0x03;
        let quality = control & 0x80 != 0;
        for place in [4, 10, 16] {
            self.hardware(bytes, at + place);
        }
        if four {
            self.hardware(bytes, at + 24);
        }
        if clear {
            let header = if four { 30 } else { 24 } + if quality { 2 } else { 0 };
            self.llc(bytes, at + header, end);
        }
    }

    fn ppp(&mut self, bytes: &mut [u8], mut at: usize, end: usize) {
        if let [0xff, 3, ..] = part(bytes, at, end) {
            at += 2;
        }
        let (protocol, len) = match part(bytes, at, end) {
            [odd, ..] if odd & 1 == 1 => (u16::from(*odd), 1),
            [high, low, ..] => (u16::from_be_bytes([*high, *low]), 2),
            _ => return,
        };
        match protocol {
            0x0021 | 0x0057 => self.ip(bytes, at + len, end),
            0x0281 | 0x0283 => self.mpls(bytes, at + len, end),
            _ => {}
        }
    }

    fn mpls(&mut self, bytes: &mut [u8], mut at: usize, end: usize) {
        for _ in 0..16 {
            let Some(bottom) = bytes.get(at + 2) else { return };
            at += 4;
            if bottom & 1 == 1 {
                break;
            }
        }
        match bytes.get(at).map(|first| first >> 4) {
            Some(4 | 6) => self.ip(bytes, at, end),
            Some(0) => self.ethernet(bytes, at + 4, end),
            Some(1) | None => {}
            _ => self.ethernet(bytes, at, end),
        }
    }

    /// RFC 826, for Ethernet and IPv4.
    fn arp(&mut self, bytes: &mut [u8], at: usize) {
        if part(bytes, at, at + 6) != [0, 1, 8, 0, 6, 4] {
            return;
        }
        for place in [8, 18] {
            // Who is asked for has no address yet.
            if part(bytes, at + place, at + place + 6) != [0; 6] {
                self.hardware(bytes, at + place);
            }
            self.v4_at(bytes, at + place + 6);
        }
    }

    fn v4_at(&self, bytes: &mut [u8], at: usize) {
        if let Some(place) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<4>()) {
            *place = self.names.v4(*place);
        }
    }

    fn v6_at(&self, bytes: &mut [u8], at: usize) {
        if let Some(place) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<16>()) {
            *place = self.names.v6(*place);
        }
    }

    fn ip(&mut self, bytes: &mut [u8], at: usize, end: usize) {
        match bytes.get(at).map(|first| first >> 4) {
            Some(4) if self.enter() => self.v4(bytes, at, end),
            Some(6) if self.enter() => self.v6(bytes, at, end),
            _ => {}
        }
    }

    fn v4(&mut self, bytes: &mut [u8], at: usize, end: usize) {
        let header = usize::from(bytes[at] & 0x0f) * 4;
        if header < 20 || at + 20 > bytes.len() {
            return;
        }
        let total = be16(bytes, at + 2).map_or(0, usize::from);
        let end = if total < header { end } else { end.min(at + total) };
        let first = be16(bytes, at + 6).map(|field| field & 0x1fff) == Some(0);
        let (mut protocol, mut body) = (bytes[at + 9], at + header);
        // Authentication headers (RFC 4302) cover the addresses, and nobody can sign them anew.
        while let (51, true, Some([next, length])) =
            (protocol, first, bytes.get(body..).and_then(|b| b.first_chunk::<2>()))
        {
            (protocol, body) = (*next, body + (usize::from(*length) + 2) * 4);
        }
        let before = Checksum::default().bytes(part(bytes, at, at + header));
        // ICMP's checksum does not cover addresses.
        let pseudo = |bytes: &[u8]| match protocol {
            1 => Checksum::default(),
            _ => Checksum::default().bytes(part(bytes, at + 12, at + 20)),
        };
        if first {
            let sum = pseudo(bytes).bytes(part(bytes, body, end));
            self.carried(bytes, protocol, body, end);
            self.v4_at(bytes, at + 12);
            self.v4_at(bytes, at + 16);
            let after = pseudo(bytes).bytes(part(bytes, body, end));
            transport(bytes, protocol, body, end, [sum, after]);
        } else {
            self.v4_at(bytes, at + 12);
            self.v4_at(bytes, at + 16);
        }
        let after = Checksum::default().bytes(part(bytes, at, at + header));
        correct(bytes, at + 10, [before, after], false);
        self.headers += 1;
    }

    fn v6(&mut self, bytes: &mut [u8], at: usize, end: usize) {
        if at + 40 > bytes.len() {
            return;
        }
        let end = match be16(bytes, at + 4) {
            Some(0) | None => end,
            Some(length) => end.min(at + 40 + usize::from(length)),
        };
        let mut protocol = bytes[at + 6];
        let mut body = at + 40;
        let mut first = true;
        for _ in 0..16 {
            let Some([next, length]) = bytes.get(body..).and_then(|b| b.first_chunk::<2>()) else {
                break;
            };
            let (next, length) = (*next, usize::from(*length));
            match protocol {
                0 | 43 | 60 | 135 | 139 | 140 => body += (length + 1) * 8,
                51 => body += (length + 2) * 4,
                44 => {
                    first = be16(bytes, body + 2).is_some_and(|field| field & 0xfff8 == 0);
                    body += 8;
                    if !first {
                        break;
                    }
                }
                _ => break,
            }
            protocol = next;
        }
        let sum = Checksum::default().bytes(part(bytes, at + 8, at + 40));
        let sum = sum.bytes(part(bytes, body, end));
        if first {
            self.carried(bytes, protocol, body, end);
        }
        self.v6_at(bytes, at + 8);
        self.v6_at(bytes, at + 24);
        if first {
            let after = Checksum::default().bytes(part(bytes, at + 8, at + 40));
            let after = after.bytes(part(bytes, body, end));
            transport(bytes, protocol, body, end, [sum, after]);
        }
        self.headers += 1;
    }

    /// Ports, and what is inside; the transport's own checksum comes later.
    fn carried(&mut self, bytes: &mut [u8], protocol: u8, at: usize, end: usize) {
        match protocol {
            6 => self.ports(bytes, at, end),
            17 => self.udp(bytes, at, end),
            132 => {
                let whole = part(bytes, at, end);
                let right = whole.len() >= 12 && sctp(whole) == whole[8..12];
                self.ports(bytes, at, end);
                if right {
                    let sum = sctp(part(bytes, at, end));
                    bytes[at + 8..at + 12].copy_from_slice(&sum);
                }
            }
            // Errors quote the packet that they are of (RFC 792, RFC 4443).
            1 if matches!(bytes.get(at), Some(3 | 4 | 5 | 11 | 12)) => self.ip(bytes, at + 8, end),
            58 if matches!(bytes.get(at), Some(1..=4)) => self.ip(bytes, at + 8, end),
            // Who is looked for or told of (RFC 4861, 4.3 and 4.4).
            58 if matches!(bytes.get(at), Some(135 | 136)) => self.v6_at(bytes, at + 8),
            4 | 41 => self.ip(bytes, at, end),
            47 => self.gre(bytes, at, end),
            97 => self.ethernet(bytes, at + 2, end),
            137 => self.mpls(bytes, at, end),
            _ => {}
        }
    }

    fn ports(&self, bytes: &mut [u8], at: usize, end: usize) {
        if at + 4 > end.min(bytes.len()) {
            return;
        }
        for place in [at, at + 2] {
            let port = be16(bytes, place).unwrap_or_default();
            if port != 0 && !is_tunnel(port) {
                bytes[place..place + 2].copy_from_slice(&self.names.port(port).to_be_bytes());
            }
        }
    }

    fn udp(&mut self, bytes: &mut [u8], at: usize, end: usize) {
        let (Some(source), Some(destination)) = (be16(bytes, at), be16(bytes, at + 2)) else {
            return;
        };
        self.ports(bytes, at, end);
        let body = at + 8;
        let is = |port| source == port || destination == port;
        if is(2152) {
            let header = bytes.get(body..).and_then(crate::gtpu::Header::parse);
            if let Some(header) = header {
                self.inner(bytes, body + header.len, end);
            }
        } else if matches!(destination, 4789 | 8472) {
            if bytes.get(body).is_some_and(|flags| flags & 0x08 != 0) {
                self.ethernet(bytes, body + 8, end);
            }
        } else if destination == 6081 {
            if let Some(first) = bytes.get(body).filter(|first| **first >> 6 == 0) {
                let options = usize::from(first & 0x3f) * 4;
                self.follow(bytes, be16(bytes, body + 2), body + 8 + options, end);
            }
        } else if is(3544) {
            let mut here = body;
            if be16(bytes, here) == Some(1)
                && let Some([a, b]) = bytes.get(here + 2..).and_then(|b| b.first_chunk::<2>())
            {
                here += 13 + usize::from(*a) + usize::from(*b);
            }
            if be16(bytes, here) == Some(0) {
                here += 8;
            }
            self.inner(bytes, here, end);
        }
    }

    /// IP in a tunnel that may as well hold something else.
    fn inner(&mut self, bytes: &mut [u8], at: usize, end: usize) {
        if crate::ip::looks_like_ip(part(bytes, 0, end), at) {
            self.ip(bytes, at, end);
        }
    }

    /// RFC 2784, RFC 2890; PPTP's version, RFC 2637.
    fn gre(&mut self, bytes: &mut [u8], at: usize, end: usize) {
        let (Some(flags), Some(kind)) = (be16(bytes, at), be16(bytes, at + 2)) else { return };
        let has = |bit: u16, len: usize| if flags & bit != 0 { len } else { 0 };
        if flags & 7 == 1 {
            self.ppp(bytes, at + 8 + has(0x1000, 4) + has(0x0080, 4), end);
            return;
        }
        if flags & 7 != 0 || flags & 0x4000 != 0 {
            return;
        }
        let body = at + 4 + has(0x8000, 4) + has(0x2000, 4) + has(0x1000, 4);
        let before = Checksum::default().bytes(part(bytes, at, end));
        match kind {
            0x88be => self.ethernet(bytes, body + has(0x1000, 8), end),
            0x22eb => {
                let sub = be16(bytes, body + 10).is_some_and(|field| field & 1 != 0);
                self.ethernet(bytes, body + if sub { 20 } else { 12 }, end);
            }
            0x883e if crate::ip::looks_like_ip(bytes, body) => self.ip(bytes, body, end),
            0x883e => self.ip(bytes, body + 4, end),
            _ => self.follow(bytes, Some(kind), body, end),
        }
        if flags & 0x8000 != 0 {
            let after = Checksum::default().bytes(part(bytes, at, end));
            correct(bytes, at + 4, [before, after], false);
        }
    }
}

/// Corrects the checksum of what IP carries.
fn transport(bytes: &mut [u8], protocol: u8, at: usize, end: usize, sums: [Checksum; 2]) {
    let place = match protocol {
        6 => at + 16,
        17 => at + 6,
        1 | 58 => at + 2,
        _ => return,
    };
    if place + 2 <= end.min(bytes.len()) {
        correct(bytes, place, sums, protocol == 17);
    }
}

/// SCTP's checksum: CRC32c over the packet with zeros in its place (RFC 9260, appendix A).
fn sctp(packet: &[u8]) -> [u8; 4] {
    let mut crc = !0u32;
    for (at, byte) in packet.iter().enumerate() {
        let byte = if (8..12).contains(&at) { 0 } else { *byte };
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    (!crc).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;
    use crate::build::{Ethernet, Gtpu, Ip, Segment};

    /// Flips bits; ports of tunnels and what would become one stay.
    struct Flip(u32);

    impl Names for Flip {
        fn v4(&self, address: [u8; 4]) -> [u8; 4] {
            (u32::from_be_bytes(address) ^ self.0).to_be_bytes()
        }
        fn v6(&self, mut address: [u8; 16]) -> [u8; 16] {
            address.iter_mut().skip(2).for_each(|byte| *byte ^= self.0 as u8);
            address
        }
        fn port(&self, port: u16) -> u16 {
            let other = port ^ (self.0 >> 3) as u16;
            if other == 0 || is_tunnel(other) { port } else { other }
        }
        fn ethernet(&self, mut address: [u8; 6]) -> [u8; 6] {
            address[5] ^= self.0 as u8;
            address
        }
    }

    impl Flip {
        fn ip(&self, ip: Ip) -> Ip {
            let other = |address: IpAddr| match address {
                IpAddr::V4(a) => IpAddr::V4(self.v4(a.octets()).into()),
                IpAddr::V6(a) => IpAddr::V6(self.v6(a.octets()).into()),
            };
            Ip { source: other(ip.source), destination: other(ip.destination), ..ip }
        }

        fn named(&self, port: u16) -> u16 {
            if port == 0 || is_tunnel(port) { port } else { self.port(port) }
        }
    }

    /// How a packet lies in its frame.
    #[derive(Debug, Clone, Copy)]
    enum Around {
        Plain,
        Vlan,
        Gtp,
        Vxlan,
        InIp,
        Gre,
        Quoted,
    }

    struct Talk<'a> {
        inner: Ip,
        outer: Ip,
        ports: [u16; 2],
        tcp: bool,
        payload: &'a [u8],
        ethernet: Ethernet,
    }

    fn inner(talk: &Talk<'_>, out: &mut Vec<u8>) {
        let [source_port, destination_port] = talk.ports;
        let fill = |out: &mut Vec<u8>| out.extend_from_slice(talk.payload);
        if talk.tcp {
            let header = Segment { source_port, destination_port, seq: 7, ..Segment::default() };
            talk.inner.tcp(out, &header, fill);
        } else {
            talk.inner.udp(out, source_port, destination_port, fill);
        }
    }

    fn frame(talk: &Talk<'_>, around: Around) -> Vec<u8> {
        let mut out = Vec::new();
        let link = Ethernet { vlan: matches!(around, Around::Vlan).then_some(9), ..talk.ethernet };
        link.write(&mut out, |out| match around {
            Around::Plain | Around::Vlan => inner(talk, out),
            Around::Gtp => talk.outer.udp(out, 2152, 2152, |out| {
                Gtpu { teid: 5, qfi: Some(1) }.write(out, |out| inner(talk, out));
            }),
            Around::Vxlan => talk.outer.udp(out, 4789, 4789, |out| {
                out.extend_from_slice(&[8, 0, 0, 0, 0, 0, 5, 0]);
                talk.ethernet.write(out, |out| inner(talk, out));
            }),
            Around::InIp => {
                let protocol = if talk.inner.source.is_ipv4() { 4 } else { 41 };
                talk.outer.write(out, protocol, |out| inner(talk, out));
            }
            Around::Gre => talk.outer.write(out, 47, |out| {
                // With a checksum, over all that follows.
                let start = out.len();
                out.extend_from_slice(&[0x80, 0]);
                let kind: u16 = if talk.inner.source.is_ipv4() { 0x0800 } else { 0x86dd };
                out.extend_from_slice(&kind.to_be_bytes());
                out.extend_from_slice(&[0; 4]);
                inner(talk, out);
                let sum = Checksum::default().bytes(&out[start..]).finish();
                out[start + 4..start + 6].copy_from_slice(&sum.to_be_bytes());
            }),
            Around::Quoted => talk.outer.write(out, 1, |out| {
                let start = out.len();
                out.extend_from_slice(&[3, 3, 0, 0, 0, 0, 0, 0]);
                inner(talk, out);
                let sum = Checksum::default().bytes(&out[start..]).finish();
                out[start + 2..start + 4].copy_from_slice(&sum.to_be_bytes());
            }),
        });
        out
    }

    proptest! {
        /// Rewriting what was written is writing with the other names: addresses, ports and
        /// every checksum.
        #[test]
        fn rewriting_is_writing_anew(
            flip: u32, six: [bool; 2], hosts: [[u8; 4]; 4], ports: [u16; 2], tcp: bool,
            payload in prop::collection::vec(any::<u8>(), 0..60), around in 0usize..7,
        ) {
            let kinds = [Around::Plain, Around::Vlan, Around::Gtp, Around::Vxlan, Around::InIp,
                Around::Gre, Around::Quoted];
            let around = kinds[around];
            let six = [six[0], six[1] && !matches!(around, Around::Quoted)];
            let address = |six: bool, host: [u8; 4]| -> IpAddr {
                if six {
                    let mut bytes = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
                    bytes[12..].copy_from_slice(&host);
                    bytes.into()
                } else {
                    host.into()
                }
            };
            // A tunnel's own ports would make another packet of the inner one.
            let ports = ports.map(|port| if is_tunnel(port) { 1 } else { port });
            let names = Flip(flip);
            let talk = Talk {
                inner: Ip::new(address(six[0], hosts[0]), address(six[0], hosts[1])),
                outer: Ip::new(address(six[1], hosts[2]), address(six[1], hosts[3])),
                ports,
                tcp,
                payload: &payload,
                ethernet: Ethernet { source: [2, 0, 0, 0, 0, 1], destination: [2, 0, 0, 0, 0, 9], vlan: None },
            };
            let other = Talk {
                inner: names.ip(talk.inner),
                outer: names.ip(talk.outer),
                ports: ports.map(|port| names.named(port)),
                ethernet: Ethernet {
                    source: names.ethernet(talk.ethernet.source),
                    destination: names.ethernet(talk.ethernet.destination),
                    vlan: None,
                },
                ..talk
            };
            let mut rewritten = frame(&talk, around);
            let headers = rewrite(LinkType::ETHERNET, &mut rewritten, &names);
            prop_assert_eq!(headers, if matches!(around, Around::Plain | Around::Vlan) { 1 } else { 2 });
            prop_assert_eq!(rewritten, frame(&other, around));
        }

        /// No bytes make it panic or change a frame's length.
        #[test]
        fn any_frame_is_taken(
            link in prop::sample::select(vec![0u32, 1, 9, 12, 50, 51, 101, 104, 105, 108, 113, 127, 204, 228, 276]),
            mut bytes in prop::collection::vec(any::<u8>(), 0..120), flip: u32,
        ) {
            let before = bytes.len();
            rewrite(LinkType(link), &mut bytes, &Flip(flip));
            prop_assert_eq!(bytes.len(), before);
        }
    }

    #[test]
    fn fragments_make_the_datagram_of_the_other_names() {
        let names = Flip(0x0033_4455);
        let ip = Ip::new([10, 0, 0, 1].into(), [203, 0, 113, 5].into());
        let datagram = |ip: &Ip, ports: [u16; 2]| {
            let mut out = Vec::new();
            ip.udp(&mut out, ports[0], ports[1], |out| out.extend((0..=255).cycle().take(900)));
            out.split_off(20)
        };
        let ports = [4000, 53];
        let other = names.ip(ip);
        let expected = other.fragments(17, &datagram(&other, ports.map(|p| names.named(p))), 300);
        let found = ip.fragments(17, &datagram(&ip, ports), 300);
        assert_eq!(found.len(), 4);
        for (mut found, expected) in found.into_iter().zip(expected) {
            rewrite(LinkType::RAW, &mut found, &names);
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_is_nested_without_end_is_left() {
        // Backbone headers in each other, and authentication headers behind each other.
        let names = Flip(1);
        let mut frame = Vec::new();
        for _ in 0..20_000 {
            frame.extend([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xe7, 0, 0, 0, 0]);
        }
        assert_eq!(rewrite(LinkType::ETHERNET, &mut frame, &names), 0);
        let ip = Ip::new([10, 0, 0, 1].into(), [203, 0, 113, 5].into());
        let mut packet = Vec::new();
        ip.write(&mut packet, 51, |out| {
            (0..5000).for_each(|_| out.extend([51, 0, 0, 0, 0, 0, 0, 1]))
        });
        assert_eq!(rewrite(LinkType::RAW, &mut packet, &names), 1);
    }

    #[test]
    fn cut_packets_keep_what_their_checksum_says() {
        // The snapshot length took the payload's end: the checksum still is that of the whole.
        let names = Flip(0x0102_0304);
        let ip = Ip::new([10, 0, 0, 1].into(), [203, 0, 113, 5].into());
        let whole = |ip: &Ip, ports: [u16; 2]| {
            let mut out = Vec::new();
            ip.udp(&mut out, ports[0], ports[1], |out| out.extend([9; 200]));
            out
        };
        let mut cut = whole(&ip, [4000, 5000]);
        cut.truncate(60);
        rewrite(LinkType::RAW, &mut cut, &names);
        let other = whole(&names.ip(ip), [names.named(4000), names.named(5000)]);
        assert_eq!(cut, other[..60]);
    }

    #[test]
    fn who_has_is_asked_by_the_other_names() {
        let names = Flip(0x0000_0101);
        let mut frame = [[0xff; 6], [2, 0, 0, 0, 0, 1]].concat();
        frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1]);
        frame.extend([0, 0, 0, 0, 0, 0, 10, 0, 0, 2]);
        rewrite(LinkType::ETHERNET, &mut frame, &names);
        assert_eq!(frame[22..], [2, 0, 0, 0, 0, 0, 10, 0, 1, 0, 0, 0, 0, 0, 0, 0, 10, 0, 1, 3]);
    }

    #[test]
    fn sctp_checksums_stay_right() {
        // CRC32c of "123456789" is e3069283 (RFC 3720, B.4 uses the same sum).
        let names = Flip(0x0000_0f08);
        let ip = Ip::new([10, 0, 0, 1].into(), [203, 0, 113, 5].into());
        let mut out = Vec::new();
        ip.write(&mut out, 132, |out| {
            let start = out.len();
            out.extend([0x0b, 0x59, 0x0b, 0x5a, 1, 2, 3, 4, 0, 0, 0, 0, 0, 3, 0, 16]);
            out.extend([7; 12]);
            let sum = sctp(&out[start..]);
            out[start + 8..start + 12].copy_from_slice(&sum);
        });
        let before = out.clone();
        rewrite(LinkType::RAW, &mut out, &names);
        assert_ne!(out[20..24], before[20..24]);
        assert_eq!(sctp(&out[20..]), out[28..32]);
        let mut check = *b"12345678\0\0\0\0";
        let sum = sctp(&check);
        check[8..].copy_from_slice(&sum);
        assert_eq!(sctp(&check), check[8..12]);
    }
}
