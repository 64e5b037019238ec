//! Which addresses are people's, and what is written in their place.
//!
//! A study keeps no subscriber's address unless it says so. What counts as a subscriber's:
//!
//! * the client's side of every flow, whatever its address;
//! * any address within the study's `clients` prefixes, on either side, in DNS answers and in
//!   message details; where the study names none, private, shared (RFC 6598), link-local and
//!   unique local addresses, and both ends of a flow whose client could only be guessed;
//! * outer addresses of tunnels other than GTP-U and VXLAN, whose ends are network elements;
//! * IPv6 addresses that carry another identity, on either side: 6to4, Teredo and ISATAP hold an
//!   IPv4 address, and an EUI-64 interface identifier holds a MAC address. Of the last, where
//!   it is a server's, the network half stays;
//! * addresses inside messages (STUN's mapped address is the subscriber's public one), unless
//!   they are the flow's server or a DNS answer;
//! * PTR query names (`4.3.2.1.in-addr.arpa`) of such addresses.
//!
//! Not covered, and to be known before tables leave the house: payload bytes that the study
//! asks to keep (`head-bytes`, `sample-bytes`), names (also mDNS names of devices), user
//! agents, TEIDs, exact times and sizes, and peers of direct calls outside the `clients`
//! prefixes. Crypto-PAn keeps prefixes by design, so that whoever can send known traffic into
//! the vantage point learns the pseudonyms of neighbouring networks; `hash` does not.
//!
//! A pseudonym never looks like an address that could be looked up: `~135.242.180.132` or 32
//! hexadecimal digits. The same address has the same pseudonym in all tables of a study.

use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use arrayvec::ArrayString;
use ottoscope_flow::{Prefix, Side};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::cryptopan::CryptoPan;
use crate::secret::Secret;

/// What becomes of clients' addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAddresses {
    /// Crypto-PAn: addresses of one network keep a common prefix.
    #[default]
    Pseudonym,
    /// Keyed hash of 128 bits: nothing of the address is kept.
    Hash,
    /// In clear, for captures of one's own and for tests.
    Keep,
}

/// An address or pseudonym as text, without allocation. The longest is `~` and 45 characters of an
/// IPv4-mapped address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AddressText(ArrayString<47>);

impl AddressText {
    fn new(text: fmt::Arguments<'_>) -> Self {
        let mut this = ArrayString::new();
        let _ = this.write_fmt(text);
        AddressText(this)
    }

    /// The address behind `prefix`, which is short. Addresses of version 4, which nearly all
    /// are, are written without the machinery of `fmt`.
    fn of(prefix: &str, address: IpAddr) -> Self {
        let IpAddr::V4(v4) = address else {
            return AddressText::new(format_args!("{prefix}{address}"));
        };
        let mut this = ArrayString::new();
        this.push_str(prefix);
        for octet in v4.octets() {
            this.push_str(OCTETS[usize::from(octet)]);
        }
        this.truncate(this.len() - 1);
        AddressText(this)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AddressText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for AddressText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Each octet in three digits with a dot behind.
const DIGITS: &[[u8; 4]; 256] = &{
    let mut octets = [[0; 4]; 256];
    let mut i = 0;
    while i < 256 {
        let (hundreds, tens, ones) = ((i / 100) as u8, (i / 10 % 10) as u8, (i % 10) as u8);
        octets[i] = [b'0' + hundreds, b'0' + tens, b'0' + ones, b'.'];
        i += 1;
    }
    octets
};

/// The same as texts, without leading zeros.
static OCTETS: [&str; 256] = {
    let mut octets = [""; 256];
    let mut i = 0;
    while i < 256 {
        let zeros = match i {
            0..10 => 2,
            10..100 => 1,
            _ => 0,
        };
        if let Ok(text) = str::from_utf8(DIGITS[i].split_at(zeros).1) {
            octets[i] = text;
        }
        i += 1;
    }
    octets
};

/// Keys and rules, shared by workers.
struct Rules {
    mode: ClientAddresses,
    clients: Vec<Prefix>,
    pan: CryptoPan,
    hash: [u8; 32],
}

/// Pseudonyms kept, of 66 bytes each: what stays in a core's cache, since an AES of sixteen
/// blocks costs less than waiting for memory.
const CACHE: usize = 1 << 10;

/// Writes addresses as the study wants them. One per worker: it remembers pseudonyms of
/// addresses last seen.
pub struct Pseudonyms {
    rules: Arc<Rules>,
    /// Each address has one place, where it follows another.
    known: Box<[(IpAddr, AddressText)]>,
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pseudonyms").field("mode", &self.rules.mode).finish_non_exhaustive()
    }
}

impl Clone for Pseudonyms {
    /// Same keys and rules, empty memory.
    fn clone(&self) -> Self {
        Pseudonyms::of(self.rules.clone())
    }
}

impl Pseudonyms {
    /// By the study's secret, its choice and its `clients` prefixes.
    pub fn new(secret: &Secret, mode: ClientAddresses, clients: Vec<Prefix>) -> Self {
        let pan = CryptoPan::new(&secret.derive("crypto-pan"));
        let hash = secret.derive("address-hash");
        let rules = Arc::new(Rules { mode, clients, pan, hash });
        Pseudonyms::of(rules)
    }

    fn of(rules: Arc<Rules>) -> Self {
        let none = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let nobody = (none, rules.pseudonym(none));
        Pseudonyms { rules, known: vec![nobody; CACHE].into() }
    }

    /// Whether addresses are written in clear.
    pub fn in_clear(&self) -> bool {
        self.rules.mode == ClientAddresses::Keep
    }

    /// A client's address.
    pub fn client(&mut self, address: IpAddr) -> AddressText {
        if self.in_clear() {
            return AddressText::of("", address);
        }
        let known = &mut self.known[place(address)];
        if known.0 != address {
            *known = (address, self.rules.pseudonym(address));
        }
        known.1
    }

    /// A server's address, of a flow whose client was told by `side`.
    pub fn server(&mut self, address: IpAddr, side: Side) -> AddressText {
        let guessed = side == Side::First && self.rules.clients.is_empty();
        if guessed && is_person(address) { self.client(address) } else { self.any(address) }
    }

    /// An address that is a client's if the study's prefixes say so, and otherwise stays.
    pub fn any(&mut self, address: IpAddr) -> AddressText {
        if self.in_clear() {
            return AddressText::of("", address);
        }
        if self.is_client(address) {
            return self.client(address);
        }
        match address {
            IpAddr::V6(v6) if is_eui64(v6) => {
                let (net, digest) = (u128::from(v6) >> 64 << 64, self.rules.digest(address));
                let host = u128::from_be_bytes(digest) >> 64;
                AddressText::new(format_args!("{}", Ipv6Addr::from(net | host)))
            }
            _ => AddressText::of("", address),
        }
    }

    /// An address from inside a message: it tells where someone is unless proven otherwise.
    pub fn inner(&mut self, address: IpAddr) -> AddressText {
        if is_person(address) { self.client(address) } else { self.any(address) }
    }

    /// An outer address of a tunnel of this kind. Ends of GTP-U and VXLAN are network elements.
    pub fn outer(&mut self, kind: &str, address: IpAddr) -> AddressText {
        if matches!(kind, "gtp-u" | "vxlan") {
            return AddressText::of("", address);
        }
        self.inner(address)
    }

    /// Whether the study's prefixes, or the kind of address, make it a client's.
    pub fn is_client(&self, address: IpAddr) -> bool {
        if !is_person(address) {
            return false;
        }
        let address = address.to_canonical();
        let listed = if self.rules.clients.is_empty() {
            is_local(address)
        } else {
            self.rules.clients.iter().any(|prefix| prefix.contains(address))
        };
        listed || matches!(address, IpAddr::V6(v6) if embeds_ipv4(v6))
    }

    /// Appends the PTR query name that stands for `name` to `out`, if that is one of a client's
    /// address; whether it is.
    pub fn ptr_name(&mut self, name: &str, out: &mut String) -> bool {
        if self.in_clear() {
            return false;
        }
        let Some(address) = address_of_ptr(name).filter(|address| self.is_client(*address)) else {
            return false;
        };
        let text = self.client(address);
        match text.as_str().strip_prefix('~').and_then(self::address) {
            Some(IpAddr::V4(a)) => {
                let [a, b, c, d] = a.octets();
                out.push_str(AddressText::of("~.", Ipv4Addr::new(d, c, b, a).into()).as_str());
            }
            Some(IpAddr::V6(a)) => {
                out.push('~');
                let bits = u128::from(a);
                for i in 0..32 {
                    let _ = write!(out, ".{:x}", bits >> (4 * i) & 0xf);
                }
            }
            None => out.push_str(text.as_str()),
        }
        out.push_str(if address.is_ipv4() { ".in-addr.arpa" } else { ".ip6.arpa" });
        true
    }

    /// Appends `text` to `out`, with pseudonyms in place of clients' addresses written in it
    /// and of `client`, which is one by its flow.
    pub fn scrub(&mut self, text: &str, client: Option<IpAddr>, out: &mut String) {
        if self.in_clear() || !may_hold_address(text) {
            out.push_str(text);
            return;
        }
        let mut rest = text;
        while !rest.is_empty() {
            // Parts of addresses are single bytes, so that what they end or begin is whole.
            let part_of = |byte: u8| PART_OF_ADDRESS[usize::from(byte)];
            let next = rest.bytes().position(part_of).unwrap_or(rest.len());
            out.push_str(&rest[..next]);
            rest = &rest[next..];
            let end = rest.bytes().position(|byte| !part_of(byte)).unwrap_or(rest.len());
            let word = &rest[..end];
            rest = &rest[end..];
            match find_address(word) {
                Some((address, tail)) if Some(address) == client || self.is_client(address) => {
                    let _ = write!(out, "{}{tail}", self.client(address));
                }
                _ => out.push_str(word),
            }
        }
    }
}

/// Where an address is remembered.
fn place(address: IpAddr) -> usize {
    let bits = match address {
        IpAddr::V4(a) => u64::from(u32::from(a)),
        IpAddr::V6(a) => (u128::from(a) ^ u128::from(a) >> 64) as u64,
    };
    let mixed = bits.wrapping_mul(0x9e37_79b9_7f4a_7c15); // 2^64 by the golden ratio
    (mixed >> 32) as usize % CACHE
}

impl Rules {
    fn pseudonym(&self, address: IpAddr) -> AddressText {
        match self.mode {
            ClientAddresses::Keep => AddressText::of("", address),
            ClientAddresses::Pseudonym => AddressText::of("~", self.pan.pseudonym(address)),
            ClientAddresses::Hash => {
                AddressText::new(format_args!("{:032x}", u128::from_be_bytes(self.digest(address))))
            }
        }
    }

    /// The first 128 bits of SHA-256 of key, family and address, all of fixed length.
    fn digest(&self, address: IpAddr) -> [u8; 16] {
        let mut hash = Sha256::new();
        hash.update(self.hash);
        match address {
            IpAddr::V4(a) => {
                hash.update([4]);
                hash.update(a.octets());
            }
            IpAddr::V6(a) => {
                hash.update([6]);
                hash.update(a.octets());
            }
        }
        let digest: [u8; 32] = hash.finalize().into();
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        half
    }
}

/// A key for what `clients` and `servers` columns hold: addresses as they are, pseudonyms as
/// unique local addresses, so that no pseudonym is ever taken for somebody's network.
pub fn address_key(text: &str) -> Option<IpAddr> {
    const LOCAL: u128 = 0xfd << 120;
    if let Some(pseudonym) = text.strip_prefix('~') {
        let bits = match address(pseudonym)? {
            IpAddr::V4(a) => u128::from(u32::from(a)) | 1 << 112,
            IpAddr::V6(a) => u128::from(a) << 8 >> 8 ^ u128::from(a) >> 120,
        };
        return Some(Ipv6Addr::from(LOCAL | bits).into());
    }
    if text.len() == 32 {
        let bits = u128::from_str_radix(text, 16).ok()?;
        return Some(Ipv6Addr::from(LOCAL | bits << 8 >> 8).into());
    }
    address(text)
}

/// The address that a text is. Those of version 4 are read without the machinery of `parse`.
fn address(text: &str) -> Option<IpAddr> {
    four_octets(text.as_bytes()).map(IpAddr::from).or_else(|| text.parse().ok())
}

/// Four numbers of up to three digits with dots between, none above 255 or with a zero in front.
fn four_octets(text: &[u8]) -> Option<[u8; 4]> {
    let (mut octets, mut at) = ([0; 4], 0);
    for (which, octet) in octets.iter_mut().enumerate() {
        let digit =
            |at: usize| text.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|d| *d < 10);
        let mut value = u16::from(digit(at)?);
        at += 1;
        if value > 0
            && let Some(second) = digit(at)
        {
            value = value * 10 + u16::from(second);
            at += 1;
            if let Some(third) = digit(at) {
                value = value * 10 + u16::from(third);
                at += 1;
            }
        }
        *octet = u8::try_from(value).ok()?;
        if which < 3 {
            if text.get(at) != Some(&b'.') {
                return None;
            }
            at += 1;
        }
    }
    (at == text.len()).then_some(octets)
}

/// Not a group, everyone, no one or the host itself.
fn is_person(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(a) => {
            !(a.is_multicast() || a.is_broadcast() || a.is_unspecified() || a.is_loopback())
        }
        IpAddr::V6(a) => !(a.is_multicast() || a.is_unspecified() || a.is_loopback()),
    }
}

/// Private (RFC 1918), shared (RFC 6598), link-local (RFC 3927, RFC 4291) and unique local
/// (RFC 4193).
fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => {
            let [first, second, ..] = a.octets();
            a.is_private() || a.is_link_local() || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(a) => a.is_unique_local() || a.is_unicast_link_local(),
    }
}

/// 6to4 (RFC 3056), Teredo (RFC 4380) and ISATAP (RFC 5214).
fn embeds_ipv4(address: Ipv6Addr) -> bool {
    let s = address.segments();
    s[0] == 0x2002 || (s[0] == 0x2001 && s[1] == 0) || (s[4] & !0x0300 == 0 && s[5] == 0x5efe)
}

/// An interface identifier made of a MAC address (RFC 4291, appendix A).
fn is_eui64(address: Ipv6Addr) -> bool {
    let o = address.octets();
    o[11] == 0xff && o[12] == 0xfe && o[8] & 0x02 != 0
}

/// The address that a PTR query name stands for.
fn address_of_ptr(name: &str) -> Option<IpAddr> {
    if let Some(labels) = name.strip_suffix(".in-addr.arpa") {
        if let Some([d, c, b, a]) = four_octets(labels.as_bytes()) {
            return Some(Ipv4Addr::new(a, b, c, d).into());
        }
        // However oddly it is written.
        let mut octets = [0; 4];
        let mut labels = labels.rsplit('.');
        for octet in &mut octets {
            *octet = labels.next()?.parse().ok()?;
        }
        return labels.next().is_none().then(|| Ipv4Addr::from(octets).into());
    }
    let labels = name.strip_suffix(".ip6.arpa")?;
    let mut bits: u128 = 0;
    let mut count = 0;
    for label in labels.rsplit('.') {
        let digit = label.chars().next().filter(|_| label.len() == 1)?.to_digit(16)?;
        bits = bits << 4 | u128::from(digit);
        count += 1;
    }
    (count == 32).then(|| Ipv6Addr::from(bits).into())
}

/// Which bytes addresses are written with.
static PART_OF_ADDRESS: [bool; 256] = {
    let mut part = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        part[byte] = (byte as u8).is_ascii_hexdigit() || matches!(byte as u8, b'.' | b':');
        byte += 1;
    }
    part
};

/// Whether text has what an address is made of: three dots and four digits, or two colons.
fn may_hold_address(text: &str) -> bool {
    let (mut dots, mut digits, mut colons) = (0, 0, 0);
    for byte in text.bytes() {
        dots += u32::from(byte == b'.');
        digits += u32::from(byte.is_ascii_digit());
        colons += u32::from(byte == b':');
    }
    (dots >= 3 && digits >= 4) || colons >= 2
}

/// The address that a word of hexadecimal digits, dots and colons begins with, and what is
/// left of it: a port, or the full stop of a sentence.
fn find_address(word: &str) -> Option<(IpAddr, &str)> {
    // Most words are parts of names and versions: three dots or two colons are the least.
    let (dots, colons) = word.bytes().fold((0, 0), |(dots, colons), byte| {
        (dots + u32::from(byte == b'.'), colons + u32::from(byte == b':'))
    });
    if dots < 3 && colons < 2 {
        return None;
    }
    let tail = |head: &str| &word[head.len()..];
    let trimmed = word.trim_end_matches('.');
    let host = || trimmed.rsplit_once(':').map(|(host, _)| host);
    [Some(trimmed), host()].into_iter().flatten().find_map(|head| {
        let head = head.trim_end_matches('.');
        let address = match colons {
            0 => four_octets(head.as_bytes())?.into(),
            _ => address(head)?,
        };
        Some((address, tail(head)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn study(mode: ClientAddresses, clients: &[&str]) -> Pseudonyms {
        let clients = clients.iter().map(|p| p.parse().unwrap()).collect();
        Pseudonyms::new(&Secret::from_bytes([5; 32]), mode, clients)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    const MODES: [ClientAddresses; 3] =
        [ClientAddresses::Pseudonym, ClientAddresses::Hash, ClientAddresses::Keep];

    #[test]
    fn pseudonyms_are_stable_and_no_addresses() {
        for mode in MODES {
            let mut names = study(mode, &[]);
            for address in ["10.0.0.1", "8.8.8.8", "2001:db8::1", "::ffff:10.0.0.1"] {
                let address = ip(address);
                let text = names.client(address);
                assert_eq!(names.client(address), text);
                assert_eq!(names.clone().client(address), text);
                let clear = mode == ClientAddresses::Keep;
                assert_eq!(text.as_str() == address.to_string(), clear);
                assert_eq!(text.as_str().parse::<IpAddr>().is_ok(), clear);
                let key = address_key(text.as_str()).unwrap();
                assert_eq!(key == address, clear);
                assert!(clear || matches!(key, IpAddr::V6(a) if a.is_unique_local()));
            }
        }
        let hashed = study(ClientAddresses::Hash, &[]).client(ip("10.0.0.1"));
        assert_eq!(hashed.as_str().len(), 32);
    }

    #[test]
    fn addresses_are_written_as_usual() {
        let check = |text: &str| {
            assert_eq!(AddressText::of("", ip(text)).as_str(), text);
            assert_eq!(AddressText::of("~", ip(text)).as_str(), format!("~{text}"));
        };
        check("0.0.0.0");
        check("255.255.255.255");
        check("1.20.100.9");
        check("10.99.109.190");
        check("2001:db8::1");
    }

    #[test]
    fn memory_is_bounded_and_forgetting_changes_nothing() {
        let mut names = study(ClientAddresses::Hash, &[]);
        let first = names.client(ip("0.0.0.1"));
        for i in 0..200_000u32 {
            names.client(Ipv4Addr::from(i).into());
        }
        assert_eq!(names.known.len(), CACHE);
        assert_ne!(names.known[place(ip("0.0.0.1"))].0, ip("0.0.0.1"));
        assert_eq!(names.client(ip("0.0.0.1")), first);
    }

    #[test]
    fn servers_stay_unless_they_are_people() {
        let check = |clients: &[&str], server: &str, side: Side, stays: bool| {
            for mode in MODES {
                let mut names = study(mode, clients);
                let text = names.server(ip(server), side);
                let expected = stays || mode == ClientAddresses::Keep;
                assert_eq!(text.as_str() == server, expected, "{server} {side:?} {clients:?}");
                if !expected && !text.as_str().starts_with("2001:db8:0:7:") {
                    assert_eq!(text, names.client(ip(server)));
                }
            }
        };
        check(&[], "157.240.1.53", Side::Syn, true);
        check(&[], "157.240.1.53", Side::First, false);
        check(&[], "224.0.0.251", Side::First, true);
        check(&[], "ff02::fb", Side::First, true);
        check(&[], "255.255.255.255", Side::First, true);
        check(&[], "192.168.1.1", Side::Port, false);
        check(&[], "100.64.0.1", Side::Port, false);
        check(&[], "fe80::1", Side::Port, false);
        check(&[], "::ffff:192.168.1.1", Side::Port, false);
        check(&["10.0.0.0/8"], "192.168.1.1", Side::Port, true);
        check(&["10.0.0.0/8"], "10.1.1.1", Side::Syn, false);
        check(&["10.0.0.0/8"], "157.240.1.53", Side::First, true);
        check(&["10.0.0.0/8"], "2002:a00:1::1", Side::Syn, false);
        check(&["10.0.0.0/8"], "2001:0:53aa:64c::1", Side::Syn, false);
        check(&["10.0.0.0/8"], "2001:db8::5efe:a00:1", Side::Syn, false);
        check(&["10.0.0.0/8"], "2001:db8:0:7:212:34ff:fe56:789a", Side::Syn, false);
        check(&["10.0.0.0/8"], "2001:db8:0:7:12:34ff:fe56:789a", Side::Syn, true);
        check(&["10.0.0.0/8"], "2a03:2880:f12d:83:face:b00c:0:25de", Side::Syn, true);
    }

    #[test]
    fn eui64_servers_keep_their_network() {
        let mut names = study(ClientAddresses::Pseudonym, &["10.0.0.0/8"]);
        let text = names.any(ip("2001:db8:0:7:212:34ff:fe56:789a"));
        assert!(text.as_str().starts_with("2001:db8:0:7:"), "{text}");
        assert!(!text.as_str().contains("ff:fe"), "{text}");
    }

    #[test]
    fn ptr_names_of_clients() {
        let mut names = study(ClientAddresses::Pseudonym, &["10.0.0.0/8", "2001:db8::/32"]);
        fn of(names: &mut Pseudonyms, name: &str) -> Option<String> {
            let mut out = String::new();
            names.ptr_name(name, &mut out).then_some(out)
        }
        assert_eq!(of(&mut names, "4.3.2.1.in-addr.arpa"), None);
        assert_eq!(of(&mut names, "example.com"), None);
        assert_eq!(of(&mut names, "1.10.in-addr.arpa"), None);
        assert_eq!(of(&mut names, "5.4.3.2.10.in-addr.arpa"), None);
        assert!(of(&mut names, "01.2.3.10.in-addr.arpa").is_some());
        let pseudonym = names.client(ip("10.3.2.1")).as_str()[1..].parse::<Ipv4Addr>().unwrap();
        let [a, b, c, d] = pseudonym.octets();
        assert_eq!(
            of(&mut names, "1.2.3.10.in-addr.arpa"),
            Some(format!("~.{d}.{c}.{b}.{a}.in-addr.arpa"))
        );
        let v6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        let name = of(&mut names, v6).unwrap();
        assert!(name.starts_with("~.") && name.ends_with(".ip6.arpa") && name != v6);
        assert_eq!(name.len(), v6.len() + 2);
        let mut keep = study(ClientAddresses::Keep, &[]);
        assert_eq!(of(&mut keep, "1.2.3.10.in-addr.arpa"), None);
        let mut hash = study(ClientAddresses::Hash, &[]);
        let hashed = of(&mut hash, "1.2.3.10.in-addr.arpa").unwrap();
        assert_eq!(hashed.len(), 32 + ".in-addr.arpa".len());
    }

    #[test]
    fn addresses_in_text() {
        let mut names = study(ClientAddresses::Pseudonym, &["10.0.0.0/8", "2001:db8::/32"]);
        let (v4, v6) = (names.client(ip("10.0.0.7")), names.client(ip("2001:db8::7")));
        let public = names.client(ip("198.51.100.4"));
        let mut check = |text: &str, expected: &str| {
            let mut out = String::new();
            names.scrub(text, Some(ip("198.51.100.4")), &mut out);
            assert_eq!(out, expected);
        };
        check("", "");
        check("1.2.3 no address: at 12:30", "1.2.3 no address: at 12:30");
        check("from 10.0.0.7", &format!("from {v4}"));
        check("10.0.0.7:5222,", &format!("{v4}:5222,"));
        check("It was 10.0.0.7.", &format!("It was {v4}."));
        check("[2001:db8::7]:443 über 157.240.1.53", &format!("[{v6}]:443 über 157.240.1.53"));
        check("candidate 198.51.100.4 9", &format!("candidate {public} 9"));
        check("....::::....", "....::::....");
    }
}
