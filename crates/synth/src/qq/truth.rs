//! What was really sent, and what of it the capture holds.

use std::io::{self, Write};

use md5::{Digest, Md5};
use serde::Serialize;

/// One direction's video.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct StreamTruth {
    /// Its number: 0 from the caller, 1 to the caller.
    pub stream: u32,
    /// Whether the caller sends it.
    pub up: bool,
    /// RTP's source.
    pub source: u32,
    /// Packets of video that were sent.
    pub sent: u64,
    /// Different ones that the capture holds.
    pub captured: u64,
    /// Those missing between the first and the last that it holds.
    pub lost: u64,
    /// Copies beyond the first.
    pub duplicates: u64,
    /// Packets of audio that were sent.
    pub audio: u64,
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct VideoFrame {
    /// The number of its stream.
    pub stream: u32,
    /// FF: what marks its packets.
    pub frame: u32,
    /// RTP's time.
    pub rtp_time: u32,
    /// The same from the stream's first frame on, without wrapping.
    pub ticks: i64,
    /// When its first packet passes the capture point, nanoseconds since 1970 UTC.
    pub sent_at: i64,
    /// Whether it stands alone.
    pub key: bool,
    /// Whether it is meant to be seen.
    pub shown: bool,
    /// VS of its first packet.
    pub first_video: u64,
    /// Packets that it was sent in.
    pub fragments: u32,
    /// Those that the capture lacks, from 0.
    pub lost: Vec<u32>,
    /// `intact`, `after_loss` (a frame since the last key frame is not whole), `incomplete`, or
    /// `unseen` where the capture holds nothing of it.
    pub state: &'static str,
    /// Bytes of the coded frame, before anything was left out.
    pub bytes: u32,
    /// MD5 of them, in hexadecimal digits.
    pub md5: String,
    /// The coded frame.
    #[serde(skip)]
    pub data: Vec<u8>,
    /// How often the capture holds each packet.
    #[serde(skip)]
    pub(super) seen: Vec<u32>,
}

/// The truth about a call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Truth {
    /// Every direction with video.
    pub streams: Vec<StreamTruth>,
    /// Every frame, in the order of sending.
    pub frames: Vec<VideoFrame>,
    /// Packets in the capture.
    pub packets: u64,
}

#[derive(Serialize)]
#[serde(tag = "row", rename_all = "kebab-case")]
enum Row<'a> {
    VideoStream(&'a StreamTruth),
    VideoFrame(&'a VideoFrame),
}

impl Truth {
    /// Writes it as JSON lines.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let streams = self.streams.iter().map(Row::VideoStream);
        for row in streams.chain(self.frames.iter().map(Row::VideoFrame)) {
            serde_json::to_writer(&mut *out, &row)?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    pub(super) fn seen(&mut self, (frame, index): (usize, u32)) {
        let frame = &mut self.frames[frame];
        frame.seen.resize(frame.fragments as usize, 0);
        frame.seen[index as usize] += 1;
    }

    /// Works out what became of every frame.
    pub(super) fn judge(&mut self) {
        for stream in &mut self.streams {
            let mut whole = false; // all since the last key frame
            let mut gap = None; // packets missing since the last that is there
            for frame in self.frames.iter_mut().filter(|frame| frame.stream == stream.stream) {
                frame.seen.resize(frame.fragments as usize, 0);
                for (index, times) in frame.seen.iter().enumerate() {
                    if *times == 0 {
                        frame.lost.push(index as u32);
                        gap = gap.map(|missing: u64| missing + 1);
                        continue;
                    }
                    stream.captured += 1;
                    stream.duplicates += u64::from(times - 1);
                    stream.lost += gap.replace(0).unwrap_or(0);
                }
                let complete = frame.lost.is_empty();
                whole = complete && (whole || frame.key);
                frame.state = match (complete, whole) {
                    (true, true) => "intact",
                    (true, false) => "after_loss",
                    (false, _) if frame.lost.len() == frame.seen.len() => "unseen",
                    (false, _) => "incomplete",
                };
            }
        }
    }
}

pub(super) fn md5(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().fold(String::new(), |all, byte| all + &format!("{byte:02x}"))
}
