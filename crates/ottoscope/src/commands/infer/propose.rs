//! `infer propose`: what was inferred as a file of the catalogue, for a person to read and edit.

use anyhow::Context;
use ottoscope_catalog::Catalog;
use ottoscope_catalog::schema::{self, App, File, Signature};
use ottoscope_infer::fields::Kind;
use ottoscope_infer::propose::signature;
use ottoscope_infer::walk::{Format, Inference};

use super::opcodes::Assigned;
use crate::account::{Step, count};
use crate::hint::hinted;
use crate::report::number::value;
use ottoscope_analysis::grid::Unit;

/// The app and the signature of `app/signature`.
pub(super) fn split_name(name: &str) -> anyhow::Result<(&str, &str)> {
    let word = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    match name.split_once('/') {
        Some((app, id)) if word(app) && word(id) => Ok((app, id)),
        _ => Err(hinted(
            format!("`{name}` names no signature"),
            "write app/signature in lower-case letters, digits and hyphens, as in wechat/w-tcp",
        )),
    }
}

/// The proposal of everything that was inferred over one transport; what makes no signature is
/// told in `step`.
pub(super) fn proposal(
    file: &mut File,
    step: &mut Step,
    found: &Inference,
    tasks: &[Assigned],
    id: &str,
    from: &str,
) {
    let told: Vec<&Format> = found.formats.iter().filter(|f| f.says_something()).collect();
    let transport = match found.messages.flows().first() {
        Some(flow) => flow.transport.to_string(),
        None => return,
    };
    for (number, format) in told.iter().enumerate() {
        let id = match file.signatures.len() {
            0 => id.to_owned(),
            held => format!("{id}-{}", held + 1),
        };
        match one(found, format, &id, from) {
            Ok(signature) => {
                step.say(format!(
                    "signature {id}: {} fields, {} of the messages over {transport}",
                    signature.fields.len(),
                    value(f64::from(signature.coverage.unwrap_or(0.0)), Unit::Share)
                ));
                file.signatures.push(signature);
                if number == 0 {
                    file.tasks.extend(tasks.iter().map(|task| schema::Task {
                        name: task.name.clone(),
                        opcode: Some(task.opcode),
                        signature: Some(id.clone()),
                        evidence: Some(task.evidence.clone()),
                        source: Some(from.to_owned()),
                        ..schema::Task::default()
                    }));
                }
            }
            Err(error) => step.say(format!("kind {} over {transport}: {error}", number + 1)),
        }
    }
}

fn one(found: &Inference, format: &Format, id: &str, from: &str) -> anyhow::Result<Signature> {
    let samples = &found.messages;
    let layout = signature(samples, &format.members, &format.fields, id)?;
    let mut entry = Signature::from(&layout);
    for (place, field) in entry.fields.iter_mut().zip(&format.fields) {
        place.about = Some(format!(
            "{} ({} sure)",
            field.evidence,
            value(f64::from(field.confidence), Unit::Share)
        ));
        if matches!(place.kind, schema::FieldKind::Unknown) && field.kind != Kind::Unidentified {
            place.name = Some(field.kind.name().to_owned());
        }
    }
    let all = samples.len().max(1);
    entry.coverage = Some((format.members.len() as f32 / all as f32 * 1e4).round() / 1e4);
    let flows: std::collections::BTreeSet<usize> =
        format.members.iter().map(|&index| samples.get(index).flow).collect();
    let one = if flows.len() == 1 {
        " Constants may be that one flow's own, such as a session's or an account's number."
    } else {
        ""
    };
    entry.about = Some(format!(
        "Inferred from {} messages of {} flows. Nobody has checked it yet.{one}",
        count(format.members.len() as u64),
        count(flows.len() as u64)
    ));
    entry.source = Some(from.to_owned());
    Ok(entry)
}

/// An empty proposal for `app`.
pub(super) fn empty(catalog: &Catalog, app: &str) -> File {
    let name = match catalog.app(app) {
        Some(_) => None, // a file that adds to an app
        None => Some(app.to_owned()),
    };
    File { app: App { id: app.to_owned(), name, ..App::default() }, ..File::default() }
}

/// The proposal's TOML, checked as the catalogue would.
pub(super) fn text(file: &File) -> anyhow::Result<String> {
    let text = ottoscope_catalog::to_toml(file)?;
    ottoscope_catalog::learned::Proposal::parse("the proposal", &text)
        .context("what was inferred makes no entry of the catalogue")?;
    Ok(text)
}
