//! Crypto-PAn: prefix-preserving pseudonyms of addresses.
//!
//! J. Xu, J. Fan, M. Ammar, S. Moon: "Prefix-Preserving IP Address Anonymization", ICNP 2002.
//! Two addresses that share their first `n` bits have pseudonyms that share exactly their
//! first `n` bits. Bit `i` of the pseudonym is bit `i` of the address, flipped or not by the
//! first bit of AES over the address's first `i` bits, filled up with a secret pad. As those
//! inputs hang on the address alone, all bits are computed at once.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aes::Aes128;
use aes::cipher::{Block, BlockCipherEncrypt, KeyInit};

/// A key, ready for use.
#[derive(Clone)]
pub(crate) struct CryptoPan {
    cipher: Aes128,
    pad: [u8; 16],
    /// Flips of the first 16 bits of a version 4 address by those bits: half of its blocks are
    /// the same for all addresses of a network.
    top: Box<[u16]>,
}

impl CryptoPan {
    /// The first half of `key` is the AES key, the second becomes the pad.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let (mut aes, mut pad) = ([0; 16], [0; 16]);
        aes.copy_from_slice(&key[..16]);
        pad.copy_from_slice(&key[16..]);
        let cipher = Aes128::new(&aes.into());
        let mut block = Block::<Aes128>::from(pad);
        cipher.encrypt_block(&mut block);
        let mut pan = CryptoPan { cipher, pad: block.into(), top: Box::default() };
        pan.top = pan.top_flips();
        pan
    }

    /// Fills [`CryptoPan::top`], bit after bit for all that comes before it.
    fn top_flips(&self) -> Box<[u16]> {
        let pad = u128::from_be_bytes(self.pad);
        let mut flips: Vec<u16> = vec![0];
        for bit in 0..16 {
            let known = u128::MAX.checked_shl(128 - bit).unwrap_or(0);
            let block = |prefix: usize| {
                let prefix = (prefix as u128).checked_shl(128 - bit).unwrap_or(0);
                Block::<Aes128>::from((prefix | (pad & !known)).to_be_bytes())
            };
            let mut blocks: Vec<_> = (0..flips.len()).map(block).collect();
            self.cipher.encrypt_blocks(&mut blocks);
            let both = |(old, block): (&u16, &Block<Aes128>)| {
                let new = old | u16::from(block[0] >> 7) << (15 - bit);
                [new, new]
            };
            flips = flips.iter().zip(&blocks).flat_map(both).collect();
        }
        flips.into()
    }

    /// The pseudonym of an address, of the same family.
    pub(crate) fn pseudonym(&self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(a) => {
                let bits = u32::from(a);
                let low = self.flips::<16>(u128::from(bits) << 96, 16) >> 96;
                let top = self.top[(bits >> 16) as usize]; // all 16 bits have an entry
                Ipv4Addr::from(bits ^ u32::from(top) << 16 ^ low as u32).into()
            }
            IpAddr::V6(a) => {
                let bits = u128::from(a);
                Ipv6Addr::from(bits ^ self.flips::<128>(bits, 0)).into()
            }
        }
    }

    /// Which of the `N` bits from `start` on flip; `address` holds its bits at the top.
    fn flips<const N: usize>(&self, address: u128, start: usize) -> u128 {
        let pad = u128::from_be_bytes(self.pad);
        let mut blocks = [Block::<Aes128>::default(); N];
        for (i, block) in blocks.iter_mut().enumerate() {
            let known = u128::MAX.checked_shl(128 - (start + i) as u32).unwrap_or(0);
            *block = ((address & known) | (pad & !known)).to_be_bytes().into();
        }
        self.cipher.encrypt_blocks(&mut blocks);
        let flip = |bits: u128, (i, block): (usize, &Block<Aes128>)| {
            bits | u128::from(block[0] >> 7) << (127 - start - i)
        };
        blocks.iter().enumerate().fold(0, flip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Key and traces of the authors' distribution (Crypto-PAn 1.0: `sample.cpp`,
    /// `sample_trace_raw.dat`, `sample_trace_sanitized.dat`).
    const SAMPLE_KEY: [u8; 32] = [
        21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16, 216, 152, 143, 131,
        121, 121, 101, 39, 98, 87, 76, 45, 42, 132, 34, 2,
    ];
    const SAMPLE_TRACE: &[(&str, &str)] = &[
        ("128.11.68.132", "135.242.180.132"),
        ("129.118.74.4", "134.136.186.123"),
        ("130.132.252.244", "133.68.164.234"),
        ("141.223.7.43", "141.167.8.160"),
        ("141.233.145.108", "141.129.237.235"),
        ("152.163.225.39", "151.140.114.167"),
        ("156.29.3.236", "147.225.12.42"),
        ("165.247.96.84", "162.9.99.234"),
        ("166.107.77.190", "160.132.178.185"),
        ("192.102.249.13", "252.138.62.131"),
        ("192.215.32.125", "252.43.47.189"),
        ("192.233.80.103", "252.25.108.8"),
        ("192.41.57.43", "252.222.221.184"),
        ("193.150.244.223", "253.169.52.216"),
        ("195.205.63.100", "255.186.223.5"),
        ("198.200.171.101", "249.199.68.213"),
        ("198.26.132.101", "249.36.123.202"),
        ("198.36.213.5", "249.7.21.132"),
        ("198.51.77.238", "249.18.186.254"),
        ("199.217.79.101", "248.38.184.213"),
        ("202.49.198.20", "245.206.7.234"),
        ("203.12.160.252", "244.248.163.4"),
        ("204.184.162.189", "243.192.77.90"),
        ("204.202.136.230", "243.178.4.198"),
        ("204.29.20.4", "243.33.20.123"),
        ("205.178.38.67", "242.108.198.51"),
        ("205.188.147.153", "242.96.16.101"),
        ("205.188.248.25", "242.96.88.27"),
        ("205.245.121.43", "242.21.121.163"),
        ("207.105.49.5", "241.118.205.138"),
        ("207.135.65.238", "241.202.129.222"),
        ("207.155.9.214", "241.220.250.22"),
        ("207.188.7.45", "241.255.249.220"),
        ("207.25.71.27", "241.33.119.156"),
        ("207.33.151.131", "241.1.233.131"),
        ("208.147.89.59", "227.237.98.191"),
        ("208.234.120.210", "227.154.67.17"),
        ("208.28.185.184", "227.39.94.90"),
        ("208.52.56.122", "227.8.63.165"),
        ("209.12.231.7", "226.243.167.8"),
        ("209.238.72.3", "226.6.119.243"),
    ];

    #[test]
    fn agrees_with_the_authors_trace() {
        let pan = CryptoPan::new(&SAMPLE_KEY);
        for (raw, sanitized) in SAMPLE_TRACE {
            let raw: IpAddr = raw.parse().unwrap();
            assert_eq!(pan.pseudonym(raw).to_string(), *sanitized, "{raw}");
        }
    }

    fn shared(a: u128, b: u128) -> u32 {
        (a ^ b).leading_zeros()
    }

    proptest! {
        #[test]
        fn prefixes_are_preserved(key: [u8; 32], a: u128, b: u128, common in 0u32..=128) {
            let pan = CryptoPan::new(&key);
            let mask = u128::MAX.checked_shr(common).unwrap_or(0);
            let b = (a & !mask) | (b & mask);
            let v6 = |x: u128| match pan.pseudonym(Ipv6Addr::from(x).into()) {
                IpAddr::V6(p) => u128::from(p),
                IpAddr::V4(_) => unreachable!(),
            };
            prop_assert_eq!(shared(v6(a), v6(b)), shared(a, b));
            let v4 = |x: u32| match pan.pseudonym(Ipv4Addr::from(x).into()) {
                IpAddr::V4(p) => u32::from(p),
                IpAddr::V6(_) => unreachable!(),
            };
            let (a, b) = ((a >> 96) as u32, (b >> 96) as u32);
            prop_assert_eq!((v4(a) ^ v4(b)).leading_zeros(), (a ^ b).leading_zeros());
        }
    }
}
