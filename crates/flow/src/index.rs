//! Finds the flow of a key: a table of hash tags beside the flows, not around them.
//!
//! A slot is eight bytes: half of the key's hash and the flow's number. A flow is only looked
//! at when 32 bits of its hash agree, and the table grows and shrinks without looking at flows
//! at all, since a slot's home follows from its tag. Linear probing with backward shifts keeps
//! chains short and leaves no tombstones behind.

/// Share of slots in use beyond which the table doubles, in eighths.
const FULL: usize = 6;
const SMALLEST: usize = 64;

/// Numbers of flows by the hash of their key.
#[derive(Debug)]
pub(crate) struct Index {
    /// Tag in the upper half, number plus one in the lower; 0 is free.
    slots: Box<[u64]>,
    len: usize,
}

/// What of a hash is kept.
fn tag(hash: u64) -> u64 {
    hash >> 32
}

impl Index {
    pub(crate) fn new() -> Self {
        Index { slots: vec![0; SMALLEST].into(), len: 0 }
    }

    /// Flows in the table.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn mask(&self) -> usize {
        self.slots.len() - 1 // always a power of two
    }

    fn home(&self, slot: u64) -> usize {
        (slot >> 32) as usize & self.mask()
    }

    /// The number under this hash for which `is_it` holds.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let mask = self.mask();
        let mut at = tag(hash) as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return None;
            }
            if slot >> 32 == tag(hash) {
                let number = (slot as u32).wrapping_sub(1);
                if is_it(number) {
                    return Some(number);
                }
            }
            at = (at + 1) & mask;
        }
    }

    /// The number that is probably under this hash: the first of which 32 bits agree.
    #[inline]
    pub(crate) fn guess(&self, hash: u64) -> Option<u32> {
        self.find(hash, |_| true)
    }

    /// Adds a number that is not in the table; below `u32::MAX`.
    pub(crate) fn insert(&mut self, hash: u64, number: u32) {
        if (self.len + 1) * 8 > self.slots.len() * FULL {
            self.grow();
        }
        self.len += 1;
        self.put(tag(hash) << 32 | u64::from(number.wrapping_add(1)));
    }

    /// Takes a number out that is in the table under this hash.
    pub(crate) fn remove(&mut self, hash: u64, number: u32) {
        let mask = self.mask();
        let slot = tag(hash) << 32 | u64::from(number.wrapping_add(1));
        let mut hole = tag(hash) as usize & mask;
        while self.slots[hole] != slot {
            if self.slots[hole] == 0 {
                return; // was not there
            }
            hole = (hole + 1) & mask;
        }
        self.len -= 1;
        // What probing pushed past the hole moves back into it.
        let mut next = hole;
        loop {
            next = (next + 1) & mask;
            let slot = self.slots[next];
            if slot == 0 {
                break;
            }
            let pushed = next.wrapping_sub(self.home(slot)) & mask;
            if pushed >= next.wrapping_sub(hole) & mask {
                self.slots[hole] = slot;
                hole = next;
            }
        }
        self.slots[hole] = 0;
    }

    fn put(&mut self, slot: u64) {
        let mask = self.mask();
        let mut at = self.home(slot);
        while self.slots[at] != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
    }

    #[cold]
    fn grow(&mut self) {
        let larger = vec![0; self.slots.len() * 2].into();
        let old = std::mem::replace(&mut self.slots, larger);
        for slot in old.into_iter().filter(|slot| *slot != 0) {
            self.put(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is put in and taken out, the table answers as a map does; hashes with few
        /// different bits make long chains that wrap around the end.
        #[test]
        fn answers_as_a_map(steps in prop::collection::vec((any::<bool>(), 0u64..200), 0..600)) {
            let mut index = Index::new();
            let mut model: HashMap<u32, u64> = HashMap::new();
            for (add, key) in steps {
                // 16 homes at the end of the table, and some tags that are equal.
                let hash = u64::MAX << 36 | (key % 16) << 32 | key;
                let number = key as u32;
                if add && !model.contains_key(&number) {
                    index.insert(hash, number);
                    model.insert(number, hash);
                } else if !add {
                    index.remove(hash, number);
                    model.remove(&number);
                }
                prop_assert_eq!(index.len(), model.len());
            }
            for key in 0..200u32 {
                let hash = u64::MAX << 36 | u64::from(key % 16) << 32 | u64::from(key);
                let found = index.find(hash, |number| number == key);
                prop_assert_eq!(found, model.contains_key(&key).then_some(key));
            }
        }
    }

    #[test]
    fn grows_and_keeps_everything() {
        let mut index = Index::new();
        let hash = |n: u32| u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for n in 0..100_000 {
            index.insert(hash(n), n);
        }
        assert!((0..100_000).all(|n| index.find(hash(n), |m| m == n) == Some(n)));
        assert!(
            index
                .find(hash(100_001), |_| true)
                .is_none_or(|n| hash(n) >> 32 == hash(100_001) >> 32)
        );
        assert!(index.slots.len() <= 262_144);
        for n in (0..100_000).step_by(2) {
            index.remove(hash(n), n);
        }
        assert!((0..100_000).all(|n| index.find(hash(n), |m| m == n).is_some() == (n % 2 == 1)));
    }
}
