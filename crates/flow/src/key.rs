//! What makes two packets the same conversation.

use std::hash::{BuildHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ottoscope_wire::packet::Packet;
use siphasher::sip::SipHasher13;

use crate::model::FlowId;
use crate::time::Timestamp;

/// A 5-tuple without direction: the lower end (address, then port) comes first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FlowKey {
    lower: [u64; 2],
    upper: [u64; 2],
    lower_port: u16,
    upper_port: u16,
    protocol: u8,
    v6: bool,
}

impl PartialEq for FlowKey {
    /// Without a branch or a call, as nearly every packet's key is compared once and equal.
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        let words = (self.lower[0] ^ other.lower[0])
            | (self.lower[1] ^ other.lower[1])
            | (self.upper[0] ^ other.upper[0])
            | (self.upper[1] ^ other.upper[1]);
        words | (self.tail() ^ other.tail()) == 0
    }
}

impl Eq for FlowKey {}

impl FlowKey {
    /// Ports, protocol and family in one word.
    #[inline]
    fn tail(&self) -> u64 {
        u64::from(self.lower_port)
            | u64::from(self.upper_port) << 16
            | u64::from(self.protocol) << 32
            | u64::from(self.v6) << 40
    }

    /// The key of a packet, and whether its source is the lower end. Both ends are of one
    /// address family, as in any IP packet; a mixed pair is keyed as IPv6.
    #[inline]
    pub(crate) fn new(
        source: (IpAddr, u16),
        destination: (IpAddr, u16),
        protocol: u8,
    ) -> (FlowKey, bool) {
        let (from, from_v6) = words(source.0);
        let (to, to_v6) = words(destination.0);
        let forward = (from, source.1) <= (to, destination.1);
        let (lower, upper, lower_port, upper_port) = if forward {
            (from, to, source.1, destination.1)
        } else {
            (to, from, destination.1, source.1)
        };
        let key = FlowKey { lower, upper, lower_port, upper_port, protocol, v6: from_v6 || to_v6 };
        (key, forward)
    }

    /// The key of a packet as it was read.
    #[inline]
    pub(crate) fn of(packet: &Packet<'_>) -> (FlowKey, bool) {
        FlowKey::new(
            (packet.source, packet.source_port),
            (packet.destination, packet.destination_port),
            packet.ip_protocol,
        )
    }

    /// IP protocol number.
    pub(crate) fn protocol(&self) -> u8 {
        self.protocol
    }

    /// The lower and the upper end's port.
    pub(crate) fn ports(&self) -> (u16, u16) {
        (self.lower_port, self.upper_port)
    }

    /// The lower and the upper end.
    pub(crate) fn ends(&self) -> [(IpAddr, u16); 2] {
        [
            (address(self.lower, self.v6), self.lower_port),
            (address(self.upper, self.v6), self.upper_port),
        ]
    }

    /// Symmetric hash by a process-wide random state: it places the flow in a table and on a
    /// worker, so outsiders must not be able to choose it.
    #[inline]
    pub(crate) fn hash(&self, state: &impl BuildHasher) -> u64 {
        let mut hasher = state.build_hasher();
        hasher.write_u64(self.lower[0]);
        hasher.write_u64(self.upper[0]);
        if self.v6 {
            hasher.write_u64(self.lower[1]);
            hasher.write_u64(self.upper[1]);
        }
        hasher.write_u64(self.tail());
        hasher.finish()
    }

    /// The id of the flow of this key that began at `first`, see [`FlowId`].
    pub(crate) fn id(&self, first: Timestamp, key: [u64; 2]) -> FlowId {
        let mut hasher = SipHasher13::new_with_keys(key[0], key[1]);
        self.lower.hash(&mut hasher);
        self.upper.hash(&mut hasher);
        hasher.write_u16(self.lower_port);
        hasher.write_u16(self.upper_port);
        hasher.write_u8(self.protocol);
        hasher.write_i64(first.0);
        FlowId(hasher.finish())
    }
}

#[inline]
fn words(address: IpAddr) -> ([u64; 2], bool) {
    match address {
        IpAddr::V4(a) => ([u64::from(u32::from(a)), 0], false),
        IpAddr::V6(a) => {
            let bits = u128::from(a);
            ([(bits >> 64) as u64, bits as u64], true)
        }
    }
}

fn address(words: [u64; 2], v6: bool) -> IpAddr {
    if v6 {
        IpAddr::V6(Ipv6Addr::from(u128::from(words[0]) << 64 | u128::from(words[1])))
    } else {
        IpAddr::V4(Ipv4Addr::from(words[0] as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_directions_have_one_key(
            v6: bool, a: u128, b: u128, pa: u16, pb: u16, protocol: u8,
        ) {
            let end = |bits: u128| if v6 {
                IpAddr::V6(Ipv6Addr::from(bits))
            } else {
                IpAddr::V4(Ipv4Addr::from(bits as u32))
            };
            let (there, forward) = FlowKey::new((end(a), pa), (end(b), pb), protocol);
            let (back, backward) = FlowKey::new((end(b), pb), (end(a), pa), protocol);
            prop_assert_eq!(there, back);
            if (end(a), pa) != (end(b), pb) {
                prop_assert_ne!(forward, backward);
            }
            let ends = there.ends();
            let (source, destination) = if forward { (ends[0], ends[1]) } else { (ends[1], ends[0]) };
            prop_assert_eq!(source, (end(a), pa));
            prop_assert_eq!(destination, (end(b), pb));
            let state = foldhash::fast::RandomState::default();
            prop_assert_eq!(there.hash(&state), back.hash(&state));
            prop_assert_eq!(
                there.id(Timestamp(7), [1, 2]), back.id(Timestamp(7), [1, 2])
            );
        }
    }

    #[test]
    fn ids_depend_on_the_key_and_the_time() {
        let (key, _) =
            FlowKey::new(("10.0.0.1".parse().unwrap(), 1), ("10.0.0.2".parse().unwrap(), 2), 6);
        let id = key.id(Timestamp(1), [1, 2]);
        assert_ne!(id, key.id(Timestamp(2), [1, 2]));
        assert_ne!(id, key.id(Timestamp(1), [1, 3]));
    }
}
