//! Address lookup: every rule whose prefix holds the address, longest first.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use foldhash::fast::FixedState;
use ottoscope_flow::{Timestamp, Transport};

use crate::day::Validity;

/// An address prefix of an app: weak evidence, since addresses change hands and serve many.
#[derive(Debug, Clone, PartialEq)]
pub struct PrefixRule {
    /// The app's id.
    pub app: Arc<str>,
    /// The service behind it.
    pub service: Option<Arc<str>>,
    /// The prefix as the catalogue writes it.
    pub prefix: Arc<str>,
    /// Only flows over this.
    pub transport: Option<Transport>,
    /// Only flows to these server ports; any where empty.
    pub ports: Vec<u16>,
    /// Only flows of this protocol.
    pub protocol: Option<Box<str>>,
    /// 0 to 1.
    pub confidence: f32,
    /// Where the entry comes from.
    pub source: Option<Arc<str>>,
    pub(crate) validity: Validity,
}

impl PrefixRule {
    /// Whether the rule speaks of such a flow at such a time.
    pub fn applies(&self, at: Timestamp, transport: Transport, port: u16, protocol: &str) -> bool {
        self.transport.is_none_or(|t| t == transport)
            && (self.ports.is_empty() || self.ports.contains(&port))
            && self.protocol.as_deref().is_none_or(|p| p == protocol)
            && self.validity.holds(at)
    }
}

/// Where IPv4 lies.
const MAPPED: u128 = 0xffff << 32;

/// Prefixes by length and masked bits; IPv4 lies at `::ffff:0:0/96`.
#[derive(Debug, Clone, Default)]
pub(crate) struct PrefixIndex {
    /// Which addresses of version 4 some rule may hold, by their upper 16 bits: most are of no
    /// app, and each length would cost a look.
    blocks: Vec<u64>,
    rules: Vec<PrefixRule>,
    by_bits: HashMap<(u8, u128), Vec<usize>, FixedState>,
    lengths: Vec<u8>,
}

impl PrefixIndex {
    pub(crate) fn insert(&mut self, rule: PrefixRule) -> Result<(), String> {
        let (bits, length) = read(&rule.prefix)?;
        self.mark(bits, length);
        self.by_bits.entry((length, bits)).or_default().push(self.rules.len());
        self.rules.push(rule);
        if let Err(at) = self.lengths.binary_search_by(|l| length.cmp(l)) {
            self.lengths.insert(at, length);
        }
        Ok(())
    }

    /// Marks the blocks of IPv4 that a prefix has a part in.
    fn mark(&mut self, bits: u128, length: u8) {
        let blocks = match length {
            0..96 if mask(MAPPED, length) == bits => 0..=u16::MAX,
            96.. if mask(bits, 96) == MAPPED => {
                let first = (bits >> 16) as u16;
                first..=first | u16::MAX.checked_shr(u32::from(length) - 96).unwrap_or(0)
            }
            _ => return,
        };
        self.blocks.resize(1 << 10, 0);
        for block in blocks {
            self.blocks[usize::from(block >> 6)] |= 1 << (block & 63);
        }
    }

    /// Whether no rule holds the address.
    fn is_nobodys(&self, address: IpAddr) -> bool {
        let IpAddr::V4(address) = address else { return false };
        let block = address.to_bits() >> 16;
        self.blocks.get((block >> 6) as usize).is_none_or(|word| word >> (block & 63) & 1 == 0)
    }

    /// Rules whose prefix holds the address, longest prefix first.
    pub(crate) fn lookup(&self, address: IpAddr) -> impl Iterator<Item = &PrefixRule> {
        let bits = bits(address);
        let lengths = if self.is_nobodys(address) { &[] } else { &self.lengths[..] };
        lengths
            .iter()
            .filter_map(move |&length| self.by_bits.get(&(length, mask(bits, length))))
            .flatten()
            .map(|&i| &self.rules[i])
    }

    /// Whether the text is a prefix.
    pub(crate) fn check(text: &str) -> Result<(), String> {
        read(text).map(drop)
    }

    pub(crate) fn rules(&self) -> &[PrefixRule] {
        &self.rules
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(a) => a.to_ipv6_mapped().to_bits(),
        IpAddr::V6(a) => a.to_bits(),
    }
}

fn mask(bits: u128, length: u8) -> u128 {
    bits & u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
}

/// Masked bits and length of `address/length`, or of an address alone.
fn read(text: &str) -> Result<(u128, u8), String> {
    let error =
        || format!("`{text}` is not an address prefix such as 157.240.0.0/16 or 2a03:2880::/32");
    let (address, length) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
    let address: IpAddr = address.parse().map_err(|_| error())?;
    let full = if address.is_ipv4() { 32 } else { 128 };
    let length: u8 = match length {
        Some(text) => text.parse().ok().filter(|l| *l <= full).ok_or_else(error)?,
        None => full,
    };
    let length = length + (128 - full);
    let bits = bits(address);
    if mask(bits, length) == bits {
        Ok((bits, length))
    } else {
        let whole = Ipv6Addr::from_bits(mask(bits, length));
        let shown = whole.to_ipv4_mapped().map_or(IpAddr::V6(whole), IpAddr::V4);
        Err(format!("`{text}` has bits set behind its length: did you mean {shown}?"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(prefix: &str) -> PrefixRule {
        PrefixRule {
            app: "a".into(),
            service: None,
            prefix: prefix.into(),
            transport: None,
            ports: vec![],
            protocol: None,
            confidence: 0.3,
            source: None,
            validity: Validity::default(),
        }
    }

    #[test]
    fn the_longest_prefix_comes_first() {
        let mut index = PrefixIndex::default();
        for prefix in
            ["31.13.0.0/16", "31.13.86.0/24", "31.13.86.48", "2a03:2880::/32", "0.0.0.0/0"]
        {
            index.insert(rule(prefix)).unwrap();
        }
        let check = |address: &str, expected: &[&str]| {
            let found: Vec<&str> =
                index.lookup(address.parse().unwrap()).map(|r| &*r.prefix).collect();
            assert_eq!(found, expected, "{address}");
        };
        check("31.13.86.48", &["31.13.86.48", "31.13.86.0/24", "31.13.0.0/16", "0.0.0.0/0"]);
        check("31.13.86.49", &["31.13.86.0/24", "31.13.0.0/16", "0.0.0.0/0"]);
        check("8.8.8.8", &["0.0.0.0/0"]);
        check("2a03:2880:f003::1", &["2a03:2880::/32"]);
        check("::1", &[]);
    }

    #[test]
    fn no_block_is_passed_over() {
        for (prefix, inside, outside) in [
            ("10.0.0.0/7", ["10.0.0.0", "11.255.255.255"], ["9.255.255.255", "12.0.0.0"]),
            ("31.13.0.0/16", ["31.13.0.0", "31.13.255.255"], ["31.12.255.255", "31.14.0.0"]),
            ("31.13.128.0/17", ["31.13.128.0", "31.13.255.255"], ["31.13.127.255", "31.14.0.0"]),
            ("255.255.255.255", ["255.255.255.255"; 2], ["255.255.255.254", "0.0.0.0"]),
            ("::ffff:0:0/97", ["0.0.0.0", "127.255.255.255"], ["128.0.0.0", "::1"]),
            ("::/80", ["0.0.0.0", "255.255.255.255"], ["::1:0:0:0", "1::"]),
        ] {
            let mut index = PrefixIndex::default();
            index.insert(rule(prefix)).unwrap();
            let holds = |a: &str| index.lookup(a.parse().unwrap()).count() == 1;
            assert!(inside.iter().all(|a| holds(a)), "{prefix}");
            assert!(!outside.iter().any(|a| holds(a)), "{prefix}");
        }
    }

    #[test]
    fn bad_prefixes_say_why() {
        for bad in ["", "a", "1.2.3.4/33", "1.2.3.4/24", "::/129", "1.2.3.4/-1"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read("1.2.3.4/24").unwrap_err().contains("did you mean 1.2.3.0?"));
    }
}
