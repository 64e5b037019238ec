//! What makes two packets the same conversation.

use std::hash::{BuildHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ottoscope_wire::packet::Packet;
use siphasher::sip::SipHasher13;

use crate::cold::{Place, Slab};
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
    #[inline]
    fn tail(&self) -> u64 {
        tail([self.lower_port, self.upper_port], self.protocol, self.v6)
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

/// Both addresses of a key of version 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wide([[u64; 2]; 2]);

/// A key as the table keeps it: nearly all addresses have four bytes, and those of version 6 lie
/// beside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShortKey {
    /// The addresses, or the place of both.
    ends: [u32; 2],
    ports: [u16; 2],
    protocol: u8,
    v6: bool,
}

const _: () = assert!(size_of::<ShortKey>() == 16);

impl ShortKey {
    /// Keeps a key; addresses of version 6 take a place in `wide`.
    pub(crate) fn new(key: &FlowKey, wide: &mut Slab<Wide>) -> Self {
        let ends = if key.v6 {
            let place = wide.add();
            wide[place] = Wide([key.lower, key.upper]);
            [place.number(), 0]
        } else {
            [key.lower[0] as u32, key.upper[0] as u32]
        };
        let ports = [key.lower_port, key.upper_port];
        ShortKey { ends, ports, protocol: key.protocol, v6: key.v6 }
    }

    /// Gives up the place beside.
    pub(crate) fn leave(&self, wide: &mut Slab<Wide>) {
        if self.v6 {
            wide.remove(Place::of_number(self.ends[0]));
        }
    }

    /// Whether it stands for `key`.
    #[inline]
    pub(crate) fn is(&self, key: &FlowKey, wide: &Slab<Wide>) -> bool {
        self.tail() == key.tail()
            && if key.v6 {
                wide[Place::of_number(self.ends[0])] == Wide([key.lower, key.upper])
            } else {
                self.ends == [key.lower[0] as u32, key.upper[0] as u32]
            }
    }

    /// The key that it stands for.
    #[inline]
    pub(crate) fn whole(&self, wide: &Slab<Wide>) -> FlowKey {
        let Wide([lower, upper]) = if self.v6 {
            wide[Place::of_number(self.ends[0])]
        } else {
            Wide(self.ends.map(|end| [end.into(), 0]))
        };
        let [lower_port, upper_port] = self.ports;
        FlowKey { lower, upper, lower_port, upper_port, protocol: self.protocol, v6: self.v6 }
    }

    #[inline]
    fn tail(&self) -> u64 {
        tail(self.ports, self.protocol, self.v6)
    }

    /// The transport's number in the IP header.
    pub(crate) fn protocol(&self) -> u8 {
        self.protocol
    }

    /// Ports of the lower and the upper end.
    pub(crate) fn ports(&self) -> (u16, u16) {
        (self.ports[0], self.ports[1])
    }
}

/// Ports, protocol and family in one word.
#[inline]
fn tail([lower, upper]: [u16; 2], protocol: u8, v6: bool) -> u64 {
    u64::from(lower) | u64::from(upper) << 16 | u64::from(protocol) << 32 | u64::from(v6) << 40
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
            let mut wide = Slab::default();
            let other = FlowKey::new((end(a ^ 1), pa), (end(b), pb), protocol).0;
            let (short, beside) = (ShortKey::new(&there, &mut wide), ShortKey::new(&other, &mut wide));
            prop_assert!(short.is(&there, &wide) && beside.is(&other, &wide));
            prop_assert_eq!(short.is(&other, &wide), there == other);
            prop_assert_eq!(short.whole(&wide), there);
            prop_assert_eq!((short.protocol(), short.ports()), (protocol, (ends[0].1, ends[1].1)));
            short.leave(&mut wide);
            prop_assert_eq!(beside.whole(&wide), other);
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
