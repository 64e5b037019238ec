//! Files that people write, and header layouts run over traffic.

use std::hint::black_box;
use std::sync::Arc;

use ottoscope_catalog::Catalog;
use ottoscope_flow::dissector::signature::SignatureSet;
use ottoscope_flow::{Direction, Timestamp};
use ottoscope_synth::Scenario;

/// Any text is a catalogue or a clear error.
pub fn catalog(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Catalog::from_texts(&[("fuzz.toml", text)]) {
        Ok(catalog) => {
            for name in ["a.example", "mmx-ds.cdn.whatsapp.net", ""] {
                black_box(catalog.lookup_name_at(name, Timestamp(0)));
            }
            black_box(catalog.signatures().len());
        }
        Err(error) => assert!(error.to_string().contains("fuzz.toml"), "{error}"),
    }
}

/// Any text is a scenario or a clear error.
pub fn scenario(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(error) = Scenario::from_toml(text) {
        assert!(!error.to_string().is_empty());
    }
}

/// A catalogue's text, a zero byte, then a message that its layouts are held against.
pub fn signature(data: &[u8]) {
    let Some(at) = data.iter().position(|b| *b == 0) else { return };
    let (text, message) = (&data[..at], &data[at + 1..]);
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(catalog) = Catalog::from_texts(&[("fuzz.toml", text)]) else { return };
    for layout in catalog.signatures() {
        for direction in [Direction::Up, Direction::Down] {
            black_box(ottoscope_catalog::matches(&layout, direction, 443, message));
        }
    }
    if let Ok(set) = SignatureSet::new(catalog.signatures()) {
        black_box(Arc::new(set));
    }
}
