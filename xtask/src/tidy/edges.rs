//! Which crate may depend on which, and the one door of each heavy dependency.

use std::fs;

use super::Finding;
use crate::shell::{Result, command, output, root};

/// A crate of the workspace and what it may stand on.
pub(crate) struct Crate {
    /// Its folder under `crates/`.
    pub(crate) folder: &'static str,
    /// Folders of the crates that it may depend on.
    pub(crate) on: &'static [&'static str],
}

/// The architecture. `ARCHITECTURE.md` shows this table; data flows down it.
pub(crate) const CRATES: &[Crate] = &[
    Crate { folder: "wire", on: &[] },
    Crate { folder: "flow", on: &["wire"] },
    Crate { folder: "catalog", on: &["flow"] },
    Crate { folder: "infer", on: &["flow"] },
    Crate { folder: "media", on: &["wire", "flow"] },
    Crate { folder: "learn", on: &[] },
    Crate { folder: "store", on: &["flow", "catalog", "media"] },
    Crate { folder: "analysis", on: &["store"] },
    Crate { folder: "synth", on: &["wire"] },
    Crate {
        folder: "ottoscope",
        on: &["wire", "flow", "catalog", "store", "infer", "media", "learn", "analysis", "synth"],
    },
];

/// A dependency that is heavy, or gives power that the rest must not have.
pub(crate) struct Door {
    /// Names that start with it.
    pub(crate) prefix: &'static str,
    /// The crate that may depend on it.
    pub(crate) owner: &'static str,
    /// Whether it takes minutes to build, so that tests do without it, too.
    pub(crate) heavy: bool,
    /// What the rest should do.
    pub(crate) instead: &'static str,
}

/// Every such dependency.
pub(crate) const DOORS: &[Door] = &[
    Door { prefix: "arrow", owner: "store", heavy: true, instead: "let `store` keep the rows" },
    Door { prefix: "parquet", owner: "store", heavy: true, instead: "let `store` keep the rows" },
    Door { prefix: "datafusion", owner: "analysis", heavy: true, instead: "ask `analysis`" },
    Door { prefix: "burn", owner: "learn", heavy: true, instead: "train through `learn`" },
    Door {
        prefix: "tokio",
        owner: "analysis",
        heavy: false,
        instead: "use threads, or ask `analysis`",
    },
    Door {
        prefix: "libc",
        owner: "flow",
        heavy: false,
        instead: "only live capture talks to the kernel",
    },
    Door { prefix: "clap", owner: "ottoscope", heavy: false, instead: "take a typed parameter" },
    Door {
        prefix: "indicatif",
        owner: "ottoscope",
        heavy: false,
        instead: "report through a callback",
    },
    Door {
        prefix: "anyhow",
        owner: "ottoscope",
        heavy: false,
        instead: "use an error enum of your own",
    },
];

/// A direct dependency as cargo resolved it.
#[derive(Debug, PartialEq, Eq)]
struct Edge {
    from: String,
    on: String,
}

pub(super) fn run(findings: &mut Vec<Finding>) -> Result {
    let args = ["tree", "--workspace", "--depth", "1", "--prefix", "depth", "--format", "{p}"];
    for kinds in ["normal,build", "dev"] {
        let mut tree = command("cargo", &args);
        tree.args(["--all-features", "--target", "all", "--no-dedupe", "--edges", kinds]);
        for edge in edges(&output(&mut tree)?) {
            if let Some(what) = judge(&edge, kinds == "dev") {
                let path = manifest(&edge.from);
                let line = line_of(&fs::read_to_string(root().join(&path))?, &edge.on);
                findings.push(Finding::new(&path, line, what));
            }
        }
    }
    for folder in fs::read_dir(root().join("crates"))? {
        let folder = folder?.file_name().to_string_lossy().into_owned();
        if !CRATES.iter().any(|c| c.folder == folder) {
            findings.push(Finding::new(
                &format!("crates/{folder}"),
                0,
                "a crate that the architecture does not know - add it in xtask/src/tidy/edges.rs",
            ));
        }
    }
    Ok(())
}

/// Reads `cargo tree --prefix depth --depth 1`: `0name v1 (path)`, then its `1name v2` lines.
fn edges(tree: &str) -> Vec<Edge> {
    let mut edges = Vec::new();
    let mut from = "";
    for line in tree.lines() {
        let name = line.split(' ').next().unwrap_or_default();
        if let Some(package) = name.strip_prefix('0') {
            from = package;
        } else if let Some(on) = name.strip_prefix('1') {
            edges.push(Edge { from: from.to_owned(), on: on.to_owned() });
        }
    }
    edges
}

/// What is wrong with the edge, if anything. `tests`: only tests need it.
fn judge(edge: &Edge, tests: bool) -> Option<String> {
    let from = folder(&edge.from);
    if from == "xtask" {
        return Some(format!("xtask depends on `{}` - it builds in seconds without", edge.on));
    }
    let known = CRATES.iter().find(|c| c.folder == from)?;
    if CRATES.iter().any(|c| package(c.folder) == edge.on) {
        let on = folder(&edge.on);
        let allowed =
            known.on.contains(&on) || tests && on == "synth" && known.on.contains(&"wire");
        return (!allowed).then(|| {
            let list = if known.on.is_empty() { "nothing".into() } else { known.on.join(", ") };
            format!("`{from}` may not depend on `{on}`, only on {list} - pass in what it needs")
        });
    }
    let door = DOORS.iter().find(|d| {
        edge.on.strip_prefix(d.prefix).is_some_and(|r| r.is_empty() || r.starts_with(['-', '_']))
    })?;
    let held = door.heavy || !tests;
    (held && door.owner != from)
        .then(|| format!("only `{}` may depend on `{}` - {}", door.owner, edge.on, door.instead))
}

fn folder(package: &str) -> &str {
    package.strip_prefix("ottoscope-").unwrap_or(package)
}

fn package(folder: &str) -> String {
    if folder == "ottoscope" { folder.to_owned() } else { format!("ottoscope-{folder}") }
}

fn manifest(package: &str) -> String {
    match package {
        "xtask" => "xtask/Cargo.toml".to_owned(),
        _ => format!("crates/{}/Cargo.toml", folder(package)),
    }
}

/// The line of a manifest that names the dependency; 0 where it goes by another name.
fn line_of(manifest: &str, dependency: &str) -> usize {
    let names =
        |line: &str| line.strip_prefix(dependency).is_some_and(|r| r.starts_with(['.', ' ', '=']));
    (1..).zip(manifest.lines()).find(|(_, l)| names(l)).map_or(0, |(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_judged() {
        let check = |from: &str, on: &str, expected: bool| {
            let edge = Edge { from: from.to_owned(), on: on.to_owned() };
            let found = judge(&edge, false);
            assert_eq!(found.is_none(), expected, "{edge:?}: {found:?}");
        };
        check("ottoscope-flow", "ottoscope-wire", true);
        check("ottoscope-wire", "ottoscope-flow", false);
        check("ottoscope-catalog", "ottoscope-store", false);
        check("ottoscope-analysis", "ottoscope-flow", false);
        check("ottoscope", "ottoscope-synth", true);
        check("ottoscope-media", "ottoscope-synth", false);
        check("ottoscope-store", "arrow", true);
        check("ottoscope-store", "arrow-schema", true);
        check("ottoscope-flow", "arrow-schema", false);
        check("ottoscope-flow", "arrowhead", true);
        check("ottoscope-analysis", "datafusion", true);
        check("ottoscope", "datafusion", false);
        check("ottoscope-wire", "hex-literal", true);
        check("ottoscope-wire", "clap", false);
        check("xtask", "serde_json", false);
        let test = |from: &str, on: &str| {
            judge(&Edge { from: from.to_owned(), on: on.to_owned() }, true).is_none()
        };
        assert!(test("ottoscope-analysis", "anyhow"));
        assert!(!test("ottoscope-flow", "datafusion"));
        assert!(!test("ottoscope-wire", "ottoscope-flow"));
    }

    #[test]
    fn edges_are_read_from_the_tree() {
        let tree = "0ottoscope-wire v0.1.0 (dir)\n1aes v0.9.4\n\n0ottoscope-flow v0.1.0 (dir)\n\
                    1ottoscope-wire v0.1.0 (dir) (*)\n";
        let read: Vec<String> =
            edges(tree).iter().map(|e| format!("{} {}", e.from, e.on)).collect();
        assert_eq!(read, ["ottoscope-wire aes", "ottoscope-flow ottoscope-wire"]);
    }

    #[test]
    fn a_finding_points_at_the_manifest_line() {
        let manifest = "[dependencies]\naes-gcm.workspace = true\naes = \"1\"\n";
        assert_eq!(line_of(manifest, "aes"), 3);
        assert_eq!(line_of(manifest, "aes-gcm"), 2);
        assert_eq!(line_of(manifest, "md-5"), 0);
    }

    #[test]
    fn the_table_has_no_cycle() {
        for (at, c) in CRATES.iter().enumerate() {
            for on in c.on {
                let known = CRATES.iter().position(|o| o.folder == *on);
                let below = known.is_some_and(|k| k < at);
                assert!(below, "`{}` stands above `{on}`, which comes later", c.folder);
            }
        }
    }
}
