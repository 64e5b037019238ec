//! Media of QQ's other generations: of 2005, up to its RTP, and of today, whose contents nobody
//! has described.

use ottoscope_wire::oicq::{Media, TODAY, TODAY_PREFIX, generation};
use ottoscope_wire::qq_video::media;
use ottoscope_wire::{Fields, Value};

use super::rtp::Streams;
use super::{Dissector, Emit, Emitted, Match, Progress, Protocol};
use crate::model::{Body, Direction, Transport};
use crate::time::Timestamp;

/// Media of 2005.
pub static OLD: Protocol = Protocol {
    name: "qq-2005",
    about: "Media of QQ 2005: RTP and RTCP behind a header of eighteen bytes",
    reference: "https://blog.csdn.net/josephvan/article/details/479264",
    transports: &[Transport::Udp],
    shared: false,
    first: |_, byte| byte == ottoscope_wire::oicq::MEDIA,
    probe: |probe| {
        let may = Media::parse(probe.bytes)
            .is_ok_and(|packet| packet.rtp().is_some_and(|rtp| rtp.ssrc != 0));
        if may { Match::Yes } else { Match::No }
    },
    open: || Box::new(Old::default()),
};

/// Media of today.
pub static NEW: Protocol = Protocol {
    name: TODAY,
    about: "Media of today's QQ by its first four bytes, labelled only",
    reference: "crates/wire/specs/oicq.md",
    transports: &[Transport::Udp],
    shared: true,
    first: |_, byte| byte == TODAY_PREFIX[0],
    probe: |probe| {
        if generation(probe.bytes) == Some(TODAY) { Match::Yes } else { Match::No }
    },
    open: || Box::new(New::default()),
};

/// Packets without proof after which a flow is something else.
const PATIENCE: u32 = 32;

/// A flow that may be of 2005.
#[derive(Debug, Default)]
struct Old {
    streams: Streams,
    packets: u32,
}

impl Dissector for Old {
    fn data(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) -> Progress {
        self.packets = self.packets.saturating_add(1);
        if let Ok(packet) = Media::parse(bytes) {
            if matches!(packet.media, media::AUDIO | media::VIDEO) {
                // The packet is told below, with what stands in front of its RTP.
                let every_packet = std::mem::replace(&mut out.every_packet, false);
                self.streams.packet(at, direction, packet.body, false, out);
                out.every_packet = every_packet;
            }
            if self.streams.any() {
                out.facts.protocol = OLD.name;
            }
            if self.streams.any() && out.every_packet {
                let emitted = Emitted {
                    protocol: OLD.name,
                    kind: media::name(packet.media),
                    name: None,
                    opcode: Some(packet.media.into()),
                    sequence: Some(packet.counter.into()),
                    len: bytes.len() as u64,
                    head: bytes,
                    body: Body::Fields(&packet),
                };
                out.message(at, direction, &emitted);
            }
        }
        match self.streams.any() || self.packets < PATIENCE {
            true => Progress::Used(bytes.len()),
            false => Progress::NotMine,
        }
    }

    fn close(&mut self, _at: Timestamp, out: &mut Emit<'_>) {
        self.streams.close(out);
    }
}

/// Datagrams in each direction that a label needs.
const PROOF: u32 = 8;
/// Different lengths of datagrams that it needs: a length field would make them one.
const LENGTHS: usize = 3;

/// A flow that may be of today.
#[derive(Debug, Default)]
struct New {
    packets: [u32; 2],
    lengths: Vec<usize>,
}

impl Fields for New {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        each("contents", Value::Text("unknown"));
    }
}

impl Dissector for New {
    fn data(
        &mut self,
        at: Timestamp,
        direction: Direction,
        bytes: &[u8],
        out: &mut Emit<'_>,
    ) -> Progress {
        if generation(bytes) != Some(TODAY) {
            return Progress::NotMine;
        }
        self.packets[direction.index()] += 1;
        if self.lengths.len() < LENGTHS && !self.lengths.contains(&bytes.len()) {
            self.lengths.push(bytes.len());
        }
        if self.packets.iter().any(|count| *count < PROOF) || self.lengths.len() < LENGTHS {
            let much = self.packets.iter().any(|count| *count > 16 * PROOF);
            return if much { Progress::NotMine } else { Progress::Used(bytes.len()) };
        }
        out.facts.protocol = NEW.name;
        let emitted = Emitted {
            protocol: NEW.name,
            kind: "labelled",
            name: None,
            opcode: None,
            sequence: None,
            len: bytes.len() as u64,
            head: bytes,
            body: Body::Fields(self),
        };
        out.message(at, direction, &emitted);
        Progress::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissector::testing::Bench;
    use crate::model::Direction::{Down, Up};
    use ottoscope_wire::rtp;
    use proptest::prelude::*;

    fn old(sequence: u16) -> Vec<u8> {
        let mut body = Vec::new();
        rtp::Packet {
            marker: false,
            payload_type: 103,
            sequence,
            timestamp: u32::from(sequence) * 160,
            ssrc: 0x2281_2c2e,
            contributors: &[],
            extension: None,
            payload: &[9; 20],
            padding: 0,
        }
        .emit(&mut body);
        let mut bytes = Vec::new();
        Media {
            version: 0x0c49,
            key: 0x62,
            sender: 1,
            receiver: 2,
            counter: sequence,
            media: media::AUDIO,
            body: &body,
        }
        .emit(&mut bytes);
        bytes
    }

    #[test]
    fn numbers_that_run_on_prove_2005() {
        let mut bench = Bench::new(Transport::Udp, (OLD.open)());
        bench.feed(Up, &old(0)).feed(Up, &old(1)).feed(Up, &old(2));
        assert_eq!(bench.facts.protocol, "");
        bench.feed(Up, &old(3)).feed(Up, &[0, 1, 2]).close();
        assert_eq!(bench.facts.protocol, "qq-2005");
        assert_eq!(bench.messages.len(), 1);
        assert!(bench.messages[0].contains("ssrc=0x22812c2e payload_type=103 packets=4"));
        let mut other = Bench::new(Transport::Udp, (OLD.open)());
        for i in 0..PATIENCE {
            other.feed(Up, &old((i * 7919) as u16));
        }
        assert_eq!((other.facts.protocol, other.end), ("", Some(Progress::NotMine)));
    }

    #[test]
    fn today_needs_both_directions_and_lengths() {
        let datagram = |len: u8| [&TODAY_PREFIX[..], &vec![len; usize::from(len)]].concat();
        let mut bench = Bench::new(Transport::Udp, (NEW.open)());
        for i in 0..PROOF as u8 {
            bench.feed(Up, &datagram(i % 3 + 40));
        }
        assert_eq!(bench.facts.protocol, "");
        for i in 0..PROOF as u8 {
            bench.feed(Down, &datagram(i % 3 + 40));
        }
        assert_eq!((bench.facts.protocol, bench.end), ("qq-today", Some(Progress::Done)));
        let mut other = Bench::new(Transport::Udp, (NEW.open)());
        for _ in 0..40 {
            other.feed(Up, &datagram(36)).feed(Down, &datagram(36));
        }
        assert_eq!(other.facts.protocol, "", "one length is a length field's");
    }

    proptest! {
        #[test]
        fn reading_is_total(bytes: Vec<u8>, up: bool) {
            for protocol in [&OLD, &NEW] {
                let mut bench = Bench::new(Transport::Udp, (protocol.open)());
                bench.feed(if up { Up } else { Down }, &bytes);
            }
        }
    }
}
