//! Writes what the `aligned` method knows of every boundary of known protocols, with the truth.
//!
//! `boundary_features --data DIR --out FILE` reads `DIR/PROTOCOL/messages.jsonl` and `truth.json`
//! and writes comma-separated values, one line a protocol, view and offset. `share` is the share
//! of distinct messages with a boundary there. A view is a part of a protocol's messages: all,
//! some flows, the first few, and each with 16 bytes or 64 of every message.

#![allow(clippy::print_stderr)]

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;

use hashbrown::HashSet;
use ottoscope_infer::Samples;
use ottoscope_infer::kinds::Kinds;
use ottoscope_infer::segment::aligned;
use serde_json::Value;

#[path = "shared/messages.rs"]
mod messages;

fn main() -> Result<(), Box<dyn Error>> {
    let options = messages::options()?;
    let option = |name: &str| options.get(name).ok_or_else(|| format!("{name} is missing"));
    let data = PathBuf::from(option("--data")?);
    let mut out = std::io::BufWriter::new(std::fs::File::create(option("--out")?)?);
    let mut header = false;
    let mut folders: Vec<PathBuf> = std::fs::read_dir(data)?
        .map(|entry| entry.map(|it| it.path()))
        .collect::<Result<_, _>>()?;
    folders.sort();
    for folder in folders {
        let (file, truth) = (folder.join("messages.jsonl"), folder.join("truth.json"));
        let Some(protocol) = folder.file_name().filter(|_| file.exists() && truth.exists()) else {
            continue;
        };
        let (_, samples) = messages::read(&file)?;
        let truth = Truth::read(&std::fs::read_to_string(truth)?)?;
        for (name, view) in views(&samples) {
            for bytes in [16, 64] {
                let described = aligned::describe(&samples, &view, bytes);
                if !header {
                    writeln!(
                        out,
                        "protocol,view,bytes,offset,messages,share,{}",
                        described.names.join(",")
                    )?;
                    header = true;
                }
                for (offset, numbers) in described.boundaries.iter().enumerate() {
                    let offset = offset + 1;
                    let (messages, share) = truth.share(&samples, &view, offset);
                    if messages < 3 || offset >= 32 {
                        continue;
                    }
                    write!(
                        out,
                        "{},{name},{bytes},{offset},{messages},{share:.4}",
                        protocol.to_string_lossy()
                    )?;
                    for number in numbers {
                        write!(out, ",{}", (number * 1e4).round() / 1e4)?;
                    }
                    writeln!(out)?;
                }
            }
        }
    }
    Ok(())
}

struct Truth {
    /// By message: bytes that are known, and boundaries; none where it is no protocol packet.
    messages: Vec<Option<(usize, Vec<usize>)>>,
}

impl Truth {
    fn read(text: &str) -> Result<Self, Box<dyn Error>> {
        let truth: Value = serde_json::from_str(text)?;
        let messages = truth["messages"].as_array().ok_or("no messages")?;
        let each = |message: &Value| {
            if message["protocol_packet"] == Value::Bool(false) {
                return None;
            }
            let known = message["known"].as_u64()?.min(message["len"].as_u64()?) as usize;
            let offsets = message["b32"].as_array()?;
            Some((known, offsets.iter().filter_map(|it| Some(it.as_u64()? as usize)).collect()))
        };
        Ok(Truth { messages: messages.iter().map(each).collect() })
    }

    /// How many distinct messages of a view reach beyond `offset`, and which share of them has a
    /// boundary there.
    fn share(&self, samples: &Samples, view: &[usize], offset: usize) -> (usize, f64) {
        let mut seen = HashSet::new();
        let (mut all, mut cut) = (0, 0);
        for index in view {
            let Some((known, offsets)) = &self.messages[*index] else { continue };
            let sample = samples.get(*index);
            if *known > offset && seen.insert((sample.len, sample.head)) {
                all += 1;
                cut += usize::from(offsets.contains(&offset));
            }
        }
        (all, if all == 0 { 0.0 } else { cut as f64 / all as f64 })
    }
}

/// All samples, and parts of them.
fn views(samples: &Samples) -> Vec<(String, Vec<usize>)> {
    let mut out = vec![("all".to_owned(), (0..samples.len()).collect())];
    let flows = samples.flows().len();
    for part in 0..2 {
        if flows >= 4 {
            let some = |index: &usize| samples.get(*index).flow % 2 == part;
            out.push((format!("flows{part}"), (0..samples.len()).filter(some).collect()));
        }
    }
    for few in [12, 40] {
        if samples.len() >= 2 * few {
            let start = samples.len() / 3;
            out.push((format!("few{few}"), (start..(start + few).min(samples.len())).collect()));
            let step = samples.len() / few;
            out.push((format!("thin{few}"), (0..samples.len()).step_by(step).collect()));
        }
    }
    let all: Vec<usize> = (0..samples.len()).collect();
    let kinds = Kinds::learn(samples, &all);
    if kinds.len() > 1 {
        for kind in 0..kinds.len() {
            let one = |index: &usize| kinds.kind(&samples.get(*index)) == kind;
            let members: Vec<usize> = all.iter().copied().filter(one).collect();
            if members.len() >= 8 {
                out.push((format!("kind{kind}"), members));
            }
        }
    }
    out
}
