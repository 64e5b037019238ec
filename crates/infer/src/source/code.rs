//! Dalvik instructions, as far as constants and their uses are concerned.
//!
//! Android's documentation, "Dalvik bytecode" and "Dalvik executable instruction formats".

use hashbrown::HashMap;

use super::dex::code_unit;
use super::registers::{Registers, Use};
use super::unit::{Spot, Unit, What};
use super::urls::Hit;

/// Most cases of one `switch` that are told.
const MOST_CASES: usize = 4096;

/// Code units that an instruction takes, by its opcode.
fn width(opcode: u8) -> usize {
    match opcode {
        0x02
        | 0x05
        | 0x08
        | 0x13
        | 0x15
        | 0x16
        | 0x19
        | 0x1a
        | 0x1c
        | 0x1f
        | 0x20
        | 0x22
        | 0x23
        | 0x29
        | 0x2d..=0x3d
        | 0x44..=0x6d
        | 0x90..=0xaf
        | 0xd0..=0xe2
        | 0xfe
        | 0xff => 2,
        0x03
        | 0x06
        | 0x09
        | 0x14
        | 0x17
        | 0x1b
        | 0x24..=0x26
        | 0x2a..=0x2c
        | 0x6e..=0x72
        | 0x74..=0x78
        | 0xfc
        | 0xfd => 3,
        0xfa | 0xfb => 4,
        0x18 => 5,
        _ => 1,
    }
}

/// Walks the code of one method. `None` where an instruction is cut off by its end.
pub(super) fn walk(
    code: &[u8],
    hit: &impl Fn(u32) -> Option<Hit>,
    registers: &mut Registers,
    unit: &mut Unit,
) -> Option<()> {
    let size = code.len() / 2;
    // Numbers that a `switch` compares, by the place where it then goes on.
    let mut cases: HashMap<usize, Vec<u64>> = HashMap::new();
    let mut at = 0;
    while at < size {
        let spot = Spot { line: at as u32, column: 0 };
        for number in cases.remove(&at).into_iter().flatten() {
            unit.statement();
            unit.push(What::Number(number), spot, false);
        }
        let first = code_unit(code, at)?;
        let [opcode, high] = first.to_le_bytes();
        if let Some(len) = payload(code, at, first) {
            at = at.checked_add(len)?;
            continue;
        }
        let next = at + width(opcode);
        if next > size {
            return None;
        }
        let word = |n: usize| code_unit(code, at + n).unwrap_or(0);
        let long = |n: usize| u32::from(word(n)) | u32::from(word(n + 1)) << 16;
        let (low4, high4) = (u16::from(high & 0xf), u16::from(high >> 4));
        let wide = u16::from(high);
        let number = |value: i64| u64::try_from(value).ok().map(What::Number);
        let is_wide = matches!(opcode, 0x16..=0x19);
        match opcode {
            0x12 => registers.set(low4, number(i64::from(high as i8 >> 4)), spot, unit),
            0x13 | 0x16 => registers.set(wide, number(i64::from(word(1) as i16)), spot, unit),
            0x14 | 0x17 => registers.set(wide, number(i64::from(long(1) as i32)), spot, unit),
            0x15 => {
                let value = (u32::from(word(1)) << 16) as i32;
                registers.set(wide, number(i64::from(value)), spot, unit);
            }
            0x18 => {
                let value = u64::from(long(1)) | u64::from(long(3)) << 32;
                registers.set(wide, number(value as i64), spot, unit);
            }
            0x19 => {
                let value = (u64::from(word(1)) << 48) as i64;
                registers.set(wide, number(value), spot, unit);
            }
            0x1a => registers.set(wide, hit(u32::from(word(1))).map(What::Url), spot, unit),
            0x1b => registers.set(wide, hit(long(1)).map(What::Url), spot, unit),
            0x01 | 0x04 | 0x07 => registers.copy(low4, high4),
            0x02 | 0x05 | 0x08 => registers.copy(wide, word(1)),
            0x03 | 0x06 | 0x09 => registers.copy(word(1), word(2)),
            0x0f..=0x11 => registers.take([wide], Use::Return, spot, unit),
            // Up to five registers: four in the third unit, the last beside the count.
            0x24 | 0x6e..=0x72 | 0xfa | 0xfc => {
                let list = word(2);
                let all = [list & 0xf, list >> 4 & 0xf, list >> 8 & 0xf, list >> 12, low4];
                let count = usize::from(high4).min(5);
                registers.take(all.into_iter().take(count), Use::Call, spot, unit);
            }
            0x25 | 0x74..=0x78 | 0xfb | 0xfd => {
                let start = word(2);
                let end = start.saturating_add(wide);
                registers.take(start..end, Use::Call, spot, unit);
            }
            0x2b | 0x2c => {
                let to = (at as i64).checked_add(i64::from(long(1) as i32))?;
                switch(code, at, usize::try_from(to).ok()?, &mut cases);
            }
            0x32..=0x37 => registers.take([low4, high4], Use::Compare, spot, unit),
            0x38..=0x3d => registers.take([wide], Use::Compare, spot, unit),
            0x4b..=0x51 => registers.take([wide], Use::Call, spot, unit),
            0x59..=0x5f => registers.take([low4], Use::Store, spot, unit),
            0x67..=0x6d => registers.take([wide], Use::Store, spot, unit),
            // What writes its first register, in half a byte or in a whole one.
            0x20 | 0x21 | 0x23 | 0x52..=0x58 | 0x7b..=0x8f | 0xb0..=0xd7 => registers.clear(low4),
            0x0a..=0x0d
            | 0x1c
            | 0x22
            | 0x2d..=0x31
            | 0x44..=0x4a
            | 0x60..=0x66
            | 0x90..=0xaf
            | 0xd8..=0xe2
            | 0xfe
            | 0xff => registers.clear(wide),
            _ => {}
        }
        if is_wide {
            registers.clear(wide.wrapping_add(1));
        }
        unit.token();
        at = next;
    }
    Some(())
}

/// Length in code units of a table within code, the largest number where it is cut.
fn payload(code: &[u8], at: usize, first: u16) -> Option<usize> {
    let count = |n: usize| code_unit(code, at + n).map(usize::from);
    let len = match first {
        0x0100 => count(1).map(|count| 4 + 2 * count),
        0x0200 => count(1).map(|count| 2 + 4 * count),
        0x0300 => count(1).zip(count(2)).zip(count(3)).and_then(|((width, low), high)| {
            let bytes = width.checked_mul(low | high << 16)?;
            Some(bytes.checked_add(1)? / 2 + 4)
        }),
        _ => return None,
    };
    Some(len.unwrap_or(usize::MAX))
}

/// Reads the table of a `switch`; what lies outside the code is left out.
fn switch(code: &[u8], from: usize, table: usize, cases: &mut HashMap<usize, Vec<u64>>) {
    let long = |at: usize| {
        Some((u32::from(code_unit(code, at)?) | u32::from(code_unit(code, at + 1)?) << 16) as i32)
    };
    let Some((kind, count)) = code_unit(code, table).zip(code_unit(code, table + 1)) else {
        return;
    };
    let count = usize::from(count);
    for index in 0..count.min(MOST_CASES) {
        let (key, target) = match kind {
            0x0100 => {
                let first = long(table + 2).map(i64::from);
                (first.map(|first| first + index as i64), long(table + 4 + 2 * index))
            }
            0x0200 => {
                let key = long(table + 2 + 2 * index).map(i64::from);
                (key, long(table + 2 + 2 * count + 2 * index))
            }
            _ => return,
        };
        let key = key.and_then(|key| u64::try_from(key).ok());
        let target = target.and_then(|to| usize::try_from(from as i64 + i64::from(to)).ok());
        if let Some((key, target)) = key.zip(target) {
            cases.entry(target).or_default().push(key);
        }
    }
}
