//! Text made safe for a page. Names come from traffic, and traffic may be hostile.

use std::fmt::Write as _;

/// Characters that reorder or hide what stands around them.
fn steers(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Control characters and those that steer the reading direction, spelt out.
pub(crate) fn visible(text: &str) -> String {
    if !text.contains(|c: char| c.is_control() || steers(c)) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c.is_control() || steers(c) {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Text for an element or a quoted attribute of HTML or SVG: the one gate to the page.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(' '),
            c if c.is_control() || steers(c) => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// At most `most` characters, the last of them an ellipsis where some are missing.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// A column's name as a heading: `byte_share` is `byte share`, `p50_s` is `p50`, since cells
/// carry their units.
pub(crate) fn heading(column: &str) -> String {
    let bare = ["_s", "_ms", "_bps"].iter().find_map(|unit| column.strip_suffix(unit));
    visible(&bare.unwrap_or(column).replace('_', " "))
}

/// The little Markdown of an analysis' page: paragraphs, lists, `code`, *emphasis*.
pub(crate) fn markdown(text: &str) -> String {
    let mut out = String::new();
    for block in text.trim().split("\n\n") {
        let items: Vec<&str> = block.split("\n- ").collect();
        let (lead, items) = match block.strip_prefix("- ") {
            Some(_) => ("", block.trim_start_matches("- ").split("\n- ").collect()),
            None => (items[0], items[1..].to_vec()),
        };
        if !lead.is_empty() {
            let _ = write!(out, "<p>{}</p>", inline(lead));
        }
        if !items.is_empty() {
            out.push_str("<ul>");
            for item in items {
                let _ = write!(out, "<li>{}</li>", inline(item));
            }
            out.push_str("</ul>");
        }
    }
    out
}

fn inline(text: &str) -> String {
    let mut out = String::new();
    for (i, part) in text.split('`').enumerate() {
        if i % 2 == 1 {
            let _ = write!(out, "<code>{}</code>", escape(part));
            continue;
        }
        for (j, words) in part.split('*').enumerate() {
            if j % 2 == 1 {
                let _ = write!(out, "<em>{}</em>", escape(words));
            } else {
                out.push_str(&escape(words));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_escapes() {
        let hostile = "<script>alert('1')</script>\"&\u{1b}[2J\u{202e}";
        let safe = escape(&visible(hostile));
        assert!(!safe.contains(['<', '>', '"', '\'', '\u{1b}', '\u{202e}']), "{safe}");
        assert_eq!(escape("a & b"), "a &amp; b");
    }

    #[test]
    fn markdown_is_paragraphs_lists_and_code() {
        let page = markdown("A *user* is `x < y`.\n\nWith:\n- one\n- two\n\nEnd");
        assert_eq!(
            page,
            "<p>A <em>user</em> is <code>x &lt; y</code>.</p><p>With:</p><ul><li>one</li><li>two</li></ul><p>End</p>"
        );
    }

    #[test]
    fn headings_leave_units_to_cells() {
        assert_eq!(heading("byte_share"), "byte share");
        assert_eq!(heading("p50_bps"), "p50");
        assert_eq!(cut("abcdef", 4), "abc…");
    }
}
