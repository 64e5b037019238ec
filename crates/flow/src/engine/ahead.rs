//! Frames are looked at some at a time: what each will touch of a million flows' memory is on its
//! way while others are read, instead of one after the other.
//!
//! Nothing is decided here. Whoever works on a frame asks the table again, and finds it near.

use std::hint::black_box;

use ottoscope_wire::WireError;
use ottoscope_wire::packet::{self, Decoded, Fragment, Packet};

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

/// What a frame holds.
pub(super) enum Met<'a> {
    Packet(Packet<'a>, Conversation),
    /// A packet of another worker's flow.
    Elsewhere,
    Fragment(Fragment<'a>),
    NotIp,
    Broken(WireError),
}

impl<S: Sink> Engine<S> {
    /// Whose packet it is, if this worker's.
    #[inline]
    pub(super) fn conversation(&self, packet: &Packet<'_>) -> Option<Conversation> {
        let (key, forward) = FlowKey::of(packet);
        let hash = key.hash(&self.shard.hash);
        self.shard.owns(hash).then_some(Conversation { key, forward, hash })
    }

    /// Decodes at most [`TOGETHER`] frames and reads from memory what working on them will.
    #[inline]
    pub(super) fn look_ahead<'a>(&self, frames: &[Frame<'a>]) -> [Met<'a>; TOGETHER] {
        let met = std::array::from_fn(|i| frames.get(i).map_or(Met::Elsewhere, |f| self.meet(f)));
        let mut touched = 0;
        for met in &met {
            if let Met::Packet(_, conversation) = met
                && let Some(slot) = self.index.guess(conversation.hash)
            {
                touched ^= self.entries[slot as usize].touch();
            }
        }
        black_box(touched);
        met
    }

    #[inline]
    fn meet<'a>(&self, frame: &Frame<'a>) -> Met<'a> {
        if frame.elsewhere {
            return Met::Elsewhere;
        }
        match packet::decode(frame.link, frame.bytes) {
            Ok(Decoded::Packet(packet)) => match self.conversation(&packet) {
                Some(conversation) => Met::Packet(packet, conversation),
                None => Met::Elsewhere,
            },
            Ok(Decoded::Fragment(fragment)) => Met::Fragment(fragment),
            Ok(Decoded::NotIp(_)) => Met::NotIp,
            Err(error) => Met::Broken(error),
        }
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
        let hashes = slots.map(|slot| self.entries[slot as usize].key.hash(&self.shard.hash));
        let guesses = hashes.map(|hash| self.index.guess(hash).unwrap_or_default());
        black_box(guesses.fold(0, |sum, guess| sum ^ guess));
    }
}
