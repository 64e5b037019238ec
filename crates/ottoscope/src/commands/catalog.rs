//! `ottoscope catalog`: the apps that are known, and what tells them.

use std::io::Write;
use std::process::ExitCode;

use ottoscope_catalog::Catalog;
use ottoscope_catalog::Severity;

use crate::cli::{CatalogAction, CatalogArgs, as_address};
use crate::input;

/// Runs the verb.
pub(crate) fn run(args: &CatalogArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let catalog = input::catalog(&args.catalog)?;
    match &args.action {
        CatalogAction::List => list(&catalog, out),
        CatalogAction::Show { app } => {
            input::known_app(&catalog, app)?;
            if let Some(app) = catalog.app(app) {
                write!(out, "{}", ottoscope_catalog::to_toml(&app.entries)?)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        CatalogAction::Check => check(&catalog, out),
        CatalogAction::Test => test(&catalog, out),
        CatalogAction::Lookup { names } => lookup(&catalog, names, out),
    }
}

fn list(catalog: &Catalog, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let mut apps: Vec<_> = catalog.apps().iter().collect();
    apps.sort_by(|a, b| a.id.cmp(&b.id));
    let width = apps.iter().map(|app| app.id.len()).max().unwrap_or(0);
    for app in apps {
        writeln!(
            out,
            "{:width$}  {}: {} names, {} signatures, {} prefixes, {} tasks",
            app.id,
            app.name,
            app.entries.names.len(),
            app.entries.signatures.len(),
            app.entries.prefixes.len(),
            app.entries.tasks.len(),
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

fn check(catalog: &Catalog, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let findings = catalog.check();
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    let errors = findings.iter().filter(|f| f.severity == Severity::Error).count();
    writeln!(out, "{} apps, {} findings, {errors} errors", catalog.apps().len(), findings.len())?;
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn test(catalog: &Catalog, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let report = catalog.test();
    for (app, what) in &report.failed {
        writeln!(out, "{app}: {what}")?;
    }
    writeln!(out, "{} examples hold, {} do not", report.passed, report.failed.len())?;
    Ok(if report.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn lookup(catalog: &Catalog, names: &[String], out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let mut unknown = false;
    for name in names {
        if let Some(address) = as_address(name) {
            let mut any = false;
            for rule in catalog.lookup_prefix(address) {
                any = true;
                writeln!(out, "{name}: {} by prefix, confidence {}", rule.app, rule.confidence)?;
            }
            if !any {
                writeln!(out, "{name}: unknown")?;
            }
            unknown |= !any;
            continue;
        }
        match catalog.lookup_name(&name.to_lowercase()) {
            Some(rule) => {
                let service = rule.service.as_deref().map_or(String::new(), |s| format!("/{s}"));
                let source = rule.source.as_deref().unwrap_or("no source");
                writeln!(out, "{name}: {}{service} by {} ({source})", rule.app, rule.pattern)?;
            }
            None => {
                unknown = true;
                writeln!(out, "{name}: unknown")?;
            }
        }
    }
    Ok(if unknown { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
