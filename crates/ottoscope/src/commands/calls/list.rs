//! `calls list`: the media streams of a study.

use std::io::Write;
use std::process::ExitCode;

use ottoscope_analysis::format;

use super::args::ListArgs;
use crate::commands::query::{chosen, open, question};

/// Streams of both tables by one set of names. Loss is of what was sent.
pub(super) const STREAMS: &str = "
    SELECT flow, 'video' AS media, carried, direction, ssrc, first, last, packets, lost, duplicates,
           out_of_order, bytes, frames, intact, frame_rate, freezes, width, height
    FROM video
    UNION ALL
    SELECT r.flow, 'rtp', 'rtp', r.direction, r.ssrc, r.first, r.last, r.packets, r.lost,
           r.duplicates, r.out_of_order, r.payload_bytes, NULL, NULL, NULL, NULL, NULL, NULL
    FROM rtp r";

/// Runs the verb.
pub(super) fn run(args: &ListArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let session = open(&args.study)?;
    let sql = format!(
        "SELECT s.flow, l.app, s.media, s.carried, s.direction, s.ssrc, s.first,
                (CAST(s.last AS BIGINT) - CAST(s.first AS BIGINT)) / 1e9 AS seconds,
                s.packets, s.lost::DOUBLE / nullif(s.packets - s.duplicates + s.lost, 0) AS loss,
                s.bytes, s.frames, s.frame_rate, s.freezes, s.width, s.height
         FROM ({STREAMS}) s LEFT JOIN labelled_flows l ON l.flow = s.flow
         ORDER BY s.first, s.flow, s.direction, s.ssrc"
    );
    let batches = session.stream(&sql).map_err(question)?;
    format::write(batches, chosen(args.format, false), out).map_err(question)?;
    Ok(ExitCode::SUCCESS)
}
