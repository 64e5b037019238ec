//! `infer feedback`: what is classified by now tells of flows that are not: those to the same
//! server and port are inferred again, until a round adds nothing (the ChatDissect paper, III-B).

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use ottoscope_catalog::learned::Proposal;
use ottoscope_flow::Transport;
use ottoscope_flow::capture::Options;
use ottoscope_infer::segment::Aligned;
use ottoscope_infer::walk;
use ottoscope_store::Study;

use super::accept::{Taken, take_in};
use super::args::FeedbackArgs;
use super::opcodes::Code;
use super::{formats, opcodes, propose};
use crate::account::print;
use crate::account::{Step, count};
use crate::hint::stored;
use crate::infer::gather::Source;
use crate::infer::survey::Survey;
use crate::input;

/// Runs the verb.
pub(super) fn run(args: &FeedbackArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let study = match &args.place.study {
        Some(study) => Some(Study::open(study).map_err(stored)?),
        None => None,
    };
    let params = super::params(study.as_ref(), &args.set)?;
    let stop = input::stop_flag();
    for round in 1..=args.rounds.max(1) {
        let place = args.place.open(&args.app)?;
        let catalog = place.catalog()?;
        input::known_app(&catalog, &args.app)?;
        let options = Options { stop: Arc::clone(&stop), ..Options::default() };
        let source = Source { captures: &args.captures, catalog: Arc::new(catalog), options };
        let found = source.neighbours(&args.app)?;
        let unknown = found.unknown.iter().map(|flows| flows.len() as u64).sum::<u64>();
        writeln!(
            out,
            "round {round}: {} flows are {}'s; {} that nobody reads go to the same servers",
            count(found.own),
            args.app,
            count(unknown)
        )?;
        if !found.unnamed.is_empty() {
            let codes = found.unnamed.iter().take(12);
            let codes = codes.map(|((_, opcode), n)| format!("{opcode} ({} times)", count(*n)));
            let codes = codes.collect::<Vec<_>>().join(", ");
            let all = found.unnamed.len();
            let more = if all > 12 { format!(" and {} more", all - 12) } else { String::new() };
            writeln!(out, "opcodes without a task: {codes}{more}")?;
        }
        let mut file = propose::empty(&source.catalog, &args.app);
        for (flows, transport) in found.unknown.into_iter().zip([Transport::Tcp, Transport::Udp]) {
            if flows.is_empty() {
                continue;
            }
            let packets = source.packets_of(flows, args.packets)?.samples;
            let found = match walk::infer(
                &packets,
                walk::Given::Packets,
                &params,
                &Aligned,
                walk::Rules::Typed,
            ) {
                Ok(found) => found,
                Err(error) => {
                    writeln!(out, "{transport}: {error}")?;
                    continue;
                }
            };
            let code = Code { sources: &[], urls: &[] };
            let (_, tasks) = opcodes::step(&found, &Survey::default(), &code, &params)?;
            let mut step = Step::new("propose", "");
            let from = format!("inferred from {} by feedback", args.captures.join(", "));
            let id = format!("feedback-{transport}");
            propose::proposal(&mut file, &mut step, &found, &tasks, &id, &from);
            print::step(out, &formats::fields(&found, transport), false)?;
        }
        if file.signatures.is_empty() {
            writeln!(out, "nothing to propose: the rounds end here")?;
            return Ok(ExitCode::SUCCESS);
        }
        // Rounds add to one another, each under names of its own.
        for signature in &mut file.signatures {
            let before = signature.id.clone();
            signature.id = format!("{before}-{round}");
            for task in &mut file.tasks {
                if task.signature.as_deref() == Some(&before) {
                    task.signature = Some(signature.id.clone());
                }
            }
        }
        let proposal = Proposal::parse("the proposal", &propose::text(&file)?)?;
        match take_in(&proposal, &place, &source.catalog, args.place.yes, out)? {
            Taken::Accepted => {}
            Taken::NothingNew => return Ok(ExitCode::SUCCESS),
            Taken::Refused => return Ok(ExitCode::FAILURE),
        }
    }
    Ok(ExitCode::SUCCESS)
}
