//! The smallest program over the engine: counts the flows of captures.
//!
//! `cargo run --release -p ottoscope-flow --example count -- CAPTURE...`
//!
//! With `--bare` in front it only counts, and reads no payload.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use ottoscope_flow::capture::{Captures, Input, Options};
use ottoscope_flow::{Config, Flow, Message, Sink};

#[derive(Default)]
struct Counts {
    flows: u64,
    packets: u64,
    messages: u64,
}

impl Sink for Counts {
    type Error = Infallible;

    fn flow(&mut self, flow: &Flow) -> Result<(), Infallible> {
        self.flows += 1;
        self.packets += flow.up.packets + flow.down.packets;
        Ok(())
    }

    fn message(&mut self, _message: &Message<'_>) -> Result<(), Infallible> {
        self.messages += 1;
        Ok(())
    }
}

#[allow(clippy::print_stdout)] // printing is what an example does
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let bare = arguments.first().is_some_and(|first| first == "--bare");
    if bare {
        arguments.remove(0);
    }
    let inputs: Vec<Input> = arguments.iter().map(|path| Input::from(Path::new(path))).collect();
    let mut captures = Captures::open(&inputs, Options::default())?;
    let mut config = Config { bins: false, ..Config::default() };
    if bare {
        config = Config { dissect: false, head_bytes: 0, ..config };
    }
    let outcome = ottoscope_flow::run::run(&mut captures, &config, &Arc::default(), 1, |_| {
        Counts::default()
    })?;
    for (counts, summary) in outcome.workers {
        println!(
            "packets={} FLOWS={} messages={} peak={} bytes_per_flow={} peak_bytes={}",
            counts.packets,
            counts.flows,
            counts.messages,
            summary.peak_flows,
            summary.bytes_per_flow,
            summary.peak_bytes
        );
    }
    Ok(())
}
