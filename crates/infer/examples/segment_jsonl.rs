//! Cuts messages of known protocols, so that the cuts can be compared with a dissector's.
//!
//! `segment_jsonl --data DIR --out DIR --method NAME [--bytes 16]` reads
//! `DIR/PROTOCOL/messages.jsonl` of every protocol and writes `OUT/PROTOCOL.jsonl`, one
//! `{"id": 7, "boundaries": [2, 4]}` a line. `--model FILE` stands for the `aligned` method with
//! another model than the crate's, `--only A,B` leaves all protocols but those out.

#![allow(clippy::print_stderr)]

use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;

use ottoscope_infer::segment::aligned::Model;
use ottoscope_infer::segment::{self, Segmenter};
use ottoscope_infer::walk::{self, Given, Rules};
use ottoscope_infer::{Params, Samples};

#[path = "shared/messages.rs"]
mod messages;

fn main() -> Result<(), Box<dyn Error>> {
    let options = messages::options()?;
    let option = |name: &str| options.get(name).ok_or_else(|| format!("{name} is missing"));
    let data = PathBuf::from(option("--data")?);
    let out = PathBuf::from(option("--out")?);
    let name = option("--method")?;
    let model = options.get("--model").map(std::fs::read_to_string).transpose()?;
    let model = model.map(|text| Model::parse(&text)).transpose()?;
    let method = model
        .as_ref()
        .map(|model| -> &dyn Segmenter { model })
        .or_else(|| segment::method(name))
        .ok_or_else(|| format!("no method is called {name}"))?;
    let mut params = Params::default();
    if let Some(bytes) = options.get("--bytes") {
        params.payload_bytes = bytes.parse()?;
    }
    std::fs::create_dir_all(&out)?;
    for folder in std::fs::read_dir(&data)? {
        let folder = folder?.path();
        let file = folder.join("messages.jsonl");
        let Some(protocol) = folder.file_name().filter(|_| file.exists()) else { continue };
        let wanted = |only: &String| only.split(',').any(|name| protocol == name);
        if !options.get("--only").is_none_or(wanted) {
            continue;
        }
        let (ids, samples) = messages::read(&file)?;
        let text = cut(method, &ids, &samples, &params);
        std::fs::write(out.join(protocol).with_extension("jsonl"), text)?;
    }
    Ok(())
}

/// Cuts as the command gives them: those of `aligned` corrected by types, others as they are.
fn cut(method: &dyn Segmenter, ids: &[u64], samples: &Samples, params: &Params) -> String {
    let walked = (method.name() == "aligned")
        .then(|| walk::infer(samples, Given::Messages, params, method, Rules::Typed));
    let cuts = match walked {
        Some(Ok(found)) => found.cuts,
        _ => method.segment(samples, params).cuts,
    };
    let mut text = String::new();
    for (id, cuts) in ids.iter().zip(cuts) {
        let offsets: Vec<usize> = cuts.iter().collect();
        let _ = writeln!(text, "{{\"id\": {id}, \"boundaries\": {offsets:?}}}");
    }
    text
}
