//! What lies below a user's IP packet.

use std::net::{IpAddr, Ipv4Addr};

use ottoscope_wire::build::{Ethernet, Gtpu, Ip};

/// Between Ethernet and the user's IP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outer {
    Plain,
    Vlan(u16),
    /// GTP-U between the radio side and the core side.
    Gtp {
        radio: Ipv4Addr,
        core: Ipv4Addr,
        tunnel: Gtpu,
    },
}

const CLIENTS: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];
const SERVERS: [u8; 6] = [0x02, 0, 0, 0, 0, 0x02];

/// Writes a frame around the IP packet that `inner` writes.
pub(crate) fn wrap(out: &mut Vec<u8>, outer: Outer, up: bool, inner: impl FnOnce(&mut Vec<u8>)) {
    out.clear();
    let (source, destination) = if up { (CLIENTS, SERVERS) } else { (SERVERS, CLIENTS) };
    let vlan = if let Outer::Vlan(id) = outer { Some(id) } else { None };
    let link = Ethernet { source, destination, vlan };
    match outer {
        Outer::Gtp { radio, core, tunnel } => {
            let (from, to) = if up { (radio, core) } else { (core, radio) };
            let carrier = Ip::new(IpAddr::V4(from), IpAddr::V4(to));
            link.write(out, |out| {
                carrier.udp(out, Gtpu::PORT, Gtpu::PORT, |out| tunnel.write(out, inner));
            });
        }
        _ => link.write(out, inner),
    }
}
