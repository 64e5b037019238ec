//! Learns from the data where fragments carry their place in the frame.
//!
//! The paper says only that the extension is "mainly used to mark the fragment number". So every
//! number of one or two bytes in it is tried on frames that are known to be whole without it:
//! those between two others with no number missing. What counts 0..n-1 or 1..n is the index, and
//! what says n is the total.

use crate::stream::{Layout, Place};

/// Bytes of the extension that are tried.
pub(super) const LOOK: usize = 8;
/// Frames of several fragments that a choice needs.
const ENOUGH: u32 = 3;
/// A choice may be wrong about one frame in so many.
const TOLERANCE: u32 = 50;
/// Frames after which nothing new is learnt.
const MAX_FRAMES: u32 = 2000;
/// Frames after which a choice stays.
const SETTLED: u32 = 64;
/// Longest frame looked at, fragments.
const MAX_FRAGMENTS: usize = 512;
/// Numbers tried: eight of one byte, seven of two.
const PLACES: usize = LOOK + LOOK - 1;
/// Packets that must end with 03, and no other, for it to be no data.
const MIN_TAILS: u32 = 8;

/// What one fragment carries of its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Marks {
    /// First bytes of the extension.
    pub(super) extension: [u8; LOOK],
    /// How many of them there are.
    pub(super) len: u8,
    /// RTP's marker.
    pub(super) marker: bool,
}

/// How often a hypothesis held.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    right: u32,
    wrong: u32,
    /// Of the right ones, frames of three fragments and more: two are little.
    long: u32,
}

impl Tally {
    fn count(&mut self, right: bool, fragments: usize) {
        if right {
            self.right += u32::from(fragments > 1);
            self.long += u32::from(fragments > 2);
        } else {
            self.wrong += 1;
        }
    }

    fn holds(&self) -> bool {
        self.right >= ENOUGH && self.long > 0 && self.wrong * TOLERANCE <= self.right
    }
}

/// A frame as packets come.
#[derive(Debug, Default)]
struct Run {
    frame: u64,
    last: i64,
    /// Its first fragment is known to be the first.
    whole: bool,
    marks: Vec<Marks>,
}

/// Learns one stream's [`Layout`].
#[derive(Debug, Default)]
pub(super) struct Learner {
    run: Option<Run>,
    frames: u32,
    several: u32,
    /// By place and by base 0 or 1.
    index: [[Tally; 2]; PLACES],
    /// By place and by base 0 or -1.
    total: [[Tally; 2]; PLACES],
    /// Bit n: a frame of n fragments was seen, the last standing for all longer ones.
    lengths: u64,
    marker: Tally,
    tails: u32,
    no_tails: u32,
}

/// The places in the order in which ties are decided: one byte before two, the front first.
fn place(i: usize) -> (u8, u8) {
    if i < LOOK { (i as u8, 1) } else { ((i - LOOK) as u8, 2) }
}

/// The number at a place, where there is one.
fn number(marks: &Marks, (offset, width): (u8, u8)) -> Option<u32> {
    if offset + width > marks.len {
        return None;
    }
    let bytes = marks.extension.get(usize::from(offset)..usize::from(offset + width))?;
    Some(bytes.iter().fold(0, |n, byte| n << 8 | u32::from(*byte)))
}

/// What stands at a learnt place, freed of its base.
pub(super) fn read(marks: &Marks, place: Place) -> Option<u32> {
    let raw = i64::from(number(marks, (place.offset, place.width))?);
    u32::try_from(raw - i64::from(place.base)).ok()
}

impl Learner {
    /// Takes a packet in order of arrival: its number, its frame, what it carries.
    pub(super) fn take(&mut self, number: i64, frame: u64, marks: Marks) {
        if self.frames >= MAX_FRAMES {
            return;
        }
        if let Some(run) = &mut self.run {
            let follows = number == run.last + 1;
            if follows && run.frame == frame && run.marks.len() < MAX_FRAGMENTS {
                run.last = number;
                run.marks.push(marks);
                return;
            }
            let whole = follows && run.frame != frame;
            let mut old = std::mem::take(run);
            if whole && old.whole {
                self.frame(&old.marks);
            }
            old.marks.clear();
            old.marks.push(marks);
            self.run = Some(Run { frame, last: number, whole, marks: old.marks });
        } else {
            self.run = Some(Run { frame, last: number, whole: false, marks: vec![marks] });
        }
    }

    /// Takes the last byte of a packet that may have a tail.
    pub(super) fn tail(&mut self, last: Option<u8>) {
        if last == Some(3) {
            self.tails = self.tails.saturating_add(1);
        } else {
            self.no_tails = self.no_tails.saturating_add(1);
        }
    }

    /// A frame that is whole.
    fn frame(&mut self, marks: &[Marks]) {
        self.frames += 1;
        self.several += u32::from(marks.len() > 1);
        self.lengths |= 1 << marks.len().min(63);
        let n = marks.len();
        for i in 0..PLACES {
            for base in 0..2 {
                let counts = (0..).zip(marks).all(|(k, m)| number(m, place(i)) == Some(k + base));
                self.index[i][base as usize].count(counts, n);
                let says = marks.iter().all(|m| number(m, place(i)) == Some(n as u32 - base));
                self.total[i][base as usize].count(says, n);
            }
        }
        let marked = |(i, m): (usize, &Marks)| m.marker == (i + 1 == n);
        self.marker.count(marks.iter().enumerate().all(marked), n.max(3));
    }

    /// Whether more frames would hardly change the answer.
    pub(super) fn is_sure(&self) -> bool {
        let layout = self.layout();
        let found = layout.index.is_some() && layout.total.is_some();
        (found && self.several >= 2 * ENOUGH) || self.frames >= SETTLED
    }

    /// Whether nothing more need be shown to it.
    pub(super) fn is_done(&self) -> bool {
        let layout = self.layout();
        let found = layout.index.is_some() && layout.total.is_some();
        self.frames >= MAX_FRAMES || (found && self.frames >= SETTLED)
    }

    /// What was learnt so far.
    pub(super) fn layout(&self) -> Layout {
        let best = |all: &[[Tally; 2]; PLACES], sign: i8| {
            let mut best: Option<(u32, Place)> = None;
            for (i, bases) in all.iter().enumerate() {
                for (base, tally) in (0..).zip(bases) {
                    let (offset, width) = place(i);
                    if tally.holds() && best.is_none_or(|(right, _)| right < tally.right) {
                        best = Some((tally.right, Place { offset, width, base: sign * base }));
                    }
                }
            }
            best.map(|(_, place)| place)
        };
        // A total that never changed may be any constant.
        let varied = self.lengths.count_ones() > 1;
        Layout {
            index: best(&self.index, 1),
            total: best(&self.total, -1).filter(|_| varied),
            marker: self.marker.holds() && self.marker.right >= 9 * self.marker.wrong,
            tail: self.tails >= MIN_TAILS && self.no_tails == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows frames of these many fragments, each fragment's extension made from frame, place
    /// and count.
    fn learn(lengths: &[usize], make: impl Fn(usize, usize, usize) -> [u8; 8]) -> Layout {
        let mut learner = Learner::default();
        let mut n = 0;
        for (frame, &fragments) in lengths.iter().enumerate() {
            for i in 0..fragments {
                let extension = make(frame, i, fragments);
                let marks = Marks { extension, len: 8, marker: i + 1 == fragments };
                learner.take(n, frame as u64, marks);
                n += 1;
            }
        }
        learner.layout()
    }

    const LENGTHS: [usize; 12] = [5, 2, 2, 3, 1, 2, 4, 1, 1, 2, 3, 1];

    #[test]
    fn any_place_is_found() {
        let at = |offset, width, base| Some(Place { offset, width, base });
        for (i, t) in [(0, 1), (3, 6), (7, 2)] {
            let layout = learn(&LENGTHS, |_, k, n| {
                let mut extension = [0xa7; 8];
                (extension[i], extension[t]) = (k as u8, n as u8);
                extension
            });
            assert_eq!((layout.index, layout.total), (at(i as u8, 1, 0), at(t as u8, 1, 0)));
            assert!(layout.marker && !layout.tail);
        }
        let layout = learn(&LENGTHS, |frame, k, n| {
            let [a, b] = (k as u16 + 1).to_be_bytes();
            [frame as u8, a, b, 0, n as u8 - 1, 9, 9, 9]
        });
        assert_eq!((layout.index, layout.total), (at(2, 1, 1), at(4, 1, -1)));
    }

    #[test]
    fn what_only_looks_so_is_not_taken() {
        // A counter that runs on over frames, a constant, the frame's number.
        let layout = learn(&LENGTHS, |frame, k, _| [k as u8 * 2, 2, frame as u8, 0, 0, 0, 0, 0]);
        assert_eq!((layout.index, layout.total), (None, None));
        // Two fragments only: 0 and 1 may be a flag on the last.
        let layout = learn(&[2; 40], |_, k, _| [k as u8, 2, 0, 0, 0, 0, 0, 0]);
        assert_eq!((layout.index, layout.total), (None, None));
    }

    #[test]
    fn a_tail_is_on_every_packet() {
        let mut learner = Learner::default();
        (0..9).for_each(|_| learner.tail(Some(3)));
        assert!(learner.layout().tail);
        learner.tail(Some(4));
        assert!(!learner.layout().tail);
    }
}
