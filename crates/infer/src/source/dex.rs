//! Dex files: the tables that lead to methods' code, read with every offset checked.
//!
//! The layout is that of Android's documentation, "Dalvik executable format". Only strings,
//! types, methods and classes are read; checksums are not, since a damaged file may still say
//! something.

use std::borrow::Cow;
use std::sync::Arc;

use super::code;
use super::registers::Registers;
use super::unit::{Corpus, Spot, Unit, What};
use super::urls::{Hit, Urls};

/// Steps (code units, methods, fields, values) for each byte of a file. Classes may share code,
/// so that a small file could ask for much.
const STEPS: u64 = 4;
/// Longest string that can be a URL, bytes.
const MOST_STRING: usize = 1024;
/// `NO_INDEX` of the format.
const NO_INDEX: u32 = 0xffff_ffff;

/// A dex file's tables.
pub(super) struct Dex<'a> {
    bytes: &'a [u8],
    strings: Table,
    types: Table,
    methods: Table,
    classes: Table,
}

/// Where entries of one size lie.
#[derive(Debug, Clone, Copy)]
struct Table {
    start: usize,
    count: u32,
    size: usize,
}

impl Table {
    fn at(self, index: u32) -> Option<usize> {
        (index < self.count).then(|| self.start + index as usize * self.size)
    }
}

/// Reads forward, and gives nothing behind the end.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Cursor { bytes, at }
    }

    pub(super) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let part = self.bytes.get(self.at..self.at.checked_add(n)?)?;
        self.at += n;
        Some(part)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// Unsigned LEB128 of at most five bytes.
    fn leb(&mut self) -> Option<u32> {
        let mut value = 0_u64;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return u32::try_from(value).ok();
            }
        }
        None
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    bytes.try_into().ok().map(u32::from_le_bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    bytes.try_into().ok().map(u16::from_le_bytes)
}

impl<'a> Dex<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, &'static str> {
        if bytes.len() < 0x70 || !bytes.starts_with(b"dex\n") {
            return Err("is no dex file");
        }
        if u32_at(bytes, 0x28) != Some(0x1234_5678) {
            return Err("is a dex file of the other byte order, which no device writes");
        }
        let table = |at: usize, size: usize| {
            let (count, start) = (u32_at(bytes, at)?, u32_at(bytes, at + 4)? as usize);
            let end = (count as usize).checked_mul(size)?.checked_add(start)?;
            (count == 0 || end <= bytes.len()).then_some(Table { start, count, size })
        };
        let tables = (table(0x38, 4), table(0x40, 4), table(0x58, 8), table(0x60, 32));
        match tables {
            (Some(strings), Some(types), Some(methods), Some(classes)) => {
                Ok(Dex { bytes, strings, types, methods, classes })
            }
            _ => Err("is a dex file with a table beyond its end"),
        }
    }

    /// A string's bytes, in the format's own UTF-8.
    fn string(&self, index: u32) -> Option<&'a [u8]> {
        let at = u32_at(self.bytes, self.strings.at(index)?)?;
        let mut cursor = Cursor::new(self.bytes, at as usize);
        cursor.leb()?;
        let rest = self.bytes.get(cursor.at..)?;
        let rest = &rest[..rest.len().min(MOST_STRING)];
        let end = rest.iter().position(|byte| *byte == 0)?;
        Some(&rest[..end])
    }

    fn text(&self, index: u32) -> Cow<'a, str> {
        String::from_utf8_lossy(self.string(index).unwrap_or_default())
    }

    fn type_name(&self, index: u32) -> Cow<'a, str> {
        let string = self.types.at(index).and_then(|at| u32_at(self.bytes, at));
        string.map_or(Cow::Borrowed(""), |string| self.text(string))
    }

    fn method_name(&self, index: u32) -> Cow<'a, str> {
        let name = self.methods.at(index).and_then(|at| u32_at(self.bytes, at + 4));
        name.map_or(Cow::Borrowed(""), |name| self.text(name))
    }
}

/// Reads all classes of a file.
///
/// # Errors
/// What is wrong; classes before the fault are kept.
pub(super) fn read(
    path: &str,
    bytes: &[u8],
    urls: &Urls,
    corpus: &mut Corpus,
) -> Result<(), &'static str> {
    let dex = Dex::new(bytes)?;
    let hits: Vec<Option<Hit>> = (0..dex.strings.count)
        .map(|index| urls.find(&String::from_utf8_lossy(dex.string(index)?)))
        .collect();
    if hits.iter().all(Option::is_none) {
        return Ok(());
    }
    let mut reader = Reader { dex: &dex, hits: &hits, left: STEPS * bytes.len() as u64 };
    let file: Arc<str> = path.into();
    let mut whole = Ok(());
    for index in 0..dex.classes.count {
        let Some(at) = dex.classes.at(index) else { break };
        let class = u32_at(bytes, at).unwrap_or(NO_INDEX);
        let mut unit = Unit::new(&file, &dex.type_name(class));
        let read = reader.class(at, &mut unit);
        corpus.close(unit, None);
        if read.is_none() {
            whole = Err("is a dex file with a class that is cut or damaged");
        }
        if reader.left == 0 {
            return Err("is a dex file of more code than is walked");
        }
    }
    whole
}

struct Reader<'a> {
    dex: &'a Dex<'a>,
    hits: &'a [Option<Hit>],
    left: u64,
}

impl Reader<'_> {
    /// `None` when all steps are spent.
    fn spend(&mut self, steps: u32) -> Option<()> {
        self.left = self.left.saturating_sub(u64::from(steps));
        (self.left > 0).then_some(())
    }

    /// Reads one class definition; `None` where it is damaged.
    fn class(&mut self, at: usize, unit: &mut Unit) -> Option<()> {
        let bytes = self.dex.bytes;
        let data = u32_at(bytes, at + 24)? as usize;
        let values = u32_at(bytes, at + 28)? as usize;
        let mut whole = Some(());
        if values != 0 {
            unit.member();
            whole = self.static_values(values, unit);
        }
        if data == 0 {
            return whole;
        }
        let mut cursor = Cursor::new(bytes, data);
        let mut counts = [0; 4];
        for count in &mut counts {
            *count = cursor.leb()?;
        }
        let [statics, fields, direct, virtuals] = counts;
        for _ in 0..statics.checked_add(fields)? {
            self.spend(1)?;
            cursor.leb()?;
            cursor.leb()?;
        }
        for count in [direct, virtuals] {
            let mut method = 0_u32;
            for _ in 0..count {
                method = method.wrapping_add(cursor.leb()?);
                cursor.leb()?;
                let code = cursor.leb()? as usize;
                self.spend(1)?;
                if code == 0 {
                    continue;
                }
                let member = unit.member();
                let had = unit.items.len();
                if self.method(code, unit).is_none() {
                    whole = None;
                }
                if unit.items.len() > had {
                    unit.members.insert(member, self.dex.method_name(method).into());
                }
                self.spend(0)?;
            }
        }
        whole
    }

    fn method(&mut self, at: usize, unit: &mut Unit) -> Option<()> {
        let size = u32_at(self.dex.bytes, at.checked_add(12)?)?;
        let code = Cursor::new(self.dex.bytes, at.checked_add(16)?).take(size as usize * 2)?;
        self.spend(size)?;
        let hit = |string: u32| self.hits.get(string as usize).copied().flatten();
        code::walk(code, &hit, &mut Registers::default(), unit)
    }

    /// First values of static fields: an array whose values have a type, a size and bytes.
    fn static_values(&mut self, at: usize, unit: &mut Unit) -> Option<()> {
        let mut cursor = Cursor::new(self.dex.bytes, at);
        for _ in 0..cursor.leb()? {
            self.spend(1)?;
            let head = cursor.u8()?;
            let (kind, size) = (head & 0x1f, usize::from(head >> 5) + 1);
            match kind {
                // Arrays and annotations are not opened, and how long they are is not told.
                0x1c | 0x1d => return Some(()),
                // Null and booleans hold no bytes.
                0x1e | 0x1f => {
                    unit.token();
                    continue;
                }
                _ => {}
            }
            let value = cursor.take(size)?;
            let number = value.iter().rev().fold(0, |n: u64, byte| n << 8 | u64::from(*byte));
            // Integers are cut to the bytes that they need, with sign.
            let negative = value.last().is_some_and(|byte| byte & 0x80 != 0);
            let what = match kind {
                0x00 | 0x02 | 0x04 | 0x06 if !negative && size <= 8 => Some(What::Number(number)),
                0x03 => Some(What::Number(number)),
                0x17 => {
                    let index = usize::try_from(number).ok();
                    index.and_then(|i| self.hits.get(i).copied().flatten()).map(What::Url)
                }
                _ => None,
            };
            unit.statement();
            match what {
                Some(what) => unit.push(what, Spot::default(), true),
                None => unit.token(),
            }
        }
        Some(())
    }
}

/// A code unit.
pub(super) fn code_unit(code: &[u8], at: usize) -> Option<u16> {
    u16_at(code, at.checked_mul(2)?)
}
