use super::*;
use crate::rtp;
use proptest::prelude::*;

/// What a packet is made of, owned.
#[derive(Debug, Clone)]
struct Made {
    kind: u8,
    word: bool,
    rtp: (bool, u8, u16, u32, u32),
    numbers: (u16, u32, u64, u32),
    extension: [u8; 8],
    data: Vec<u8>,
    padding: u8,
}

fn made() -> impl Strategy<Value = Made> {
    (
        0u8..5,
        any::<bool>(),
        (any::<bool>(), 0u8..128, any::<u16>(), any::<u32>(), any::<u32>()),
        (any::<u16>(), 0u32..1 << 24, 0u64..1 << 40, any::<u32>()),
        any::<[u8; 8]>(),
        prop::collection::vec(any::<u8>(), 0..60),
        0u8..4,
    )
        .prop_map(|(kind, word, rtp, numbers, extension, data, padding)| Made {
            kind,
            word,
            rtp,
            numbers,
            extension,
            data,
            padding,
        })
}

impl Made {
    /// What is behind the command part, as bytes.
    fn body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        if matches!(self.kind, media::AUDIO | media::VIDEO) {
            let (marker, payload_type, sequence, timestamp, ssrc) = self.rtp;
            let payload = if self.word || self.kind == media::AUDIO {
                self.data.clone()
            } else {
                [&self.extension[..], &self.data].concat()
            };
            let word = u16::from_be_bytes([self.extension[0], self.extension[1]]);
            let packet = rtp::Packet {
                marker,
                payload_type,
                sequence,
                timestamp,
                ssrc,
                contributors: &[],
                extension: self.word.then_some((word, &self.extension[4..])),
                payload: &payload,
                padding: self.padding,
            };
            packet.emit(&mut body);
        } else {
            body.extend(&self.data);
        }
        body
    }

    fn case1<'a>(&self, body: &'a [u8]) -> Case1<'a> {
        let (sequence, flag, number, frame) = self.numbers;
        let content = Content::parse(body, self.kind).unwrap();
        Case1 { sequence, flag, number, frame, media: self.kind, content, body }
    }
}

fn check(packet: Packet<'_>) {
    let mut bytes = Vec::new();
    packet.emit(&mut bytes);
    assert_eq!(Packet::datagram(&bytes), Ok(packet));
    packet.fields(&mut |name, _| assert!(!name.is_empty()));
    assert!(!packet.to_string().is_empty());
}

proptest! {
    #[test]
    fn case_1_is_read_as_written(made in made()) {
        let body = made.body();
        check(Packet::Case1(made.case1(&body)));
    }

    #[test]
    fn case_2_is_read_as_written(
        made in made(), version: u16, sequence: u32, account: u32, unknown: [u8; 16],
        readings in (0usize..2, 0usize..2), tail in 0usize..3,
    ) {
        let body = made.body();
        let inner = made.case1(&body);
        let short = COMMAND + body.len() < 36;
        let payload_reading = match readings.1 {
            0 if !short => PayloadReading::Packet,
            _ => PayloadReading::Command,
        };
        let tail: &[u8] = if payload_reading == PayloadReading::Packet { &[3; 2][..tail.min(2)] } else { &[] };
        let size = INNER + COMMAND + body.len();
        let whole = (size + tail.len()) as u16;
        let packet = Case2 {
            version,
            length: whole + [0, 8][readings.0],
            length_reading: [LengthReading::Payload, LengthReading::Datagram][readings.0],
            sequence,
            account,
            unknown,
            payload_length: match payload_reading {
                PayloadReading::Packet => (size - INNER) as u16,
                _ => 16,
            },
            payload_reading,
            inner,
            tail,
        };
        check(Packet::Case2(packet));
    }

    #[test]
    fn messages_are_read_as_written(made in made(), literal: bool, fill: u8, repeats: bool) {
        let body = made.body();
        let form = if literal { Form::Literal } else { Form::Table };
        let head = Head {
            form,
            frame: made.numbers.3 as u16,
            fill: if literal { 0 } else { fill },
            sequence: made.numbers.0,
            flag: if repeats { [made.kind; 2] } else { [media::VIDEO, made.kind] },
        };
        let content = Content::parse(&body, made.kind).unwrap();
        let message = Message { head, content, body: &body };
        let mut bytes = Vec::new();
        message.emit(&mut bytes);
        prop_assert_eq!(Message::parse_as(&bytes, form), Ok(message));
    }

    #[test]
    fn reading_is_total(first in 3u8..6, bytes: Vec<u8>) {
        let whole = [&[first][..], &bytes].concat();
        for packet in [Packet::datagram(&whole), Packet::message(&bytes)].into_iter().flatten() {
            packet.fields(&mut |_, _| {});
            let _ = (packet.to_string(), packet.is_video(), packet.number(), packet.sequence());
        }
    }
}

#[test]
fn the_two_forms_are_told_apart_by_rtp() {
    let rtp = [0x80, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
    let (extension, data) = ([7u8; 8], [1u8, 2]);
    let body = [&rtp[..], &extension, &data].concat();
    // Sequence numbers that end with 03 make the literal form look like the table's, and the
    // other way round.
    let literal = [&[9, 9, 0, 0, 0x2d, 1, 3, 3, 3][..], &body].concat();
    let Ok(Packet::Message(read)) = Packet::message(&literal) else { panic!("not read") };
    assert_eq!((read.head.form, read.head.sequence), (Form::Literal, 0x103));
    let table = [&[9, 9, 0, 0, 0x2d, 0x64, 1, 3, 3, 3][..], &body].concat();
    let Ok(Packet::Message(read)) = Packet::message(&table) else { panic!("not read") };
    assert_eq!((read.head.form, read.head.fill), (Form::Table, 0x64));
    assert_eq!(read.content.unwrap().data, data);
}

#[test]
fn an_extension_longer_than_the_packet_is_a_fault() {
    let mut bytes = vec![5, 0, 1, 0, 0x2d, 0x64, 0, 0, 0, 0, 1, 0, 0, 0, 1, 3];
    bytes.extend([0x90, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xbe, 0xde, 0, 9]);
    let error = Packet::datagram(&bytes).unwrap_err();
    assert_eq!((error.offset, error.is_truncated()), (32, true));
}
