//! The same calls through the flow engine, whose messages make the session.

use std::convert::Infallible;
use std::sync::Arc;

use ottoscope_flow::dissector::signature::SignatureSet;
use ottoscope_flow::{Config, Engine, Flow, Frame as Captured, Shard, Sink};
use ottoscope_wire::LinkType;
use ottoscope_wire::build::{Ip, Segment};
use ottoscope_wire::packet::Tcp;
use ottoscope_wire::qq_video::Form;
use ottoscope_wire::stun::MessageRepr;

use super::testing::*;
use super::*;
use crate::FrameState;

/// One session, fed with what the engine tells.
#[derive(Default)]
struct Told {
    session: Option<Session>,
    frames: Vec<Frame>,
    recovered: Vec<Recovered>,
    protocols: Vec<&'static str>,
}

impl Sink for Told {
    type Error = Infallible;

    fn message(&mut self, message: &Message<'_>) -> Result<(), Infallible> {
        let session = self.session.get_or_insert_with(|| Session::new(Options::default()));
        session.message(message, &mut |frame| self.frames.push(frame));
        Ok(())
    }

    fn flow(&mut self, flow: &Flow) -> Result<(), Infallible> {
        self.protocols.push(flow.facts.protocol);
        if let Some(session) = self.session.take() {
            self.recovered.push(session.finish(&mut |frame| self.frames.push(frame)));
        }
        Ok(())
    }
}

fn told(packets: &[(Timestamp, Vec<u8>)]) -> Told {
    let config = Config { video_packets: true, ..Config::default() };
    let signatures = Arc::new(SignatureSet::default());
    let mut engine = Engine::new(config, signatures, Shard::single(), Told::default());
    for (at, bytes) in packets {
        let wire_len = bytes.len() as u32;
        let (at, link, capture) = (*at, LinkType::RAW, 0);
        let frame = Captured { at, link, capture, wire_len, bytes, elsewhere: false };
        engine.frames([frame]).unwrap();
    }
    engine.finish().unwrap().0
}

/// Addresses and ports of a packet's sender and receiver.
fn ends(direction: Direction) -> (Ip, u16, u16) {
    let (a, b) = ("10.0.0.1".parse().unwrap(), "192.0.2.1".parse().unwrap());
    match direction {
        Direction::Up => (Ip::new(a, b), 40_000, 50_000),
        Direction::Down => (Ip::new(b, a), 50_000, 40_000),
    }
}

fn datagram(direction: Direction, payload: &[u8]) -> Vec<u8> {
    let (ip, from, to) = ends(direction);
    let mut bytes = Vec::new();
    ip.udp(&mut bytes, from, to, |out| out.extend_from_slice(payload));
    bytes
}

fn intact(frames: &[Frame]) -> Vec<Vec<u8>> {
    let whole = frames.iter().filter(|frame| frame.state == FrameState::Intact);
    let mut data: Vec<_> = whole.map(|frame| frame.data.clone()).collect();
    data.sort();
    data
}

#[test]
fn datagrams_behind_checks_of_connectivity() {
    let call = call(&PLAN);
    let mut check = Vec::new();
    MessageRepr::new(1, [7; 12]).emit(&mut check);
    let first = call.sent[0].at;
    let mut packets = vec![(first, datagram(Direction::Up, &check)); 30];
    packets.extend(call.sent.iter().map(|sent| (sent.at, datagram(sent.direction, &sent.bytes))));
    let told = told(&packets);
    assert_eq!(told.protocols, ["qq-video"]);
    assert!(told.recovered[0].accepted.is_some());
    assert_eq!(told.recovered[0].streams.len(), 4);
    assert_eq!(intact(&told.frames), intact(&recover(&call.sent).0));
    assert_eq!(intact(&told.frames).len(), 180);
}

#[test]
fn segments_out_of_order_and_again() {
    for form in Form::ALL {
        let call = call(&Plan { carrier: Carrier::Tcp(form), ..PLAN });
        let mut next = [1000_u32, 5000];
        let mut packets = Vec::new();
        let mut segment = |at, direction: Direction, flags, payload: &[u8]| {
            let (ip, source_port, destination_port) = ends(direction);
            let (seq, ack) = (next[direction.index()], next[1 - direction.index()]);
            next[direction.index()] += payload.len() as u32 + u32::from(flags & Tcp::SYN != 0);
            let head = Segment {
                source_port,
                destination_port,
                seq,
                ack: if flags & Tcp::ACK == 0 { 0 } else { ack },
                flags,
                window: 8192,
                options: &[],
            };
            let mut bytes = Vec::new();
            ip.tcp(&mut bytes, &head, |out| out.extend_from_slice(payload));
            packets.push((at, bytes));
        };
        let first = call.sent[0].at;
        segment(first, Direction::Up, Tcp::SYN, &[]);
        segment(first, Direction::Down, Tcp::SYN | Tcp::ACK, &[]);
        segment(first, Direction::Up, Tcp::ACK, &[]);
        for sent in &call.sent {
            segment(sent.at, sent.direction, Tcp::ACK, &sent.bytes);
        }
        // Some come behind the next of their direction, and some twice.
        let source = |packet: &(Timestamp, Vec<u8>)| packet.1[12..16].to_vec();
        let mut swapped = 0;
        for i in (9..packets.len() - 9).step_by(5) {
            if source(&packets[i]) == source(&packets[i + 1]) {
                packets.swap(i, i + 1);
                swapped += 1;
            }
        }
        assert!(swapped > 10);
        for i in (10..packets.len() - 10).step_by(17) {
            let again = packets[i].clone();
            packets.insert(i + 3, again);
        }
        let told = told(&packets);
        assert_eq!(told.protocols, ["qq-video"], "{form:?}");
        assert_eq!(intact(&told.frames), intact(&recover_stream(&call.sent).0));
        assert_eq!(intact(&told.frames).len(), 180);
        assert_eq!(told.recovered[0].streams[0].form, Some(form));
    }
}
