//! `ottoscope label`: whose each flow is, again, or why.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use ottoscope_catalog::{Catalog, LabelerConfig};
use ottoscope_flow::FlowId;
use ottoscope_store::{LabelSummary, Outcome, Run, Study, explain, label};

use crate::cli::LabelArgs;
use crate::clock;
use crate::commands::run::workers;
use crate::hint::{hinted, stored};
use crate::input;

/// Runs the verb.
pub(crate) fn run(args: &LabelArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let mut study = Study::open(&args.study).map_err(stored)?;
    study.share_out_up_to(workers(None));
    let catalog = Arc::new(input::study_catalog(&study, &args.catalog)?);
    if let Some(flow) = args.explain {
        let config = LabelerConfig::default();
        return match explain(&study, catalog, config, FlowId(flow)).map_err(stored)? {
            Some(explanation) => {
                write!(out, "{explanation}")?;
                Ok(ExitCode::SUCCESS)
            }
            None => Err(hinted(
                format!("the study has no flow {flow}"),
                "ids are in the column `flow` of the table `flows`",
            )),
        };
    }
    let lock = study.lock().map_err(stored)?;
    let mut record =
        Run::begin(&study, &lock, "label", &clock::host(), clock::arguments(), clock::now())
            .map_err(stored)?;
    let config = LabelerConfig::default();
    let names = record.part_names(0);
    let summary = label(&study, &lock, &catalog, config, &names).map_err(stored)?;
    print(&summary, out)?;
    labelled(&mut record, &catalog, &summary);
    record.finish(Outcome::Done, clock::now()).map_err(stored)?;
    Ok(ExitCode::SUCCESS)
}

/// Notes in the run's record what the label pass did.
pub(crate) fn labelled(record: &mut Run, catalog: &Catalog, summary: &LabelSummary) {
    record.catalogue(catalog.digest());
    for (name, n) in [
        ("flows judged", summary.flows),
        ("flows labelled", summary.labelled),
        ("flows with conflicting labels", summary.conflicts),
        ("labels", summary.labels),
        ("user sessions", summary.sessions),
    ] {
        record.count(name, n);
    }
}

fn print(summary: &LabelSummary, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(
        out,
        "{} of {} flows labelled, {} with conflicting evidence, {} user sessions",
        summary.labelled, summary.flows, summary.conflicts, summary.sessions
    )?;
    let mut apps: Vec<_> = summary.apps.iter().collect();
    apps.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
    for (app, flows) in apps {
        writeln!(out, "{flows:>10}  {app}")?;
    }
    Ok(())
}
