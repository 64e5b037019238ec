//! `calls extract`: video out of captures into files.

use std::fs;
use std::io::Write;
use std::num::NonZeroU32;
use std::process::ExitCode;

use anyhow::Context;
use ottoscope_media::extract;
use ottoscope_store::{Outcome, Run, Study};

use super::args::{ExtractArgs, VideoArgs};
use crate::account::{Step, Table, count, heads, print};
use crate::calls::recover::{Found, recover};
use crate::clock;
use crate::hint::{hinted, stored};
use crate::progress::say;
use crate::report::results::private;

/// Runs the verb.
pub(super) fn run(args: &ExtractArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let folder = &args.output;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let wanted = extract::Options {
        ivf: args.ivf,
        webm: args.webm,
        y4m: args.y4m,
        png: args.png.then(|| NonZeroU32::new(args.every)).flatten(),
        ..extract::Options::default()
    };
    let pictures = args.ivf || args.webm || args.y4m || args.png;
    let (found, stopped) = recover(&args.video, folder, &wanted)?;
    private(&folder.join("streams.csv"), streams(&found).as_bytes())?;
    private(&folder.join("frames.csv"), frames(&found).as_bytes())?;
    print::step(out, &account(&found, pictures, args), false)?;
    note(&args.video, &found, pictures)?;
    if stopped {
        say(format_args!("stopped early: what was read until then is written"));
        return Ok(ExitCode::FAILURE);
    }
    if found.is_empty() {
        return Err(nothing());
    }
    Ok(ExitCode::SUCCESS)
}

/// No flow was video.
pub(super) fn nothing() -> anyhow::Error {
    hinted(
        "no video was found",
        "what is known is QQ video of 2012 and 2013, and VP8 in RTP that is not encrypted; \
         `ottoscope dissect --flows` tells what else is there",
    )
}

/// Notes in the study's record of runs that video was taken out, and how much of it.
pub(super) fn note(args: &VideoArgs, found: &[Found], pictures: bool) -> anyhow::Result<()> {
    let Some(study) = &args.study else { return Ok(()) };
    let study = Study::open(study).map_err(stored)?;
    let lock = study.lock().map_err(stored)?;
    let mut record = Run::begin(
        &study,
        &lock,
        "calls extract",
        &clock::host(),
        clock::arguments(),
        clock::now(),
    )
    .map_err(stored)?;
    record.count("video streams", found.len() as u64);
    let written = found.iter().filter_map(|found| found.report.as_ref());
    let frames = written.map(|report| report.written).sum();
    record.count("frames written as pictures", if pictures { frames } else { 0 });
    record.finish(Outcome::Done, clock::now()).map_err(stored)?;
    Ok(())
}

fn account(found: &[Found], pictures: bool, args: &ExtractArgs) -> Step {
    let mut step = Step::new("extract", "Video");
    let mut rows = Vec::new();
    for found in found {
        let stream = &found.stream;
        let size = stream.size.map_or_else(String::new, |(w, h)| format!("{w}x{h}"));
        rows.push(vec![
            found.flow.id.0.to_string(),
            stream.direction.name().to_owned(),
            format!("{:08x}", stream.ssrc),
            stream.transport.to_owned(),
            format!("{:.2}", found.score),
            count(stream.packets),
            count(stream.lost),
            count(found.frames.len() as u64),
            count(stream.intact),
            count(stream.after_loss),
            count(stream.incomplete),
            size,
        ]);
        if let Some(report) = &found.report {
            for file in &report.files {
                step.say(format!("{}: {} frames", file.path.display(), count(file.frames)));
            }
            if report.withheld > 0 {
                step.say(format!(
                    "{}: {} frames left out, since they or what they refer to are damaged",
                    found.stem(),
                    count(report.withheld)
                ));
            }
            for refused in report.refusals.iter().take(3) {
                step.say(format!("{}: frame {}: {}", found.stem(), refused.frame, refused.error));
            }
            if report.refused > 3 {
                step.say(format!(
                    "{}: {} frames refused in all",
                    found.stem(),
                    count(report.refused)
                ));
            }
        }
    }
    step.tables.push(Table {
        caption: String::new(),
        columns: heads([
            "flow",
            "direction",
            "ssrc",
            "carried",
            "score",
            "packets",
            "lost",
            "frames",
            "intact",
            "after loss",
            "incomplete",
            "size",
        ]),
        rows,
    });
    step.say(format!("frames.csv and streams.csv are in {}", args.output.display()));
    if !pictures && !found.is_empty() {
        step.say("no picture was written: --webm, --ivf, --y4m or --png ask for some");
    }
    step
}

fn streams(found: &[Found]) -> String {
    let mut csv = String::from(
        "flow,direction,ssrc,carried,score,first,last,clock,packets,bytes,lost,duplicates,\
         out_of_order,frames,intact,after_loss,incomplete,key_frames,width,height\n",
    );
    for found in found {
        let s = &found.stream;
        let clock = s.clock_verified.then_some(s.clock_hz);
        csv.push_str(&format!(
            "{},{},{},{},{:.4},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n",
            found.flow.id.0,
            s.direction.name(),
            s.ssrc,
            s.transport,
            found.score,
            s.first,
            s.last,
            cell(clock),
            s.packets,
            s.bytes,
            s.lost,
            s.duplicates,
            s.reordered,
            found.frames.len(),
            s.intact,
            s.after_loss,
            s.incomplete,
            s.key_frames,
            cell(s.size.map(|(width, _)| width)),
            cell(s.size.map(|(_, height)| height)),
        ));
    }
    csv
}

fn frames(found: &[Found]) -> String {
    let mut csv = String::from(
        "flow,direction,ssrc,first,last,ticks,bytes,fragments,expected,key,shown,width,height,\
         state,reason\n",
    );
    for found in found {
        for (frame, bytes) in &found.frames {
            let header = frame.header;
            let size = header.and_then(|header| header.size);
            csv.push_str(&format!(
                "{},{},{},{},{},{},{bytes},{},{},{},{},{},{},{},{}\n",
                found.flow.id.0,
                found.stream.direction.name(),
                found.stream.ssrc,
                frame.first,
                frame.last,
                frame.ticks,
                frame.fragments,
                cell(frame.expected),
                cell(header.map(|header| header.key)),
                cell(header.map(|header| header.shown)),
                cell(size.map(|(width, _)| width)),
                cell(size.map(|(_, height)| height)),
                frame.state.name(),
                frame.reason.map_or("", |reason| reason.name()),
            ));
        }
    }
    csv
}

fn cell<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
