//! Smali, the text form of Dalvik code.

use std::sync::Arc;

use super::registers::{Registers, Use};
use super::unit::{Corpus, Spot, Unit, What};
use super::urls::Urls;

pub(super) fn read(path: &str, text: &str, urls: &Urls, corpus: &mut Corpus) {
    let file: Arc<str> = path.into();
    let mut unit = Unit::new(&file, "");
    let mut registers = Registers::default();
    for (number, line) in (1_u32..).zip(text.lines()) {
        let code = line.trim_start();
        let column = (line.len() - code.len()) as u32 + 1;
        let spot = Spot { line: number, column };
        let (word, rest) = code.split_once(char::is_whitespace).unwrap_or((code, ""));
        let rest = rest.trim();
        match word {
            ".class" => unit.name = rest.rsplit(' ').next().unwrap_or_default().into(),
            ".method" => {
                let member = unit.member();
                unit.members.insert(member, rest.rsplit(' ').next().unwrap_or_default().into());
                registers = Registers::default();
            }
            ".end" if rest == "method" => {
                unit.member();
            }
            ".field" => {
                unit.member();
                let value = rest.split_once('=').map(|(_, value)| value.trim());
                if let Some(what) = value.and_then(|value| what(value, urls)) {
                    unit.push(what, spot, true);
                }
            }
            _ if word.starts_with("const") && !word.starts_with("const-class") => {
                let Some((register, value)) = rest.split_once(',') else { continue };
                if let Some(register) = register_number(register) {
                    registers.set(register, what(value.trim(), urls), spot, &mut unit);
                }
            }
            _ => instruction(word, rest, spot, &mut registers, &mut unit),
        }
    }
    corpus.close(unit, Some(text));
}

fn instruction(word: &str, rest: &str, spot: Spot, registers: &mut Registers, unit: &mut Unit) {
    if word.is_empty() || word.starts_with(['.', '#', ':']) {
        return;
    }
    unit.token();
    let listed = rest.trim_start_matches('{');
    let listed = listed.split_once('}').map_or(rest, |(list, _)| list);
    let mut operands: Vec<u16> = match listed.split_once("..") {
        Some((from, to)) => match (register_number(from), register_number(to)) {
            (Some(from), Some(to)) => (from..=to.min(from.saturating_add(255))).collect(),
            _ => Vec::new(),
        },
        None => listed.split(',').filter_map(register_number).collect(),
    };
    let how = match word {
        _ if word.starts_with("invoke") || word.starts_with("filled-new-array") => Use::Call,
        _ if word.starts_with("return") => Use::Return,
        _ if word.starts_with("sput") || word.starts_with("iput") => {
            operands.truncate(1);
            Use::Store
        }
        _ if word.starts_with("aput") => Use::Call,
        _ if word.starts_with("if-") || word.ends_with("-switch") => Use::Compare,
        _ if word.starts_with("move") => {
            match operands.as_slice() {
                [to, from, ..] => registers.copy(*to, *from),
                [to] => registers.clear(*to),
                [] => {}
            }
            return;
        }
        _ => {
            if let Some(register) = operands.first() {
                registers.clear(*register);
            }
            return;
        }
    };
    registers.take(operands, how, spot, unit);
}

/// `v3` and `p1`; parameters are counted from above.
fn register_number(text: &str) -> Option<u16> {
    let text = text.trim();
    match text.strip_prefix('v') {
        Some(number) => number.parse().ok(),
        None => text.strip_prefix('p')?.parse::<u16>().ok().map(|n| u16::MAX - n.min(1024)),
    }
}

/// A literal: `"/url"`, `0x9`, `0x9L`, `-0x1`.
fn what(value: &str, urls: &Urls) -> Option<What> {
    if let Some(text) = value.strip_prefix('"') {
        let text = text.split('"').next()?.replace("\\/", "/");
        return urls.find(&text).map(What::Url);
    }
    let word = value.split_whitespace().next()?.trim_end_matches(['L', 't', 's']);
    let number = match word.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None => word.parse().ok()?,
    };
    Some(What::Number(number))
}
