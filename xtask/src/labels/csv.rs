//! Rows of RFC 4180, as `ottoscope query --format csv` writes them.

/// Fields by row, quotes resolved; the header is the first row.
pub(super) fn rows(text: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row = Vec::new();
    let mut field = String::new();
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut field)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            c => field.push(c),
        }
    }
    if !field.is_empty() || !row.is_empty() {
        row.push(field);
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read() {
        let check = |text: &str, expected: &[&[&str]]| assert_eq!(rows(text), expected);
        check("a,b\n1,2\n", &[&["a", "b"], &["1", "2"]]);
        check("a,\"b,\"\"c\"\"\nd\"\r\n", &[&["a", "b,\"c\"\nd"]]);
        check("a,", &[&["a", ""]]);
        check("", &[]);
    }
}
