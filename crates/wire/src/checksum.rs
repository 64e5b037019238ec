//! The Internet checksum (RFC 1071).

use std::net::IpAddr;

/// A running sum of 16-bit words.
#[derive(Debug, Clone, Copy, Default)]
pub struct Checksum(u64);

impl Checksum {
    /// Adds bytes; an odd last one is the upper half of a word.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        let mut words = bytes.chunks_exact(2);
        for word in &mut words {
            self.0 += u64::from(u16::from_be_bytes([word[0], word[1]]));
        }
        if let [last] = words.remainder() {
            self.0 += u64::from(*last) << 8;
        }
        self
    }

    /// Adds the pseudo header of TCP and UDP (RFC 9293, 3.1; RFC 8200, 8.1).
    #[must_use]
    pub fn pseudo_header(
        self,
        source: IpAddr,
        destination: IpAddr,
        protocol: u8,
        len: u32,
    ) -> Self {
        let addresses = match (source, destination) {
            (IpAddr::V4(a), IpAddr::V4(b)) => self.bytes(&a.octets()).bytes(&b.octets()),
            _ => self.bytes(&v6(source)).bytes(&v6(destination)),
        };
        addresses.bytes(&len.to_be_bytes()).bytes(&[0, protocol])
    }

    /// The value for a header's checksum field; 0 over bytes that hold their right checksum.
    pub fn finish(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }
}

fn v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(a) => a.to_ipv6_mapped().octets(),
        IpAddr::V6(a) => a.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::Checksum;

    #[test]
    fn sums_as_the_rfc_does() {
        // RFC 1071, 3: the sum of these words is ddf2.
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Checksum::default().bytes(&bytes).finish(), !0xddf2);
        assert_eq!(Checksum::default().bytes(&[0xab]).finish(), !0xab00);
    }
}
