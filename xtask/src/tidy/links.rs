//! Links between pages: a page that is moved or renamed takes its links with it.

use std::path::{Component, Path, PathBuf};

use super::Finding;

/// Checks the relative links of a Markdown page; `exists` is asked with paths from the root.
pub(super) fn check(
    path: &str,
    text: &str,
    exists: impl Fn(&Path) -> bool,
    findings: &mut Vec<Finding>,
) {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    for (number, line) in (1..).zip(text.lines()) {
        for target in targets(line) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            if !exists(&plain(&folder.join(file))) {
                let what = format!("links to `{target}`, which is not there - mend the link");
                findings.push(Finding::new(path, number, what));
            }
        }
    }
}

/// What stands in `[text](target)`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// The path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_links_must_lead_somewhere() {
        let expect = |text: &str, expected: usize| {
            let mut findings = Vec::new();
            let exists = |p: &Path| p == Path::new("docs/a.md") || p == Path::new("README.md");
            check("docs/guide/b.md", text, exists, &mut findings);
            assert_eq!(findings.len(), expected, "{text}: {findings:?}");
        };
        expect("see [a](../a.md) and [a](../a.md#part)", 0);
        expect("[home](../../README.md)", 0);
        expect("[gone](../gone.md)", 1);
        expect("[web](https://example.org/x) [here](#part)", 0);
        expect("[gone](a.md) [gone](c.md)", 2);
    }
}
