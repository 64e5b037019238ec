//! Hellos, STUN transactions and RTP sources of real captures, ours against tshark's, and every
//! RTP stream that is accepted anywhere.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // helpers of tests are tests

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use ottoscope_flow::capture::{Captures, Input, Options};
use ottoscope_flow::dissector::signature::SignatureSet;
use ottoscope_flow::run::run;
use ottoscope_flow::{Body, Config, Flow, Message, Sink};
use ottoscope_synth::corpus;
use ottoscope_wire::Value;

/// What either side found in a capture, as sorted text.
#[derive(Debug, Default)]
struct Found {
    names: BTreeSet<String>,
    ja3: BTreeSet<String>,
    ja3s: BTreeSet<String>,
    transactions: BTreeSet<String>,
    sources: BTreeSet<String>,
}

impl Sink for Found {
    type Error = Infallible;

    fn flow(&mut self, _flow: &Flow) -> Result<(), Infallible> {
        Ok(())
    }

    fn message(&mut self, message: &Message<'_>) -> Result<(), Infallible> {
        if let (Some(name), "tls" | "dtls" | "quic") = (message.name, message.protocol) {
            self.names.insert(name.to_lowercase());
        }
        message.body.fields().fields(&mut |name, value| {
            let set = match name {
                "ja3" => &mut self.ja3,
                "ja3s" => &mut self.ja3s,
                "transaction" => &mut self.transactions,
                _ => return,
            };
            set.insert(match value {
                Value::Text(text) => text.to_owned(),
                Value::Bytes(bytes) => bytes.iter().fold(String::new(), |mut text, b| {
                    write!(text, "{b:02x}").unwrap();
                    text
                }),
                other => format!("{other:?}"),
            });
        });
        if let Body::RtpStream(stream) = message.body {
            self.sources.insert(format!("{:#010x}", stream.ssrc));
        }
        Ok(())
    }
}

fn ours(path: &Path) -> Option<Found> {
    let inputs = [Input::Path(path.to_owned())];
    let mut captures = Captures::open(&inputs, Options::default()).ok()?;
    let signatures = Arc::new(SignatureSet::new(Vec::new()).unwrap());
    // Each relayed packet counts here, as it does for tshark.
    let config = Config { every_packet: true, ..Config::default() };
    let outcome = run(&mut captures, &config, &signatures, 1, |_| Found::default()).ok()?;
    outcome.workers.into_iter().next().map(|(sink, _)| sink)
}

/// Fields to ask tshark for, and which set each belongs to.
const FIELDS: [(&str, usize); 8] = [
    ("tls.handshake.extensions_server_name", 0),
    ("dtls.handshake.extensions_server_name", 0),
    ("tls.handshake.ja3", 1),
    ("dtls.handshake.ja3", 1),
    ("tls.handshake.ja3s", 2),
    ("dtls.handshake.ja3s", 2),
    ("stun.id", 3),
    ("rtp.ssrc", 4),
];

fn theirs(path: &Path) -> Option<Found> {
    let mut tshark = Command::new("tshark");
    tshark.args(["-n", "-T", "fields", "-E", "separator=;", "-E", "occurrence=a", "-r"]).arg(path);
    // Not the packets that ICMP errors quote.
    tshark.args(["-Y", "!icmp && (tls.handshake.type || dtls.handshake.type || stun || rtp)"]);
    for (field, _) in FIELDS {
        tshark.args(["-e", field]);
    }
    let output = tshark.output().ok()?;
    let mut found = Found::default();
    let Found { names, ja3, ja3s, transactions, sources } = &mut found;
    let sets = [names, ja3, ja3s, transactions, sources];
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        for ((_, set), values) in FIELDS.into_iter().zip(line.split(';')) {
            let values = values.split(',').filter(|v| !v.is_empty());
            sets[set].extend(values.map(|v| v.to_lowercase().replace(':', "")));
        }
    }
    Some(found)
}

fn captures() -> Vec<PathBuf> {
    corpus::find("captures/ndpi").map_or_else(Vec::new, |folder| corpus::captures(&folder))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// Captures of every kind of carrier, in which we find all that tshark finds.
const SAMPLE: [&str; 30] = [
    "443-chrome.pcap",
    "anyconnect-vpn.pcap",
    "dtls.pcap",
    "dtls_certificate_fragments.pcap",
    "ja3_lots_of_cipher_suites.pcap",
    "long_tls_certificate.pcap",
    "no_sni.pcap",
    "quic-29.pcap",
    "quic-34.pcap",
    "quic-mvfst-22.pcap",
    "quic-mvfst-27.pcapng",
    "quic-mvfst-exp.pcap",
    "quic-v2.pcapng",
    "quic_0RTT.pcap",
    "quic_crypto_aes_auth_size.pcap",
    "quic_frags_ch_in_multiple_packets.pcapng",
    "quic_frags_ch_out_of_order_same_packet_craziness.pcapng",
    "quic_interop_V.pcapng",
    "quic_t50.pcap",
    "quic_t51.pcap",
    "signal.pcap",
    "skinny.pcap",
    "stun.pcap",
    "stun_dtls_rtp.pcapng",
    "stun_wa_call.pcapng",
    "teams.pcap",
    "tls_2_reasms.pcapng",
    "tls_ech.pcapng",
    "wa_voice.pcap",
    "whatsapp_login_call.pcap",
];

#[test]
fn nothing_that_tshark_finds_is_missing() {
    if Command::new("tshark").arg("-v").output().is_err() {
        println!("skipped: tshark is not installed");
        return;
    }
    let mut missing = Vec::new();
    let mut agreed = 0;
    for path in captures() {
        let name = file_name(&path);
        if !SAMPLE.contains(&name.as_str()) {
            continue;
        }
        let (ours, theirs) = (ours(&path).expect("readable"), theirs(&path).expect("tshark runs"));
        let sets = [
            ("name", ours.names, theirs.names),
            ("ja3", ours.ja3, theirs.ja3),
            ("ja3s", ours.ja3s, theirs.ja3s),
            ("stun", ours.transactions, theirs.transactions),
            ("rtp", ours.sources, theirs.sources),
        ];
        for (what, ours, theirs) in sets {
            agreed += ours.intersection(&theirs).count();
            missing.extend(theirs.difference(&ours).map(|value| format!("{name} {what} {value}")));
        }
    }
    println!("{agreed} values agree");
    assert_eq!(missing, [""; 0]);
}

/// Captures with media, judged one by one by what their flows are (addresses, signalling beside
/// them, both directions running, payload sizes): none is a chance match.
const MEDIA: &[&str] = &[
    "FAX-Call-t38-CA-TDM-SIP-FB-1.pcap", // SIP call, PCMU and PCMA
    "adult_content.pcap",                // WebRTC video chat
    "discord.pcap",                      // Discord voice
    "false_positives.pcapng",            // SIP trunks, PCMA and AMR
    "geforcenow.pcapng",                 // cloud gaming over WebRTC
    "i3d.pcap",                          // Discord voice at i3D
    "line.pcap",                         // LINE call
    "rtp.pcapng",
    "sip.pcap",    // SIP call, PCMU
    "skinny.pcap", // Cisco phones
    "skype-conference-call.pcap",
    "stun.pcap",
    "stun_classic.pcap",
    "stun_dtls_rtp.pcapng",
    "stun_dtls_rtp_unidir.pcapng",
    "stun_google_meet.pcapng",
    "stun_wa_call.pcapng",
    "teams.pcap",
    "wa_video.pcap",
    "wa_voice.pcap",
    "whatsapp_login_call.pcap",
];

#[test]
fn rtp_is_accepted_only_where_there_is_media() {
    let mut elsewhere = Vec::new();
    let mut streams = 0;
    for path in captures() {
        let sources = ours(&path).map(|found| found.sources).unwrap_or_default();
        streams += sources.len();
        if !sources.is_empty() && !MEDIA.contains(&file_name(&path).as_str()) {
            elsewhere.push((file_name(&path), sources));
        }
    }
    println!("{streams} RTP sources");
    assert_eq!(elsewhere, []);
}
