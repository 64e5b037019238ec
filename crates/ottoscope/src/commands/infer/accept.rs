//! `infer accept`: a proposal into the catalogue, once a person has seen what it changes.

use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use ottoscope_catalog::learned::{Change, Proposal, accept};
use ottoscope_catalog::{Catalog, Severity};
use ottoscope_store::Study;

use super::args::{AcceptArgs, PlaceArgs};
use crate::hint::{hinted, stored};
use crate::input;
use crate::progress::say;
use crate::report::results::write_whole;

/// Runs the verb.
pub(super) fn run(args: &AcceptArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let name = args.proposal.display().to_string();
    let text = fs::read_to_string(&args.proposal).with_context(|| format!("cannot read {name}"))?;
    let proposal = Proposal::parse(&name, &text).map_err(|error| {
        hinted(error.to_string(), "a proposal is a file of the catalogue: see docs/guide/infer.md")
    })?;
    let place = args.place.open(&proposal.file.app.id)?;
    Ok(match take_in(&proposal, &place, &place.catalog()?, args.place.yes, out)? {
        Taken::Refused => ExitCode::FAILURE,
        Taken::Accepted | Taken::NothingNew => ExitCode::SUCCESS,
    })
}

/// Where proposals are accepted.
pub(super) struct Place {
    /// Whether the shipped apps are part of the catalogue there.
    builtin: bool,
    /// Its other files.
    files: Vec<PathBuf>,
    /// The file that is added to.
    target: PathBuf,
}

impl Place {
    /// The catalogue as it is there.
    pub(super) fn catalog(&self) -> anyhow::Result<Catalog> {
        Ok(Catalog::load(self.builtin, &self.files)?)
    }
}

impl PlaceArgs {
    /// The place for proposals about `app`.
    pub(super) fn open(&self, app: &str) -> anyhow::Result<Place> {
        match (&self.study, &self.into) {
            (Some(study), _) => {
                let study = Study::open(study).map_err(stored)?;
                let (builtin, files) = input::study_files(&study, &self.catalog)?;
                let accepted = study.root().join(&study.config().catalog.accepted);
                Ok(Place { builtin, files, target: own_file(accepted, app) })
            }
            (None, Some(into)) => {
                let mut files = self.catalog.clone();
                if into.is_file() && !files.contains(into) {
                    files.push(into.clone());
                }
                Ok(Place { builtin: true, files, target: into.clone() })
            }
            (None, None) => Err(hinted(
                "where is it accepted?",
                "--study STUDY takes it into the study's catalogue, --into FILE into a file",
            )),
        }
    }
}

/// What became of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Accepted,
    NothingNew,
    Refused,
}

/// Shows what a proposal changes and, once that is wanted, changes it.
pub(super) fn take_in(
    proposal: &Proposal,
    place: &Place,
    catalog: &Catalog,
    yes: bool,
    out: &mut dyn Write,
) -> anyhow::Result<Taken> {
    let changes = proposal.changes(catalog);
    for change in &changes {
        writeln!(out, "{change}")?;
    }
    if changes.iter().all(|change| matches!(change, Change::Known(_))) {
        writeln!(out, "nothing to accept: the catalogue has all of it")?;
        return Ok(Taken::NothingNew);
    }
    let target = &place.target;
    let old = match fs::read_to_string(target) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", target.display()));
        }
    };
    let shown = target.display().to_string();
    let new = accept(&shown, old.as_deref(), proposal)?;
    doubts(place, catalog, &new)?;
    if !yes && !asked(out, &shown)? {
        writeln!(out, "nothing was changed")?;
        return Ok(Taken::Refused);
    }
    write_whole(target, &new)?;
    writeln!(out, "{shown} holds it now")?;
    Ok(Taken::Accepted)
}

/// The study's file of accepted entries, or its neighbour where that holds another app.
fn own_file(accepted: PathBuf, app: &str) -> PathBuf {
    let other = fs::read_to_string(&accepted)
        .ok()
        .and_then(|text| Proposal::parse("accepted", &text).ok())
        .is_some_and(|held| held.file.app.id != app);
    if other { accepted.with_file_name(format!("accepted-{app}.toml")) } else { accepted }
}

/// Says what is doubtful of the catalogue with the new entries, and refuses what it can't hold.
fn doubts(place: &Place, catalog: &Catalog, new: &str) -> anyhow::Result<()> {
    let before: Vec<String> = catalog.check().iter().map(ToString::to_string).collect();
    let target = &place.target;
    for finding in Catalog::load_with(place.builtin, &place.files, target, new)?.check() {
        let text = finding.to_string();
        if before.contains(&text) {
            continue;
        }
        if finding.severity == Severity::Error {
            return Err(hinted(
                text,
                format!("edit the proposal; {} is as it was", target.display()),
            ));
        }
        say(format_args!("{text}"));
    }
    Ok(())
}

/// Asks on the terminal; without one only `--yes` accepts.
fn asked(out: &mut dyn Write, target: &str) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        return Err(hinted(
            "nobody is here to accept it",
            "look at the changes above, then run it again with --yes",
        ));
    }
    write!(out, "accept into {target}? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
