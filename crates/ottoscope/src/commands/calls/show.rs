//! `calls show`: one flow's streams and frames.

use std::io::Write;
use std::process::ExitCode;

use ottoscope_analysis::{Session, format};

use super::args::ShowArgs;
use super::list::STREAMS;
use crate::cli::Format;
use crate::commands::query::{chosen, open, question};
use crate::hint::hinted;

/// Runs the verb.
pub(super) fn run(args: &ShowArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let session = open(&args.study)?;
    let flow = args.flow;
    let known = session.sql(&format!("SELECT flow FROM flows WHERE flow = {flow}"));
    if known.map_err(question)?.is_empty() {
        return Err(hinted(
            format!("the study has no flow {flow}"),
            "`ottoscope calls list` names those with media",
        ));
    }
    let frames = format!(
        "SELECT direction, ssrc, first, time, bytes, fragments, expected, key, shown, width, height,
                state, reason
         FROM frames WHERE flow = {flow} ORDER BY direction, ssrc, first"
    );
    if args.format != Format::Table {
        return table(&session, &frames, args.format, out);
    }
    writeln!(out, "flow")?;
    table(
        &session,
        &format!(
            "SELECT transport, client, client_port, server, server_port, protocol, app, service,
                    evidence FROM labelled_flows WHERE flow = {flow}"
        ),
        args.format,
        out,
    )?;
    writeln!(out, "\nstreams")?;
    table(
        &session,
        &format!(
            "SELECT media, carried, direction, ssrc, first, last, packets, lost, duplicates,
                    out_of_order, bytes, frames, intact, frame_rate, freezes, width, height
             FROM ({STREAMS}) WHERE flow = {flow} ORDER BY first, direction, ssrc"
        ),
        args.format,
        out,
    )?;
    writeln!(out, "\nframes")?;
    table(&session, &frames, args.format, out)
}

fn table(
    session: &Session,
    sql: &str,
    format: Format,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let batches = session.stream(sql).map_err(question)?;
    format::write(batches, chosen(format, false), out).map_err(question)?;
    Ok(ExitCode::SUCCESS)
}
