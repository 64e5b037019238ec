//! Rules for Rust files.

use super::Finding;
use super::rust::{code_only, has_word};
use crate::shell::is_test;

/// The files that may hold `unsafe`: the memory map shared with the kernel, a call to the
/// allocator, the vector instructions of the learning engine, and calls into libvpx, which only a
/// feature builds.
const UNSAFE_DOORS: &[&str] = &[
    "crates/flow/src/capture/live/ring.rs",
    "crates/flow/src/memory.rs",
    "crates/learn/src/engine/simd.rs",
    "crates/media/src/vp8/libvpx.rs",
];

const CLOCKS: &[&str] =
    &["Instant::now", "SystemTime::now", "Utc::now", "Local::now", "clock_gettime"];

const UNFINISHED: &[&str] = &["todo!", "unimplemented!"];

pub(super) fn check(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let code = code_only(text);
    for (number, line) in (1..).zip(code.lines()) {
        let mut found = |what: String| findings.push(Finding::new(path, number, what));
        if !UNSAFE_DOORS.contains(&path) && has_word(line, "unsafe") {
            let doors = UNSAFE_DOORS.join(" and ");
            found(format!("`unsafe` outside {doors} - write it without, or move it there"));
        }
        if let Some(clock) = CLOCKS.iter().find(|c| line.contains(*c))
            && !may_look_at_clocks(path)
        {
            found(format!("`{clock}` below the binary - take the time as a parameter"));
        }
        if let Some(open) = UNFINISHED.iter().find(|u| line.contains(*u)) {
            found(format!("`{open}` - finish it, or leave it out"));
        }
    }
    let documented = path.starts_with("crates/") && path.contains("/src/") && !is_test(path);
    if documented && !text.starts_with("//!") {
        findings.push(Finding::new(
            path,
            1,
            "does not start with `//!` - say in one sentence what the file is for",
        ));
    }
}

/// The binary, and what measures.
fn may_look_at_clocks(path: &str) -> bool {
    path.starts_with("crates/ottoscope/")
        || path.starts_with("xtask/")
        || path.contains("/benches/")
        || path.contains("/examples/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_see_code_and_nothing_else() {
        let expect = |path: &str, text: &str, expected: &[usize]| {
            let mut findings = Vec::new();
            check(path, text, &mut findings);
            let lines: Vec<usize> = findings.iter().map(|f| f.line).collect();
            assert_eq!(lines, expected, "{path}: {text}\n{findings:?}");
        };
        let flow = "crates/flow/src/table.rs";
        expect(flow, "//! A.\nfn f() {}\n", &[]);
        expect(flow, "//! A.\nunsafe { f() }\n", &[2]);
        expect(flow, "//! unsafe\n// unsafe\nlet a = \"unsafe\";\n", &[]);
        for door in UNSAFE_DOORS {
            expect(door, "//! A.\nunsafe { f() }\n", &[]);
        }
        expect(flow, "//! A.\n\nlet t = Instant::now();\n", &[3]);
        expect("crates/ottoscope/src/main.rs", "//! A.\nlet t = Instant::now();\n", &[]);
        expect("crates/flow/examples/speed.rs", "let t = Instant::now();\n", &[]);
        expect(flow, "//! A.\ntodo!(\"later\")\n", &[2]);
        expect(flow, "fn f() {}\n", &[1]);
        expect("crates/flow/tests/laws.rs", "fn f() {}\n", &[]);
        expect("crates/wire/src/dns/tests.rs", "use super::*;\n", &[]);
    }
}
