//! QQ video: packets of all transports, and whole sessions.

use std::fmt::Display;
use std::hint::black_box;

use ottoscope_flow::{Direction, Timestamp};
use ottoscope_media::FrameState;
use ottoscope_media::qq::{Options, Session};
use ottoscope_wire::qq_video::{Case1, Content, Form, Head, Message, Packet, VIDEO_FLAG, media};
use ottoscope_wire::{Fields, oicq, rtp, vp8};

fn look(message: &(impl Fields + Display)) {
    message.fields(&mut |name, value| {
        black_box((name, format!("{value:?}").len()));
    });
    black_box(message.to_string());
}

/// Reads the bytes as everything that QQ sends, then plays them as a session: the first byte
/// chooses the transport; each step is a byte of direction and kind, and what the kind needs.
/// Random bytes would never be accepted, so that most steps make a packet that goes on from the
/// last one, with some of its bytes changed.
pub fn qq(data: &[u8]) {
    for packet in [Packet::datagram(data), Packet::message(data)].into_iter().flatten() {
        look(&packet);
        let mut bytes = Vec::new();
        packet.emit(&mut bytes);
        assert!(bytes.len() <= data.len() + 2, "{} of {}", bytes.len(), data.len());
    }
    for message in [oicq::Message::parse(data), oicq::Message::parse_framed(data).map(|m| m.0)] {
        message.iter().for_each(look);
    }
    oicq::Media::parse(data).iter().for_each(look);
    vp8::Header::parse(data).iter().for_each(look);
    if let [choice, steps @ ..] = data {
        session(choice & 1 == 1, steps);
    }
}

fn session(stream: bool, steps: &[u8]) {
    let mut session = Session::new(Options::default());
    let (mut given, mut got, mut frames) = (0, 0, 0_usize);
    let mut intact = 0_usize;
    let mut take = |frame: ottoscope_media::Frame| {
        got += frame.data.len();
        frames += 1;
        assert!(
            frame.fragments > 0 && (frame.state == FrameState::Intact) == frame.reason.is_none()
        );
        intact += usize::from(frame.state == FrameState::Intact);
    };
    let mut sender = Sender::default();
    let mut at = Timestamp(1_400_000_000_000_000_000);
    let mut rest = steps;
    while let [step, tail @ ..] = rest {
        rest = tail;
        at = Timestamp(at.0 + 5_000_000);
        let direction = if step & 1 == 0 { Direction::Up } else { Direction::Down };
        let bytes = match step >> 1 & 3 {
            0 => {
                let (raw, tail) = rest.split_at(usize::from(step >> 3).min(rest.len()));
                rest = tail;
                raw.to_vec()
            }
            1 => {
                session.gap(direction, 9, &mut take);
                continue;
            }
            kind => {
                let change = rest.first_chunk::<2>().copied().unwrap_or_default();
                rest = rest.get(2..).unwrap_or(&[]);
                let mut bytes = sender.packet(stream, step >> 3, kind == 3);
                let place = usize::from(change[0]) % bytes.len();
                bytes[place] ^= change[1];
                bytes
            }
        };
        given += bytes.len();
        match stream {
            true => session.bytes(at, direction, &bytes, &mut take),
            false => session.datagram(at, direction, &bytes, &mut take),
        }
    }
    let recovered = session.finish(&mut take);
    assert!(recovered.accepted.is_some() || (frames == 0 && recovered.streams.is_empty()));
    // A header put back has seven bytes.
    assert!(got <= given + 7 * frames, "{got} bytes of {given}");
    let counted: u64 = recovered.streams.iter().map(|s| s.intact).sum();
    assert_eq!(counted, intact as u64);
    for stream in &recovered.streams {
        assert!(stream.duplicates <= stream.packets, "{stream:?}");
    }
}

/// Makes packets that go on from each other.
#[derive(Default)]
struct Sender {
    number: u64,
    sequence: u16,
    timestamp: u32,
}

impl Sender {
    /// `how`: bit 0 begins a frame, bit 1 makes it a key frame, bits 2 and 3 skip numbers.
    fn packet(&mut self, stream: bool, how: u8, audio: bool) -> Vec<u8> {
        self.number += 1 + u64::from(how >> 2 & 3);
        self.sequence = self.sequence.wrapping_add(1 + u16::from(how >> 2 & 3));
        let mut payload = vec![0; 8];
        if how & 1 == 1 {
            self.timestamp = self.timestamp.wrapping_add(6000);
            let extent = |pixels| vp8::Extent { pixels, scale: 0 };
            let key = how & 2 == 2;
            let tag = vp8::Tag { key, version: 0, shown: true, first_partition: 9 };
            vp8::Header { tag, size: key.then(|| (extent(32), extent(24))) }.emit(&mut payload);
        }
        payload.resize(40, how);
        let packet = rtp::Packet {
            marker: how & 16 == 16,
            payload_type: 100,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: if audio { 8 } else { 7 },
            contributors: &[],
            extension: None,
            payload: &payload,
            padding: 0,
        };
        let content = Some(Content { rtp: packet, extension: &[], data: &[] });
        let kind = if audio { media::AUDIO } else { media::VIDEO };
        let mut bytes = Vec::new();
        if stream {
            let frame = self.timestamp as u16;
            let head = Head { form: Form::Table, frame, fill: 0, sequence: 3, flag: [3, kind] };
            Message { head, content, body: &[] }.emit(&mut bytes);
        } else {
            Packet::Case1(Case1 {
                sequence: 3,
                flag: VIDEO_FLAG,
                number: self.number,
                frame: self.timestamp,
                media: kind,
                content,
                body: &[],
            })
            .emit(&mut bytes);
        }
        bytes
    }
}
