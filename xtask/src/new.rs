//! Starts a protocol, an analysis or an app as a copy of a small one that works.
//!
//! The templates are parts of the product, so they compile, are tested and follow what changes.

use std::fs;
use std::path::Path;

use crate::shell::{Result, is, root};

/// What can be started, from what, and what is left to do by hand.
struct Kind {
    name: &'static str,
    /// The name that the copies lose.
    template: &'static str,
    /// Files and folders to copy; the template's name in a path is replaced, too.
    paths: &'static [&'static str],
    then: &'static str,
}

const KINDS: &[Kind] = &[
    Kind {
        name: "protocol",
        template: "xmpp",
        paths: &[
            "crates/wire/src/xmpp.rs",
            "crates/wire/specs/xmpp.md",
            "crates/flow/src/dissector/xmpp.rs",
        ],
        then: "\
- crates/wire/src/lib.rs: `pub mod {name};`
- crates/wire/tests/specs.rs: its readers, for the page in specs/
- crates/flow/src/dissector/mod.rs: `pub mod {name};` and a line in `ALL`
- a seed in fuzz/seeds/dissectors/, then `cargo xtask bless`
Guide: docs/guide/adding-a-protocol.md",
    },
    Kind {
        name: "analysis",
        template: "protocols",
        paths: &["crates/analysis/src/analyses/protocols"],
        then: "\
- crates/analysis/src/registry.rs: a line in `ALL`
- the numbers that the fixture must give: `cargo xtask bless`, then read the diff",
    },
    Kind {
        name: "app",
        template: "bilibili",
        paths: &["catalog/bilibili.toml"],
        then: "\
- every entry needs a source that anyone can read
- cargo run -- catalog check, then catalog test
Guide: docs/guide/adding-an-app.md",
    },
];

pub(crate) fn run(args: &[String]) -> Result {
    let [kind, name] = args else {
        return Err("say what and its name, as in `cargo xtask new app threema`".into());
    };
    let kind = KINDS
        .iter()
        .find(|k| k.name == kind)
        .ok_or_else(|| format!("`{kind}` is none of protocol, analysis, app"))?;
    if !is_name(name) {
        return Err(format!("`{name}` is not lower-case letters, digits and -").into());
    }
    let copies = plan(kind, name, &root())?;
    for (to, _) in &copies {
        if root().join(to).exists() {
            return Err(format!("{to} is there already").into());
        }
    }
    for (to, text) in copies {
        let path = root().join(&to);
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        fs::write(path, text)?;
        println!("{to}");
    }
    println!("\nThese are copies of {}'s. Make them yours, then:", kind.template);
    println!("{}", kind.then.replace("{name}", &identifier(name)));
    Ok(())
}

/// The files to write and what they hold.
fn plan(kind: &Kind, name: &str, root: &Path) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for path in kind.paths {
        list(&root.join(path), path, &mut files)?;
    }
    let mut copies = Vec::new();
    for path in files {
        let text = fs::read_to_string(root.join(&path)).map_err(|e| format!("{path}: {e}"))?;
        let file_name = if is(&path, "rs") { &identifier(name) } else { name };
        copies.push((path.replace(kind.template, file_name), renamed(&text, kind.template, name)));
    }
    Ok(copies)
}

fn list(path: &Path, shown: &str, files: &mut Vec<String>) -> Result {
    if path.is_dir() {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        for name in names {
            list(&path.join(&name), &format!("{shown}/{name}"), files)?;
        }
    } else {
        files.push(shown.to_owned());
    }
    Ok(())
}

/// The text with the template's name replaced as text, as an identifier, a type and a title.
fn renamed(text: &str, template: &str, name: &str) -> String {
    let text = text.replace(&format!("\"{template}"), &format!("\"{name}"));
    let text = text.replace(&format!("# {template}"), &format!("# {name}"));
    let text = text.replace(&capital(template), &capital(&identifier(name)));
    let text = text.replace(&template.to_uppercase(), &name.to_uppercase());
    text.replace(template, &identifier(name))
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn identifier(name: &str) -> String {
    name.replace('-', "_")
}

fn capital(identifier: &str) -> String {
    let words = identifier.split('_');
    words.map(|w| w[..1].to_uppercase() + &w[1..]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced_in_every_form() {
        let check = |text: &str, expected: &str| {
            assert_eq!(renamed(text, "xmpp", "qq-video"), expected);
        };
        check("name: \"xmpp\",", "name: \"qq-video\",");
        check("use xmpp::Tag;", "use qq_video::Tag;");
        check("struct Xmpp;", "struct QqVideo;");
        check("# XMPP", "# QQ-VIDEO");
        check("```hex xmpp-tag", "```hex qq_video-tag");
        assert!(is_name("qq-video") && !is_name("QQ") && !is_name("") && !is_name("a/b"));
    }

    #[test]
    fn templates_are_there_and_lose_their_name() {
        for kind in KINDS {
            let copies = plan(kind, "brand-new", &root()).unwrap();
            assert!(!copies.is_empty());
            for (to, _) in copies {
                assert!(!to.contains(kind.template), "{to}");
                assert!(to.contains("brand"), "{to}");
            }
        }
    }
}
