//! XML: attributes and texts, element by element.

use std::sync::Arc;

use super::unit::{Corpus, Spot, Unit, What};
use super::urls::Urls;

/// Deepest element that is told apart.
const MOST_DEPTH: usize = 64;

pub(super) fn read(path: &str, text: &str, urls: &Urls, corpus: &mut Corpus) {
    let file: Arc<str> = path.into();
    let mut unit = Unit::new(&file, "");
    // Statements of the open elements, the innermost last.
    let mut open = vec![unit.statement()];
    let (mut line, mut line_start, mut at) = (1_u32, 0_usize, 0_usize);
    let mut place = |to: usize| {
        let between = text.get(at..to).unwrap_or_default();
        line = line.saturating_add(between.matches('\n').count() as u32);
        if let Some(last) = between.rfind('\n') {
            line_start = at + last + 1;
        }
        at = to.max(at);
        let column = text.get(line_start..to).map_or(0, |front| front.chars().count());
        Spot { line, column: column as u32 + 1 }
    };
    let what = |value: &str| {
        let value = value.trim().replace("&amp;", "&");
        let number = || match value.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None => value.parse().ok(),
        };
        urls.find(&value).map(What::Url).or_else(|| number().map(What::Number))
    };
    let mut from = 0;
    while let Some(tag) = text[from..].find('<').map(|n| from + n) {
        // A text belongs to what its element belongs to.
        let owner = open[open.len().saturating_sub(2)];
        if let Some(what) = what(&text[from..tag]) {
            let spot = place(from + (text[from..tag].len() - text[from..tag].trim_start().len()));
            unit.push_in(what, spot, owner);
        }
        if text[tag..].starts_with("<!--") {
            from = text[tag..].find("-->").map_or(text.len(), |n| tag + n + 3);
            continue;
        }
        let end = tag_end(text, tag);
        let inner = &text[tag + 1..end];
        from = (end + 1).min(text.len());
        if inner.starts_with('/') {
            if open.len() > 1 {
                open.pop();
            }
            if open.len() <= 2 {
                unit.member();
            }
            continue;
        }
        if inner.starts_with(['?', '!']) {
            continue;
        }
        let statement = unit.statement();
        let mut start = tag + 1;
        while let Some((value, behind)) = attribute(text, start, end) {
            start = behind;
            match what(value) {
                Some(what) => {
                    let spot = place(behind - 1 - value.len());
                    unit.push_in(what, spot, statement);
                }
                None => unit.token(),
            }
        }
        if !inner.ends_with('/') && open.len() < MOST_DEPTH {
            open.push(statement);
        }
    }
    corpus.close(unit, Some(text));
}

/// Where a tag's `>` stands, beyond quoted values.
fn tag_end(text: &str, tag: usize) -> usize {
    let mut quote = None;
    for (index, c) in text[tag..].char_indices() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None, '>') => return tag + index,
            _ => {}
        }
    }
    text.len()
}

/// The next quoted value between `start` and `end`, and what is behind it.
fn attribute(text: &str, start: usize, end: usize) -> Option<(&str, usize)> {
    let tag = text.get(start..end)?;
    let open = tag.find(['"', '\''])?;
    let quote = tag[open..].chars().next()?;
    let value = &tag[open + 1..];
    let close = value.find(quote)?;
    Some((&value[..close], start + open + 1 + close + 1))
}
