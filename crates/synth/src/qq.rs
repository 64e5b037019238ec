//! QQ 2012/13 video calls, with truth frame by frame.
//!
//! Real VP8 ([`crate::video`]) in the three transports of the paper, and what the paper leaves
//! open drawn by the seed: where the extension counts fragments, what the length fields count,
//! where numbers begin. Around it what a capture has: loss, reordering, copies, audio, both
//! directions, packets of others that begin alike, and over TCP segments that hold several
//! messages or parts of them, retransmissions, and holes where the capture missed a segment.

mod network;
mod packet;
mod truth;

use std::io::Write;

use ottoscope_wire::LinkType;
use ottoscope_wire::build::pcap::{PcapWriter, Resolution};

pub use truth::{StreamTruth, Truth, VideoFrame};

use crate::SynthError;
use crate::rng::{Rng, mix};
use crate::video;
use network::{Captured, Network};
use packet::{Flow, Media, Packet};

/// Every call that comes with it: name, and what it holds.
pub const CALLS: &[(&str, &str)] = &[
    ("qq-video", "a QQ 2012/13 video call over UDP, packets that begin with 05"),
    ("qq-video-relay", "the same with packets that begin with 04"),
    ("qq-video-lan", "the same over TCP, as between neighbours"),
];

/// What carries the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams that begin with 05 (table II).
    Five,
    /// Datagrams that begin with 04 (table III).
    Four,
    /// TCP (table IV).
    Tcp,
}

/// What the length L of packets that begin with 04 counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// The payload, as the paper says.
    Payload,
    /// Eight more: the UDP header too.
    Datagram,
}

/// What the length PL counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inner {
    /// The sixteen bytes that begin with 05, as the paper says.
    Command,
    /// All from there on.
    Rest,
    /// All but a last byte 03.
    RestButTail,
}

/// What a sender leaves out of key frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyHeader {
    /// Nothing.
    Whole,
    /// Start code and size: seven bytes that can be put back where the size is known.
    NoSize,
    /// The tag too: nobody can put it back.
    None,
}

/// Where the eight bytes behind RTP count fragments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Whether they are an RTP header extension of one word; else RTP knows nothing of them.
    pub extended: bool,
    /// Two bytes a number instead of one.
    pub wide: bool,
    /// Whether the first fragment is 1.
    pub from_one: bool,
    /// Where the number of the fragment lies.
    pub index_at: usize,
    /// Where the number of fragments lies.
    pub count_at: usize,
    /// What all else holds.
    pub constant: [u8; 8],
}

impl Extension {
    fn draw(rng: &mut Rng) -> Self {
        let (extended, wide) = (rng.chance(0.5), rng.chance(0.5));
        let size = if wide { 2 } else { 1 };
        // In an extension of RTP's, the first four bytes are its own header.
        let first = if extended { 4 } else { 0 };
        let places = (8 - first) / size as u64;
        let index = rng.below(places);
        let count = (index + rng.range(1, places - 1)) % places;
        let place = |n: u64| first as usize + n as usize * size;
        let mut constant = [0; 8];
        if rng.chance(0.5) {
            constant = rng.next().to_be_bytes();
        }
        Extension {
            extended,
            wide,
            from_one: rng.chance(0.5),
            index_at: place(index),
            count_at: place(count),
            constant,
        }
    }
}

/// One call to make.
#[derive(Debug, Clone)]
pub struct Call {
    /// What carries it.
    pub transport: Transport,
    /// An IVF file of [`crate::video`], sent over and over.
    pub video: &'static [u8],
    /// Frames of each direction.
    pub frames: u32,
    /// Largest part of a frame in a packet, bytes.
    pub fragment: usize,
    /// Whether both send video.
    pub both: bool,
    /// Whether there is audio between the packets of video.
    pub audio: bool,
    /// Packets of others.
    pub look_alikes: u32,
    /// Whether signalling to servers is in the capture.
    pub signalling: bool,
    /// Chance that a datagram is lost.
    pub loss: f64,
    /// Chance that a datagram comes after some that were sent later.
    pub reorder: f64,
    /// Chance that a datagram is captured twice.
    pub duplicate: f64,
    /// Whether the last packet of a frame has RTP's marker.
    pub marker: bool,
    /// Where fragments are counted.
    pub extension: Extension,
    /// What L counts.
    pub length: Length,
    /// What PL counts.
    pub inner: Inner,
    /// What key frames lack.
    pub key_header: KeyHeader,
    /// TCP: chance that a message does not begin a segment of its own.
    pub coalesce: f64,
    /// TCP: chance that a segment is captured again later.
    pub retransmit: f64,
    /// TCP: chance that a segment is missing from the capture.
    pub hole: f64,
}

impl Call {
    /// A call without loss; what the paper leaves open is drawn by the seed.
    pub fn new(transport: Transport, seed: u64) -> Self {
        let mut rng = Rng::new(mix(seed ^ 0x7171_6361_6c6c));
        Call {
            transport,
            video: video::PATTERN,
            frames: 150,
            fragment: rng.range(300, 1000) as usize,
            both: true,
            audio: true,
            look_alikes: 40,
            signalling: true,
            loss: 0.0,
            reorder: 0.0,
            duplicate: 0.0,
            marker: rng.chance(0.8),
            extension: Extension::draw(&mut rng),
            length: if rng.chance(0.5) { Length::Payload } else { Length::Datagram },
            inner: [Inner::Command, Inner::Rest, Inner::RestButTail][rng.below(3) as usize],
            key_header: KeyHeader::Whole,
            coalesce: 0.0,
            retransmit: 0.0,
            hole: 0.0,
        }
    }

    /// The same as a bad network carries it, and a capture that misses some of TCP.
    pub fn troubled(transport: Transport, seed: u64) -> Self {
        let mut rng = Rng::new(mix(seed ^ 0x7472_6f75_626c));
        let mut up_to = |most: f64| most * rng.unit();
        Call {
            loss: up_to(0.03),
            reorder: up_to(0.05),
            duplicate: up_to(0.03),
            retransmit: up_to(0.03),
            ..Call::new(transport, seed)
        }
    }

    /// A call of [`CALLS`].
    ///
    /// # Errors
    /// When none has that name; the message lists those that exist.
    pub fn builtin(name: &str, seed: u64) -> Result<Self, SynthError> {
        let transport = match name {
            "qq-video" => Transport::Five,
            "qq-video-relay" => Transport::Four,
            "qq-video-lan" => Transport::Tcp,
            _ => {
                let known: Vec<&str> = CALLS.iter().map(|(name, _)| *name).collect();
                let known = known.join(", ");
                let what = format!("no call is called `{name}`; there are {known}");
                return Err(SynthError::Scenario(what));
            }
        };
        Ok(Call::troubled(transport, seed))
    }

    fn check(&self) -> Result<(), SynthError> {
        let error = |what: &str| Err(SynthError::Scenario(what.to_owned()));
        let chances =
            [self.loss, self.reorder, self.duplicate, self.coalesce, self.retransmit, self.hole];
        if chances.iter().any(|chance| !(0.0..=1.0).contains(chance)) {
            return error("a chance lies between 0 and 1");
        }
        if !(100..=1200).contains(&self.fragment) {
            return error("a fragment has 100 to 1200 bytes");
        }
        let Extension { wide, index_at, count_at, .. } = self.extension;
        let last = if wide { 6 } else { 7 };
        if index_at > last || count_at > last {
            return error("the extension has eight bytes");
        }
        Ok(())
    }
}

/// 2013-06-01 12:00 UTC.
const START: i64 = 1_370_088_000_000_000_000;
/// Fifteen frames a second.
const PERIOD: i64 = 66_666_667;
/// Ticks of a 90 kHz clock between two frames.
const TICKS: u32 = 6000;

/// One direction's video, frame by frame.
struct Sender {
    stream: StreamTruth,
    /// VS, FF, RTP's number and time of the next packet.
    video: u64,
    frame: u32,
    rtp: u16,
    time: u32,
    source: u32,
    payload_type: u8,
    audio: Audio,
}

/// One direction's audio.
struct Audio {
    video: u64,
    frame: u32,
    rtp: u16,
    time: u32,
    source: u32,
    extension: bool,
}

impl Sender {
    fn new(up: bool, number: u32, rng: &mut Rng) -> Self {
        // Some numbers begin shortly before they wrap.
        let near = |bits: u32, rng: &mut Rng| {
            let all = (1u64 << bits) - 1;
            if rng.chance(0.3) { all - rng.below(200) } else { rng.next() & all }
        };
        let source = rng.next() as u32;
        Sender {
            stream: StreamTruth { stream: number, up, source, ..StreamTruth::default() },
            video: near(40, rng),
            frame: near(32, rng) as u32,
            rtp: near(16, rng) as u16,
            time: near(32, rng) as u32,
            source,
            payload_type: rng.range(96, 127) as u8,
            audio: Audio {
                video: rng.next() >> 30,
                frame: rng.next() as u32,
                rtp: rng.next() as u16,
                time: rng.next() as u32,
                source: !source,
                extension: rng.chance(0.5),
            },
        }
    }
}

/// Makes the capture of `call` into `out`, and tells the truth about it.
///
/// The same call and seed give the same bytes on every machine.
///
/// # Errors
/// When the call is not valid, or `out` fails.
pub fn generate(call: &Call, seed: u64, out: &mut dyn Write) -> Result<Truth, SynthError> {
    call.check()?;
    let mut rng = Rng::new(mix(seed ^ 0x7176_6964_656f));
    let mut network = Network::new(call, &mut rng);
    let frames = video::frames(call.video);
    // The second direction begins elsewhere.
    let second_key = (1..frames.len()).find(|at| frames[*at][0] & 1 == 0).unwrap_or(0);
    let mut truth = Truth::default();
    let directions = if call.both { 2 } else { 1 };
    let mut senders: Vec<(Sender, Flow)> =
        (0..directions).map(|n| (Sender::new(n == 0, n, &mut rng), Flow::new(&mut rng))).collect();
    for _ in 0..call.look_alikes {
        let at = START + rng.below(u64::from(call.frames) * PERIOD as u64) as i64;
        network.look_alike(at, &packet::look_alike(&mut rng));
    }
    if call.signalling {
        let user = rng.range(10_000, 2_000_000_000) as u32;
        for number in 0..6 {
            let at = START - 3_000_000_000 + i64::from(number) * 400_000_000;
            let bytes = packet::signalling(
                [0x00ba, 0x0091, 0x0002][number as usize / 2],
                number / 2,
                user,
                &mut rng,
            );
            network.signalling(at, number % 2 == 0, &bytes);
        }
    }
    let mut shown = vec![0u32; senders.len()];
    for slot in 0..call.frames {
        for (direction, (sender, flow)) in senders.iter_mut().enumerate() {
            let at = START
                + i64::from(slot) * PERIOD
                + direction as i64 * 20_000_000
                + rng.below(8_000_000) as i64;
            let index = slot as usize + direction * second_key;
            let data = frames[index % frames.len()];
            send_frame(
                call,
                sender,
                flow,
                data,
                shown[direction],
                at,
                &mut network,
                &mut truth,
                &mut rng,
            );
            if data[0] & 0x10 != 0 {
                shown[direction] += 1;
            }
            if call.audio {
                for part in 0..3 {
                    send_audio(call, sender, flow, at + part * 20_000_000, &mut network, &mut rng);
                }
            }
        }
    }
    let packets = network.finish(&mut truth, &mut rng);
    truth.streams.extend(senders.into_iter().map(|(sender, _)| sender.stream));
    truth.judge();
    write(&packets, out).map_err(SynthError::Capture)?;
    Ok(truth)
}

#[allow(clippy::too_many_arguments)] // one frame through everything
fn send_frame(
    call: &Call,
    sender: &mut Sender,
    flow: &mut Flow,
    data: &[u8],
    shown: u32,
    at: i64,
    network: &mut Network,
    truth: &mut Truth,
    rng: &mut Rng,
) {
    let key = data[0] & 1 == 0;
    let sent: Vec<u8> = match (key, call.key_header) {
        (true, KeyHeader::NoSize) => [&data[..3], &data[10..]].concat(),
        (true, KeyHeader::None) => data[10..].to_vec(),
        _ => data.to_vec(),
    };
    let parts: Vec<&[u8]> = sent.chunks(call.fragment).collect();
    let time = sender.time.wrapping_add(shown.wrapping_mul(TICKS));
    let number = truth.frames.len();
    truth.frames.push(VideoFrame {
        stream: sender.stream.stream,
        frame: sender.frame,
        rtp_time: time,
        ticks: i64::from(shown) * i64::from(TICKS),
        sent_at: at,
        key,
        shown: data[0] & 0x10 != 0,
        first_video: sender.video,
        fragments: parts.len() as u32,
        bytes: data.len() as u32,
        md5: truth::md5(data),
        data: data.to_vec(),
        ..VideoFrame::default()
    });
    for (index, part) in parts.iter().enumerate() {
        let extension = packet::extension(&call.extension, index, parts.len());
        let packet = Packet {
            media: Media::Video,
            video: sender.video,
            frame: sender.frame,
            marker: call.marker && index + 1 == parts.len(),
            payload_type: sender.payload_type,
            rtp: sender.rtp,
            time,
            source: sender.source,
            extension: &extension,
            extended: call.extension.extended,
            data: part,
        };
        let bytes = build(call, &packet, flow, rng);
        let at = at + index as i64 * 700_000;
        network.send(at, sender.stream.up, bytes, Some((number, index as u32)), rng);
        sender.video = (sender.video + 1) & ((1 << 40) - 1);
        sender.rtp = sender.rtp.wrapping_add(1);
        sender.stream.sent += 1;
    }
    sender.frame = sender.frame.wrapping_add(1);
}

fn send_audio(
    call: &Call,
    sender: &mut Sender,
    flow: &mut Flow,
    at: i64,
    network: &mut Network,
    rng: &mut Rng,
) {
    let audio = &mut sender.audio;
    let mut data = vec![0; rng.range(20, 60) as usize];
    crate::rng::fill(rng.next(), 0, &mut data);
    let extension = [0; 8];
    let packet = Packet {
        media: Media::Audio,
        video: audio.video,
        frame: audio.frame,
        marker: false,
        payload_type: 95,
        rtp: audio.rtp,
        time: audio.time,
        source: audio.source,
        extension: if audio.extension { &extension } else { &[] },
        extended: false,
        data: &data,
    };
    let bytes = build(call, &packet, flow, rng);
    network.send(at, sender.stream.up, bytes, None, rng);
    let audio = &mut sender.audio;
    audio.video += 1;
    audio.frame = audio.frame.wrapping_add(1);
    audio.rtp = audio.rtp.wrapping_add(1);
    audio.time = audio.time.wrapping_add(320);
    sender.stream.audio += 1;
}

fn build(call: &Call, packet: &Packet<'_>, flow: &mut Flow, rng: &mut Rng) -> Vec<u8> {
    match call.transport {
        Transport::Five => packet.five(flow, rng),
        Transport::Four => packet.four(flow, call.length, call.inner, rng),
        Transport::Tcp => packet.message(flow, rng),
    }
}

fn write(packets: &[Captured], out: &mut dyn Write) -> std::io::Result<()> {
    let mut writer = PcapWriter::new(out, LinkType::ETHERNET, Resolution::Nano)?;
    for packet in packets {
        writer.record(packet.at, packet.bytes.len() as u32, &packet.bytes)?;
    }
    writer.finish().map(drop)
}
