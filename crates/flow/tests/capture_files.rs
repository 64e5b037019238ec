//! Capture files of every kind: variants of the formats, compression, cut and damaged ones, and
//! many as one time line.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // helpers are tests, too

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use ottoscope_flow::capture::{
    CaptureError, CaptureFault, CaptureInfo, Captures, Input, Options, Packets,
};
use ottoscope_wire::build::pcap::{PcapWriter, Resolution};
use ottoscope_wire::{Layer, LinkType, Reason};
use proptest::prelude::*;

/// A record as tests see it: time in nanoseconds, capture, bytes.
type Seen = (i64, u32, Vec<u8>);

struct Read {
    seen: Vec<Seen>,
    links: Vec<LinkType>,
    faults: Vec<CaptureFault>,
    infos: Vec<CaptureInfo>,
}

fn read(paths: &[PathBuf]) -> Result<Read, CaptureError> {
    let inputs: Vec<Input> = paths.iter().map(|path| Input::from(path.as_path())).collect();
    let mut captures = Captures::open(&inputs, Options::default())?;
    let (mut seen, mut links, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(batch) = captures.next()? {
        for record in batch.records() {
            seen.push((record.at.0, record.capture, batch.bytes(record).to_vec()));
            links.push(record.link);
        }
        faults.extend_from_slice(batch.faults());
    }
    Ok(Read { seen, links, faults, infos: captures.infos() })
}

/// Writes `bytes` to a file and reads it.
fn check(name: &str, bytes: &[u8]) -> Result<Read, CaptureError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    read(&[path])
}

fn pcap(records: &[(i64, &[u8])]) -> Vec<u8> {
    let mut file = PcapWriter::new(Vec::new(), LinkType::RAW, Resolution::Nano).unwrap();
    for (at, bytes) in records {
        file.record(*at, bytes.len() as u32 + 1, bytes).unwrap();
    }
    file.finish().unwrap()
}

/// A classic header and records with `extra` bytes behind each record header.
fn classic(magic: u32, big: bool, extra: usize, records: &[(u32, u32, &[u8])]) -> Vec<u8> {
    let word = |word: u32| if big { word.to_be_bytes() } else { word.to_le_bytes() };
    let half = |half: u16| if big { half.to_be_bytes() } else { half.to_le_bytes() };
    let mut out = Vec::new();
    out.extend(word(magic));
    out.extend([half(2), half(4)].concat());
    out.extend([word(0), word(0), word(65535), word(1)].concat());
    for (seconds, fraction, bytes) in records {
        let len = word(bytes.len() as u32);
        out.extend([word(*seconds), word(*fraction), len, len].concat());
        out.extend(vec![0; extra]);
        out.extend_from_slice(bytes);
    }
    out
}

#[test]
fn variants_of_the_classic_format_are_read() {
    let records: &[(u32, u32, &[u8])] = &[(1, 5, b"first"), (2, 7, b"second"), (3, 9, b"third")];
    for big in [false, true] {
        for (magic, unit, extra) in [
            (0xa1b2_c3d4, 1000, 0),
            (0xa1b2_3c4d, 1, 0),
            (0xa1b2_cd34, 1000, 8),
            (0xa1b2_c3d4, 1000, 8), // longer records under the standard magic
        ] {
            let read = check("x.pcap", &classic(magic, big, extra, records)).unwrap();
            let expected: Vec<Seen> = records
                .iter()
                .map(|(s, f, bytes)| {
                    (i64::from(*s) * 1_000_000_000 + i64::from(f * unit), 0, bytes.to_vec())
                })
                .collect();
            assert_eq!(read.seen, expected, "{magic:x} {big} {extra}");
            assert!(read.faults.is_empty());
        }
    }
    let info = check("x.pcap", &pcap(&[(7, b"ab"), (5, b"c")])).unwrap().infos.remove(0);
    assert_eq!((info.packets, info.bytes, info.captured_bytes), (2, 5, 3));
    assert_eq!((info.first.unwrap().0, info.last.unwrap().0), (5, 7));
    assert_eq!((info.format, info.link_types.as_slice()), ("pcap", [LinkType::RAW].as_slice()));
    assert_eq!(info.file_size, 24 + 16 + 2 + 16 + 1);
}

/// Pcapng blocks of one byte order.
struct Blocks {
    big: bool,
    out: Vec<u8>,
}

impl Blocks {
    fn new(big: bool) -> Blocks {
        let mut blocks = Blocks { big, out: Vec::new() };
        blocks.section();
        blocks
    }

    fn section(&mut self) {
        let body = [self.word(0x1a2b_3c4d), self.halves(1, 0), [0xff; 4], [0xff; 4]].concat();
        self.block(0x0a0d_0d0a, &body);
    }

    fn word(&self, word: u32) -> [u8; 4] {
        if self.big { word.to_be_bytes() } else { word.to_le_bytes() }
    }

    fn halves(&self, a: u16, b: u16) -> [u8; 4] {
        let half = |half: u16| if self.big { half.to_be_bytes() } else { half.to_le_bytes() };
        [half(a), half(b)].concat().try_into().unwrap()
    }

    fn long(&self, long: u64) -> [u8; 8] {
        if self.big { long.to_be_bytes() } else { long.to_le_bytes() }
    }

    fn block(&mut self, kind: u32, body: &[u8]) {
        let padded = body.len().next_multiple_of(4);
        let len = self.word(padded as u32 + 12);
        let kind = self.word(kind);
        self.out.extend([kind, len].concat());
        self.out.extend_from_slice(body);
        self.out.resize(self.out.len() + padded - body.len(), 0);
        self.out.extend(len);
    }

    fn option(&self, code: u16, value: &[u8]) -> Vec<u8> {
        let mut option = self.halves(code, value.len() as u16).to_vec();
        option.extend_from_slice(value);
        option.resize(option.len().next_multiple_of(4), 0);
        option
    }

    fn interface(&mut self, link: u16, snap_len: u32, options: &[Vec<u8>]) {
        let mut body = [self.halves(link, 0), self.word(snap_len)].concat();
        body.extend(options.concat());
        self.block(1, &body);
    }

    fn packet(&mut self, interface: u32, units: u64, bytes: &[u8]) {
        let len = self.word(bytes.len() as u32);
        let (high, low) = (self.word((units >> 32) as u32), self.word(units as u32));
        let mut body = [self.word(interface), high, low, len, len].concat();
        body.extend_from_slice(bytes);
        self.block(6, &body);
    }
}

#[test]
fn blocks_of_the_newer_format_are_read() {
    for big in [false, true] {
        let mut file = Blocks::new(big);
        let name = file.option(2, b"eth0");
        file.interface(1, 4, &[name]); // microseconds
        let binary = [file.option(9, &[0x8a]), file.option(14, &file.long(100))];
        file.interface(101, 0, &binary); // 2^-10 s, 100 s later
        let pico = [file.option(9, &[12])];
        file.interface(276, 0, &pico);
        file.packet(0, 1_500_000, b"micro");
        file.packet(1, 1536, b"binary");
        file.packet(2, 1_700_000_000_001, b"pico");
        file.block(0x0bad, b"unknown"); // passed over
        let simple = [file.word(9), *b"simp"].concat(); // cut to the first interface's 4 bytes
        file.block(3, &simple);
        // Obsolete packet: interface and drops share a word.
        let (zero, low, len) = (file.word(0), file.word(3_000_000), file.word(3));
        let old = [file.halves(1, 9), zero, low, len, len, *b"old\0"].concat();
        file.block(2, &old);
        let mut statistics = [file.word(0), zero, zero].concat();
        statistics.extend(file.option(5, &file.long(42)));
        file.block(5, &statistics);
        // A second section starts its interfaces anew.
        let mut second = Blocks::new(!big);
        second.interface(113, 0, &[]);
        second.packet(0, 9_000_000, b"second");
        file.out.extend(second.out);

        let read = check("x.pcapng", &file.out).unwrap();
        assert_eq!(read.faults, []);
        let expected: [(i64, &[u8]); 6] = [
            (1_500_000_000, b"micro"),
            (101_500_000_000, b"binary"),
            (1_700_000_000, b"pico"),
            (1_700_000_000, b"simp"),
            (100_000_000_000 + 3_000_000 * 1_000_000_000 / 1024, b"old"),
            (9_000_000_000, b"second"),
        ];
        assert_eq!(read.seen, expected.map(|(at, bytes)| (at, 0, bytes.to_vec())));
        assert_eq!(
            read.links.iter().map(|link| link.0).collect::<Vec<_>>(),
            [1, 101, 276, 1, 101, 113]
        );
        let info = &read.infos[0];
        assert_eq!((info.format, info.dropped, info.interfaces.len()), ("pcapng", 42, 4));
        assert_eq!(info.interfaces[0].name.as_deref(), Some("eth0"));
        assert_eq!(info.interfaces[0].dropped, Some(42));
    }
}

#[test]
fn compression_is_undone() {
    let plain = pcap(&[(1, b"one"), (2, b"two")]);
    let gzip = |bytes: &[u8]| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    };
    // Two members, the second of which starts in the middle of a record.
    let (a, b) = plain.split_at(30);
    let cases = [
        ("gzip", [gzip(a), gzip(b)].concat()),
        ("zstd", [zstd::encode_all(a, 1).unwrap(), zstd::encode_all(b, 1).unwrap()].concat()),
        ("xz", {
            let options = lzma_rust2::XzOptions::with_preset(1);
            let mut out = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
            out.write_all(&plain).unwrap();
            out.finish().unwrap()
        }),
    ];
    for (kind, bytes) in cases {
        let read = check("x", &bytes).unwrap();
        assert_eq!(read.infos[0].compression, Some(kind));
        assert_eq!((read.seen.len(), read.faults.len()), (2, 0), "{kind}");
        // Cut: what came before is kept, and it is told.
        let read = check("x", &bytes[..bytes.len() - 9]);
        if let Ok(read) = read {
            assert!(read.infos[0].truncated && read.faults.len() == 1, "{kind}");
        }
    }
}

#[test]
fn cut_and_damaged_captures_keep_what_came_before() {
    let file = pcap(&[(1, b"one"), (2, b"two")]);
    let fault = |bytes: &[u8], packets: usize| {
        let read = check("x.pcap", bytes).unwrap();
        assert_eq!((read.seen.len(), read.infos[0].truncated), (packets, true));
        assert_eq!(read.faults.len(), 1);
        (read.faults[0].error.offset, read.faults[0].error.reason)
    };
    let last = 24 + 19;
    assert_eq!(fault(&file[..file.len() - 1], 1), (last, Reason::Truncated { need: 19, have: 18 }));
    assert_eq!(fault(&file[..last + 5], 1), (last, Reason::Truncated { need: 16, have: 5 }));
    let mut huge = file.clone();
    huge[last + 8..last + 12].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(fault(&huge, 1), (last + 8, Reason::BadLength));
    // A length that is believed, without the bytes: no memory is taken for it.
    let mut long = classic(0xa1b2_c3d4, false, 0, &[(1, 0, b"x"), (2, 0, b"y")]);
    long[16..20].copy_from_slice(&(60u32 << 20).to_le_bytes());
    let at = long.len() - 17;
    long[at + 8..at + 12].copy_from_slice(&(50u32 << 20).to_le_bytes());
    long[at + 12..at + 16].copy_from_slice(&(50u32 << 20).to_le_bytes());
    assert_eq!(fault(&long, 1), (at, Reason::Truncated { need: 16 + (50 << 20), have: 17 }));

    let mut blocks = Blocks::new(false);
    blocks.interface(1, 0, &[]);
    blocks.packet(0, 1, b"one");
    let good = blocks.out.len();
    blocks.packet(3, 2, b"two");
    let read = check("x.pcapng", &blocks.out).unwrap();
    assert_eq!((read.seen.len(), read.faults[0].error.offset), (1, good + 8));
    assert!(read.infos[0].truncated);
}

#[test]
fn a_long_record_is_read_if_its_bytes_come() {
    let long = vec![7; 3 << 20];
    let mut file = classic(0xa1b2_c3d4, false, 0, &[(1, 0, b"a"), (2, 0, &long), (3, 0, b"b")]);
    file[16..20].copy_from_slice(&(4u32 << 20).to_le_bytes());
    let read = check("x.pcap", &file).unwrap();
    assert_eq!(read.seen.iter().map(|seen| seen.2.len()).collect::<Vec<_>>(), [1, 3 << 20, 1]);
    // Blocks without packets don't add up in memory, however many.
    let mut blocks = Blocks::new(false);
    for _ in 0..64 {
        blocks.block(0x0bad, &long[..100_000]);
    }
    blocks.interface(1, 0, &[]);
    blocks.packet(0, 1, b"one");
    assert_eq!(check("x.pcapng", &blocks.out).unwrap().seen.len(), 1);
}

#[test]
fn what_is_no_capture_is_told_with_a_hint() {
    let fails = |bytes: &[u8]| {
        let error = check("x", bytes).err().unwrap();
        assert!(error.hint().is_some());
        error.to_string()
    };
    let file = pcap(&[]);
    assert!(fails(b"").ends_with("x is empty"));
    assert!(fails(&file[..20]).ends_with("ends inside the capture header, after 20 bytes"));
    assert!(fails(b"hello, this is no capture").ends_with("is not a capture: it is text"));
    assert!(fails(&[1, 2, 3, 4, 5]).ends_with("it starts with 01 02 03 04 05"));
    assert!(
        fails(&zstd::encode_all(b"{}".as_slice(), 1).unwrap())
            .contains("zstd of it looks like JSON")
    );
    let missing = read(&[PathBuf::from("/nonexistent.pcap")]).err().unwrap();
    assert!(matches!(missing, CaptureError::Open { .. }) && missing.hint().is_some());
    // Only a header: no packets, and nothing wrong.
    let read = check("x.pcap", &file).unwrap();
    assert_eq!((read.seen.len(), read.faults.len(), read.infos[0].truncated), (0, 0, false));
    // A link type that is not read is told once.
    let mut other = classic(0xa1b2_c3d4, false, 0, &[(1, 0, b"a"), (2, 0, b"b")]);
    other[20] = 147;
    let read = check("x.pcap", &other).unwrap();
    assert_eq!(read.faults.len(), 1);
    assert_eq!(
        (read.faults[0].error.layer, read.faults[0].error.reason),
        (Layer::Link, Reason::Unsupported(147))
    );
    assert!(!read.infos[0].truncated);
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn folders_are_searched_and_progress_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let a = pcap(&[(1, b"a")]);
    write(folder.path(), "deep/er/a.pcap", &a);
    write(folder.path(), "b", &pcap(&[(2, b"b")]));
    write(folder.path(), "notes.txt", b"none");
    write(folder.path(), "broken.pcap", b"");
    let options = Options::default();
    let inputs = [Input::from(folder.path())];
    let mut captures = Captures::open(&inputs, options.clone()).unwrap();
    assert_eq!(captures.skipped().len(), 2);
    let total = options.progress.total.load(Ordering::Relaxed);
    assert_eq!((total as usize, options.progress.done.load(Ordering::Relaxed)), (2 * a.len(), 0));
    let mut seen = 0;
    while let Some(batch) = captures.next().unwrap() {
        seen += batch.records().len();
    }
    assert_eq!((seen, options.progress.done.load(Ordering::Relaxed)), (2, total));
    // Stopped before it began.
    options.stop.store(true, Ordering::Relaxed);
    let mut captures = Captures::open(&inputs, options).unwrap();
    assert!(captures.next().unwrap().is_none());
    let empty = tempfile::tempdir().unwrap();
    let none = Captures::open(&[Input::from(empty.path())], Options::default()).err().unwrap();
    assert!(matches!(none, CaptureError::NoCaptures { .. }));
}

#[cfg(unix)]
#[test]
fn a_named_pipe_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    if !std::process::Command::new("mkfifo").arg(&pipe).status().is_ok_and(|s| s.success()) {
        println!("skipped: no mkfifo");
        return;
    }
    let bytes = vec![1; 100_000];
    let capture = pcap(&[(1, b"one"), (2, &bytes), (3, b"three")]);
    let path = pipe.clone();
    let writer = std::thread::spawn(move || std::fs::write(path, capture).unwrap());
    let file = write(folder.path(), "file", &pcap(&[(2, b"two")]));
    let read = read(&[pipe, file]).unwrap();
    writer.join().unwrap();
    assert_eq!(read.seen.iter().map(|seen| seen.2.len()).collect::<Vec<_>>(), [3, 100_000, 3, 5]);
    assert!(read.faults.is_empty());
}

#[test]
fn batches_are_not_changed_while_somebody_holds_them() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = vec![9; 1000];
    let records: Vec<(i64, &[u8])> = (0..5000).map(|at| (at, bytes.as_slice())).collect();
    let path = write(folder.path(), "a.pcap", &pcap(&records));
    let mut captures = Captures::open(&[Input::Path(path)], Options::default()).unwrap();
    let mut held = Vec::new();
    while let Some(batch) = captures.next().unwrap() {
        held.push(batch);
    }
    assert!(held.len() > 10);
    let times = held.iter().flat_map(|batch| batch.records().iter().map(|record| record.at.0));
    assert!(times.eq(0..5000));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// One capture split in several is the same time line, and files that overlap are merged
    /// as a stable sort by time would.
    #[test]
    fn many_files_are_one_time_line(
        mut files in prop::collection::vec(prop::collection::vec((0i64..500, 1usize..3000), 0..40), 1..5),
        apart in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut paths = Vec::new();
        let mut expected: Vec<Seen> = Vec::new();
        for (index, file) in files.iter_mut().enumerate() {
            file.sort_by_key(|record| record.0);
            let shift = if apart { index as i64 * 1000 } else { 0 };
            let bytes: Vec<(i64, Vec<u8>)> = file
                .iter()
                .enumerate()
                .map(|(number, (at, len))| (at + shift, vec![(number + index) as u8; *len]))
                .collect();
            let records: Vec<(i64, &[u8])> = bytes.iter().map(|(at, b)| (*at, b.as_slice())).collect();
            paths.push(write(folder.path(), &format!("{index}.pcap"), &pcap(&records)));
            expected.extend(bytes.into_iter().map(|(at, bytes)| (at, index as u32, bytes)));
        }
        expected.sort_by_key(|seen| (seen.0, seen.1));
        let read = read(&paths).unwrap();
        prop_assert!(read.seen == expected);
        let packets: u64 = read.infos.iter().map(|info| info.packets).sum();
        prop_assert_eq!(packets, expected.len() as u64);
    }

    #[test]
    fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300), magic in 0usize..5) {
        let magics: [&[u8]; 5] =
            [&[0xd4, 0xc3, 0xb2, 0xa1], &[0xa1, 0xb2, 0xcd, 0x34], &[0x0a, 0x0d, 0x0d, 0x0a], &[0x1f, 0x8b], &[]];
        let magic = magics[magic];
        if bytes.len() >= magic.len() {
            bytes[..magic.len()].copy_from_slice(magic);
        }
        let _ = check("x", &bytes);
    }

    #[test]
    fn no_damage_panics(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut blocks = Blocks::new(false);
        let name = blocks.option(2, b"eth0");
        blocks.interface(1, 0, &[name]);
        for at in 0..5 {
            blocks.packet(0, at, b"packet");
        }
        for (index, value) in damage {
            let index = index.index(blocks.out.len());
            blocks.out[index] = value;
        }
        if let Ok(read) = check("x", &blocks.out) {
            prop_assert!(read.seen.len() <= 5);
        }
    }
}
