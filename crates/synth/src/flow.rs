//! A living flow: what carries it, and its packets as bytes.

use std::collections::VecDeque;
use std::net::IpAddr;

use ottoscope_wire::Tcp;
use ottoscope_wire::build::{Ip, Segment as Header};

use crate::content::Content;
use crate::device::Stack;
use crate::rng::Rng;
use crate::tcp::{Connection, Mark, Segment, UP};
use crate::truth::{DnsTruth, FlowTruth, MessageTruth, SegmentTruth};

/// One UDP packet.
#[derive(Debug)]
pub(crate) struct Datagram {
    /// When it passes the capture point.
    pub at: i64,
    pub side: usize,
    pub content: Content,
    pub mark: Option<Mark>,
}

/// An application over UDP: its packets in order of time.
pub(crate) trait Talk {
    fn next(&mut self, rng: &mut Rng) -> Option<Datagram>;
}

/// Packets known from the start.
impl Talk for VecDeque<Datagram> {
    fn next(&mut self, _rng: &mut Rng) -> Option<Datagram> {
        self.pop_front()
    }
}

pub(crate) enum Carrier {
    Tcp(Box<Connection>),
    Udp { talk: Box<dyn Talk>, next: Option<Datagram>, rng: Rng },
}

/// A living flow.
pub(crate) struct Flow {
    pub user: u32,
    pub carrier: Carrier,
    pub truth: Box<FlowTruth>,
    /// Answer that the address came from: when captured, and the end of its time to live.
    pub answer: Option<(i64, i64)>,
    pub dns: Option<Box<DnsTruth>>,
    pub started: bool,
    pub syn: Option<i64>,
    pub syn_ack: Option<i64>,
    /// Every segment's truth is told, too.
    pub traced: bool,
}

impl Flow {
    /// When its next packet is due; none when it has ended.
    pub(crate) fn next_at(&mut self) -> Option<i64> {
        match &mut self.carrier {
            Carrier::Tcp(connection) => connection.next_at(),
            Carrier::Udp { talk, next, rng } => {
                if next.is_none() {
                    *next = talk.next(rng);
                }
                next.as_ref().map(|datagram| datagram.at)
            }
        }
    }
}

/// The ends of a conversation, client first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub addresses: [IpAddr; 2],
    pub ports: [u16; 2],
}

/// Hop limit that servers' packets have left at the capture point.
const SERVER_TTL: u8 = 52;

impl Ends {
    fn ip(&self, side: usize, stack: &Stack, id: u16) -> Ip {
        Ip {
            source: self.addresses[side],
            destination: self.addresses[1 - side],
            ttl: if side == UP { stack.ttl } else { SERVER_TTL },
            id,
        }
    }

    /// Appends the IP packet of a segment. `salt` makes the initial sequence numbers.
    pub(crate) fn segment(
        &self,
        out: &mut Vec<u8>,
        stack: &Stack,
        segment: &Segment,
        content: Option<&Content>,
        salt: u64,
    ) {
        let side = usize::from(segment.side);
        let mut options = [0; 40];
        let syn = segment.flags & Tcp::SYN != 0;
        let n = match (syn, side) {
            (true, UP) => stack.syn(segment.stamp, &mut options),
            (true, _) => stack.syn_ack(segment.stamp, segment.echo, &mut options),
            _ if segment.flags & Tcp::RST != 0 => 0,
            _ => stack.later(segment.stamp, segment.echo, &mut options),
        };
        let ports = u64::from(self.ports[0]) << 16 | u64::from(self.ports[1]);
        let first = crate::rng::mix(salt << 32 | ports);
        let first = [first as u32, (first >> 32) as u32];
        let header = Header {
            source_port: self.ports[side],
            destination_port: self.ports[1 - side],
            seq: first[side].wrapping_add(segment.seq),
            ack: match segment.flags & Tcp::ACK {
                0 => 0,
                _ => first[1 - side].wrapping_add(segment.ack),
            },
            flags: segment.flags,
            window: stack.advertised(side, syn),
            options: &options[..n],
        };
        self.ip(side, stack, segment.ip_id).tcp(out, &header, |out| {
            put(out, content, segment.offset, usize::from(segment.len));
        });
    }

    /// Appends the IP packet of a datagram.
    pub(crate) fn datagram(&self, out: &mut Vec<u8>, stack: &Stack, datagram: &Datagram, id: u16) {
        let Datagram { side, content, .. } = datagram;
        self.ip(*side, stack, id).udp(out, self.ports[*side], self.ports[1 - side], |out| {
            put(out, Some(content), 0, content.len() as usize);
        });
    }
}

/// Appends `len` bytes of a message from `offset` on.
fn put(out: &mut Vec<u8>, content: Option<&Content>, offset: u64, len: usize) {
    let at = out.len();
    out.resize(at + len, 0);
    if let Some(content) = content {
        content.fill(offset, &mut out[at..]);
    }
}

/// Counts `new` bytes of a marked message of `whole` bytes; returns its truth when they are all
/// there. A message that is not wholly in the capture is never told.
pub(crate) fn note(
    truth: &mut FlowTruth,
    row: &mut Option<Box<MessageTruth>>,
    mark: Option<Mark>,
    at: i64,
    side: usize,
    (new, whole): (u64, u64),
) -> Option<Box<MessageTruth>> {
    let mark = mark?;
    if row.is_none() && new > 0 {
        *row = Some(Box::new(MessageTruth {
            client: truth.client,
            client_port: truth.client_port,
            server: truth.server,
            server_port: truth.server_port,
            // The flow's first packet may be this very one.
            flow: if truth.packets == [0; 2] { at } else { truth.first },
            first: at,
            last: at,
            direction: if side == UP { "up" } else { "down" },
            task: mark.task,
            opcode: mark.opcode,
            sequence: mark.sequence,
            layout: mark.lab.map(|(layout, _)| layout),
            response: mark.lab.map(|(_, response)| response),
            offset: None,
            bytes: whole,
            seen: 0,
        }));
    }
    let message = row.as_mut().filter(|_| new > 0)?;
    message.seen += new;
    message.last = at;
    if message.seen < message.bytes {
        return None;
    }
    truth.messages += 1;
    row.take()
}

/// The truth of one packet with payload; `place` is its offset in the stream, and its bytes.
pub(crate) fn trace(
    truth: &FlowTruth,
    at: i64,
    side: usize,
    (offset, bytes): (u64, u64),
    repeated: bool,
    starts: Vec<u32>,
) -> SegmentTruth {
    SegmentTruth {
        client: truth.client,
        client_port: truth.client_port,
        server: truth.server,
        server_port: truth.server_port,
        flow: if truth.packets == [0; 2] { at } else { truth.first },
        at,
        direction: if side == UP { "up" } else { "down" },
        offset,
        bytes,
        repeated,
        role: if starts.first() == Some(&0) { "protocol" } else { "fragment" },
        starts,
    }
}
