//! DNS names and answers and HTTP hosts of real captures, ours against tshark's.
//!
//! Runs where tshark is installed and OTTOSCOPE_CORPUS (or `../shared`) has captures; all of
//! them with OTTOSCOPE_ORACLE=all, those whose names hold its value, else every sixteenth.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)] // failing and speaking is a test's work

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use ottoscope_flow::capture::{Captures, Input, Options};
use ottoscope_flow::dissector::signature::SignatureSet;
use ottoscope_flow::run::run;
use ottoscope_flow::{Body, Config, Flow, Message, Sink};
use ottoscope_synth::corpus;

/// What either side found in a capture: `question name`, `address …`, `host …`.
#[derive(Default)]
struct Found(BTreeSet<String>);

impl Sink for Found {
    type Error = Infallible;

    fn flow(&mut self, _flow: &Flow) -> Result<(), Infallible> {
        Ok(())
    }

    fn message(&mut self, message: &Message<'_>) -> Result<(), Infallible> {
        match message.body {
            Body::Dns(dns) => {
                let questions = dns.questions().map(|q| q.name).filter(|name| !name.is_root());
                self.0.extend(questions.map(|name| format!("question {name}")));
                let records = dns.records().filter_map(|record| record.data().ok()?.address());
                self.0.extend(records.map(|address| format!("address {address}")));
            }
            Body::HttpRequest(request) => {
                let host = request.headers.host.filter(|host| !host.is_empty());
                self.0.extend(host.map(|host| format!("host {}", host.to_lowercase())));
            }
            _ => {}
        }
        Ok(())
    }
}

fn ours(path: &Path) -> Option<BTreeSet<String>> {
    let inputs = [Input::Path(path.to_owned())];
    let mut captures = Captures::open(&inputs, Options::default()).ok()?;
    let signatures = Arc::new(SignatureSet::default());
    let outcome =
        run(&mut captures, &Config::default(), &signatures, 1, |_| Found::default()).ok()?;
    outcome.workers.into_iter().next().map(|(found, _)| found.0)
}

const FIELDS: [(&str, &str); 4] = [
    ("question", "dns.qry.name"),
    ("address", "dns.a"),
    ("address", "dns.aaaa"),
    ("host", "http.host"),
];

fn theirs(path: &Path) -> Option<BTreeSet<String>> {
    let mut tshark = Command::new("tshark");
    tshark.args(["-n", "-T", "fields", "-E", "aggregator=|", "-E", "occurrence=a"]);
    // What ICMP errors quote is no conversation, and SSDP is no HTTP over TCP.
    let filter = "!icmp && !icmpv6 && (dns || mdns || llmnr || (tcp && http.request))";
    tshark.args(["-Y", filter, "-r"]).arg(path);
    for (_, field) in FIELDS {
        tshark.args(["-e", field]);
    }
    let output = tshark.output().ok()?;
    let mut found = BTreeSet::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        for ((what, _), values) in FIELDS.iter().zip(line.split('\t')) {
            let values = values.split('|').filter(|v| !v.is_empty() && *v != "<Root>");
            found.extend(values.map(|value| format!("{what} {}", value.to_lowercase())));
        }
    }
    Some(found)
}

/// Differences that were looked at: capture, start of the difference, who is right and why.
const JUDGED: &[(&str, &str)] = &[
    // First fragments whose rest was never captured: not read until all fragments are there.
    ("badpackets.pcap", "only tshark: "),
    // An owner of over 255 bytes, which no resolver accepts: reading ends in front of it.
    ("malformed_dns.pcap", "only tshark: "),
    // Bytes damaged at random: class never assigned, 34,817 questions, NUL within a head.
    ("fuzz-2006-06-26-2594.pcap", "only tshark: "),
    ("fuzz-2006-09-29-28586.pcap", "only tshark: host %s"),
    // NetBIOS sent to port 53.
    ("netbios_wildcard_dns_query.pcap", "only tshark: question ckaaaa"),
    // A head that spans segments out of order, which tshark leaves unread.
    ("soap.pcap", "only we: host go.microsoft.com"),
    // HTTP on port 5060, which tshark takes for SIP.
    ("http_on_sip_port.pcap", "only we: host 45.58.148.2"),
];

/// Bytes that are not text are written differently by either side.
fn is_plain(found: &str) -> bool {
    found.is_ascii() && !found.contains(['\\', '<']) && !found.contains(char::is_control)
}

fn captures() -> Vec<PathBuf> {
    let mut files =
        corpus::find("captures/ndpi").map_or_else(Vec::new, |folder| corpus::captures(&folder));
    match std::env::var("OTTOSCOPE_ORACLE").as_deref() {
        Ok("all") => {}
        Ok(part) => files.retain(|path| path.to_string_lossy().contains(part)),
        Err(_) => files = files.into_iter().step_by(16).collect(),
    }
    files
}

#[test]
fn names_agree_with_tshark() {
    let files = captures();
    if files.is_empty() || Command::new("tshark").arg("-v").output().is_err() {
        println!("skipped: needs tshark and captures (OTTOSCOPE_CORPUS)");
        return;
    }
    let (mut agreed, mut differences) = (0, Vec::new());
    for path in &files {
        let (Some(ours), Some(theirs)) = (ours(path), theirs(path)) else { continue };
        let name = path.file_name().unwrap().to_string_lossy();
        agreed += ours.intersection(&theirs).count();
        let only_theirs = theirs.difference(&ours).map(|found| ("only tshark: ", found));
        let only_ours = ours.difference(&theirs).map(|found| ("only we: ", found));
        for (who, found) in only_theirs.chain(only_ours).filter(|(_, found)| is_plain(found)) {
            let difference = format!("{who}{found}");
            let judged =
                |(file, start): &(&str, &str)| *file == name && difference.starts_with(start);
            if !JUDGED.iter().any(judged) {
                differences.push(format!("{name}: {difference}"));
            }
        }
    }
    println!("{agreed} names, addresses and hosts agree in {} captures", files.len());
    for difference in &differences {
        println!("{difference}");
    }
    assert!(differences.is_empty(), "{} differ", differences.len());
}
