//! Gathers what a [`Score`] weighs, source by source, from packets in order of arrival.

use ottoscope_wire::qq_video::{Content, Packet};
use ottoscope_wire::vp8::{Header, MAX_VERSION, TAG, Tag};

use super::score::Score;

/// Sources looked at in one direction; a call has one, or another after a restart.
const MAX_SOURCES: usize = 4;
/// Steps of the numbers that are one run, with loss and reordering.
const NEAR: i64 = 3000;

/// The video packets of one direction.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    sources: Vec<Source>,
    packets: u32,
}

impl Evidence {
    /// Takes a packet of video.
    pub(super) fn take(&mut self, packet: &Packet<'_>, content: &Content<'_>) {
        self.packets += 1;
        let ssrc = content.rtp.ssrc;
        let place = match self.sources.iter().position(|source| source.ssrc == ssrc) {
            Some(place) => place,
            None if self.sources.len() < MAX_SOURCES => {
                self.sources.push(Source { ssrc, ..Source::default() });
                self.sources.len() - 1
            }
            None => return,
        };
        self.sources[place].take(packet, content);
    }

    /// Packets of video so far.
    pub(super) fn packets(&self) -> u32 {
        self.packets
    }

    /// What the source of most packets is worth.
    pub(super) fn score(&self, transport: &'static str) -> Option<Score> {
        let source = self.sources.iter().max_by_key(|source| source.packets)?;
        let share = |some: u32, all: u32| if all == 0 { 0.0 } else { some as f32 / all as f32 };
        Some(Score {
            transport,
            packets: source.packets,
            same_source: share(source.packets, self.packets),
            next_number: share(source.next, source.steps),
            rising_time: share(source.rising, source.forward),
            frames: source.frames,
            sane: source.sane,
        })
    }
}

/// One source on trial.
#[derive(Debug, Default)]
struct Source {
    ssrc: u32,
    packets: u32,
    /// Packets behind another, duplicates left out; those one number on; those ahead; those of
    /// them whose time does not fall.
    steps: u32,
    next: u32,
    forward: u32,
    rising: u32,
    frames: u32,
    sane: u32,
    last: Option<Last>,
    open: Option<Open>,
}

/// The packet before.
#[derive(Debug, Clone, Copy)]
struct Last {
    number: Option<u64>,
    sequence: u16,
    timestamp: u32,
    frame: u32,
}

/// A frame whose first bytes were seen.
#[derive(Debug, Clone, Copy)]
struct Open {
    tag: Option<Tag>,
    len: usize,
}

impl Source {
    fn take(&mut self, packet: &Packet<'_>, content: &Content<'_>) {
        let this = Last {
            number: packet.number(),
            sequence: content.rtp.sequence,
            timestamp: content.rtp.timestamp,
            frame: packet.frame(),
        };
        let step = self.last.map(|last| last.step(&this));
        if step == Some(0) {
            return; // again
        }
        self.packets += 1;
        let known = Header::parse(content.data).is_ok_and(|header| {
            header.tag.version <= MAX_VERSION
                && header.size.is_some_and(|(width, height)| width.pixels > 0 && height.pixels > 0)
        });
        if let (Some(step), Some(last)) = (step, self.last) {
            self.steps += 1;
            self.next += u32::from(step == 1);
            if (1..NEAR).contains(&step) {
                self.forward += 1;
                let rise = this.timestamp.wrapping_sub(last.timestamp) as i32;
                self.rising += u32::from(rise >= 0);
            }
            let same = (this.timestamp, this.frame) == (last.timestamp, last.frame);
            match (step, same) {
                (1, true) => {
                    if let Some(open) = &mut self.open {
                        open.len += content.data.len();
                    }
                }
                (1, false) => {
                    self.close();
                    self.open =
                        Some(Open { tag: Tag::parse(content.data).ok(), len: content.data.len() });
                }
                _ => self.open = None,
            }
        }
        if known {
            // A start code is as good as a whole frame.
            (self.frames, self.sane) = (self.frames + 1, self.sane + 1);
            self.open = None;
        }
        self.last = Some(this);
    }

    /// A frame was seen from its first byte to its last.
    fn close(&mut self) {
        let Some(Open { tag, len }) = self.open.take() else { return };
        self.frames += 1;
        // Not `is_sane`: key frames may lack seven bytes of their header.
        let sane = tag.is_some_and(|tag| {
            let first = tag.first_partition as usize;
            tag.version <= MAX_VERSION && first > 0 && TAG + first <= len
        });
        self.sane += u32::from(sane);
    }
}

impl Last {
    /// How far a packet is ahead of this one: by video numbers, or RTP's where there are none.
    fn step(&self, next: &Last) -> i64 {
        match (self.number, next.number) {
            (Some(a), Some(b)) => {
                // 40 bits, by the shorter way round.
                ((b.wrapping_sub(a) << 24) as i64) >> 24
            }
            _ => i64::from(next.sequence.wrapping_sub(self.sequence) as i16),
        }
    }
}
