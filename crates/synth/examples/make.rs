//! The library's smallest use: `make SCENARIO OUT.pcap TRUTH.jsonl` for a shipped scenario, or
//! `make LAB OUT.pcap TRUTH.jsonl TABLE.toml [SEED]` for a lab, `make CALL OUT.pcap TRUTH.jsonl
//! [SEED]` for a call, `make SET FOLDER MOST [SEED]` for a set of classes.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use ottoscope_synth::lab::{self, Lab};
use ottoscope_synth::qq::{self, Call};
use ottoscope_synth::voice::{SETS, Voice};
use ottoscope_synth::{JsonLines, Scenario, generate};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(capture), Some(truth)) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("usage: make SCENARIO|LAB OUT.pcap TRUTH.jsonl [TABLE.toml [SEED]]".into());
    };
    if SETS.iter().any(|(set, _)| *set == name) {
        let seed = arguments.next().map_or(Ok(1), |seed| seed.parse())?;
        let mut voice = Voice::builtin(&name, seed)?;
        voice.most = truth.parse()?;
        for recording in voice.recordings() {
            let path = Path::new(&capture).join(recording.file());
            std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
            let mut out = BufWriter::new(File::create(path)?);
            recording.write(&mut out)?;
            out.flush()?;
        }
        return Ok(());
    }
    let mut capture = File::create(capture)?;
    if qq::CALLS.iter().any(|(call, _)| *call == name) {
        let seed = arguments.next().map_or(Ok(1), |seed| seed.parse())?;
        let made = qq::generate(&Call::builtin(&name, seed)?, seed, &mut capture)?;
        return Ok(made.write(&mut BufWriter::new(File::create(truth)?))?);
    }
    let mut truth = JsonLines(BufWriter::new(File::create(truth)?));
    let totals = if let (Ok(lab), Some(table)) = (Lab::builtin(&name), arguments.next()) {
        let seed = arguments.next().map_or(Ok(1), |seed| seed.parse())?;
        let made = lab::generate(&lab, seed, &mut capture, &mut truth)?;
        std::fs::write(table, lab::to_toml(&made.experiments))?;
        made.totals
    } else {
        let scenario = match std::fs::read_to_string(&name) {
            Ok(text) => Scenario::from_toml(&text)?,
            Err(_) => Scenario::builtin(&name)?,
        };
        generate(&scenario, scenario.seed, &mut capture, &mut truth)?
    };
    truth.0.flush()?;
    writeln!(std::io::stdout(), "{totals:#?}")?;
    Ok(())
}
