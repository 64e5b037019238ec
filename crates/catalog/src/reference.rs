//! The reference page of the catalogue, printed from the catalogue itself.

use std::fmt::Write as _;

use crate::compile::{App, Catalog};
use crate::evidence::Evidence;

/// `docs/reference/catalog.md`: evidence in order of trust, then every app with its entries.
pub fn reference(catalog: &Catalog) -> String {
    let mut out = String::from(
        "# The catalogue\n\n\
         Printed from the shipped files; `BLESS=1 cargo nextest run -p ottoscope-catalog fresh` \
         writes it anew.\n\n\
         ## Evidence, in order of trust\n\n\
         Confidence is a judgement that orders the sources, not a measured rate. It is multiplied by \
         an entry's own, by 0.6 where other names lead to the same address or one certificate \
         speaks for several apps, by 0.85 where only a CNAME matched, and by 0.85 after the TTL. \
         Sources that agree raise it: 1 - (1 - a)(1 - b), 0.99 at most. A port adds 0.2 in this way and is \
         never evidence alone.\n\n\
         | evidence | confidence | meaning |\n|---|---|---|\n",
    );
    for evidence in Evidence::ALL {
        let confidence = match evidence {
            Evidence::Prefix => "the entry's, 0.3 by default".to_owned(),
            Evidence::Model => "the model's".to_owned(),
            other => format!("{:.2}", other.confidence()),
        };
        let _ = writeln!(out, "| {} | {confidence} | {} |", evidence.name(), evidence.about());
    }
    out.push_str("\n## Apps\n\n| id | app | kind | names | signatures | prefixes |\n|---|---|---|---|---|---|\n");
    for app in catalog.apps() {
        let entries = &app.entries;
        let names: usize = entries.names.iter().map(|n| n.pattern.as_slice().len()).sum();
        let prefixes: usize = entries.prefixes.iter().map(|p| p.prefix.as_slice().len()).sum();
        let _ = writeln!(
            out,
            "| [{0}](#{0}) | {1} | {2} | {names} | {3} | {prefixes} |",
            app.id,
            app.name,
            app.kind.name(),
            entries.signatures.len(),
        );
    }
    for app in catalog.apps() {
        show(&mut out, app);
    }
    out
}

fn show(out: &mut String, app: &App) {
    let entries = &app.entries;
    let cite = |source: &Option<String>| {
        let source = source.as_deref().unwrap_or("none");
        entries.sources.get(source).map_or(source, String::as_str).replace('|', "\\|")
    };
    let text = |text: &Option<String>| text.as_deref().unwrap_or("").to_owned();
    let list =
        |texts: &[String]| texts.iter().map(|t| format!("`{t}`")).collect::<Vec<_>>().join(", ");
    let _ = writeln!(out, "\n### {}\n", app.id);
    let _ = write!(out, "{}", app.name);
    if let Some(operator) = &entries.app.operator {
        let _ = write!(out, ", by {operator}");
    }
    out.push_str(".\n");
    if let Some(about) = entries.app.about.as_deref().filter(|about| !about.is_empty()) {
        let _ = writeln!(out, "{}", about.trim());
    }
    if !entries.names.is_empty() {
        out.push_str("\n| names | service | task | source |\n|---|---|---|---|\n");
        for e in &entries.names {
            let names = list(e.pattern.as_slice());
            let _ = writeln!(
                out,
                "| {names} | {} | {} | {} |",
                text(&e.service),
                text(&e.task),
                cite(&e.source)
            );
        }
    }
    if !entries.signatures.is_empty() {
        out.push_str(
            "\n| signature | transport | service | what | source |\n|---|---|---|---|---|\n",
        );
        for e in &entries.signatures {
            let carrier = format!("{:?}", e.transport).to_lowercase();
            let about = text(&e.about).trim().replace('\n', " ").replace('|', "\\|");
            let _ = writeln!(
                out,
                "| {} | {carrier} | {} | {about} | {} |",
                e.id,
                text(&e.service),
                cite(&e.source)
            );
        }
    }
    if !entries.tasks.is_empty() {
        out.push_str("\n| task | group | opcode | URL | source |\n|---|---|---|---|---|\n");
        for e in &entries.tasks {
            let opcode = e.opcode.map(|o| o.to_string()).unwrap_or_default();
            let url = e.url_prefix.as_ref().map(|u| format!("`{u}`")).unwrap_or_default();
            let _ = writeln!(
                out,
                "| {} | {} | {opcode} | {url} | {} |",
                e.name,
                text(&e.group),
                cite(&e.source)
            );
        }
    }
    if !entries.prefixes.is_empty() {
        out.push_str("\n| prefixes | service | confidence | source |\n|---|---|---|---|\n");
        for e in &entries.prefixes {
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} |",
                list(e.prefix.as_slice()),
                text(&e.service),
                e.confidence.unwrap_or(0.3),
                cite(&e.source)
            );
        }
    }
    if !entries.idle_timeouts.is_empty() {
        out.push_str("\n| idle timeout of | after | source |\n|---|---|---|\n");
        for e in &entries.idle_timeouts {
            let _ = writeln!(out, "| {} | {} | {} |", e.os, e.after, cite(&e.source));
        }
    }
}
