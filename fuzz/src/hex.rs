//! Seeds as text: hex digits and quoted text with remarks, so that a reviewer can read them.

use std::iter::Peekable;
use std::str::Chars;

/// Bytes from hex digits and `"text"`; white space and what follows a `#` are ignored. Text
/// knows the escapes `\r`, `\n`, `\t`, `\0`, `\\` and `\"`.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '#' => while chars.next_if(|c| *c != '\n').is_some() {},
            '"' => quoted(&mut chars, &mut bytes)?,
            c if c.is_whitespace() => {}
            c => bytes.push((c.to_digit(16)? * 16 + chars.next()?.to_digit(16)?) as u8),
        }
    }
    Some(bytes)
}

fn quoted(chars: &mut Peekable<Chars<'_>>, bytes: &mut Vec<u8>) -> Option<()> {
    loop {
        let c = match chars.next()? {
            '"' => return Some(()),
            '\\' => match chars.next()? {
                'r' => '\r',
                'n' => '\n',
                't' => '\t',
                '0' => '\0',
                c @ ('\\' | '"') => c,
                _ => return None,
            },
            c => c,
        };
        bytes.extend(c.encode_utf8(&mut [0; 4]).bytes());
    }
}
