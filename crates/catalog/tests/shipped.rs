//! The shipped catalogue: it loads, nothing in it is wrong, its examples hold.

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
