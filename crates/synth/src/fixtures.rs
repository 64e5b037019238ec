//! Small captures made in code, for tests that would otherwise need committed ones.
//!
//! The odd cases are all the same conversation, [`NAME`] over TLS 1.2 between
//! 10.0.0.1:40000 and 198.51.100.7:443 from 2020-01-01 00:00 UTC on, so that a test can say: this
//! reads as the plain one does.

mod conversations;
mod files;
mod layers;

/// The server name of the odd cases' conversation.
pub const NAME: &str = "fixture.example";

/// A capture: packets by time.
type Packets = Vec<Packet>;

/// One IP packet at the capture point.
#[derive(Debug, Clone)]
struct Packet {
    /// Nanoseconds since 1970 UTC.
    at: i64,
    up: bool,
    ip: Vec<u8>,
}

/// What a fixture is made by.
type Make = fn() -> Vec<u8>;

/// Every fixture: name, what it holds, and how it is made.
const ALL: &[(&str, &str, Make)] = &[
    ("dns", "a query and its answer with a CNAME chain", || plain(&conversations::dns())),
    ("http", "two requests on one HTTP/1.1 connection", || plain(&conversations::http())),
    ("tls12", "the plain conversation: SNI, certificate in clear", || plain(&tls())),
    ("tls13", "TLS 1.3: SNI in clear, certificate not", || plain(&conversations::tls(true))),
    ("quic", "QUIC version 1 with an Initial that can be opened", || plain(&conversations::quic())),
    ("call", "STUN allocation, RTP both ways for a second, end", || plain(&conversations::call())),
    ("whatsapp-chat", "Noise handshake and some frames, port 5222", || {
        plain(&conversations::whatsapp())
    }),
    (
        "w-tcp",
        "WeChat long connection: connect, heartbeat, a picture over several segments",
        || plain(&conversations::wechat()),
    ),
    ("vlan", "802.1Q tag", || layers::vlan(&tls(), &[100])),
    ("qinq", "802.1ad and 802.1Q tags", || layers::vlan(&tls(), &[200, 100])),
    ("mpls", "two MPLS labels", || layers::mpls(&tls())),
    ("pppoe", "PPPoE session", || layers::pppoe(&tls())),
    ("gtp", "GTP-U without extension headers", || layers::gtp(&tls(), None)),
    ("gtp-qfi", "GTP-U with a PDU session container, QFI 9", || layers::gtp(&tls(), Some(9))),
    ("gre", "GRE without key", || layers::gre(&tls())),
    ("ip-in-ip", "IPv4 in IPv4", || layers::ip_in_ip(&tls())),
    ("vxlan", "VXLAN network 5", || layers::vxlan(&tls())),
    ("ipv6", "the conversation over IPv6", || plain(&conversations::tls_v6())),
    ("fragments", "every IPv4 packet over 600 bytes in fragments", || {
        layers::fragments(conversations::tls(false))
    }),
    ("fragments-v6", "the same over IPv6", || layers::fragments(conversations::tls_v6())),
    ("retransmission", "every segment with payload captured twice", || {
        plain(&layers::repeated(tls()))
    }),
    ("overlap", "a segment that repeats half of the one before", || plain(&layers::overlap(tls()))),
    ("out-of-order-hello", "the client hello in two segments, the second first", || {
        plain(&layers::split_hello(tls(), true))
    }),
    ("split-hello", "the client hello in segments of 40 bytes", || {
        plain(&layers::split_hello(tls(), false))
    }),
    ("mid-stream", "the conversation without handshake and client hello", || {
        plain(&tls().split_off(4))
    }),
    ("port-reuse", "the conversation twice on the same ports, 5 minutes apart", || {
        plain(&layers::reused(tls()))
    }),
    ("raw-ip", "link type 101", || files::raw(&tls())),
    ("null", "link type 0", || files::null(&tls())),
    ("linux-cooked", "link type 113", || files::cooked(&tls(), false)),
    ("linux-cooked-2", "link type 276", || files::cooked(&tls(), true)),
    ("pcap-micro", "microseconds", || files::pcap(&tls(), files::Form::MICRO)),
    ("pcap-big-endian", "nanoseconds, big-endian", || files::pcap(&tls(), files::Form::BIG)),
    ("pcap-modified", "modified magic, 24-byte record headers", || {
        files::pcap(&tls(), files::Form::MODIFIED)
    }),
    ("pcapng", "one section, nanosecond interface", || files::pcapng(&tls(), false)),
    ("pcapng-big-endian", "the same, big-endian", || files::pcapng(&tls(), true)),
    ("pcapng-sections", "two sections, two interfaces with different resolutions", || {
        files::sections(&tls())
    }),
    ("snapped", "packets cut to 60 bytes", || files::snapped(&tls(), 60)),
    ("cut-record", "the last record ends in its packet", || files::cut(plain(&tls()), 5)),
    ("cut-header", "the last record ends in its header", || {
        let last = tls().last().map_or(0, |packet| 14 + packet.ip.len());
        files::cut(plain(&tls()), last + 7)
    }),
    ("empty", "a file header and no packet", || plain(&[])),
];

/// The capture of this name; [`fixtures`] lists them.
pub fn fixture(name: &str) -> Option<Vec<u8>> {
    ALL.iter().find(|(known, ..)| *known == name).map(|(_, _, make)| make())
}

/// Every fixture's name and what it holds.
pub fn fixtures() -> impl Iterator<Item = (&'static str, &'static str)> {
    ALL.iter().map(|(name, about, _)| (*name, *about))
}

fn tls() -> Packets {
    conversations::tls(false)
}

/// As an Ethernet capture with nanoseconds.
fn plain(packets: &[Packet]) -> Vec<u8> {
    files::pcap(packets, files::Form::PLAIN)
}
