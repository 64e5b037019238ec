//! Conversations beside tshark: the same 5-tuples with the same packets and frame bytes.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)] // failing and speaking is a test's work

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use ottoscope_flow::capture::{Captures, Input, Options};
use ottoscope_flow::run::run;
use ottoscope_flow::{Config, Flow, Sink, Transport};
use ottoscope_synth::corpus;

/// Captures looked at; every one costs a start of tshark.
const SAMPLE: usize = 40;

/// Packets and bytes by protocol and both ends in text order.
type Conversations = BTreeMap<(u8, String, String), (u64, u64)>;

#[derive(Default)]
struct Ours(Conversations);

fn add(all: &mut Conversations, protocol: u8, a: String, b: String, packets: u64, bytes: u64) {
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    let sum = all.entry((protocol, low, high)).or_default();
    sum.0 += packets;
    sum.1 += bytes;
}

impl Sink for Ours {
    type Error = Infallible;

    fn flow(&mut self, flow: &Flow) -> Result<(), Infallible> {
        let protocol = match flow.transport {
            Transport::Tcp => 6,
            Transport::Udp => 17,
            _ => return Ok(()),
        };
        let client = format!("{} {}", flow.client, flow.client_port);
        let server = format!("{} {}", flow.server, flow.server_port);
        let packets = flow.up.packets + flow.down.packets;
        add(&mut self.0, protocol, client, server, packets, flow.up.bytes + flow.down.bytes);
        Ok(())
    }
}

fn tshark(path: &Path) -> Option<Conversations> {
    let fields = [
        "frame.len",
        "ip.src",
        "ip.dst",
        "ipv6.src",
        "ipv6.dst",
        "tcp.srcport",
        "tcp.dstport",
        "udp.srcport",
        "udp.dstport",
    ];
    // Fragments and packets quoted in ICMP errors are no packets of the conversation to tshark.
    let filter = "(tcp or udp) and not icmp and not icmpv6";
    let mut command = Command::new("tshark");
    command.args(["-n", "-o", "tcp.desegment_tcp_streams:FALSE", "-r"]).arg(path);
    command.args(["-T", "fields", "-E", "occurrence=l", "-Y", filter]);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().ok()?;
    let mut all = Conversations::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        let &[len, v4s, v4d, v6s, v6d, ts, td, us, ud] = &cells[..] else { return None };
        let (source, destination) = if v4s.is_empty() { (v6s, v6d) } else { (v4s, v4d) };
        let (protocol, from, to) = if ts.is_empty() { (17, us, ud) } else { (6, ts, td) };
        let (a, b) = (format!("{source} {from}"), format!("{destination} {to}"));
        add(&mut all, protocol, a, b, 1, len.parse().ok()?);
    }
    Some(all)
}

/// Captures in which tshark and we mean the same by a conversation: no fragments (tshark counts
/// only the last), one address family at a time (a field's last occurrence is the innermost
/// only then), and no headers that are content (sFlow).
fn comparable(path: &Path) -> bool {
    let odd = "ip.flags.mf == 1 or ip.frag_offset > 0 or ipv6.fraghdr or (ip and ipv6) or \
               (tcp and udp) or teredo or gtp or sflow or _ws.malformed";
    let output = Command::new("tshark")
        .args(["-n", "-r"])
        .arg(path)
        .args(["-c", "20000", "-Y", odd, "-T", "fields", "-e", "frame.number"])
        .output();
    output.is_ok_and(|o| o.status.success() && o.stdout.is_empty())
}

#[test]
fn conversations_have_tsharks_packets_and_bytes() {
    let Some(folder) = corpus::find("captures/ndpi") else { return };
    if Command::new("tshark").arg("--version").output().is_err() {
        println!("skipped: tshark is not installed");
        return;
    }
    let mut paths = corpus::captures(&folder);
    paths.retain(|path| std::fs::metadata(path).is_ok_and(|m| m.len() < 1_000_000));
    let step = (paths.len() / SAMPLE).max(1);
    let (mut compared, mut conversations) = (0, 0);
    for path in paths.iter().step_by(step) {
        if !comparable(path) {
            continue;
        }
        let Some(theirs) = tshark(path) else { continue };
        let inputs = [Input::Path(path.clone())];
        let mut captures = Captures::open(&inputs, Options::default()).unwrap();
        let config = Config { bins: false, ..Config::default() };
        let mut outcome =
            run(&mut captures, &config, &Arc::default(), 1, |_| Ours::default()).unwrap();
        let ours = outcome.workers.remove(0).0.0;
        for (key, expected) in &theirs {
            assert_eq!(ours.get(key), Some(expected), "{} {key:?}", path.display());
        }
        compared += 1;
        conversations += theirs.len();
    }
    println!("{compared} captures, {conversations} conversations equal tshark's");
    assert!(compared > 0);
}
