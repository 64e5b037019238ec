//! Just enough of Rust's lexer to look at code without its comments and strings.

/// The text with comments, string and character literals blanked out; lines stay where they
/// are.
pub(super) fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => line_end(bytes, at),
            b'/' if bytes[at..].starts_with(b"/*") => block_end(bytes, at),
            b'"' => string_end(bytes, at),
            b'r' if !is_word_before(bytes, at) => raw_end(bytes, at).unwrap_or(at),
            b'\'' => char_end(bytes, at).unwrap_or(at),
            _ => at,
        };
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Whether `word` stands in `line` on its own, not as part of a longer identifier.
pub(super) fn has_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(part)
            && !line[at + word.len()..].chars().next().is_some_and(part)
    })
}

fn is_word_before(bytes: &[u8], at: usize) -> bool {
    at.checked_sub(1)
        .and_then(|before| bytes.get(before))
        // `br"…"` and `cr"…"` are raw strings too
        .is_some_and(|b| (b.is_ascii_alphanumeric() && !b"bc".contains(b)) || *b == b'_')
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |n| at + n)
}

fn block_end(bytes: &[u8], at: usize) -> usize {
    let (mut depth, mut at) = (0, at);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The end of a raw string that starts here, if one does.
fn raw_end(bytes: &[u8], at: usize) -> Option<usize> {
    let hashes = bytes[at + 1..].iter().take_while(|b| **b == b'#').count();
    let open = at + 1 + hashes;
    if bytes.get(open) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(hashes + 1, b'#');
    let found = bytes[open + 1..].windows(close.len()).position(|w| w == close);
    Some(found.map_or(bytes.len(), |n| open + 1 + n + close.len()))
}

/// The end of a character literal that starts here; `None` for a lifetime.
fn char_end(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at + 1) == Some(&b'\\') {
        let rest = bytes.get(at + 3..)?;
        return rest.iter().position(|b| *b == b'\'').map(|n| at + 3 + n + 1);
    }
    // one character of up to four bytes, then the closing quote
    (2..=5).find(|n| bytes.get(at + n) == Some(&b'\'')).map(|n| at + n + 1).filter(|end| {
        std::str::from_utf8(&bytes[at + 1..end - 1]).is_ok_and(|s| s.chars().count() == 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked() {
        let check = |text: &str, expected: &str| assert_eq!(code_only(text), expected, "{text}");
        check("a // b\nc", "a     \nc");
        check("a /* b /* c */ d */ e", "a                   e");
        check(r#"f("unsafe \" x", y)"#, r"f(             , y)");
        check("r#\"un\"safe\"# z", "             z");
        check("br\"\\\" unsafe", "b     unsafe");
        check("for r in x", "for r in x");
        check("fn f<'a>(x: &'a str) { '\"'; 'b' }", "fn f<'a>(x: &'a str) {    ;     }");
        check(r"'\'' + '\u{7f}' + b", "     +          + b");
        check("\"open", "     ");
        check("/* open", "       ");
        check("'é' x", "     x");
    }

    #[test]
    fn words_stand_alone() {
        let check = |line: &str, expected: bool| {
            assert_eq!(has_word(line, "unsafe"), expected, "{line}");
        };
        check("unsafe {", true);
        check("(unsafe)", true);
        check("allow(unsafe_code)", false);
        check("not_unsafe", false);
        check("unsafe_code unsafe", true);
    }
}
