//! Packets with their times, from capture files and interfaces.
//!
//! [`Captures`] makes one time line of many files; [`live`] does the same for an interface.
//! Both hand over [`Batch`]es: some hundred records over one buffer that is read once and never
//! copied, so that one worker can walk it in place and many can share it.
//!
//! The readers are our own and no crate's because they are the packet path: one large `read`
//! into one buffer that stays in the cache costs half of mapping the file, records are found
//! in place, and a cut or damaged file keeps the packets before the damage. What is wrong with
//! a file's content is a [`CaptureFault`] and never an error.

mod ahead;
mod batch;
mod error;
mod file;
mod inputs;
#[cfg(target_os = "linux")]
pub mod live;
mod pcap;
mod pcapng;
mod rewrite;
mod timeline;

pub use batch::{Batch, CaptureFault, Record};
pub use error::CaptureError;
pub use inputs::Input;
pub use rewrite::{RewriteError, Rewritten, rewrite};
pub use timeline::Captures;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use ottoscope_wire::LinkType;

use crate::time::Timestamp;

/// Something that yields packets in batches.
pub trait Packets: Send {
    /// The next batch; `None` when there are no more.
    ///
    /// A batch's memory is used again once nobody holds it: drop it before asking for more.
    ///
    /// # Errors
    /// Only when bytes can't be had (a disk or an interface fails): bad content is a fault in
    /// the batch.
    fn next(&mut self) -> Result<Option<Arc<Batch>>, CaptureError>;

    /// What is known of each capture so far; [`Record::capture`] is an index into it.
    fn infos(&self) -> Vec<CaptureInfo>;
}

/// The files behind `inputs`, and whether each was only found in a folder.
pub(crate) fn files(inputs: &[Input]) -> Result<Vec<(Input, bool)>, CaptureError> {
    Ok(inputs::expand(inputs)?.into_iter().map(|named| (named.input, named.found)).collect())
}

/// How captures are read.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Set from outside (Ctrl-C) to end as if the captures ended here.
    pub stop: Arc<AtomicBool>,
    /// Told as reading goes on.
    pub progress: Arc<Progress>,
}

/// How far reading is, in bytes of the files as they lie on disk.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes read.
    pub done: AtomicU64,
    /// Bytes of all inputs whose size is known; 0 when reading from a pipe.
    pub total: AtomicU64,
}

/// What is known of one capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureInfo {
    /// Its file, `-` for standard input, or the name of the interface.
    pub path: PathBuf,
    /// `pcap`, `pcapng` or `interface`.
    pub format: &'static str,
    /// `gzip`, `zstd` or `xz`.
    pub compression: Option<&'static str>,
    /// Link types in order of appearance.
    pub link_types: Vec<LinkType>,
    /// Interfaces, where the format tells them.
    pub interfaces: Vec<Interface>,
    /// Largest snapshot length declared, bytes; 0 when there is no limit.
    pub snap_len: u32,
    /// Packets read.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Their captured bytes.
    pub captured_bytes: u64,
    /// Size on disk in bytes; for pipes and interfaces what was read.
    pub file_size: u64,
    /// Earliest timestamp.
    pub first: Option<Timestamp>,
    /// Latest timestamp.
    pub last: Option<Timestamp>,
    /// The capture ends in the middle of a record or is damaged: there were more packets.
    pub truncated: bool,
    /// Packets that the capturing system says it lost.
    pub dropped: u64,
}

/// One interface of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Name as written, if any.
    pub name: Option<String>,
    /// Link type.
    pub link: LinkType,
    /// Snapshot length in bytes; 0 when there is no limit.
    pub snap_len: u32,
    /// Packets that the capturing system says it lost here.
    pub dropped: Option<u64>,
}

impl CaptureInfo {
    fn new(path: PathBuf, format: &'static str) -> Self {
        CaptureInfo {
            path,
            format,
            compression: None,
            link_types: Vec::new(),
            interfaces: Vec::new(),
            snap_len: 0,
            packets: 0,
            bytes: 0,
            captured_bytes: 0,
            file_size: 0,
            first: None,
            last: None,
            truncated: false,
            dropped: 0,
        }
    }

    /// Notes a link type; true the first time it is seen.
    fn link_type(&mut self, link: LinkType) -> bool {
        let new = !self.link_types.contains(&link);
        if new {
            self.link_types.push(link);
        }
        new
    }

    /// Adds the counts of some records of this capture.
    fn count(&mut self, records: &[Record]) {
        let (mut first, mut last) = (Timestamp(i64::MAX), Timestamp(i64::MIN));
        for record in records {
            self.bytes += u64::from(record.wire_len);
            self.captured_bytes += u64::from(record.len);
            first = first.min(record.at);
            last = last.max(record.at);
        }
        if !records.is_empty() {
            self.packets += records.len() as u64;
            self.first = Some(self.first.map_or(first, |at| at.min(first)));
            self.last = Some(self.last.map_or(last, |at| at.max(last)));
        }
    }
}
