//! Units that are being cut, found by key and let go by silence.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use std::hash::{Hash, Hasher};

use super::Unit;
use crate::key::FlowKey;

/// A 5-tuple, or one direction of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) tuple: FlowKey,
    /// Of a flow: from the lower end. Always true of sessions.
    pub(super) forward: bool,
}

/// The tuple's own hash under a fixed state: which unit goes first must not depend on it, so
/// that only speed does.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let ends = self.tuple.ends();
        ends.hash(state);
        state.write_u8(self.tuple.protocol());
        state.write_u8(u8::from(self.forward));
    }
}

/// No slot.
const NONE: u32 = u32::MAX;

struct Slot {
    key: Key,
    unit: Unit,
    /// Order of the first packets.
    number: u64,
    older: u32,
    newer: u32,
}

/// Units by key, and in order of their last packets.
pub(super) struct Open {
    by_key: HashMap<Key, u32, RandomState>,
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
    count: u64,
}

impl Open {
    pub(super) fn new() -> Self {
        Open {
            by_key: HashMap::default(),
            slots: Vec::new(),
            free: Vec::new(),
            oldest: NONE,
            newest: NONE,
            count: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    fn slot(&mut self, at: u32) -> Option<&mut Slot> {
        self.slots.get_mut(at as usize)?.as_mut()
    }

    fn unlink(&mut self, at: u32) {
        let Some(slot) = self.slot(at) else { return };
        let (older, newer) = (slot.older, slot.newer);
        match self.slot(older) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
        match self.slot(newer) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
    }

    fn link_last(&mut self, at: u32) {
        let newest = self.newest;
        if let Some(slot) = self.slot(at) {
            (slot.older, slot.newer) = (newest, NONE);
        }
        match self.slot(newest) {
            Some(slot) => slot.newer = at,
            None => self.oldest = at,
        }
        self.newest = at;
    }

    /// The unit of `key`, which from now on was heard last.
    pub(super) fn touch(&mut self, key: &Key) -> Option<&mut Unit> {
        let at = *self.by_key.get(key)?;
        if at != self.newest {
            self.unlink(at);
            self.link_last(at);
        }
        self.slot(at).map(|slot| &mut slot.unit)
    }

    /// Adds a unit whose key is not there.
    pub(super) fn add(&mut self, key: Key, unit: Unit) {
        let slot = Slot { key, unit, number: self.count, older: NONE, newer: NONE };
        self.count += 1;
        let at = if let Some(at) = self.free.pop() {
            self.slots[at as usize] = Some(slot);
            at
        } else {
            self.slots.push(Some(slot));
            (self.slots.len() - 1) as u32
        };
        self.by_key.insert(key, at);
        self.link_last(at);
    }

    /// Takes the unit out that was silent longest.
    pub(super) fn evict(&mut self) -> Option<Unit> {
        let at = self.oldest;
        self.unlink(at);
        let slot = self.slots.get_mut(at as usize)?.take()?;
        self.by_key.remove(&slot.key);
        self.free.push(at);
        Some(slot.unit)
    }

    /// Takes all out, in order of their first packets.
    pub(super) fn drain(&mut self) -> Vec<Unit> {
        let mut slots: Vec<Slot> = self.slots.drain(..).flatten().collect();
        slots.sort_by_key(|slot| slot.number);
        *self = Open::new();
        slots.into_iter().map(|slot| slot.unit).collect()
    }
}
