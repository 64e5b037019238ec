//! The generated reference page is fresh: `BLESS=1 cargo nextest run reference` renews it.
#![allow(clippy::unwrap_used, missing_docs)] // failing is a test's work

use ottoscope_infer::Params;

#[test]
fn the_reference_page_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/inference.md");
    let text = Params::reference();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(kept == text, "docs/reference/inference.md is stale: run this test with BLESS=1");
}
