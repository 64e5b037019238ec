//! Identifiers and quoted texts that each language accepts.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Names that are taken, so that each is given once.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    pub(super) fn reserving(words: &[&str]) -> Self {
        Names(words.iter().map(|word| (*word).to_owned()).collect())
    }

    /// An identifier like `text` that was not given yet.
    pub(super) fn give(&mut self, text: &str, otherwise: &str) -> String {
        let base = identifier(text, otherwise);
        let name = (1..).find_map(|n| {
            let name = if n == 1 { base.clone() } else { format!("{base}_{n}") };
            self.0.insert(name.clone()).then_some(name)
        });
        name.unwrap_or(base)
    }
}

/// Lower-case letters, digits and single underscores, starting with a letter.
pub(super) fn identifier(text: &str, otherwise: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            name.push(c.to_ascii_lowercase());
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
    }
    let name = name.trim_end_matches('_');
    match name.bytes().next() {
        None => otherwise.to_owned(),
        Some(first) if first.is_ascii_digit() => format!("{otherwise}_{name}"),
        Some(_) => name.to_owned(),
    }
}

/// Lines of a comment: `prefix`, then the text, whatever it holds.
pub(super) fn comment(out: &mut String, prefix: &str, text: &str) {
    for line in text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        let line = line.trim();
        if !line.is_empty() {
            let _ = writeln!(out, "{prefix} {line}");
        }
    }
}

/// A text in double quotes with backslashes as Lua, YAML and Spicy read them alike: control
/// characters become spaces.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                out.push(' ');
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Bytes as `00100001`.
pub(super) fn hex(bytes: &[u8]) -> String {
    joined(bytes, "", "")
}

/// Bytes as `\x00\x10`.
pub(super) fn escaped(bytes: &[u8]) -> String {
    joined(bytes, "\\x", "")
}

/// Bytes in hex, each behind `prefix`, with `between` between them.
pub(super) fn joined(bytes: &[u8], prefix: &str, between: &str) -> String {
    let mut out = String::new();
    for (index, byte) in bytes.iter().enumerate() {
        let between = if index == 0 { "" } else { between };
        let _ = write!(out, "{between}{prefix}{byte:02x}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_legal_and_given_once() {
        let mut names = Names::reserving(&["body"]);
        assert_eq!(names.give("Request / response", "field"), "request_response");
        assert_eq!(names.give("request-response", "field"), "request_response_2");
        assert_eq!(names.give("body", "field"), "body_2");
        assert_eq!(names.give("发送", "field"), "field");
        assert_eq!(names.give("3b9a!", "field"), "field_3b9a");
    }

    #[test]
    fn texts_cannot_break_out() {
        assert_eq!(quoted("a\"; os.execute('x') --\n\\"), r#""a\"; os.execute('x') -- \\""#);
        let mut out = String::new();
        comment(&mut out, "--", "one\n\n  two\r\u{2028}three]]\u{7}");
        assert_eq!(out, "-- one\n-- two\n-- three]]\n");
    }
}
