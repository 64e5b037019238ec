//! One capture: opens it, undoes compression, tells its format and fills batches.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ottoscope_wire::{Layer, LinkType, Reason, WireError};

use super::ahead::ReadAhead;
use super::batch::{Batch, CaptureFault, Record};
use super::error::CaptureError;
use super::inputs::Input;
use super::pcap::{self, Pcap};
use super::pcapng::{self, Pcapng};
use super::{CaptureInfo, Options, Progress};
use crate::time::Timestamp;

/// Bytes read at once: fits a core's second-level cache, where the packets are then looked at.
pub(super) const CHUNK: usize = 256 * 1024;
/// Longest record that is believed without the capture announcing longer ones.
pub(super) const USUAL_RECORD: usize = 256 * 1024;
/// Longest record or block that is read at all.
pub(super) const MAX_RECORD: usize = 64 * 1024 * 1024;
/// Most memory for undoing compression, KiB.
const MAX_WINDOW: u32 = 256 * 1024;

/// What a format's reader found in some bytes.
pub(super) struct Framed {
    /// Bytes used.
    pub(super) used: usize,
    /// Bytes, from the first unused, without which there is no next record.
    pub(super) need: usize,
    /// Why there can be no next record, with the offset in the bytes.
    pub(super) broken: Option<WireError>,
}

/// Where a format's reader puts what it finds.
pub(super) struct Out<'a> {
    pub(super) records: &'a mut Vec<Record>,
    pub(super) faults: &'a mut Vec<CaptureFault>,
    pub(super) info: &'a mut CaptureInfo,
    pub(super) capture: u32,
    pub(super) last: Timestamp,
}

impl Out<'_> {
    /// Notes a link type, with a fault the first time one appears that is not read.
    pub(super) fn link_type(&mut self, link: LinkType) {
        if self.info.link_type(link) && !link.is_read() {
            let error = WireError::new(Layer::Link, 0, Reason::Unsupported(link.0));
            self.faults.push(CaptureFault { at: self.last, capture: self.capture, error });
        }
    }
}

#[derive(Debug)]
enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

/// The raw bytes of a file or pipe, counted; remembers a failure of the disk, which a
/// decompressor would report as damaged content.
struct Raw {
    inner: Box<dyn Read + Send>,
    progress: Arc<Progress>,
    count: Arc<AtomicU64>,
    failed: Arc<AtomicBool>,
}

impl Read for Raw {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buffer) {
            Ok(n) => {
                self.progress.done.fetch_add(n as u64, Ordering::Relaxed);
                self.count.fetch_add(n as u64, Ordering::Relaxed);
                Ok(n)
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::Interrupted {
                    self.failed.store(true, Ordering::Relaxed);
                }
                Err(error)
            }
        }
    }
}

/// A capture that is being read.
pub(super) struct CaptureFile {
    bytes: Box<dyn Read + Send>,
    raw_count: Arc<AtomicU64>,
    disk_failed: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    /// Hand over what one `read` gave instead of waiting for a full buffer.
    impatient: bool,
    format: Format,
    /// Bytes read but not used yet.
    tail: Vec<u8>,
    /// Bytes from the tail's start without which there is no next record.
    need: usize,
    /// Offset of the tail in the uncompressed capture.
    offset: u64,
    last: Timestamp,
    ended: bool,
    capture: u32,
    pub(super) info: CaptureInfo,
}

impl CaptureFile {
    /// Opens a capture and reads its header.
    pub(super) fn open(
        input: &Input,
        capture: u32,
        options: &Options,
    ) -> Result<Self, CaptureError> {
        let (path, inner, size): (_, Box<dyn Read + Send>, _) = match input {
            Input::Stdin => (PathBuf::from("-"), Box::new(io::stdin()), None),
            Input::Path(path) => {
                let failed = |source| CaptureError::Open { path: path.clone(), source };
                let file = File::open(path).map_err(failed)?;
                let facts = file.metadata().map_err(failed)?;
                (path.clone(), Box::new(file), facts.is_file().then_some(facts.len()))
            }
        };
        let raw_count = Arc::default();
        let disk_failed = Arc::default();
        let mut raw = Raw {
            inner,
            progress: Arc::clone(&options.progress),
            count: Arc::clone(&raw_count),
            failed: Arc::clone(&disk_failed),
        };
        let mut first = Vec::new();
        let failed = |source| CaptureError::Read { path: path.clone(), source };
        read_to(&mut raw, &mut first, 6).map_err(failed)?;
        let (compression, mut bytes) = decompress(first, raw).map_err(failed)?;

        let mut tail = Vec::new();
        if let Err(source) = read_to(&mut bytes, &mut tail, pcapng::HEADER) {
            // Damaged compression: what came before it tells what to say.
            if disk_failed.load(Ordering::Relaxed) {
                return Err(CaptureError::Read { path, source });
            }
        }
        let (format, used) = tell(&path, compression, &tail)?;
        let mut info = CaptureInfo::new(
            path,
            match format {
                Format::Pcap(_) => "pcap",
                Format::Pcapng(_) => "pcapng",
            },
        );
        info.compression = compression;
        info.file_size = size.unwrap_or(0);
        tail.drain(..used);
        Ok(CaptureFile {
            bytes,
            raw_count,
            disk_failed,
            stop: Arc::clone(&options.stop),
            impatient: size.is_none(),
            format,
            tail,
            need: 0,
            offset: used as u64,
            last: Timestamp::default(),
            ended: false,
            capture,
            info,
        })
    }

    /// Has compression undone by another thread from here on.
    pub(super) fn read_ahead(&mut self) -> Result<(), CaptureError> {
        if self.info.compression.is_some() {
            let bytes = std::mem::replace(&mut self.bytes, Box::new(io::empty()));
            let failed = |source| CaptureError::Read { path: self.info.path.clone(), source };
            self.bytes = Box::new(ReadAhead::start(bytes).map_err(failed)?);
        }
        Ok(())
    }

    /// Replaces the batch's content by the next records, reading about `chunk` bytes.
    /// False when the capture has ended.
    pub(super) fn fill(&mut self, batch: &mut Batch, chunk: usize) -> Result<bool, CaptureError> {
        batch.reset(chunk.max(self.tail.len()));
        if self.ended {
            return Ok(false);
        }
        let mut have = self.tail.len();
        batch.buffer[..have].copy_from_slice(&self.tail); // `reset` made room for it
        if let Format::Pcap(pcap) = &self.format
            && self.info.link_types.is_empty()
        {
            self.info.snap_len = pcap.snap_len;
            let link = pcap.link();
            split(batch, &mut self.info, self.capture, self.last).1.link_type(link);
        }
        let (end, broken) = loop {
            let enough = self.need.max(have + 1);
            let end;
            (have, end) = self.read(&mut batch.buffer, have, enough)?;
            let (buffer, mut out) = split(batch, &mut self.info, self.capture, self.last);
            let bytes = buffer.get(..have).unwrap_or_default();
            let framed = match &mut self.format {
                Format::Pcap(pcap) => pcap.frame(bytes, end.is_some(), &mut out),
                Format::Pcapng(pcapng) => pcapng.frame(bytes, &mut out),
            };
            self.need = framed.need;
            let broken = framed
                .broken
                .map(|error| WireError { offset: error.offset + self.offset as usize, ..error });
            self.offset += framed.used as u64;
            if end.is_some() || broken.is_some() || !batch.records.is_empty() {
                self.tail.clear();
                self.tail.extend_from_slice(&batch.buffer[framed.used..have]); // both by `frame`
                break (end, broken);
            }
            // Nothing but blocks without packets: they make room.
            batch.buffer.copy_within(framed.used..have, 0);
            have -= framed.used;
        };
        self.info.count(&batch.records);
        self.last = batch.records.last().map_or(self.last, |record| record.at);
        if self.impatient {
            self.info.file_size = self.raw_count.load(Ordering::Relaxed);
        }
        if end.is_some() || broken.is_some() {
            self.end(end, broken, batch);
        }
        Ok(!self.ended || !batch.records.is_empty() || !batch.faults.is_empty())
    }

    /// Reads until the buffer holds `enough` bytes and, unless impatient, is full. Answers how
    /// much it holds, and why there will be no more.
    fn read(
        &mut self,
        buffer: &mut Vec<u8>,
        mut have: usize,
        enough: usize,
    ) -> Result<(usize, Option<End>), CaptureError> {
        loop {
            if have == buffer.len() {
                if have >= enough {
                    return Ok((have, None));
                }
                // Twice what really came, whatever a length field says.
                buffer.resize((2 * have).min(enough).max(CHUNK), 0);
            }
            if self.stop.load(Ordering::Relaxed) {
                return Ok((have, Some(End::Stopped)));
            }
            match self.bytes.read(&mut buffer[have..]) {
                Ok(0) => return Ok((have, Some(End::Eof))),
                Ok(n) => have += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) if self.disk_failed.load(Ordering::Relaxed) => {
                    return Err(CaptureError::Read { path: self.info.path.clone(), source });
                }
                Err(_) => return Ok((have, Some(End::Damaged))),
            }
            if self.impatient && have >= enough {
                return Ok((have, None));
            }
        }
    }

    fn end(&mut self, end: Option<End>, broken: Option<WireError>, batch: &mut Batch) {
        self.ended = true;
        let offset = self.offset as usize;
        let have = self.tail.len();
        let error = match (end, broken) {
            (_, Some(error)) => Some(error),
            (Some(End::Damaged), _) => {
                let reason = Reason::Malformed("compressed data is damaged or cut");
                Some(WireError::new(Layer::Capture, offset + have, reason))
            }
            (Some(End::Eof), _) if have > 0 => {
                Some(WireError::truncated(Layer::Capture, offset, self.need, have))
            }
            _ => None,
        };
        if let Some(error) = error {
            self.info.truncated = true;
            batch.faults.push(CaptureFault { at: self.last, capture: self.capture, error });
        }
        self.info.dropped = self.info.interfaces.iter().filter_map(|i| i.dropped).sum();
        // Gives the file back: thousands may follow.
        self.bytes = Box::new(io::empty());
        self.tail = Vec::new();
    }
}

/// Why a capture's bytes end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Eof,
    Stopped,
    Damaged,
}

/// A batch's buffer, and where records that are found in it go.
fn split<'a>(
    batch: &'a mut Batch,
    info: &'a mut CaptureInfo,
    capture: u32,
    last: Timestamp,
) -> (&'a [u8], Out<'a>) {
    let Batch { buffer, records, faults } = batch;
    (buffer, Out { records, faults, info, capture, last })
}

/// Reads until `buffer` holds `len` bytes or there are no more.
fn read_to(reader: &mut dyn Read, buffer: &mut Vec<u8>, len: usize) -> io::Result<()> {
    reader.take((len - buffer.len()) as u64).read_to_end(buffer).map(|_| ())
}

type Compression = Option<&'static str>;

/// Undoes the compression that the first bytes tell.
fn decompress(first: Vec<u8>, raw: Raw) -> io::Result<(Compression, Box<dyn Read + Send>)> {
    let kind = match first.as_slice() {
        [0x1f, 0x8b, ..] => "gzip",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd",
        [0xfd, b'7', b'z', b'X', b'Z', 0] => "xz",
        _ => return Ok((None, Box::new(io::Cursor::new(first).chain(raw)))),
    };
    // Decompressors ask for few bytes at a time.
    let bytes = io::Cursor::new(first).chain(io::BufReader::with_capacity(64 * 1024, raw));
    Ok((
        Some(kind),
        match kind {
            "gzip" => Box::new(flate2::bufread::MultiGzDecoder::new(bytes)),
            "zstd" => Box::new(zstd::Decoder::with_buffer(bytes)?),
            _ => Box::new(lzma_rust2::XzReader::new_mem_limit(bytes, true, MAX_WINDOW)),
        },
    ))
}

/// Tells the format by the first bytes; answers how many of them its header used.
fn tell(
    path: &Path,
    compression: Compression,
    bytes: &[u8],
) -> Result<(Format, usize), CaptureError> {
    let path = || path.to_owned();
    if pcapng::is_magic(bytes) {
        if bytes.len() < pcapng::HEADER {
            return Err(CaptureError::CutHeader { path: path(), have: bytes.len() });
        }
        return Ok((Format::Pcapng(Pcapng::default()), 0));
    }
    if pcap::is_magic(bytes) {
        return match bytes.first_chunk().and_then(Pcap::new) {
            Some(pcap) => Ok((Format::Pcap(pcap), pcap::HEADER)),
            None => Err(CaptureError::CutHeader { path: path(), have: bytes.len() }),
        };
    }
    if bytes.is_empty() && compression.is_none() {
        return Err(CaptureError::Empty { path: path() });
    }
    let what = describe(bytes);
    let found = match compression {
        Some(kind) => format!("{kind} of {what}"),
        None => what,
    };
    Err(CaptureError::NotCapture { path: path(), found })
}

/// What some bytes that are no capture look like.
fn describe(bytes: &[u8]) -> String {
    const KNOWN: &[(&[u8], &str)] = &[
        (b"snoop\0\0\0", "a snoop capture"),
        (b"GMBU", "a Microsoft Network Monitor capture"),
        (b"RTSS", "a Microsoft Network Monitor capture"),
        (b"TRSNIFF data", "a Sniffer capture"),
        (b"BZh", "compressed by bzip2: decompress it first"),
        (&[0x04, 0x22, 0x4d, 0x18], "compressed by lz4: decompress it first"),
        (b"PK", "a zip archive: unpack it first"),
        (b"7z", "a 7-zip archive: unpack it first"),
        (b"PAR1", "a Parquet table"),
        (b"\x7fELF", "a program"),
        (b"<", "XML or a web page"),
        (b"{", "JSON"),
    ];
    if bytes.is_empty() {
        return "nothing".into();
    }
    if let Some((_, what)) = KNOWN.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return format!("it looks like {what}").replace("like compressed", "compressed");
    }
    if bytes.iter().all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace()) {
        return "it is text".into();
    }
    let hex: Vec<String> = bytes.iter().take(8).map(|b| format!("{b:02x}")).collect();
    format!("it starts with {}", hex.join(" "))
}
