//! Packets of QQ 2012/13 video, written from the paper's tables alone (Chen, Yuan, Xue 2013,
//! tables I to IV), so that its readers are tested with bytes that they did not make.

use crate::rng::{Rng, fill};

use super::{Extension, Inner, Length};

/// The media that a packet carries: the byte just before RTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    Audio,
    Video,
}

impl Media {
    fn code(self) -> u8 {
        match self {
            Media::Audio => 1,
            Media::Video => 3,
        }
    }
}

/// Numbers that all packets of one direction share.
#[derive(Debug, Clone)]
pub(super) struct Flow {
    /// MS, "increased by a random number for each packet in one flow".
    multimedia: u16,
    /// SN of the packets that begin with 04, likewise.
    sequence: u32,
    version: u16,
    number: u32,
    /// What the unknown field holds beside zeros.
    unknown: [u8; 16],
    /// The last byte of FI over TCP.
    fill_in: u8,
}

impl Flow {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let mut unknown = [0; 16];
        unknown[rng.below(16) as usize] = rng.next() as u8;
        Flow {
            multimedia: rng.next() as u16,
            sequence: rng.next() as u32,
            version: [0x2f4d, 0x3031, 0x3119][rng.below(3) as usize],
            number: rng.range(10_000, 2_000_000_000) as u32,
            unknown,
            fill_in: if rng.chance(0.5) { 0x64 } else { rng.next() as u8 },
        }
    }

    fn step(&mut self, rng: &mut Rng) -> u16 {
        self.multimedia = self.multimedia.wrapping_add(rng.range(1, 40) as u16);
        self.sequence = self.sequence.wrapping_add(rng.range(1, 1000) as u32);
        self.multimedia
    }
}

/// What one packet says.
#[derive(Debug, Clone)]
pub(super) struct Packet<'a> {
    pub(super) media: Media,
    /// VS, of five bytes.
    pub(super) video: u64,
    /// FF.
    pub(super) frame: u32,
    pub(super) marker: bool,
    pub(super) payload_type: u8,
    pub(super) rtp: u16,
    pub(super) time: u32,
    pub(super) source: u32,
    pub(super) extension: &'a [u8],
    /// Whether RTP's bit tells of the extension.
    pub(super) extended: bool,
    pub(super) data: &'a [u8],
}

impl Packet<'_> {
    /// RTP, extension and data: what all three transports carry.
    fn inside(&self, out: &mut Vec<u8>) {
        out.push(0x80 | u8::from(self.extended) << 4);
        out.push(u8::from(self.marker) << 7 | self.payload_type);
        out.extend_from_slice(&self.rtp.to_be_bytes());
        out.extend_from_slice(&self.time.to_be_bytes());
        out.extend_from_slice(&self.source.to_be_bytes());
        out.extend_from_slice(self.extension);
        out.extend_from_slice(self.data);
    }

    /// The sixteen bytes of table II.
    fn command(&self, out: &mut Vec<u8>, multimedia: u16) {
        out.push(0x05);
        out.extend_from_slice(&multimedia.to_be_bytes());
        out.extend_from_slice(&[0x00, 0x2d, 0x64]);
        out.extend_from_slice(&self.video.to_be_bytes()[3..]);
        out.extend_from_slice(&self.frame.to_be_bytes());
        out.push(self.media.code());
    }

    /// A datagram that begins with 05.
    pub(super) fn five(&self, flow: &mut Flow, rng: &mut Rng) -> Vec<u8> {
        let mut out = Vec::new();
        let multimedia = flow.step(rng);
        self.command(&mut out, multimedia);
        self.inside(&mut out);
        out
    }

    /// A datagram that begins with 04 (table III).
    pub(super) fn four(
        &self,
        flow: &mut Flow,
        length: Length,
        inner: Inner,
        rng: &mut Rng,
    ) -> Vec<u8> {
        let multimedia = flow.step(rng);
        let mut body = Vec::new();
        self.command(&mut body, multimedia);
        let command = body.len();
        self.inside(&mut body);
        let payload = match inner {
            Inner::Command => command,
            Inner::Rest | Inner::RestButTail => body.len(),
        };
        if inner == Inner::RestButTail {
            body.push(0x03);
        }
        let total = 31 + body.len();
        let said = match length {
            Length::Payload => total,
            Length::Datagram => total + 8,
        };
        let mut out = vec![0x04];
        out.extend_from_slice(&flow.version.to_be_bytes());
        out.extend_from_slice(&(said as u16).to_be_bytes());
        out.extend_from_slice(&flow.sequence.to_be_bytes());
        out.extend_from_slice(&flow.number.to_be_bytes());
        out.extend_from_slice(&flow.unknown);
        out.extend_from_slice(&(payload as u16).to_be_bytes());
        out.extend_from_slice(&body);
        out
    }

    /// A message on TCP (table IV).
    pub(super) fn message(&self, flow: &mut Flow, rng: &mut Rng) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&(self.frame as u16).to_be_bytes());
        out.extend_from_slice(&[0x00, 0x00, 0x2d, flow.fill_in]);
        out.extend_from_slice(&flow.step(rng).to_be_bytes());
        out.extend_from_slice(&[0x03, self.media.code()]);
        self.inside(&mut out);
        out
    }
}

/// The extension's bytes for fragment `index` of `count`.
pub(super) fn extension(layout: &Extension, index: usize, count: usize) -> Vec<u8> {
    let mut out = layout.constant.to_vec();
    if layout.extended {
        out[2..4].copy_from_slice(&[0, 1]); // words behind the profile
    }
    let index = index + usize::from(layout.from_one);
    for (at, value) in [(layout.index_at, index), (layout.count_at, count)] {
        if layout.wide {
            out[at..at + 2].copy_from_slice(&(value as u16).to_be_bytes());
        } else {
            out[at] = value as u8;
        }
    }
    out
}

/// A datagram of OICQ, the encrypted signalling to servers: `02`, version, command, number of
/// the packet, QQ number, ciphertext, `03`.
pub(super) fn signalling(command: u16, number: u16, user: u32, rng: &mut Rng) -> Vec<u8> {
    let mut out = vec![0x02, 0x2f, 0x4d];
    out.extend_from_slice(&command.to_be_bytes());
    out.extend_from_slice(&number.to_be_bytes());
    out.extend_from_slice(&user.to_be_bytes());
    let at = out.len();
    out.resize(at + 8 * rng.range(4, 20) as usize, 0);
    fill(rng.next(), 0, &mut out[at..]);
    out.push(0x03);
    out
}

/// A datagram of somebody else that begins as QQ's do.
pub(super) fn look_alike(rng: &mut Rng) -> Vec<u8> {
    let mut out = vec![0; rng.range(40, 900) as usize];
    fill(rng.next(), 0, &mut out);
    match rng.below(4) {
        0 => out[0] = 0x05,
        1 => out[0] = 0x04,
        // WireGuard's data: 04 00 00 00, receiver, counter.
        2 => out[..4].copy_from_slice(&[0x04, 0, 0, 0]),
        // The whole mark of a video packet, and nothing of what should follow.
        _ => {
            out[0] = 0x05;
            out[3..6].copy_from_slice(&[0x00, 0x2d, 0x64]);
            out[15] = 0x03;
        }
    }
    out
}
