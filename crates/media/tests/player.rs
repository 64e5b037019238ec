//! The player's page: whole by itself, and no code runs on it but its own.
#![allow(clippy::unwrap_used, missing_docs)] // failing is a test's work

use ottoscope_media::strip::{self, Strip};
use sha2::{Digest, Sha256};

const PAGE: &str = include_str!("../../ottoscope/src/calls/player.html");

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0u32, |all, b| all << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = char::from(DIGITS[(bits >> (18 - 6 * place) & 63) as usize]);
            out.push(if place <= chunk.len() { digit } else { '=' });
        }
    }
    out
}

#[test]
fn only_its_own_code_may_run() {
    let script = PAGE.rsplit_once("<script>").unwrap().1.split_once("</script>").unwrap().0;
    let hash = base64(&Sha256::digest(script.as_bytes()));
    assert!(PAGE.contains(&format!("script-src 'sha256-{hash}'")), "the script's hash is {hash}");
}

#[test]
fn nothing_is_fetched_from_elsewhere() {
    for word in ["http:", "https:", "//", "@import", "url("] {
        let lines = PAGE.lines().filter(|line| line.contains(word) && !line.starts_with("// "));
        assert_eq!(lines.collect::<Vec<_>>(), [""; 0], "{word}");
    }
    assert_eq!(PAGE.matches(strip::PLACEHOLDER).count(), 1);
}

#[test]
fn data_is_put_in_once() {
    let data = Strip::new(90_000).json("{{data}} </script><b>", None, None);
    let page = strip::page(PAGE, &data);
    assert_eq!(page.matches("</script>").count(), PAGE.matches("</script>").count());
    assert!(page.contains("\\u003c/script>\\u003cb>"));
}
