//! Capture files of any format and compression.

use std::fs;
use std::path::{Path, PathBuf};

use ottoscope_flow::capture::{Captures, Input, Options, Packets};
use ottoscope_flow::sample::{self, Config, Kind, Protocol};

/// The bytes are a file. What is read never exceeds what is there.
pub fn capture(data: &[u8]) {
    let path = file();
    fs::write(&path, data).expect("the temporary folder takes a few bytes");
    let Ok(mut captures) = Captures::open(&[Input::Path(path.clone())], Options::default()) else {
        return;
    };
    let compressed = captures.infos().iter().any(|info| info.compression.is_some());
    let (mut records, mut bytes) = (0_u64, 0_usize);
    while let Ok(Some(batch)) = captures.next() {
        for record in batch.records() {
            assert_eq!(batch.bytes(record).len(), record.len as usize);
            bytes += record.len as usize;
            records += 1;
        }
        for fault in batch.faults() {
            assert!(!fault.error.to_string().is_empty());
        }
    }
    assert!(compressed || bytes <= data.len(), "{bytes} bytes out of {}", data.len());
    cut(&path);
    let told: u64 = captures.infos().iter().map(|info| info.packets).sum();
    assert_eq!(told, records, "what is told is what was read");
}

/// Every packet is in a unit or counted as outside, and samples are of one width.
fn cut(path: &Path) {
    for protocol in [Protocol::Honest, Protocol::Paper] {
        let config = Config { protocol, kind: Kind::Flow, open: 3, ..Config::default() };
        let mut packets = 0;
        let cut = sample::run(
            &[Input::Path(path.to_owned())],
            &Options::default(),
            &config,
            &mut |_, unit| {
                assert!(unit.bytes.len() == config.width && unit.filled <= config.width);
                let ends = unit.layers.iter().map(|layers| layers.end);
                assert!(ends.is_sorted());
                packets += unit.packets;
            },
        );
        let Ok(cut) = cut else { return };
        let count = cut.count;
        if count.duplicates == 0 && count.empty == 0 {
            assert_eq!(packets + count.outside + count.unreadable, count.packets);
        }
    }
}

/// A file of this thread's own.
fn file() -> PathBuf {
    let thread = std::thread::current().id();
    std::env::temp_dir().join(format!("ottoscope-fuzz-{}-{thread:?}", std::process::id()))
}
