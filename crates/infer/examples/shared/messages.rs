//! Messages of known protocols as JSON lines.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use hashbrown::HashMap;
use ottoscope_flow::{Direction, FlowId, Timestamp, Transport};
use ottoscope_infer::Samples;
use ottoscope_infer::samples::{FlowInfo, Sample};
use serde_json::Value;

/// The command line's options, each with a value.
pub(crate) fn options() -> Result<HashMap<String, String>, Box<dyn Error>> {
    let mut options = HashMap::new();
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
        options.insert(name, value);
    }
    Ok(options)
}

/// The messages of a file, and their ids.
pub(crate) fn read(path: &Path) -> Result<(Vec<u64>, Samples), Box<dyn Error>> {
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
