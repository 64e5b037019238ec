//! Writes captures anew with other names for their hosts and another time.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use ottoscope_wire::LinkType;
use ottoscope_wire::build::pcap::{PcapWriter, Resolution};
use ottoscope_wire::rewrite::{Names, rewrite as rewrite_frame};

use super::{CaptureError, Captures, Input, Options, Packets};
use crate::time::Span;

/// What rewriting came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rewritten {
    /// Packets written.
    pub packets: u64,
    /// Packets in which no IP header was found; they may still name hosts.
    pub untouched: u64,
    /// IP headers rewritten, those in tunnels and quotes included.
    pub headers: u64,
}

/// Why a capture was not written anew. Nothing is left of what was begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RewriteError {
    /// The capture could not be read.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// A file of this format has one link type.
    #[error("the capture has packets of link type {} and of {}", first.0, second.0)]
    LinkTypes {
        /// That of the first packet.
        first: LinkType,
        /// Another.
        second: LinkType,
    },
    /// The capture holds no packet.
    #[error("the capture has no packets")]
    Empty,
    /// Reading was stopped from outside.
    #[error("stopped before all was read")]
    Stopped,
    /// The file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Writes `input` to `output` (pcap, nanoseconds) with `names`, all times later by `shift`. The
/// file is there when it is whole: until then it is called otherwise.
///
/// # Errors
/// Those of reading and writing; captures of several link types and those without packets.
pub fn rewrite(
    input: &Input,
    options: &Options,
    names: &dyn Names,
    shift: Span,
    output: &Path,
) -> Result<Rewritten, RewriteError> {
    let mut partial = output.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let done = write(input, options, names, shift, &partial).and_then(|done| {
        fs::rename(&partial, output)
            .map_err(|source| RewriteError::Write { path: output.to_owned(), source })?;
        Ok(done)
    });
    if done.is_err() {
        // What was begun may not be there at all.
        let _ = fs::remove_file(&partial);
    }
    done
}

fn write(
    input: &Input,
    options: &Options,
    names: &dyn Names,
    shift: Span,
    path: &Path,
) -> Result<Rewritten, RewriteError> {
    let failed = |source| RewriteError::Write { path: path.to_owned(), source };
    let mut captures = Captures::open(std::slice::from_ref(input), options.clone())?;
    let mut done = Rewritten::default();
    let mut writer: Option<(LinkType, PcapWriter<BufWriter<File>>)> = None;
    let mut frame = Vec::new();
    while let Some(batch) = captures.next()? {
        for record in batch.records() {
            let (link, out) = match &mut writer {
                Some(writer) => writer,
                none => {
                    let out = BufWriter::new(File::create(path).map_err(failed)?);
                    let out = PcapWriter::new(out, record.link, Resolution::Nano);
                    none.insert((record.link, out.map_err(failed)?))
                }
            };
            if *link != record.link {
                return Err(RewriteError::LinkTypes { first: *link, second: record.link });
            }
            frame.clear();
            frame.extend_from_slice(batch.bytes(record));
            let headers = rewrite_frame(record.link, &mut frame, names);
            out.record((record.at + shift).0, record.wire_len, &frame).map_err(failed)?;
            done.packets += 1;
            done.headers += u64::from(headers);
            done.untouched += u64::from(headers == 0);
        }
    }
    if options.stop.load(std::sync::atomic::Ordering::Relaxed) {
        return Err(RewriteError::Stopped);
    }
    let (_, out) = writer.ok_or(RewriteError::Empty)?;
    let mut out = out.finish().map_err(failed)?;
    out.flush().and_then(|()| out.get_ref().sync_all()).map_err(failed)?;
    Ok(done)
}
