//! The parameters of the flow engine, with the papers' values as defaults.

use std::net::IpAddr;

use crate::time::Span;

/// Parameters of the flow engine.
#[derive(Debug, Clone)]
pub struct Config {
    /// Silence that ends a TCP flow (the ChatDissect paper, II-B: 30 minutes).
    pub tcp_idle: Span,
    /// Silence that ends any other flow (the ChatDissect paper, II-B: 1 minute).
    pub udp_idle: Span,
    /// Which addresses are clients, where neither SYN nor port tells.
    pub clients: Vec<Prefix>,
    /// First payload bytes kept per direction in [`crate::Flow::heads`].
    pub head_bytes: usize,
    /// First payload bytes kept in [`crate::Flow::sample`]; 0 keeps none.
    pub sample_bytes: usize,
    /// First packet sizes kept in [`crate::Flow::sizes`], and as many gaps; 0 keeps none.
    pub sizes: usize,
    /// Most bytes buffered per direction for a dissector or for reordering.
    pub stream_buffer: usize,
    /// Most bytes buffered over all flows of a worker; the oldest buffers go first.
    pub total_buffer: usize,
    /// Most concurrent flows of a worker; those that would expire next go first.
    pub max_flows: usize,
    /// Most bytes of a worker's flows with all that belongs to them, about; again those that
    /// would expire next go first.
    pub memory: usize,
    /// Whether payload is read at all; without, flows are only counted.
    pub dissect: bool,
    /// Whether [`crate::Sink::bin`] is called.
    pub bins: bool,
    /// Whether [`crate::Sink::segment`] is called.
    pub segments: bool,
    /// Whether media streams emit every packet.
    pub every_packet: bool,
    /// Whether packets of video that is read down to its frames are messages: those of flows
    /// whose protocol is `qq-video`.
    pub video_packets: bool,
    /// Key of flow ids, from the study.
    pub flow_key: [u64; 2],
}

impl Default for Config {
    fn default() -> Self {
        Config {
            tcp_idle: Span::from_seconds(30 * 60),
            udp_idle: Span::from_seconds(60),
            clients: Vec::new(),
            head_bytes: 16,
            sample_bytes: 0,
            sizes: 0,
            stream_buffer: 64 * 1024,
            total_buffer: 256 * 1024 * 1024,
            max_flows: 16_000_000,
            memory: usize::MAX,
            dissect: true,
            bins: true,
            segments: false,
            every_packet: false,
            video_packets: false,
            flow_key: [0, 0],
        }
    }
}

/// An address prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix {
    address: IpAddr,
    len: u8,
}

/// A prefix that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address prefix such as 10.0.0.0/8 or 2001:db8::/32")]
pub struct PrefixError(String);

impl Prefix {
    /// Whether `address` lies in the prefix. IPv4 and IPv6 never match each other.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(net), IpAddr::V4(a)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.len)).unwrap_or(0);
                (u32::from(net) ^ u32::from(a)) & mask == 0
            }
            (IpAddr::V6(net), IpAddr::V6(a)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.len)).unwrap_or(0);
                (u128::from(net) ^ u128::from(a)) & mask == 0
            }
            _ => false,
        }
    }
}

impl std::str::FromStr for Prefix {
    type Err = PrefixError;

    /// Reads `address/length`, or an address alone as a prefix of its full length.
    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let error = || PrefixError(text.to_owned());
        let (address, len) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
        let address: IpAddr = address.trim().parse().map_err(|_| error())?;
        let full = if address.is_ipv4() { 32 } else { 128 };
        let len = match len {
            Some(text) => text.trim().parse().map_err(|_| error())?,
            None => full,
        };
        if len > full { Err(error()) } else { Ok(Prefix { address, len }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_contain_their_addresses() {
        let check = |prefix: &str, address: &str, expected: bool| {
            let prefix: Prefix = prefix.parse().unwrap();
            assert_eq!(prefix.contains(address.parse().unwrap()), expected, "{prefix:?} {address}");
        };
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("0.0.0.0/0", "1.2.3.4", true);
        check("0.0.0.0/0", "::1", false);
        check("2001:db8::/32", "2001:db8:1::1", true);
        check("::/0", "2001:db8:1::1", true);
        check("192.0.2.7", "192.0.2.7", true);
        check("192.0.2.7", "192.0.2.8", false);
        assert!("10.0.0.0/33".parse::<Prefix>().is_err());
        assert!("ten".parse::<Prefix>().is_err());
    }
}
