//! A map that forgets: what was not touched for long goes, and beyond a number of keys the
//! longest untouched.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use foldhash::fast::RandomState;
use ottoscope_flow::{Span, Timestamp};

/// Bounded by count and age. Times must not run backwards by much; where they do, keys live a
/// little longer or shorter, nothing else.
#[derive(Debug)]
pub(crate) struct Aged<K, V> {
    map: HashMap<K, (Timestamp, V), RandomState>,
    order: VecDeque<(Timestamp, K)>,
    capacity: usize,
    keep: Span,
}

impl<K: Copy + Eq + Hash, V: Default> Aged<K, V> {
    pub(crate) fn new(capacity: usize, keep: Span) -> Self {
        Aged { map: HashMap::default(), order: VecDeque::new(), capacity: capacity.max(1), keep }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key).map(|(_, value)| value)
    }

    /// The value of a key unless it was too old by `at`: whether another key was touched since,
    /// which would have removed it, changes nothing.
    pub(crate) fn get_at(&self, at: Timestamp, key: &K) -> Option<&V> {
        let fresh = self.map.get(key).filter(|(fresh, _)| (at - *fresh).0 <= self.keep.0);
        fresh.map(|(_, value)| value)
    }

    /// The value of a key, made if missing and counted as fresh from `at`.
    pub(crate) fn touch(&mut self, at: Timestamp, key: K) -> &mut V {
        self.expire(at);
        // Keys touched again leave stale tokens behind; drop them before they outweigh the map.
        if self.order.len() > 4 * self.map.len().max(256) {
            let map = &self.map;
            self.order.retain(|(at, key)| map.get(key).is_some_and(|(fresh, _)| fresh == at));
        }
        self.order.push_back((at, key));
        let slot = self.map.entry(key).or_insert_with(|| (at, V::default()));
        slot.0 = at;
        &mut slot.1
    }

    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    fn expire(&mut self, now: Timestamp) {
        while let Some(&(at, key)) = self.order.front() {
            if self.map.len() < self.capacity && (now - at).0 <= self.keep.0 {
                break;
            }
            self.order.pop_front();
            if self.map.get(&key).is_some_and(|(fresh, _)| *fresh == at) {
                self.map.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_untouched_goes_first() {
        let mut map: Aged<u32, u32> = Aged::new(2, Span::from_seconds(100));
        let at = |s| Timestamp::from_parts(s, 0);
        *map.touch(at(1), 1) = 10;
        *map.touch(at(2), 2) = 20;
        *map.touch(at(3), 1) = 11;
        *map.touch(at(4), 3) = 30;
        assert_eq!((map.get(&1), map.get(&2), map.get(&3)), (Some(&11), None, Some(&30)));
        assert_eq!((map.get_at(at(103), &1), map.get_at(at(104), &1)), (Some(&11), None));
        map.touch(at(103), 4);
        assert_eq!((map.get(&1), map.get(&3)), (None, Some(&30)));
        assert_eq!(map.len(), 2);
    }

    #[test]
    fn memory_stays_bounded_under_any_order() {
        let mut map: Aged<u32, u32> = Aged::new(100, Span::from_seconds(10));
        for i in 0_u32..100_000 {
            map.touch(
                Timestamp::from_parts(i64::from(i % 977), 0),
                i.wrapping_mul(2_654_435_761) % 500,
            );
            assert!(
                map.len() <= 100 && map.order.len() <= 1_100,
                "{} {}",
                map.len(),
                map.order.len()
            );
        }
    }
}
