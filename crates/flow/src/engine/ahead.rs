//! Frames are looked at some at a time: what each will touch of a million flows' memory is on its
//! way while others are read, instead of one after the other.
//!
//! Nothing is decided here. Whoever works on a frame asks the table again, and finds it near.

use std::hint::black_box;

use ottoscope_wire::WireError;
use ottoscope_wire::packet::{Decoded, Packet};
use smallvec::SmallVec;

use super::{Engine, Frame};
use crate::key::FlowKey;
use crate::sink::Sink;

/// Frames looked at before the first of them is worked on.
pub const TOGETHER: usize = 16;

/// Whose packet it is.
pub(super) struct Conversation {
    pub(super) key: FlowKey,
    /// Whether its source is the key's lower end.
    pub(super) forward: bool,
    pub(super) hash: u64,
}

/// At most [`TOGETHER`] frames, each with what it holds and whose that is.
pub(super) struct Soon<'a> {
    pub(super) frames: SmallVec<[Frame<'a>; TOGETHER]>,
    /// What frames hold where reading them went well; written in place and never moved.
    pub(super) decoded: [Decoded<'a>; TOGETHER],
    pub(super) read: SmallVec<[Result<(), WireError>; TOGETHER]>,
    /// Of packets of this worker's flows.
    pub(super) conversations: SmallVec<[Option<Conversation>; TOGETHER]>,
}

impl Soon<'_> {
    pub(super) fn new() -> Self {
        Soon {
            frames: SmallVec::new(),
            decoded: [Decoded::NOTHING; TOGETHER],
            read: SmallVec::new(),
            conversations: SmallVec::new(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.frames.clear();
        self.read.clear();
        self.conversations.clear();
    }
}

impl<S: Sink> Engine<S> {
    /// Whose packet it is, if this worker's.
    #[inline]
    pub(super) fn conversation(&self, packet: &Packet<'_>) -> Option<Conversation> {
        let (key, forward) = FlowKey::of(packet);
        let hash = key.hash(&self.shard.hash);
        self.shard.owns(hash).then_some(Conversation { key, forward, hash })
    }

    /// Decodes a frame, unless it is another worker's.
    #[inline]
    pub(super) fn meet<'a>(&self, soon: &mut Soon<'a>, frame: Frame<'a>) {
        let decoded = &mut soon.decoded[soon.frames.len()]; // fewer than `TOGETHER`
        let read = if frame.elsewhere {
            *decoded = Decoded::NOTHING;
            Ok(())
        } else {
            decoded.read(frame.link, frame.bytes)
        };
        soon.conversations.push(match (&read, decoded) {
            (Ok(()), Decoded::Packet(packet)) => self.conversation(packet),
            _ => None,
        });
        soon.read.push(read);
        soon.frames.push(frame);
    }

    /// Reads from memory what working on frames will.
    #[inline]
    pub(super) fn warm_entries(&self, soon: &Soon<'_>) {
        let mut touched = 0;
        for conversation in soon.conversations.iter().flatten() {
            if let Some(slot) = self.index.guess(conversation.hash) {
                touched ^= self.entries[slot as usize].touch();
            }
        }
        black_box(touched);
    }

    /// Reads from memory what handing these flows over will.
    pub(super) fn warm_parts(&self, slots: impl Iterator<Item = u32> + Clone) {
        let entries = slots.map(|slot| &self.entries[slot as usize]);
        let touched = entries.clone().fold(0, |sum, entry| sum ^ entry.touch());
        let used = entries.filter(|entry| entry.used());
        black_box(used.fold(touched, |sum, entry| sum ^ entry.touch_beside(&self.cold)));
    }

    /// Reads from memory where the index has these flows.
    pub(super) fn warm_index(&self, slots: impl Iterator<Item = u32>) {
        let key = |slot: u32| self.entries[slot as usize].key.whole(&self.cold.wide);
        let hashes = slots.map(|slot| key(slot).hash(&self.shard.hash));
        let guesses = hashes.map(|hash| self.index.guess(hash).unwrap_or_default());
        black_box(guesses.fold(0, |sum, guess| sum ^ guess));
    }
}
