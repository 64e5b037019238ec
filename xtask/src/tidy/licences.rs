//! Whether every dependency's licence is one of those that `deny.toml` allows.
//!
//! cargo-deny checks the same and more, but is seldom installed.

use std::collections::BTreeSet;
use std::fs;

use super::Finding;
use crate::shell::{Result, command, output, root};

pub(super) fn run(findings: &mut Vec<Finding>) -> Result {
    let deny = fs::read_to_string(root().join("deny.toml"))?;
    let allowed = allowed(&deny);
    let args = ["tree", "--workspace", "--prefix", "none", "--format", "{p}|{l}"];
    let mut tree = command("cargo", &args);
    tree.args(["--all-features", "--target", "all", "--edges", "normal,build"]);
    let packages: BTreeSet<String> = output(&mut tree)?.lines().map(str::to_owned).collect();
    for line in &packages {
        let Some((package, licence)) = line.split_once('|') else { continue };
        let licence = licence.trim_end_matches(" (*)");
        if !permits(licence, &allowed) {
            findings.push(Finding::new(
                "Cargo.lock",
                0,
                format!("{package} is under `{licence}` - choose another crate, or argue for the licence in deny.toml"),
            ));
        }
    }
    Ok(())
}

/// The strings of `allow = [...]` in deny.toml.
fn allowed(deny: &str) -> BTreeSet<&str> {
    let list = deny.split_once("\nallow = [").map_or("", |(_, rest)| rest);
    let list = list.split_once(']').map_or("", |(list, _)| list);
    list.split('"').skip(1).step_by(2).collect()
}

/// Whether the SPDX expression can be met. `AND` binds closer than `OR`; the old `MIT/Apache-2.0`
/// means `OR`.
fn permits(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    either(&mut rest, allowed) && rest.is_empty()
}

fn either(words: &mut &[&str], allowed: &BTreeSet<&str>) -> bool {
    let mut met = all(words, allowed);
    while let Some(("OR", rest)) = first(words) {
        *words = rest;
        met |= all(words, allowed);
    }
    met
}

fn all(words: &mut &[&str], allowed: &BTreeSet<&str>) -> bool {
    let mut met = one(words, allowed);
    while let Some(("AND", rest)) = first(words) {
        *words = rest;
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut &[&str], allowed: &BTreeSet<&str>) -> bool {
    let Some((word, rest)) = first(words) else { return false };
    *words = rest;
    if word == "(" {
        let met = either(words, allowed);
        let Some((")", rest)) = first(words) else { return false };
        *words = rest;
        return met;
    }
    if let [with, exception, rest @ ..] = *words
        && *with == "WITH"
    {
        *words = rest;
        return allowed.contains(format!("{word} WITH {exception}").as_str());
    }
    allowed.contains(word)
}

fn first<'a, 'w>(words: &'a [&'w str]) -> Option<(&'w str, &'a [&'w str])> {
    words.split_first().map(|(word, rest)| (*word, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_judged() {
        let deny = "[licenses]\nallow = [\n  \"MIT\",\n  \"Unicode-3.0\", \"Apache-2.0 WITH LLVM-exception\",\n]\n";
        let allowed = allowed(deny);
        let check = |expression: &str, expected: bool| {
            assert_eq!(permits(expression, &allowed), expected, "{expression}");
        };
        check("MIT", true);
        check("GPL-3.0-only", false);
        check("GPL-3.0-only OR MIT", true);
        check("GPL-3.0/MIT", true);
        check("(MIT OR Apache-2.0) AND Unicode-3.0", true);
        check("MIT AND GPL-3.0-only", false);
        check("GPL-3.0-only OR MIT AND Unicode-3.0", true);
        check("Apache-2.0 WITH LLVM-exception", true);
        check("Apache-2.0", false);
        check("", false);
        check("(MIT", false);
    }
}
