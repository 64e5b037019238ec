//! Frames of one stream to files: coded ones as they came, and the pictures in them.
//!
//! What the network damaged is left out by default: the video freezes where something is lost
//! and goes on at the next key frame. Files appear whole or not at all, and only their owner may
//! read them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use crate::frame::{Frame, FrameState};
use crate::picture::Picture;
use crate::vp8::{self, DecodeError, Decoder, FrameDecoder, Limits};
use crate::{ivf, png, webm, y4m};

/// What to write, and of which frames.
#[derive(Debug, Clone)]
pub struct Options {
    /// Coded frames in IVF.
    pub ivf: bool,
    /// Coded frames in WebM.
    pub webm: bool,
    /// Pictures at a constant rate.
    pub y4m: bool,
    /// Pictures without any header, each once.
    pub yuv: bool,
    /// Every so many pictures one as PNG.
    pub png: Option<NonZeroU32>,
    /// Whether to show frames that refer to a damaged one: decoders guess them.
    pub after_loss: bool,
    /// Largest pictures taken.
    pub limits: Limits,
    /// Ticks in a second of the frames' times.
    pub clock: u32,
}

impl Default for Options {
    /// Nothing, of a stream with a clock of 90 kHz.
    fn default() -> Self {
        Options {
            ivf: false,
            webm: false,
            y4m: false,
            yuv: false,
            png: None,
            after_loss: false,
            limits: Limits::default(),
            clock: 90_000,
        }
    }
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Where it is.
    pub path: PathBuf,
    /// Coded frames or pictures in it.
    pub frames: u64,
    /// Its length.
    pub bytes: u64,
}

/// A frame that no decoder should be given, or that ours would not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Its place in the stream, from 0.
    pub frame: u64,
    /// Its time.
    pub ticks: i64,
    /// Why.
    pub error: DecodeError,
}

/// Most refusals that are listed one by one.
const LISTED: usize = 1000;

/// What became of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Every file.
    pub files: Vec<Written>,
    /// Frames given to it.
    pub frames: u64,
    /// Frames written.
    pub written: u64,
    /// Those of `written` that are there for others to refer to, and never seen.
    pub hidden: u64,
    /// Frames left out since something of them, or of one they refer to, is missing.
    pub withheld: u64,
    /// Frames left out since they are no frames, or over the limits.
    pub refused: u64,
    /// The first thousand of those.
    pub refusals: Vec<Refused>,
    /// Time of the first frame written, which is 0 in the files.
    pub start: Option<i64>,
}

/// Why files could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{} could not be written", path.display())]
pub struct ExtractError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// A file that is not there yet: its bytes lie beside it under a name of their own.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    beside: PathBuf,
    kept: bool,
}

impl Part {
    fn create(folder: &Path, name: &str) -> Result<(Self, BufWriter<File>), ExtractError> {
        let part = Part {
            path: folder.join(name),
            beside: folder.join(format!(".{name}.part")),
            kept: false,
        };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let _ = fs::remove_file(&part.beside); // of a run that was killed
        match options.open(&part.beside) {
            Ok(file) => Ok((part, BufWriter::new(file))),
            Err(source) => Err(part.failed(source)),
        }
    }

    fn failed(&self, source: io::Error) -> ExtractError {
        ExtractError { path: self.path.clone(), source }
    }

    /// Puts the file in its place; `frames` are in it.
    fn keep(mut self, frames: u64) -> Result<Written, ExtractError> {
        let done = fs::metadata(&self.beside).and_then(|meta| {
            fs::rename(&self.beside, &self.path)?;
            Ok(meta.len())
        });
        let bytes = done.map_err(|source| self.failed(source))?;
        self.kept = true;
        Ok(Written { path: self.path.clone(), frames, bytes })
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.beside);
        }
    }
}

/// Pictures without headers.
#[derive(Debug)]
struct Raw {
    out: BufWriter<File>,
    size: (u16, u16),
    pictures: u64,
}

/// Writes one stream's files.
pub struct Extract {
    folder: PathBuf,
    stem: String,
    options: Options,
    decoder: Box<dyn FrameDecoder + Send>,
    /// Whether a key frame has been taken, and all since.
    ready: bool,
    ivf: Option<(Part, BufWriter<File>, u32)>,
    webm: Option<(Part, webm::Writer<BufWriter<File>>)>,
    y4m: Option<(Part, y4m::Writer<BufWriter<File>>)>,
    raw: Option<(Part, Raw)>,
    /// Files that are finished, with their frames.
    done: Vec<(Part, u64)>,
    /// Parts of Y4M and of raw pictures, since neither can change size.
    parts: [u32; 2],
    pictures: u64,
    /// Time of the last picture, and how long the one before was there, in ticks from the start.
    last: (i64, i64),
    report: Report,
}

impl std::fmt::Debug for Extract {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Extract").field("stem", &self.stem).finish_non_exhaustive()
    }
}

impl Extract {
    /// Files named after `stem` in a folder that exists. No file is made before a frame is
    /// there to be written.
    pub fn new(folder: &Path, stem: &str, options: Options) -> Self {
        let decoder = Box::new(Decoder::new(options.limits));
        Self::with_decoder(folder, stem, options, decoder)
    }

    /// The same with another decoder.
    pub fn with_decoder(
        folder: &Path,
        stem: &str,
        options: Options,
        decoder: Box<dyn FrameDecoder + Send>,
    ) -> Self {
        Extract {
            folder: folder.to_owned(),
            // A name and not a path, whatever it was made of.
            stem: stem.replace(['/', '\\', '\0'], "_"),
            options,
            decoder,
            ready: false,
            ivf: None,
            webm: None,
            y4m: None,
            raw: None,
            done: Vec::new(),
            parts: [0; 2],
            pictures: 0,
            last: (0, 0),
            report: Report::default(),
        }
    }

    /// Takes the next frame of the stream.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn push(&mut self, frame: &Frame) -> Result<(), ExtractError> {
        let number = self.report.frames;
        self.report.frames += 1;
        let trusted = match frame.state {
            FrameState::Intact => true,
            FrameState::AfterLoss => self.options.after_loss && self.ready,
            FrameState::Incomplete => false,
        };
        if !trusted {
            self.report.withheld += 1;
            return Ok(());
        }
        match self.take(frame) {
            Ok((header, picture)) => {
                let start = *self.report.start.get_or_insert(frame.ticks);
                let at = frame.ticks.saturating_sub(start).max(self.last.0);
                if header.shown {
                    self.last = (at, if at > self.last.0 { at - self.last.0 } else { self.last.1 });
                } else {
                    self.report.hidden += 1;
                }
                self.report.written += 1;
                self.coded(at, header, &frame.data)?;
                picture.map_or(Ok(()), |picture| self.picture(at, &picture))
            }
            Err(error) => {
                self.ready = false;
                self.decoder.reset();
                self.report.refused += 1;
                if self.report.refusals.len() < LISTED {
                    let refused = Refused { frame: number, ticks: frame.ticks, error };
                    self.report.refusals.push(refused);
                }
                Ok(())
            }
        }
    }

    /// Looks at a frame, and decodes it where pictures are wanted.
    fn take(
        &mut self,
        frame: &Frame,
    ) -> Result<(crate::FrameHeader, Option<Picture>), DecodeError> {
        let header = vp8::header(&frame.data)?;
        if let Some((width, height)) = header.size {
            self.options.limits.check(width, height)?;
        } else if !self.ready {
            return Err(DecodeError::NoKey);
        }
        let Options { y4m, yuv, png, .. } = self.options;
        let picture =
            if y4m || yuv || png.is_some() { self.decoder.decode(&frame.data)? } else { None };
        self.ready = true;
        Ok((header, picture))
    }

    /// Writes a frame into IVF and WebM; the first is a key frame.
    fn coded(
        &mut self,
        at: i64,
        header: crate::FrameHeader,
        data: &[u8],
    ) -> Result<(), ExtractError> {
        let (width, height) = header.size.unwrap_or_default();
        if self.options.ivf {
            let (part, out, frames) = match &mut self.ivf {
                Some(open) => open,
                None => {
                    let (part, mut out) = self.open(&format!("{}.ivf", self.stem))?;
                    let rate = self.options.clock;
                    let fourcc = ivf::VP80;
                    let head = ivf::Header { fourcc, width, height, rate, scale: 1, frames: 0 };
                    out.write_all(&head.emit()).map_err(|e| part.failed(e))?;
                    self.ivf.insert((part, out, 0))
                }
            };
            ivf::write_frame(out, at as u64, data).map_err(|e| part.failed(e))?;
            *frames += 1;
        }
        if self.options.webm {
            let time = self.milliseconds(at);
            let (part, writer) = match &mut self.webm {
                Some(open) => open,
                None => {
                    let (part, out) = self.open(&format!("{}.webm", self.stem))?;
                    let writer =
                        webm::Writer::new(out, width, height).map_err(|e| part.failed(e))?;
                    self.webm.insert((part, writer))
                }
            };
            let written = writer.write(time, header.key, header.shown, data);
            written.map_err(|e| part.failed(e))?;
        }
        Ok(())
    }

    /// Writes a picture into Y4M, raw file and PNG.
    fn picture(&mut self, at: i64, picture: &Picture) -> Result<(), ExtractError> {
        if self.options.y4m {
            let written = match &mut self.y4m {
                Some((part, writer)) => {
                    writer.write(at, picture).map_err(|e| part.failed(e))? == y4m::Written::Yes
                }
                None => false,
            };
            if !written {
                self.close_y4m()?;
                self.parts[0] += 1;
                let name = self.part_name(self.parts[0], ".y4m");
                let (part, out) = self.open(&name)?;
                let mut writer = y4m::Writer::new(out, self.options.clock);
                writer.write(at, picture).map_err(|e| part.failed(e))?;
                self.y4m = Some((part, writer));
            }
        }
        if self.options.yuv {
            let size = (picture.width, picture.height);
            if self.raw.as_ref().is_none_or(|(_, raw)| raw.size != size) {
                self.close_raw()?;
                self.parts[1] += 1;
                let name = self.part_name(self.parts[1], &format!("-{}x{}.yuv", size.0, size.1));
                let (part, out) = self.open(&name)?;
                self.raw = Some((part, Raw { out, size, pictures: 0 }));
            }
            if let Some((part, raw)) = &mut self.raw {
                for plane in picture.planes() {
                    raw.out.write_all(plane).map_err(|e| part.failed(e))?;
                }
                raw.pictures += 1;
            }
        }
        if let Some(every) = self.options.png
            && self.pictures.is_multiple_of(every.get().into())
        {
            let (part, mut out) = self.open(&format!("{}-{:06}.png", self.stem, self.pictures))?;
            let written = png::write(&mut out, picture).and_then(|()| out.flush());
            written.map_err(|e| part.failed(e))?;
            self.done.push((part, 1));
        }
        self.pictures += 1;
        Ok(())
    }

    fn open(&self, name: &str) -> Result<(Part, BufWriter<File>), ExtractError> {
        Part::create(&self.folder, name)
    }

    fn part_name(&self, part: u32, end: &str) -> String {
        match part {
            1 => format!("{}{end}", self.stem),
            _ => format!("{}-{part}{end}", self.stem),
        }
    }

    fn milliseconds(&self, ticks: i64) -> u64 {
        let clock = i128::from(self.options.clock.max(1));
        ((i128::from(ticks) * 1000 + clock / 2) / clock) as u64
    }

    fn close_y4m(&mut self) -> Result<(), ExtractError> {
        if let Some((part, writer)) = self.y4m.take() {
            let (_, frames) = writer.finish().map_err(|e| part.failed(e))?;
            self.done.push((part, frames));
        }
        Ok(())
    }

    fn close_raw(&mut self) -> Result<(), ExtractError> {
        if let Some((part, mut raw)) = self.raw.take() {
            raw.out.flush().map_err(|e| part.failed(e))?;
            self.done.push((part, raw.pictures));
        }
        Ok(())
    }

    /// Finishes all files and puts them in their places. What is dropped before leaves none.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn finish(mut self) -> Result<Report, ExtractError> {
        if let Some((part, mut out, frames)) = self.ivf.take() {
            // The header tells the number of frames at byte 24.
            let counted = out
                .seek(SeekFrom::Start(24))
                .and_then(|_| out.write_all(&frames.to_le_bytes()))
                .and_then(|()| out.flush());
            counted.map_err(|e| part.failed(e))?;
            self.done.push((part, frames.into()));
        }
        if let Some((part, writer)) = self.webm.take() {
            let frames = writer.frames();
            let linger = self.milliseconds(self.last.1);
            writer.finish(linger).map_err(|e| part.failed(e))?;
            self.done.push((part, frames));
        }
        self.close_y4m()?;
        self.close_raw()?;
        for (part, frames) in std::mem::take(&mut self.done) {
            self.report.files.push(part.keep(frames)?);
        }
        Ok(std::mem::take(&mut self.report))
    }
}
