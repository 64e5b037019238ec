//! `learn images`: samples as pictures.

use std::fs;
use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use ottoscope_learn::image;

use super::args::ImagesArgs;
use crate::learn::data::learned;

/// Runs the verb.
pub(super) fn run(args: &ImagesArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let (samples, _) = args.data.open()?;
    let masked =
        if args.masks.mask.is_empty() { samples } else { samples.masked(&args.masks.masks()).0 };
    let data = &masked.data;
    if !args.each {
        let gallery = image::gallery(data, args.columns, args.scale as usize);
        image::write(&gallery, &args.output).map_err(learned)?;
        for (number, class) in data.classes.iter().enumerate() {
            writeln!(out, "{number:>5}  {class}")?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut folders = Vec::with_capacity(data.classes.len());
    for (number, class) in data.classes.iter().enumerate() {
        // A class may be called anything.
        let name: String =
            class.chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { '_' }).collect();
        let folder = args.output.join(format!("{number:02}-{name}"));
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        folders.push(folder);
    }
    for (row, label) in data.labels.iter().enumerate() {
        let path = folders[usize::from(*label)].join(format!("{row:06}.png"));
        image::write(&image::picture(data.sample(row)), &path).map_err(learned)?;
    }
    writeln!(out, "{} pictures in {}", data.len(), args.output.display())?;
    Ok(ExitCode::SUCCESS)
}
