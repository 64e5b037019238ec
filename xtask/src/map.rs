//! The parts of `ARCHITECTURE.md` that are printed from the tree: the table of crates and
//! edges, and the file-level map. A stale part is a finding; `bless` rewrites it.

use std::fmt::Write as _;
use std::fs;

use crate::shell::{Result, is, is_test, root};
use crate::tidy::{CRATES, DOORS, Finding, tracked};

const PAGE: &str = "ARCHITECTURE.md";

/// Adds a finding when a printed part is stale.
pub(crate) fn check(findings: &mut Vec<Finding>) -> Result {
    let page = fs::read_to_string(root().join(PAGE))?;
    for (name, text) in parts()? {
        match replaced(&page, name, &text) {
            Some(fresh) if fresh == page => {}
            Some(_) => findings.push(Finding::new(
                PAGE,
                line_of(&page, name),
                format!("its {name} are stale - run `cargo xtask bless`"),
            )),
            None => findings.push(Finding::new(
                PAGE,
                0,
                format!("has no `<!-- {name} -->` ... `<!-- /{name} -->` - put it back"),
            )),
        }
    }
    Ok(())
}

/// Rewrites the printed parts.
pub(crate) fn bless() -> Result {
    let mut page = fs::read_to_string(root().join(PAGE))?;
    for (name, text) in parts()? {
        page = replaced(&page, name, &text).ok_or(format!("{PAGE} has no part `{name}`"))?;
    }
    fs::write(root().join(PAGE), page)?;
    Ok(())
}

fn parts() -> Result<Vec<(&'static str, String)>> {
    let mut files = Vec::new();
    let mut paths = tracked()?;
    paths.sort();
    let source = |p: &&String| is(p, "rs") && p.contains("/src/") && !is_test(p);
    for path in paths.iter().filter(source) {
        if let Ok(text) = fs::read_to_string(root().join(path)) {
            files.push((path.as_str(), sentence(&text)));
        }
    }
    Ok(vec![("crates", crates(&files)), ("files", map(&files))])
}

fn crates(files: &[(&str, String)]) -> String {
    let mut out = "| crate | one sentence | may depend on | the only one that knows |\n\
                   |---|---|---|---|\n"
        .to_owned();
    for c in CRATES {
        let about = ["lib.rs", "main.rs"].iter().find_map(|root| {
            let path = format!("crates/{}/src/{root}", c.folder);
            files.iter().find(|(p, _)| *p == path).map(|(_, about)| about.as_str())
        });
        let on: Vec<String> = c.on.iter().map(|on| format!("`{on}`")).collect();
        let doors = DOORS.iter().filter(|d| d.owner == c.folder);
        let doors: Vec<String> = doors.map(|d| format!("`{}`", d.prefix)).collect();
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} |",
            c.folder,
            about.unwrap_or_default(),
            if on.is_empty() { "-".to_owned() } else { on.join(", ") },
            doors.join(", "),
        );
    }
    out
}

fn map(files: &[(&str, String)]) -> String {
    let mut out = String::new();
    let mut folder = "";
    for (path, about) in files {
        let Some((crate_folder, file)) = path.split_once("/src/") else { continue };
        if crate_folder != folder {
            folder = crate_folder;
            let _ = writeln!(out, "\n### {folder}/src\n");
        }
        let _ = writeln!(out, "- `{file}` {about}");
    }
    out.push('\n');
    out
}

/// The first sentence of a file's own documentation.
fn sentence(text: &str) -> String {
    let lines = text.lines().map_while(|l| l.strip_prefix("//!"));
    let paragraph: Vec<&str> = lines.map(str::trim).take_while(|l| !l.is_empty()).collect();
    let paragraph = paragraph.join(" ");
    let end = paragraph.match_indices(". ").map(|(at, _)| at + 1).next();
    paragraph[..end.unwrap_or(paragraph.len())].to_owned()
}

fn replaced(page: &str, name: &str, text: &str) -> Option<String> {
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->\n"));
    let (before, rest) = page.split_once(&open)?;
    let (_, after) = rest.split_once(&close)?;
    Some(format!("{before}{open}{text}{close}{after}"))
}

fn line_of(page: &str, name: &str) -> usize {
    let open = format!("<!-- {name} -->");
    (1..).zip(page.lines()).find(|(_, l)| *l == open).map_or(0, |(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_what_it_is_for() {
        let check = |text: &str, expected: &str| assert_eq!(sentence(text), expected);
        check("//! One idea.\n//!\n//! More.\n", "One idea.");
        check("//! Over two\n//! lines. And more.\n", "Over two lines.");
        check("//! No stop\nuse x;\n", "No stop");
        check("use x;\n", "");
    }

    #[test]
    fn a_part_is_replaced_and_the_rest_kept() {
        let page = "a\n<!-- x -->\nold\n<!-- /x -->\nb\n";
        let fresh = replaced(page, "x", "new\n");
        assert_eq!(fresh.as_deref(), Some("a\n<!-- x -->\nnew\n<!-- /x -->\nb\n"));
        assert_eq!(replaced(page, "y", "new\n"), None);
        assert_eq!(line_of(page, "x"), 2);
    }

    #[test]
    fn the_map_goes_by_crate() {
        let files = [
            ("crates/wire/src/dns.rs", "DNS.".to_owned()),
            ("crates/wire/src/lib.rs", "Reads bytes.".to_owned()),
            ("xtask/src/main.rs", "Runs the checks.".to_owned()),
        ];
        assert_eq!(
            map(&files),
            "\n### crates/wire/src\n\n- `dns.rs` DNS.\n- `lib.rs` Reads bytes.\n\n### xtask/src\n\n\
             - `main.rs` Runs the checks.\n\n"
        );
        assert!(crates(&files).contains("| `wire` | Reads bytes. | - |  |"));
    }
}
