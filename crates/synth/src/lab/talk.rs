//! A lab's conversation, planned in full: whose turn it is when, and what is said.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use super::layout::{Layout, Values};
use crate::apps::MILLI;
use crate::content::Content;
use crate::flow::Datagram;
use crate::rng::Rng;
use crate::tcp::{DOWN, Mark, Script, Step, UP};

/// One message to be sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message {
    /// Index of its layout.
    pub layout: u16,
    pub task: &'static str,
    /// As a request has it.
    pub opcode: u64,
    pub response: bool,
    pub sequence: u64,
    pub transaction: u64,
    /// Bytes, header included.
    pub len: u64,
}

/// One write of one side.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    pub side: usize,
    /// Not before this time.
    pub at: i64,
    /// Nanoseconds after all that was sent and received before.
    pub delay: i64,
    /// TCP: sent again after a timeout, though the capture point saw it.
    pub again: bool,
    pub messages: Vec<Message>,
}

/// How a conversation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Close,
    Reset,
    Vanish,
}

/// What makes bytes of messages.
#[derive(Debug, Clone)]
pub(super) struct Speech {
    pub layouts: Arc<[Layout]>,
    pub client: IpAddr,
    pub session: u64,
}

impl Speech {
    fn say(&self, message: &Message, side: usize, at: i64, rng: &mut Rng) -> (Content, Mark) {
        let noise = rng.next();
        let layout = &self.layouts[usize::from(message.layout)];
        let len = message.len.max(u64::from(layout.header));
        let values = Values {
            side,
            response: message.response,
            opcode: message.opcode,
            sequence: message.sequence,
            transaction: message.transaction,
            at,
            session: self.session,
            client: self.client,
            total: len,
            noise,
        };
        let opcode = match message.response {
            true => layout.answered(message.opcode),
            false => message.opcode,
        };
        let mark = Mark {
            task: message.task,
            opcode: layout.has_opcode().then_some(opcode as u32),
            sequence: layout.has_sequence().then_some(message.sequence as u32),
            lab: Some((message.layout, message.response)),
        };
        (Content::opaque(layout.emit(&values), len - u64::from(layout.header), noise), mark)
    }
}

/// A conversation over TCP.
pub(super) struct Stream {
    pub speech: Speech,
    pub turns: VecDeque<Turn>,
    pub end: End,
}

impl Script for Stream {
    fn step(&mut self, ready: [i64; 2], rng: &mut Rng) -> Step {
        let Some(Turn { side, at, delay, again, messages }) = self.turns.pop_front() else {
            return match self.end {
                End::Close => Step::Close { side: UP, delay: 200 * MILLI },
                End::Reset => Step::Reset { side: UP, delay: 200 * MILLI },
                End::Vanish => Step::Vanish,
            };
        };
        let delay = delay.max(at - ready[side]);
        let now = ready[side] + delay;
        let say = |message| self.speech.say(message, side, now, rng);
        Step::Batch { side, delay, messages: messages.iter().map(say).collect(), again }
    }
}

/// A conversation over UDP, one datagram a message, as the capture point sees it. `half`: to the
/// client and to the server, one way.
pub(super) fn datagrams(
    speech: &Speech,
    turns: Vec<Turn>,
    half: [i64; 2],
    rng: &mut Rng,
) -> VecDeque<Datagram> {
    let mut out = VecDeque::new();
    let mut heard = i64::MIN;
    for Turn { side, at, delay, messages, .. } in turns {
        let mut now = at.max(heard.saturating_add(delay));
        for message in &messages {
            let (content, mark) = speech.say(message, side, now, rng);
            out.push_back(Datagram { at: now + half[side], side, content, mark: Some(mark) });
            now += 100_000;
        }
        heard = now + half[UP] + half[DOWN];
    }
    out.make_contiguous().sort_by_key(|datagram| datagram.at);
    out
}
