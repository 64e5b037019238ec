//! Expiry at O(1) a packet: a timer wheel that is asked only when time passes.
//!
//! Packets never touch the wheel. An entry stands in it under the second at which it would
//! expire if no packet came; when that second fires, the owner looks at the entry's true last
//! packet and either ends it or puts it back under its new second. Timers are never taken out:
//! each carries the generation of its entry, and the owner ignores those of another.

use std::ops::Range;

use crate::time::Timestamp;

/// Slots of one second. Longer timeouts wait in the farthest slot and are put back from there.
const SLOTS: i64 = 2048;

/// Steps of the clock taken at face value; longer ones need [`CONFIRM`] packets.
const STEP: i64 = 600;

/// Packets in a row that must agree before the clock jumps, so that one broken timestamp does
/// not end every flow.
const CONFIRM: u32 = 16;

/// An entry's number and generation.
pub(crate) type Timer = (u32, u32);

/// A timer wheel over entries.
#[derive(Debug)]
pub(crate) struct Wheel {
    slots: Vec<Vec<Timer>>,
    /// The clock in seconds; `None` before the first packet.
    now: Option<i64>,
    /// The same in nanoseconds; empty before the first packet.
    second: Range<i64>,
    strays: u32,
    /// No slot before this second has a timer.
    least: i64,
}

impl Wheel {
    pub(crate) fn new() -> Self {
        Wheel {
            slots: (0..SLOTS).map(|_| Vec::new()).collect(),
            now: None,
            second: 0..0,
            strays: 0,
            least: i64::MAX,
        }
    }

    /// The clock in seconds.
    pub(crate) fn now(&self) -> i64 {
        self.now.unwrap_or(0)
    }

    /// Whether a packet of this time leaves the clock where it stands. As [`Wheel::observe`] for
    /// nearly all packets, without a division.
    #[inline]
    pub(crate) fn stands(&mut self, at: Timestamp) -> bool {
        let stands = self.second.contains(&at.0);
        if stands {
            self.strays = 0;
        }
        stands
    }

    fn set(&mut self, now: i64) {
        self.now = Some(now);
        self.second = Timestamp::from_parts(now, 0).0..Timestamp::from_parts(now + 1, 0).0;
    }

    /// Registers `timer` to fire at `second`.
    pub(crate) fn insert(&mut self, timer: Timer, second: i64) {
        let now = self.now();
        let second = second.clamp(now + 1, now + SLOTS - 1);
        self.least = self.least.min(second);
        self.slots[second.rem_euclid(SLOTS) as usize].push(timer);
    }

    /// Whether a timer may stand under this second.
    pub(crate) fn reaches(&self, second: i64) -> bool {
        second < self.now() + SLOTS
    }

    /// Whether a packet at `second` moves the clock to a later second. Backward steps within
    /// reach and single far-off timestamps do not.
    pub(crate) fn observe(&mut self, second: i64) -> Option<i64> {
        let Some(now) = self.now else {
            self.set(second);
            return None;
        };
        if second == now {
            self.strays = 0;
            return None;
        }
        let step = second.saturating_sub(now);
        if step.saturating_abs() > STEP {
            self.strays += 1;
            if self.strays < CONFIRM {
                return None;
            }
            self.strays = 0;
            if step < 0 {
                // Time went back for good. What stands in the wheel fires later than it would.
                self.set(second);
                return None;
            }
            return Some(second);
        }
        self.strays = 0;
        (step > 0).then_some(second)
    }

    /// Moves the clock to `second` and takes out all that fires on the way.
    pub(crate) fn advance(&mut self, second: i64, fired: &mut Vec<Timer>) {
        let from = self.now();
        let steps = (second - from).clamp(0, SLOTS);
        for i in 1..=steps {
            fired.append(&mut self.slots[(from + i).rem_euclid(SLOTS) as usize]);
        }
        self.set(second);
    }

    /// Takes out a timer that fires next, with its second, for eviction.
    pub(crate) fn next_due(&mut self) -> Option<(Timer, i64)> {
        let now = self.now();
        let from = self.least.clamp(now + 1, now + SLOTS);
        for second in from..now + SLOTS {
            if let Some(timer) = self.slots[second.rem_euclid(SLOTS) as usize].pop() {
                self.least = second;
                return Some((timer, second));
            }
        }
        self.least = i64::MAX;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_due_comes_first() {
        let mut wheel = Wheel::new();
        step(&mut wheel, 1000);
        for (entry, second) in [(1, 1060), (2, 1010), (3, 1060), (4, 90_000)] {
            wheel.insert((entry, 0), second);
        }
        let mut order = || wheel.next_due().map(|((entry, _), second)| (entry, second));
        assert_eq!(order(), Some((2, 1010)));
        assert_eq!(order(), Some((3, 1060)));
        wheel.insert((5, 0), 1020);
        let mut order = || wheel.next_due().map(|((entry, _), second)| (entry, second));
        assert_eq!(order(), Some((5, 1020)));
        assert_eq!(order(), Some((1, 1060)));
        assert_eq!(order(), Some((4, 1000 + SLOTS - 1)));
        assert_eq!(order(), None);
        wheel.insert((6, 0), 1003);
        assert_eq!(wheel.next_due(), Some(((6, 0), 1003)));
    }

    fn step(wheel: &mut Wheel, second: i64) -> Vec<u32> {
        let mut fired = Vec::new();
        if let Some(to) = wheel.observe(second) {
            wheel.advance(to, &mut fired);
        }
        fired.into_iter().map(|(entry, _)| entry).collect()
    }

    #[test]
    fn entries_fire_once_in_their_second() {
        let mut wheel = Wheel::new();
        step(&mut wheel, 1000);
        wheel.insert((1, 0), 1010);
        wheel.insert((2, 0), 1060);
        assert!(step(&mut wheel, 1009).is_empty());
        assert_eq!(step(&mut wheel, 1010), [1]);
        assert!(step(&mut wheel, 1005).is_empty());
        assert_eq!(step(&mut wheel, 1500), [2]);
        assert!(step(&mut wheel, 1501).is_empty());
    }

    #[test]
    fn far_timers_come_early_and_are_put_back() {
        let mut wheel = Wheel::new();
        step(&mut wheel, 0);
        wheel.insert((1, 0), 1_000_000);
        let mut at = 0;
        while step(&mut wheel, at).is_empty() {
            at += 500;
        }
        assert_eq!(at, 2500);
    }

    #[test]
    fn one_broken_timestamp_moves_nothing() {
        let mut wheel = Wheel::new();
        step(&mut wheel, 1000);
        wheel.insert((1, 0), 1010);
        assert!(step(&mut wheel, 4_000_000_000).is_empty());
        assert!(step(&mut wheel, i64::MIN).is_empty());
        assert!(step(&mut wheel, 1001).is_empty());
        assert_eq!(wheel.now(), 1001);
        let fired: Vec<u32> = (0..20).flat_map(|_| step(&mut wheel, 90_000)).collect();
        assert_eq!(fired, [1]);
        (0..20).for_each(|_| assert!(step(&mut wheel, 500).is_empty()));
        assert_eq!(wheel.now(), 500);
    }
}
