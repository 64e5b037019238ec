//! Makes a shipped scenario's capture: `make NAME OUT TRUTH`.
use std::io::BufWriter;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let s = ottoscope_synth::Scenario::builtin(&args[1]).unwrap_or_else(|_| {
        ottoscope_synth::Scenario::from_toml(&std::fs::read_to_string(&args[1]).unwrap()).unwrap()
    });
    let mut out = std::fs::File::create(&args[2]).unwrap();
    let mut truth =
        ottoscope_synth::JsonLines(BufWriter::new(std::fs::File::create(&args[3]).unwrap()));
    let t = ottoscope_synth::generate(&s, s.seed, &mut out, &mut truth).unwrap();
    println!("{t:#?}");
}
