//! Reads `query.sql` of an analysis: one statement a table, under a header of comments.
//!
//! ```sql
//! -- table: apps
//! -- title: Users and volume by application
//! -- denominator: all users of the window, with or without a labelled flow
//! SELECT ...
//! ```

/// One table's statement.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) table: &'static str,
    pub(crate) title: &'static str,
    pub(crate) denominator: String,
    pub(crate) sql: &'static str,
}

const TABLE: &str = "-- table: ";

/// Splits the text into statements. Text before the first header is ignored.
pub(crate) fn statements(text: &'static str) -> Vec<Statement> {
    let mut starts: Vec<usize> = text.match_indices(TABLE).map(|(at, _)| at).collect();
    starts.push(text.len());
    starts.windows(2).map(|pair| statement(&text[pair[0]..pair[1]])).collect()
}

fn statement(text: &'static str) -> Statement {
    let mut found = Statement { table: "", title: "", denominator: String::new(), sql: "" };
    let mut rest = text;
    while let Some((line, after)) = rest.split_once('\n') {
        let Some(comment) = line.strip_prefix("-- ") else { break };
        match comment.split_once(": ") {
            Some(("table", value)) => found.table = value.trim(),
            Some(("title", value)) => found.title = value.trim(),
            Some(("denominator", value)) => value.trim().clone_into(&mut found.denominator),
            _ => {
                found.denominator.push(' ');
                found.denominator.push_str(comment.trim());
            }
        }
        rest = after;
    }
    found.sql = rest.trim().trim_end_matches(';');
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_statements_are_told_apart() {
        let text = "-- table: a\n-- title: A\n-- denominator: all\n--  of it\nSELECT 1\n-- inner\n;\n-- table: b\n-- title: B\n-- denominator: none\nSELECT 2;\n";
        let found = statements(text);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].table, found[0].title), ("a", "A"));
        assert_eq!(found[0].denominator, "all of it");
        assert_eq!(found[0].sql, "SELECT 1\n-- inner\n");
        assert_eq!((found[1].table, found[1].sql), ("b", "SELECT 2"));
    }
}
