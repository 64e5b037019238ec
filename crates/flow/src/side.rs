//! Which end of a conversation is the client.

use std::net::IpAddr;

use ottoscope_wire::packet::Tcp;

use crate::config::Prefix;
use crate::model::{Side, Transport};

/// Ports above 1023 at which services of this field listen. A port below 1024 is a service's
/// by the IANA registry; these are the registered or documented ones that clients rarely draw
/// as ephemeral ports (Linux draws 32768 to 60999, others 49152 to 65535).
const SERVICE_PORTS: &[u16] = &[
    1080, 1194, 1433, 1521, 1701, 1720, 1723, 1812, 1813, 1883, 1900, 1935, 2049, 2123, 2152, 3074,
    3128, 3268, 3306, 3389, 3478, 3479, 3480, 3481, 4244, 4500, 4789, 5004, 5050, 5060, 5061, 5190,
    5222, 5223, 5228, 5229, 5230, 5242, 5243, 5269, 5280, 5349, 5350, 5353, 5355, 5432, 5671, 5672,
    5900, 6379, 6443, 6881, 7985, 7987, 8000, 8008, 8009, 8080, 8081, 8088, 8443, 8801, 8883, 8888,
    9000, 9200, 9443, 19302, 19305, 27017,
];

fn is_service(port: u16) -> bool {
    (1..1024).contains(&port) || SERVICE_PORTS.binary_search(&port).is_ok()
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => {
            let shared = a.octets()[0] == 100 && a.octets()[1] & 0xc0 == 64; // RFC 6598
            a.is_private() || a.is_link_local() || shared || a.is_unspecified()
        }
        IpAddr::V6(a) => a.is_unique_local() || a.is_unicast_link_local() || a.is_unspecified(),
    }
}

fn is_group(address: IpAddr) -> bool {
    address.is_multicast() || address == IpAddr::V4(std::net::Ipv4Addr::BROADCAST)
}

/// Whether the sender of a flow's first packet is its client, and how that was told: a SYN or
/// SYN/ACK, then the ports, then the study's prefixes, then private against public address,
/// then who spoke first.
pub(crate) fn sender_is_client(
    source: (IpAddr, u16),
    destination: (IpAddr, u16),
    transport: Transport,
    tcp_flags: u8,
    clients: &[Prefix],
) -> (bool, Side) {
    if transport == Transport::Tcp && tcp_flags & Tcp::SYN != 0 {
        return (tcp_flags & Tcp::ACK == 0, Side::Syn);
    }
    match (is_service(source.1), is_service(destination.1)) {
        (false, true) => return (true, Side::Port),
        (true, false) => return (false, Side::Port),
        _ => {}
    }
    let inside = |address| clients.iter().any(|prefix| prefix.contains(address));
    match (inside(source.0), inside(destination.0)) {
        (true, false) => return (true, Side::Prefix),
        (false, true) => return (false, Side::Prefix),
        _ => {}
    }
    match (is_private(source.0), is_private(destination.0)) {
        (true, false) if !is_group(destination.0) => (true, Side::Private),
        (false, true) if !is_group(source.0) => (false, Side::Private),
        _ => (true, Side::First),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        source: (&str, u16),
        destination: (&str, u16),
        transport: Transport,
        tcp_flags: u8,
        expected: (bool, Side),
    ) {
        let end = |(a, p): (&str, u16)| (a.parse().unwrap(), p);
        let clients = ["198.51.100.0/24".parse().unwrap()];
        let got = sender_is_client(end(source), end(destination), transport, tcp_flags, &clients);
        assert_eq!(got, expected, "{source:?} {destination:?}");
    }

    #[test]
    fn service_ports_are_sorted() {
        assert!(SERVICE_PORTS.is_sorted());
    }

    #[test]
    fn sides() {
        let (stream, datagram) = (Transport::Tcp, Transport::Udp);
        check(("1.1.1.1", 443), ("2.2.2.2", 5000), stream, Tcp::SYN, (true, Side::Syn));
        check(("1.1.1.1", 443), ("2.2.2.2", 50), stream, Tcp::SYN | Tcp::ACK, (false, Side::Syn));
        check(("1.1.1.1", 443), ("2.2.2.2", 50000), stream, Tcp::ACK, (false, Side::Port));
        check(("1.1.1.1", 40000), ("2.2.2.2", 5222), stream, Tcp::ACK, (true, Side::Port));
        check(("2.2.2.2", 53), ("10.0.0.1", 3478), datagram, 0, (false, Side::Private));
        check(("2.2.2.2", 4000), ("198.51.100.7", 4001), datagram, 0, (false, Side::Prefix));
        check(("10.0.0.1", 4000), ("2.2.2.2", 4001), datagram, 0, (true, Side::Private));
        check(("10.0.0.1", 5353), ("224.0.0.251", 5353), datagram, 0, (true, Side::First));
        check(("9.9.9.9", 4000), ("2.2.2.2", 4001), datagram, 0, (true, Side::First));
    }
}
