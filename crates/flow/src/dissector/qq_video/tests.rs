use super::*;
use crate::dissector::testing::Bench;
use crate::model::Direction::{Down, Up};
use ottoscope_wire::qq_video::{Case1, Content, Form, Head, Message, Packet, VIDEO_FLAG};
use ottoscope_wire::{rtp, stun, vp8};
use proptest::prelude::*;

/// One packet as it is to be sent, in any transport.
#[derive(Debug, Clone)]
struct Sent {
    media: u8,
    number: u64,
    frame: u32,
    sequence: u16,
    timestamp: u32,
    marker: bool,
    ssrc: u32,
    payload: Vec<u8>,
}

impl Sent {
    fn rtp(&self) -> rtp::Packet<'_> {
        rtp::Packet {
            marker: self.marker,
            payload_type: if self.media == media::VIDEO { 96 } else { 8 },
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            contributors: &[],
            extension: None,
            payload: &self.payload,
            padding: 0,
        }
    }

    fn content(&self) -> Content<'_> {
        Content { rtp: self.rtp(), extension: &[], data: &[] }
    }

    fn datagram(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        Packet::Case1(Case1 {
            sequence: (self.number as u16).wrapping_mul(7919),
            flag: VIDEO_FLAG,
            number: self.number,
            frame: self.frame,
            media: self.media,
            content: Some(self.content()),
            body: &[],
        })
        .emit(&mut bytes);
        bytes
    }

    fn message(&self, form: Form) -> Vec<u8> {
        let mut bytes = Vec::new();
        let head = Head {
            form,
            frame: self.frame as u16,
            fill: 0x64,
            sequence: self.sequence.wrapping_mul(31),
            flag: [3, self.media],
        };
        Message { head, content: Some(self.content()), body: &[] }.emit(&mut bytes);
        bytes
    }
}

/// Frames of VP8 as a sender cuts them: a key frame of three pieces, then two of two.
fn call(frames: u32, first: u16) -> Vec<Sent> {
    let mut sent: Vec<Sent> = Vec::new();
    for frame in 0..frames {
        let key = frame % 30 == 0;
        let pieces = if key { 3 } else { 2 };
        let extent = |pixels| vp8::Extent { pixels, scale: 0 };
        let tag = vp8::Tag { key, version: 0, shown: true, first_partition: 90 };
        let mut coded = Vec::new();
        vp8::Header { tag, size: key.then(|| (extent(320), extent(240))) }.emit(&mut coded);
        coded.resize(pieces * 200, frame as u8);
        for (i, piece) in coded.chunks(200).enumerate() {
            let mut payload = vec![i as u8, pieces as u8, 0, 0, 0, 0, 0, 0];
            payload.extend(piece);
            let n = sent.len() as u16;
            sent.push(Sent {
                media: media::VIDEO,
                number: 1000 + u64::from(n),
                frame: 7 * frame,
                sequence: first.wrapping_add(n),
                timestamp: frame * 6000,
                marker: i + 1 == pieces,
                ssrc: 0xcafe_babe,
                payload,
            });
        }
    }
    sent
}

fn audio(n: u16) -> Sent {
    Sent {
        media: media::AUDIO,
        number: 0,
        frame: 0,
        sequence: n,
        timestamp: u32::from(n) * 160,
        marker: false,
        ssrc: 0x0a0d10,
        payload: vec![0xd5; 60],
    }
}

/// What a reader hands over, packet by packet.
fn read(work: impl FnOnce(&mut Reader, &mut Units<'_>)) -> (Vec<Vec<u8>>, Reader) {
    let mut reader = Reader::default();
    let mut units = Vec::new();
    work(&mut reader, &mut |unit| units.push(unit.bytes.to_vec()));
    (units, reader)
}

#[test]
fn a_call_is_accepted_and_nothing_is_lost() {
    let sent: Vec<_> = call(20, 65_500).iter().map(Sent::datagram).collect();
    let (units, reader) = read(|reader, out| {
        for datagram in &sent {
            assert!(reader.datagram(Timestamp(0), Up, datagram, out));
        }
    });
    assert_eq!(units, sent);
    let score = reader.score().unwrap();
    assert!(score.value() > 0.99 && score.packets == MIN_PACKETS, "{score:?}");
    assert_eq!(score.reasons().count(), 5);
}

#[test]
fn each_piece_of_evidence_is_asked_for() {
    let check = |change: &dyn Fn(usize, &mut Sent)| {
        let mut sent = call(60, 1);
        sent.iter_mut().enumerate().for_each(|(i, sent)| change(i, sent));
        let (units, reader) = read(|reader, out| {
            for packet in &sent {
                reader.datagram(Timestamp(0), Up, &packet.datagram(), out);
            }
        });
        assert_eq!((units.len(), reader.score()), (0, None));
    };
    check(&|i, sent| sent.ssrc = i as u32 + 1);
    check(&|i, sent| sent.number = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) & 0xff_ffff_ffff);
    check(&|_, sent| sent.timestamp = sent.timestamp.wrapping_neg());
    check(&|i, sent| sent.payload[8..].iter_mut().for_each(|b| *b ^= (i * 37 + 11) as u8 | 0x0e));
    check(&|_, sent| sent.media = media::AUDIO);
}

#[test]
fn other_protocols_begin_alike() {
    let mut bench = Bench::new(Transport::Udp, (PROTOCOL.open)());
    for i in 0..90u8 {
        bench.feed(Up, &[5, i, 0, 0, 0x2d, 0x64, i, 3, 9, 1, 1, 1, 1, 1, 1, 9, i]);
    }
    assert_eq!((bench.facts.protocol, bench.end), ("", Some(Progress::NotMine)));
}

#[test]
fn stun_in_front_does_not_hide_a_call() {
    let mut request = Vec::new();
    stun::message::MessageRepr::new(1, [7; 12]).emit(&mut request);
    let mut bench = Bench::new(Transport::Udp, (crate::dissector::stun::PROTOCOL.open)());
    for _ in 0..40 {
        bench.feed(Up, &request);
    }
    assert_eq!(bench.facts.protocol, "stun");
    for packet in call(20, 1) {
        bench.feed(Down, &packet.datagram());
    }
    bench.close();
    assert_eq!(bench.facts.protocol, "qq-video");
    assert!(bench.messages.iter().any(|line| line.contains("qq-video/accepted")));
    assert!(bench.messages.last().unwrap().contains("qq-video/summary len=0 video=41"));
}

/// A stream's messages, audio among them.
fn stream(form: Form) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    for (n, packet) in call(20, 65_530).iter().enumerate() {
        messages.push(packet.message(form));
        if n % 3 == 0 {
            messages.push(audio((n / 3) as u16).message(form));
        }
    }
    messages
}

#[test]
fn a_segment_a_message_gives_them_all() {
    for form in Form::ALL {
        let messages = stream(form);
        let (units, reader) = read(|reader, out| {
            for message in &messages {
                reader.bytes(Timestamp(0), Down, message, out);
            }
            reader.finish(out);
        });
        assert_eq!(units, messages, "{form:?}");
        assert!(reader.has_proven_marks() || reader.score().is_some());
    }
}

#[test]
fn a_hole_costs_the_messages_it_touches() {
    let messages = stream(Form::Table);
    let hole = 20;
    let (units, _) = read(|reader, out| {
        for (i, message) in messages.iter().enumerate() {
            if i == hole {
                reader.bytes(Timestamp(0), Up, &message[..100], out);
                reader.gap(Up, out);
                reader.bytes(Timestamp(0), Up, &message[130..], out);
            } else {
                reader.bytes(Timestamp(0), Up, message, out);
            }
        }
        reader.finish(out);
    });
    let mut expected = messages.clone();
    expected.remove(hole);
    assert_eq!(units, expected);
}

#[test]
fn a_mark_in_the_data_does_not_cut() {
    let mut messages = stream(Form::Table);
    // Looks like a message of another source, and stays alone.
    let stray = audio(77).message(Form::Table);
    let mut stray = stray[..40].to_vec();
    stray[18..22].copy_from_slice(&[9; 4]);
    messages[30].splice(100..140, stray);
    let whole: Vec<u8> = messages.concat();
    let (units, _) = read(|reader, out| {
        for part in whole.chunks(1400) {
            reader.bytes(Timestamp(0), Up, part, out);
        }
        reader.finish(out);
    });
    // Which of the two it was, nobody knows: the message is dropped.
    messages.remove(30);
    assert_eq!(units, messages);
}

fn told(parts: &[&[u8]]) -> Vec<Vec<u8>> {
    let (mut units, _) = read(|reader, out| {
        for part in parts {
            reader.bytes(Timestamp(0), Up, part, out);
        }
        reader.finish(out);
    });
    // The last one may be told or not, by whether its end is known.
    units.pop_if(|last| *last == *stream(Form::Table).last().unwrap());
    units
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_cutting_tells_the_same(cuts in prop::collection::vec(0usize..12_000, 0..40)) {
        let messages = stream(Form::Table);
        let whole: Vec<u8> = messages.concat();
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < whole.len()).collect();
        cuts.extend([0, whole.len()]);
        cuts.sort_unstable();
        let parts: Vec<&[u8]> = cuts.windows(2).map(|pair| &whole[pair[0]..pair[1]]).collect();
        prop_assert_eq!(told(&parts), &messages[..messages.len() - 1]);
    }

    #[test]
    fn reading_is_total(
        pieces in prop::collection::vec((any::<bool>(), 0usize..60, 0usize..250, any::<u8>()), 0..90),
        tcp: bool,
    ) {
        let sent = call(20, 1);
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        let mut bench = Bench::new(transport, (PROTOCOL.open)());
        for (up, which, place, value) in pieces {
            let packet = &sent[which % sent.len()];
            let mut bytes = if tcp { packet.message(Form::Table) } else { packet.datagram() };
            let place = place % bytes.len();
            bytes[place] ^= value;
            bench.feed(if up { Up } else { Down }, &bytes);
            if value == 0 && tcp {
                bench.gap(Up, 9);
            }
        }
        bench.close();
    }
}
