//! Types the fields of known protocols and prints how many types are right.
//!
//! `types_jsonl FOLDER [paper|typed] [found] [first] [-v] [-c] [--only NAME ...]` reads
//! `FOLDER/*/messages.jsonl` and `truth.json`. Fields are the true ones of the first 16 bytes; with
//! `found` those that the command finds itself, and a type is right only where the span is. A type
//! is right when it is the field's or one that is said to be as good; `first` leaves codes behind
//! the first unidentified, `-v` names what is wrong, `-c` counts it; a field without one of the
//! paper's five types may be left unidentified. The figure is the mean over protocols, every
//! message counted, duplicates too.

#![allow(clippy::print_stdout)] // prints its answer

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::path::Path;

use ottoscope_flow::{Direction, FlowId, Timestamp, Transport};
use ottoscope_infer::fields::typed::{self, Layout};
use ottoscope_infer::fields::{Field, Kind, paper};
use ottoscope_infer::segment::Aligned;
use ottoscope_infer::walk::{self, Given, Rules};
use ottoscope_infer::{FlowInfo, Params, Sample, Samples};
use serde_json::Value;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const FIVE: [&str; 5] = ["constant", "sequence", "reqresp", "length", "opcode"];

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Constant => "constant",
        Kind::Sequence => "sequence",
        Kind::RequestResponse => "reqresp",
        Kind::Length { .. } => "length",
        Kind::Opcode => "opcode",
        Kind::Transaction => "txid",
        Kind::Timestamp => "timestamp",
        Kind::Flags => "flags",
        Kind::Session => "session_id",
        Kind::Address => "address",
        Kind::Count => "count",
        Kind::Text => "string",
        Kind::Checksum => "checksum",
        Kind::Payload => "payload",
        _ => "unidentified",
    }
}

struct TrueField {
    span: Range<usize>,
    name: String,
    kind: String,
    accept: BTreeSet<String>,
}

struct Protocol {
    samples: Samples,
    fields: Vec<Vec<TrueField>>,
}

fn load(folder: &Path) -> Result<Protocol> {
    let truth: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("truth.json"))?)?;
    let messages = std::fs::read_to_string(folder.join("messages.jsonl"))?;
    let words = |value: &Value| -> BTreeSet<String> {
        let words = value.as_array().into_iter().flatten();
        words.filter_map(|word| word.as_str().map(str::to_owned)).collect()
    };
    let number = |value: &Value| value.as_u64().unwrap_or(0) as usize;
    let mut extra: HashMap<(usize, usize, String), BTreeSet<String>> = HashMap::new();
    for fact in truth["facts"].as_array().into_iter().flatten() {
        let name = fact["name"].as_str().unwrap_or("").to_owned();
        extra.insert((number(&fact["start"]), number(&fact["end"]), name), words(&fact["accept"]));
    }
    let mut samples = Samples::new();
    let mut flows: HashMap<u64, usize> = HashMap::new();
    let mut fields = Vec::new();
    for (line, told) in messages.lines().zip(truth["messages"].as_array().into_iter().flatten()) {
        let message: Value = serde_json::from_str(line)?;
        let down = message["dir"] == 1;
        let flow = message["flow"].as_u64().unwrap_or(0);
        let port = |key: &str| message[key].as_u64().unwrap_or(0) as u16;
        let (client, server) =
            if down { (port("dport"), port("sport")) } else { (port("sport"), port("dport")) };
        // Addresses are not in the truth.
        let none = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let flow = *flows.entry(flow).or_insert_with(|| {
            samples.flow(FlowInfo {
                id: FlowId(flow),
                transport: if message["l4"] == "tcp" { Transport::Tcp } else { Transport::Udp },
                client: (none, client),
                server: (none, server),
            })
        });
        let hex = message["payload"].as_str().unwrap_or("");
        let bytes: Vec<u8> = (0..hex.len() / 2)
            .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16))
            .collect::<std::result::Result<_, _>>()?;
        samples.push(Sample {
            at: Timestamp((message["ts"].as_f64().unwrap_or(0.0) * 1e9) as i64),
            flow,
            direction: if down { Direction::Down } else { Direction::Up },
            sequence: None,
            len: bytes.len() as u64,
            head: &bytes[..bytes.len().min(64)],
        });
        let end = number(&told["len"]).min(number(&told["known"])).min(16);
        let spans = told["fields"].as_array().into_iter().flatten().filter_map(|field| {
            let (from, to) = (number(&field[0]), number(&field[1]));
            let name = field[2].as_str().unwrap_or("").to_owned();
            let told = &truth["field_types"][&name];
            let kind = told["type"].as_str().unwrap_or("other").to_owned();
            let mut accept = words(&told["accept"]);
            accept.insert(kind.clone());
            accept.extend(extra.get(&(from, to, name.clone())).into_iter().flatten().cloned());
            (from < end).then(|| TrueField { span: from..to.min(end), name, kind, accept })
        });
        let protocol_packet = told["protocol_packet"].as_bool().unwrap_or(true);
        fields.push(if protocol_packet { spans.collect() } else { Vec::new() });
    }
    Ok(Protocol { samples, fields })
}

fn types(protocol: &Protocol, method: &str, found: bool) -> Vec<Vec<Field>> {
    let params = Params::default();
    let samples = &protocol.samples;
    let mut out: Vec<Vec<Field>> = vec![Vec::new(); samples.len()];
    if found {
        let rules = if method == "paper" { Rules::Paper } else { Rules::Typed };
        if let Ok(told) = walk::infer(samples, Given::Messages, &params, &Aligned, rules) {
            for format in told.formats {
                for member in format.members {
                    out[member].clone_from(&format.fields);
                }
            }
        }
        return out;
    }
    let mut groups: BTreeMap<Vec<(usize, usize)>, Vec<usize>> = BTreeMap::new();
    for (index, fields) in protocol.fields.iter().enumerate() {
        let spans = fields.iter().map(|field| (field.span.start, field.span.end)).collect();
        groups.entry(spans).or_default().push(index);
    }
    let layouts: Vec<Layout> = groups
        .into_iter()
        .map(|(spans, members)| Layout {
            members,
            spans: spans.into_iter().map(|(from, to)| from..to).collect(),
        })
        .collect();
    let typed = if method == "paper" {
        let one = |it: &Layout| paper::infer(samples, &it.members, &it.spans, &params);
        layouts.iter().map(one).collect()
    } else {
        typed::together(samples, &layouts, layouts.len(), &params)
    };
    for (layout, fields) in layouts.iter().zip(typed) {
        for member in &layout.members {
            out[*member].clone_from(&fields);
        }
    }
    out
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let folder = arguments.first().ok_or("name the folder of truths")?;
    let only: Vec<&String> = arguments.iter().skip_while(|a| *a != "--only").skip(1).collect();
    let mut protocols: Vec<_> =
        std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    protocols.sort();
    let methods: Vec<&str> = ["paper", "typed"]
        .into_iter()
        .filter(|m| !has("paper") && !has("typed") || has(m))
        .collect();
    let found = has("found");
    for method in methods {
        let mut halves: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
        let mut confusion: BTreeMap<(String, &'static str), [usize; 2]> = BTreeMap::new();
        let mut lines = Vec::new();
        for (index, folder) in protocols.iter().enumerate() {
            let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or("");
            if !only.is_empty() && !only.iter().any(|only| *only == name) {
                continue;
            }
            let protocol = load(folder)?;
            let mut inferred = types(&protocol, method, found);
            if has("first") {
                for fields in &mut inferred {
                    let opcodes = fields.iter_mut().filter(|field| field.kind == Kind::Opcode);
                    opcodes.skip(1).for_each(|field| field.kind = Kind::Unidentified);
                }
            }
            let (mut right, mut all) = (0usize, 0usize);
            let mut wrong: BTreeMap<String, (usize, String)> = BTreeMap::new();
            for (fields, told) in protocol.fields.iter().zip(&inferred) {
                for field in fields {
                    if field.name.starts_with("_unknown") {
                        continue;
                    }
                    let same = told.iter().find(|told| told.span == field.span);
                    let same = same.or_else(|| {
                        told.iter().find(|told| {
                            told.kind == Kind::Constant
                                && told.span.start <= field.span.start
                                && field.span.end <= told.span.end
                        })
                    });
                    let kind = same.map_or("missing", |told| word(told.kind));
                    let five = FIVE.iter().any(|kind| field.accept.contains(*kind));
                    let good = field.accept.contains(kind) || kind == "unidentified" && !five;
                    all += 1;
                    right += usize::from(good);
                    let cell = confusion.entry((field.kind.clone(), kind)).or_default();
                    cell[usize::from(good)] += 1;
                    if !good || has("-vv") {
                        let mark = if good { "+" } else { "-" };
                        let key = format!(
                            "{mark} {:?} {} ({}) as {kind}",
                            field.span, field.name, field.kind
                        );
                        let entry = wrong.entry(key).or_insert((0, String::new()));
                        entry.0 += 1;
                        if let Some(told) = same {
                            entry.1 = format!("{:.2} {}", told.confidence, told.evidence);
                        }
                    }
                }
            }
            let share = right as f64 / all.max(1) as f64;
            halves[index % 2].push(share);
            lines.push(format!("{name}:{share:.2}"));
            if has("-v") || has("-vv") {
                println!("{name} {share:.2}");
                for (key, (count, evidence)) in wrong {
                    if count * 50 >= protocol.samples.len() {
                        println!("   {count} {key}: {evidence}");
                    }
                }
            }
        }
        let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len().max(1) as f64;
        let all: Vec<f64> = halves.concat();
        println!("{}", lines.join(" "));
        println!(
            "{method}, {}: {:.4} over {} protocols (even {:.4}, odd {:.4})",
            if found { "fields found" } else { "fields given" },
            mean(&all),
            all.len(),
            mean(&halves[0]),
            mean(&halves[1])
        );
        for ((truth, told), [bad, good]) in confusion {
            if has("-c") {
                println!("   {truth:12} as {told:12} {good:6} right {bad:6} wrong");
            }
        }
    }
    Ok(())
}
