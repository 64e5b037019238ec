//! Cuts captures into sessions and flows whose first bytes a classifier learns from.
//!
//! Units are the OTT voice paper's (3.4): a session is both directions of a 5-tuple, a flow one
//! of them; each gives its first 784 bytes, of all layers or of the application's. Two protocols
//! make the bytes. The honest one takes them from packets and says where the layers lie, so that
//! what gives an answer away can be masked. The paper's takes them from the capture file that
//! its tool (USTC-TK2016, which runs SplitCap) writes a unit into, file header and capture times
//! included, byte for byte.
//!
//! Captures are cut one by one, as that tool does. Only first bytes are held, of so many units
//! at once; beyond it the unit that has been silent longest is handed over, and counted.

mod label;
mod layers;
mod open;
mod sampler;
mod unit;

use std::path::PathBuf;

use crate::capture::{CaptureError, CaptureInfo, Captures, Input, Options, Packets};

pub use label::{Naming, label};
pub use layers::{Layers, layers};
pub use sampler::{Count, Sampler};
pub use unit::{Groups, Unit};

/// What a sample is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// Both directions of a 5-tuple.
    #[default]
    Session,
    /// One direction of a 5-tuple.
    Flow,
}

/// Which bytes of a packet count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Depth {
    /// All that was captured.
    #[default]
    All,
    /// What TCP, UDP or SCTP carries ("L7" in the paper).
    Payload,
}

/// How bytes become a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// From packets, with the places of their layers.
    #[default]
    Honest,
    /// As USTC-TK2016 does: from the split capture's file, whole-file duplicates dropped, units
    /// in order of their files' names. Capture times are among the bytes.
    Paper,
}

/// How captures are cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Sessions or flows.
    pub kind: Kind,
    /// All layers or what applications sent.
    pub depth: Depth,
    /// Where bytes come from.
    pub protocol: Protocol,
    /// Bytes of a sample (784 in the paper).
    pub width: usize,
    /// Packets with payload whose sizes and gaps are kept.
    pub packets: usize,
    /// Units held at once; 50,000 in the paper's tool, which writes the others to disk.
    pub open: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            kind: Kind::Session,
            depth: Depth::All,
            protocol: Protocol::Honest,
            width: 784,
            packets: 32,
            open: 100_000,
        }
    }
}

/// What cutting gave beside the units.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// What was counted over all captures.
    pub count: Count,
    /// The captures; [`Groups::capture`] is an index into it.
    pub captures: Vec<CaptureInfo>,
    /// Files in folders that are no captures, with the reason.
    pub skipped: Vec<(PathBuf, String)>,
}

/// Cuts every capture behind `inputs` and hands over its units with the capture's path.
///
/// # Errors
/// When a named input can't be opened or a disk fails; damage inside a capture ends only that
/// capture, see [`CaptureInfo::truncated`].
pub fn run(
    inputs: &[Input],
    options: &Options,
    config: &Config,
    each: &mut dyn FnMut(&Input, Unit),
) -> Result<Summary, CaptureError> {
    let mut summary = Summary::default();
    let mut sampler = Sampler::new(config.clone());
    for (input, found) in crate::capture::files(inputs)? {
        let mut captures = match Captures::open(std::slice::from_ref(&input), options.clone()) {
            Err(error) if found => {
                if let Input::Path(path) = input {
                    summary.skipped.push((path, error.to_string()));
                }
                continue;
            }
            captures => captures?,
        };
        let number = summary.captures.len() as u32;
        while let Some(batch) = captures.next()? {
            for record in batch.records() {
                sampler.push(number, record, batch.bytes(record), &mut |unit| each(&input, unit));
            }
        }
        sampler.finish(&mut |unit| each(&input, unit));
        summary.captures.append(&mut captures.infos());
    }
    summary.count = sampler.count();
    Ok(summary)
}
