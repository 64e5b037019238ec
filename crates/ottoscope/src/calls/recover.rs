//! Captures read for their video: streams, frames, and files of those.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ottoscope_flow::capture::{Options, Progress};
use ottoscope_flow::dissector::qq_video;
use ottoscope_flow::run::{RunError, feed_all};
use ottoscope_flow::{Config, Engine, Flow, FlowId, Message, Segment, Shard, Sink};
use ottoscope_media::extract::{self, ExtractError, Report};
use ottoscope_media::qq::{self, Session};
use ottoscope_media::rtp_video;
use ottoscope_media::strip::Strip;
use ottoscope_media::vp8::Limits;
use ottoscope_media::{Extract, Frame, Stream};
use ottoscope_store::Study;

use crate::commands::calls::args::{AfterLoss, VideoArgs};
use crate::hint::stored;
use crate::input;
use crate::progress::ReadingBar;

/// Flows of video followed at once.
const CALLS: usize = 4096;

/// What was found of one video stream.
pub(crate) struct Found {
    pub(crate) flow: Flow,
    /// How sure it is that the flow is video, 0 to 1.
    pub(crate) score: f32,
    pub(crate) stream: Stream,
    /// Its frames, without their bytes but with how many those were.
    pub(crate) frames: Vec<(Frame, u64)>,
    /// The same for a page.
    pub(crate) strip: Strip,
    /// What was written, where something was asked for.
    pub(crate) report: Option<Report>,
}

impl Found {
    /// A name for its files.
    pub(crate) fn stem(&self) -> String {
        stem(self.flow.id, &self.stream)
    }
}

fn stem(flow: FlowId, stream: &Stream) -> String {
    format!("{}-{}-{:08x}", flow.0, stream.direction.name(), stream.ssrc)
}

/// Reads captures, writes what `wanted` asks for into `folder`, and tells what there was; whether
/// the reading was broken off, too.
pub(crate) fn recover(
    args: &VideoArgs,
    folder: &Path,
    wanted: &extract::Options,
) -> anyhow::Result<(Vec<Found>, bool)> {
    let study = args.study.as_ref().map(|path| Study::open(path).map_err(stored)).transpose()?;
    let flow_key = match &study {
        Some(study) => study.secret().map_err(stored)?.0.flow_key(),
        None => Config::default().flow_key,
    };
    // QQ's video as the engine tells it; RTP packet by packet, since a stream's first frame is
    // over before the engine calls it one.
    let config =
        Config { bins: false, video_packets: true, segments: true, flow_key, ..Config::default() };
    let options = Options { stop: input::stop_flag(), progress: Arc::new(Progress::default()) };
    let mut source = input::captures(&args.captures, options.clone())?;
    let bar = ReadingBar::show(Arc::clone(&options.progress));
    let (width, height) = args.max_size;
    let wanted = extract::Options {
        after_loss: args.after_loss == AfterLoss::Show,
        limits: Limits { width, height },
        ..wanted.clone()
    };
    let sink = Recovery {
        only: args.flow.iter().copied().map(FlowId).collect(),
        options: qq::Options { assume_size: args.assume_size, ..qq::Options::default() },
        folder,
        wanted,
        open: HashMap::new(),
        rtp: HashMap::new(),
        found: Vec::new(),
    };
    let mut engine = Engine::new(config, Arc::default(), Shard::single(), sink);
    let read = feed_all(&mut source, &mut engine);
    let finished = engine.finish();
    drop(bar);
    let failed = |error: ExtractError| {
        let text = error.to_string();
        anyhow::Error::new(error).context(text)
    };
    let stopped_by = read.map_err(|error| match error {
        RunError::Sink(error) => failed(error),
        error => anyhow::anyhow!("{error}"),
    })?;
    let (sink, _) = finished.map_err(failed)?;
    if let Some(error) = stopped_by {
        return Err(input::capture_error(error));
    }
    Ok((sink.found, options.stop.load(Ordering::Relaxed)))
}

/// Follows flows of video.
struct Recovery<'a> {
    only: Vec<FlowId>,
    options: qq::Options,
    folder: &'a Path,
    wanted: extract::Options,
    open: HashMap<FlowId, Call<Session>>,
    rtp: HashMap<FlowId, Call<rtp_video::Session>>,
    found: Vec<Found>,
}

/// Datagrams of a flow that may bear RTP: version 2, and no STUN, DTLS or RTCP (RFC 7983).
fn may_be_rtp(bytes: &[u8]) -> bool {
    bytes.len() > 12 && matches!(bytes[0], 128..=191) && !(200..=207).contains(&bytes[1])
}

/// One flow.
struct Call<S> {
    session: S,
    streams: HashMap<u32, Recovered>,
}

/// One stream so far.
struct Recovered {
    frames: Vec<(Frame, u64)>,
    strip: Strip,
    files: Option<Extract>,
}

impl Recovered {
    fn new(flow: FlowId, stream: &Stream, folder: &Path, wanted: &extract::Options) -> Self {
        let w = wanted;
        let files = (w.ivf || w.webm || w.y4m || w.yuv || w.png.is_some()).then(|| {
            let options = extract::Options { clock: stream.clock_hz, ..w.clone() };
            Extract::new(folder, &stem(flow, stream), options)
        });
        Recovered { frames: Vec::new(), strip: Strip::new(stream.clock_hz), files }
    }

    /// Takes a frame; its bytes go into the files and no further.
    fn take(&mut self, mut frame: Frame) -> Result<(), ExtractError> {
        if let Some(files) = &mut self.files {
            files.push(&frame)?;
        }
        self.strip.push(&frame);
        let bytes = std::mem::take(&mut frame.data).len() as u64;
        self.frames.push((frame, bytes));
        Ok(())
    }
}

impl Recovery<'_> {
    /// Takes a flow's last frames, and keeps what became of its streams.
    fn end(
        &mut self,
        flow: &Flow,
        score: f32,
        mut open: HashMap<u32, Recovered>,
        streams: Vec<Stream>,
        frames: Vec<Frame>,
    ) -> Result<(), ExtractError> {
        for frame in frames {
            let is_its = |stream: &&Stream| stream.number == frame.stream;
            let Some(stream) = streams.iter().find(is_its) else { continue };
            let fresh = || Recovered::new(flow.id, stream, self.folder, &self.wanted);
            open.entry(frame.stream).or_insert_with(fresh).take(frame)?;
        }
        for stream in streams.into_iter().filter(Stream::is_video) {
            let fresh = || Recovered::new(flow.id, &stream, self.folder, &self.wanted);
            let kept = open.remove(&stream.number).unwrap_or_else(fresh);
            let Recovered { frames, strip, files } = kept;
            let report = files.map(Extract::finish).transpose()?;
            let flow = flow.clone();
            self.found.push(Found { flow, score, stream, frames, strip, report });
        }
        Ok(())
    }
}

impl Sink for Recovery<'_> {
    type Error = ExtractError;

    fn message(&mut self, message: &Message<'_>) -> Result<(), ExtractError> {
        let id = message.flow.id;
        let wanted = self.only.is_empty() || self.only.contains(&id);
        if message.protocol != qq_video::PROTOCOL.name || !wanted {
            return Ok(());
        }
        let mut call = match self.open.remove(&id) {
            Some(call) => call,
            None if self.open.len() >= CALLS => return Ok(()),
            None => Call { session: Session::new(self.options), streams: HashMap::new() },
        };
        let mut frames = Vec::new();
        call.session.message(message, &mut |frame| frames.push(frame));
        for frame in frames {
            let Some(stream) = call.session.stream(frame.stream) else { continue };
            let fresh = || Recovered::new(id, stream, self.folder, &self.wanted);
            call.streams.entry(frame.stream).or_insert_with(fresh).take(frame)?;
        }
        self.open.insert(id, call);
        Ok(())
    }

    fn segment(&mut self, segment: &Segment<'_>) -> Result<(), ExtractError> {
        let id = segment.flow.id;
        let wanted = self.only.is_empty() || self.only.contains(&id);
        let whole = segment.payload.len() == segment.len as usize;
        if segment.sequence.is_some() || !wanted || !whole || !may_be_rtp(segment.payload) {
            return Ok(());
        }
        let mut call = match self.rtp.remove(&id) {
            Some(call) => call,
            None if self.rtp.len() >= CALLS => return Ok(()),
            None => Call { session: rtp_video::Session::default(), streams: HashMap::new() },
        };
        let mut frames = Vec::new();
        let Segment { at, direction, payload, .. } = *segment;
        call.session.datagram(at, direction, payload, &mut |frame| frames.push(frame));
        for frame in frames {
            let Some(stream) = call.session.stream(frame.stream) else { continue };
            let fresh = || Recovered::new(id, stream, self.folder, &self.wanted);
            call.streams.entry(frame.stream).or_insert_with(fresh).take(frame)?;
        }
        self.rtp.insert(id, call);
        Ok(())
    }

    fn flow(&mut self, flow: &Flow) -> Result<(), ExtractError> {
        if let Some(call) = self.rtp.remove(&flow.id) {
            let mut frames = Vec::new();
            let streams = call.session.finish(&mut |frame| frames.push(frame));
            // A whole key frame with VP8's start code, and one that follows it: no chance.
            self.end(flow, 1.0, call.streams, streams, frames)?;
        }
        let Some(call) = self.open.remove(&flow.id) else { return Ok(()) };
        let mut frames = Vec::new();
        let recovered = call.session.finish(&mut |frame| frames.push(frame));
        let Some(score) = recovered.accepted else { return Ok(()) };
        self.end(flow, score.value(), call.streams, recovered.streams, frames)
    }
}
