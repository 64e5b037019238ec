//! What a table's columns hold until they are written: values in the order they came, one
//! column beside the other, gathered in another order when a part is encoded.

mod chunked;
mod ends;
mod texts;

pub(crate) use chunked::Chunked;
pub(crate) use texts::Texts;

use ends::Ends;
use ottoscope_flow::Timestamp;

/// Values of one column.
pub trait Cells: Send {
    /// Puts the rows `order` into `out`. Where they are texts it is their numbers in those that
    /// are returned.
    fn gather(&self, order: &[u32], out: &mut Gathered) -> Option<&Texts>;
}

/// Some rows of a column, on their way into a file. Numbers have one form whatever their type:
/// their bits.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Values that are there, or numbers of texts.
    pub(crate) values: Vec<u64>,
    /// The definition level of each entry (0 where nothing is there); empty where all are
    /// alike.
    pub(crate) levels: Vec<u32>,
    /// The repetition level of each entry; empty but for lists.
    pub(crate) repeats: Vec<u32>,
    /// Entries: rows, or elements of lists.
    pub(crate) entries: usize,
}

impl Gathered {
    pub(crate) fn clear(&mut self) {
        self.values.clear();
        self.levels.clear();
        self.repeats.clear();
        self.entries = 0;
    }
}

/// A number of a column.
pub trait Number: Copy + Default + Send + 'static {
    /// Its bits as they are stored, zeros above.
    fn bits(self) -> u64;
}

macro_rules! bits {
    ($($type:ty: |$value:ident| $bits:expr;)*) => { $(
        impl Number for $type {
            #[inline]
            fn bits(self) -> u64 {
                let $value = self;
                $bits
            }
        }
    )* };
}

bits! {
    bool: |value| u64::from(value);
    u8: |value| u64::from(value);
    u16: |value| u64::from(value);
    u32: |value| u64::from(value);
    u64: |value| value;
    i32: |value| u64::from(value.cast_unsigned());
    f64: |value| value.to_bits();
    Timestamp: |value| value.0.cast_unsigned();
}

/// Numbers, some of which may be missing. A run of missing ones is only counted until a value
/// ends it: half of the columns of a flow are mostly empty.
#[derive(Debug)]
pub struct Numbers<T> {
    values: Chunked<T>,
    /// Which are there; empty while none was missing.
    present: Bits,
    missing: usize,
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Numbers { values: Chunked::default(), present: Bits::default(), missing: 0 }
    }
}

impl<T: Number> Numbers<T> {
    /// Adds a value; how many bytes that took is returned.
    #[inline]
    pub(crate) fn push(&mut self, value: T) -> usize {
        let before = if self.missing > 0 { self.settle() } else { 0 };
        self.values.push(value);
        if !self.present.is_empty() {
            self.present.push(true);
        }
        before + size_of::<T>()
    }

    pub(crate) fn push_missing(&mut self) {
        self.missing += 1;
    }

    #[cold]
    fn settle(&mut self) -> usize {
        if self.present.is_empty() {
            self.present.fill(true, self.values.len());
        }
        self.present.fill(false, self.missing);
        self.values.fill(T::default(), self.missing);
        std::mem::take(&mut self.missing) * size_of::<T>()
    }

    /// The value of row `i`, which is there.
    #[inline]
    pub(crate) fn get(&self, i: usize) -> T {
        self.values.get(i)
    }

    fn is_there(&self, i: usize) -> bool {
        i < self.values.len() && (self.present.is_empty() || self.present.get(i))
    }
}

impl<T: Number> Cells for Numbers<T> {
    fn gather(&self, order: &[u32], out: &mut Gathered) -> Option<&Texts> {
        out.entries = order.len();
        if self.values.is_empty() {
            return None;
        }
        if self.missing == 0 && self.present.is_empty() {
            out.values.extend(order.iter().map(|&i| self.get(i as usize).bits()));
            return None;
        }
        out.levels.extend(order.iter().map(|&i| u32::from(self.is_there(i as usize))));
        let there = order.iter().zip(&out.levels).filter(|(_, level)| **level == 1);
        out.values.extend(there.map(|(&i, _)| self.get(i as usize).bits()));
        None
    }
}

/// Texts or bytes, by their numbers.
#[derive(Debug)]
pub struct Words {
    numbers: Numbers<u32>,
    texts: Texts,
    /// Texts met lately, each at the place that its ends give: what most columns hold again and
    /// again is found without a hash of the whole, and short texts without a look at them.
    recent: [Recent; RECENT],
}

/// Texts remembered beside the others, a power of two.
const RECENT: usize = 128;

impl Default for Words {
    fn default() -> Self {
        let (numbers, texts) = (Numbers::default(), Texts::default());
        Words { numbers, texts, recent: [Recent::NONE; RECENT] }
    }
}

impl Words {
    /// Adds a text; how many bytes that took is returned.
    #[inline]
    pub(crate) fn push(&mut self, text: &[u8]) -> usize {
        let ends = Ends::of(text);
        let recent = &mut self.recent[(ends.mixed() >> 48) as usize % RECENT];
        if recent.ends == ends && (ends.are_all() || self.texts.get(recent.number) == text) {
            return self.numbers.push(recent.number);
        }
        let (number, bytes) = self.texts.number(text, ends);
        *recent = Recent { ends, number };
        bytes + self.numbers.push(number)
    }

    pub(crate) fn push_missing(&mut self) {
        self.numbers.push_missing();
    }
}

/// A text met lately.
#[derive(Debug, Clone, Copy)]
struct Recent {
    ends: Ends,
    number: u32,
}

impl Recent {
    const NONE: Self = Recent { ends: Ends::NONE, number: 0 };
}

impl Cells for Words {
    fn gather(&self, order: &[u32], out: &mut Gathered) -> Option<&Texts> {
        self.numbers.gather(order, out);
        Some(&self.texts)
    }
}

/// Lists of integers.
#[derive(Debug, Default)]
pub struct Lists {
    /// Where each list starts in `values`.
    starts: Numbers<u64>,
    lens: Numbers<u32>,
    values: Chunked<i32>,
}

impl Lists {
    /// Adds a list; how many bytes that took is returned.
    pub(crate) fn push(&mut self, list: &[i32]) -> usize {
        let start = self.values.len() as u64;
        list.iter().for_each(|&value| self.values.push(value));
        self.starts.push(start) + self.lens.push(list.len() as u32) + size_of_val(list)
    }

    pub(crate) fn push_missing(&mut self) {
        self.starts.push_missing();
        self.lens.push_missing();
    }
}

impl Cells for Lists {
    /// Levels as Parquet has them for a list that may be missing, of elements that may: 0 no
    /// list, 1 an empty one, 3 an element.
    fn gather(&self, order: &[u32], out: &mut Gathered) -> Option<&Texts> {
        out.entries = order.len();
        if self.starts.values.is_empty() {
            return None;
        }
        for i in order.iter().map(|&i| i as usize) {
            out.repeats.push(0);
            if !self.starts.is_there(i) {
                out.levels.push(0);
                continue;
            }
            let (start, len) = (self.starts.get(i) as usize, self.lens.get(i) as usize);
            out.levels.push(if len == 0 { 1 } else { 3 });
            for k in 0..len {
                if k > 0 {
                    out.repeats.push(1);
                    out.levels.push(3);
                }
                out.values.push(self.values.get(start + k).bits());
            }
        }
        out.entries = out.levels.len();
        None
    }
}

/// Bits in order.
#[derive(Debug, Default)]
struct Bits {
    words: Vec<u64>,
    len: usize,
}

impl Bits {
    fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn push(&mut self, bit: bool) {
        if self.len.is_multiple_of(64) {
            self.words.push(0);
        }
        if let Some(word) = self.words.last_mut() {
            *word |= u64::from(bit) << (self.len % 64);
        }
        self.len += 1;
    }

    fn fill(&mut self, bit: bool, count: usize) {
        (0..count).for_each(|_| self.push(bit));
    }

    fn get(&self, i: usize) -> bool {
        self.words[i / 64] >> (i % 64) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts that share length and ends, or their place, are told apart.
    #[test]
    fn words_have_the_numbers_of_their_texts() {
        let mut texts: Vec<Vec<u8>> = Vec::new();
        for len in 0..40usize {
            for at in 0..len.max(1) {
                let mut text = vec![b'a'; len];
                if let Some(byte) = text.get_mut(at) {
                    *byte = b'b';
                }
                texts.push(text);
            }
        }
        let mut words = Words::default();
        for text in texts.iter().chain(&texts) {
            words.push(text);
            words.push(text);
        }
        let mut rows = texts.iter().chain(&texts).flat_map(|text| [text, text]).enumerate();
        assert!(rows.all(|(i, text)| words.texts.get(words.numbers.get(i)) == text));
        assert_eq!(words.texts.len(), texts.len());
    }

    #[test]
    fn a_long_text_is_no_short_one() {
        let mut words = Words::default();
        words.push(&[]);
        words.push(&[0]);
        words.push(&[0, 0]);
        words.push(&[0; 16]);
        words.push(&[0; 17]);
        let lens: Vec<_> = (0..5).map(|i| words.texts.get(words.numbers.get(i)).len()).collect();
        assert_eq!(lens, [0, 1, 2, 16, 17]);
    }
}
