//! The shipped catalogue: it loads, nothing in it is wrong, its examples hold.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)] // failing and speaking is a test's work

use ottoscope_catalog::{Catalog, Severity};

#[test]
fn the_shipped_catalogue_is_sound() {
    let catalog = Catalog::builtin().unwrap();
    let findings: Vec<String> = catalog
        .check()
        .into_iter()
        .filter(|finding| finding.severity < Severity::Note)
        .map(|finding| finding.to_string())
        .collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
    let report = catalog.test();
    assert!(report.failed.is_empty(), "{:#?}", report.failed);
    assert!(report.passed > 30);
}

#[test]
fn the_reference_page_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/catalog.md");
    let text = ottoscope_catalog::reference(&Catalog::builtin().unwrap());
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(kept == text, "docs/reference/catalog.md is stale: run this test with BLESS=1");
}
