//! The library's smallest use: `make SCENARIO OUT.pcap TRUTH.jsonl` for a shipped scenario.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};

use ottoscope_synth::{JsonLines, Scenario, generate};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(capture), Some(truth)) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("usage: make SCENARIO OUT.pcap TRUTH.jsonl".into());
    };
    let scenario = match std::fs::read_to_string(&name) {
        Ok(text) => Scenario::from_toml(&text)?,
        Err(_) => Scenario::builtin(&name)?,
    };
    let mut capture = File::create(capture)?;
    let mut truth = JsonLines(BufWriter::new(File::create(truth)?));
    let totals = generate(&scenario, scenario.seed, &mut capture, &mut truth)?;
    truth.0.flush()?;
    writeln!(std::io::stdout(), "{totals:#?}")?;
    Ok(())
}
