//! The generated reference pages are fresh: `BLESS=1 cargo nextest run reference` renews them.

use std::fs;
use std::path::Path;

use ottoscope_store::{study, tables};

fn check(name: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(name);
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "{} is stale: BLESS=1 cargo nextest run reference", path.display());
}

#[test]
fn reference_pages_are_fresh() {
    check("tables.md", &tables::reference());
    check("study.md", &study::reference());
}
