//! Cuts messages of known protocols, so that the cuts can be compared with a dissector's.
//!
//! `segment_jsonl --data DIR --out DIR --method NAME [--bytes 16]` reads
//! `DIR/PROTOCOL/messages.jsonl` of every protocol and writes `OUT/PROTOCOL.jsonl`, one
//! `{"id": 7, "boundaries": [2, 4]}` a line.

#![allow(clippy::print_stderr)]

use std::error::Error;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use hashbrown::HashMap;
use ottoscope_flow::{Direction, FlowId, Timestamp, Transport};
use ottoscope_infer::samples::{FlowInfo, Sample};
use ottoscope_infer::segment::{self, Segmenter};
use ottoscope_infer::{Params, Samples};
use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let mut options: HashMap<String, String> = HashMap::new();
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
        options.insert(name, value);
    }
    let option = |name: &str| options.get(name).ok_or_else(|| format!("{name} is missing"));
    let data = PathBuf::from(option("--data")?);
    let out = PathBuf::from(option("--out")?);
    let name = option("--method")?;
    let method = segment::method(name).ok_or_else(|| format!("no method is called {name}"))?;
    let mut params = Params::default();
    if let Some(bytes) = options.get("--bytes") {
        params.payload_bytes = bytes.parse()?;
    }
    std::fs::create_dir_all(&out)?;
    for folder in std::fs::read_dir(&data)? {
        let folder = folder?.path();
        let messages = folder.join("messages.jsonl");
        let Some(protocol) = folder.file_name().filter(|_| messages.exists()) else { continue };
        let (ids, samples) = read(&messages)?;
        let text = cut(method, &ids, &samples, &params);
        std::fs::write(out.join(protocol).with_extension("jsonl"), text)?;
    }
    Ok(())
}

fn cut(method: &dyn Segmenter, ids: &[u64], samples: &Samples, params: &Params) -> String {
    let mut text = String::new();
    for (id, cuts) in ids.iter().zip(method.segment(samples, params).cuts) {
        let offsets: Vec<usize> = cuts.iter().collect();
        let _ = writeln!(text, "{{\"id\": {id}, \"boundaries\": {offsets:?}}}");
    }
    text
}

fn read(path: &Path) -> Result<(Vec<u64>, Samples), Box<dyn Error>> {
    let mut samples = Samples::new();
    let mut flows: HashMap<u64, usize> = HashMap::new();
    let mut ids = Vec::new();
    for line in std::fs::read_to_string(path)?.lines() {
        let message: Value = serde_json::from_str(line)?;
        let number = |name: &str| message[name].as_u64().unwrap_or(0);
        let down = number("dir") == 1;
        let flow = *flows.entry(number("flow")).or_insert_with(|| {
            let (from, to) = (number("sport") as u16, number("dport") as u16);
            let (client, server) = if down { (to, from) } else { (from, to) };
            samples.flow(FlowInfo {
                id: FlowId(number("flow")),
                transport: match message["l4"].as_str() {
                    Some("tcp") => Transport::Tcp,
                    _ => Transport::Udp,
                },
                client: (IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), client),
                server: (IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)), server),
            })
        });
        let payload = bytes(message["payload"].as_str().unwrap_or(""))?;
        samples.push(Sample {
            at: Timestamp((message["ts"].as_f64().unwrap_or(0.0) * 1e9) as i64),
            flow,
            direction: if down { Direction::Down } else { Direction::Up },
            sequence: None,
            len: payload.len() as u64,
            head: &payload,
        });
        ids.push(number("id"));
    }
    Ok((ids, samples))
}

fn bytes(hex: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).ok_or("not hexadecimal");
    let mut out = Vec::with_capacity(hex.len() / 2);
    for pair in hex.as_bytes().chunks_exact(2) {
        out.push((digit(pair[0])? << 4 | digit(pair[1])?) as u8);
    }
    Ok(out)
}
