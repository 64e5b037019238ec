//! `infer export`: a signature of the catalogue, or of a proposal, for another tool.

use std::io::Write;
use std::process::ExitCode;

use ottoscope_catalog::Catalog;
use ottoscope_infer::export::{Layout, write};

use super::args::ExportArgs;
use crate::hint::hinted;
use crate::input;
use crate::report::results::write_whole;

/// Runs the verb.
pub(super) fn run(args: &ExportArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let catalog = input::catalog(&args.catalog)?;
    let layout = layout(&catalog, &args.signature)?;
    let mut text = String::new();
    write(&layout, args.format.into(), &mut text)?;
    match &args.output {
        Some(path) => write_whole(path, &text)?,
        None => out.write_all(text.as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A signature with what the catalogue says about it.
fn layout(catalog: &Catalog, name: &str) -> anyhow::Result<Layout> {
    let unknown = || {
        let rules = catalog.signature_rules().iter().map(|rule| rule.layout.id.to_string());
        let mut known: Vec<String> = rules.collect();
        known.sort_unstable();
        hinted(
            format!("no signature is named `{name}`"),
            format!("--catalog adds a proposal's; there are: {}", known.join(", ")),
        )
    };
    let rule = catalog.signature(name).ok_or_else(unknown)?;
    let app = catalog.app(&rule.app).ok_or_else(unknown)?;
    let id = name.rsplit('/').next().unwrap_or(name);
    let entry = app.entries.signatures.iter().find(|s| s.id == id);
    let tasks = app.entries.tasks.iter().filter(|t| t.signature.as_deref().is_none_or(|s| s == id));
    let opcodes = tasks.filter_map(|task| Some((task.opcode?, task.name.clone()))).collect();
    let names = rule.layout.fields.iter().map(|field| {
        let written = entry.and_then(|e| e.fields.iter().find(|f| f.at == field.offset));
        written.and_then(|f| f.name.clone()).unwrap_or_default()
    });
    Ok(Layout {
        app: app.name.clone(),
        signature: rule.layout.clone(),
        names: names.collect(),
        opcodes,
        about: entry.and_then(|e| e.about.clone()).unwrap_or_default(),
        source: rule.source.as_deref().unwrap_or_default().to_owned(),
    })
}
