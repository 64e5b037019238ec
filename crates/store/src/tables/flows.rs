//! `flows`: the table that everything joins to.

use ottoscope_flow::Timestamp;

use crate::column::{Bytes, Integers, Text};
use crate::table::table;

table! {
    /// One life of a 5-tuple, written when it ends. Everything joins to it by `flow`.
    pub Flows(FlowRow, FlowBuilder, FlowColumns) = "flows" by first, flow {
        /// Keyed hash of 5-tuple and first timestamp; the same within a study however it ran.
        flow: u64,
        /// First packet.
        first: Timestamp,
        /// Last packet.
        last: Timestamp,
        /// `tcp`, `udp`, `sctp`, `icmp` or `ip-N`.
        transport: Text,
        /// Client's address: a pseudonym (`~` and an address, or 32 hex digits) unless the
        /// study keeps addresses.
        client: Text,
        /// Client's port.
        client_port: u16,
        /// Server's address; a pseudonym where it is a client's too.
        server: Text,
        /// Server's port.
        server_port: u16,
        /// Packets from the client.
        packets_up: u64,
        /// Packets from the server.
        packets_down: u64,
        /// Frame bytes from the client.
        bytes_up: u64,
        /// Frame bytes from the server.
        bytes_down: u64,
        /// Transport payload bytes from the client.
        payload_up: u64,
        /// Transport payload bytes from the server.
        payload_down: u64,
        /// Innermost protocol recognised.
        protocol: Option<Text>,
        /// Server's name as the client said it, lower case.
        server_name: Option<Text>,
        /// Where `server_name` was read: `sni`, `quic`, `host`, `proxy`, `xmpp`, `realm`.
        name_source: Option<Text>,
        /// ALPN: first offered, or the one chosen.
        alpn: Option<Text>,
        /// JA3 of the client hello.
        ja3: Option<Text>,
        /// JA4 of the client hello.
        ja4: Option<Text>,
        /// TLS version in use, as on the wire: 771 is TLS 1.2, 772 is TLS 1.3.
        tls_version: Option<u16>,
        /// Names in the server's certificate, comma separated.
        certificate_names: Option<Text>,
        /// HTTP User-Agent of the first request.
        user_agent: Option<Text>,
        /// Catalogue signature that the payload matched, as `app/signature`.
        signature: Option<Text>,
        /// The signature was contradicted by later packets.
        signature_broken: bool,
        /// How the client's side was told: `syn`, `port`, `prefix`, `private`, `first`.
        side: Text,
        /// How the flow ended: `fin`, `reset`, `idle`, `reused`, `capture-end`, `evicted`.
        end: Text,
        /// TCP segments from the client that carry nothing new.
        retransmitted_up: u32,
        /// TCP segments from the server that carry nothing new.
        retransmitted_down: u32,
        /// TCP segments with SYN, both directions.
        syn: u32,
        /// TCP segments with FIN, both directions.
        fin: u32,
        /// TCP segments with RST, both directions.
        rst: u32,
        /// Round trip from the vantage point to the server, SYN to SYN/ACK, microseconds.
        rtt_server_us: Option<f64>,
        /// Round trip from the vantage point to the client, SYN/ACK to ACK, microseconds.
        rtt_client_us: Option<f64>,
        /// Smallest time from data going up to its acknowledgement, microseconds.
        rtt_data_us: Option<f64>,
        /// `ttl:window:mss:scale:options` of the client's SYN; options by their numbers in
        /// order, as in `64:65535:1460:6:2-1-3-1-1-8-4-0`.
        syn_fingerprint: Option<Text>,
        /// Tunnel that the flow ran in: `gtp-u`, `gre`, `ip-in-ip`, `vxlan` ...
        tunnel: Option<Text>,
        /// Outer address on the client's side; a pseudonym but for `gtp-u` and `vxlan`.
        tunnel_client_side: Option<Text>,
        /// Outer address on the server's side; a pseudonym but for `gtp-u` and `vxlan`.
        tunnel_server_side: Option<Text>,
        /// Tunnel id going up: GTP-U TEID, VXLAN network id, GRE key.
        teid_up: Option<u32>,
        /// Tunnel id going down.
        teid_down: Option<u32>,
        /// GTP-U QoS flow identifier.
        qfi: Option<u8>,
        /// Outermost VLAN id.
        vlan: Option<u16>,
        /// First payload bytes from the client (`keep.head-bytes`).
        head_up: Option<Bytes>,
        /// First payload bytes from the server.
        head_down: Option<Bytes>,
        /// First payload bytes of both directions as they came (`keep.sample-bytes`).
        sample: Option<Bytes>,
        /// Payload sizes of the first packets, up positive, down negative (`keep.sizes`).
        sizes: Option<Integers>,
        /// Microseconds between each of these packets and the flow's packet before it; the first
        /// is 0.
        gaps_us: Option<Integers>,
    }
}
