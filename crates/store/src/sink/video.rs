//! Video streams and their frames, from the packets of flows that are told to be video.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use ottoscope_flow::{Flow, FlowId, Message, Span};
use ottoscope_media::qq::{Options, Session};
use ottoscope_media::{Frame, FrameState, Quality, Stream};

use crate::tables::{FrameRow, VideoRow};

/// Calls followed at once; video of others is counted as flows only.
const CALLS: usize = 1024;
/// Frames of a call held until its end tells their clock: two and a half hours of one way.
const HELD: usize = 1 << 17;

/// Calls whose flows have not ended.
#[derive(Default)]
pub(super) struct Calls {
    open: HashMap<FlowId, Call, RandomState>,
}

/// One flow.
struct Call {
    session: Session,
    /// Frames without their bytes, and how many those were.
    frames: Vec<(Frame, u64)>,
    quality: HashMap<u32, Quality, RandomState>,
}

impl Calls {
    /// Takes a message of a flow of video; `write` gets frames that need not wait longer.
    pub(super) fn message<E>(
        &mut self,
        message: &Message<'_>,
        mut write: impl FnMut(&FrameRow<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let full = self.open.len() >= CALLS;
        let call = match self.open.entry(message.flow.id) {
            std::collections::hash_map::Entry::Occupied(call) => call.into_mut(),
            std::collections::hash_map::Entry::Vacant(_) if full => return Ok(()),
            std::collections::hash_map::Entry::Vacant(free) => free.insert(Call {
                session: Session::new(Options::default()),
                frames: Vec::new(),
                quality: HashMap::default(),
            }),
        };
        let Call { session, frames, .. } = call;
        session.message(message, &mut |frame| frames.push(stripped(frame)));
        if frames.len() >= HELD {
            let session = &call.session;
            let known = |number| session.stream(number);
            for (frame, bytes) in &call.frames {
                let Some(stream) = known(frame.stream) else { continue };
                see(&mut call.quality, frame, stream);
                write(&frame_row(message.flow.id, frame, *bytes, stream))?;
            }
            call.frames.clear();
        }
        Ok(())
    }

    /// The flow has ended: all that is known of its video.
    pub(super) fn end<E>(
        &mut self,
        flow: &Flow,
        write: &mut dyn FnMut(&FrameRow<'_>) -> Result<(), E>,
        streams: &mut dyn FnMut(&VideoRow<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(call) = self.open.remove(&flow.id) else { return Ok(()) };
        let Call { session, mut frames, mut quality } = call;
        let recovered = session.finish(&mut |frame| frames.push(stripped(frame)));
        let Some(score) = recovered.accepted else { return Ok(()) };
        for (frame, bytes) in &frames {
            let Some(stream) = recovered.streams.iter().find(|s| s.number == frame.stream) else {
                continue;
            };
            see(&mut quality, frame, stream);
            write(&frame_row(flow.id, frame, *bytes, stream))?;
        }
        let audio = recovered.streams.iter().filter(|s| !s.is_video()).map(|s| s.packets).sum();
        for stream in recovered.streams.iter().filter(|stream| stream.is_video()) {
            let seen = quality.remove(&stream.number).unwrap_or_default();
            let (freezes, frozen) = seen.freezes();
            let seconds = (stream.last - stream.first).as_seconds();
            let rate = (seconds > 0.0).then(|| stream.bytes as f64 * 8.0 / 1e3 / seconds);
            streams(&VideoRow {
                flow: flow.id.0,
                direction: stream.direction.name(),
                ssrc: stream.ssrc,
                carried: stream.transport,
                score: f64::from(score.value()),
                first: stream.first,
                last: stream.last,
                clock: stream.clock_verified.then_some(stream.clock_hz),
                packets: stream.packets,
                bytes: stream.bytes,
                lost: stream.lost,
                duplicates: stream.duplicates,
                out_of_order: stream.reordered,
                frames: stream.intact + stream.after_loss + stream.incomplete,
                intact: stream.intact,
                after_loss: stream.after_loss,
                incomplete: stream.incomplete,
                key_frames: stream.key_frames,
                width: stream.size.map(|(width, _)| width),
                height: stream.size.map(|(_, height)| height),
                frame_rate: seen.frame_rate(),
                kbit_per_second: rate,
                freezes,
                frozen_seconds: frozen.as_seconds(),
                audio_packets: audio,
            })?;
        }
        Ok(())
    }
}

/// A frame without its bytes: nobody's picture waits here.
fn stripped(mut frame: Frame) -> (Frame, u64) {
    let bytes = std::mem::take(&mut frame.data).len() as u64;
    (frame, bytes)
}

/// Seconds of media time since the stream's first frame.
fn seconds(frame: &Frame, stream: &Stream) -> Option<f64> {
    (stream.clock_hz > 0).then(|| frame.ticks as f64 / f64::from(stream.clock_hz))
}

fn see(quality: &mut HashMap<u32, Quality, RandomState>, frame: &Frame, stream: &Stream) {
    let shown = frame.header.is_none_or(|header| header.shown);
    if frame.state != FrameState::Intact || !shown {
        return;
    }
    if let Some(at) = seconds(frame, stream) {
        quality.entry(frame.stream).or_default().picture(Span((at * 1e9) as i64));
    }
}

fn frame_row<'a>(flow: FlowId, frame: &Frame, bytes: u64, stream: &Stream) -> FrameRow<'a> {
    let size = frame.header.and_then(|header| header.size);
    FrameRow {
        flow: flow.0,
        direction: stream.direction.name(),
        ssrc: stream.ssrc,
        first: frame.first,
        last: frame.last,
        time: seconds(frame, stream),
        bytes,
        fragments: frame.fragments,
        expected: frame.expected,
        key: frame.header.map(|header| header.key),
        shown: frame.header.map(|header| header.shown),
        width: size.map(|(width, _)| width),
        height: size.map(|(_, height)| height),
        state: frame.state.name(),
        reason: frame.reason.map(|reason| reason.name()),
    }
}
