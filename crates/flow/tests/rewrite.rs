//! Captures written anew: the same sessions under other names, and no checksum worse.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)] // failing and speaking is a test's work

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use ottoscope_flow::capture::{Input, Options, Rewritten, rewrite};
use ottoscope_flow::sample::{self, Config, Depth, Unit};
use ottoscope_flow::time::Span;
use ottoscope_synth::corpus;
use ottoscope_wire::rewrite::{Names, is_tunnel};

const SHIFT: Span = Span::from_seconds(86_400);
/// Captures of the corpus that are looked at, and the largest, bytes.
const SAMPLE: usize = 20;
const LARGEST: u64 = 3_000_000;

struct Flip;

impl Names for Flip {
    fn v4(&self, address: [u8; 4]) -> [u8; 4] {
        let [a, b, c, d] = address;
        if a >= 224 || address == [0; 4] { address } else { [a, b ^ 0x33, c ^ 0x55, d ^ 0x0f] }
    }
    fn v6(&self, mut address: [u8; 16]) -> [u8; 16] {
        if address[0] != 0xff {
            address.iter_mut().skip(4).for_each(|byte| *byte ^= 0x5a);
        }
        address
    }
    fn port(&self, port: u16) -> u16 {
        let other = port ^ 0x0880;
        if other == 0 || is_tunnel(other) { port } else { other }
    }
    fn ethernet(&self, mut address: [u8; 6]) -> [u8; 6] {
        address[4] ^= 0x77;
        address
    }
}

fn named((address, port): (IpAddr, u16)) -> (IpAddr, u16) {
    let address = match address {
        IpAddr::V4(a) => IpAddr::from(Flip.v4(a.octets())),
        IpAddr::V6(a) => IpAddr::from(Flip.v6(a.octets())),
    };
    (address, if port == 0 || is_tunnel(port) { port } else { Flip.port(port) })
}

fn anew(capture: &Path, to: &Path) -> Option<Rewritten> {
    rewrite(&Input::Path(capture.into()), &Options::default(), &Flip, SHIFT, to).ok()
}

/// What a capture says of sessions, without names: payload, packets, bytes, sizes and gaps.
type Said = (Vec<u8>, u64, u64, Vec<i32>, Vec<f32>, i64);
/// Ends, protocol and first time, nanoseconds.
type Session = ([(IpAddr, u16); 2], u8, i64);

fn sessions(capture: &Path, other: bool) -> BTreeMap<Session, Said> {
    let config = Config { depth: Depth::Payload, width: 4096, ..Config::default() };
    let mut found = BTreeMap::new();
    let mut each = |_: &Input, unit: Unit| {
        let ends = if other { unit.ends.map(named) } else { unit.ends };
        let shift = if other { SHIFT.0 } else { 0 };
        let key = (ends, unit.protocol, unit.first.0 + shift);
        let length = unit.last.0 - unit.first.0;
        let gaps = unit.gaps.iter().map(|gap| (gap * 1e6).round() / 1e6).collect();
        found.insert(key, (unit.bytes, unit.packets, unit.carried, unit.sizes, gaps, length));
    };
    sample::run(&[Input::Path(capture.into())], &Options::default(), &config, &mut each).unwrap();
    found
}

/// Status of each checksum by frame as tshark judges it: 0 wrong, 1 right, 2 not looked at.
fn statuses(capture: &Path) -> Option<Vec<String>> {
    let mut command = Command::new("tshark");
    for layer in ["ip", "tcp", "udp"] {
        command.args(["-o", &format!("{layer}.check_checksum:TRUE")]);
    }
    // All ports differ, and with them what tshark takes payload for: it is not to look inside.
    command.args(["--disable-all-protocols"]);
    for protocol in [
        "eth",
        "ethertype",
        "vlan",
        "ip",
        "ipv6",
        "tcp",
        "udp",
        "icmp",
        "gtp",
        "vxlan",
        "gre",
        "sll",
        "raw_ip",
        "frame",
        "null",
        "ppp",
        "pppoes",
        "mpls",
    ] {
        command.args(["--enable-protocol", protocol]);
    }
    command.args(["-T", "fields", "-r"]).arg(capture);
    for field in ["ip.checksum.status", "tcp.checksum.status", "udp.checksum.status"] {
        command.args(["-e", field]);
    }
    let output = command.output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.lines().map(str::to_owned).collect())
}

fn check(capture: &Path, folder: &Path) -> Option<usize> {
    let other = folder.join("other.pcap");
    anew(capture, &other)?;
    let (before, after) = (sessions(capture, true), sessions(&other, false));
    assert_eq!(before.len(), after.len(), "{}", capture.display());
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before, after, "{}", capture.display());
    }
    if let (Some(before), Some(after)) = (statuses(capture), statuses(&other)) {
        for (number, (before, after)) in before.iter().zip(&after).enumerate() {
            assert_eq!(before, after, "{} frame {}", capture.display(), number + 1);
        }
        assert_eq!(before.len(), after.len(), "{}", capture.display());
    }
    Some(before.len())
}

#[test]
fn fixtures_hold_the_same_sessions() {
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("fixture.pcap");
    let names = [
        "tls12",
        "quic",
        "call",
        "w-tcp",
        "vlan",
        "qinq",
        "mpls",
        "pppoe",
        "gtp",
        "gtp-qfi",
        "gre",
        "ip-in-ip",
        "vxlan",
        "ipv6",
        "fragments",
        "fragments-v6",
        "raw-ip",
        "null",
        "linux-cooked",
        "linux-cooked-2",
        "port-reuse",
        "pcapng",
    ];
    for name in names {
        std::fs::write(&capture, ottoscope_synth::fixture(name).unwrap()).unwrap();
        let done = anew(&capture, &folder.path().join("done.pcap")).unwrap();
        assert_eq!(done.untouched, 0, "{name}");
        assert!(check(&capture, folder.path()).is_some_and(|sessions| sessions > 0), "{name}");
        let text = |path: &Path| std::fs::read(path).unwrap();
        assert_ne!(text(&capture), text(&folder.path().join("done.pcap")), "{name}");
    }
}

#[test]
fn a_capture_is_written_whole_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let (capture, to) = (folder.path().join("c.pcap"), folder.path().join("to.pcap"));
    let listed = || std::fs::read_dir(folder.path()).unwrap().count();
    // No capture, an empty one, one in a folder that is not there.
    std::fs::write(&capture, b"not a capture at all, but text").unwrap();
    assert!(anew(&capture, &to).is_none());
    let whole = ottoscope_synth::fixture("tls12").unwrap();
    std::fs::write(&capture, &whole[..24]).unwrap();
    assert!(anew(&capture, &to).is_none());
    std::fs::write(&capture, &whole).unwrap();
    assert!(anew(&capture, &folder.path().join("no/to.pcap")).is_none());
    assert_eq!(listed(), 1, "nothing is left of what failed");
    let stopped = Options::default();
    stopped.stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let input = Input::Path(capture.clone());
    assert!(rewrite(&input, &stopped, &Flip, SHIFT, &to).is_err());
    assert_eq!(listed(), 1);
    let done = anew(&capture, &to).unwrap();
    assert_eq!((listed(), done.untouched), (2, 0));
    assert_eq!(done.headers, done.packets);
}

#[test]
fn real_captures_hold_the_same_sessions() {
    let Some(folder) = corpus::find("captures/ndpi") else { return };
    let mut paths = corpus::captures(&folder);
    paths.retain(|path| path.metadata().is_ok_and(|file| file.len() < LARGEST));
    let folder = tempfile::tempdir().unwrap();
    let step = (paths.len() / SAMPLE).max(1);
    let (mut captures, mut sum) = (0, 0);
    for path in paths.iter().step_by(step) {
        if let Some(sessions) = check(path, folder.path()) {
            captures += 1;
            sum += sessions;
        }
    }
    println!("{captures} captures, {sum} sessions");
    assert!(captures >= SAMPLE / 2 && sum > captures, "{captures} captures, {sum} sessions");
}
