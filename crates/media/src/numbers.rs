//! Numbers of one source's packets: unwrapped, and what is missing, double, late or restarted.
//!
//! After RFC 3550 A.1, for numbers of any width. A number far off is a stray until the one after
//! it comes, too: then the source has begun anew.

/// Numbers behind the highest that are remembered.
const WINDOW: i64 = 8192;
const WORDS: usize = (WINDOW / 64) as usize;
/// Largest step ahead that is loss and not a stray (RFC 3550 A.1).
const MAX_STEP: i64 = 3000;
/// The same where another number of the packet agrees.
const MAX_VOUCHED: i64 = 1 << 20;

/// What a number says of its packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// A number not seen before, unwrapped: it only ever rises from one numbering to the next.
    New(i64),
    /// Seen before.
    Again(i64),
    /// Far from all others: belongs to nothing, unless the next number follows it.
    Stray,
    /// It follows a stray: the source has begun anew with that one, whose number is one less.
    Restart(i64),
}

/// The numbers of one source.
#[derive(Debug)]
pub struct Numbers {
    bits: u32,
    started: bool,
    lowest: i64,
    highest: i64,
    seen: Box<[u64; WORDS]>,
    stray: Option<u64>,
    distinct: u64,
    /// Expected packets of the numberings before.
    before: u64,
    /// Packets whose number was seen before.
    pub duplicates: u64,
    /// Packets behind a higher number.
    pub reordered: u64,
    /// Times the source began anew.
    pub restarts: u64,
    /// Packets one number after the highest, and packets after the first, duplicates left out.
    next: u64,
    steps: u64,
}

impl Numbers {
    /// Numbers of this many bits, at most 48.
    pub fn new(bits: u32) -> Self {
        Numbers {
            bits: bits.clamp(1, 48),
            started: false,
            lowest: 0,
            highest: 0,
            seen: Box::new([0; WORDS]),
            stray: None,
            distinct: 0,
            before: 0,
            duplicates: 0,
            reordered: 0,
            restarts: 0,
            next: 0,
            steps: 0,
        }
    }

    /// How far a number is ahead of the highest, by the shorter way round.
    pub fn ahead(&self, raw: u64) -> i64 {
        let shift = 64 - self.bits;
        ((raw.wrapping_sub(self.highest as u64) << shift) as i64) >> shift
    }

    /// Takes the number of the next packet. `vouched` is how far another of its numbers says
    /// that it is ahead.
    pub fn take(&mut self, raw: u64, vouched: Option<i64>) -> Arrival {
        if !self.started {
            self.started = true;
            let first = (1 << 50) | (raw & ((1 << self.bits) - 1)) as i64;
            return self.begin(first);
        }
        let mut ahead = self.ahead(raw);
        let mut most = MAX_STEP;
        if let Some(vouched) = vouched.filter(|v| (1..=MAX_VOUCHED).contains(v)) {
            let shift = 64 - self.bits;
            if (ahead << shift) == (vouched << shift) {
                (ahead, most) = (vouched, MAX_VOUCHED);
            }
        }
        let number = self.highest + ahead;
        if (1..=most).contains(&ahead) {
            self.advance(ahead);
            self.mark(number);
            self.steps += 1;
            self.next += u64::from(ahead == 1);
            self.stray = None;
            self.distinct += 1;
            Arrival::New(number)
        } else if ahead <= 0 && ahead > -WINDOW {
            if self.is_seen(number) {
                self.duplicates += 1;
                return Arrival::Again(number);
            }
            self.mark(number);
            self.steps += 1;
            self.lowest = self.lowest.min(number);
            self.reordered += 1;
            self.distinct += 1;
            Arrival::New(number)
        } else if self.stray.is_some_and(|stray| self.same(stray.wrapping_add(1), raw)) {
            self.before += (self.highest - self.lowest + 1) as u64;
            self.restarts += 1;
            self.steps += 1;
            let round = 1_i64 << self.bits;
            let first = ((self.highest >> self.bits) + 2) * round
                + (raw.wrapping_sub(1) & (round as u64 - 1)) as i64;
            self.begin(first); // the stray
            self.advance(1);
            self.mark(first + 1);
            self.distinct += 1;
            self.stray = None;
            Arrival::Restart(first + 1)
        } else {
            self.stray = Some(raw);
            Arrival::Stray
        }
    }

    fn same(&self, a: u64, b: u64) -> bool {
        (a ^ b) << (64 - self.bits) == 0
    }

    fn begin(&mut self, number: i64) -> Arrival {
        self.seen.fill(0);
        (self.lowest, self.highest) = (number, number);
        self.mark(number);
        self.distinct += 1;
        Arrival::New(number)
    }

    fn place(number: i64) -> (usize, u64) {
        let bit = number.rem_euclid(WINDOW);
        ((bit / 64) as usize, 1 << (bit % 64))
    }

    fn mark(&mut self, number: i64) {
        let (word, bit) = Self::place(number);
        self.seen[word] |= bit;
    }

    fn is_seen(&self, number: i64) -> bool {
        let (word, bit) = Self::place(number);
        self.seen[word] & bit != 0
    }

    fn advance(&mut self, ahead: i64) {
        if ahead >= WINDOW {
            self.seen.fill(0);
        } else {
            for number in self.highest + 1..=self.highest + ahead {
                let (word, bit) = Self::place(number);
                self.seen[word] &= !bit;
            }
        }
        self.highest += ahead;
    }

    /// Packets that should have come.
    pub fn expected(&self) -> u64 {
        match self.started {
            true => self.before + (self.highest - self.lowest + 1) as u64,
            false => 0,
        }
    }

    /// Packets that did not come.
    pub fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.distinct)
    }

    /// Different packets that came.
    pub fn distinct(&self) -> u64 {
        self.distinct
    }

    /// Whether most packets are one number after another.
    pub fn run_on(&self) -> bool {
        2 * self.next >= self.steps && self.next > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(bits: u32, raw: &[u64]) -> (Numbers, Vec<Arrival>) {
        let mut numbers = Numbers::new(bits);
        let arrivals = raw.iter().map(|raw| numbers.take(*raw, None)).collect();
        (numbers, arrivals)
    }

    #[test]
    fn loss_and_repeats_are_counted() {
        let check = |bits, raw: &[u64], [lost, duplicates, reordered, restarts]: [u64; 4]| {
            let n = told(bits, raw).0;
            assert_eq!(
                [n.lost(), n.duplicates, n.reordered, n.restarts],
                [lost, duplicates, reordered, restarts],
                "{raw:?}"
            );
        };
        check(16, &[1, 2, 3], [0, 0, 0, 0]);
        check(16, &[65_534, 65_535, 0, 1], [0, 0, 0, 0]);
        check(40, &[(1 << 40) - 1, 0, 2], [1, 0, 0, 0]);
        check(16, &[5, 9, 7, 7, 8], [1, 1, 2, 0]);
        check(16, &[5, 4, 6], [0, 0, 1, 0]);
        check(16, &[5, 30_000, 6], [0, 0, 0, 0]);
        check(16, &[5, 30_000, 30_001, 30_003], [1, 0, 0, 1]);
        check(40, &[5, 1_000_000, 1_000_001], [0, 0, 0, 1]);
    }

    #[test]
    fn a_long_way_needs_a_voucher() {
        let mut numbers = Numbers::new(16);
        numbers.take(10, None);
        let Arrival::New(far) = numbers.take(10 + 40_000, Some(40_000)) else { panic!("a stray") };
        assert_eq!((far & 0xffff, numbers.lost()), (40_010, 39_999));
        assert_eq!(numbers.take(20_000, Some(3)), Arrival::Stray);
    }

    proptest! {
        /// Shuffled within a window, with repeats and holes, the counts are those of a set.
        #[test]
        fn counts_are_those_of_a_set(
            start: u64,
            keep in prop::collection::vec((0u8..10, 0usize..40), 2..400),
            narrow: bool,
        ) {
            let bits = if narrow { 16 } else { 40 };
            let mut sent: Vec<(usize, u64)> = Vec::new();
            for (i, (copies, delay)) in keep.iter().enumerate() {
                let ends = i == 0 || i + 1 == keep.len();
                let copies = if ends { 1 } else { [0, 1, 1, 1, 1, 1, 1, 1, 1, 2][usize::from(*copies)] };
                let delay = if ends { 0 } else { *delay };
                let raw = start.wrapping_add(i as u64) & ((1 << bits) - 1);
                sent.extend((0..copies).map(|_| (i + delay, raw)));
            }
            sent.sort_by_key(|(at, _)| *at);
            let raw: Vec<u64> = sent.iter().map(|(_, raw)| *raw).collect();
            let distinct: std::collections::BTreeSet<u64> = raw.iter().copied().collect();
            let numbers = told(bits, &raw).0;
            prop_assert_eq!(numbers.distinct(), distinct.len() as u64);
            prop_assert_eq!(numbers.duplicates, (raw.len() - distinct.len()) as u64);
            prop_assert_eq!(numbers.lost(), (keep.len() - distinct.len()) as u64);
            prop_assert_eq!(numbers.restarts, 0);
        }

        #[test]
        fn any_numbers_are_taken(raw: Vec<u64>, bits in 1u32..49, vouched: Option<i64>) {
            let mut numbers = Numbers::new(bits);
            for raw in raw {
                numbers.take(raw, vouched);
            }
            prop_assert!(numbers.distinct() <= numbers.expected());
        }
    }
}
