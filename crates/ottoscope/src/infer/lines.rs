//! Messages from elsewhere as JSON lines, and boundaries as JSON lines for elsewhere: what other
//! tools of the field read and write.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use anyhow::Context;
use ottoscope_flow::{Direction, FlowId, Timestamp, Transport};
use ottoscope_infer::walk::Inference;
use ottoscope_infer::{FlowInfo, Sample, Samples};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::hint::hinted;

/// One message; what is not named here is not looked at.
#[derive(Debug, Deserialize)]
struct Line {
    id: Json,
    /// Hex digits.
    payload: String,
    #[serde(default)]
    flow: Json,
    /// 0 or `up`, 1 or `down`.
    #[serde(default)]
    dir: Json,
    /// Seconds.
    #[serde(default)]
    ts: f64,
    #[serde(default)]
    l4: Option<String>,
    #[serde(default)]
    sport: u16,
    #[serde(default)]
    dport: u16,
}

/// Messages with the names they have elsewhere.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) ids: Vec<Json>,
    pub(crate) samples: Samples,
}

/// Reads messages, one JSON object a line.
pub(crate) fn read(path: &Path) -> anyhow::Result<Given> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut given = Given { ids: Vec::new(), samples: Samples::new() };
    let mut flows: HashMap<String, usize> = HashMap::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let place = || format!("{} line {}", path.display(), number + 1);
        let line = line.with_context(place)?;
        if line.trim().is_empty() {
            continue;
        }
        let wrong = |what: String| {
            hinted(
                format!("{}: {what}", place()),
                "each line is an object with at least `id` and `payload` in hex; `flow`, `dir` \
                 (0 or 1), `ts`, `l4`, `sport` and `dport` tell more",
            )
        };
        let message: Line = serde_json::from_str(&line).map_err(|e| wrong(e.to_string()))?;
        let payload = unhex(&message.payload)
            .ok_or_else(|| wrong(format!("`{}` is not hex", message.payload)))?;
        let down = match &message.dir {
            Json::Number(n) => n.as_i64() == Some(1),
            Json::String(word) => word == "down",
            _ => false,
        };
        let transport = match message.l4.as_deref() {
            Some("tcp") => Transport::Tcp,
            _ => Transport::Udp,
        };
        let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let samples = &mut given.samples;
        let flow = *flows.entry(message.flow.to_string()).or_insert_with(|| {
            let (client, server) =
                if down { (message.dport, message.sport) } else { (message.sport, message.dport) };
            samples.flow(FlowInfo {
                id: FlowId(samples.flows().len() as u64),
                transport,
                client: (nobody, client),
                server: (nobody, server),
            })
        });
        let kept = samples.push(Sample {
            at: Timestamp((message.ts * 1e9) as i64),
            flow,
            direction: if down { Direction::Down } else { Direction::Up },
            sequence: None,
            len: payload.len() as u64,
            head: &payload,
        });
        if !kept {
            return Err(wrong("there are more messages than are kept".to_owned()));
        }
        given.ids.push(message.id);
    }
    Ok(given)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16);
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some((digit(*high)? << 4 | digit(*low)?) as u8),
            _ => None,
        })
        .collect()
}

/// Where fields of each message begin and, where `typed`, what they hold: a line a message, added
/// to `out`.
pub(crate) fn write(
    out: &mut Vec<u8>,
    found: &Inference,
    typed: bool,
    name: impl Fn(usize) -> Json,
) -> anyhow::Result<()> {
    let samples = &found.messages;
    let mut format_of = vec![None; samples.len()];
    for format in &found.formats {
        for &member in &format.members {
            format_of[member] = Some(format);
        }
    }
    for (index, sample) in samples.iter().enumerate() {
        let len = sample.head.len();
        let line = match format_of[index].filter(|_| typed) {
            Some(format) => {
                let fields = format.fields.iter().filter(|field| field.span.start < len);
                let fields: Vec<Json> = fields
                    .map(|f| json!([f.span.start, f.span.end.min(len), f.kind.name()]))
                    .collect();
                json!({ "id": name(index), "fields": fields })
            }
            None => {
                let cuts = found.cuts.get(index).copied().unwrap_or_default();
                let boundaries: Vec<usize> = cuts.within(len).iter().collect();
                json!({ "id": name(index), "boundaries": boundaries })
            }
        };
        serde_json::to_writer(&mut *out, &line)?;
        out.push(b'\n');
    }
    Ok(())
}
