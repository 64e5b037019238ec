//! `learn idx`: samples to IDX and back.

use std::fs;
use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use ottoscope_learn::{file, idx};

use super::args::IdxArgs;
use crate::learn::data::{ENDING, learned};

/// Runs the verb.
pub(super) fn run(args: &IdxArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let (samples, made) = args.data.open()?;
    if args.output.extension().is_some_and(|ending| ending == ENDING) {
        file::save(&samples, &made, &args.output).map_err(learned)?;
        writeln!(out, "{} samples in {}", samples.len(), args.output.display())?;
        return Ok(ExitCode::SUCCESS);
    }
    // IDX is what others read: as it was cut, unless masks are asked for.
    let masked =
        if args.masks.mask.is_empty() { samples } else { samples.masked(&args.masks.masks()).0 };
    let folder = &args.output;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let images = folder.join("images-idx3-ubyte.gz");
    let labels = folder.join("labels-idx1-ubyte.gz");
    idx::write(&masked.data, &images, &labels).map_err(learned)?;
    writeln!(out, "{} samples of {} bytes", masked.len(), masked.data.width)?;
    for (number, class) in masked.data.classes.iter().enumerate() {
        writeln!(out, "{number:>5}  {class}")?;
    }
    Ok(ExitCode::SUCCESS)
}
