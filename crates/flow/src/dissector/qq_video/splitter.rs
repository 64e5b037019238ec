//! Cuts a TCP stream into messages that carry no length.
//!
//! A message begins where something looks like a head with RTP behind it, and ends where the
//! next begins. One look proves nothing: a mark counts once its source (form, media type,
//! payload type, SSRC) has been seen [`PROOF`] times with RTP numbers running on. Until then the
//! bytes wait. A message with a hole, or with a mark in it that was never proven, is dropped: it
//! may be two.

use std::collections::VecDeque;

use ottoscope_wire::qq_video::{Form, Head, media};
use ottoscope_wire::rtp;

use crate::time::Timestamp;

/// Times that a source must be seen.
pub const PROOF: u32 = 5;
/// Most bytes held.
const MAX_HELD: usize = 256 * 1024;
/// Bytes behind a mark without proof after which it gets none.
const PATIENCE: u64 = 96 * 1024;
/// Sources kept, with and without proof.
const MAX_SOURCES: usize = 32;
/// Largest step of RTP numbers that is still the same run (RFC 3550 A.1).
const MAX_STEP: u16 = 3000;
/// Bytes of the longest head with RTP's fixed header.
const LOOK: usize = 10 + rtp::HEADER;
/// Times of bytes remembered.
const MAX_TIMES: usize = 512;

/// What a mark says of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    form: Form,
    media: u8,
    payload_type: u8,
    ssrc: u32,
    sequence: u16,
}

impl Mark {
    /// Reads what may be a message's first bytes.
    pub(super) fn read(bytes: &[u8], form: Form) -> Option<Mark> {
        let head = Head::parse(bytes, form).ok()?;
        let behind = bytes.get(form.size()..)?;
        let fixed = behind.first_chunk::<{ rtp::HEADER }>()?;
        let [first, second, s0, s1, ..] = *fixed;
        let word = |at: usize| {
            u32::from_be_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]])
        };
        let mark = |payload_type, ssrc, sequence| {
            Some(Mark { form, media: head.media(), payload_type, ssrc, sequence })
        };
        match head.media() {
            media::AUDIO | media::VIDEO => {
                let ssrc = word(8);
                let plausible = first & 0xcf == 0x80 && ssrc != 0;
                let kind = second & 0x7f;
                (plausible && !(72..=76).contains(&kind))
                    .then(|| mark(kind, ssrc, u16::from_be_bytes([s0, s1])))?
            }
            // RTCP's packet types; its messages have no number.
            media::AUDIO_RTCP | media::VIDEO_RTCP => (first >> 6 == 2
                && (200..=207).contains(&second))
            .then(|| mark(second, word(4), 0))?,
            _ => fixed[..3].iter().all(u8::is_ascii_uppercase).then(|| mark(0, 0, 0))?,
        }
    }

    fn is_numbered(&self) -> bool {
        matches!(self.media, media::AUDIO | media::VIDEO)
    }
}

/// The first mark in some bytes.
pub(super) fn find(bytes: &[u8]) -> Option<(usize, Mark)> {
    let mut from = 0;
    while let Some(step) = bytes.get(from + 4..)?.iter().position(|byte| *byte == 0x2d) {
        let at = from + step;
        if let Some(mark) = read_any(&bytes[at..]) {
            return Some((at, mark));
        }
        from = at + 1;
    }
    None
}

fn read_any(bytes: &[u8]) -> Option<Mark> {
    // Two zeros come first: nearly all places fail here.
    if bytes.get(2..4)? != [0, 0] {
        return None;
    }
    Form::ALL.into_iter().find_map(|form| Mark::read(bytes, form))
}

#[derive(Debug)]
struct Source {
    mark: Mark,
    count: u32,
    /// A hole came since.
    hole: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A message may begin here; index of its source.
    Mark(Option<u8>),
    /// Bytes are missing here, or what follows is nobody's.
    Hole,
    /// What went before ends here for sure, but what follows was never proven.
    Stranger,
}

#[derive(Debug, Clone, Copy)]
struct Boundary {
    at: u64,
    kind: Kind,
}

/// A message cut out of the stream.
pub(super) struct Cut<'a> {
    pub(super) at: Timestamp,
    pub(super) form: Form,
    pub(super) bytes: &'a [u8],
    /// Where it ends is a guess: the stream ended behind it.
    pub(super) open: bool,
}

/// One direction of a stream.
#[derive(Debug)]
pub(super) struct Splitter {
    /// Bytes not yet handed over, and the stream offset of the first.
    held: Vec<u8>,
    start: u64,
    /// Offset of the first byte at which no mark was looked for.
    scanned: u64,
    boundaries: VecDeque<Boundary>,
    sources: Vec<Source>,
    /// Where the bytes of a time end.
    times: VecDeque<(u64, Timestamp)>,
    /// Proven marks at the beginning of a piece of bytes as it was pushed, and elsewhere.
    aligned: u32,
    inside: u32,
    /// Offset at which the last piece began.
    piece: u64,
}

impl Default for Splitter {
    fn default() -> Self {
        Splitter {
            held: Vec::new(),
            start: 0,
            scanned: 0,
            // What comes before the first mark is nobody's.
            boundaries: VecDeque::from([Boundary { at: 0, kind: Kind::Hole }]),
            sources: Vec::new(),
            times: VecDeque::new(),
            aligned: 0,
            inside: 0,
            piece: 0,
        }
    }
}

impl Splitter {
    fn end(&self) -> u64 {
        self.start + self.held.len() as u64
    }

    /// Whether some source is proven.
    pub(super) fn is_proven(&self) -> bool {
        self.sources.iter().any(|source| source.count >= PROOF)
    }

    /// Takes the next bytes in order.
    pub(super) fn bytes(&mut self, at: Timestamp, bytes: &[u8], out: &mut dyn FnMut(&Cut<'_>)) {
        for part in bytes.chunks(MAX_HELD / 2) {
            self.part(at, part, out);
        }
    }

    fn part(&mut self, at: Timestamp, bytes: &[u8], out: &mut dyn FnMut(&Cut<'_>)) {
        self.piece = self.end();
        self.held.extend_from_slice(bytes);
        if self.times.len() >= MAX_TIMES {
            self.times.pop_back(); // the last one then stands for both
        }
        self.times.push_back((self.end(), at));
        self.scan();
        self.hand_over(out);
        if self.held.len() > MAX_HELD {
            self.give_up();
        }
    }

    /// So many bytes will not come.
    pub(super) fn gap(&mut self, out: &mut dyn FnMut(&Cut<'_>)) {
        let at = self.end();
        self.scanned = at;
        for source in &mut self.sources {
            source.hole = true;
        }
        if self.boundaries.back().is_none_or(|last| last.kind != Kind::Hole || last.at != at) {
            self.boundaries.push_back(Boundary { at, kind: Kind::Hole });
        }
        self.hand_over(out);
    }

    /// The stream has ended. The last message is whole where messages come a segment each.
    pub(super) fn finish(&mut self, out: &mut dyn FnMut(&Cut<'_>)) {
        for i in 0..self.boundaries.len() {
            if !self.is_settled(&self.boundaries[i]) {
                self.refuse(i);
            }
        }
        self.hand_over(out);
        if let Some(&Boundary { at, kind: Kind::Mark(Some(source)) }) = self.boundaries.front()
            && self.boundaries.len() == 1
            && at < self.end()
        {
            let whole = self.inside == 0 && at == self.piece;
            self.cut(at, self.end(), source, !whole, out);
        }
        self.held = Vec::new();
    }

    /// Looks for marks in what is new.
    fn scan(&mut self) {
        // A mark needs so many bytes to be told.
        let until = (self.end() + 1).saturating_sub(LOOK as u64);
        while self.scanned < until {
            let from = (self.scanned - self.start) as usize;
            let Some((step, mark)) = find(&self.held[from..]) else {
                self.scanned = until;
                return;
            };
            let at = self.scanned + step as u64;
            if at >= until {
                // The literal form needs a byte less, and is looked at again with all of them.
                self.scanned = until;
                return;
            }
            self.scanned = at + mark.form.size() as u64;
            let source = self.source(mark);
            self.boundaries.push_back(Boundary { at, kind: Kind::Mark(source) });
        }
    }

    /// Counts a mark for its source. Nothing where its number does not go with a proven run.
    fn source(&mut self, mark: Mark) -> Option<u8> {
        let same = |source: &Source| Mark { sequence: mark.sequence, ..source.mark } == mark;
        if let Some(place) = self.sources.iter().position(same) {
            let source = &mut self.sources[place];
            let step = mark.sequence.wrapping_sub(source.mark.sequence);
            let follows = !mark.is_numbered() || step == 1;
            if !follows && source.count >= PROOF && !(1..=MAX_STEP).contains(&step) {
                return None;
            }
            source.count = match follows || source.count >= PROOF {
                true => source.count.saturating_add(1),
                false if source.hole && (1..=MAX_STEP).contains(&step) => source.count,
                false => 1,
            };
            (source.mark, source.hole) = (mark, false);
            return Some(place as u8);
        }
        if self.sources.len() >= MAX_SOURCES {
            return None;
        }
        self.sources.push(Source { mark, count: 1, hole: false });
        Some((self.sources.len() - 1) as u8)
    }

    fn is_settled(&self, boundary: &Boundary) -> bool {
        match boundary.kind {
            Kind::Hole | Kind::Stranger => true,
            Kind::Mark(source) => {
                source.is_some_and(|s| self.sources[usize::from(s)].count >= PROOF)
            }
        }
    }

    /// A mark gets no proof. Where every message began a piece of bytes, this one does as well,
    /// and ends the one before.
    fn refuse(&mut self, i: usize) {
        let regular = self.inside == 0 && self.aligned >= PROOF;
        let kind = match regular && self.begins_piece(self.boundaries[i].at) {
            true => Kind::Stranger,
            false => Kind::Hole,
        };
        self.boundaries[i].kind = kind;
    }

    fn begins_piece(&self, at: u64) -> bool {
        let i = self.times.partition_point(|(end, _)| *end < at);
        at == 0 || self.times.get(i).is_some_and(|(end, _)| *end == at)
    }

    /// Hands over what lies between settled boundaries.
    fn hand_over(&mut self, out: &mut dyn FnMut(&Cut<'_>)) {
        while let [first, second] = [self.boundaries.front(), self.boundaries.get(1)]
            && let (Some(&first), Some(&second)) = (first, second)
        {
            if !self.is_settled(&second) {
                if self.end() - second.at < PATIENCE {
                    break;
                }
                self.refuse(1);
                continue;
            }
            if let Kind::Mark(Some(source)) = first.kind
                && second.kind != Kind::Hole
            {
                self.cut(first.at, second.at, source, false, out);
            }
            self.boundaries.pop_front();
        }
        // Nothing in front of the first boundary is needed, nor what follows a hole up to where
        // marks were looked for.
        if let Some(first) = self.boundaries.front().copied() {
            let nobody = matches!(first.kind, Kind::Hole | Kind::Stranger);
            let lonely = nobody && self.boundaries.len() == 1;
            let keep = if lonely { self.scanned.max(first.at) } else { first.at };
            if lonely {
                self.boundaries[0].at = keep;
            }
            self.forget(keep);
        }
    }

    /// Hands over one message.
    fn cut(&mut self, from: u64, to: u64, source: u8, open: bool, out: &mut dyn FnMut(&Cut<'_>)) {
        let i = self.times.partition_point(|(end, _)| *end < to);
        let Some(&(_, at)) = self.times.get(i).or(self.times.back()) else { return };
        let place = |offset: u64| (offset.saturating_sub(self.start)) as usize;
        let Some(bytes) = self.held.get(place(from)..place(to)) else { return };
        out(&Cut { at, form: self.sources[usize::from(source)].mark.form, bytes, open });
        if self.begins_piece(from) {
            self.aligned = self.aligned.saturating_add(1);
        } else {
            self.inside = self.inside.saturating_add(1);
        }
    }

    /// Forgets bytes in front of an offset.
    fn forget(&mut self, until: u64) {
        let gone = (until.saturating_sub(self.start) as usize).min(self.held.len());
        // Moving what stays costs: let it wait until there is more to gain.
        if gone == self.held.len() || gone >= 16 * 1024 {
            self.held.drain(..gone);
            self.start += gone as u64;
            while self.times.len() > 1 && self.times[0].0 < self.start {
                self.times.pop_front();
            }
        }
    }

    /// More is held than may be: no message is that long.
    fn give_up(&mut self) {
        let at = self.end();
        self.boundaries.clear();
        self.boundaries.push_back(Boundary { at, kind: Kind::Hole });
        self.scanned = at;
        self.forget(at);
    }
}
