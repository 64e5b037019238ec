//! Every real capture is read to its end: as many packets as capinfos counts, or a fault that
//! says why not; every packet is decoded without a panic.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // helpers are tests, too

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use ottoscope_flow::capture::{CaptureInfo, Captures, Input, Options, Packets};
use ottoscope_flow::defrag::{Defrag, Outcome};
use ottoscope_synth::corpus;
use ottoscope_wire::{Decoded, WireError, decode, decode_reassembled};

/// What a capture holds: its facts, faults, and what decoding made of its packets.
struct Read {
    info: CaptureInfo,
    faults: Vec<WireError>,
    undecoded: u64,
}

fn read(path: &Path) -> Result<Read, String> {
    let inputs = [Input::Path(path.to_owned())];
    let mut captures = Captures::open(&inputs, Options::default()).map_err(|e| e.to_string())?;
    let mut defrag = Defrag::default();
    let mut faults = Vec::new();
    let (mut records, mut undecoded) = (0, 0);
    while let Some(batch) = captures.next().map_err(|e| e.to_string())? {
        faults.extend(batch.faults().iter().map(|fault| fault.error));
        for record in batch.records() {
            records += 1;
            let bytes = batch.bytes(record);
            assert_eq!(bytes.len(), record.len as usize);
            match decode(record.link, bytes) {
                Ok(Decoded::Packet(packet)) => {
                    assert!(packet.payload.len() <= packet.payload_len as usize);
                }
                Ok(Decoded::Fragment(fragment)) => {
                    if let Outcome::Complete(whole) =
                        defrag.push(&fragment, record.at, record.wire_len)
                    {
                        assert!(whole.packets > 1 || whole.wire_bytes > 0);
                        let _ = decode_reassembled(&whole.head, &whole.payload, whole.payload_len);
                        defrag.recycle(whole);
                    }
                }
                Ok(Decoded::NotIp(_)) => {}
                Err(error) => {
                    assert!(error.offset <= bytes.len() + 65_536, "{error}");
                    undecoded += 1;
                }
            }
        }
    }
    defrag.finish();
    let info = captures.infos().remove(0);
    assert_eq!(info.packets, records);
    Ok(Read { info, faults, undecoded })
}

/// Packets by capinfos, for all files that it can open; nothing where it is not installed.
fn capinfos(files: &[PathBuf]) -> HashMap<PathBuf, u64> {
    let mut counts = HashMap::new();
    for some in files.chunks(200) {
        let Ok(output) = Command::new("capinfos").args(["-TmcrQ"]).args(some).output() else {
            println!("skipped: counts are not compared, capinfos is not installed");
            return counts;
        };
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            if let Some((path, count)) = line.trim().trim_matches('"').rsplit_once("\",\"")
                && let Ok(count) = count.parse()
            {
                counts.insert(PathBuf::from(path), count);
            }
        }
    }
    counts
}

#[test]
fn every_capture_is_read_to_its_end() {
    let Some(folder) = corpus::find("captures") else { return };
    let mut paths = corpus::captures(&folder);
    paths.retain(|path| path.to_string_lossy().contains("cap"));
    let counts = capinfos(&paths);
    let (mut packets, mut undecoded, mut unequal) = (0, 0, Vec::new());
    for path in &paths {
        match read(path) {
            Ok(read) => {
                packets += read.info.packets;
                undecoded += read.undecoded;
                let told =
                    read.faults.iter().any(|fault| fault.layer == ottoscope_wire::Layer::Capture);
                assert_eq!(told, read.info.truncated, "{}", path.display());
                if let Some(count) = counts.get(path)
                    && *count != read.info.packets
                {
                    println!(
                        "{}: {} packets, capinfos has {count}, {:?}",
                        path.display(),
                        read.info.packets,
                        read.faults
                    );
                    if !told {
                        unequal.push(path);
                    }
                }
            }
            Err(error) => {
                println!("{error}");
                if counts.get(path).is_some_and(|count| *count > 0) {
                    unequal.push(path);
                }
            }
        }
    }
    println!("{} captures, {packets} packets, {undecoded} not decoded", paths.len());
    assert!(unequal.is_empty(), "{unequal:#?}");
}
