//! Rules for every file, whatever it holds.

use super::Finding;
use super::rust::has_word;
use crate::shell::is;

/// Largest file kept in the repository, in bytes.
const LARGEST: usize = 2_000_000;

/// First bytes of capture files and tables: what nobody has looked through does not go in.
const CAPTURES: &[(&[u8], &str)] = &[
    (b"\xd4\xc3\xb2\xa1", "pcap"),
    (b"\xa1\xb2\xc3\xd4", "pcap"),
    (b"\x4d\x3c\xb2\xa1", "pcap"),
    (b"\xa1\xb2\x3c\x4d", "pcap"),
    (b"\x34\xcd\xb2\xa1", "pcap"),
    (b"\x0a\x0d\x0d\x0a", "pcapng"),
    (b"PAR1", "Parquet"),
];

/// Folders of one machine. Split, so that this file passes its own rule.
const MACHINES: &[&str] = &[
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("/wo", "rk/"),
    concat!("/fa", "rm/"),
    concat!("C:", "\\"),
];

const UNFINISHED: &[&str] =
    &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];

pub(super) fn check(path: &str, bytes: &[u8], findings: &mut Vec<Finding>) {
    let mut found = |what: String| findings.push(Finding::new(path, 0, what));
    if bytes.len() > LARGEST {
        found(format!("{} bytes - files over {LARGEST} do not belong here", bytes.len()));
    }
    if !path.is_ascii() {
        found("its name is not ASCII - rename it".to_owned());
    }
    if let Some((_, kind)) = CAPTURES.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        found(format!(
            "a {kind} file - traffic is not committed: make it by `synth` or from hex in the test"
        ));
    }
}

pub(super) fn check_text(path: &str, text: &str, findings: &mut Vec<Finding>) {
    if is(path, "lock") {
        return;
    }
    for (number, line) in (1..).zip(text.lines()) {
        let mut found = |what: String| findings.push(Finding::new(path, number, what));
        if let Some(folder) = MACHINES.iter().find(|m| line.contains(*m)) {
            found(format!("`{folder}` is a folder of one machine - write a relative path"));
        }
        if let Some(word) = UNFINISHED.iter().find(|w| has_word(line, w)) {
            found(format!("`{word}` - finish it, or open an issue"));
        }
        if line.ends_with([' ', '\t']) && !is(path, "snap") {
            found("trailing space - remove it".to_owned());
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        let last = text.lines().count();
        findings.push(Finding::new(path, last, "no newline at the end - add one"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_is() {
        let expect = |path: &str, bytes: &[u8], expected: usize| {
            let mut findings = Vec::new();
            check(path, bytes, &mut findings);
            assert_eq!(findings.len(), expected, "{path}: {findings:?}");
        };
        expect("a.rs", b"x", 0);
        expect("a.bin", &vec![0; LARGEST + 1], 1);
        expect("caf\u{e9}.rs", b"x", 1);
        expect("seed", b"\xd4\xc3\xb2\xa1\0\0", 1);
        expect("seed", b"\x0a\x0d\x0d\x0a\0\0", 1);
        expect("flows", b"PAR1....", 1);
    }

    #[test]
    fn what_a_line_says() {
        let expect = |path: &str, text: &str, expected: &[usize]| {
            let mut findings = Vec::new();
            check_text(path, text, &mut findings);
            let lines: Vec<usize> = findings.iter().map(|f| f.line).collect();
            assert_eq!(lines, expected, "{text:?}: {findings:?}");
        };
        expect("a.md", "fine\n", &[]);
        expect("a.md", "", &[]);
        expect("a.md", "ends here", &[1]);
        expect("a.md", "a \nb\t\n", &[1, 2]);
        expect("a.md", &format!("x\nin {}me\n", MACHINES[0]), &[2]);
        expect("Cargo.lock", &format!("in {}me\n", MACHINES[0]), &[]);
        expect("a.rs", &format!("// {}: later\n", UNFINISHED[0]), &[1]);
        expect("a.rs", &format!("// mmv{}YZ\n", UNFINISHED[2]), &[]);
    }
}
