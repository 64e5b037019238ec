//! Takes bytes out of samples by what they mean, so that a model can't learn from them.
//!
//! Every byte of a sample belongs to one [`Field`]; a [`Mask`] names fields. Where a field's
//! absence would still show in the place of what follows (a link header that only some captures
//! have), its bytes are cut out and the rest closes up; other fields become zeros in place.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::layers::{FILE_HEADER, Layers, Layout, span};

/// What a byte of a sample is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// Capture file header but for the link type.
    FileHeader,
    /// Link type in the capture file header.
    LinkType,
    /// Capture time of a record.
    Time,
    /// Captured and true length of a record.
    RecordLength,
    /// Link layer and outer tunnels.
    Link,
    /// What pads a frame.
    Trailer,
    /// IP version, header length, class of service.
    IpStart,
    /// IP length.
    IpLength,
    /// IPv4 identification, IPv6 flow label.
    IpId,
    /// IPv4 flags and fragment offset.
    IpFlags,
    /// Time to live or hop limit.
    Ttl,
    /// Protocol number or next header.
    IpProtocol,
    /// IPv4 header checksum.
    IpChecksum,
    /// Addresses.
    Addresses,
    /// IPv4 options and IPv6 extension headers.
    IpOptions,
    /// Source and destination port.
    Ports,
    /// TCP sequence and acknowledgement numbers.
    TcpNumbers,
    /// TCP header length and flags.
    TcpFlags,
    /// TCP window and urgent pointer.
    TcpWindow,
    /// TCP, UDP or SCTP checksum.
    TransportChecksum,
    /// Values of TCP's timestamp option.
    TcpTimestamps,
    /// Other TCP options.
    TcpOptions,
    /// UDP length.
    UdpLength,
    /// SCTP verification tag.
    SctpTag,
    /// Transaction id of a STUN message.
    StunId,
    /// What applications sent.
    Payload,
    /// Zeros behind the last packet.
    Padding,
}

impl Field {
    /// Every field, in order of the layers.
    pub const ALL: [Field; 27] = [
        Field::FileHeader,
        Field::LinkType,
        Field::Time,
        Field::RecordLength,
        Field::Link,
        Field::Trailer,
        Field::IpStart,
        Field::IpLength,
        Field::IpId,
        Field::IpFlags,
        Field::Ttl,
        Field::IpProtocol,
        Field::IpChecksum,
        Field::Addresses,
        Field::IpOptions,
        Field::Ports,
        Field::TcpNumbers,
        Field::TcpFlags,
        Field::TcpWindow,
        Field::TransportChecksum,
        Field::TcpTimestamps,
        Field::TcpOptions,
        Field::UdpLength,
        Field::SctpTag,
        Field::StunId,
        Field::Payload,
        Field::Padding,
    ];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Field::FileHeader => "file header",
            Field::LinkType => "link type",
            Field::Time => "time",
            Field::RecordLength => "record length",
            Field::Link => "link layer",
            Field::Trailer => "frame padding",
            Field::IpStart => "IP version and class",
            Field::IpLength => "IP length",
            Field::IpId => "IP id",
            Field::IpFlags => "IP flags",
            Field::Ttl => "TTL",
            Field::IpProtocol => "IP protocol",
            Field::IpChecksum => "IP checksum",
            Field::Addresses => "addresses",
            Field::IpOptions => "IP options",
            Field::Ports => "ports",
            Field::TcpNumbers => "TCP seq and ack",
            Field::TcpFlags => "TCP flags",
            Field::TcpWindow => "TCP window",
            Field::TransportChecksum => "TCP/UDP checksum",
            Field::TcpTimestamps => "TCP timestamps",
            Field::TcpOptions => "TCP options",
            Field::UdpLength => "UDP length",
            Field::SctpTag => "SCTP tag",
            Field::StunId => "STUN transaction id",
            Field::Payload => "payload",
            Field::Padding => "padding",
        }
    }
}

/// Fields under one name on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mask {
    /// Headers of the capture file and of its records, times included.
    CaptureHeader,
    /// Link layer, outer tunnels, padding of frames.
    Link,
    /// IP addresses.
    Addresses,
    /// Ports.
    Ports,
    /// IP identification and flow label.
    IpId,
    /// Time to live.
    Ttl,
    /// Checksums, which repeat what other masks hide.
    Checksums,
    /// TCP sequence and acknowledgement numbers, and timestamps.
    Tcp,
    /// STUN transaction ids.
    Stun,
    /// Lengths in record, IP and UDP headers.
    Lengths,
    /// All headers: what is left is what applications sent.
    Headers,
}

impl Mask {
    /// Every mask.
    pub const ALL: [Mask; 11] = [
        Mask::CaptureHeader,
        Mask::Link,
        Mask::Addresses,
        Mask::Ports,
        Mask::IpId,
        Mask::Ttl,
        Mask::Checksums,
        Mask::Tcp,
        Mask::Stun,
        Mask::Lengths,
        Mask::Headers,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Mask::CaptureHeader => "capture-header",
            Mask::Link => "link",
            Mask::Addresses => "addresses",
            Mask::Ports => "ports",
            Mask::IpId => "ip-id",
            Mask::Ttl => "ttl",
            Mask::Checksums => "checksums",
            Mask::Tcp => "tcp",
            Mask::Stun => "stun",
            Mask::Lengths => "lengths",
            Mask::Headers => "headers",
        }
    }

    /// Which bytes it covers.
    pub fn covers(self, field: Field) -> bool {
        use Field as F;
        match self {
            Mask::CaptureHeader => {
                matches!(field, F::FileHeader | F::LinkType | F::Time | F::RecordLength)
            }
            Mask::Link => matches!(field, F::Link | F::Trailer),
            Mask::Addresses => field == F::Addresses,
            Mask::Ports => field == F::Ports,
            Mask::IpId => field == F::IpId,
            Mask::Ttl => field == F::Ttl,
            Mask::Checksums => matches!(field, F::IpChecksum | F::TransportChecksum),
            Mask::Tcp => matches!(field, F::TcpNumbers | F::TcpTimestamps | F::SctpTag),
            Mask::Stun => field == F::StunId,
            Mask::Lengths => matches!(field, F::RecordLength | F::IpLength | F::UdpLength),
            Mask::Headers => !matches!(field, F::StunId | F::Payload | F::Padding),
        }
    }

    /// Whether its bytes are cut out, and not only made zero.
    pub fn cuts(self) -> bool {
        matches!(self, Mask::CaptureHeader | Mask::Link | Mask::Headers)
    }
}

impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Mask {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Mask::ALL.into_iter().find(|mask| mask.name() == name).ok_or_else(|| {
            let names: Vec<&str> = Mask::ALL.iter().map(|mask| mask.name()).collect();
            format!("no mask {name:?}; there are {}", names.join(", "))
        })
    }
}

/// Some masks together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Masks(pub BTreeSet<Mask>);

impl Masks {
    /// Nothing is hidden.
    pub fn none() -> Self {
        Masks::default()
    }

    /// The default: whatever says who, where or when and not what.
    pub fn honest() -> Self {
        let all = Mask::ALL.into_iter();
        Masks(all.filter(|mask| !matches!(mask, Mask::Lengths | Mask::Headers)).collect())
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }

    fn blanks(&self, field: Field) -> bool {
        self.0.iter().any(|mask| !mask.cuts() && mask.covers(field))
    }

    fn cuts(&self, field: Field) -> bool {
        self.0.iter().any(|mask| mask.cuts() && mask.covers(field))
    }

    /// Hides what is covered of one sample: in place, then closing up, zeros behind. Gives the
    /// bytes that stay in front of the padding, and the layers where they are then.
    pub fn apply(&self, sample: &mut [u8], layout: &Layout) -> (usize, Layout) {
        let fields = fields(sample, layout);
        let mut kept = 0;
        // Where each byte went; one more than there are, for the ends of layers.
        let mut places = Vec::with_capacity(sample.len() + 1);
        for (at, field) in fields.iter().enumerate() {
            places.push(kept as u32);
            if !self.cuts(*field) {
                sample[kept] = if self.blanks(*field) { 0 } else { sample[at] };
                kept += 1;
            }
        }
        places.push(kept as u32);
        sample[kept..].fill(0);
        let width = sample.len();
        let place = |at: u32| places[(at as usize).min(width)];
        let moved = |layers: &Layers| Layers {
            record: place(layers.record),
            link: place(layers.link),
            network: place(layers.network),
            transport: place(layers.transport),
            payload: place(layers.payload),
            trailer: place(layers.trailer),
            end: place(layers.end),
            protocol: layers.protocol,
        };
        let packets: Vec<Layers> = layout.packets.iter().map(moved).collect();
        let moved = Layout { header: place(layout.header), packets };
        (moved.filled(kept), moved)
    }
}

/// What each byte of a sample is.
pub fn fields(sample: &[u8], layout: &Layout) -> Vec<Field> {
    let width = sample.len();
    let mut out = vec![Field::Padding; width];
    let mut paint = |from: usize, to: usize, field: Field| out[span(from, to, width)].fill(field);
    let header = layout.header as usize;
    paint(0, header, Field::FileHeader);
    if header == FILE_HEADER {
        paint(20, header, Field::LinkType);
    }
    for layers in &layout.packets {
        packet(sample, layers, &mut paint);
    }
    out
}

/// Says what each byte of a packet is; a later word on a byte counts.
fn packet(sample: &[u8], layers: &Layers, paint: &mut impl FnMut(usize, usize, Field)) {
    let [record, link, network, transport, payload, trailer, end] = [
        layers.record,
        layers.link,
        layers.network,
        layers.transport,
        layers.payload,
        layers.trailer,
        layers.end,
    ]
    .map(|at| at as usize);
    paint(record, link, Field::RecordLength);
    paint(record, link.min(record + 8), Field::Time);
    paint(link, network, Field::Link);
    ip(sample, network, transport, paint);
    paint(transport, payload, Field::IpOptions);
    let mut part = |from: usize, to: usize, field: Field| {
        paint((transport + from).min(payload), (transport + to).min(payload), field);
    };
    match layers.protocol {
        6 => {
            part(0, 4, Field::Ports);
            part(4, 12, Field::TcpNumbers);
            part(12, 14, Field::TcpFlags);
            part(14, 16, Field::TcpWindow);
            part(16, 18, Field::TransportChecksum);
            part(18, 20, Field::TcpWindow);
            part(20, usize::MAX - transport, Field::TcpOptions);
            let options = sample.get(span(transport + 20, payload, sample.len()));
            for at in timestamps(options.unwrap_or_default()) {
                part(20 + at, 28 + at, Field::TcpTimestamps);
            }
        }
        17 => {
            part(0, 4, Field::Ports);
            part(4, 6, Field::UdpLength);
            part(6, 8, Field::TransportChecksum);
        }
        132 => {
            part(0, 4, Field::Ports);
            part(4, 8, Field::SctpTag);
            part(8, 12, Field::TransportChecksum);
        }
        _ => {}
    }
    paint(payload, trailer, Field::Payload);
    // RFC 8489, 5: cookie at 4, twelve bytes of id behind it; over TCP two bytes further
    // (RFC 4571).
    for at in [payload, payload + 2] {
        let cookie = sample.get(at + 4..at + 8) == Some(&[0x21, 0x12, 0xa4, 0x42]);
        if cookie && at + 20 <= trailer && sample.get(at).is_some_and(|first| first >> 6 == 0) {
            paint(at + 8, at + 20, Field::StunId);
            break;
        }
    }
    paint(trailer, end, Field::Trailer);
}

/// An IP header of either version, with options or extensions up to `transport`.
fn ip(
    sample: &[u8],
    network: usize,
    transport: usize,
    paint: &mut impl FnMut(usize, usize, Field),
) {
    paint(network, transport, Field::IpOptions);
    let mut part = |from: usize, to: usize, field: Field| {
        paint((network + from).min(transport), (network + to).min(transport), field);
    };
    match sample.get(network).map(|first| first >> 4) {
        Some(4) => {
            part(0, 2, Field::IpStart);
            part(2, 4, Field::IpLength);
            part(4, 6, Field::IpId);
            part(6, 8, Field::IpFlags);
            part(8, 9, Field::Ttl);
            part(9, 10, Field::IpProtocol);
            part(10, 12, Field::IpChecksum);
            part(12, 20, Field::Addresses);
        }
        Some(6) => {
            part(0, 1, Field::IpStart);
            // Half of the second byte is class of service; the flow label weighs more.
            part(1, 4, Field::IpId);
            part(4, 6, Field::IpLength);
            part(6, 7, Field::IpProtocol);
            part(7, 8, Field::Ttl);
            part(8, 40, Field::Addresses);
        }
        _ => {}
    }
}

/// Where the values of timestamp options start among TCP options (RFC 7323, 3.2).
fn timestamps(options: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(kind) = options.get(at) {
        match (kind, options.get(at + 1)) {
            (0, _) => break,
            (1, _) => at += 1,
            (_, Some(len @ 2..)) => {
                if (*kind, *len) == (8, 10) {
                    found.push(at + 2);
                }
                at += usize::from(*len);
            }
            _ => break,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::layers::image;

    fn only(mask: Mask) -> Masks {
        Masks([mask].into())
    }

    #[test]
    fn masks_cover_the_bytes_that_they_name() {
        let sample = image(false, [b"hello", b"you"]);
        let layout = Layout::of_image(&sample);
        let check = |mask: Mask, expected: &[std::ops::Range<usize>]| {
            let fields = fields(&sample, &layout);
            let covered: Vec<usize> = (0..784).filter(|at| mask.covers(fields[*at])).collect();
            let expected: Vec<usize> = expected.iter().cloned().flatten().collect();
            assert_eq!(covered, expected, "{mask}");
        };
        // Headers: file 0..24; first packet record 24, link 40, IP 54, UDP 74, payload 82..87;
        // second one 63 bytes further.
        check(Mask::CaptureHeader, &[0..40, 87..103]);
        check(Mask::Link, &[40..54, 103..117]);
        check(Mask::Addresses, &[66..74, 129..137]);
        check(Mask::Ports, &[74..78, 137..141]);
        check(Mask::IpId, &[58..60, 121..123]);
        check(Mask::Ttl, &[62..63, 125..126]);
        check(Mask::Checksums, &[64..66, 80..82, 127..129, 143..145]);
        check(Mask::Tcp, &[]);
        check(Mask::Stun, &[]);
        check(Mask::Lengths, &[32..40, 56..58, 78..80, 95..103, 119..121, 141..143]);
        check(Mask::Headers, &[0..82, 87..145]);
    }

    #[test]
    fn stun_ids_are_found() {
        let mut message = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        message.extend_from_slice(&[9; 12]);
        let mut sample = image(true, [&message, b"you"]);
        let layout = Layout::of_image(&sample);
        only(Mask::Stun).apply(&mut sample, &layout);
        assert_eq!(sample[68..88], [&message[..8], &[0; 12]].concat());
    }

    #[test]
    fn tcp_numbers_and_timestamps_are_found() {
        // One TCP packet of 20 + 12 bytes of header: two fillers, then timestamps.
        let mut sample = vec![0x45, 0, 0, 54, 1, 2, 0x40, 0, 64, 6, 3, 4];
        sample.extend_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2, 0, 80, 1, 187]);
        sample.extend_from_slice(&[5; 8]);
        sample.extend_from_slice(&[0x80, 0x10, 6, 6, 7, 7, 0, 0, 1, 1, 8, 10]);
        sample.extend_from_slice(&[9; 8]);
        sample.extend_from_slice(b"hi");
        let end = sample.len() as u32;
        let layers = Layers {
            transport: 20,
            payload: 52,
            trailer: end,
            end,
            protocol: 6,
            ..Layers::default()
        };
        let layout = Layout { header: 0, packets: vec![layers] };
        let before = sample.clone();
        only(Mask::Tcp).apply(&mut sample, &layout);
        let changed: Vec<usize> =
            (0..sample.len()).filter(|at| sample[*at] != before[*at]).collect();
        let expected: Vec<usize> = (24..32).chain(44..52).collect();
        assert_eq!(changed, expected);
    }

    #[test]
    fn a_link_header_leaves_no_trace() {
        let masks = Masks([Mask::CaptureHeader, Mask::Link].into());
        let [mut ethernet, mut raw] = [false, true].map(|raw| image(raw, [b"hello", b"you"]));
        let layouts = [&ethernet, &raw].map(|sample| Layout::of_image(sample));
        let (kept, layout) = masks.apply(&mut ethernet, &layouts[0]);
        assert_eq!((kept, layout.clone()), masks.apply(&mut raw, &layouts[1]));
        assert_eq!(ethernet, raw);
        assert_eq!((kept, layout.header, layout.packets[1].network), (33 + 31, 0, 33));
    }

    #[test]
    fn names_are_read_again() {
        for mask in Mask::ALL {
            assert_eq!(mask.name().parse(), Ok(mask));
        }
        assert!("mac".parse::<Mask>().unwrap_err().contains("capture-header"));
    }

    fn layers() -> impl Strategy<Value = Layers> {
        (prop::array::uniform7(0u32..70), prop::sample::select(vec![0u8, 6, 17, 132])).prop_map(
            |(mut at, protocol)| {
                at.sort_unstable();
                let [record, link, network, transport, payload, trailer, end] = at;
                Layers { record, link, network, transport, payload, trailer, end, protocol }
            },
        )
    }

    proptest! {
        /// Masks that only blank touch no byte but theirs; masks that cut keep the others, in
        /// order; and nothing panics on odd layouts.
        #[test]
        fn other_bytes_stay(
            bytes in prop::collection::vec(any::<u8>(), 60),
            packets in prop::collection::vec(layers(), 0..3),
            header in 0u32..30,
            chosen in prop::collection::btree_set(prop::sample::select(Mask::ALL.to_vec()), 0..5),
        ) {
            let layout = Layout { header, packets };
            let masks = Masks(chosen);
            let before = fields(&bytes, &layout);
            let mut after = bytes.clone();
            masks.apply(&mut after, &layout);
            let expected: Vec<u8> = before
                .iter()
                .zip(&bytes)
                .filter(|(field, _)| !masks.cuts(**field))
                .map(|(field, byte)| if masks.blanks(*field) { 0 } else { *byte })
                .collect();
            prop_assert_eq!(&after[..expected.len()], &expected[..]);
            prop_assert!(after[expected.len()..].iter().all(|byte| *byte == 0));
        }
    }
}
