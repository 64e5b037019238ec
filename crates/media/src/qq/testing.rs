//! A sender after the paper, for tests: frames made up, cut, wrapped in any of the transports,
//! and what a network does to them.

use ottoscope_flow::{Direction, Span, Timestamp};
use ottoscope_wire::qq_video::{
    Case1, Case2, Content, Form, Head, LengthReading, Message, Packet, PayloadReading, VIDEO_FLAG,
    media,
};
use ottoscope_wire::{rtp, vp8};

use super::{Options, Recovered, Session};
use crate::Frame;

/// Random numbers that are the same everywhere (xorshift64*).
#[derive(Debug, Clone)]
pub(super) struct Rng(pub(super) u64);

impl Rng {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// How a call is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    Case1,
    /// With this reading of PL, and a byte 03 behind.
    Case2(PayloadReading, bool),
    Tcp(Form),
}

/// What the extension says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extension {
    /// Index from 0 at 0, total at 1.
    Bytes,
    /// Index from 1 in two bytes at 2, total at 6, RTP's own extension.
    Words,
    /// Nothing of use.
    Noise,
}

/// What to send.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) carrier: Carrier,
    pub(super) extension: Extension,
    pub(super) marker: bool,
    pub(super) audio: bool,
    pub(super) both: bool,
    /// Key frames lack start code and size.
    pub(super) stripped: bool,
    pub(super) frames: u32,
}

pub(super) const PLAN: Plan = Plan {
    seed: 1,
    carrier: Carrier::Case1,
    extension: Extension::Bytes,
    marker: true,
    audio: true,
    both: true,
    stripped: false,
    frames: 90,
};

/// One packet on its way.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) at: Timestamp,
    pub(super) direction: Direction,
    pub(super) media: u8,
    /// Frame of its direction.
    pub(super) frame: usize,
    pub(super) bytes: Vec<u8>,
}

/// A frame as it was coded.
#[derive(Debug, Clone)]
pub(super) struct Coded {
    pub(super) key: bool,
    pub(super) data: Vec<u8>,
}

/// What was sent, by direction.
#[derive(Debug, Clone, Default)]
pub(super) struct Call {
    pub(super) sent: Vec<Sent>,
    pub(super) coded: [Vec<Coded>; 2],
}

fn coded(rng: &mut Rng, key: bool, stripped: bool) -> Coded {
    let len = if key { 3000 + rng.below(4000) } else { 20 + rng.below(2600) } as usize;
    let tag = vp8::Tag { key, version: 0, shown: true, first_partition: len as u32 / 2 };
    let extent = |pixels| vp8::Extent { pixels, scale: 0 };
    let mut data = Vec::new();
    vp8::Header { tag, size: key.then(|| (extent(320), extent(240))) }.emit(&mut data);
    if stripped && key {
        data.truncate(vp8::TAG);
    }
    while data.len() < len {
        data.push(rng.next() as u8);
    }
    Coded { key, data }
}

/// Numbers of one sender.
struct Sender {
    ssrc: u32,
    number: u64,
    sequence: u16,
    audio: u16,
    timestamp: u32,
    multimedia: u16,
}

pub(super) fn call(plan: &Plan) -> Call {
    let mut rng = Rng(plan.seed | 1);
    let mut call = Call::default();
    let both = [Direction::Up, Direction::Down];
    for &direction in &both[..=usize::from(plan.both)] {
        let d = direction.index();
        let mut sender = Sender {
            ssrc: rng.next() as u32 | 1,
            number: (1 << 40) - 1 - rng.below(200),
            sequence: (65_535 - rng.below(200)) as u16,
            audio: rng.next() as u16,
            timestamp: u32::MAX - rng.below(100_000) as u32,
            multimedia: rng.next() as u16,
        };
        for frame in 0..plan.frames {
            let at = Timestamp(1_400_000_000_000_000_000 + i64::from(frame) * 66_666_667);
            let made = coded(&mut rng, frame % 30 == 0, plan.stripped);
            let pieces: Vec<&[u8]> = made.data.chunks(1000).collect();
            for (i, piece) in pieces.iter().enumerate() {
                let last = i + 1 == pieces.len();
                let extension = extension(plan.extension, i, pieces.len(), &mut rng);
                let at = Timestamp(at.0 + i as i64 * 300_000 + d as i64 * 1_000_000);
                let content = (media::VIDEO, plan.marker && last, extension, *piece);
                let bytes = sender.packet(plan, frame, content, &mut rng);
                let frame = frame as usize;
                call.sent.push(Sent { at, direction, media: media::VIDEO, frame, bytes });
                sender.number = (sender.number + 1) & ((1 << 40) - 1);
                sender.sequence = sender.sequence.wrapping_add(1);
            }
            for i in 0..3 * u32::from(plan.audio) {
                let at = Timestamp(at.0 + 5_000_000 + i64::from(i) * 20_000_000);
                let content = (media::AUDIO, false, [0; 8], &[0xd5; 33][..]);
                let bytes = sender.packet(plan, frame, content, &mut rng);
                let frame = frame as usize;
                call.sent.push(Sent { at, direction, media: media::AUDIO, frame, bytes });
                sender.audio = sender.audio.wrapping_add(1);
            }
            sender.timestamp = sender.timestamp.wrapping_add(6000);
            call.coded[d].push(made);
        }
    }
    call.sent.sort_by_key(|sent| sent.at);
    call
}

fn extension(kind: Extension, i: usize, n: usize, rng: &mut Rng) -> [u8; 8] {
    let noise = rng.next().to_be_bytes();
    match kind {
        Extension::Bytes => [i as u8, n as u8, noise[0], 0, 0, 0, 0, 1],
        Extension::Words => [0, 1, 0, 1, 0, i as u8 + 1, n as u8, noise[0]],
        Extension::Noise => [noise[0], 0, noise[1], noise[2], noise[3], 7, noise[4], 0],
    }
}

impl Sender {
    fn packet(
        &mut self,
        plan: &Plan,
        frame: u32,
        (kind, marker, extension, data): (u8, bool, [u8; 8], &[u8]),
        rng: &mut Rng,
    ) -> Vec<u8> {
        let video = kind == media::VIDEO;
        let x = video && plan.extension == Extension::Words;
        let payload = match video && !x {
            true => [&extension[..], data].concat(),
            false => data.to_vec(),
        };
        let packet = rtp::Packet {
            marker,
            payload_type: if video { 107 } else { 8 },
            sequence: if video { self.sequence } else { self.audio },
            timestamp: if video { self.timestamp } else { u32::from(self.audio) * 160 },
            ssrc: if video { self.ssrc } else { !self.ssrc },
            contributors: &[],
            extension: x
                .then(|| (u16::from_be_bytes([extension[0], extension[1]]), &extension[4..])),
            payload: &payload,
            padding: 0,
        };
        let content = Some(Content { rtp: packet, extension: &[], data: &[] });
        self.multimedia = self.multimedia.wrapping_add(1 + rng.below(9) as u16);
        let inner = Case1 {
            sequence: self.multimedia,
            flag: VIDEO_FLAG,
            number: if video { self.number } else { 77 },
            frame: frame * 3 + 0x0001_fff0,
            media: kind,
            content,
            body: &[],
        };
        let mut bytes = Vec::new();
        match plan.carrier {
            Carrier::Case1 => Packet::Case1(inner).emit(&mut bytes),
            Carrier::Case2(payload_reading, tail) => Packet::Case2(Case2 {
                version: 0x2f51,
                length: 0,
                length_reading: LengthReading::Payload,
                sequence: rng.next() as u32,
                account: 10_001,
                unknown: [0; 16],
                payload_length: 0,
                payload_reading,
                inner,
                tail: if tail { &[3] } else { &[] },
            })
            .emit(&mut bytes),
            Carrier::Tcp(form) => {
                let frame = inner.frame as u16;
                let sequence = self.multimedia;
                let head = Head { form, frame, fill: 0x64, sequence, flag: [3, kind] };
                Message { head, content, body: &[] }.emit(&mut bytes);
            }
        }
        bytes
    }
}

/// All that comes out of datagrams.
pub(super) fn recover(sent: &[Sent]) -> (Vec<Frame>, Recovered) {
    let mut session = Session::new(Options::default());
    let mut frames = Vec::new();
    for packet in sent {
        session.datagram(packet.at, packet.direction, &packet.bytes, &mut |f| frames.push(f));
    }
    let recovered = session.finish(&mut |frame| frames.push(frame));
    (frames, recovered)
}

/// All that comes out of streams, a segment a message.
pub(super) fn recover_stream(sent: &[Sent]) -> (Vec<Frame>, Recovered) {
    let mut session = Session::new(Options::default());
    let mut frames = Vec::new();
    for packet in sent {
        session.bytes(packet.at, packet.direction, &packet.bytes, &mut |f| frames.push(f));
    }
    let recovered = session.finish(&mut |frame| frames.push(frame));
    (frames, recovered)
}

/// What a network did.
#[derive(Debug, Default)]
pub(super) struct Damage {
    /// By direction: video packets that did not come, and copies.
    pub(super) lost: [u64; 2],
    pub(super) copies: [u64; 2],
    /// By direction: frames of which something did not come.
    pub(super) torn: [std::collections::BTreeSet<usize>; 2],
}

/// Loses, doubles and delays packets, per mille; the first and the last of a direction's video
/// stay, so that what is missing can be known.
pub(super) fn damage(
    call: &Call,
    seed: u64,
    (loss, copies, delays): (u64, u64, u64),
) -> (Vec<Sent>, Damage) {
    let mut rng = Rng(seed | 1);
    let mut damage = Damage::default();
    let mut out: Vec<Sent> = Vec::new();
    let video =
        |d: Direction| move |sent: &&Sent| sent.direction == d && sent.media == media::VIDEO;
    let ends = [Direction::Up, Direction::Down].map(|d| {
        let first = call.sent.iter().position(|s| video(d)(&s));
        let last = call.sent.iter().rposition(|s| video(d)(&s));
        (first, last)
    });
    for (i, sent) in call.sent.iter().enumerate() {
        let d = sent.direction.index();
        let fixed = ends[d].0 == Some(i) || ends[d].1 == Some(i);
        let is_video = sent.media == media::VIDEO;
        if !fixed && rng.below(1000) < loss {
            if is_video {
                damage.lost[d] += 1;
                damage.torn[d].insert(sent.frame);
            }
            continue;
        }
        let mut sent = sent.clone();
        if !fixed && rng.below(1000) < delays {
            sent.at = sent.at + Span(rng.below(90_000_000) as i64);
        }
        if !fixed && rng.below(1000) < copies {
            damage.copies[d] += u64::from(is_video);
            let mut copy = sent.clone();
            copy.at = copy.at + Span(rng.below(40_000_000) as i64);
            out.push(copy);
        }
        out.push(sent);
    }
    out.sort_by_key(|sent| sent.at);
    (out, damage)
}
