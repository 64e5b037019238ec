//! The whole engine over every real capture: no panic, every packet accounted for, and the same
//! flows, messages and seconds for one worker and for three.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)] // failing and speaking is a test's work

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use ottoscope_flow::capture::{Captures, Input, Options, Packets};
use ottoscope_flow::run::run;
use ottoscope_flow::{Collector, Config, Summary};
use ottoscope_synth::corpus;

/// The folder of captures and what the robustness archive holds, unpacked.
fn folders() -> Option<(PathBuf, tempfile::TempDir)> {
    let captures = corpus::find("captures")?;
    let unpacked = tempfile::tempdir().unwrap();
    let archive = captures.join("robustness-corpus.tar.xz");
    if archive.exists() {
        let status =
            Command::new("tar").arg("xf").arg(&archive).arg("-C").arg(unpacked.path()).status();
        if !status.is_ok_and(|s| s.success()) {
            println!("skipped: the archive {} cannot be unpacked", archive.display());
        }
    }
    Some((captures, unpacked))
}

/// What `workers` engines find in a capture, in an order of its own.
fn read(path: &Path, workers: usize) -> Option<(Collector, Summary, u64)> {
    let inputs = [Input::Path(path.to_owned())];
    let mut captures = Captures::open(&inputs, Options::default()).ok()?;
    let config = Config { total_buffer: 64 << 20, ..Config::default() };
    let outcome =
        run(&mut captures, &config, &Arc::default(), workers, |_| Collector::default()).unwrap();
    let packets = captures.infos().iter().map(|info| info.packets).sum();
    let mut all = Collector::default();
    let mut summary = None;
    for (part, its) in outcome.workers {
        all.flows.extend(part.flows);
        all.messages.extend(part.messages);
        all.bins.extend(part.bins);
        all.anomalies.extend(part.anomalies);
        summary.get_or_insert(its);
    }
    all.flows.sort_by_key(|f| (f.id, f.last, f.up.packets, f.down.packets));
    all.messages.sort();
    all.bins.sort_by_key(|b| (b.second, b.flow, b.packets, b.bytes));
    all.anomalies
        .sort_by_key(|(at, flow, e)| (*at, *flow, e.layer.name(), e.offset, e.reason.to_string()));
    Some((all, summary.unwrap_or_default(), packets))
}

#[test]
fn every_packet_of_every_capture_is_accounted_for() {
    let Some((captures, unpacked)) = folders() else { return };
    let paths = [corpus::captures(&captures), corpus::captures(unpacked.path())].concat();
    let (mut read_whole, mut packets_seen, mut flows_seen) = (0, 0, 0);
    for path in &paths {
        let Some((one, summary, packets)) = read(path, 1) else { continue };
        let in_flows: u64 = one.flows.iter().map(|f| f.up.packets + f.down.packets).sum();
        let beside: u64 = summary.captures.iter().map(|c| c.not_ip + c.undecoded).sum();
        assert_eq!(in_flows + beside, packets, "{}", path.display());
        let in_bins: u64 =
            one.bins.iter().map(|b| u64::from(b.packets[0]) + u64::from(b.packets[1])).sum();
        assert_eq!(in_bins, in_flows, "{}", path.display());
        let size = std::fs::metadata(path).map_or(0, |m| m.len());
        if size < 200_000 {
            let (three, ..) = read(path, 3).unwrap();
            assert_eq!(one, three, "{}", path.display());
        }
        read_whole += 1;
        packets_seen += packets;
        flows_seen += one.flows.len();
    }
    println!("{read_whole} captures, {packets_seen} packets, {flows_seen} flows");
    assert!(read_whole > 0);
}
